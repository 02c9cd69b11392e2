//! The task behind a handle: when it ends, and that nothing is left of it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward::{
    KeyLoader, KeyPolicy, KeySource, KeyUnavailable, LiveErrorKind, LiveKey, LoadError,
    LoadErrorKind, LoadedKey, SourceSignature,
};
use tokio::runtime::{Builder, Runtime};

use super::fixture::{Answer, Source, WallClock, in_use, pass, print_of, project, seconds, secret};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        pass(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_last_handle() {
    let source = Source::of(&secret());
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    let last = live.clone();
    drop(live);
    pass(11_000).await;
    assert_eq!(source.loads(), 2, "one handle is left");
    assert!(source.is_held());
    drop(last);
    pass(1).await;
    assert!(!source.is_held());
    pass(100_000).await;
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn ends_in_the_middle_of_a_load() {
    let source = Source::of(&secret());
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    source.takes(seconds(1_000_000));
    pass(11_000).await;
    assert_eq!((source.loads(), source.loads_ended()), (2, 1));
    // A call that waits for a load holds no handle alive by itself.
    let print = live.current().unwrap().fingerprint();
    assert!(tokio::time::timeout(seconds(1), live.rejected(&print)).await.is_err());
    drop(live);
    pass(1).await;
    assert!(!source.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_leaves_nothing() {
    let source = Source::of(&secret());
    source.takes(seconds(10));
    let start = project(&source).start();
    assert!(tokio::time::timeout(seconds(1), start).await.is_err());
    pass(1).await;
    assert!(!source.is_held());
    pass(100_000).await;
    assert_eq!((source.loads(), source.loads_ended()), (1, 0));
}

#[test]
fn is_missed_when_its_runtime_ends_before_the_handle() {
    let key = secret();
    let source = Source::of(&key);
    let runtime = current_thread();
    let mut live = runtime.block_on(project(&source).start()).unwrap();
    assert_eq!(in_use(&live), Some(print_of(&key)));
    drop(runtime);
    assert!(!source.is_held());
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Ended);
    let other = current_thread();
    assert_eq!(other.block_on(live.changed()), Err(KeyUnavailable::Ended));
    assert!(!other.block_on(live.rejected(&print_of(&key))));
    let health = other.block_on(async { live.health() });
    assert_eq!(health.in_use.unwrap_err(), KeyUnavailable::Ended);
    assert!(live.current().unwrap_err().to_string().contains("runtime"));
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_takes_nothing_with_it() {
    let key = secret();
    let source = Source::of(&key);
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    source.answers(Answer::Panics);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
    let (_, error) = live.health().last_error.unwrap();
    assert_eq!(error.kind(), LiveErrorKind::Load(LoadErrorKind::Unreadable));
    let new = secret();
    source.has(&new);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
}

/// A source whose methods panic when they are called, and not in what they yield, once it is told.
#[derive(Clone)]
struct Breaks {
    source: Source,
    looks: Arc<AtomicBool>,
    names: Arc<AtomicBool>,
}

impl KeyLoader for Breaks {
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
        self.source.load()
    }

    fn source(&self) -> KeySource {
        assert!(!self.names.load(Ordering::SeqCst), "it has no name");
        self.source.source()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        assert!(!self.looks.load(Ordering::SeqCst), "it looks bad");
        self.source.signature()
    }
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_when_it_is_called_takes_nothing_with_it() {
    for (looks, names) in [(true, false), (false, true), (true, true)] {
        let key = secret();
        let source = Source::of(&key);
        source.looks(1);
        let flags = [looks, names].map(|_| Arc::<AtomicBool>::default());
        let [looking, naming] = flags.clone();
        let broken = Breaks { source: source.clone(), looks: looking, names: naming };
        let live = LiveKey::project(broken, KeyPolicy::standard())
            .with_clock(WallClock::new().clock())
            .refresh_every(seconds(10))
            .load_within(seconds(1));
        let live = live.start().await.unwrap();
        flags[0].store(looks, Ordering::SeqCst);
        flags[1].store(names, Ordering::SeqCst);
        // Its name is for what goes wrong with it.
        source.takes(seconds(2));
        pass(20_000).await;
        assert_eq!(in_use(&live), Some(print_of(&key)));
        let error = live.health().last_error.unwrap().1.to_string();
        let says = if looks { "it panicked" } else { "no answer within 1s" };
        assert!(error.contains(says) && error.contains("scripted:source"), "{error}");
        source.takes(seconds(0));
        for flag in &flags {
            flag.store(false, Ordering::SeqCst);
        }
        let new = secret();
        source.has(&new);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&new)));
    }
}

#[test]
fn works_on_several_threads() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let policy = KeyPolicy::standard();
    let live = LiveKey::project(source.clone(), policy).refresh_every(Duration::from_millis(20));
    let live = runtime.block_on(live.start()).unwrap();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (live, prints) = (live.clone(), [print_of(&old), print_of(&new)]);
            std::thread::spawn(move || {
                for _ in 0..200_000 {
                    assert!(prints.contains(&live.current().unwrap().fingerprint()));
                }
            })
        })
        .collect();
    for key in [&new, &old, &new] {
        source.has(key);
        runtime.block_on(until(|| in_use(&live) == Some(print_of(key))));
    }
    for reader in readers {
        reader.join().unwrap();
    }
    let print = print_of(&new);
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let live = live.clone();
            runtime.spawn(async move { live.rejected(&print).await })
        })
        .collect();
    for call in calls {
        assert!(!runtime.block_on(call).unwrap());
    }
    drop(live);
    runtime.block_on(until(|| !source.is_held()));
}
