//! Storms of 429: too many requests, at each step of a rotation, for a while or for longer than it
//! waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;

use super::kill::one_in;
use super::place::Kind;
use super::world::{Reader, World};
use crate::fixture::Organization;

/// How many worlds have storms at once; they wait most of the time.
const AT_ONCE: usize = 8;

/// How many of its requests are too many, one after the other.
const BURST: usize = 3;

async fn sweeps_and_is_whole(world: &mut World, after: &str) {
    let swept = world.run(&["--sweep", "--yes", "--older-than", "0"], None).await;
    assert_eq!(swept.code, Some(0), "{after}: {swept}");
    assert!(swept.stdout.lines().all(|line| !line.starts_with("orphan\t")), "{after}: {swept}");
    world.assert_whole(after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_second_or_third_request_is_too_many() {
    let storms = [(2, 0), (2, 1), (3, 0), (3, 1), (5, 0), (5, 1)];
    let storms = storms.into_iter().step_by(one_in(1)).map(async |(every, lag)| {
        let mut world = World::settled(Kind::File, Organization::start().await).await;
        let reader = Reader::of(&world);
        let after = format!("each request {every} n + {lag}");
        world.gate.on_arrival(move |n| n % every == lag);
        let ran = world.run(&[], None).await;
        world.gate.calms();
        assert_eq!(ran.code, Some(0), "{after}: {ran}");
        assert!(ran.stdout.contains("\ndone\tbilling\t"), "{after}: {ran}");
        sweeps_and_is_whole(&mut world, &after).await;
        let (uses, dead) = reader.end().await;
        assert!(uses > 0 && dead.is_empty(), "{dead:?}");
    });
    join_all(storms).await;
}

/// A few at each step: the rotation comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_at_each_step() {
    at_each_step(async |world, step| {
        world.gate.on_arrival(move |n| (step..step + BURST).contains(&n));
        let ran = world.run(&[], None).await;
        world.gate.calms();
        let after = format!("a burst at request {step}");
        assert_eq!(ran.code, Some(0), "{after}: {ran}");
        assert!(ran.stdout.contains("\ndone\tbilling\t"), "{after}: {ran}");
        after
    })
    .await;
}

/// All of them from each step on, for longer than is waited: it is left, and gone on with later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_from_each_step_on_that_outlasts_the_patience() {
    at_each_step(async |world, step| {
        world.write_slot("verify = { patience = \"2s\" }");
        world.gate.on_arrival(move |n| n >= step);
        let ran = world.run(&["--patience", "1"], None).await;
        world.gate.calms();
        let after = format!("a storm from request {step} on");
        // The number of looks at an old key is not always the same.
        let is_reached = ran.requests.len() >= step;
        assert_eq!(ran.code, Some(if is_reached { 3 } else { 0 }), "{after}: {ran}");
        let resumed = world.run(&["--resume"], None).await;
        assert_eq!(resumed.code, Some(0), "{after}: {resumed}");
        after
    })
    .await;
}

/// Does something at each of the requests of a rotation, and holds the world to be whole after each.
async fn at_each_step(storm: impl AsyncFn(&mut World, usize) -> String) {
    let mut first = World::settled(Kind::File, Organization::start().await).await;
    let counted = first.run(&[], None).await;
    assert_eq!(counted.code, Some(0), "{counted}");
    let steps: VecDeque<_> = (1..=counted.requests.len()).step_by(one_in(1)).collect();
    assert!(counted.requests.len() > 8, "{:?}", counted.requests);
    let at_once = AT_ONCE.min(steps.len());
    let steps = Arc::new(Mutex::new(steps));
    let workers = (0..at_once).map(|_| async {
        let mut world = World::settled(Kind::File, Organization::start().await).await;
        let reader = Reader::of(&world);
        loop {
            let step = steps.lock().expect("steps").pop_front();
            let Some(step) = step else { break };
            let after = storm(&mut world, step).await;
            sweeps_and_is_whole(&mut world, &after).await;
        }
        // Whoever is set up last may find that the others have done it all.
        let (uses, dead) = reader.end().await;
        assert!(dead.is_empty(), "{dead:?}");
        uses
    });
    let uses: u64 = join_all(workers).await.into_iter().sum();
    assert!(uses > 0, "nobody used the key");
}
