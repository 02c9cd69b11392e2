//! The promise: taking the key that is in use costs what an arc-swap guard costs, allocates nothing,
//! and never waits for a load. A report, not a timing by criterion: all contenders take turns in one
//! run, so that their ratios hold on a machine that others use too.
//!
//! Goals: (a) `LiveKey::current` at most 1.2 of the guard, from 1 to 64 tasks, 0 allocations; (b) 64
//! takers of the key each millisecond, while a load takes 50 ms and a key lives for 500 ms, for
//! 2 s: 0 takes above 5 ms, no key older than it may be, and one load for each refresh.
//!
//! With the feature `clouds` the caches of the cloud SDKs run along: `IdentityCache::lazy` of
//! aws-smithy-runtime, and the token cache of google-cloud-auth. Without it nobody has to build them.

#![allow(clippy::print_stdout, reason = "a report")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use keyward::{
    AdmitContext, ApiKey, KeyLoader, KeyPolicy, KeySource, LiveKey, LoadError, LoadedKey,
    ProjectKey, Timestamp,
};
use keyward_testkit::keys::{self, KeyRng};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::RwLock;

#[cfg(feature = "clouds")]
mod clouds;

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    reads(short);
    stalls(short);
}

/// A source that takes its time and has another key each time.
#[derive(Clone)]
struct Source {
    takes: Duration,
    loads: Arc<AtomicU64>,
}

impl Source {
    fn new(takes: Duration) -> Self {
        Self { takes, loads: Arc::default() }
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }
}

impl KeyLoader for Source {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let n = self.loads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        let key = ApiKey::parse(keys::service_account_key(&mut KeyRng::seeded(n)));
        let key = key.map_err(|error| LoadError::invalid(self.source(), error))?;
        Ok(LoadedKey::new(key, self.source()))
    }

    fn source(&self) -> KeySource {
        KeySource::new("bench", "source")
    }
}

fn project_key() -> ProjectKey {
    let key = ApiKey::parse(keys::service_account_key(&mut KeyRng::seeded(1))).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let admitted = KeyPolicy::standard().admit(&key, &now).expect("admitted");
    admitted.into_project_key().expect("a project key")
}

/// One way to come by the key that is in use.
struct Contender {
    name: &'static str,
    allocations: f64,
    time: Box<Time>,
}

/// Nanoseconds for one read, by so many tasks, so many reads in all.
type Time = dyn Fn(&Runtime, usize, usize) -> f64;

impl Contender {
    /// The future makes [`BATCH`] reads.
    fn new<F, T>(name: &'static str, allocations: f64, batch: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let time =
            move |runtime: &Runtime, tasks, reads| runtime.block_on(spread(tasks, reads, &batch));
        Self { name, allocations, time: Box::new(time) }
    }
}

/// Nanoseconds for one read of each contender, and how often it allocates.
fn reads(short: bool) {
    let (rounds, reads) = if short { (3, 64 * BATCH) } else { (31, 4 * 64 * BATCH) };
    println!("{:<22} {:>6} {:>9} {:>9} {:>12}", "read", "tasks", "ns", "/ guard", "allocations");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let contenders = contenders(&runtime);
    assert_eq!(contenders[1].allocations, 0.0, "current() allocates");
    for tasks in [1, 4, 16, 64] {
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            // Each in turn, so that what slows the machine down slows all of them.
            for (contender, times) in contenders.iter().zip(&mut times) {
                times.push((contender.time)(&runtime, tasks, reads));
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let medians: Vec<f64> = times.iter_mut().map(median).collect();
        for (Contender { name, allocations, .. }, ns) in contenders.iter().zip(&medians) {
            let ratio = ns / medians[0];
            println!("{name:<22} {tasks:>6} {ns:>9.2} {ratio:>9.2} {allocations:>12}");
        }
    }
}

/// The first is what the others are measured by.
fn contenders(runtime: &Runtime) -> Vec<Contender> {
    let guard = Arc::new(ArcSwap::from_pointee(project_key()));
    let counted = allocations(|| {
        black_box(guard.load().fingerprint());
    });
    let guarded = Contender::new("arc-swap guard", counted, move || {
        let guard = Arc::clone(&guard);
        async move {
            for _ in 0..BATCH {
                black_box(guard.load().fingerprint());
            }
            guard
        }
    });

    let live = LiveKey::project(Source::new(Duration::ZERO), KeyPolicy::standard()).start();
    let live = runtime.block_on(live).expect("a key");
    let counted = allocations(|| {
        black_box(live.current().expect("a key").fingerprint());
    });
    let current = Contender::new("LiveKey::current", counted, move || {
        let live = live.clone();
        async move {
            for _ in 0..BATCH {
                black_box(live.current().expect("a key").fingerprint());
            }
            live
        }
    });

    let lock = Arc::new(RwLock::new(project_key()));
    let counted = allocations(|| {
        runtime.block_on(async { black_box(lock.read().await.fingerprint()) });
    });
    let locked = Contender::new("tokio RwLock", counted, move || {
        let lock = Arc::clone(&lock);
        async move {
            for _ in 0..BATCH {
                black_box(lock.read().await.fingerprint());
            }
            lock
        }
    });

    #[cfg_attr(not(feature = "clouds"), allow(unused_mut, reason = "there are no more"))]
    let mut all = vec![guarded, current, locked];
    #[cfg(feature = "clouds")]
    all.extend([clouds::aws(runtime), clouds::google(runtime)]);
    all
}

/// How many reads a task makes before others have their turn.
const BATCH: usize = 1_024;

/// How often a read allocates.
fn allocations(mut read: impl FnMut()) -> f64 {
    // Once before: a thread sets itself up at its first.
    read();
    let counted = allocation_counter::measure(|| (0..1_000).for_each(|_| read()));
    counted.count_total as f64 / 1e3
}

/// Reads by tasks that take turns on one thread; nanoseconds of its computing for one.
async fn spread<F, T>(tasks: usize, reads: usize, batch: &impl Fn() -> F) -> f64
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let begun = cpu_time();
    for _ in 0..reads / (tasks * BATCH) {
        let running: Vec<_> = (0..tasks).map(|_| tokio::spawn(batch())).collect();
        for task in running {
            task.await.expect("a task");
        }
    }
    (cpu_time() - begun) * 1e9 / reads as f64
}

/// The seconds that this thread has computed: what others do meanwhile is not in it.
fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Takes of the key while it is replaced.
fn stalls(short: bool) {
    let lasts = Duration::from_millis(if short { 700 } else { 2_000 });
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime");
    println!(
        "\n{:<18} {:>8} {:>12} {:>12} {:>8} {:>8} {:>10}",
        "64 tasks, 1 ms", "takes", "above 5 ms", "longest ms", "too old", "loads", "refreshes"
    );
    runtime.block_on(async {
        let source = Source::new(TAKES);
        // A load ends in time before the key is too old, and begins up to a tenth sooner.
        let live = LiveKey::project(source.clone(), KeyPolicy::standard())
            .refresh_every(LIVES - TAKES - Duration::from_millis(20))
            .start()
            .await
            .expect("a key");
        let refreshes = Arc::new(AtomicU64::new(1));
        let newest = Arc::new(RwLock::new(Instant::now()));
        let watcher = tokio::spawn({
            let (mut live, refreshes, newest) =
                (live.clone(), Arc::clone(&refreshes), Arc::clone(&newest));
            async move {
                while live.changed().await.is_ok() {
                    refreshes.fetch_add(1, Ordering::Relaxed);
                    *newest.write().await = Instant::now();
                }
            }
        });
        let takes = takes(lasts, || {
            let live = live.clone();
            async move {
                black_box(live.current().expect("a key").fingerprint());
            }
        });
        let is_old = async {
            let mut old = 0;
            let begun = Instant::now();
            while begun.elapsed() < lasts {
                tokio::time::sleep(Duration::from_millis(1)).await;
                old += u64::from(newest.read().await.elapsed() > LIVES);
            }
            old
        };
        let (took, old) = tokio::join!(takes, is_old);
        // A load that is under way is not done yet.
        tokio::time::sleep(TAKES * 2).await;
        let (loads, refreshes) = (source.loads(), refreshes.load(Ordering::Relaxed));
        report("LiveKey::current", &took, old, loads, refreshes);
        assert!(loads - refreshes <= 1, "{loads} loads for {refreshes} refreshes");
        watcher.abort();

        // What is written first where no such handle is at hand.
        let source = Source::new(TAKES);
        let cached: Arc<RwLock<Option<(Instant, LoadedKey)>>> = Arc::default();
        let took = takes_of_naive(lasts, &source, &cached).await;
        let loads = source.loads();
        report("naive tokio RwLock", &took, 0, loads, lasts.as_millis() as u64 / 500 + 1);
    });
}

const TAKES: Duration = Duration::from_millis(50);
const LIVES: Duration = Duration::from_millis(500);

async fn takes_of_naive(
    lasts: Duration,
    source: &Source,
    cached: &Arc<RwLock<Option<(Instant, LoadedKey)>>>,
) -> Vec<Duration> {
    takes(lasts, || {
        let (source, cached) = (source.clone(), Arc::clone(cached));
        async move {
            let fresh = |held: &Option<(Instant, LoadedKey)>| {
                held.as_ref().is_some_and(|(at, _)| at.elapsed() < LIVES)
            };
            if !fresh(&*cached.read().await) {
                let loaded = source.load().await.expect("a key");
                *cached.write().await = Some((Instant::now(), loaded));
            }
        }
    })
    .await
}

/// How long each of 64 tasks takes to get the key, each millisecond.
async fn takes<F>(lasts: Duration, take: impl Fn() -> F) -> Vec<Duration>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        for _ in 0..64 {
            let take = take();
            running.push(tokio::spawn(async move {
                let begun = Instant::now();
                take.await;
                begun.elapsed()
            }));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut took = Vec::with_capacity(running.len());
    for task in running {
        took.push(task.await.expect("a task"));
    }
    took
}

fn report(name: &str, took: &[Duration], old: u64, loads: u64, refreshes: u64) {
    let above = took.iter().filter(|time| **time > Duration::from_millis(5)).count();
    let longest = took.iter().max().expect("some").as_secs_f64() * 1e3;
    println!(
        "{name:<18} {:>8} {above:>12} {longest:>12.3} {old:>8} {loads:>8} {refreshes:>10}",
        took.len()
    );
}
