//! What a program does at its start to keep keys out of its memory, and what it is for.

use std::backtrace::Backtrace;
use std::fs;
use std::hint::black_box;
use std::os::unix::ffi::OsStringExt as _;
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyward::{ApiKey, EnvLoader, KeyLoader as _, LoadErrorKind, LoaderChain, hardening};
use zeroize::Zeroizing;

use super::Masked;
use super::search::Copies;
use crate::alone::{alone, skipped};
use crate::fixture::load;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    Backtrace,
    Panic,
}

/// Copies the key, as whoever sends it does, and wipes the copy; then it happens.
#[inline(never)]
fn happens_after_a_copy(key: &ApiKey, event: Event) {
    // Deep on the stack, so that what the search itself puts there does not cover it.
    let room = black_box([0_u8; 256 * 1024]);
    {
        // EXPOSE: the test looks for what the copy leaves.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
        let text = key.expose_secret().as_bytes();
        let mut copy = Zeroizing::new(vec![0_u8; text.len()]);
        copy.copy_from_slice(text);
        black_box(&mut *copy);
    }
    match event {
        Event::Backtrace => drop(black_box(Backtrace::force_capture())),
        Event::Panic => drop(panic::catch_unwind(|| panic!("as it happens"))),
    }
    black_box(room);
}

/// What is left of a key by the first event of the process, of which there is one.
fn left_by(test: &str, event: Event, warm: bool) {
    alone(
        test,
        |child| {
            child.env_remove("LD_BIND_NOW");
        },
        || {
            if warm {
                hardening::warm_up();
            }
            let masked = Masked::new();
            let key = ApiKey::parse(masked.to_bytes()).unwrap();
            assert_eq!(masked.traces(), Copies { whole: 1, ..Copies::default() });
            happens_after_a_copy(&key, event);
            drop(key);
            // A copy without AVX-512 clears the upper halves of its registers at its end.
            let left = masked.traces_of_registers();
            println!("{event:?}, warmed up {warm}: {left:?}");
            if warm {
                assert_eq!(left, Copies::default());
            } else if left == Copies::default() {
                // A C library that looks up everything at the start leaves nothing to show.
                skipped(test, "the first panic copies no registers here");
            }
        },
    );
}

#[test]
fn the_first_panic_copies_a_key() {
    left_by("memory::hardening::the_first_panic_copies_a_key", Event::Panic, false);
}

#[test]
fn the_first_backtrace_copies_a_key() {
    left_by("memory::hardening::the_first_backtrace_copies_a_key", Event::Backtrace, false);
}

#[test]
fn a_panic_after_a_warm_up_copies_nothing() {
    left_by("memory::hardening::a_panic_after_a_warm_up_copies_nothing", Event::Panic, true);
}

#[test]
fn a_backtrace_after_a_warm_up_copies_nothing() {
    let test = "memory::hardening::a_backtrace_after_a_warm_up_copies_nothing";
    left_by(test, Event::Backtrace, true);
}

#[test]
fn a_warm_up_calls_no_hook_and_leaves_it() {
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    let test = "memory::hardening::a_warm_up_calls_no_hook_and_leaves_it";
    alone(
        test,
        |_| (),
        || {
            panic::set_hook(Box::new(|_| {
                CALLED.fetch_add(1, Ordering::Relaxed);
            }));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(hardening::warm_up);
                }
            });
            assert_eq!(CALLED.load(Ordering::Relaxed), 0);
            drop(panic::catch_unwind(|| panic!("seen")));
            assert_eq!(CALLED.load(Ordering::Relaxed), 1, "the hook is blind");
            drop(panic::take_hook());
        },
    );
}

const VARIABLE: &str = "KEYWARD_TEST_WIPED_KEY";
const BESIDE: &str = "KEYWARD_TEST_WIPED_KEY_NOT";
const SEED: u64 = 0x57e9_7000;

fn with_the_key(child: &mut Command) {
    let key = std::ffi::OsString::from_vec(Masked::seeded(SEED).to_bytes());
    child.env(VARIABLE, key).env(BESIDE, "stays");
}

/// How often the key stands in what `/proc/PID/environ` shows of this process, or of one that it
/// starts.
fn in_environ(of: &str) -> usize {
    let environ = match of {
        "self" => fs::read("/proc/self/environ").unwrap(),
        _ => Command::new("cat").arg("/proc/self/environ").output().unwrap().stdout,
    };
    let environ = Zeroizing::new(environ);
    let beside = format!("{BESIDE}=stays");
    assert!(environ.windows(beside.len()).any(|it| it == beside.as_bytes()), "others stay");
    Masked::seeded(SEED).count_in(&environ)
}

#[test]
fn a_wiped_variable_is_nowhere_and_is_loaded_again() {
    let test = "memory::hardening::a_wiped_variable_is_nowhere_and_is_loaded_again";
    alone(test, with_the_key, || {
        let masked = Masked::seeded(SEED);
        // Without: it stays for good.
        drop(load(&EnvLoader::new(VARIABLE)).unwrap());
        let before = [in_environ("self"), in_environ("child"), masked.copies()];
        assert_eq!(before, [1, 1, 1], "the search is blind");

        let loader = EnvLoader::new(VARIABLE).wiping_environment();
        let loaded = load(&loader).unwrap();
        let after = [in_environ("self"), in_environ("child"), masked.copies()];
        println!("/proc/PID/environ, a child's, in memory: before {before:?}, held {after:?}");
        assert_eq!(after, [0, 0, 1]);
        assert_eq!(loaded.source.to_string(), format!("env:{VARIABLE}"));

        // Once more, also by a clone and in a chain: the same, and no second copy.
        let chain = LoaderChain::first("env", loader.clone());
        for again in [load(&loader).unwrap(), load(&chain).unwrap()] {
            assert_eq!(again.key, loaded.key);
            assert_eq!(masked.copies(), 1);
        }
        // To whoever looks at the variable it is empty.
        let error = load(&EnvLoader::new(VARIABLE)).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::NotConfigured);
        assert!(error.to_string().contains("set but empty"), "{error}");

        let shown = format!("{loader:?} {chain:?}");
        drop((loader, loaded, chain));
        assert_eq!([in_environ("self"), masked.copies()], [0, 0]);
        // The look for leaks makes copies.
        let text = Zeroizing::new(String::from_utf8(masked.to_bytes()).unwrap());
        keyward_testkit::assert_no_leak!(text, shown);
    });
}

#[test]
fn of_loads_at_once_each_has_the_key() {
    let test = "memory::hardening::of_loads_at_once_each_has_the_key";
    alone(test, with_the_key, || {
        let loader = EnvLoader::new(VARIABLE).wiping_environment();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let loads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| load(&loader).unwrap().key)).collect();
            loads.into_iter().map(|load| load.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!([in_environ("self"), Masked::seeded(SEED).copies()], [0, 1]);
    });
}

#[test]
fn a_key_that_is_refused_is_not_wiped() {
    let test = "memory::hardening::a_key_that_is_refused_is_not_wiped";
    alone(
        test,
        |child| {
            child.env(VARIABLE, "'quoted'");
        },
        || {
            let loader = EnvLoader::new(VARIABLE).wiping_environment();
            assert_eq!(load(&loader).unwrap_err().kind(), LoadErrorKind::Invalid);
            assert_eq!(
                load(&loader).unwrap_err().kind(),
                LoadErrorKind::Invalid,
                "it is still there"
            );
            assert_eq!(loader.source().to_string(), format!("env:{VARIABLE}"));
        },
    );
}
