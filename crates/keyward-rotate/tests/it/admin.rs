//! The admin key is replaced too.

use std::time::Duration;

use keyward::store::{DynKeyStore, KeyNote, KeyStore as _, MemoryStore};
use keyward::{ApiKey, KeyPolicy, Timestamp};
use keyward_admin::{Client, Scope, Scopes};
use keyward_rotate::{
    AdminRotator, AdminRotatorBuilder, EventKind, HttpProbe, Retirement, RotateErrorKind, Rotator,
    Slot, Sweep,
};
use keyward_testkit::{FakeOpenAi, FakeOpenAiBuilder, Fault, FaultAction};

use crate::fixture::short_silence;

struct World {
    fake: FakeOpenAi,
    store: DynKeyStore,
}

impl World {
    async fn of(fake: FakeOpenAiBuilder) -> Self {
        let fake = fake.start().await.expect("as seeded");
        let store = DynKeyStore::new(MemoryStore::new("admin"));
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        let key = ApiKey::parse(fake.admin_key()).expect("as seeded");
        let id = fake.key_id(&fake.admin_key()).expect("as seeded");
        let version = store.stage(&key, &KeyNote::new().key_id(id), at).await.expect("as seeded");
        store.promote(&version, at).await.expect("as seeded");
        Self { fake, store }
    }

    fn builder(&self) -> AdminRotatorBuilder {
        let url = self.fake.base_url();
        let connect =
            move |key| Client::builder(key).base_url(url.clone()).allow_loopback().build();
        AdminRotator::builder("admin", self.store.clone(), connect, "test")
            .short_drain(Duration::from_secs(60), short_silence(Duration::ZERO))
    }

    fn rotator(&self) -> AdminRotator {
        self.builder().build().expect("as seeded")
    }

    async fn is_current_live(&self) -> bool {
        let current = self.store.current().await.expect("as seeded").expect("as seeded").key;
        self.fake
            .live_key_values()
            .into_iter()
            .any(|key| ApiKey::parse(key).expect("as seeded") == current)
    }
}

const KEYS: &str = "/organization/admin_api_keys";

#[tokio::test]
async fn the_new_one_deletes_the_old_one() {
    let world = World::of(FakeOpenAi::builder().list_project_keys_as_admin_keys(true)).await;
    let project = world.fake.seed_project("website");
    world.fake.seed_user_project_key(&project);

    // The first one was made by hand, and is left alone.
    let first = world.rotator().rotate().await.unwrap();
    assert_eq!(first.left_alone.len(), 1);
    assert!(first.expires_at.is_some());
    assert!(world.fake.key_is_live(&world.fake.admin_key()));

    let second = world.rotator().rotate().await.unwrap();
    assert_eq!(second.retired, [(first.key_id.unwrap(), Retirement::Deleted)]);
    assert_eq!(world.fake.live_key_values().len(), 3, "of the project, by hand, and the new one");

    // Named, the one that was made by hand is deleted: by another.
    let by_hand = world.fake.key_id(&world.fake.admin_key()).unwrap();
    let third = world.builder().retiring(by_hand).build().unwrap().rotate().await.unwrap();
    assert_eq!(third.retired.len(), 2);
    assert_eq!(world.fake.live_key_values().len(), 2);
    assert!(world.is_current_live().await);
}

#[tokio::test]
async fn a_lost_answer_leaves_no_admin_key_behind() {
    for action in [FaultAction::AnswerLost, FaultAction::StatusAfter { code: 500 }] {
        let world = World::of(FakeOpenAi::builder()).await;
        world.fake.fault(Fault::on("POST", KEYS).then(action));
        world.rotator().rotate().await.unwrap();
        assert_eq!(world.fake.live_key_values().len(), 2, "by hand, and the new one");
        let swept =
            world.rotator().sweep(Sweep::report().older_than(Duration::ZERO)).await.unwrap();
        assert!(swept.orphans.is_empty() && swept.listed == 2, "{swept}");
    }
}

#[tokio::test]
async fn it_waits_until_the_new_one_is_accepted_and_resumes() {
    let world = World::of(FakeOpenAi::builder().auth_cache(Duration::from_millis(2500))).await;
    let slow = world.rotator();
    let dropped = tokio::time::timeout(Duration::from_secs(2), slow.rotate()).await;
    assert!(dropped.is_err());
    assert!(world.store.pending().await.unwrap().is_some());
    let outcome = world.rotator().resume().await.unwrap().unwrap();
    assert!(outcome.was_resumed && world.is_current_live().await);
    assert!(world.rotator().status().await.unwrap().due_at.is_some());
}

#[tokio::test]
async fn without_a_first_key_it_says_so() {
    let store = MemoryStore::new("admin");
    let rotator = AdminRotator::builder("admin", store, Client::new, "test").build().unwrap();
    let error = rotator.rotate().await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::Configuration, "{error}");
}

/// The rotator of other slots goes on after the admin key that it had is dead, also in the middle of
/// a drain.
#[tokio::test]
async fn who_manages_by_the_store_is_not_locked_out() {
    let world = World::of(FakeOpenAi::builder()).await;
    let project = world.fake.seed_project("website");
    let account = world.fake.seed_service_account(&project, "billing", "member");
    let store = DynKeyStore::new(MemoryStore::new("billing"));
    let rotator = |silence: u64| {
        let url = world.fake.base_url();
        let connect =
            move |key| Client::builder(key).base_url(url.clone()).allow_loopback().build();
        let policy = KeyPolicy::production().with_host("127.0.0.1").unwrap();
        let scopes = Scopes::only(Scope::RESPONSES_WRITE).and(Scope::MODEL_REQUEST);
        let slot = Slot::new("billing", project.as_str(), account.as_str(), scopes).unwrap();
        let slot = slot.with_short_silence(short_silence(Duration::from_secs(silence)));
        Rotator::managed_with(world.store.clone(), connect, "test")
            .probe(HttpProbe::new(world.fake.base_url(), policy).unwrap())
            .slot(slot, store.clone())
            .build()
            .unwrap()
    };
    let hasty = rotator(0);
    hasty.rotate("billing").await.unwrap();
    // It has the first admin key when it begins to drain.
    let patient = rotator(4);
    let mut events = patient.events();
    let replaced = async {
        while let Some(event) = events.next().await {
            if matches!(event.what, EventKind::Step { step: "draining", .. }) {
                break;
            }
        }
        let by_hand = world.fake.key_id(&world.fake.admin_key()).unwrap();
        world.builder().retiring(by_hand).build().unwrap().rotate().await.unwrap();
        assert!(!world.fake.key_is_live(&world.fake.admin_key()));
    };
    let (drained, ()) = tokio::join!(patient.rotate("billing"), replaced);
    assert_eq!(drained.unwrap().retired.len(), 1);
    assert!(hasty.plan("billing").await.unwrap().is_possible());
    hasty.rotate("billing").await.unwrap();
    assert!(hasty.sweep("billing", Sweep::report()).await.unwrap().orphans.is_empty());
}

#[tokio::test]
async fn a_drain_that_cannot_be_makes_no_rotator() {
    let world = World::of(FakeOpenAi::builder()).await;
    let minute = Duration::from_secs(60);
    for (grace, silence) in [(60 * minute, Duration::ZERO), (minute, minute)] {
        let error = world.builder().drain(grace, silence).build().unwrap_err();
        assert_eq!(error.kind(), RotateErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("`silence` is"), "{error}");
    }
    assert!(world.builder().drain(2 * minute, minute).build().is_ok());
}
