//! Client secrets: minted with a service's key, used by a browser until they expire.

use std::fs;
use std::time::Duration;

use keyward::authorize::{Authorizer, Denied, DeniedReason};
use keyward::client_secret::{ClientSecretErrorKind, ClientSecrets};
use keyward::{FileLoader, KeyKind, KeyPolicy, LiveKey, Timestamp};
use keyward_testkit::{EchoPlace, FakeClock, FakeOpenAi, Fault, FaultAction, assert_no_leak, leak};
use serde_json::{Value, json};

use crate::examples::private;
use crate::fixture::with_trace;

const START: u64 = 1_790_000_000;
const PATH: &str = "/realtime/client_secrets";

/// A service with a key of a service account, on a fake organization.
struct Scene {
    fake: FakeOpenAi,
    account: String,
    key: String,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let fake = FakeOpenAi::builder().clock(FakeClock::manual(START)).start().await.unwrap();
        let account = fake.seed_service_account(&fake.seed_project("shop"), "web", "member");
        let key = fake.seed_service_account_key(&account);
        let scene = Self { fake, account, key, directory: tempfile::tempdir().unwrap() };
        scene.stores(&scene.key);
        scene
    }

    fn stores(&self, key: &str) {
        let (path, beside) = (self.directory.path().join("key"), self.directory.path().join("new"));
        fs::write(&beside, key).unwrap();
        private(&beside);
        fs::rename(beside, path).unwrap();
    }

    async fn live(&self, policy: KeyPolicy) -> LiveKey {
        let loader = FileLoader::new(self.directory.path().join("key"));
        LiveKey::project(loader, policy).start().await.unwrap()
    }

    async fn secrets(&self) -> ClientSecrets {
        let policy = KeyPolicy::production().with_host("127.0.0.1").unwrap();
        ClientSecrets::new(self.live(policy.clone()).await, Authorizer::new(policy))
            .base_url(self.fake.base_url())
    }

    fn fails(&self, action: FaultAction) {
        self.fake.fault(Fault::on("POST", PATH).then(action));
    }

    /// What a browser is answered that opens a session.
    async fn connects(&self, secret: &str) -> u16 {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = http.post(format!("{}/realtime/calls", self.fake.base_url()));
        call.bearer_auth(secret).body("v=0\r\n").send().await.unwrap().status().as_u16()
    }
}

fn session() -> Value {
    json!({"type": "realtime", "model": "gpt-realtime"})
}

#[tokio::test]
async fn a_browser_connects_until_its_secret_expires() {
    let scene = Scene::start().await;
    let secrets = scene.secrets().await.lasting(Duration::from_secs(60));
    let secret = secrets.mint(&session()).await.unwrap();
    assert_eq!(secret.key.kind(), KeyKind::EphemeralClient);
    assert_eq!(secret.expires_at, Timestamp::from_unix_seconds(START as i64 + 60));
    // EXPOSE: to the browser.
    #[allow(clippy::disallowed_methods, reason = "what it is made for")]
    let text = secret.key.expose_secret().to_owned();
    assert_no_leak!(&text, [("Debug", format!("{secret:?} {secrets:?}"))]);
    assert_eq!(scene.connects(&text).await, 201);
    scene.fake.clock().advance(Duration::from_secs(60));
    assert_eq!(scene.connects(&text).await, 401);

    let unasked = scene.secrets().await.mint(&session()).await.unwrap();
    assert_eq!(unasked.expires_at, Timestamp::from_unix_seconds(START as i64 + 60 + 600));
}

#[tokio::test]
async fn what_cannot_be_right_is_told_and_not_sent() {
    use ClientSecretErrorKind::{Life, Refused, Session};

    let scene = Scene::start().await;
    let secrets = scene.secrets().await;
    let lasting = |seconds| secrets.clone().lasting(Duration::from_secs(seconds));
    let at = |url: &str| secrets.clone().base_url(url);
    let live = scene.live(KeyPolicy::production()).await;
    let elsewhere = ClientSecrets::new(live, Authorizer::new(KeyPolicy::production()));
    for (secrets, session, expected) in [
        (lasting(9), session(), Life),
        (lasting(7201), session(), Life),
        (secrets.clone(), json!("realtime"), Session),
        (secrets.clone(), json!(null), Session),
        (secrets.clone(), json!({"type": "realtime", "instructions": scene.key}), Session),
        (secrets.clone(), json!({"instructions": format!("x\n{}", scene.key)}), Session),
        (secrets.clone(), json!({"tools": [{"headers": [format!("x\t{}", scene.key)]}]}), Session),
        (secrets.clone(), json!({"metadata": {scene.key.clone(): true}}), Session),
        (at("nowhere"), session(), Refused),
        (at("https://evil.example/v1"), session(), Refused),
        (at("http://api.openai.com/v1"), session(), Refused),
        (at("https://user@api.openai.com/v1"), session(), Refused),
        (at("https://api.openai.com/v1?x=1"), session(), Refused),
        // The policy names no address of this machine.
        (elsewhere.base_url(scene.fake.base_url()), session(), Refused),
    ] {
        let error = secrets.mint(&session).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        let text = error.to_string();
        assert!(text.lines().count() == 1 && text.contains("; "), "no fix: {text}");
        assert_no_leak!(&scene.key, leak::error_surfaces(&error));
    }
    assert!(scene.fake.requests().is_empty());
}

#[tokio::test]
async fn what_openai_refuses_is_told() {
    use ClientSecretErrorKind::{Denied, Invalid, Rejected, Throttled, TimedOut, Unreachable};

    let scene = Scene::start().await;
    let secrets = scene.secrets().await.within(Duration::from_secs(2));
    let throttle = |code: &str| FaultAction::Throttle { retry_after: None, code: code.to_owned() };
    let hang = FaultAction::Hang { duration: Duration::from_secs(4), after_effect: false };
    for (fault, expected, is_retryable) in [
        (throttle("rate_limit_exceeded"), Throttled, true),
        (throttle("insufficient_quota"), Denied, false),
        (FaultAction::StatusBefore { code: 400 }, Rejected, false),
        (FaultAction::StatusBefore { code: 503 }, Unreachable, true),
        (FaultAction::ConnectionReset, Unreachable, true),
        (hang, TimedOut, true),
        (FaultAction::NotJson { code: 200 }, Invalid, false),
        (FaultAction::HugePage { bytes: 1 << 20 }, Invalid, false),
        (FaultAction::TruncatedJson, Invalid, false),
        (FaultAction::ValueRetyped, Invalid, false),
        (FaultAction::Mislabelled { encoding: "gzip".to_owned() }, Invalid, false),
        (FaultAction::Redirect { to: "https://evil.example/".to_owned() }, Invalid, false),
        (FaultAction::EchoAuthorization { place: EchoPlace::Body }, Denied, false),
        (FaultAction::EchoAuthorization { place: EchoPlace::Header }, Denied, false),
    ] {
        let before = scene.fake.count("POST", PATH);
        scene.fails(fault.clone());
        let error = secrets.mint(&session()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{fault:?}: {error}");
        assert_eq!(error.is_retryable(), is_retryable, "{fault:?}");
        assert_eq!(scene.fake.count("POST", PATH), before + 1, "{fault:?}: sent once");
        for key in scene.fake.every_key_value() {
            assert_no_leak!(&key, leak::error_surfaces(&error));
        }
    }
    let code = "rate_limit_exceeded".to_owned();
    scene.fails(FaultAction::Throttle { retry_after: Some(7), code });
    let error = secrets.mint(&session()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error}");
    // What the session is told to lack.
    let error = secrets.mint(&json!({"type": "song"})).await.unwrap_err();
    assert_eq!(error.kind(), Rejected);
    assert!(error.to_string().contains("session.type"), "{error}");
}

#[tokio::test]
async fn a_key_that_was_replaced_is_not_asked_with_again() {
    let scene = Scene::start().await;
    let secrets = scene.secrets().await;
    secrets.mint(&session()).await.unwrap();
    let rejected = || {
        let place = EchoPlace::Body;
        scene.fails(FaultAction::EchoAuthorization { place });
    };
    // There is no other.
    rejected();
    let error = secrets.mint(&session()).await.unwrap_err();
    assert_eq!(error.denied().map(Denied::reason), Some(DeniedReason::Key), "{error}");
    assert_eq!(scene.fake.count("POST", PATH), 2);

    let scene = Scene::start().await;
    let secrets = scene.secrets().await;
    let new = scene.fake.seed_service_account_key(&scene.account);
    scene.fails(FaultAction::EchoAuthorization { place: EchoPlace::Body });
    scene.stores(&new);
    secrets.mint(&session()).await.unwrap();
    assert!(scene.fake.count("POST", PATH) <= 2);
}

/// Every line of the HTTP stack, and of keyward.
#[test]
fn no_log_line_has_a_key_or_a_secret() {
    let (keys, logs) = with_trace(async {
        let scene = Scene::start().await;
        let secrets = scene.secrets().await;
        secrets.mint(&session()).await.unwrap();
        scene.fails(FaultAction::EchoAuthorization { place: EchoPlace::Body });
        secrets.mint(&session()).await.unwrap_err();
        // For the capture to see an HTTP stack: the one of a secret is on a thread of its own.
        let text = scene.fake.every_key_value().pop().unwrap();
        scene.connects(&text).await;
        scene.fake.every_key_value()
    });
    assert_eq!(keys.len(), 3, "the admin key, the service's, the secret");
    for key in keys {
        assert_no_leak!(key, &logs);
    }
}
