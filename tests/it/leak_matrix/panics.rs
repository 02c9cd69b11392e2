//! What a panic tells, by the standard hook with a backtrace, in a process of its own.

#![allow(
    clippy::print_stderr,
    clippy::unnecessary_literal_unwrap,
    clippy::unwrap_used,
    reason = "this is about what they print"
)]

use std::ops::{Deref, Index, RangeTo};
use std::process::Termination as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::{io, panic, thread};

use http::HeaderValue;
use keyward::{ApiKey, KeyLoader as _, redact};
use secrecy::SecretString;
use serde::Deserialize;

use super::place::{Config, ConfigError, exposed, keyward, loader, run, secrecy, string};
use super::row::{Row, child, lacks, panics};

const HOOK: &str = "`redact::panic_hook`";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = said();
    rows.extend(given_back());
    rows.extend(texts());
    rows.extend(caught());
    rows
}

/// The key in what somebody has a panic say.
fn said() -> Vec<Row> {
    vec![
        Row::new(
            "`panic!` with the key",
            panics(|| panic!("no answer with {:?}", string())),
            panics(|| panic!("no answer with {:?}", secrecy())),
            panics(|| panic!("no answer with {:?}", keyward())),
        ),
        Row::new(
            "`unwrap` of a parser's error that quotes it",
            panics(|| unwrap_json::<String>(&string())),
            panics(|| unwrap_json::<SecretString>(&exposed())),
            panics(|| {
                panic::set_hook(Box::new(redact::panic_hook(io::stderr)));
                unwrap_json::<ApiKey>(&string());
            }),
        )
        .by(HOOK),
        Row::new(
            "`unwrap` of an error that holds the configuration",
            panics(|| Err::<(), _>(ConfigError(Config::of(string()))).unwrap()),
            panics(|| Err::<(), _>(ConfigError(Config::of(secrecy()))).unwrap()),
            panics(|| Err::<(), _>(ConfigError(Config::of(keyward()))).unwrap()),
        ),
        Row::new(
            "`unwrap_err` of what was loaded",
            panics(|| Ok::<_, ()>(string()).unwrap_err()),
            panics(|| Ok::<_, ()>(secrecy()).unwrap_err()),
            panics(|| {
                let loaded = run(loader(string()).load());
                drop(loaded.unwrap_err());
            }),
        )
        .by("`LoadedKey`"),
        Row::new(
            "`assert_eq!` of two keys",
            panics(|| assert_eq!(string(), other())),
            lacks!(SecretString: PartialEq),
            panics(|| assert_eq!(keyward(), ApiKey::parse(other()).unwrap())),
        ),
        Row::new(
            "`assert_ne!` of a key with itself",
            panics(|| assert_ne!(string(), string())),
            lacks!(SecretString: PartialEq),
            panics(|| assert_ne!(keyward(), keyward())),
        ),
    ]
}

/// What gives a value back that it does not take.
fn given_back() -> Vec<Row> {
    vec![
        Row::new(
            "`OnceLock::set` of a key that is set, `unwrap`",
            panics(|| OnceLock::from(string()).set(string()).unwrap()),
            panics(|| OnceLock::from(secrecy()).set(secrecy()).unwrap()),
            panics(|| OnceLock::from(keyward()).set(keyward()).unwrap()),
        ),
        Row::new(
            "`Arc::try_unwrap` of a shared key, `unwrap`",
            panics(|| unshare(Arc::new(string()))),
            panics(|| unshare(Arc::new(secrecy()))),
            panics(|| unshare(Arc::new(keyward()))),
        ),
        Row::new(
            "a poisoned `Mutex`, `unwrap`",
            panics(|| poisoned(string())),
            panics(|| poisoned(secrecy())),
            panics(|| poisoned(keyward())),
        )
        .clean_because("`PoisonError` does not show what it guards"),
    ]
}

/// The key as a text that is cut.
fn texts() -> Vec<Row> {
    vec![
        Row::new(
            "a slice beyond the key's end",
            panics(|| eprintln!("{}", &string()[..500])),
            panics(|| eprintln!("{}", &exposed()[..500])),
            lacks!(ApiKey: Index<RangeTo<usize>>),
        ),
        Row::new(
            "a slice within a character",
            panics(|| eprintln!("{}", &accented(&string())[..1])),
            panics(|| eprintln!("{}", &accented(&exposed())[..1])),
            panics(|| drop(ApiKey::parse(accented(&string())).unwrap())),
        )
        .by("`ApiKey::parse` refuses what is not ASCII"),
        Row::new(
            "`split_at` beyond the key's end",
            panics(|| eprintln!("{:?}", string().split_at(500))),
            panics(|| eprintln!("{:?}", exposed().split_at(500))),
            lacks!(ApiKey: Deref),
        ),
        Row::new(
            "an index beyond the key's bytes",
            panics(|| eprintln!("{}", string().as_bytes()[beyond()])),
            panics(|| eprintln!("{}", exposed().as_bytes()[beyond()])),
            lacks!(ApiKey: Index<usize>),
        )
        .clean_because("it tells the index and the length"),
        Row::new(
            "`HeaderValue::from_str(…).unwrap()`",
            panics(|| drop(HeaderValue::from_str(&(string() + "\n")).unwrap())),
            panics(|| drop(HeaderValue::from_str(&(exposed() + "\n")).unwrap())),
            panics(|| drop(ApiKey::parse(string() + "\u{7f}").unwrap())),
        )
        .clean_because("`InvalidHeaderValue` tells nothing")
        .by("`ApiKey::parse`"),
        Row::new(
            "a backtrace, the key in scope",
            panics(|| holds(&string())),
            panics(|| holds(&secrecy())),
            panics(|| holds(&keyward())),
        )
        .clean_because("a backtrace shows no values"),
    ]
}

/// What whoever catches a panic prints of it, and of an error that ends the program.
fn caught() -> Vec<Row> {
    vec![
        Row::new(
            "`JoinError` of a task that panicked",
            child(|| task(format!("no answer with {:?}", string()))),
            child(|| task(format!("no answer with {:?}", secrecy()))),
            child(|| task(format!("no answer with {:?}", keyward()))),
        ),
        Row::new(
            "the payload of a thread that panicked",
            child(|| joined(format!("no answer with {:?}", string()))),
            child(|| joined(format!("no answer with {:?}", secrecy()))),
            child(|| joined(format!("no answer with {:?}", keyward()))),
        ),
        Row::new(
            "`main` returns a parser's error",
            child(|| end(Err(json::<String>(&string())))),
            child(|| end(Err(json::<SecretString>(&exposed())))),
            child(|| end(Err(run(loader(format!("'{}'", string())).load()).unwrap_err()))),
        )
        .by("`LoadError`"),
    ]
}

/// Another key of the same kind.
fn other() -> String {
    keyward_testkit::keys::project_key(&mut keyward_testkit::keys::KeyRng::seeded(7))
}

/// A parser's error that quotes the key where a number belongs.
fn json<K: for<'de> Deserialize<'de>>(key: &str) -> serde_json::Error {
    let text = format!("{{\"host\": \"api.openai.com\", \"key\": \"x\", \"port\": \"{key}\"}}");
    serde_json::from_str::<Service<K>>(&text).err().unwrap()
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read to fail")]
struct Service<K> {
    port: u16,
    #[serde(flatten)]
    config: Config<K>,
}

fn unwrap_json<K: for<'de> Deserialize<'de>>(key: &str) {
    Err::<(), _>(json::<K>(key)).unwrap();
}

fn unshare<K: std::fmt::Debug>(key: Arc<K>) {
    let other = Arc::clone(&key);
    drop(Arc::try_unwrap(key).unwrap());
    drop(other);
}

fn poisoned<K: Send + 'static>(key: K) {
    let guarded = Arc::new(Mutex::new(key));
    let theirs = Arc::clone(&guarded);
    let _ = thread::spawn(move || {
        let _guard = theirs.lock().unwrap();
        panic!("in the middle");
    })
    .join();
    drop(guarded.lock().unwrap());
}

/// The key behind a character of two bytes.
fn accented(key: &str) -> String {
    format!("é{key}")
}

fn beyond() -> usize {
    std::hint::black_box(500)
}

#[inline(never)]
fn holds<K>(key: &K) {
    std::hint::black_box(key);
    panic!("something else is wrong");
}

/// What the panic itself says is not what this is about.
fn say_nothing() {
    panic::set_hook(Box::new(|_| ()));
}

fn task(message: String) {
    say_nothing();
    let spawned = async { tokio::spawn(async move { panic!("{message}") }).await };
    let error = run(spawned).unwrap_err();
    eprintln!("{error} {error:?}");
}

fn joined(message: String) {
    say_nothing();
    let payload = thread::spawn(move || panic!("{message}")).join().unwrap_err();
    eprintln!("a thread is gone: {:?}", payload.downcast_ref::<String>());
}

/// What the end of a program says of an error.
fn end<E: std::fmt::Debug>(result: Result<(), E>) {
    let _ = result.report();
}
