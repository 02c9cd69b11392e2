//! The promise: where the server throttles, few requests are wasted on finding out how fast it lets
//! a client go, and no call fails; where it does not, nothing is slowed. A report, not a timing:
//! the client against a token bucket behind HTTP on this machine.
//!
//! Goals: (a) 600 calls by 16 workers at 50 a second: at most 0.03 wasted for each useful one, at
//! 0.97 of the bucket's goodput. With a `Retry-After` of whole seconds no client that obeys it and
//! has to find out the rate gets so far, unless the bucket holds a second's worth: two 429s cost two
//! such pauses, and `most` is what is left then. (b) 300 calls by 64 workers at 20 a second with 2 % of 503: at most
//! 0.1 wasted; (c) 1,000 calls at 20 ms, 64 in flight, not throttled: at most 1.4 of the bound.

#![allow(clippy::print_stdout, reason = "a report")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward_admin::Client;
use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use tokio::net::TcpListener;

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    // The server has a thread of its own, so that the client's pace is the client's.
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (server, client) = (server.expect("a runtime"), client.expect("a runtime"));
    println!(
        "{:<44} {:>7} {:>6} {:>8} {:>6} {:>8} {:>11}",
        "case", "wasted", "failed", "goodput", "most", "wall s", "wall/bound"
    );
    for case in cases(short) {
        let (base_url, counts) = server.block_on(serve(case));
        let report = client.block_on(call(case, &base_url, &counts));
        println!("{report}");
    }
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    calls: usize,
    workers: usize,
    rate: f64,
    burst: f64,
    retry_after: bool,
    failing: f64,
    latency: Duration,
}

fn cases(short: bool) -> Vec<Case> {
    let ms = Duration::from_millis;
    let a = Case {
        name: "(a) 50/s",
        calls: 600,
        workers: 16,
        rate: 50.0,
        burst: 50.0,
        retry_after: false,
        failing: 0.0,
        latency: ms(5),
    };
    let b = Case {
        name: "(b) 20/s, 2 % 503",
        calls: 300,
        workers: 64,
        rate: 20.0,
        burst: 5.0,
        failing: 0.02,
        ..a
    };
    let c = Case {
        name: "(c) not throttled",
        calls: 1_000,
        workers: 64,
        rate: 1e9,
        burst: 1e9,
        latency: ms(20),
        ..a
    };
    if short {
        return vec![Case { calls: 80, ..a }, Case { calls: 20, ..b }, Case { calls: 128, ..c }];
    }
    let mut cases = Vec::new();
    for burst in [1.0, 2.0, 5.0, 10.0, 50.0] {
        for retry_after in [false, true] {
            cases.push(Case { burst, retry_after, ..a });
        }
    }
    cases.extend([b, Case { retry_after: true, ..b }, c, c, c]);
    cases
}

#[derive(Default)]
struct Counts {
    throttled: AtomicUsize,
}

/// A server of one operation with a bucket of its own.
async fn serve(case: Case) -> (String, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let counts = Arc::new(Counts::default());
    let bucket = Arc::new(Mutex::new((case.burst, Instant::now(), KeyRng::seeded(7))));
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            stream.set_nodelay(true).expect("an option");
            let (counts, bucket) = (Arc::clone(&counted), Arc::clone(&bucket));
            let service = service_fn(move |_| {
                let (counts, bucket) = (Arc::clone(&counts), Arc::clone(&bucket));
                async move {
                    let answer = answer(case, &counts, &bucket);
                    tokio::time::sleep(case.latency).await;
                    Ok::<_, Infallible>(answer)
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (format!("http://{address}/v1"), counts)
}

fn answer(
    case: Case,
    counts: &Counts,
    bucket: &Mutex<(f64, Instant, KeyRng)>,
) -> Response<Full<Bytes>> {
    let mut bucket = bucket.lock().expect("a bucket");
    let (level, at, rng) = &mut *bucket;
    *level = case.burst.min(*level + case.rate * at.elapsed().as_secs_f64());
    *at = Instant::now();
    let json = |status: StatusCode, text: &'static str| {
        let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
        (answer, Full::new(Bytes::from_static(text.as_bytes())))
    };
    let (builder, body) = if (rng.below(1_000) as f64) < case.failing * 1_000.0 {
        json(StatusCode::SERVICE_UNAVAILABLE, "{}")
    } else if *level >= 1.0 {
        *level -= 1.0;
        json(StatusCode::OK, r#"{"object":"organization.user","id":"user_1"}"#)
    } else {
        counts.throttled.fetch_add(1, Ordering::Relaxed);
        let (builder, body) =
            json(StatusCode::TOO_MANY_REQUESTS, r#"{"error":{"code":"rate_limit_exceeded"}}"#);
        let wait = ((1.0 - *level) / case.rate).ceil() as u64;
        if case.retry_after { (builder.header(RETRY_AFTER, wait), body) } else { (builder, body) }
    };
    builder.body(body).expect("an answer")
}

async fn call(case: Case, base_url: &str, counts: &Counts) -> String {
    let key = ApiKey::parse(keys::admin_key(&mut KeyRng::seeded(1))).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let key = KeyPolicy::admin().admit(&key, &now).expect("admitted").into_admin_key();
    let client = Client::builder(key.expect("an admin key")).base_url(base_url).allow_loopback();
    let client = client.build().expect("a client");

    let left = Arc::new(AtomicUsize::new(case.calls));
    let failed = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..case.workers)
        .map(|_| {
            let (client, left, failed) = (client.clone(), Arc::clone(&left), Arc::clone(&failed));
            tokio::spawn(async move {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_ok()
                {
                    if client.user("user_1").get().await.is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    let wall = start.elapsed().as_secs_f64();
    let failed = failed.load(Ordering::Relaxed);
    let useful = (case.calls - failed).max(1) as f64;
    let by_rate = ((useful - case.burst) / case.rate).max(0.0);
    let by_latency = useful / case.workers as f64 * case.latency.as_secs_f64();
    let bound = by_rate.max(by_latency);
    let lost = ((1.0 / case.rate).ceil() - case.burst / case.rate).max(0.0);
    let most = bound / (bound + if case.retry_after { 2.0 * lost } else { 0.0 });
    let name = if case.rate > 1e6 {
        case.name.to_owned()
    } else {
        let said = if case.retry_after { "whole Retry-After" } else { "no Retry-After" };
        format!("{}, burst {}, {said}", case.name, case.burst)
    };
    format!(
        "{name:<44} {:>7.3} {failed:>6} {:>8.3} {most:>6.3} {wall:>8.3} {:>11.3}",
        counts.throttled.load(Ordering::Relaxed) as f64 / useful,
        bound / wall,
        wall / bound,
    )
}
