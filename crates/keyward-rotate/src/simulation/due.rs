//! Those that rotate what is due: which of several does, and when.

use std::time::Duration;

use keyward::store::KeyStore as _;

use super::lives::{live, violation};
use super::scenario::{PLAIN, Scenario, begin, life};
use super::world::{Life, now_or_never};
use crate::Stragglers;
use crate::machine::Goal;

const DAY: Duration = Duration::from_secs(86_400);
const DUE: Goal = Goal::Due { early: Duration::ZERO, not_before: Duration::ZERO };

#[test]
fn what_is_not_due_is_left() {
    let (world, slot) = begin(&PLAIN);
    world.lock().advance(19 * DAY, &world.store);
    for (goal, is_due, why) in [
        (DUE, false, "a day is left"),
        (Goal::Due { early: DAY * 2, not_before: DAY }, false, "it rests"),
        (Goal::Due { early: DAY * 2, not_before: Duration::ZERO }, true, "it goes early"),
        (Goal::Due { early: DAY * 2, not_before: Duration::ZERO }, false, "it was rotated"),
    ] {
        assert_eq!(live(&world, &slot, goal, None).unwrap().is_some(), is_due, "{why}");
    }
    assert_eq!(violation(&world), None);
}

/// Both have seen that it is due before either has the lease.
#[test]
fn of_two_that_see_it_due_one_rotates() {
    for (goal, made) in [(DUE, 1), (Goal::Rotate, 2)] {
        let (world, slot) = begin(&PLAIN);
        world.lock().advance(21 * DAY, &world.store);
        let before = world.lock().books.keys.len();
        let lives = ["a", "b"].map(|holder| {
            let handle = world.process(holder);
            Life::new(handle.process, life(handle, slot.clone(), goal, None))
        });
        let ended = world.run(lives.into(), |_| 0);
        assert!(ended.into_iter().all(|end| end.is_some_and(|end| end.is_ok())));
        assert_eq!(world.lock().books.keys.len() - before, made, "{goal:?}");
        assert_eq!(violation(&world), None);
    }
}

/// By a clock that is ahead each key is due at once, and one that is held is handed on only when the
/// next rotation begins all the same.
#[test]
fn a_clock_that_is_ahead_hands_nothing_on_too_early() {
    let (world, slot) = begin(&Scenario { stragglers: Stragglers::Hold, ..PLAIN });
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let slot = slot.with_ttl(hours(24)).unwrap().with_rotate_after(hours(4)).unwrap();
    let old = now_or_never(world.store.current()).unwrap().unwrap();
    world.lock().stuck = vec![old.key];
    world.lock().serve(&world.store);
    let handle = world.process("a");
    world.lock().processes[handle.process].jumped = 86_400;
    let began = world.lock().now;
    let life = Life::new(handle.process, life(handle, slot, DUE, None));
    let ended = world.run(vec![life], |_| 0).pop().flatten().expect("nothing crashes");
    assert_eq!(ended.unwrap().unwrap().handed_on.len(), 1);
    let held = world.lock().now - began;
    assert!(held >= hours(2) && held < hours(3), "half of what is between two: {held:?}");
    assert_eq!(violation(&world), None);
}

/// One that goes early hands nothing on early: the next may be another, who does not.
#[test]
fn what_is_held_is_handed_on_when_it_is_due_for_all() {
    let (world, slot) = begin(&Scenario { stragglers: Stragglers::Hold, ..PLAIN });
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let slot = slot.with_ttl(hours(24)).unwrap().with_rotate_after(hours(4)).unwrap();
    world.lock().advance(hours(3), &world.store);
    let old = now_or_never(world.store.current()).unwrap().unwrap();
    world.lock().stuck = vec![old.key];
    world.lock().serve(&world.store);
    let began = world.lock().now;
    let early = Goal::Due { early: hours(2), not_before: Duration::ZERO };
    let outcome = live(&world, &slot, early, None).unwrap().unwrap();
    assert_eq!(outcome.handed_on.len(), 1);
    let held = world.lock().now - began;
    assert!(held >= hours(4), "{held:?}");
    assert_eq!(violation(&world), None);
}
