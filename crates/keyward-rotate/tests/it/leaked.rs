//! A key leaked: what is done at once, whom it does not wait for, and what it tells.

use std::time::Duration;

use keyward::Timestamp;
use keyward::store::KeyStore as _;
use keyward_rotate::{EventKind, Retirement, RotateErrorKind, Stragglers};

use crate::fixture::{KEY, World};

#[tokio::test]
async fn after_a_leak_the_old_key_is_deleted_at_once() {
    let world = World::start().await;
    let slow = world.slow_slot().with_stragglers(Stragglers::Hold);
    let rotator = world.rotator_of(slow);
    rotator.rotate("billing").await.unwrap();
    let outcome = rotator.rotate_now("billing").await.unwrap();
    assert_eq!(outcome.retired[0].1, Retirement::Deleted);
    assert_eq!(world.live(), 1);
    assert_eq!(world.fake.count("POST", KEY), 0, "no expiry was waited for");
}

#[tokio::test]
async fn after_a_leak_no_task_that_drains_is_waited_for() {
    let world = World::start().await;
    let slow = world.slow_slot().with_stragglers(Stragglers::Hold);
    let rotator = world.rotator_of(slow);
    rotator.rotate("billing").await.unwrap();
    let draining = async {
        let mut events = rotator.events();
        let rotation = rotator.rotate("billing");
        let now = async {
            while let Some(event) = events.next().await {
                if matches!(event.what, EventKind::Step { step: "draining", .. }) {
                    break;
                }
            }
            rotator.rotate_now("billing").await
        };
        tokio::join!(rotation, now)
    };
    let (held, now) = tokio::time::timeout(Duration::from_secs(20), draining).await.unwrap();
    assert_eq!(held.unwrap_err().kind(), RotateErrorKind::LeaseLost);
    now.unwrap();
    assert_eq!(world.live(), 1);
}

#[tokio::test]
async fn after_a_leak_no_node_that_died_is_waited_for() {
    let world = World::start().await;
    let rotator = world.rotator_of(world.slow_slot().with_stragglers(Stragglers::Hold));
    rotator.rotate("billing").await.unwrap();
    let at = world.fake.clock().now();
    let at = Timestamp::from_unix_seconds(at.try_into().unwrap());
    world.store.lease("a dead node", Duration::from_secs(3600), at).await.unwrap();
    let error = rotator.rotate("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::LeaseHeld, "{error}");
    rotator.rotate_now("billing").await.unwrap();
    assert_eq!(world.live(), 1);
    assert!(world.store.snapshot().await.unwrap().lease.is_none());
}

#[tokio::test]
async fn a_leaked_key_that_lives_on_is_an_error() {
    let world = World::start().await;
    let by_hand = world.put_by_hand(true).await;
    let error = world.rotator().rotate_now("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::LeftAlone, "{error}");
    assert!(error.needs_a_person() && error.to_string().contains(&by_hand), "{error}");
    assert_eq!(world.live(), 2, "the new one is in use");
    world.rotator_of(world.slot().retiring(by_hand)).rotate_now("billing").await.unwrap();
    assert_eq!(world.live(), 1);
}
