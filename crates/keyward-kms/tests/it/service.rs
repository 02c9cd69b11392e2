//! A service under load while the key in a cloud's store is replaced, and the old one deleted at
//! OpenAI: no request may fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
use keyward::Timestamp;
use keyward::authorize::Authorizer;
use keyward::reference::References;
#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
use keyward::store::{KeyNote, KeyStore};
use keyward::{DynKeyLoader, KeyFingerprint, KeyPolicy, LiveKey};
use keyward_kms::Schemes;
use keyward_testkit::FakeOpenAi;
use keyward_testkit::leak::LeakDetector;
use reqwest::Client;

#[cfg(any(feature = "aws", feature = "vault"))]
use crate::fixture::unique;
use crate::fixture::{key, logged};

/// Requests a second, by so many tasks.
const RATE: u32 = 200;
const TASKS: u32 = 8;
/// Between two rotations, and before the first and after the last.
const ANSWERS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// When the service learns of a new key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Learns {
    /// By looking now and then; the old key lives until it has.
    ByLooking,
    /// By a 401, because the old key is deleted at once.
    ByRefusal,
}

/// As the example `service` holds its key.
struct Service {
    key: LiveKey,
    authorizer: Authorizer,
    http: Client,
    url: String,
    refused: AtomicU64,
}

impl Service {
    async fn call(&self) -> u16 {
        let (status, used) = self.attempt().await;
        if status != 401 {
            return status;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.key.rejected(&used).await {
            return status;
        }
        self.attempt().await.0
    }

    async fn attempt(&self) -> (u16, KeyFingerprint) {
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5", "input": "ping"}"#)
            .unwrap();
        let used = {
            let key = self.key.current().unwrap();
            self.authorizer.authorize(&key, &mut request).unwrap();
            key.fingerprint()
        };
        let answer = self.http.execute(request.try_into().unwrap()).await.unwrap();
        (answer.status().as_u16(), used)
    }

    /// Asks at the rate until told to stop, and tells the failures.
    async fn ask(&self, stop: &AtomicBool, answered: &AtomicU64) -> Vec<u16> {
        let mut failures = Vec::new();
        let mut pace = tokio::time::interval(Duration::from_secs(1) * TASKS / RATE);
        while !stop.load(Ordering::Relaxed) {
            pace.tick().await;
            match self.call().await {
                200 => _ = answered.fetch_add(1, Ordering::Relaxed),
                status => failures.push(status),
            }
        }
        failures
    }
}

/// Runs the service over a loader, and replaces its key three times.
async fn survives(
    loader: DynKeyLoader,
    replace: impl AsyncFn(&str),
    learns: Learns,
) -> Vec<String> {
    let org = FakeOpenAi::start().await.unwrap();
    let project = org.seed_project("checkout");
    let account = org.seed_service_account(&project, "api", "member");
    let mut secrets = vec![org.seed_service_account_key(&account)];
    replace(&secrets[0]).await;

    let policy = KeyPolicy::production().with_host("127.0.0.1").unwrap();
    let live = LiveKey::project(loader, policy.clone());
    let live = match learns {
        Learns::ByLooking => live.refresh_every(Duration::from_millis(300)),
        Learns::ByRefusal => live.refresh_every(Duration::MAX),
    };
    let service = Arc::new(Service {
        key: live.start().await.unwrap(),
        authorizer: Authorizer::new(policy),
        http: Client::builder().no_proxy().build().unwrap(),
        url: format!("{}/responses", org.base_url()),
        refused: AtomicU64::new(0),
    });
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (service, stop, answered) = (service.clone(), stop.clone(), answered.clone());
            tokio::spawn(async move { service.ask(&stop, &answered).await })
        })
        .collect();
    let answers = async || {
        let goal = answered.load(Ordering::Relaxed) + ANSWERS;
        until("it answers", || answered.load(Ordering::Relaxed) >= goal).await;
    };

    for _ in 0..3 {
        answers().await;
        let (old, new) =
            (secrets[secrets.len() - 1].clone(), org.seed_service_account_key(&account));
        replace(&new).await;
        let print = key(&new).fingerprint();
        let moved = || service.key.current().unwrap().fingerprint() == print;
        if learns == Learns::ByLooking {
            until("it has found the new key", moved).await;
        }
        delete(&org, &project, &old).await;
        assert!(!org.key_is_live(&old));
        until("it uses the new key", moved).await;
        secrets.push(new);
    }
    answers().await;
    stop.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for task in tasks {
        failures.extend(task.await.unwrap());
    }
    let (answered, refused) =
        (answered.load(Ordering::Relaxed), service.refused.load(Ordering::Relaxed));
    println!(
        "{learns:?}: {answered} answers in {:.1?}, {refused} of them at the second attempt, {} failures",
        begun.elapsed(),
        failures.len()
    );
    assert!(failures.is_empty(), "of {answered}: {failures:?}");
    assert!(answered >= 4 * ANSWERS);
    // Each key that was deleted under it was noticed by a 401.
    assert!(learns == Learns::ByLooking || refused >= 3, "{refused}");
    assert!(!format!("{:?}", service.key.health()).contains(&secrets[0]));
    secrets
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As an administrator deletes a key.
async fn delete(org: &FakeOpenAi, project: &str, key: &str) {
    let id = org.key_id(key).unwrap();
    let url = format!("{}/organization/projects/{project}/api_keys/{id}", org.base_url());
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = client.delete(url).bearer_auth(org.admin_key()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// As a rotation replaces a key in a store.
#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
async fn rotate(store: &impl KeyStore, secret: &str) {
    let now = Timestamp::from_unix_seconds(1_790_000_000);
    let version = store.stage(&key(secret), &KeyNote::new(), now).await.unwrap();
    store.promote(&version, now).await.unwrap();
}

/// Runs it both ways, and checks that no key was logged.
fn check(run: impl AsyncFn(Learns) -> Vec<String>) {
    for learns in [Learns::ByLooking, Learns::ByRefusal] {
        let (secrets, logs) = logged(run(learns));
        let detector = LeakDetector::of_all(secrets.iter().map(String::as_str));
        detector.assert_sees();
        detector.assert_absent(&"the log", &logs.bytes());
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_service_over_secrets_manager_survives_rotations_under_load() {
    let Some(url) = crate::fixture::server("KEYWARD_MOTO_URL") else { return };
    for field in ["", "#api_key"] {
        check(async |learns| {
            let name = unique("prod/openai");
            let schemes = Schemes::new().with_aws(&crate::aws::aws(&url));
            let references = schemes.register(References::new());
            let store = references.store(&format!("aws-sm:{name}")).unwrap();
            let loader = references.loader(&format!("aws-sm:{name}{field}")).unwrap();
            survives(loader, async |secret: &str| rotate(&store, secret).await, learns).await
        });
    }
}

/// Where somebody else sets the key, because Key Vault is no store.
#[cfg(feature = "azure")]
#[test]
fn a_service_over_key_vault_survives_rotations_under_load() {
    check(async |learns| {
        let fake = crate::azure::fake::Fake::start().await;
        let references = Schemes::new().with_azure(&fake.azure()).register(References::new());
        let loader = references.loader("azure-kv:billing-prod/openai").unwrap();
        survives(loader, async |secret: &str| drop(fake.set("openai", secret)), learns).await
    });
}

#[cfg(feature = "google")]
#[test]
fn a_service_over_secret_manager_survives_rotations_under_load() {
    check(async |learns| {
        let fake = crate::google::fake::Fake::start().await;
        let schemes = Schemes::new().with_google(&fake.google());
        let references = schemes.register(References::new());
        let store = references.store("gcp-sm:p/openai").unwrap();
        let loader = references.loader("gcp-sm:p/openai").unwrap();
        survives(loader, async |secret: &str| rotate(&store, secret).await, learns).await
    });
}

#[cfg(feature = "vault")]
#[test]
fn a_service_over_kv_survives_rotations_under_load() {
    use crate::vault::openbao::Bao;

    let Some(bao) = Bao::find() else { return };
    let references = || Schemes::new().with_vault(&bao.vault()).register(References::new());
    check(async |learns| {
        let (references, place) = (references(), format!("vault:secret/{}", unique("openai/prod")));
        let store = references.store(&place).unwrap();
        let loader = references.loader(&place).unwrap();
        survives(loader, async |secret: &str| rotate(&store, secret).await, learns).await
    });
    // A field that somebody else writes.
    check(async |learns| {
        let path = unique("openai/prod");
        let loader = references().loader(&format!("vault:secret/{path}#api_key")).unwrap();
        let write = async |secret: &str| {
            bao.write(&path, serde_json::json!({ "api_key": secret })).await;
        };
        survives(loader, write, learns).await
    });
}
