//! A service under load while the key in its store is replaced and the old one deleted.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use keyward::authorize::Authorizer;
use keyward::store::{FileStore, KeyNote, KeyStore};
use keyward::{ApiKey, KeyFingerprint, KeyPolicy, LiveKey, Timestamp};
use keyward_testkit::FakeOpenAi;

use crate::fixture::Organization;
use crate::under_load::{Load, PATIENCE};

/// A service in this process: the key is taken for each request, and after a 401 the request is made
/// once more for each other key that there is.
pub(crate) struct Service {
    key: LiveKey,
    authorizer: Authorizer,
    http: reqwest::Client,
    url: String,
}

impl Service {
    pub(crate) async fn start(store: impl KeyStore + 'static, base_url: &str) -> Self {
        let policy = KeyPolicy::production().with_host("127.0.0.1").expect("a host");
        Self {
            key: LiveKey::project(store, policy.clone()).start().await.expect("a key"),
            authorizer: Authorizer::new(policy),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            url: format!("{base_url}/responses"),
        }
    }

    pub(crate) async fn ask(&self) -> Result<(), String> {
        loop {
            let mut request = http::Request::post(&self.url)
                .header("content-type", "application/json")
                .body(r#"{"model": "gpt-5", "input": "ping"}"#)
                .expect("a request");
            let used = {
                let key = self.key.current().map_err(|why| why.to_string())?;
                let authorized = self.authorizer.authorize(&key, &mut request);
                authorized.map_err(|refusal| refusal.to_string())?;
                key.fingerprint()
            };
            let request = request.try_into().expect("a request");
            let answer = self.http.execute(request).await.map_err(|error| error.to_string())?;
            match answer.status().as_u16() {
                200 => return Ok(()),
                401 if self.key.rejected(&used).await => {}
                401 => return Err(format!("401 and no other key: {:?}", self.key.health())),
                status => return Err(status.to_string()),
            }
        }
    }

    pub(crate) async fn moves_to(&self, fingerprint: KeyFingerprint) {
        let begun = Instant::now();
        while self.key.current().expect("a key").fingerprint() != fingerprint {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.key.health());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the keys of the fake expire by the real time")]
    SystemTime::now().into()
}

/// Puts a key in the place of the one before, as whoever rotates keys does.
async fn replace(store: &impl KeyStore, text: &str) {
    let key = ApiKey::issued(text.to_owned()).expect("a key");
    let version = store.stage(&key, &KeyNote::new(), now()).await.expect("staged");
    store.promote(&version, now()).await.expect("promoted");
}

/// The service and whoever rotates have a store each, as in two processes.
async fn assert_survives<S: KeyStore + 'static>(rotators: S, services: S) {
    let org = Organization::of(FakeOpenAi::start().await.expect("a fake"));
    let project = org.client().project(org.project.clone());
    let mint = || org.fake.seed_service_account_key(org.account.as_str());
    let mut old = mint();
    replace(&rotators, &old).await;
    let source = services.source();
    let service = Arc::new(Service::start(services, &org.fake.base_url()).await);
    let load = Load::of({
        let service = Arc::clone(&service);
        move || {
            let service = Arc::clone(&service);
            async move { service.ask().await }
        }
    });
    // The old key is deleted once the service has moved over; and at once, so that the service
    // learns of it by a 401, and while the store forgets it.
    for is_patient in [true, false, false, false] {
        load.answers(50).await;
        let new = mint();
        let fingerprint = ApiKey::issued(new.clone()).expect("a key").fingerprint();
        replace(&rotators, &new).await;
        if is_patient {
            service.moves_to(fingerprint).await;
        }
        let id = org.fake.key_id(&old).expect("an id");
        let key = project.api_key(id.as_str());
        let forgotten = async {
            let previous = rotators.previous().await.expect("a store").expect("a previous key");
            rotators.discard(&previous.version).await.expect("discarded");
        };
        let (deleted, ()) = tokio::join!(key.delete(), forgotten);
        deleted.expect("deleted");
        service.moves_to(fingerprint).await;
        assert!(!org.fake.key_is_live(&old));
        old = new;
    }
    load.answers(50).await;
    let (answered, failures) = load.end().await;
    assert!(failures.is_empty(), "{source}: of {answered}, {}: {failures:?}", failures.len());
    assert!(answered >= 250, "{answered}");
    let health = service.key.health();
    assert!(health.loads < 40, "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_survives_rotations_of_a_plain_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    assert_survives(FileStore::new(&path), FileStore::new(&path)).await;
}

#[cfg(feature = "sealed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_survives_rotations_of_a_sealed_file() {
    use keyward::store::{SealedFile, Unlock};

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    let identity = directory.path().join("identity.txt");
    let unlock = Unlock::create_identity_file(&identity).await.expect("an identity");
    let services = SealedFile::new(&path, Unlock::identity_file(&identity));
    assert_survives(SealedFile::new(&path, unlock), services).await;
}
