//! Random schedules of faults, two rotators among them, shrunk to the least that fails.
//!
//! `KEYWARD_SCHEDULES` says how many, and `KEYWARD_SEED` which: a failure tells the schedule, and
//! the seed that it came from.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::scenario::{Run, SCENARIOS, run};
use super::world::{Fault, Faults};

const SCHEDULES: u32 = 1000;

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::CrashAfter),
        3 => Just(Fault::CrashBefore),
        2 => Just(Fault::Fails),
        3 => Just(Fault::Lost),
        1 => Just(Fault::Throttled),
        1 => (1..500_u32).prop_map(Fault::Down),
        1 => (1..500_u32).prop_map(Fault::Storm),
        1 => (1..60_u32).prop_map(Fault::Late),
        1 => prop_oneof![Just(Fault::Jump(86_400)), Just(Fault::Jump(-86_400))],
        1 => (1..1500_u32).prop_map(Fault::Slow),
        // Shorter and longer than a lease.
        2 => prop_oneof![1..200_u32, 290..400_u32, 4000..5000_u32].prop_map(Fault::Stall),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    // The first two processes, and lives that follow.
    prop::collection::btree_map((0..5_usize, 1..90_u32), fault(), 0..7)
}

fn number(name: &str, otherwise: u64) -> u64 {
    #[allow(clippy::disallowed_methods, reason = "how much is tested is said by who runs it")]
    let set = std::env::var(name).ok();
    set.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
#[allow(clippy::print_stdout, reason = "the rate is for who runs it")]
fn random_schedules() {
    let schedules = u32::try_from(number("KEYWARD_SCHEDULES", SCHEDULES.into())).expect("a count");
    let seed = number("KEYWARD_SEED", 1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases: schedules, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, random);
    let began = Instant::now();
    let seen = RefCell::new(BTreeMap::<_, u32>::new());
    let plan = (0..SCENARIOS.len(), any::<bool>(), any::<u64>(), faults());
    let result = runner.run(&plan, |(scenario, two, seed, faults)| {
        let plan = Run { faults, two, seed, mutant: None };
        match run(&SCENARIOS[scenario], &plan) {
            Ok(report) => {
                let mut seen = seen.borrow_mut();
                let ends = report.errors.iter().map(|error| format!("{:?}", error.kind()));
                let swept = (report.swept > 0).then(|| "swept".to_owned());
                for end in ends.chain(swept) {
                    *seen.entry(end).or_default() += 1;
                }
                Ok(())
            }
            Err(what) => Err(TestCaseError::fail(what)),
        }
    });
    let rate = f64::from(schedules) / began.elapsed().as_secs_f64();
    match result {
        Ok(()) => {
            let seen = seen.into_inner();
            println!("{schedules} schedules of seed {seed}, {rate:.0} a second: {seen:?}");
            // The schedules bite: what another took is lost, and what does not answer is told.
            for kind in ["LeaseLost", "OrganizationUnavailable", "StoreUnavailable"] {
                assert!(schedules < 1000 || seen.contains_key(kind), "no schedule met {kind}");
            }
        }
        Err(TestError::Fail(what, (scenario, two, order, faults))) => panic!(
            "KEYWARD_SEED={seed}: {what}: {}, two: {two}, order: {order}, {faults:?}",
            SCENARIOS[scenario].name
        ),
        Err(error) => panic!("KEYWARD_SEED={seed}: {error}"),
    }
}
