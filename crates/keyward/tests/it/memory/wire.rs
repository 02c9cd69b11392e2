//! What requests leave of a key in memory: of one that the HTTP stack is given in a header, and of
//! one that is put in late. Client and server are processes of their own, so that nothing else is
//! in the memory that is searched: this test binary itself, running `child`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use keyward::authorize::Authorizer;
use keyward::wire::Injector;
use keyward::{FileLoader, KeyPolicy, LiveKey, ProjectKey};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::search::{Copies, MASK};
use super::{Masked, write};
use crate::wire::server::{self, Server};
use crate::wire::{Http, injector};

const REQUESTS: usize = 200;
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Header,
    Late,
    /// Late, and the key itself in `memfd_secret`.
    Secret,
}

impl Mode {
    /// Those that this kernel and this build have.
    fn all() -> impl Iterator<Item = Self> {
        #[cfg(feature = "memfd-secret")]
        let has_secret = {
            let test = "memory::wire: a key in secret memory";
            super::protection::prefer_secret_in_a_child(test)
        };
        #[cfg(not(feature = "memfd-secret"))]
        let has_secret = false;
        [Self::Header, Self::Late].into_iter().chain(has_secret.then_some(Self::Secret))
    }

    fn is_late(self) -> bool {
        self != Self::Header
    }

    /// How many copies of a key that is held are to be read.
    fn readable(self) -> usize {
        usize::from(self != Self::Secret)
    }

    /// In the process whose memory is searched.
    fn prepare(self) {
        #[cfg(feature = "memfd-secret")]
        if self == Self::Secret {
            assert_eq!(keyward::ApiKey::prefer_secret_memory(), keyward::Protection::Secret);
        }
    }
}

/// One copy while it is held, and none after. Pieces that loading the key has left already are
/// not those of the requests.
#[test]
fn a_key_that_is_put_in_late_is_in_memory_once_and_then_no_more() {
    let (_server, mut lines) = start("server", "");
    let place = lines.next().unwrap().unwrap();
    println!(
        "{REQUESTS} requests, {AT_ONCE} at once, the key replaced in the middle; copies of it"
    );
    println!("whole, in pieces, and coded:");
    println!(
        "{:<8}{:<6}{:<14}{:<14}{:<14}{:<14}",
        "mode", "http", "loaded", "used", "old", "dropped"
    );
    for http in Http::BOTH {
        for mode in Mode::all() {
            let (_child, mut lines) = start(&format!("{mode:?} {http:?}"), &place);
            let told = lines.next().expect("the child failed").unwrap();
            let counts: Vec<usize> = told.split(' ').map(|n| n.parse().unwrap()).collect();
            let copies: Vec<_> = counts
                .chunks_exact(3)
                .map(|it| Copies { whole: it[0], pieces: it[1], coded: it[2], ..Copies::default() })
                .collect();
            let shown = copies.iter().map(|it| format!("{} {} {}", it.whole, it.pieces, it.coded));
            let shown: String = shown.map(|it| format!("{it:<14}")).collect();
            println!("{:<8}{:<6}{shown}", format!("{mode:?}"), format!("{http:?}"));
            let [loaded, used, old, dropped] = copies[..] else { panic!("{told}") };
            assert_eq!(loaded.whole, mode.readable(), "the search is blind, or the key to be seen");
            if mode.is_late() {
                assert_eq!((used.whole, used.coded), (mode.readable(), 0), "{http:?}");
                assert_eq!((old.whole, old.coded), (0, 0), "{http:?}");
                assert_eq!((dropped.whole, dropped.coded), (0, 0), "{http:?}");
                assert!(used.pieces.max(dropped.pieces) <= loaded.pieces, "{http:?}");
            }
        }
    }
}

/// The answer that a new key comes in is one of an ordinary client, read to its end and dropped.
#[test]
fn a_minted_key_that_is_caught_is_in_memory_once_and_then_no_more() {
    let (_server, mut lines) = start("server", "");
    let place = lines.next().unwrap().unwrap();
    println!("a minted key; copies of it whole, in pieces, and coded:");
    println!("{:<8}{:<6}{:<14}{:<14}", "mode", "http", "held", "dropped");
    for http in Http::BOTH {
        for mode in Mode::all() {
            let (_child, mut lines) = start(&format!("Mint {mode:?} {http:?}"), &place);
            let told = lines.next().expect("the child failed").unwrap();
            let counts: Vec<usize> = told.split(' ').map(|n| n.parse().unwrap()).collect();
            let [held, dropped] = [&counts[..3], &counts[3..]];
            println!(
                "{:<8}{:<6}{held:?}     {dropped:?}",
                format!("{mode:?}"),
                format!("{http:?}")
            );
            assert!(held[0] >= mode.readable(), "the search is blind");
            if mode.is_late() {
                assert_eq!((held[0], held[2]), (mode.readable(), 0), "{http:?}");
                assert_eq!((dropped[0], dropped[2]), (0, 0), "{http:?}");
                assert_eq!(held[1].max(dropped[1]), 0, "{http:?}");
            }
        }
    }
}

/// It is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(
    job: &str,
    place: &str,
) -> (Running, impl Iterator<Item = std::io::Result<String>> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::wire::child", "--nocapture", "--quiet"])
        .env("KEYWARD_TEST_JOB", job)
        .env("KEYWARD_TEST_PLACE", place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::<ChildStdout>::new(child.stdout.take().unwrap()).lines();
    // The harness has its own lines.
    let ours = lines.filter_map(|line| match line {
        Ok(line) => { line.strip_prefix("told ") }.map(|line| Ok(line.to_owned())),
        error => Some(error),
    });
    (Running(child), ours)
}

/// What the processes of the test above do. By itself it is nothing.
#[test]
fn child() {
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
    let variable = |name: &str| std::env::var(name).ok();
    let Some(job) = variable("KEYWARD_TEST_JOB") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if job == "server" {
        return runtime.block_on(async {
            let server = Server::start().await;
            let hex: String = server.certificate.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("\ntold {} {hex}", server.address);
            std::future::pending::<()>().await;
        });
    }
    let place = variable("KEYWARD_TEST_PLACE").unwrap();
    let (address, hex) = place.split_once(' ').unwrap();
    let certificate: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let server = Server::at(address.parse().unwrap(), CertificateDer::from(certificate));
    let modes = [Mode::Header, Mode::Late, Mode::Secret];
    let mode = modes.into_iter().find(|mode| job.contains(&format!("{mode:?}"))).unwrap();
    mode.prepare();
    let http = if job.contains("One") { Http::One } else { Http::Two };
    match job.starts_with("Mint") {
        true => mint(&runtime, mode, http, &server),
        false => measure(&runtime, mode, http, &server),
    }
}

fn measure(runtime: &tokio::runtime::Runtime, mode: Mode, http: Http, server: &Server) {
    let (old, new) = (Masked::new(), Masked::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let beside = directory.path().join("new");
    write(&old, &path, b"\n");
    write(&new, &beside, b"\n");

    let injector = injector();
    let authorizer = Authorizer::new(KeyPolicy::production());
    let mut config = match mode {
        Mode::Late | Mode::Secret => injector.client_config(server.roots()).unwrap(),
        Mode::Header => server::plain_client(server.certificate.clone()),
    };
    http.offer_in(&mut config);
    let client = crate::wire::client_with(server, config);
    let url = server.url("api.openai.com", "/forget");
    let value = |key: &ProjectKey| -> HeaderValue {
        match mode {
            Mode::Header => authorizer.header(key, &url.parse().unwrap()).unwrap(),
            Mode::Late | Mode::Secret => injector.header_value(key).unwrap(),
        }
    };
    let policy = KeyPolicy::production();
    let mut told = runtime.block_on(async {
        let mut live = LiveKey::project(FileLoader::new(&path), policy).start().await.unwrap();
        let ask = async |live: &LiveKey, times: usize| {
            for _ in 0..times / AT_ONCE {
                join_all((0..AT_ONCE).map(|_| async {
                    let value = value(&live.current().unwrap());
                    let answer = client.post(&url).header(AUTHORIZATION, value).body("{}").send();
                    assert!(answer.await.unwrap().bytes().await.unwrap().len() == 2);
                }))
                .await;
            }
        };
        ask(&live, REQUESTS / 2).await;
        fs::rename(&beside, &path).unwrap();
        live.changed().await.unwrap();
        let mut told = vec![new.traces()];
        // The time after which the old key is forgotten, at the next request. It goes by one
        // connection; the others wait, and the last that they sent had the old key.
        for _ in 0..2 {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(12)).await;
            tokio::time::resume();
            let value = value(&live.current().unwrap());
            let call = client.get(&url).header(AUTHORIZATION, value).send();
            call.await.unwrap().bytes().await.unwrap();
        }
        let forgotten = old.traces();
        ask(&live, REQUESTS / 2).await;
        told.extend([new.traces(), forgotten]);
        told
    });
    drop((client, injector, authorizer));
    // Tasks of connections end as soon as the runtime runs.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    told.push(new.traces());
    let told = told.iter().map(|it| format!("{} {} {}", it.whole, it.pieces, it.coded));
    println!("\ntold {}", told.collect::<Vec<_>>().join(" "));
}

fn mint(runtime: &tokio::runtime::Runtime, mode: Mode, http: Http, server: &Server) {
    let key = Masked::new();
    let injector = Injector::admin_catching_minted(ring::default_provider(), KeyPolicy::admin());
    let injector = injector.unwrap();
    let mut config = match mode {
        Mode::Late | Mode::Secret => injector.client_config(server.roots()).unwrap(),
        Mode::Header => server::plain_client(server.certificate.clone()),
    };
    http.offer_in(&mut config);
    let client = crate::wire::client_with(server, config);
    let masked: String =
        key.masked().iter().map(|byte| format!("{:02x}", byte ^ MASK ^ server::MASK)).collect();
    let minted = runtime.block_on(async {
        let call = client.post(server.url("api.openai.com", "/mint")).body(masked);
        let answer = Zeroizing::new(call.send().await.unwrap().bytes().await.unwrap().to_vec());
        let text = std::str::from_utf8(&answer).unwrap().split('"').nth(7).unwrap();
        injector.redeem(&keyward::ApiKey::issued(text.to_owned()).unwrap()).unwrap()
    });
    assert_eq!(minted.kind(), keyward::KeyKind::ServiceAccount);
    let held = key.traces();
    drop((client, injector, minted));
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    let told = [held, key.traces()].map(|it| format!("{} {} {}", it.whole, it.pieces, it.coded));
    println!("\ntold {}", told.join(" "));
}
