//! The positive control: machines that are broken in one way are caught.

use super::scenario::{Run, SCENARIOS, run};
use super::world::Fault;
use crate::machine::Mutant;

fn is_caught(mutant: Mutant) -> bool {
    let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::Lost, Fault::Late(3)];
    SCENARIOS.iter().any(|scenario| {
        let plain = Run { mutant: Some(mutant), ..Run::default() };
        let ops = match run(scenario, &plain) {
            Err(_) => return true,
            Ok(report) => report.ops,
        };
        let naps = |op, nap| Run {
            faults: [((0, op), Fault::Stall(nap))].into(),
            two: true,
            // The one that sleeps has the slot first.
            seed: 1,
            ..plain.clone()
        };
        let mut all = (1..=ops).flat_map(|op| [320, 350, 380].map(|nap| naps(op, nap)));
        if all.any(|plan| run(scenario, &plan).is_err()) {
            return true;
        }
        !(1..=ops).flat_map(|op| faults.map(|fault| (op, fault))).all(|(op, fault)| {
            let plan = Run { faults: [((0, op), fault)].into(), ..plain.clone() };
            run(scenario, &plan).is_ok_and(|report| report.swept == 0)
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

#[test]
fn a_broken_machine_is_caught() {
    for mutant in [
        Mutant::ForgetAbandoned,
        Mutant::ForgetOthers,
        Mutant::KeepUnverified,
        Mutant::MintAgain,
        Mutant::RetireAny,
        Mutant::RetireStaged,
        Mutant::SkipIntent,
    ] {
        assert!(is_caught(mutant), "{mutant:?} was not noticed");
    }
}
