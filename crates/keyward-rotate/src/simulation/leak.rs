//! A key leaked: whoever goes on does not rest before one is in use that was made after that.

use std::sync::Arc;
use std::time::Duration;

use keyward::store::KeyStore as _;

use super::lives::{ledger, live};
use super::scenario::{PLAIN, Scenario, Start, begin, life};
use super::world::{Fault, Life, World, now_or_never};
use crate::machine::{Goal, Mutant};
use crate::{RotateErrorKind, Slot};

/// One life that something befalls.
fn befall(
    world: &Arc<World>,
    slot: &Slot,
    goal: Goal,
    at: u32,
    fault: Fault,
) -> super::lives::Ended {
    let handle = world.process("a");
    world.lock().faults = [((handle.process, at), fault)].into();
    let life = Life::new(handle.process, life(handle, slot.clone(), goal, None));
    let ended = world.run(vec![life], |_| 0).pop().flatten().unwrap_or(Ok(None));
    let mut state = world.lock();
    state.faults.clear();
    state.outage = None;
    ended
}

/// The keys that lived when it was written down that one leaked, and live still.
fn leaked(world: &World) -> Vec<String> {
    let state = world.lock();
    let live = state.books.ours(state.now).into_iter().map(|key| key.id.clone());
    live.filter(|id| state.leaked.contains(id)).collect()
}

/// A rotation dies, one after a leak dies over it, and another goes on: in how many of these is it
/// known that a key leaked, and in how many does one live on.
fn die_twice(last: Goal, mutant: Option<Mutant>) -> (u32, u32) {
    let (mut known, mut left) = (0, 0);
    for first in (1..60).step_by(3) {
        for second in 1..20 {
            let (world, slot) = begin(&PLAIN);
            world.lock().serve(&world.store);
            let _ = befall(&world, &slot, Goal::Rotate, first, Fault::CrashAfter);
            if ledger(&world).done.is_some() {
                return (known, left);
            }
            world.lock().is_leaked = true;
            let _ = befall(&world, &slot, Goal::Now, second, Fault::CrashAfter);
            if !world.lock().is_leak_known {
                continue;
            }
            known += 1;
            let ended = live(&world, &slot, last, mutant);
            assert!(ended.is_ok(), "{first}, {second}: {ended:?}");
            left += u32::from(!leaked(&world).is_empty());
        }
    }
    unreachable!("the first comes to its end")
}

#[test]
fn a_leak_that_was_noted_is_ended_by_whoever_goes_on() {
    let rests = Goal::Due { early: Duration::ZERO, not_before: Duration::MAX };
    for last in [Goal::Rotate, Goal::Resume, rests] {
        let (known, left) = die_twice(last, None);
        assert_eq!(left, 0, "{last:?}: of {known}");
        assert!(known > 50, "{last:?}: {known}");
        let (_, left) = die_twice(last, Some(Mutant::LeaveLeaked));
        assert!(left > 3, "{last:?}: the positive control");
    }
}

/// The organization lets nothing through from an operation on.
#[test]
fn a_rotation_after_a_leak_that_failed_is_resumed() {
    let mut failed = 0;
    for at in 1..30 {
        let (world, slot) = begin(&PLAIN);
        world.lock().serve(&world.store);
        world.lock().is_leaked = true;
        let ended = befall(&world, &slot, Goal::Now, at, Fault::Storm(1000));
        let Err(error) = ended else { continue };
        if error.kind() != RotateErrorKind::OrganizationUnavailable || !ledger(&world).is_urgent {
            continue;
        }
        failed += 1;
        let resumed = live(&world, &slot, Goal::Resume, None).unwrap();
        assert!(resumed.is_some(), "{at}: it is open as long as the key lives");
        assert_eq!(leaked(&world), [""; 0], "{at}");
        assert!(live(&world, &slot, Goal::Resume, None).unwrap().is_none(), "{at}: once");
    }
    assert!(failed > 0);
}

/// Whoever resumes after a leak is told what the one before left alone.
#[test]
fn a_leaked_key_that_was_left_alone_is_told_by_whoever_ends_it() {
    let scenario = Scenario { start: Start::Foreign, ..PLAIN };
    let mut told = 0;
    for op in 1..60 {
        let (world, slot) = begin(&scenario);
        world.lock().serve(&world.store);
        let old = now_or_never(world.store.current()).unwrap().unwrap();
        world.lock().faults = [((0, op), Fault::CrashAfter)].into();
        let handle = world.process("a");
        let first = life(handle.clone(), slot.clone(), Goal::Rotate, None);
        world.run(vec![Life::new(handle.process, first)], |_| 0);
        world.lock().faults.clear();
        if ledger(&world).done.is_some() {
            break;
        }
        world.lock().is_leaked = true;
        let outcome = live(&world, &slot, Goal::Now, None).unwrap().unwrap();
        assert_eq!(outcome.left_alone, [old.note.key_id], "a crash after {op}");
        told += 1;
    }
    assert!(told > 10, "{told}");
}
