//! The positive control: machines that are broken in one way are caught.

use super::scenario::{LATE_FOR_ALL, LATE_FOR_READERS, Run, SCENARIOS, run};
use super::world::Fault;
use crate::machine::Mutant;

/// What the first violation is that a machine broken like this makes; none if none is noticed. It
/// is alone, and one thing goes wrong; or there are two, and one of them sleeps.
fn caught(mutant: Mutant, two: bool) -> Option<String> {
    let alone = Run { mutant: Some(mutant), ..Run::default() };
    let mut operations = Vec::new();
    // First where nothing goes wrong: that is soon tried.
    for scenario in &SCENARIOS {
        match run(scenario, &alone) {
            Err(what) => return Some(what),
            Ok(report) => operations.extend((1..=report.ops).map(|op| (scenario, op))),
        }
    }
    let faults = match two {
        true => [320, 350, 380].map(Fault::Stall).to_vec(),
        false => vec![Fault::CrashBefore, Fault::CrashAfter, Fault::Lost, Fault::Late(3)],
    };
    operations.iter().find_map(|(scenario, op)| {
        faults.iter().find_map(|fault| {
            // Of two, the one that sleeps has the slot first.
            let (faults, seed) = ([((0, *op), *fault)].into(), u64::from(two));
            match run(scenario, &Run { faults, two, seed, ..alone.clone() }) {
                Err(what) => Some(what),
                Ok(report) if !two && report.swept > 0 => Some("a sweep finds".to_owned()),
                Ok(_) => None,
            }
        })
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
                let caught = caught(mutant, matches!(mutant, Mutant::ForgetOthers));
                let is_caught = caught.as_ref().is_some_and(|c| c.starts_with(what));
                assert!(is_caught, "{mutant:?}: {caught:?}");
            });
        }
    });
}
