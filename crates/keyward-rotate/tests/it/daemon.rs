//! Rotation by itself: when it begins, and beside what.

use std::time::Duration;

use keyward::store::KeyStore as _;
use keyward_rotate::{EventKind, Slot, Stragglers};

use crate::fixture::{MINT, World, short_silence};

#[tokio::test]
async fn the_daemon_rotates_what_is_due_and_ends_when_it_is_dropped() {
    let world = World::start().await;
    let rotator = world.rotator();
    let mut events = rotator.events();
    let daemon = rotator.clone();
    let running = tokio::spawn(async move { daemon.run().await });
    let finished = async {
        while let Some(event) = events.next().await {
            if event.what == EventKind::Finished {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), finished).await.expect("it rotates");
    world.current().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.fake.count("POST", MINT), 1, "it is not due again");
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

/// It has rested for long when it only ends what an earlier process began.
#[tokio::test]
async fn the_daemon_goes_on_when_it_has_handed_a_key_on() {
    let world = World::start().await;
    let seconds = Duration::from_secs;
    let slot = world.slot().with_ttl(seconds(60)).unwrap().with_rotate_after(seconds(12)).unwrap();
    let slot = slot
        .with_grace(seconds(12))
        // Longer than a busy machine keeps who uses the key from using it.
        .with_short_silence(short_silence(seconds(6)))
        .with_stragglers(Stragglers::Hold);
    let rotator = world.rotator_of(slot);
    rotator.rotate("billing").await.unwrap();
    let old = world.store.current().await.unwrap().unwrap();
    // Somebody uses it all the time.
    let used = async {
        loop {
            world.use_key(&old.key).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let mut events = rotator.events();
    let next = async {
        let begun = tokio::time::timeout(seconds(2), rotator.rotate("billing")).await;
        assert!(begun.is_err(), "it drains");
        let running = rotator.run();
        let told = async {
            let mut handed_on = None;
            while let Some(event) = events.next().await {
                match event.what {
                    EventKind::Step { step: "handed_on", .. } => {
                        handed_on = Some(std::time::Instant::now());
                    }
                    EventKind::Step { step: "intent", .. } if handed_on.is_some() => break,
                    _ => {}
                }
            }
            handed_on.expect("it is due").elapsed()
        };
        tokio::select! {
            () = running => unreachable!("it does not return"),
            paused = told => paused,
        }
    };
    let paused = tokio::select! {
        () = used => unreachable!("it does not end"),
        paused = tokio::time::timeout(seconds(120), next) => paused.expect("it is handed on"),
    };
    assert!(paused < seconds(5), "it rested for {paused:?}, and nobody held the key meanwhile");
}

/// An old key that is held keeps no other slot of the project waiting.
#[tokio::test]
async fn the_daemon_drains_beside_other_slots() {
    let world = World::start().await;
    let held = world.slow_slot();
    let held = held.with_stragglers(Stragglers::Hold);
    let search = Slot::new(
        "search",
        world.project.as_str(),
        world.account.as_str(),
        world.slot().scopes().clone(),
    );
    let rotator = world
        .builder()
        .slot(held, world.store.clone())
        .slot(search.unwrap(), keyward::store::MemoryStore::new("search"))
        .build()
        .unwrap();
    rotator.rotate("billing").await.unwrap();
    let open = tokio::time::timeout(Duration::from_secs(3), rotator.rotate("billing")).await;
    assert!(open.is_err(), "it drains");
    let mut events = rotator.events();
    let made = async {
        while let Some(event) = events.next().await {
            let is_promoted = matches!(event.what, EventKind::Step { step: "promoted", .. });
            if event.slot == "search" && is_promoted {
                return true;
            }
        }
        false
    };
    let is_made = tokio::select! {
        () = rotator.run() => unreachable!("it does not return"),
        is_made = made => is_made,
        () = tokio::time::sleep(Duration::from_secs(20)) => false,
    };
    assert!(is_made);
    assert!(rotator.status("billing").await.unwrap().open.is_some(), "it drains still");
}

#[tokio::test]
async fn the_daemon_makes_one_key_at_a_time_in_a_project() {
    let world = World::start().await;
    let scopes = world.slot().scopes().clone();
    let other = Slot::new("search", world.project.as_str(), world.account.as_str(), scopes.clone());
    let rotator = world
        .builder()
        .slot(world.slot(), world.store.clone())
        .slot(other.unwrap(), keyward::store::MemoryStore::new("search"))
        .build()
        .unwrap();
    let mut events = rotator.events();
    let mut order = Vec::new();
    let both = async {
        while let Some(event) = events.next().await {
            if let EventKind::Step { step: "intent" | "promoted", .. } = event.what {
                order.push(event.slot);
            }
            if order.len() == 4 {
                return;
            }
        }
    };
    tokio::select! {
        () = rotator.run() => unreachable!("it does not return"),
        () = both => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => {}
    }
    assert_eq!(order, ["billing", "billing", "search", "search"]);
}
