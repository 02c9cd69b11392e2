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
        !(1..=ops).flat_map(|op| faults.map(|fault| (op, fault))).all(|(op, fault)| {
            let plan = Run { faults: [((0, op), fault)].into(), ..plain.clone() };
            run(scenario, &plan).is_ok_and(|report| report.swept == 0)
        })
    })
}

#[test]
fn a_broken_machine_is_caught() {
    for mutant in [
        Mutant::ForgetAbandoned,
        Mutant::KeepUnverified,
        Mutant::MintAgain,
        Mutant::RetireAny,
        Mutant::RetireStaged,
        Mutant::SkipIntent,
    ] {
        assert!(is_caught(mutant), "{mutant:?} was not noticed");
    }
}
