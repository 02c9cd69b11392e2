//! Stores on disk between processes: of those that race one wins, and one that is killed leaves a
//! whole store. The processes are this test binary itself, running `child`.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use keyward::store::{DynKeyStore, KeyNote, KeyStore as _, StoreErrorKind};
use keyward::{ApiKey, KeyLoader as _};

use super::disk::{Kind, identity, put};
use super::run;
use crate::fixture::{NOW, ready, secret};

const KINDS: [Kind; 2] = [Kind::Plain, Kind::Sealed];
const TTL: Duration = Duration::from_secs(60);

#[test]
fn of_processes_that_race_never_two_win() {
    const PROCESSES: usize = 4;
    const ROUNDS: usize = 3;

    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        identity(directory.path());
        let store = kind.open(directory.path());
        ready(put(&store, &secret()));
        let children: Vec<_> =
            (0..PROCESSES).map(|n| start(kind, "race", directory.path(), n)).collect();
        for round in 0..ROUNDS {
            let before = ready(store.load()).unwrap();
            fs::write(directory.path().join(format!("go-{round}")), "").unwrap();
            let done = |n| directory.path().join(format!("done-{round}-{n}"));
            wait_for(|| (0..PROCESSES).all(|n| done(n).exists()));
            let pending = ready(store.pending()).unwrap().expect("somebody must win");
            let told: Vec<_> =
                (0..PROCESSES).map(|n| fs::read_to_string(done(n)).unwrap()).collect();
            let won: Vec<_> = told.iter().filter(|told| told.starts_with("won ")).collect();
            assert_eq!(won, [&format!("won {}", pending.key.fingerprint())], "{told:?}");
            assert_eq!(told.iter().filter(|told| *told == "lost").count(), PROCESSES - 1);
            assert_eq!(ready(store.load()).unwrap().key, before.key);
            ready(store.promote(&pending.version, NOW)).unwrap();
        }
        fs::write(directory.path().join(format!("go-{ROUNDS}")), "").unwrap();
        let mut fences = HashSet::new();
        for child in children {
            for fence in finish(child).lines().filter_map(|line| line.strip_prefix("fence ")) {
                assert!(fences.insert(fence.to_owned()), "fence {fence} was given out twice");
            }
        }
        assert_eq!(fences.len(), PROCESSES * FENCES);
    }
}

#[test]
fn a_process_that_is_killed_leaves_a_whole_store() {
    const KILLS: usize = 16;

    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        identity(directory.path());
        let store = kind.open(directory.path());
        ready(put(&store, &secret()));
        let (mut promotions, mut swept) = (0, 0);
        for n in 0..KILLS {
            let before = ready(store.load()).unwrap().key.fingerprint().to_string();
            let mut child = start(kind, "replace", directory.path(), n);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            // It is at work when it says so; then it is killed at a moment that nobody knows.
            let mut told: Vec<String> = Vec::new();
            let is_promoting = |line: &&String| line.starts_with("promoting ");
            while told.iter().filter(is_promoting).count() <= n % 3 {
                told.push(lines.next().expect("the child ended").unwrap());
            }
            thread::sleep(Duration::from_micros(u64::try_from(n).unwrap() * 7_300 % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
            told.extend(lines.map_while(Result::ok));

            let mut allowed = vec![before];
            for line in &told {
                if let Some(key) = line.strip_prefix("promoted ") {
                    allowed = vec![key.to_owned()];
                    promotions += 1;
                } else if let Some(key) = line.strip_prefix("promoting ") {
                    allowed.push(key.to_owned());
                }
            }
            let current = ready(store.load()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            let current = current.key.fingerprint().to_string();
            assert!(allowed.contains(&current), "{current} is none of {allowed:?}: {told:?}");
            if fs::exists(directory.path().join("key.new")).unwrap() {
                swept += 1;
            }
            // Whoever comes next goes on from there.
            if let Some(pending) = ready(store.pending()).unwrap() {
                ready(store.discard(&pending.version)).unwrap();
            }
            ready(put(&store, &secret()));
            assert!(!fs::exists(directory.path().join("key.new")).unwrap());
        }
        assert!(promotions >= KILLS / 2, "it was killed before it did anything: {promotions}");
        println!("{kind:?}: {KILLS} kills in {promotions} promotions, {swept} in mid-write");
    }
}

/// What the processes of the tests above do. By itself it is nothing.
#[test]
fn child() {
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
    let variable = |name: &str| std::env::var(name).ok();
    let Some(job) = variable("KEYWARD_TEST_JOB") else {
        return;
    };
    let directory = PathBuf::from(variable("KEYWARD_TEST_DIRECTORY").unwrap());
    let n = variable("KEYWARD_TEST_NUMBER").unwrap();
    let kind = match &*variable("KEYWARD_TEST_KIND").unwrap() {
        "Plain" => Kind::Plain,
        _ => Kind::Sealed,
    };
    let store = kind.open(&directory);
    match &*job {
        "race" => run(race(&store, &directory, &n)),
        _ => run(replace_for_ever(&store)),
    }
}

const FENCES: usize = 5;

/// Waits for each start, and tries to stage a key of its own; when there are no more, takes the
/// lease from the others as often as it can.
async fn race(store: &DynKeyStore, directory: &Path, n: &str) {
    for round in 0.. {
        let is_last = round == 3;
        wait_for(|| directory.join(format!("go-{round}")).exists());
        if is_last {
            break;
        }
        let key = ApiKey::parse(secret()).unwrap();
        let told = match store.stage(&key, &KeyNote::new(), NOW).await {
            Ok(_) => format!("won {}", key.fingerprint()),
            Err(error) if error.kind() == StoreErrorKind::Conflict => "lost".to_owned(),
            Err(error) => panic!("{error}"),
        };
        let done = directory.join(format!("done-{round}-{n}"));
        fs::write(done.with_extension("tmp"), told).unwrap();
        fs::rename(done.with_extension("tmp"), done).unwrap();
    }
    let mut taken = 0;
    while taken < FENCES {
        match store.lease("all of them", TTL, NOW).await {
            Ok(lease) => {
                println!("fence {}", lease.fence);
                taken += 1;
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn replace_for_ever(store: &DynKeyStore) {
    for n in 0.. {
        let key = ApiKey::parse(secret()).unwrap();
        let version = store.stage(&key, &KeyNote::new().tag("child"), NOW).await.unwrap();
        println!("promoting {}", key.fingerprint());
        store.promote(&version, NOW).await.unwrap();
        println!("promoted {}", key.fingerprint());
        let journal = store.journal().await.unwrap();
        store.write_journal(&journal, &format!("step {n}")).await.unwrap();
        let lease = store.lease("child", TTL, NOW).await.unwrap();
        store.release(&lease).await.unwrap();
    }
}

fn start(kind: Kind, job: &str, directory: &Path, n: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::process::child", "--nocapture", "--quiet"])
        .env("KEYWARD_TEST_JOB", job)
        .env("KEYWARD_TEST_KIND", format!("{kind:?}"))
        .env("KEYWARD_TEST_DIRECTORY", directory)
        .env("KEYWARD_TEST_NUMBER", n.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(mut child: Child) -> String {
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "a child failed ({}): {told}{stderr}", ended.status);
    told
}

/// The limit is for a machine that is very busy.
fn wait_for(is_so: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it took more than a minute");
}
