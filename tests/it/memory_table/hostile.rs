//! A server that sends the key back wherever it can: what of that is printed, and what is left.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use tokio::runtime::Runtime;
use tracing_subscriber::filter::LevelFilter;

use super::child::settle;
use super::contender::{Client, Contender, HOST, Http};
use super::process::{Job, Keys, Plan, Running, pause, variable};
use super::server::Server;
use crate::search::{Copies, Image};

/// What the server does, by the path.
const WAYS: [&str; 8] = [
    "/echo",
    "/echo-ok",
    "/echo-pieces",
    "/echo-cut",
    "/redirect",
    "/redirect-key",
    "/cut",
    "/forget",
];

/// It writes the key in pieces of ten characters, each by itself.
const IN_LETTERS: &str = "/echo-letters";

/// The client logs at `TRACE`, with `connection_verbose`, and with whatever it is answered; a key is
/// put in late, so it is the server alone that could bring it in.
#[test]
fn nothing_is_left_of_a_key_that_the_server_sends_back() {
    let server = Running::server();
    let once = Copies { whole: 1, ..Copies::default() };
    println!("| server | who holds the key | HTTP | printed | in use | dropped |");
    println!("|---|---|---|---|---|---|");
    for http in Http::BOTH {
        for contender in [Contender::Text, Contender::Late] {
            let [printed, used, dropped] = of_server("repeats", contender, http, &server);
            if contender == Contender::Late {
                assert!(printed.is_none() && dropped.is_none(), "{http:?}: {printed} {dropped}");
                assert_eq!(used, once, "{http:?}");
            } else {
                assert!(printed.whole > 0 && dropped.of_all_forms() > 0, "nothing to compare with");
            }
        }
        // What is documented as not seen, so that it is true.
        let [printed, ..] = of_server("letters", Contender::Late, http, &server);
        assert!(!printed.is_none(), "it is seen; say so");
    }
}

fn of_server(ways: &str, contender: Contender, http: Http, server: &Running) -> [Copies; 3] {
    let keys = Keys::new();
    let job = Job { contender, http, plan: Plan::Hostile };
    let mut child = Running::start_with(&job, server, &keys, ways);
    child.wait_for("used");
    let printed = keys.old.traces_in(&Image::File(keys.directory.path().join("printed")));
    let used = keys.old.traces_in(&child.image());
    child.go_on();
    child.wait_for("dropped");
    let dropped = keys.old.traces_in(&child.image());
    let (name, version) = (contender.name(), http.name());
    println!("| {ways} | {name} | {version} | {printed} | {used} | {dropped} |");
    [printed, used, dropped]
}

pub(super) fn child(
    runtime: &Runtime,
    contender: Contender,
    http: Http,
    server: &Server,
    keys: &Path,
) {
    let printed = File::create(keys.join("printed")).unwrap();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(Mutex::new(printed))
        .init();
    let letters = variable("KEYWARD_TEST_MORE").as_deref() == Some("letters");
    let ways = if letters { &[IN_LETTERS][..] } else { &WAYS };
    let client = runtime.block_on(Client::new(contender, http, server, &keys.join("key")));
    for way in ways {
        runtime.block_on(async {
            match client.call(&server.url(HOST, way)).send().await {
                Ok(answer) => {
                    tracing::info!(way, ?answer, headers = ?answer.headers());
                    match answer.text().await {
                        Ok(text) => tracing::info!(way, text),
                        Err(error) => tell_all(way, &error),
                    }
                }
                Err(error) => tell_all(way, &error),
            }
        });
    }
    settle(runtime);
    pause("used");
    drop(client);
    settle(runtime);
    pause("dropped");
}

fn tell_all(way: &str, error: &dyn Error) {
    tracing::info!(way, "{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        tracing::info!(way, "{error} {error:?}");
        source = error.source();
    }
}
