//! A fake organization, a slot in it, a store, and a rotator over them.

use std::time::Duration;

use keyward::store::{DynKeyStore, KeyNote, KeyStore, MemoryStore};
use keyward::{ApiKey, KeyPolicy, KeySource, LoadedKey, Timestamp};
use keyward_admin::{AdminKey, AdmitContext, Client, Scope, Scopes};
use keyward_rotate::danger::ShortSilence;
use keyward_rotate::{
    HttpProbe, Probe as _, ProbeAnswer, Rotator, RotatorBuilder, Slot, Verification,
};
use keyward_testkit::{FakeOpenAi, FakeOpenAiBuilder, Fault, FaultAction};

pub(crate) const MINT: &str =
    "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";
pub(crate) const KEY: &str = "/organization/projects/{project_id}/api_keys/{api_key_id}";

pub(crate) struct World {
    pub(crate) fake: FakeOpenAi,
    pub(crate) project: String,
    pub(crate) account: String,
    pub(crate) store: DynKeyStore,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::of(FakeOpenAi::builder()).await
    }

    pub(crate) async fn of(fake: FakeOpenAiBuilder) -> Self {
        Self::with_store(fake, MemoryStore::new("billing")).await
    }

    pub(crate) async fn with_store(
        fake: FakeOpenAiBuilder,
        store: impl KeyStore + 'static,
    ) -> Self {
        let fake = fake.start().await.expect("a fake");
        let project = fake.seed_project("website");
        let account = fake.seed_service_account(&project, "billing", "member");
        Self { fake, project, account, store: DynKeyStore::new(store) }
    }

    /// A slot that waits for next to nothing.
    pub(crate) fn slot(&self) -> Slot {
        // It may be proved by `/models`, so it has been used when it becomes an old one.
        let scopes = Scopes::only(Scope::RESPONSES_WRITE).and(Scope::MODEL_REQUEST);
        let mut verification = Verification::default();
        verification.patience = Duration::from_secs(10);
        Slot::new("billing", self.project.as_str(), self.account.as_str(), scopes)
            .expect("a slot")
            .with_grace(Duration::from_secs(60))
            .with_short_silence(short_silence(Duration::ZERO))
            .with_verification(verification)
    }

    /// A slot whose old key takes an hour to be silent.
    pub(crate) fn slow_slot(&self) -> Slot {
        let hour = Duration::from_secs(3600);
        self.slot().with_grace(2 * hour).with_silence(hour)
    }

    pub(crate) fn client(&self) -> Client {
        let key = ApiKey::parse(self.fake.admin_key()).expect("a key");
        Client::builder(admitted(&key))
            .base_url(self.fake.base_url())
            .allow_loopback()
            .timeout(Duration::from_secs(5))
            .max_wait(Duration::from_secs(3))
            .build()
            .expect("a client")
    }

    pub(crate) fn probe(&self) -> HttpProbe {
        let policy = KeyPolicy::production().with_host("127.0.0.1").expect("a host");
        HttpProbe::new(self.fake.base_url(), policy).expect("a probe")
    }

    pub(crate) fn builder(&self) -> RotatorBuilder {
        Rotator::builder(self.client(), "test").probe(self.probe())
    }

    pub(crate) fn rotator(&self) -> Rotator {
        self.rotator_of(self.slot())
    }

    pub(crate) fn rotator_of(&self, slot: Slot) -> Rotator {
        self.builder().slot(slot, self.store.clone()).build().expect("a rotator")
    }

    pub(crate) fn fails(&self, method: &str, template: &str, action: FaultAction) {
        self.fake.fault(Fault::on(method, template).then(action));
    }

    /// Uses a key once, as a service does.
    pub(crate) async fn use_key(&self, key: &ApiKey) -> bool {
        let loaded = LoadedKey::new(key.clone(), KeySource::new("memory", "billing"));
        self.probe().probe(&loaded, &self.slot()).await == ProbeAnswer::Live
    }

    /// A key that somebody made by hand, current in the store and in use. With its id noted or not.
    pub(crate) async fn put_by_hand(&self, with_id: bool) -> String {
        let value = self.fake.seed_service_account_key(&self.account);
        let id = self.fake.key_id(&value).expect("it was made here");
        let key = ApiKey::parse(value).expect("a key");
        let note = if with_id { KeyNote::new().key_id(id.as_str()) } else { KeyNote::new() };
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        let version = self.store.stage(&key, &note, at).await.expect("staged");
        self.store.promote(&version, at).await.expect("promoted");
        assert!(self.use_key(&key).await, "it is live");
        id
    }

    /// The id of the key in use, which must be live.
    pub(crate) async fn current(&self) -> String {
        let stored = self.store.current().await.expect("a store").expect("a key");
        assert!(self.is_live(&stored.key), "the key in use is dead");
        stored.note.key_id.unwrap_or_default()
    }

    pub(crate) fn is_live(&self, key: &ApiKey) -> bool {
        let mut live = self.fake.live_key_values().into_iter();
        live.any(|value| ApiKey::parse(value).expect("a key") == *key)
    }

    /// How many keys are live, but for the admin key.
    pub(crate) fn live(&self) -> usize {
        self.fake.live_key_values().len() - 1
    }
}

/// There is nobody else in the fake organization.
pub(crate) fn short_silence(silence: Duration) -> ShortSilence {
    ShortSilence::new(silence, "the organization is a fake").expect("a reason")
}

pub(crate) fn admitted(key: &ApiKey) -> AdminKey {
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    KeyPolicy::admin().admit(key, &now).expect("admitted").into_admin_key().expect("an admin key")
}
