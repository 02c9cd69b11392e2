//! The promise: what many projects have is listed in little more time than the requests need that
//! are allowed at once. A report, not a timing: 1,000 projects of 20 keys each behind HTTP on this
//! machine, each answer 20 ms late, 64 in flight.
//!
//! Goal: at most 1.4 of the bound, which is as many rounds of 20 ms as 64 at once make. The gate's
//! slow start is in it: a client is new each time. So are its connections.

#![allow(clippy::print_stdout, reason = "a report")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward_admin::Client;
use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use tokio::net::TcpListener;

const LATENCY: Duration = Duration::from_millis(20);
const IN_FLIGHT: usize = 64;
const KEYS: usize = 20;
const PAGE: usize = 100;

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    let (projects, rounds) = if short { (128, 1) } else { (1_000, 5) };
    // The server has a thread of its own, so that the client's time is the client's.
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (server, client) = (server.expect("a runtime"), client.expect("a runtime"));
    let base_url = server.block_on(serve(projects));
    let bound = LATENCY.as_secs_f64() * projects.div_ceil(IN_FLIGHT) as f64;
    println!("{:<42} {:>8} {:>11}", "case", "wall s", "wall/bound");
    for (name, warm, listed) in [
        ("projects known", false, false),
        ("projects known, once more", true, false),
        ("projects listed too", false, true),
    ] {
        let mut walls: Vec<f64> = (0..rounds)
            .map(|_| client.block_on(keys_of_all(&base_url, projects, warm, listed)))
            .collect();
        walls.sort_by(f64::total_cmp);
        let wall = walls[rounds / 2];
        println!("{name:<42} {wall:>8.3} {:>11.3}", wall / bound);
    }
}

async fn serve(projects: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let keys: Arc<str> = keys().into();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            stream.set_nodelay(true).expect("an option");
            let keys = Arc::clone(&keys);
            let service = service_fn(move |request: hyper::Request<_>| {
                let page = if request.uri().path().ends_with("/api_keys") {
                    Bytes::copy_from_slice(keys.as_bytes())
                } else {
                    Bytes::from(page_of_projects(request.uri().query(), projects))
                };
                async move {
                    tokio::time::sleep(LATENCY).await;
                    let answer = Response::builder().header(CONTENT_TYPE, "application/json");
                    Ok::<_, Infallible>(answer.body(Full::new(page)).expect("an answer"))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    format!("http://{address}/v1")
}

fn keys() -> String {
    let mut page = String::from(r#"{"object":"list","data":["#);
    for n in 0..KEYS {
        let comma = if n > 0 { "," } else { "" };
        let _ = write!(
            page,
            r#"{comma}{{"object":"organization.project.api_key","id":"key_{n}","name":"backend","redacted_value":"sk-abc...def","created_at":1790000000,"last_used_at":1790000100,"owner":{{"type":"service_account","service_account":{{"id":"svc_acct_{n}","name":"backend","role":"member","created_at":1790000000}}}}}}"#
        );
    }
    page + r#"],"first_id":"key_0","last_id":"key_19","has_more":false}"#
}

fn page_of_projects(query: Option<&str>, projects: usize) -> String {
    let after =
        query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("after=proj_"));
    let start = after.map_or(0, |n| n.parse::<usize>().expect("a number") + 1);
    let end = projects.min(start + PAGE);
    let mut page = String::from(r#"{"object":"list","data":["#);
    for n in start..end {
        let comma = if n > start { "," } else { "" };
        let _ =
            write!(page, r#"{comma}{{"id":"proj_{n}","name":"project {n}","status":"active"}}"#);
    }
    let _ = write!(page, r#"],"last_id":"proj_{}","has_more":{}}}"#, end - 1, end < projects);
    page
}

async fn keys_of_all(base_url: &str, projects: usize, warm: bool, listed: bool) -> f64 {
    let key = ApiKey::parse(keys::admin_key(&mut KeyRng::seeded(1))).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let key = KeyPolicy::admin().admit(&key, &now).expect("admitted").into_admin_key();
    let client = Client::builder(key.expect("an admin key")).base_url(base_url).allow_loopback();
    let client = client.build().expect("a client");
    if warm {
        count(&client, projects, listed).await;
    }
    let start = Instant::now();
    let found = count(&client, projects, listed).await;
    let wall = start.elapsed().as_secs_f64();
    assert_eq!(found, projects * KEYS);
    wall
}

async fn count(client: &Client, projects: usize, listed: bool) -> usize {
    let mut keys = if listed {
        client.projects().each(|project| project.api_keys().list())
    } else {
        let ids = (0..projects).map(|n| format!("proj_{n}"));
        client.projects().each_of(ids, |project| project.api_keys().list())
    }
    .in_flight(IN_FLIGHT);
    let mut found = 0;
    while let Some(item) = keys.next().await {
        item.expect("a key");
        found += 1;
    }
    found
}
