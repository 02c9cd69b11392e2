//! The positive control: machines that are broken in one way are caught.

use super::scenario::{LATE_FOR_ALL, LATE_FOR_READERS, Run, SCENARIOS, run};
use super::world::Fault;
use crate::machine::Mutant;

/// What the first violation is that a machine broken like this makes; none if none is noticed.
fn caught(mutant: Mutant) -> Option<String> {
    let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::Lost, Fault::Late(3)];
    SCENARIOS.iter().find_map(|scenario| {
        let plain = Run { mutant: Some(mutant), ..Run::default() };
        let ops = match run(scenario, &plain) {
            Err(what) => return Some(what),
            Ok(report) => report.ops,
        };
        let naps = |op, nap| Run {
            faults: [((0, op), Fault::Stall(nap))].into(),
            two: true,
            // The one that sleeps has the slot first.
            seed: 1,
            ..plain.clone()
        };
        let naps = (1..=ops).flat_map(|op| [320, 350, 380].map(|nap| naps(op, nap)));
        let each = (1..=ops).flat_map(|op| faults.map(|fault| (op, fault)));
        let each =
            each.map(|(op, fault)| Run { faults: [((0, op), fault)].into(), ..plain.clone() });
        naps.map(|plan| (plan, false)).chain(each.map(|plan| (plan, true))).find_map(
            |(plan, must_be_clean)| match run(scenario, &plan) {
                Err(what) => Some(what),
                Ok(report) if must_be_clean && report.swept > 0 => Some("a sweep finds".to_owned()),
                Ok(_) => None,
            },
        )
    })
}

/// It gives a key up, where a whole machine does not.
#[test]
fn a_machine_that_trusts_every_look_is_caught() {
    let [scenario, ..] = &SCENARIOS;
    let mutant = Some(Mutant::TrustOldLooks);
    let whole = run(scenario, &Run::default()).expect(scenario.name).keys;
    let is_worse = |op| {
        let plan = Run { faults: [((0, op), Fault::Old)].into(), mutant, ..Run::default() };
        run(scenario, &plan).is_ok_and(|report| report.keys > whole)
    };
    assert!((1..100).any(is_worse));
}

/// The old key dies while the store still gives it to readers.
#[test]
fn a_machine_that_retires_within_the_lag_is_caught() {
    let mutant = Some(Mutant::RetireWithinLag);
    let caught = run(&LATE_FOR_READERS, &Run { mutant, ..Run::default() }).map(drop);
    assert!(caught.as_ref().is_err_and(|what| what.starts_with("I1")), "{caught:?}");
}

/// It takes what is late for lost, and gives one key up after the other.
#[test]
fn a_machine_that_does_not_wait_out_the_lag_is_caught() {
    let whole = run(&LATE_FOR_ALL, &Run::default()).expect(LATE_FOR_ALL.name);
    let mutant = Some(Mutant::TrustLateLooks);
    let report = run(&LATE_FOR_ALL, &Run { mutant, ..Run::default() }).expect(LATE_FOR_ALL.name);
    assert!(report.keys > whole.keys, "{} keys, and {}", report.keys, whole.keys);
}

#[test]
fn a_broken_machine_is_caught_and_by_what_it_breaks() {
    let mutants = [
        (Mutant::ForgetAbandoned, "a sweep finds"),
        (Mutant::ForgetNow, "I7"),
        (Mutant::ForgetOthers, "I5"),
        (Mutant::IgnoreUse, "I1"),
        (Mutant::KeepUnverified, "I1"),
        (Mutant::MintAgain, "a key was made twice"),
        (Mutant::RestartExpiry, "I6"),
        (Mutant::RetireAny, "I4"),
        (Mutant::RetireStaged, "I1"),
        (Mutant::SkipIntent, "a sweep finds"),
    ];
    std::thread::scope(|scope| {
        for (mutant, what) in mutants {
            scope.spawn(move || {
                let caught = caught(mutant);
                let is_caught = caught.as_ref().is_some_and(|c| c.starts_with(what));
                assert!(is_caught, "{mutant:?}: {caught:?}");
            });
        }
    });
}
