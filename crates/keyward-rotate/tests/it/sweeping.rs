//! Sweeps: what is found, and what is not touched.

use std::collections::BTreeSet;
use std::time::Duration;

use keyward::Timestamp;
use keyward::store::{KeyNote, KeyStore as _, MemoryStore};
use keyward_admin::{NewServiceAccountKey, Scope, Scopes};
use keyward_rotate::{Fate, Sweep};
use keyward_testkit::FakeOpenAi;

use crate::fixture::World;

impl World {
    /// A key under this name, made as another process would have.
    async fn mint(&self, name: &str) -> String {
        let account = self.client().project(self.project.as_str());
        let account = account.service_account(self.account.as_str());
        let new = NewServiceAccountKey::new(name, Scopes::only(Scope::RESPONSES_WRITE));
        let minted = account.create_key(new).await.expect("minted");
        minted.metadata.id.expect("an id").to_string()
    }
}

fn tag(slot: &str, n: usize) -> String {
    format!("keyward/{slot}/{n:013}")
}

/// Everything, however young.
fn everything() -> Sweep {
    Sweep::report().older_than(Duration::ZERO)
}

#[tokio::test]
async fn of_ten_thousand_keys_exactly_the_fifty_orphans() {
    let world = World::start().await;
    let rotator = world.rotator();
    rotator.rotate("billing").await.unwrap();
    let outcome = rotator.rotate("billing").await.unwrap();
    let in_use = outcome.key_id.unwrap();
    let mut ours = BTreeSet::new();
    for n in 0..50 {
        ours.insert(world.mint(&tag("billing", n)).await);
    }
    for name in ["keyward", "keyward/billing", "keyward/billing/x", "Keyward/billing/0000000000000"]
    {
        world.mint(name).await;
    }
    world.mint(&tag("search", 1)).await;
    for _ in world.live()..10_000 {
        world.fake.seed_service_account_key(&world.account);
    }
    // Both seconds of a made key and of a sweep may be the same one.
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let report = rotator.sweep("billing", everything()).await.unwrap();
    assert_eq!(report.listed, 10_000);
    let found = |report: &keyward_rotate::SweepReport| {
        report.orphans.iter().filter_map(|o| o.key_id.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(found(&report), ours);
    assert!(report.orphans.iter().all(|orphan| orphan.fate == Fate::Reported));
    assert_eq!(world.live(), 10_000, "a dry run");

    let report = rotator.sweep("billing", everything().deleting()).await.unwrap();
    assert_eq!(found(&report), ours);
    assert!(report.is_clean(), "{report}");
    assert_eq!(world.live(), 9_950);
    assert_eq!(world.current().await, in_use);
    assert!(rotator.sweep("billing", everything()).await.unwrap().orphans.is_empty());
}

#[tokio::test]
async fn what_may_be_in_use_is_protected() {
    let world = World::start().await;
    let rotator = world.rotator();
    rotator.rotate("billing").await.unwrap();
    world.mint(&tag("billing", 1)).await;

    let report = rotator.sweep("billing", Sweep::report().deleting()).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::TooYoung, "{report}");

    tokio::time::sleep(Duration::from_millis(1100)).await;
    let now =
        Timestamp::from(std::time::UNIX_EPOCH + Duration::from_secs(world.fake.clock().now()));
    let lease = world.store.lease("another", Duration::from_secs(60), now).await.unwrap();
    let report = rotator.sweep("billing", everything().deleting()).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::SlotInUse, "{report}");
    assert!(report.to_string().contains("another rotator"), "{report}");
    world.store.release(&lease).await.unwrap();
    assert_eq!(world.live(), 2);
    assert!(rotator.sweep("billing", everything().deleting()).await.unwrap().is_clean());
    assert_eq!(world.live(), 1);
}

/// A key that stands in the store with nothing noted is in use all the same, as after somebody put
/// an older one back there.
#[tokio::test]
async fn what_is_current_is_protected_whatever_is_noted() {
    for note in [KeyNote::new(), KeyNote::new().key_id("key_of_somebody_else").tag("no tag")] {
        let world = World::start().await;
        world.rotator().rotate("billing").await.unwrap();
        let made = world.store.current().await.unwrap().unwrap();
        // The same key, in another store, by hand.
        let store = MemoryStore::new("by hand");
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        let version = store.stage(&made.key, &note, at).await.unwrap();
        store.promote(&version, at).await.unwrap();
        let rotator = world.builder().slot(world.slot(), store).build().unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let report =
            rotator.sweep("billing", everything().including_used().deleting()).await.unwrap();
        assert!(report.orphans.is_empty(), "{report}");
        assert!(world.is_live(&made.key));
    }
}

/// Two deployments in one project, with slots of the same name.
#[tokio::test]
async fn what_belongs_to_another_account_or_is_used_is_not_touched() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let made = world.store.current().await.unwrap().unwrap();
    let staging = world.fake.seed_service_account(&world.project, "staging", "member");
    let scopes = world.slot().scopes().clone();
    let other = |account: &str| {
        let slot =
            keyward_rotate::Slot::new("billing", world.project.as_str(), account, scopes.clone());
        let slot = slot.unwrap();
        world.builder().slot(slot, MemoryStore::new("staging")).build().unwrap()
    };
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let report = other(&staging).sweep("billing", everything().deleting()).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::OtherAccount, "{report}");

    // On the same account nothing tells them apart but that the key is used.
    let lately = Sweep::report().older_than(Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(4200)).await;
    assert!(world.use_key(&made.key).await);
    let report = other(&world.account).sweep("billing", lately.clone().deleting()).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::InUse, "{report}");
    assert!(report.to_string().contains("somebody uses it") && !report.is_clean(), "{report}");
    assert!(world.is_live(&made.key));
    let even_so = lately.including_used().deleting();
    let report = other(&world.account).sweep("billing", even_so).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::Deleted, "{report}");
}

#[tokio::test]
async fn a_rotation_that_is_open_is_known() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let slow = world.rotator_of(world.slow_slot());
    let dropped = tokio::time::timeout(Duration::from_secs(2), slow.rotate("billing")).await;
    assert!(dropped.is_err() && world.live() == 2);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let report = world.rotator().sweep("billing", everything().deleting()).await.unwrap();
    assert!(report.orphans.is_empty(), "{report}");
    assert_eq!(world.live(), 2, "the old one drains");
}

#[tokio::test]
async fn other_slots_and_slots_that_nobody_has() {
    let world = World::start().await;
    let search = keyward_rotate::Slot::new(
        "search",
        world.project.as_str(),
        world.account.as_str(),
        Scopes::only(Scope::RESPONSES_WRITE),
    );
    let rotator = world
        .builder()
        .slot(world.slot(), world.store.clone())
        .slot(search.unwrap(), MemoryStore::new("search"))
        .build()
        .unwrap();
    for slot in ["billing", "search", "unknown"] {
        world.mint(&tag(slot, 1)).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let fates = |report: keyward_rotate::SweepReport| {
        let mut fates: Vec<_> =
            report.orphans.iter().map(|o| (o.tag.slot().to_owned(), o.fate)).collect();
        fates.sort_by(|a, b| a.0.cmp(&b.0));
        fates
    };
    let own = rotator.sweep("billing", everything()).await.unwrap();
    assert_eq!(fates(own), [("billing".to_owned(), Fate::Reported)]);
    let whole = everything().of_the_whole_project().deleting();
    let whole = rotator.sweep("billing", whole).await.unwrap();
    let expected = [
        ("billing".to_owned(), Fate::Deleted),
        ("search".to_owned(), Fate::Deleted),
        ("unknown".to_owned(), Fate::UnknownSlot),
    ];
    assert_eq!(fates(whole), expected);
    assert_eq!(world.live(), 1);
    let all = everything().including_unknown_slots().deleting();
    assert!(rotator.sweep("billing", all).await.unwrap().is_clean());
    assert_eq!(world.live(), 0);
}

#[tokio::test]
async fn where_single_keys_cannot_be_deleted_they_are_let_expire() {
    let fake = FakeOpenAi::builder().refuse_service_account_key_deletion(true);
    let world = World::of(fake).await;
    world.mint(&tag("billing", 1)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let report = world.rotator().sweep("billing", everything().deleting()).await.unwrap();
    assert_eq!(report.orphans[0].fate, Fate::Expired, "{report}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(world.live(), 0);
    assert!(world.rotator().sweep("billing", everything()).await.unwrap().orphans.is_empty());
}
