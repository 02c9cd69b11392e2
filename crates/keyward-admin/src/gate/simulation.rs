//! The gate against simulated token buckets, in paused time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Gate, Outcome};
use crate::operations::{self, Effect, Operation};
use crate::pacing::{Event, Pacing, Why};

const OPERATION: &Operation = &operations::USER_GET;

/// A server with a token bucket.
#[derive(Clone, Copy)]
struct Server {
    rate: f64,
    burst: f64,
    retry_after: RetryAfter,
    /// The share of requests that are answered with a 503 and take no token.
    failing: f64,
    latency: Duration,
}

#[derive(Clone, Copy, Debug)]
enum RetryAfter {
    None,
    /// In whole seconds, rounded up.
    Whole,
}

#[derive(Debug)]
struct Report {
    /// Throttled requests for each that was taken.
    wasted: f64,
    /// The least possible time, divided by the time taken.
    goodput: f64,
    took: Duration,
    most_at_once: usize,
}

struct Bucket {
    level: f64,
    at: Instant,
}

impl Server {
    /// The most goodput of a client that obeys `Retry-After` and does not know the rate beforehand.
    ///
    /// Such a client needs two 429s. The first tells that the bucket is empty, and nothing of the
    /// rate; and whoever then comes to within a few per cent of a rate that nobody has told him,
    /// whatever it is, goes past it once. After each the server asks for its wait in whole seconds,
    /// and what comes into the bucket meanwhile beyond its size is lost.
    fn bound(&self, calls: usize) -> f64 {
        let least = ((calls as f64 - self.burst) / self.rate).max(0.0);
        let lost = match self.retry_after {
            RetryAfter::None => 0.0,
            RetryAfter::Whole => ((1.0 / self.rate).ceil() - self.burst / self.rate).max(0.0),
        };
        least / (least + 2.0 * lost)
    }

    fn answer(&self, bucket: &RefCell<Bucket>, rng: &RefCell<fastrand::Rng>) -> Outcome {
        let mut bucket = bucket.borrow_mut();
        let now = Instant::now();
        let passed = (now - bucket.at).as_secs_f64();
        bucket.level = self.burst.min(bucket.level + self.rate * passed);
        bucket.at = now;
        if rng.borrow_mut().f64() < self.failing {
            return Outcome::Failed;
        }
        if bucket.level >= 1.0 - 1e-9 {
            bucket.level -= 1.0;
            return Outcome::Ok;
        }
        let wait = (1.0 - bucket.level) / self.rate;
        Outcome::Throttled {
            retry_after: match self.retry_after {
                RetryAfter::None => None,
                RetryAfter::Whole => Some(Duration::from_secs_f64(wait.ceil())),
            },
        }
    }

    /// `calls` calls by so many workers, each repeated until it is taken.
    async fn serve(self, calls: usize, workers: usize, seed: u64) -> Report {
        fastrand::seed(seed);
        let gate = Rc::new(Gate::new(Pacing::new()));
        let bucket = Rc::new(RefCell::new(Bucket { level: self.burst, at: Instant::now() }));
        let rng = Rc::new(RefCell::new(fastrand::Rng::with_seed(seed)));
        let (left, wasted) = (Rc::new(Cell::new(calls)), Rc::new(Cell::new(0_usize)));
        let (at_once, most) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
        let start = Instant::now();
        let local = tokio::task::LocalSet::new();
        for _ in 0..workers {
            let (gate, bucket, rng) = (gate.clone(), bucket.clone(), rng.clone());
            let (left, wasted) = (left.clone(), wasted.clone());
            let (at_once, most) = (at_once.clone(), most.clone());
            local.spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    loop {
                        let pass = gate.enter(OPERATION, None).await.expect("no deadline");
                        at_once.set(at_once.get() + 1);
                        most.set(most.get().max(at_once.get()));
                        let outcome = self.answer(&bucket, &rng);
                        tokio::time::sleep(self.latency).await;
                        at_once.set(at_once.get() - 1);
                        pass.finished(outcome, None);
                        match outcome {
                            Outcome::Ok => break,
                            Outcome::Throttled { .. } => wasted.set(wasted.get() + 1),
                            Outcome::Failed | Outcome::Other => {}
                        }
                    }
                }
            });
        }
        local.await;
        let took = start.elapsed();
        let least = ((calls as f64 - self.burst) / self.rate).max(0.0);
        Report {
            wasted: wasted.get() as f64 / calls as f64,
            goodput: least / took.as_secs_f64(),
            took,
            most_at_once: most.get(),
        }
    }
}

fn bucket(rate: f64, burst: f64) -> Server {
    Server {
        rate,
        burst,
        retry_after: RetryAfter::None,
        failing: 0.0,
        latency: Duration::from_millis(5),
    }
}

#[tokio::test(start_paused = true)]
async fn few_requests_are_wasted_on_a_server_that_throttles() {
    let ms = Duration::from_millis;
    let obeying = |server: Server| Server { retry_after: RetryAfter::Whole, ..server };
    // A row: the server, calls, workers; at most wasted, at least goodput as a share of the bound.
    // A bucket of one token forgives no request that comes a timer's millisecond late.
    for (server, calls, workers, wasted, share) in [
        (bucket(50.0, 1.0), 600, 16, 0.03, 0.9),
        (bucket(50.0, 2.0), 600, 16, 0.03, 0.94),
        (bucket(50.0, 5.0), 600, 16, 0.03, 0.97),
        (bucket(50.0, 10.0), 600, 16, 0.035, 0.97),
        (bucket(50.0, 50.0), 600, 16, 0.035, 0.97),
        (obeying(bucket(50.0, 1.0)), 600, 16, 0.03, 0.88),
        (obeying(bucket(50.0, 2.0)), 600, 16, 0.03, 0.88),
        (obeying(bucket(50.0, 5.0)), 600, 16, 0.03, 0.88),
        (obeying(bucket(50.0, 10.0)), 600, 16, 0.03, 0.92),
        (obeying(bucket(50.0, 50.0)), 600, 16, 0.035, 0.96),
        (Server { latency: ms(20), ..bucket(50.0, 50.0) }, 600, 16, 0.04, 0.97),
        (Server { latency: ms(100), ..bucket(50.0, 10.0) }, 600, 64, 0.05, 0.85),
        (obeying(Server { latency: ms(100), ..bucket(50.0, 10.0) }), 600, 64, 0.05, 0.8),
        (Server { latency: ms(50), ..bucket(200.0, 20.0) }, 4_000, 64, 0.03, 0.85),
        (Server { failing: 0.02, ..bucket(20.0, 5.0) }, 300, 64, 0.1, 0.78),
        (Server { failing: 0.02, latency: ms(20), ..bucket(20.0, 5.0) }, 300, 64, 0.1, 0.88),
        (obeying(Server { failing: 0.02, ..bucket(20.0, 5.0) }), 300, 64, 0.1, 0.75),
        (bucket(10.0 / 60.0, 10.0), 600, 16, 0.045, 0.9),
        (obeying(bucket(10.0 / 60.0, 10.0)), 600, 16, 0.03, 0.9),
        (bucket(50.0, 50.0), 6_000, 64, 0.02, 0.98),
        (obeying(bucket(50.0, 50.0)), 6_000, 64, 0.02, 0.97),
    ] {
        for seed in 0..3 {
            let report = server.serve(calls, workers, seed).await;
            let bound = server.bound(calls);
            let what = format!(
                "{}/s, burst {}, {:?}, {:?}, seed {seed}, bound {bound:.3}: {report:?}",
                server.rate, server.burst, server.retry_after, server.latency
            );
            println_for_reading(&what);
            assert!(report.wasted <= wasted, "{what}");
            assert!(report.goodput >= share * bound, "{what}");
        }
    }
}

/// Shown with `--nocapture`.
#[allow(clippy::print_stdout, reason = "the figures are what one runs this for")]
fn println_for_reading(line: &str) {
    println!("{line}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_throttle_is_not_slowed() {
    let server = Server { latency: Duration::from_millis(20), ..bucket(1e9, 1e9) };
    let report = server.serve(1_000, 64, 1).await;
    // Timers fire up to a millisecond late.
    let bound = 1_000.0 / 64.0 * 0.021;
    assert!(report.took.as_secs_f64() <= 1.2 * bound, "{report:?}");
    assert_eq!(report.most_at_once, 64);
}

#[tokio::test(start_paused = true)]
async fn all_wait_together_and_one_tries_first() {
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let gate = Gate::new(Pacing::new().observer(move |e| seen.lock().unwrap().push(e.clone())));
    let start = Instant::now();
    let first = gate.enter(OPERATION, None).await.expect("a pass");
    let second = gate.enter(OPERATION, None).await.expect("a pass");
    let retry_after = Some(Duration::from_secs(7));
    first.finished(Outcome::Throttled { retry_after }, None);
    second.finished(Outcome::Throttled { retry_after }, None);
    // Another endpoint is not concerned.
    drop(gate.enter(&operations::USERS_LIST, None).await.expect("a pass"));
    assert_eq!(start.elapsed(), Duration::ZERO);

    let probe = gate.enter(OPERATION, None).await.expect("a pass");
    assert!(start.elapsed() >= Duration::from_secs(7));
    let mut next = Box::pin(gate.enter(OPERATION, None));
    let waited = tokio::time::timeout(Duration::from_secs(60), &mut next).await;
    assert!(waited.is_err(), "nobody goes before the probe is back");
    probe.finished(Outcome::Ok, None);
    next.await.expect("a pass").finished(Outcome::Ok, None);

    let events = events.lock().unwrap();
    let operation = OPERATION.clone();
    let lasting = Duration::from_secs(7);
    assert_eq!(
        events[0],
        Event::Waiting { operation: operation.clone(), lasting, why: Why::Asked }
    );
    assert!(events.contains(&Event::Resumed { operation }), "{events:?}");
    let pauses = events.iter().filter(|e| matches!(e, Event::Waiting { why: Why::Asked, .. }));
    assert_eq!(pauses.count(), 1, "two answers of one episode: {events:?}");
}

#[tokio::test(start_paused = true)]
async fn the_line_is_kept_and_who_leaves_it_frees_the_place() {
    let gate = Gate::new(Pacing::new().max_in_flight(1));
    let held = gate.enter(OPERATION, None).await.expect("a pass");
    let order = RefCell::new(Vec::new());
    let wait = |n: u32| {
        let (gate, order) = (&gate, &order);
        async move {
            let pass = gate.enter(OPERATION, None).await.expect("a pass");
            order.borrow_mut().push(n);
            // Unfinished, it counts as ended.
            drop(pass);
        }
    };
    let (mut a, mut b, mut c, mut d) =
        (Box::pin(wait(1)), Box::pin(wait(2)), Box::pin(wait(3)), Box::pin(wait(4)));
    for waiter in [&mut a, &mut b, &mut c, &mut d] {
        assert!(tokio::time::timeout(Duration::ZERO, waiter).await.is_err());
    }
    // The first in line leaves, and one in the middle.
    drop(a);
    drop(c);
    held.finished(Outcome::Ok, None);
    tokio::join!(d, b);
    assert_eq!(*order.borrow(), [2, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_a_turn_in_time_is_told_at_once() {
    let gate = Gate::new(Pacing::new());
    let pass = gate.enter(OPERATION, None).await.expect("a pass");
    pass.finished(Outcome::Throttled { retry_after: Some(Duration::from_secs(30)) }, None);
    let start = Instant::now();
    let deadline = start + Duration::from_secs(10);
    let refused = gate.enter(OPERATION, Some(deadline)).await.err().expect("too long");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(refused.needed >= Duration::from_secs(30), "{refused:?}");

    // Behind one that is never answered it waits until the deadline.
    let _probe = gate.enter(OPERATION, None).await.expect("a pass");
    let start = Instant::now();
    let deadline = start + Duration::from_secs(10);
    gate.enter(OPERATION, Some(deadline)).await.err().expect("too long");
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn paths_that_callers_make_up_do_not_fill_the_memory() {
    let gate = Gate::new(Pacing::new());
    let made_up = |n: usize| Operation::made_up("GET", format!("/made/up/{n}"), Effect::Read);
    drop(gate.enter(OPERATION, None).await.expect("a pass"));
    // One that has something to tell, one that is in use, and many that have been.
    let paused = gate.enter(&made_up(0), None).await.expect("a pass");
    paused.finished(Outcome::Throttled { retry_after: Some(Duration::from_secs(60)) }, None);
    let held = gate.enter(&made_up(1), None).await.expect("a pass");
    for n in 2..5_000 {
        drop(gate.enter(&made_up(n), None).await.expect("a pass"));
    }
    assert!(gate.endpoints() <= 260, "{}", gate.endpoints());
    let soon = Some(Instant::now() + Duration::from_secs(1));
    assert!(gate.enter(&made_up(0), soon).await.is_err(), "the pause is not forgotten");
    drop(held);

    // And where all of them are in use, the others share one.
    let mut all = Vec::new();
    for n in 0..600 {
        let soon = Some(Instant::now() + Duration::from_secs(1));
        all.extend(gate.enter(&made_up(n + 10_000), soon).await.ok());
    }
    assert!(gate.endpoints() <= 260, "{}", gate.endpoints());
    assert!(all.len() >= 250);
}
