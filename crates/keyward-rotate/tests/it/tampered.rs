//! A journal that somebody else has written: what it cannot bring about.

use std::time::Duration;

use keyward::store::{KeyNote, KeyStore as _, MemoryStore};
use keyward::{ApiKey, Timestamp};
use keyward_rotate::RotateErrorKind;
use keyward_testkit::FakeOpenAi;

use crate::fixture::World;

/// Whoever can write the journal cannot choose what is deleted, nor move a rotation elsewhere.
#[tokio::test]
async fn a_journal_is_not_trusted_to_delete_what_others_made() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let slow = world.rotator_of(world.slow_slot());
    let dropped = tokio::time::timeout(Duration::from_secs(3), slow.rotate("billing")).await;
    assert!(dropped.is_err(), "it drains");
    let bystander = world.fake.seed_service_account_key(&world.account);
    let id = world.fake.key_id(&bystander).unwrap();
    let journal = world.store.journal().await.unwrap();
    let old =
        journal.text().split("\"old\":[{\"key\":\"").nth(1).unwrap().split('"').next().unwrap();
    for (from, to, kind) in [
        (old, id.as_str(), RotateErrorKind::JournalRefused),
        (world.project.as_str(), "proj_other", RotateErrorKind::Configuration),
        ("keyward/billing/", "keyward/search/", RotateErrorKind::JournalRefused),
    ] {
        let read = world.store.journal().await.unwrap();
        world.store.write_journal(&read, &journal.text().replace(from, to)).await.unwrap();
        let error = world.rotator().resume("billing").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(world.fake.key_is_live(&bystander));
    }
    let read = world.store.journal().await.unwrap();
    world.store.write_journal(&read, journal.text()).await.unwrap();
    world.rotator().resume("billing").await.unwrap().unwrap();
    assert_eq!(world.live(), 2, "the new one and the bystander");
}

/// The account of the key in use, in the place of an old key's.
#[tokio::test]
async fn the_account_of_the_key_in_use_is_not_deleted() {
    let fake = FakeOpenAi::builder().refuse_service_account_key_deletion(true);
    let world = World::of(fake).await;
    for _ in 0..3 {
        world.rotator().rotate("billing").await.unwrap();
    }
    let slow = world.rotator_of(world.slow_slot());
    let dropped = tokio::time::timeout(Duration::from_secs(3), slow.rotate("billing")).await;
    assert!(dropped.is_err(), "it drains");
    let read = world.store.journal().await.unwrap();
    let after = |text: &str, from: &str| {
        let rest = text.split(from).nth(1).expect("it is written");
        rest.split('"').next().expect("it ends").to_owned()
    };
    let made = read.text().lines().find(|line| line.contains("account_made")).expect("an account");
    let own = after(made, "\"account\":\"");
    let olds = after(read.text(), "\"account\":\"");
    assert_ne!(own, olds);
    let text = read.text().replace(&olds, &own);
    world.store.write_journal(&read, &text).await.unwrap();
    let error = world.rotator().resume("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::JournalRefused, "{error}");
    assert!(error.to_string().contains(&own), "{error}");
    world.current().await;
}

/// The key in use, in the place of an old one, where the store has noted no id of it.
#[tokio::test]
async fn the_key_in_use_is_not_deleted() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let slow = world.rotator_of(world.slow_slot());
    let dropped = tokio::time::timeout(Duration::from_secs(3), slow.rotate("billing")).await;
    assert!(dropped.is_err(), "it drains");
    let snapshot = world.store.snapshot().await.unwrap();
    let (current, old) = (snapshot.current.unwrap(), snapshot.previous.unwrap());
    let (id, old) = (current.note.key_id.unwrap(), old.note.key_id.unwrap());
    let text = world.store.journal().await.unwrap().text().replace(&old, &id);

    let copy = MemoryStore::new("a copy");
    let at = Timestamp::from_unix_seconds(1_790_000_000);
    let note = KeyNote::new().tag(current.note.tag.unwrap());
    let key: ApiKey = current.key;
    let version = copy.stage(&key, &note, at).await.unwrap();
    copy.promote(&version, at).await.unwrap();
    let empty = copy.journal().await.unwrap();
    copy.write_journal(&empty, &text).await.unwrap();
    let rotator = world.builder().slot(world.slot(), copy).build().unwrap();
    let error = rotator.resume("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::JournalRefused, "{error}");
    assert!(error.to_string().contains(&id), "{error}");
    assert!(world.is_live(&key), "the key in use is dead");
}
