//! What a client leaves of the admin key and of a new key in memory: with the key in a header, and
//! with late injection. The organization and the client are processes of their own: this test
//! binary itself, running `child`.

#![allow(
    clippy::print_stdout,
    reason = "tests: the table that they are for, and what a child tells its parent"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use keyward_admin::{ApiKey, Client};

use super::front::{Front, Http};
use super::new;
use crate::fixture::{Organization, admin_key};
use crate::search::{Copies, MASK, Masked};

const REQUESTS: usize = 200;
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Header,
    Late,
}

/// One copy of each while it is held, and none after; of the new key none while the client lives.
#[test]
fn the_admin_key_and_a_new_key_are_in_memory_once_and_then_no_more() {
    let (_server, mut lines) = start("server", "", "");
    let told = lines.next().expect("a server").unwrap();
    let mut words = told.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let [ids, one, pem_one, two, pem_two] = [word(), word(), word(), word(), word()];
    println!(
        "{REQUESTS} requests, {AT_ONCE} at once, and a new key; copies of each, whole, in pieces, coded:"
    );
    println!(
        "{:<8}{:<6}{:<14}{:<14}{:<14}{:<14}{:<14}",
        "mode", "http", "admin held", "new held", "new dropped", "client gone", "new then"
    );
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    for (http, url, pem) in [(Http::One, one, pem_one), (Http::Two, two, pem_two)] {
        std::fs::write(&roots, unhex(&pem)).unwrap();
        for mode in [Mode::Header, Mode::Late] {
            let (_child, mut lines) =
                start(&format!("{mode:?}"), &format!("{url} {ids}"), roots.to_str().unwrap());
            let told = lines.next().expect("the child failed").unwrap();
            let counts: Vec<usize> = told.split(' ').map(|n| n.parse().unwrap()).collect();
            let copies: Vec<_> = counts
                .chunks_exact(3)
                .map(|it| Copies { whole: it[0], pieces: it[1], coded: it[2], ..Copies::default() })
                .collect();
            let shown = copies.iter().map(|it| format!("{} {} {}", it.whole, it.pieces, it.coded));
            let shown: String = shown.map(|it| format!("{it:<14}")).collect();
            println!("{:<8}{:<6}{shown}", format!("{mode:?}"), format!("{http:?}"));
            let [admin, minted, dropped, admin_after, minted_after] = copies[..] else {
                panic!("{told}")
            };
            assert!(admin.whole >= 1 && minted.whole >= 1, "the search is blind");
            match mode {
                Mode::Header => assert!(
                    admin.whole + admin.coded > 1 && minted.whole > 1,
                    "{http:?}: the comparison is blind"
                ),
                Mode::Late => {
                    let once = Copies { whole: 1, ..Copies::default() };
                    assert_eq!([admin, minted], [once; 2], "{http:?}");
                    let after = [dropped, admin_after, minted_after];
                    assert_eq!(after, [Copies::default(); 3], "{http:?}");
                }
            }
        }
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
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
    roots: &str,
) -> (Running, impl Iterator<Item = std::io::Result<String>> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "admin_wire::memory::child", "--nocapture", "--quiet"])
        .env("KEYWARD_TEST_JOB", job)
        .env("KEYWARD_TEST_PLACE", place)
        .stdout(Stdio::piped());
    if !roots.is_empty() {
        child.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
    }
    let mut child = child.spawn().unwrap();
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
        return runtime.block_on(serve());
    }
    let place = variable("KEYWARD_TEST_PLACE").unwrap();
    let [url, project, account, masked] =
        place.split([' ', ',']).collect::<Vec<_>>().try_into().unwrap();
    let admin = Masked::of_masked(unhex(masked));
    let key = keyward_admin::KeyPolicy::admin()
        .admit(
            &ApiKey::parse(admin.to_bytes()).unwrap(),
            &keyward_admin::AdmitContext::at(keyward_admin::Timestamp::from_unix_seconds(0)),
        )
        .unwrap()
        .into_admin_key()
        .unwrap();
    let builder = Client::builder(key).base_url(url).allow_loopback();
    // Both verify the server by the platform's roots, of which the parent has told the place.
    let client = match job.as_str() {
        "Late" => builder.inject_late().build().unwrap(),
        _ => builder.build().unwrap(),
    };
    let (minted, key) = runtime.block_on(async {
        for _ in 0..REQUESTS / AT_ONCE {
            let lists = (0..AT_ONCE).map(|_| client.projects().list().all());
            assert!(join_all(lists).await.into_iter().all(|list| list.unwrap().len() == 1));
        }
        let account = client.project(project).service_account(account);
        let minted = account.create_key(new("one")).await.unwrap();
        // EXPOSE: masked byte by byte, so that the search can tell what it looks for.
        #[allow(clippy::disallowed_methods, reason = "a test")]
        let masked = minted.key.expose_secret().bytes().map(|byte| byte ^ MASK).collect();
        (Masked::of_masked(masked), minted)
    });
    let held = [admin.traces(), minted.traces()];
    drop(key);
    let dropped = minted.traces();
    drop(client);
    // Tasks of connections end as soon as the runtime runs.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    let told = held.into_iter().chain([dropped, admin.traces(), minted.traces()]);
    let told = told.map(|it| format!("{} {} {}", it.whole, it.pieces, it.coded));
    println!("\ntold {}", told.collect::<Vec<_>>().join(" "));
}

async fn serve() {
    let org = Organization::start().await;
    let masked = hex(org.fake.admin_key().bytes().map(|byte| byte ^ MASK));
    print!("\ntold {},{},{masked}", org.project, org.account);
    for http in Http::BOTH {
        let front = Front::start(&org.fake.base_url(), http).await;
        print!(" {} {}", front.base_url(), hex(front.pem.bytes()));
    }
    println!();
    std::io::stdout().flush().unwrap();
    // So that a mistake in masking is seen here.
    drop(admin_key(org.fake.admin_key()));
    std::future::pending::<()>().await;
}
