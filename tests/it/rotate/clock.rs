//! [`Wall`]: the program's own clock, put ahead and back by a day, or made to run faster; and the
//! rotations that go through that.
//!
//! The program has no door for it: Debian's `faketime` stands between it and the C library, so what
//! is tested is the program as it is, with every library in it. `tests/servers/up faketime` installs
//! it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keyward::Timestamp;
use keyward::store::KeyStore as _;
use keyward_testkit::{FakeClock, FakeOpenAi};

use super::gate::Kill;
use super::kill::one_in;
use super::place::Kind;
use super::world::{Ran, Reader, World};
use crate::fixture::Organization;

/// The clock that programs live by.
#[derive(Clone, Debug)]
pub(crate) struct Wall {
    library: String,
    kind: WallKind,
}

#[derive(Clone, Debug)]
enum WallKind {
    /// It is as far from this machine's as this file says, which is read at each look.
    Jumps(PathBuf),
    /// All of it, waiting too, goes so much faster; it shows what the organization's shows.
    Runs(FakeClock),
}

/// How much faster.
const SPEED: u32 = 10;

/// What is added to the clock, in seconds.
const AHEAD: i64 = 86_400;
const BEHIND: i64 = -AHEAD;
const RIGHT: i64 = 0;

impl Wall {
    /// A clock that can be put ahead and back while a program runs.
    fn jumping(library: &str, world: &World) -> Self {
        let wall =
            Self { library: library.to_owned(), kind: WallKind::Jumps(world.path("out/offset")) };
        wall.set(RIGHT);
        wall
    }

    fn set(&self, seconds: i64) {
        let WallKind::Jumps(file) = &self.kind else { return };
        let new = file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("a file");
        std::fs::rename(&new, file).expect("it is whole at each moment");
    }

    /// What makes a program live by it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let one = || "1".to_owned();
        let mut set = vec![("LD_PRELOAD", self.library.clone()), ("NO_FAKE_STAT", one())];
        match &self.kind {
            WallKind::Jumps(file) => set.extend([
                ("FAKETIME_DONT_FAKE_MONOTONIC", one()),
                ("FAKETIME_NO_CACHE", one()),
                ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ]),
            WallKind::Runs(clock) => {
                let ahead = clock.now().saturating_sub(seconds_of_the_machine());
                set.push(("FAKETIME", format!("+{ahead} x{SPEED}")));
            }
        }
        set
    }
}

#[allow(clippy::disallowed_methods, reason = "the machine's clock is what programs are put off")]
fn seconds_of_the_machine() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

/// The library of `faketime`, if it works here.
fn faketime() -> Option<String> {
    let said = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let library = said.ok().filter(|said| said.status.success());
    let library = library.and_then(|said| String::from_utf8(said.stdout).ok());
    let library = library.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty());
    if library.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: clocks that jump: no faketime here, run tests/servers/up faketime"
        );
        #[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
        let is_required = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some_and(|r| r == "1");
        assert!(!is_required, "faketime is required and does not work here");
    }
    library
}

/// The clock of an organization that goes as fast as the programs', as long as this is held.
struct Hurry {
    clock: FakeClock,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hurry {
    fn begin() -> Self {
        let clock = FakeClock::manual(seconds_of_the_machine());
        let is_over = Arc::new(AtomicBool::new(false));
        let (moved, ends) = (clock.clone(), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                let now = Instant::now();
                moved.advance((now - last) * SPEED);
                last = now;
            }
        });
        Self { clock, is_over, thread: Some(thread) }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A world of programs whose clock can be put ahead and back, and whose keys outlive that.
async fn jumping(library: &str) -> (World, Wall) {
    let mut world = World::settled(Kind::File, Organization::start().await).await;
    world.write_slot_of("1s", "30d", "");
    let wall = Wall::jumping(library, &world);
    world.wall = Some(wall.clone());
    (world, wall)
}

/// Goes on with what was begun, by a clock that shows what it should, and holds the world to be whole.
async fn ends_well(world: &mut World, wall: &Wall, after: &str) {
    wall.set(RIGHT);
    for arguments in [&["--resume"][..], &["--sweep", "--yes", "--older-than", "0"]] {
        let ran = world.run(arguments, None).await;
        assert_eq!(ran.code, Some(0), "{after}: {ran}");
    }
    world.assert_whole(after).await;
}

/// Whether a program's log has lines of the day that its clock was to show.
fn shows(ran: &Ran, ahead: i64) -> bool {
    let now = i64::try_from(seconds_of_the_machine()).expect("a time");
    let day = |seconds: i64| Timestamp::from_unix_seconds(seconds).to_string()[..10].to_owned();
    // It may be midnight.
    let days = [day(now + ahead), day(now + ahead - 120)];
    let is_of = |line: &str| days.iter().any(|day| line.contains(&format!("{day}T")));
    ran.stderr.lines().any(is_of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_jumps_by_a_day_between_a_kill_and_the_next_run() {
    let Some(library) = faketime() else { return };
    let (mut world, wall) = jumping(&library).await;
    let reader = Reader::of(&world);
    let counted = world.run(&[], None).await;
    assert_eq!(counted.code, Some(0), "{counted}");
    let mut carried_on = 0;
    let pairs = [(RIGHT, AHEAD), (RIGHT, BEHIND), (AHEAD, RIGHT), (BEHIND, RIGHT), (AHEAD, BEHIND)];
    for n in (1..=counted.requests.len()).step_by(one_in(1)) {
        let (before, afterwards) = pairs[n % pairs.len()];
        let after = format!("after request {n}, {before:+} s, then {afterwards:+} s");
        wall.set(before);
        let killed = world.run(&[], Some(Kill::After(n))).await;
        assert!(killed.code.is_none() || killed.code == Some(0), "{after}: {killed}");
        assert!(shows(&killed, before), "{after}: the program does not live by that clock");
        if before == AHEAD && killed.code.is_none() {
            // By the other's clock the lease is held for a day yet; its own holder is not kept out.
            wall.set(RIGHT);
            let other = world.run(&["--holder", "another", "--resume"], None).await;
            assert_eq!(other.code, Some(4), "{after}: {other}");
            assert!(other.stderr.contains("harness"), "{after}: {other}");
        }
        wall.set(afterwards);
        let resumed = world.run(&["--resume"], None).await;
        assert_eq!(resumed.code, Some(0), "{after}: {resumed}");
        assert!(shows(&resumed, afterwards), "{after}: the program does not live by that clock");
        carried_on += usize::from(resumed.stdout.contains("done\tbilling\t"));
        ends_well(&mut world, &wall, &after).await;
    }
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
    assert!(carried_on > 0, "{carried_on}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_jumps_by_a_day_in_the_middle_of_a_run() {
    let Some(library) = faketime() else { return };
    let (mut world, wall) = jumping(&library).await;
    let reader = Reader::of(&world);
    let counted = world.run(&[], None).await;
    for n in (1..=counted.requests.len()).step_by(one_in(1)) {
        let (before, then) = if n % 2 == 0 { (RIGHT, AHEAD) } else { (RIGHT, BEHIND) };
        let after = format!("at request {n}, {before:+} s, then {then:+} s");
        wall.set(before);
        let jumps = wall.clone();
        world.gate.on_arrival(move |arrived| {
            if arrived == n {
                jumps.set(then);
            }
            false
        });
        let ran = world.run(&[], None).await;
        world.gate.calms();
        assert_eq!(ran.code, Some(0), "{after}: {ran}");
        assert!(ran.stdout.contains("\ndone\tbilling\t"), "{after}: {ran}");
        assert!(shows(&ran, before) && shows(&ran, then), "{after}: no jump");
        wall.set(RIGHT);
        world.assert_whole(&after).await;
    }
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
}

/// A clock that is further ahead than a key lives: what it makes would be refused where it is used,
/// by whoever lives by that clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_clock_that_is_further_ahead_than_a_key_lives_nothing_is_changed() {
    let Some(library) = faketime() else { return };
    let (mut world, wall) = jumping(&library).await;
    world.write_slot_of("1s", "20h", "");
    let reader = Reader::of(&world);
    let before = (world.org.minted(), world.place.store.current().await.expect("a store"));
    wall.set(AHEAD);
    let ran = world.run(&[], None).await;
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("the policy refuses the new key"), "{ran}");
    let print =
        |key: &Option<keyward::store::StoredKey>| key.as_ref().map(|key| key.key.fingerprint());
    let now = (world.org.minted(), world.place.store.current().await.expect("a store"));
    assert_eq!((before.0, print(&before.1)), (now.0, print(&now.1)));
    wall.set(RIGHT);
    let ran = world.run(&[], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    ends_well(&mut world, &wall, "a clock that was ahead").await;
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
}

/// An authentication cache of thirty seconds: so long is a new key not accepted, and a deleted one
/// still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_not_accepted_for_half_a_minute() {
    let Some(library) = faketime() else { return };
    let hurry = Hurry::begin();
    let cache = Duration::from_secs(30);
    let fake = FakeOpenAi::builder().auth_cache(cache).clock(hurry.clock.clone());
    let org = Organization::of(fake.start().await.expect("a fake"));
    let mut world = World::new(Kind::File, org).await;
    world.wall = Some(Wall { library, kind: WallKind::Runs(hurry.clock.clone()) });
    // There is time for the drain too.
    world.write_slot_of("10s", "30d", "grace = \"5m\"");
    let asked = |ran: &Ran| ran.requests.iter().filter(|said| *said == "GET /v1/models").count();

    let begun = hurry.clock.now();
    let first = world.run(&[], None).await;
    assert_eq!(first.code, Some(0), "{first}");
    assert!(first.stdout.contains("waiting\tbilling\t"), "{first}");
    assert!(asked(&first) > 2, "it is accepted at once: {:?}", first.requests);
    assert!(hurry.clock.now() - begun >= cache.as_secs());
    let reader = Reader::of(&world);

    let second = world.run(&[], None).await;
    assert_eq!(second.code, Some(0), "{second}");
    world.assert_whole("a cache").await;

    // Killed while it waits, it is gone on with, and asked anew.
    let is_probe = |said: &&String| *said == "GET /v1/models";
    let probe = second.requests.iter().position(|said| is_probe(&said)).expect("a probe") + 1;
    for n in [probe, probe + 1, probe + 2] {
        let killed = world.run(&[], Some(Kill::After(n))).await;
        assert_eq!(killed.killed_at.as_deref(), Some("GET /v1/models"), "{killed}");
        let resumed = world.run(&["--resume"], None).await;
        assert_eq!(resumed.code, Some(0), "{n}: {resumed}");
        assert!(resumed.stdout.contains("done\tbilling\t"), "{n}: {resumed}");
        world.assert_whole("killed while it waits").await;
    }

    // Who does not wait for so long gives the key up, and the old one is in use as before.
    world.write_slot_of("10s", "30d", "grace = \"5m\"\nverify = { patience = \"10s\" }");
    let impatient = world.run(&[], None).await;
    assert_eq!(impatient.code, Some(1), "{impatient}");
    assert!(impatient.stderr.contains("not accepted"), "{impatient}");
    world.assert_whole("a key was given up").await;
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
}
