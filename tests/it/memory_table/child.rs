//! What the processes do that are looked at.

use std::backtrace::Backtrace;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use keyward::wire::Injector;
use keyward::{ApiKey, KeyPolicy, Protection, hardening};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use super::contender::{Client, Contender, HOST, Http};
use super::process::{Plan, Trouble, pause, tell, variable};
use super::server::{self, Server};
use super::{AT_ONCE, REQUESTS, hostile};

pub(super) fn run() {
    let Some(job) = variable("KEYWARD_TEST_JOB") else { return };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    if job == "server" {
        return runtime.block_on(async {
            let server = Server::start().await;
            let hex: String = server.certificate.iter().map(|byte| format!("{byte:02x}")).collect();
            tell(&format!("{} {hex}", server.address));
            std::future::pending::<()>().await;
        });
    }
    if job == "protection" {
        return tell(ApiKey::prefer_secret_memory().as_str());
    }
    let place = variable("KEYWARD_TEST_PLACE").unwrap();
    let (address, hex) = place.split_once(' ').unwrap();
    let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let certificate: Vec<u8> = (0..hex.len()).step_by(2).map(octet).collect();
    let server = Server::at(address.parse().unwrap(), CertificateDer::from(certificate));
    let keys = PathBuf::from(variable("KEYWARD_TEST_KEYS").unwrap());
    let parts: Vec<_> = job.split('/').collect();
    let (contender, http) = (Contender::parse(parts[0]), Http::parse(parts[1]));
    if contender == Contender::LateSecret {
        assert_eq!(ApiKey::prefer_secret_memory(), Protection::Secret);
    }
    match Plan::parse(parts[2]) {
        Plan::Flight => flight(contender, http, &server, &keys),
        Plan::Hostile => hostile::child(&runtime, contender, http, &server, &keys),
        Plan::Mint => mint(&runtime, contender, http, &server),
        Plan::Requests => requests(&runtime, contender, http, &server, &keys),
        Plan::Trouble(trouble) => {
            let run = trouble_with(trouble, contender, http, &server, &keys);
            runtime.block_on(run);
        }
    }
}

/// Tasks of connections end as soon as the runtime runs.
pub(super) fn settle(runtime: &Runtime) {
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
}

async fn ask(client: &Client, times: usize) {
    for _ in 0..times.div_ceil(AT_ONCE) {
        join_all((0..AT_ONCE).map(|_| client.ask())).await;
    }
}

fn requests(runtime: &Runtime, contender: Contender, http: Http, server: &Server, keys: &Path) {
    let path = keys.join("key");
    let client = runtime.block_on(async {
        let mut client = Client::new(contender, http, server, &path).await;
        pause("loaded");
        ask(&client, REQUESTS / 2).await;
        fs::rename(keys.join("new"), &path).unwrap();
        client.renew(server, &path).await;
        // The time after which a key that was replaced is forgotten, at the next request.
        for _ in 0..2 {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(12)).await;
            tokio::time::resume();
            client.ask().await;
        }
        ask(&client, REQUESTS / 2).await;
        client
    });
    settle(runtime);
    pause("used");
    drop(client);
    settle(runtime);
    pause("dropped");
}

/// The answer to a call that makes a key, as a client decodes it.
#[derive(Deserialize)]
struct Created {
    value: String,
}

fn mint(runtime: &Runtime, contender: Contender, http: Http, server: &Server) {
    let injector =
        Injector::admin_catching_minted(ring::default_provider(), KeyPolicy::admin()).unwrap();
    let config = match contender {
        Contender::MintedCaught => injector.client_config(server.roots()).unwrap(),
        _ => server::plain_client(server.certificate.clone()),
    };
    let client = http.builder(config, server).build().unwrap();
    let call = client.post(server.url(HOST, "/mint")).body(variable("KEYWARD_TEST_MORE").unwrap());
    let key = runtime.block_on(async {
        let body = call.send().await.unwrap().bytes().await.unwrap();
        let created: Created = serde_json::from_slice(&body).unwrap();
        match contender {
            Contender::MintedCaught => {
                let placeholder = ApiKey::issued(created.value).unwrap();
                let key = injector.redeem(&placeholder).unwrap();
                injector.forget(&placeholder);
                Ok(key)
            }
            _ => Err(created.value),
        }
    });
    settle(runtime);
    pause("used");
    drop((key, client, injector));
    settle(runtime);
    pause("dropped");
}

fn flight(contender: Contender, http: Http, server: &Server, keys: &Path) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(contender, http, server, &keys.join("key")).await;
        ask(&client, 2 * AT_ONCE).await;
        pause("flying");
        let client = std::sync::Arc::new(client);
        let forever = (0..AT_ONCE).map(|_| {
            let client = std::sync::Arc::clone(&client);
            tokio::spawn(async move {
                loop {
                    client.ask().await;
                }
            })
        });
        join_all(forever).await;
    });
}

async fn trouble_with(
    trouble: Trouble,
    contender: Contender,
    http: Http,
    server: &Server,
    keys: &Path,
) {
    if matches!(trouble, Trouble::LaterBacktrace | Trouble::LaterPanic) {
        hardening::warm_up();
    }
    let client = Client::new(contender, http, server, &keys.join("key")).await;
    ask(&client, AT_ONCE).await;
    client.use_key();
    match trouble {
        Trouble::FirstBacktrace | Trouble::LaterBacktrace => make_backtrace(),
        Trouble::FirstPanic | Trouble::LaterPanic => make_panic(),
    }
    pause("after");
}

fn make_backtrace() {
    drop(black_box(Backtrace::force_capture().to_string()));
}

fn make_panic() {
    std::panic::catch_unwind(|| panic!("as planned")).unwrap_err();
}
