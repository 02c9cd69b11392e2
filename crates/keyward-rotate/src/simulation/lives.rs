//! What takes longer than one rotation: a key that is held, a lease that is held on.

use std::sync::Arc;
use std::time::Duration;

use keyward::store::KeyStore as _;

use super::organization::{ACCOUNT, SLOT};
use super::scenario::{PLAIN, Scenario, Start, begin, life, swept};
use super::world::{Handle, Life, World, now_or_never};
use crate::driver::MOST_STEPS;
use crate::journal::record::read;
use crate::machine::{Goal, Ledger, Mutant};
use crate::outcome::Outcome;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot, Stragglers};

pub(super) type Ended = Result<Option<Outcome>, RotateError>;

/// One life that nothing befalls.
pub(super) fn live(world: &Arc<World>, slot: &Slot, goal: Goal, mutant: Option<Mutant>) -> Ended {
    let handle = world.process("a");
    let life = Life::new(handle.process, life(handle, slot.clone(), goal, mutant));
    world.run(vec![life], |_| 0).pop().flatten().expect("nothing crashes")
}

pub(super) fn ledger(world: &World) -> Ledger {
    let journal = now_or_never(world.store.journal()).expect("a memory");
    Ledger::of(&read(journal.text()).expect("records"))
}

pub(super) fn violation(world: &World) -> Option<String> {
    world.lock().violation.clone()
}

#[test]
fn a_key_that_is_held_is_handed_on_when_the_next_rotation_is_due() {
    let (world, slot) = begin(&Scenario { stragglers: Stragglers::Hold, ..PLAIN });
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let slot = slot.with_ttl(hours(24)).unwrap().with_rotate_after(hours(3)).unwrap();
    let current = || now_or_never(world.store.current()).unwrap().unwrap();
    let old = current();
    world.lock().stuck = vec![old.key.clone()];
    world.lock().serve(&world.store);

    let first = live(&world, &slot, Goal::Rotate, None).unwrap().unwrap();
    assert_eq!(first.handed_on, [old.note.key_id.clone().unwrap()]);
    assert_eq!(ledger(&world).open, None, "nothing waits any more");
    let second = current();
    // Somebody begins the next, and goes.
    world.lock().advance(Duration::from_secs(10), &world.store);
    let third = live(&world, &slot, Goal::Rotate, None).unwrap().unwrap();
    assert_eq!(third.handed_on.len(), 1, "the stuck one, and the second is silent");
    assert_eq!(third.retired.len(), 1);
    assert_eq!(third.retired[0].0, second.note.key_id.unwrap());
    assert_eq!(violation(&world), None, "and it lived all the time");

    // Its user is gone in the end.
    world.lock().stuck.clear();
    let last = live(&world, &slot, Goal::Rotate, None).unwrap().unwrap();
    assert_eq!(last.handed_on.len() + last.stragglers.len(), 0);
    assert_eq!(last.retired.len(), 2);
    assert_eq!(ledger(&world).carried, []);
    assert_eq!(violation(&world), None);
}

/// Two keys with a user each that never looks for another, and two rotations that are due after three
/// hours.
fn hold_two(mutant: Option<Mutant>) -> (Ended, Option<String>) {
    let scenario = Scenario { start: Start::Carried, stragglers: Stragglers::Hold, ..PLAIN };
    let (world, slot) = begin(&scenario);
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let slot = slot.with_ttl(hours(24)).unwrap().with_rotate_after(hours(3)).unwrap();
    {
        let mut state = world.lock();
        let ours = state.books.ours(state.now).into_iter().map(|key| key.value.clone()).collect();
        state.stuck = ours;
        assert_eq!(state.stuck.len(), 2);
        state.serve(&world.store);
    }
    let ended = live(&world, &slot, Goal::Rotate, mutant);
    (ended, violation(&world))
}

#[test]
fn of_several_keys_that_are_held_none_expires_while_another_is_watched() {
    let (ended, violation) = hold_two(None);
    let outcome = ended.unwrap().unwrap();
    assert_eq!((outcome.handed_on.len(), outcome.retired.len()), (2, 0), "{outcome}");
    assert_eq!(violation, None);
    let (_, violation) = hold_two(Some(Mutant::DrainInTurn));
    assert!(violation.is_some_and(|what| what.starts_with("I1: a key that was held")));
}

#[test]
fn a_key_may_be_held_for_as_long_as_it_takes() {
    let (world, slot) = begin(&Scenario { stragglers: Stragglers::Hold, ..PLAIN });
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let slot = slot.with_ttl(hours(24)).unwrap().with_rotate_after(hours(16)).unwrap();
    let old = now_or_never(world.store.current()).unwrap().unwrap();
    world.lock().stuck = vec![old.key];
    world.lock().serve(&world.store);
    let outcome = live(&world, &slot, Goal::Rotate, None).unwrap().unwrap();
    assert_eq!(outcome.handed_on.len(), 1);
    assert_eq!(violation(&world), None);
    let looks = world.lock().processes[0].ops;
    assert!(looks > 2 * MOST_STEPS, "{looks}");
}

/// Until an old key has its expiry.
pub(super) async fn until_it_drains(handle: &Handle) {
    while !handle.world.lock().books.keys.iter().any(|key| key.is_let_expire) {
        handle.sleep_for(Duration::from_secs(1)).await;
    }
}

#[test]
fn a_lease_is_held_on_when_a_third_of_it_is_gone() {
    let (world, slot) = begin(&Scenario { silence: Duration::from_secs(600), ..PLAIN });
    world.lock().serve(&world.store);
    let slot = slot.with_grace(Duration::from_secs(1200)).with_silence(Duration::from_secs(600));
    live(&world, &slot, Goal::Rotate, None).unwrap().unwrap();
    let state = world.lock();
    let seconds = state.now.as_secs() - 1000;
    assert!(seconds > 600, "{seconds}");
    // A lease of 300 seconds.
    let most = seconds / 100 + 1;
    assert!(u64::from(state.renewals) <= most, "{} in {seconds} s", state.renewals);
    assert!(state.renewals > 3);
}

/// A rotator and one that waits for the slot, where a listing takes longer than a lease.
fn list_for_long(mutant: Option<Mutant>) -> (Ended, Option<String>) {
    let (world, slot) = begin(&PLAIN);
    world.lock().serve(&world.store);
    world.lock().listing_takes = Duration::from_secs(1000);
    let (first, second) = (world.process("a"), world.process("b"));
    let slow = life(first.clone(), slot.clone(), Goal::Rotate, mutant);
    let waiting = second.clone();
    let next = async move {
        waiting.sleep_for(Duration::from_secs(60)).await;
        // What it comes to is its own affair.
        let _ = life(waiting, slot, Goal::Rotate, None).await;
        Ok(None)
    };
    let lives = vec![Life::new(first.process, slow), Life::new(second.process, next)];
    let ended = world.run(lives, |_| 0).swap_remove(0);
    (ended.expect("nothing crashes"), violation(&world))
}

#[test]
fn a_listing_that_takes_longer_than_a_lease_does_not_lose_it() {
    let (ended, violation) = list_for_long(None);
    assert!(ended.unwrap().is_some());
    assert_eq!(violation, None);
    let (ended, _) = list_for_long(Some(Mutant::LetLeaseGo));
    assert_eq!(ended.unwrap_err().kind(), RotateErrorKind::LeaseLost, "the positive control");
}

/// The same of a sweep: whoever waits for the slot does not get it while something is deleted.
#[test]
fn a_sweep_that_takes_longer_than_a_lease_does_not_lose_it() {
    for mutant in [None, Some(Mutant::LetLeaseGo)] {
        let (world, slot) = begin(&PLAIN);
        world.lock().serve(&world.store);
        let orphan = Tag::new(SLOT, 9);
        world.lock().books.mint(orphan.as_str(), ACCOUNT, None, Duration::ZERO);
        world.lock().listing_takes = Duration::from_secs(1000);
        let (first, second) = (world.process("a"), world.process("b"));
        let (sweeper, waiting, other) = (first.clone(), second.clone(), slot.clone());
        let sweep = async move { swept(&sweeper, &slot, mutant).await.map(|_| None) };
        let next = async move {
            waiting.sleep_for(Duration::from_secs(60)).await;
            let _ = life(waiting, other, Goal::Rotate, None).await;
            Ok(None)
        };
        let lives: Vec<Life<'_, Ended>> =
            vec![Life::new(first.process, sweep), Life::new(second.process, next)];
        let ended = world.run(lives, |_| 0).swap_remove(0).expect("nothing crashes");
        let is_deleted = !world
            .lock()
            .books
            .keys
            .iter()
            .any(|key| key.name == orphan.as_str() && !key.is_deleted);
        // The other has it then, which is seen or learnt.
        assert_eq!(is_deleted, mutant.is_none(), "{mutant:?}: {ended:?}");
        assert_eq!(violation(&world), None);
    }
}

/// A rotation after a leak waits for nobody.
#[test]
fn a_lease_that_somebody_took_is_noticed_at_the_next_look() {
    let (world, slot) = begin(&PLAIN);
    world.lock().serve(&world.store);
    let rotator = world.process("a");
    let first = life(rotator.clone(), slot.clone(), Goal::Rotate, None);
    let leak = world.process("b");
    let other = leak.clone();
    let second = async move {
        until_it_drains(&other).await;
        other.world.lock().is_leaked = true;
        life(other, slot, Goal::Now, None).await
    };
    let lives = vec![Life::new(rotator.process, first), Life::new(leak.process, second)];
    let ended = world.run(lives, |_| 0);
    let [first, second] = <[_; 2]>::try_from(ended).expect("two").map(|end| end.expect("an end"));
    assert_eq!(first.unwrap_err().kind(), RotateErrorKind::LeaseLost);
    assert!(second.unwrap().is_some(), "nobody was waited for");
    assert_eq!(violation(&world), None);
    let state = world.lock();
    assert_eq!(state.books.ours(state.now).len(), 1, "{SLOT}");
}
