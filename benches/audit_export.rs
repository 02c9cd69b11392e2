//! The promise: an audit log is exported in a fraction of the time that one cursor takes, whole and
//! in order, and with hardly more requests. A report, not a timing: 10,000 events behind HTTP on
//! this machine, each answer 20 ms late.
//!
//! Goal: at most 0.12 of the bound of one cursor, which is 100 pages, one after the other, at 20 ms.

#![allow(clippy::print_stdout, reason = "a report")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward_admin::{AuditLogQuery, Client};
use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use tokio::net::TcpListener;

const LATENCY: Duration = Duration::from_millis(20);
const PAGE: usize = 100;
const SINCE: i64 = 1_780_000_000;
const SPAN: i64 = 30 * 86_400;

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    let (events, rounds) = if short { (1_000, 1) } else { (10_000, 5) };
    // The server has a thread of its own, so that the client's time is the client's.
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (server, client) = (server.expect("a runtime"), client.expect("a runtime"));
    println!("{:<34} {:>9} {:>8} {:>11}", "case", "requests", "wall s", "wall/bound");
    for (name, times) in [
        ("evenly spread", even(events)),
        ("by day, none at night", by_day(events)),
        ("one burst of an hour", burst(events)),
    ] {
        let log = Arc::new(Log::new(times));
        let base_url = server.block_on(serve(Arc::clone(&log)));
        let pages = events.div_ceil(PAGE);
        let bound = LATENCY.as_secs_f64() * pages as f64;
        let report = |name: String, log: &Log, wall: f64| {
            let requests = log.requests.swap(0, Ordering::Relaxed);
            println!("{name:<34} {requests:>9} {wall:>8.3} {:>11.3}", wall / bound);
        };
        if name == "evenly spread" {
            let wall = client.block_on(one_cursor(&base_url, &log));
            report("one cursor, for comparison".to_owned(), &log, wall);
        }
        for in_flight in [16, 32, 64] {
            let mut walls: Vec<f64> =
                (0..rounds).map(|_| client.block_on(export(&base_url, &log, in_flight))).collect();
            walls.sort_by(f64::total_cmp);
            log.requests.store(log.requests.load(Ordering::Relaxed) / rounds, Ordering::Relaxed);
            report(format!("{name}, {in_flight} in flight"), &log, walls[rounds / 2]);
        }
    }
}

fn even(events: usize) -> Vec<i64> {
    (0..events as i64).map(|n| SINCE + n * SPAN / events as i64).collect()
}

fn by_day(events: usize) -> Vec<i64> {
    let mut rng = KeyRng::seeded(1);
    let mut second = || {
        let (day, hour) = (rng.below(30) as i64, 8 + (rng.below(5) + rng.below(6)) as i64);
        SINCE + day * 86_400 + hour * 3_600 + rng.below(3_600) as i64
    };
    (0..events).map(|_| second()).collect()
}

fn burst(events: usize) -> Vec<i64> {
    let mut rng = KeyRng::seeded(2);
    let mut times: Vec<i64> =
        (0..events - events / 10).map(|_| SINCE + 17 * 86_400 + rng.below(3_600) as i64).collect();
    times.extend((0..events / 10).map(|_| SINCE + rng.below(SPAN as usize) as i64));
    times
}

/// Events with their JSON, the newest first.
struct Log {
    events: Vec<(i64, String)>,
    places: HashMap<String, usize>,
    requests: AtomicUsize,
}

impl Log {
    fn new(mut times: Vec<i64>) -> Self {
        times.sort_unstable_by(|a, b| b.cmp(a));
        let events: Vec<_> = times.iter().enumerate().map(|(n, at)| (*at, event(n, *at))).collect();
        let places = (0..events.len()).map(|n| (id(n), n)).collect();
        Self { events, places, requests: AtomicUsize::new(0) }
    }

    fn page(&self, query: &str) -> String {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name))
        };
        let time = |name: &str| value(name).and_then(|(_, text)| text.parse::<i64>().ok());
        let from = time("effective_at%5Bgte%5D").unwrap_or(i64::MIN);
        let to = time("effective_at%5Blt%5D").unwrap_or(i64::MAX);
        let after = value("after").map_or(0, |(_, id)| self.places[id] + 1);
        let start = after.max(self.events.partition_point(|(at, _)| *at >= to));
        let end = self.events.partition_point(|(at, _)| *at >= from).max(start);
        let cut = end.min(start + PAGE);
        let mut page = String::from(r#"{"object":"list","data":["#);
        for (n, (_, json)) in self.events[start..cut].iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let _ = write!(page, "{comma}{json}");
        }
        let last = if cut > start { format!("\"{}\"", id(cut - 1)) } else { "null".to_owned() };
        let _ = write!(page, r#"],"last_id":{last},"has_more":{}}}"#, cut < end);
        page
    }
}

fn id(n: usize) -> String {
    format!("audit_log-{n:08}")
}

fn event(n: usize, at: i64) -> String {
    format!(
        r#"{{"id":"{}","type":"api_key.created","effective_at":{at},"project":{{"id":"proj_{n}","name":"website"}},"actor":{{"type":"session","session":{{"ip_address":"192.0.2.1","user":{{"id":"user-{n}","email":"someone@example.com"}}}}}},"api_key.created":{{"id":"key_{n}","data":{{"scopes":["api.responses.write"]}}}}}}"#,
        id(n)
    )
}

async fn serve(log: Arc<Log>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            stream.set_nodelay(true).expect("an option");
            let log = Arc::clone(&log);
            let service = service_fn(move |request: hyper::Request<_>| {
                let page = log.page(request.uri().query().unwrap_or_default());
                async move {
                    tokio::time::sleep(LATENCY).await;
                    let answer = Response::builder().header(CONTENT_TYPE, "application/json");
                    Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(page))).expect("one"))
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

/// A client that has learned nothing yet and has no connection.
fn client(base_url: &str) -> Client {
    let key = ApiKey::parse(keys::admin_key(&mut KeyRng::seeded(1))).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(SINCE));
    let key = KeyPolicy::admin().admit(&key, &now).expect("admitted").into_admin_key();
    let client = Client::builder(key.expect("an admin key")).base_url(base_url).allow_loopback();
    client.build().expect("a client")
}

async fn one_cursor(base_url: &str, log: &Log) -> f64 {
    let client = client(base_url);
    let start = Instant::now();
    let all = client.audit_logs().list(&AuditLogQuery::new()).all().await.expect("a listing");
    let wall = start.elapsed().as_secs_f64();
    assert_eq!(all.len(), log.events.len());
    wall
}

async fn export(base_url: &str, log: &Log, in_flight: usize) -> f64 {
    let client = client(base_url);
    let at = Timestamp::from_unix_seconds;
    let start = Instant::now();
    let mut export = client
        .audit_logs()
        .export(&AuditLogQuery::new(), at(SINCE)..at(SINCE + SPAN))
        .in_flight(in_flight);
    // Whole and in order: the oldest has the greatest number.
    let mut next = log.events.len();
    while let Some(event) = export.next().await {
        next -= 1;
        assert_eq!(event.expect("an event").id.as_str(), id(next));
    }
    assert_eq!(next, 0);
    start.elapsed().as_secs_f64()
}
