//! A key that somebody puts back into the store, in the place of the new one.

use std::sync::Arc;
use std::time::Duration;

use keyward::store::{KeyNote, KeyStore as _};

use super::lives::{Ended, ledger, live, until_it_drains, violation};
use super::scenario::{PLAIN, Scenario, Start, begin, life};
use super::world::{Handle, Life, World, now_or_never, stamp};
use crate::machine::{Goal, Mutant};
use crate::{RotateErrorKind, Slot};

const DAY: Duration = Duration::from_secs(86_400);

/// When somebody puts the old key back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    /// It is about to expire.
    Draining,
    /// It has expired.
    Expired,
    /// The new one is in use, and that is written down.
    Promoted,
}

/// What came of a rotation whose old key was put back.
struct RolledBack {
    world: Arc<World>,
    slot: Slot,
    /// The id of the key that was put back.
    old: String,
    ended: Ended,
}

impl RolledBack {
    fn expires_at(&self) -> Option<Duration> {
        self.world.lock().books.find(&self.old).expect("it is there").expires_at
    }

    fn is_current(&self) -> bool {
        let current = now_or_never(self.world.store.current()).unwrap().unwrap();
        current.note.key_id.as_ref() == Some(&self.old)
    }
}

async fn until(handle: &Handle, when: When) {
    if when != When::Promoted {
        return until_it_drains(handle).await;
    }
    while ledger(&handle.world).open.is_none_or(|open| !open.step.is_promoted()) {
        handle.sleep_for(Duration::from_millis(10)).await;
    }
}

fn roll_back(scenario: &Scenario, when: When, mutant: Option<Mutant>) -> RolledBack {
    let (world, slot) = begin(scenario);
    // By then the old key is due for long.
    world.lock().advance(25 * DAY, &world.store);
    world.lock().serve(&world.store);
    let current = now_or_never(world.store.current()).unwrap().unwrap();
    let old = current.note.key_id.clone().unwrap();
    let handle = world.process("a");
    let rotation = life(handle.clone(), slot.clone(), Goal::Rotate, mutant);
    let somebody = world.process("somebody");
    let (process, id) = (somebody.process, old.clone());
    let put_back = async move {
        until(&somebody, when).await;
        let mut note = KeyNote::new().key_id(&id).created_at(stamp(Duration::ZERO, 0));
        if let Some(tag) = current.note.tag {
            note = note.tag(tag);
        }
        let (now, store) = (somebody.wall_of(), &somebody.world.store);
        let version = store.stage(&current.key, &note, now).await.unwrap();
        store.promote(&version, now).await.unwrap();
        if when == When::Expired {
            let mut state = somebody.world.lock();
            let now = state.now;
            state.books.find(&id).expect("it is there").expires_at = Some(now);
        }
        Ok(None)
    };
    world.lock().may_put_off = true;
    let lives = vec![Life::new(handle.process, rotation), Life::new(process, put_back)];
    let ended = world.run(lives, |_| 0).swap_remove(0).expect("nothing crashes");
    RolledBack { world, slot, old, ended }
}

#[test]
fn a_key_that_is_put_back_lives_on() {
    for when in [When::Draining, When::Promoted] {
        let RolledBack { world, ended, .. } = roll_back(&PLAIN, when, None);
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), RotateErrorKind::StoreChanged, "{when:?}: {error}");
        world.lock().advance(10 * DAY, &world.store);
        assert_eq!(violation(&world), None, "{when:?}");
    }
    let RolledBack { world, .. } = roll_back(&PLAIN, When::Draining, Some(Mutant::ForgetRollback));
    world.lock().advance(Duration::from_secs(3600), &world.store);
    let violation = violation(&world);
    assert!(violation.is_some_and(|what| what.starts_with("I1")), "it would have died");
}

/// The key in use is not touched, unless it would die.
#[test]
fn a_key_that_does_not_expire_gets_no_expiry() {
    let scenario = Scenario { start: Start::Adopted, ..PLAIN };
    let rolled_back = roll_back(&scenario, When::Promoted, None);
    let error = rolled_back.ended.as_ref().unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::StoreChanged, "{error}");
    assert!(!error.to_string().contains("soon"), "{error}");
    assert_eq!(rolled_back.expires_at(), None);
    assert_eq!(violation(&rolled_back.world), None);
    // One that was given one while it was drained gets a life.
    let rolled_back = roll_back(&scenario, When::Draining, None);
    let left = rolled_back.expires_at().expect("an expiry") - rolled_back.world.lock().now;
    assert!(left > 29 * DAY, "{left:?}");
}

#[test]
fn a_key_that_cannot_get_its_life_back_is_told() {
    let rolled_back = roll_back(&PLAIN, When::Expired, None);
    let error = rolled_back.ended.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::StoreChanged, "{error}");
    assert!(error.to_string().contains(&format!("{}, which is gone or soon is", rolled_back.old)));
}

/// Whoever rotates what is due does not undo by itself what a person did; whoever is asked to does.
#[test]
fn a_key_that_is_put_back_stays_for_a_day() {
    let due = Goal::Due { early: DAY, not_before: Duration::ZERO };
    let rolled_back = roll_back(&PLAIN, When::Draining, None);
    let RolledBack { world, slot, .. } = &rolled_back;
    for hours in [0, 1, 22] {
        world.lock().advance(Duration::from_secs(hours * 3600), &world.store);
        assert!(live(world, slot, due, None).unwrap().is_none());
        assert!(rolled_back.is_current(), "{hours}");
    }
    world.lock().advance(DAY / 12, &world.store);
    assert!(live(world, slot, due, None).unwrap().is_some());
    assert!(!rolled_back.is_current());
    assert_eq!(violation(world), None);

    let rolled_back = roll_back(&PLAIN, When::Draining, None);
    let RolledBack { world, slot, .. } = &rolled_back;
    assert!(live(world, slot, Goal::Rotate, None).unwrap().is_some());
    assert!(!rolled_back.is_current());
}
