//! The example `rotate` is killed before and after each thing that it does, and gone on with: for
//! each kind of store, at each request to the organization and to the store's server, and each time
//! that it is about to make something on a disk lasting.
//!
//! Afterwards exactly one key lives that keyward made, the one in the store; no key was anywhere but
//! in the store; and a service that read the store meanwhile never found a dead one there. The table
//! of points and outcomes is printed (`-- --nocapture`).
//!
//! `KEYWARD_KILL_EVERY=1` takes every point, `KEYWARD_KILL_EVERY=9` every ninth one; an odd number
//! takes both sides of requests. Without it so many are taken that the whole takes a minute or two:
//! with every feature, all requests where the key is in a plain file.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::gate::Kill;
use super::place::Kind;
use super::world::{Reader, World};
use crate::fixture::Organization;

/// How many worlds are killed in at once, for each kind of store.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_with_the_key_in_a_plain_file() {
    kill_everywhere(Kind::File, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_with_the_journal_in_a_directory() {
    kill_everywhere(Kind::FileAndJournal, 3).await;
}

#[cfg(feature = "sealed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_with_the_key_in_a_sealed_file() {
    kill_everywhere(Kind::Sealed, 3).await;
}

#[cfg(feature = "clouds")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_with_the_key_in_secrets_manager() {
    if crate::servers::Server::find("moto").is_some() {
        kill_everywhere(Kind::SecretsManager, 15).await;
    }
}

#[cfg(feature = "clouds")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_with_the_key_in_vault() {
    if crate::servers::Server::find("openbao").is_some() {
        kill_everywhere(Kind::Vault, 9).await;
    }
}

/// What became of one kill.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Outcome {
    /// The rotation was brought to its end.
    CarriedOn,
    /// The attempt was given up and cleaned up; the old key is in use.
    GivenUp,
    /// Nothing was open: it had not begun, or had ended.
    NothingOpen,
    /// It ended before it came there.
    NotReached,
}

type Table = BTreeMap<(String, String), BTreeMap<Outcome, usize>>;

async fn kill_everywhere(kind: Kind, every: usize) {
    let begun = Instant::now();
    let mut first = World::settled(kind, Organization::start().await).await;
    let counted = first.run(&[], None).await;
    assert_eq!(counted.code, Some(0), "{counted}");
    assert!(counted.stderr.contains("TRACE"), "nothing was logged, so nothing could leak there");
    first.assert_whole("a run that was not killed").await;
    first.assert_that_a_leak_is_found();
    let mut points = VecDeque::new();
    for n in 1..=counted.requests.len() {
        points.extend([Kill::Before(n), Kill::After(n)]);
    }
    let of_requests = points.len();
    if kind.is_file() && has_strace() {
        points.extend(first.calls().await);
    }
    let all = points.len();
    let (every, every_call) = (one_in(every), one_in(5));
    let points: VecDeque<_> = points
        .into_iter()
        .enumerate()
        .filter(|(n, _)| n % if *n < of_requests { every } else { every_call } == 0)
        .map(|(_, point)| point)
        .collect();
    let points = Arc::new(Mutex::new(points));
    let table = Arc::new(Mutex::new(Table::new()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (points, table) = (Arc::clone(&points), Arc::clone(&table));
        workers.spawn(async move {
            let mut world = World::settled(kind, Organization::start().await).await;
            let reader = Reader::of(&world);
            loop {
                let point = points.lock().expect("points").pop_front();
                let Some(point) = point else { break };
                let (at, outcome) = kill_at(&mut world, point).await;
                let side = match point {
                    Kill::Before(_) => "before",
                    Kill::After(_) => "after",
                    Kill::Call(..) => "before",
                };
                let mut table = table.lock().expect("a table");
                let row = table.entry((at, side.to_owned())).or_default();
                *row.entry(outcome).or_default() += 1;
            }
            reader.end().await
        });
    }
    let mut uses = 0;
    while let Some(worker) = workers.join_next().await {
        let (used, dead) = worker.expect("a worker");
        assert!(dead.is_empty(), "{kind:?}: a dead key was found: {dead:?}");
        uses += used;
    }
    assert!(uses > 0, "nobody used the key");
    let table = table.lock().expect("a table");
    let sums = print(kind, &table);
    let killed: usize = table.values().flatten().map(|(_, n)| n).sum();
    let reached = killed - sums.get(&Outcome::NotReached).copied().unwrap_or_default();
    // Not `println!`, which the test harness keeps to itself where a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "{kind:?}: killed at {reached} points of {all} ({of_requests} at requests, the others at \
         files): {sums:?}; the key was used {uses} times, never dead; {} s",
        begun.elapsed().as_secs()
    );
    assert!(reached * 4 >= killed * 3, "most points are not where they were");
    for outcome in [Outcome::CarriedOn, Outcome::GivenUp, Outcome::NothingOpen] {
        // A few points may miss the short time in which an attempt can be given up.
        if outcome == Outcome::GivenUp && every > 1 {
            continue;
        }
        assert!(sums.contains_key(&outcome), "no point with the outcome {outcome:?}");
    }
}

/// Kills it at one point, goes on with it, and holds the world to be whole again.
async fn kill_at(world: &mut World, point: Kill) -> (String, Outcome) {
    let killed = world.run(&[], Some(point)).await;
    let at = match point {
        Kill::Call(call, _) => call.to_owned(),
        _ => killed.killed_at.clone().unwrap_or_default(),
    };
    let after = format!("{point:?}, {at}");
    let is_reached = killed.code.is_none();
    let resumed = world.run(&["--resume"], None).await;
    assert_eq!(resumed.code, Some(0), "{after}: {resumed}");
    let outcome = if !is_reached {
        assert_eq!(killed.code, Some(0), "{after}: {killed}");
        Outcome::NotReached
    } else if resumed.stdout.lines().any(|line| line.starts_with("done\t")) {
        Outcome::CarriedOn
    } else if resumed.stdout.contains("\tabandoned\t") {
        Outcome::GivenUp
    } else {
        Outcome::NothingOpen
    };
    let swept = world.run(&["--sweep", "--yes", "--older-than", "0"], None).await;
    assert_eq!(swept.code, Some(0), "{after}: {swept}");
    world.assert_whole(&after).await;
    (at, outcome)
}

#[allow(clippy::print_stdout, reason = "the table that the test is for")]
fn print(kind: Kind, table: &Table) -> BTreeMap<Outcome, usize> {
    let mut sums = BTreeMap::new();
    for ((at, side), outcomes) in table {
        println!("{kind:?}\t{side}\t{at}\t{outcomes:?}");
        for (outcome, n) in outcomes {
            *sums.entry(*outcome).or_default() += n;
        }
    }
    sums
}

/// Every how many points one is taken: what was said, or the usual, or, where not everything is
/// built, so that somebody waits for the tests, a third of that.
#[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
pub(super) fn one_in(usual: usize) -> usize {
    let Some(every) = std::env::var_os("KEYWARD_KILL_EVERY") else {
        return if cfg!(feature = "clouds") { usual } else { 3 * usual };
    };
    let every = every.to_str().and_then(|every| every.parse().ok()).filter(|every| *every > 0);
    every.expect("KEYWARD_KILL_EVERY is a number from 1")
}

/// Whether a program can be stopped here where it writes to a disk.
fn has_strace() -> bool {
    let works = std::process::Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: kills where files are written: no strace here, run tests/servers/up strace"
        );
        #[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
        let is_required = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some_and(|r| r == "1");
        assert!(!is_required, "strace is required and does not work here");
    }
    works
}
