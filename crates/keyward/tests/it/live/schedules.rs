//! Random schedules of answers, delays, rejections, clocks that jump and time that passes, and what
//! must hold in each moment of every one.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use keyward::{KeyFingerprint, KeyPolicy, LiveKey, LoadErrorKind, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fixture::{Answer, Source, WallClock, pass, print_of, seconds};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The source has this key from now on, with so long to live.
    Has { key: usize, life: Option<i64> },
    /// The source fails.
    Fails(bool),
    /// The source takes so many milliseconds.
    Takes(u64),
    /// Something outside has changed.
    Looks(u64),
    /// OpenAI rejects the key in use, or one of these.
    Rejects(Option<usize>),
    /// The clock is set forward.
    Jumps(i64),
    /// Time passes, in milliseconds.
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..KEYS, proptest::option::of(-5..400_i64))
            .prop_map(|(key, life)| Event::Has { key, life }),
        1 => any::<bool>().prop_map(Event::Fails),
        1 => (0..40_000_u64).prop_map(Event::Takes),
        1 => (0..5_u64).prop_map(Event::Looks),
        2 => proptest::option::of(0..KEYS).prop_map(Event::Rejects),
        1 => (1..300_i64).prop_map(Event::Jumps),
        6 => (0..200_000_u64).prop_map(Event::Passes),
    ]
}

const KEYS: usize = 4;

/// What a watcher has seen of one schedule, looking every so often.
#[derive(Default)]
struct Watcher {
    rejected: BTreeSet<KeyFingerprint>,
    /// Rejected, and replaced after that.
    gone: BTreeSet<KeyFingerprint>,
    last: Option<KeyFingerprint>,
}

impl Watcher {
    fn look(&mut self, now: SystemTime, handed_out: Option<(KeyFingerprint, Option<Timestamp>)>) {
        let Some((print, expires_at)) = handed_out else {
            // Out of use: whatever was rejected stays away from now on.
            self.gone.extend(&self.rejected);
            self.last = None;
            return;
        };
        if let Some(at) = expires_at {
            assert!(Timestamp::from(now) < at, "an expired key was handed out");
        }
        assert!(!self.gone.contains(&print), "a rejected key came back");
        if self.last != Some(print) {
            self.gone.extend(self.rejected.iter().filter(|rejected| **rejected != print));
            self.last = Some(print);
        }
    }
}

async fn run(keys: &[String], events: &[Event], watched: bool) {
    let source = Source::of(&keys[0]);
    if watched {
        source.looks(0);
    }
    let clock = WallClock::new();
    let begun = tokio::time::Instant::now();
    let live = LiveKey::project(source.clone(), KeyPolicy::standard())
        .with_clock(clock.clock())
        .refresh_every(seconds(60))
        .stale_for(seconds(600));
    let live = live.start().await.unwrap();
    let mut watcher = Watcher::default();
    let mut calls = Vec::new();
    let mut changes = 0;
    let look = |watcher: &mut Watcher| {
        let key = live.current().ok().map(|key| (key.fingerprint(), key.expires_at()));
        watcher.look(clock.now(), key);
    };
    for event in events {
        match *event {
            Event::Has { key, life } => {
                let at = life.map(|life| {
                    let now = Timestamp::from(clock.now()).as_unix_seconds();
                    Timestamp::from_unix_seconds(now + life)
                });
                source.answers(Answer::Key(keys[key].clone(), at));
            }
            Event::Fails(panics) if panics => source.answers(Answer::Panics),
            Event::Fails(_) => source.fails(LoadErrorKind::Unreadable),
            Event::Takes(ms) => source.takes(Duration::from_millis(ms)),
            Event::Looks(like) if watched => {
                changes += 1;
                source.looks(like);
            }
            Event::Looks(_) => {}
            Event::Rejects(key) => {
                let used = live.current().ok().map(|key| key.fingerprint());
                let Some(print) = key.map(|key| print_of(&keys[key])).or(used) else { continue };
                // Only what was handed out can be rejected; the rest costs nothing.
                if used == Some(print) {
                    watcher.rejected.insert(print);
                }
                let live = live.clone();
                calls.push(tokio::spawn(async move { live.rejected(&print).await }));
            }
            Event::Jumps(seconds) => {
                clock.jump(seconds);
                // Noticed within half a minute; until then nobody can know.
                pass(31_000).await;
            }
            Event::Passes(ms) => {
                for _ in 0..ms / 900 {
                    pass(900).await;
                    look(&mut watcher);
                }
            }
        }
        tokio::task::yield_now().await;
        look(&mut watcher);
    }
    // Whoever asked gets an answer.
    for call in calls {
        tokio::time::timeout(seconds(300), call).await.expect("an answer").unwrap();
        look(&mut watcher);
    }
    // An interval, a back-off of a second at the least, and each change and rejection once.
    let most = begun.elapsed().as_secs() + 2 * (changes + events.len() as u64) + 10;
    assert!(source.loads() <= most, "{} loads, at most {most}", source.loads());
    // It recovers.
    source.takes(Duration::ZERO);
    let fresh = keys::service_account_key(&mut KeyRng::from_entropy());
    source.answers(Answer::Key(fresh.clone(), None));
    pass(200_000).await;
    assert_eq!(live.current().unwrap().fingerprint(), print_of(&fresh));
}

#[test]
fn what_never_happens() {
    let mut rng = KeyRng::from_entropy();
    let keys: Vec<_> = (0..KEYS).map(|_| keys::service_account_key(&mut rng)).collect();
    let hook = std::panic::take_hook();
    // The loaders that panic are part of it, and say nothing new.
    std::panic::set_hook(Box::new(move |info| {
        let is_scripted = info.payload_as_str() == Some("a loader that is broken");
        if !is_scripted {
            hook(info);
        }
    }));
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let schedule = (proptest::collection::vec(event(), 1..40), any::<bool>());
    let result = TestRunner::new(config).run(&schedule, |(events, watched)| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(run(&keys, &events, watched));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// The controls: the watcher sees what must not be.
#[test]
#[should_panic(expected = "an expired key was handed out")]
fn the_check_sees_an_expired_key() {
    let print = print_of(&keys::service_account_key(&mut KeyRng::from_entropy()));
    let at = Timestamp::from_unix_seconds(1_000);
    let now = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let mut watcher = Watcher::default();
    watcher.look(now(999), Some((print, Some(at))));
    watcher.look(now(1_000), Some((print, Some(at))));
}

#[test]
#[should_panic(expected = "a rejected key came back")]
fn the_check_sees_a_key_that_comes_back() {
    let mut rng = KeyRng::from_entropy();
    let prints = [(); 2].map(|()| print_of(&keys::service_account_key(&mut rng)));
    let mut watcher = Watcher::default();
    watcher.look(SystemTime::UNIX_EPOCH, Some((prints[0], None)));
    watcher.rejected.insert(prints[0]);
    watcher.look(SystemTime::UNIX_EPOCH, Some((prints[0], None)));
    watcher.look(SystemTime::UNIX_EPOCH, Some((prints[1], None)));
    watcher.look(SystemTime::UNIX_EPOCH, Some((prints[0], None)));
}
