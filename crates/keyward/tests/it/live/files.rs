//! Files that change under a handle: in real time, on a real file system.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use keyward::{
    EnvLoader, Environment, FileLoader, KeyLoader, KeyPolicy, LiveErrorKind, LiveKey,
    LoadErrorKind, LoaderChain,
};

use super::fixture::{Source, in_use, pass, print_of, project, secret};
use crate::fixture::write;

/// What the documentation promises, and what a busy machine gets on top.
const PROMISED: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

async fn started(loader: impl KeyLoader + 'static) -> LiveKey {
    // Nothing but a change makes it load.
    LiveKey::project(loader, KeyPolicy::standard())
        .refresh_every(Duration::MAX)
        .start()
        .await
        .unwrap()
}

/// Waits for the change to a key, and tells how long it took.
async fn taken(live: &mut LiveKey, key: &str) -> Duration {
    let begun = Instant::now();
    tokio::time::timeout(PATIENCE, live.changed()).await.expect("it is noticed").unwrap();
    assert_eq!(in_use(live), Some(print_of(key)));
    begun.elapsed()
}

/// The best of a few is what it takes; the rest is the machine's.
fn assert_prompt(mut times: Vec<Duration>) {
    times.sort_unstable();
    assert!(times[0] < PROMISED, "{times:?}");
}

fn replace(path: &Path, key: &str) {
    let beside = write(path.with_extension("new"), key);
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_file_is_rewritten_replaced_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), secret());
    let mut live = started(FileLoader::new(&path)).await;
    let mut times = Vec::new();
    for in_place in [true, false, true, false] {
        let new = secret();
        if in_place {
            drop(write(&path, &new));
        } else {
            replace(&path, &new);
        }
        times.push(taken(&mut live, &new).await);
    }
    assert_prompt(times);

    let used = in_use(&live);
    fs::remove_file(&path).unwrap();
    while live.health().last_error.is_none() {
        pass(20).await;
    }
    assert_eq!(in_use(&live), used, "it stays in use");
    let kind = live.health().last_error.unwrap().1.kind();
    assert_eq!(kind, LiveErrorKind::Load(LoadErrorKind::NotFound));
    let new = secret();
    write(&path, &new);
    taken(&mut live, &new).await;
    assert!(live.health().last_error.is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn the_links_of_kubernetes_are_swapped() {
    use std::os::unix::fs::symlink;

    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let publish = |day: &str, key: &str| {
        fs::create_dir(at(day)).unwrap();
        fs::write(at(day).join("key"), key).unwrap();
        symlink(day, at("..data_tmp")).unwrap();
        let before = fs::read_link(at("..data"));
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(at(before.to_str().unwrap())).unwrap();
        }
    };
    let first = secret();
    publish("..2026_11_20", &first);
    symlink("..data/key", at("key")).unwrap();
    let mut live = started(FileLoader::mounted_secret(at("key"))).await;
    assert_eq!(in_use(&live), Some(print_of(&first)));
    let mut times = Vec::new();
    for day in ["..2026_11_21", "..2026_11_22", "..2026_11_23"] {
        let new = secret();
        publish(day, &new);
        times.push(taken(&mut live, &new).await);
    }
    assert_prompt(times);
}

/// A source whose looks change at each look is being written.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_left_alone() {
    let (old, half, whole) = (secret(), secret(), secret());
    let source = Source::of(&old);
    source.looks(0);
    let mut live = project(&source).refresh_every(Duration::MAX).start().await.unwrap();
    source.has(&half);
    for change in 1..100 {
        source.looks(change);
        pass(200).await;
    }
    assert_eq!((source.loads(), in_use(&live)), (1, Some(print_of(&old))));
    source.has(&whole);
    let begun = tokio::time::Instant::now();
    live.changed().await.unwrap();
    assert!(begun.elapsed() < PROMISED);
    assert_eq!((source.loads(), in_use(&live)), (2, Some(print_of(&whole))));
    pass(100_000).await;
    assert_eq!(source.loads(), 2, "a file that is quiet is not read");
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_read_is_read_again() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    source.looks(0);
    let mut live = project(&source).refresh_every(Duration::MAX).start().await.unwrap();
    source.takes(Duration::from_millis(300));
    source.looks(1);
    while source.loads() < 2 {
        pass(10).await;
    }
    source.looks(2);
    source.has(&new);
    pass(310).await;
    assert_eq!(source.loads_ended(), 2);
    assert_eq!(in_use(&live), Some(print_of(&old)), "it may be half of each");
    assert_eq!(live.health().last_error.unwrap().1.kind(), LiveErrorKind::Unsettled);
    live.changed().await.unwrap();
    assert_eq!((source.loads(), in_use(&live)), (3, Some(print_of(&new))));

    // At the start, somebody waits.
    let source = Source::of(&old);
    source.looks(0);
    source.takes(Duration::from_millis(50));
    let start = tokio::spawn(project(&source).start());
    pass(10).await;
    source.looks(1);
    assert!(start.await.unwrap().is_ok());
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_never_quiet_holds_nothing_up() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    source.looks(0);
    let live = project(&source).refresh_every(Duration::from_secs(30)).start().await.unwrap();
    source.has(&new);
    for change in 1..400 {
        source.looks(change);
        pass(100).await;
    }
    assert_eq!(in_use(&live), Some(print_of(&new)), "at its interval");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_broken_is_not_read_again_and_again() {
    let source = Source::of(&secret());
    source.looks(0);
    let live = project(&source).start().await.unwrap();
    source.fails(LoadErrorKind::Invalid);
    source.looks(1);
    pass(20_000).await;
    let loads = source.loads();
    assert!((4..=8).contains(&loads), "{loads}: after 1, 2, 4, 8 seconds");
    let new = secret();
    source.has(&new);
    source.looks(2);
    pass(1_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)), "and at once when it changes");
}

#[tokio::test]
async fn a_chain_watches_its_sources() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), secret());
    let nothing = EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", "")]));
    let chain = LoaderChain::first("env", nothing)
        .then("absent", FileLoader::new(directory.path().join("absent")))
        .then("file", FileLoader::new(&path));
    let mut live = started(chain).await;
    let new = secret();
    replace(&path, &new);
    taken(&mut live, &new).await;
    // One that comes first wins when it comes.
    let first = secret();
    replace(&directory.path().join("absent"), &first);
    taken(&mut live, &first).await;
    assert!(live.health().in_use.unwrap().source.to_string().ends_with("absent"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_if_that_is_not_wanted() {
    let source = Source::of(&secret());
    source.looks(0);
    let live = project(&source).without_watching().refresh_every(Duration::MAX);
    let live = live.start().await.unwrap();
    let used = in_use(&live);
    source.has(&secret());
    source.looks(1);
    pass(10_000_000).await;
    assert_eq!((source.loads(), in_use(&live)), (1, used));
}
