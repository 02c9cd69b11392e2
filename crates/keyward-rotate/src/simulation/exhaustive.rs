//! Every single fault at every operation, and every pair of crashes, in every scenario.
//!
//! `KEYWARD_SIMULATE_EVERY=1` takes all of them, as CI does; without it one of 24 is taken, since
//! somebody waits for the tests.

use super::scenario::{Run, SCENARIOS, run};
use super::world::Fault;

/// What befalls one operation.
const EACH: [Fault; 12] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Fails,
    Fault::Lost,
    Fault::Throttled,
    Fault::Late(3),
    Fault::Late(40),
    Fault::Jump(86_400),
    Fault::Jump(-86_400),
    Fault::Down(400),
    Fault::Storm(400),
    Fault::Slow(700),
];

fn one_in() -> usize {
    #[allow(clippy::disallowed_methods, reason = "how much is tested is said by who runs it")]
    let set = std::env::var("KEYWARD_SIMULATE_EVERY").ok();
    set.map_or(24, |text| text.parse().expect("KEYWARD_SIMULATE_EVERY is a number from 1"))
}

#[test]
fn nothing_goes_wrong_where_nothing_does() {
    for scenario in &SCENARIOS {
        let report = run(scenario, &Run::default()).expect(scenario.name);
        let is_refused = scenario.is_archived || scenario.role_none || scenario.capped;
        assert_eq!(report.errors.len(), usize::from(is_refused), "{}: {report:?}", scenario.name);
        let is_nothing = is_refused || scenario.goal == crate::machine::Goal::Resume;
        assert_eq!(report.outcomes, usize::from(!is_nothing), "{}", scenario.name);
        assert_eq!(report.swept, 0, "{}", scenario.name);
    }
}

#[test]
fn every_fault_at_every_operation() {
    let mut runs = 0;
    for scenario in &SCENARIOS {
        let ops = run(scenario, &Run::default()).expect(scenario.name).ops;
        for op in (1..=ops).step_by(one_in()) {
            for fault in EACH {
                let faults = [((0, op), fault)].into();
                let plan = Run { faults, ..Run::default() };
                let place = || format!("{}: {fault:?} at {op} of {ops}", scenario.name);
                let report =
                    run(scenario, &plan).unwrap_or_else(|what| panic!("{}: {what}", place()));
                assert_eq!(report.swept, 0, "{}: nothing is left for a sweep", place());
                runs += 1;
            }
        }
    }
    assert!(runs * one_in() > 1000, "{runs}");
}

/// A crash after a look is the same as one after the last change before it, so these are all.
#[test]
fn every_pair_of_crashes() {
    let mut runs = 0;
    for scenario in &SCENARIOS {
        let plain = run(scenario, &Run::default()).expect(scenario.name);
        for one in [&[1][..], &plain.effects[0]].concat() {
            let first = ((0, one), Fault::CrashAfter);
            let plan = Run { faults: [first].into(), ..Run::default() };
            let second_life = run(scenario, &plan).expect(scenario.name).effects.get(1).cloned();
            for two in second_life.unwrap_or_default().into_iter().step_by(one_in()) {
                let faults = [first, ((1, two), Fault::CrashAfter)].into();
                let plan = Run { faults, ..Run::default() };
                if let Err(what) = run(scenario, &plan) {
                    panic!("{}: crashes after {one} and {two}: {what}", scenario.name);
                }
                runs += 1;
            }
        }
    }
    assert!(runs * one_in() > 1000, "{runs}");
}

/// One of two rotators sleeps at each of its operations, for longer than its lease, and the other
/// takes the slot; or one operation takes so long.
#[test]
fn a_sleeper_and_another() {
    for scenario in &SCENARIOS {
        let ops = run(scenario, &Run::default()).expect(scenario.name).ops;
        for op in (1..=ops).step_by(one_in()) {
            let naps = [320, 350, 380, 1000].map(Fault::Stall);
            for nap in [&naps[..], &[Fault::Slow(320), Fault::Slow(1000)]].concat() {
                let faults = [((0, op), nap)].into();
                // The one that sleeps has the slot first.
                let plan = Run { faults, two: true, seed: 1, ..Run::default() };
                if let Err(what) = run(scenario, &plan) {
                    panic!("{}: {nap:?} at {op} of {ops}: {what}", scenario.name);
                }
            }
        }
    }
}

/// One operation takes almost as long as the lease, and the answer of the next one is lost: what is
/// made once more is made under the lease, or not at all.
#[test]
fn a_slow_operation_before_a_lost_answer() {
    for scenario in &SCENARIOS {
        let ops = run(scenario, &Run::default()).expect(scenario.name).ops;
        for op in (1..=ops).step_by(one_in().min(4)) {
            for slow in [210, 246, 290] {
                let faults = [((0, op), Fault::Slow(slow)), ((0, op + 1), Fault::Lost)].into();
                let plan = Run { faults, two: true, seed: 1, ..Run::default() };
                if let Err(what) = run(scenario, &plan) {
                    panic!("{}: {slow} s at {op} of {ops}: {what}", scenario.name);
                }
            }
        }
    }
}

/// A store that shows once what it held before, although the contract of stores does not let it.
#[test]
fn a_store_that_is_late() {
    for scenario in &SCENARIOS {
        let plain = run(scenario, &Run::default()).expect(scenario.name);
        for op in (1..=plain.ops).step_by(one_in()) {
            let plan = Run { faults: [((0, op), Fault::Old)].into(), ..Run::default() };
            let place = format!("{} at {op} of {}", scenario.name, plain.ops);
            let report = run(scenario, &plan).unwrap_or_else(|what| panic!("{place}: {what}"));
            assert_eq!(report.errors.len(), plain.errors.len(), "{place}: {:?}", report.errors);
            assert_eq!((report.outcomes, report.swept), (plain.outcomes, 0), "{place}");
            assert_eq!(report.keys, plain.keys, "{place}: no key was given up");
        }
    }
}
