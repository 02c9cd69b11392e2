//! Workload identity against the fake organization: a token that its platform signed, exchanged,
//! used until it expires, and everything that is wrong with the others.

use std::fs;
use std::time::{Duration, SystemTime};

use keyward::{
    Clock, FileLoader, KeyKind, KeyLoader as _, KeyPolicy, LiveKey, LoadErrorKind, ProjectKey,
    WorkloadIdentity,
};
use keyward_admin::{JwkSet, NewFederationRule, NewWorkloadIdentityProvider};
use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{
    FakeClock, FakeIssuer, FakeOpenAi, Fault, FaultAction, assert_no_leak, leak,
};

use crate::examples::private;
use crate::fixture::{admin_key, with_trace};

const START: u64 = 1_790_000_000;
const AUDIENCE: &str = "https://api.openai.com/v1";
const EXCHANGE: &str = "/oauth/token";

/// An organization that trusts a cluster, and a workload in it.
struct Scene {
    fake: FakeOpenAi,
    issuer: FakeIssuer,
    provider: String,
    account: String,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let clock = FakeClock::manual(START);
        let fake = FakeOpenAi::builder().clock(clock).start().await.expect("a fake");
        let project = fake.seed_project("shop");
        let account = fake.seed_service_account(&project, "checkout", "member");
        let issuer = FakeIssuer::new("https://cluster.example");
        let provider = fake.seed_workload_identity(&issuer, AUDIENCE, "checkout", &account);
        let directory = tempfile::tempdir().expect("a directory");
        Self { fake, issuer, provider, account, directory }
    }

    /// Has the platform write this token.
    fn writes(&self, token: &str) -> String {
        let path = self.directory.path().join("token");
        fs::write(&path, token).expect("a file");
        private(&path);
        token.to_owned()
    }

    fn writes_good(&self) -> String {
        self.writes(&self.issuer.token(AUDIENCE, "checkout", START + 86_400))
    }

    fn identity(&self) -> WorkloadIdentity {
        self.identity_at(&self.provider)
    }

    fn identity_at(&self, provider: &str) -> WorkloadIdentity {
        let file = FileLoader::mounted_secret(self.directory.path().join("token"));
        let clock = self.fake.clock().clone();
        WorkloadIdentity::new(provider, &*self.account, file)
            .endpoint(self.fake.token_url())
            .allow_loopback()
            .with_clock(Clock::from_fn(move || {
                SystemTime::UNIX_EPOCH + Duration::from_secs(clock.now())
            }))
    }

    /// The status that a request with a key is answered.
    async fn uses(&self, key: &ProjectKey) -> u16 {
        let url = format!("{}/models", self.fake.base_url());
        let policy = KeyPolicy::production().with_host("127.0.0.1").expect("a host");
        let authorizer = keyward::authorize::Authorizer::new(policy);
        let value = authorizer.header(key, &url.parse().expect("a URI")).expect("a header");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = http.get(url).header("authorization", value).send().await;
        answer.expect("an answer").status().as_u16()
    }
}

#[test]
fn a_workload_is_a_service_account_until_its_token_expires() {
    let (secrets, logs) = with_trace(async {
        let scene = Scene::start().await;
        let subject = scene.writes_good();
        let loaded = scene.identity().load().await.expect("a token");
        assert_eq!(loaded.key.kind(), KeyKind::AccessToken);
        let now = keyward::Timestamp::from_unix_seconds(START as i64);
        let admitted = loaded.admit(&KeyPolicy::production(), now).expect("admitted");
        let key = admitted.into_project_key().expect("a key for requests");
        assert_eq!(scene.uses(&key).await, 200);
        scene.fake.clock().advance(Duration::from_secs(3599));
        assert_eq!(scene.uses(&key).await, 200);
        scene.fake.clock().advance(Duration::from_secs(1));
        assert_eq!(scene.uses(&key).await, 401);
        // It is in no list of keys.
        assert_eq!(scene.fake.live_key_values().len(), 1);
        // EXPOSE: it is looked for in the logs.
        #[allow(clippy::disallowed_methods, reason = "a synthetic token in a test")]
        let token = key.as_api_key().expose_secret().to_owned();
        [subject, token]
    });
    let detector = LeakDetector::of_all(&secrets);
    detector.assert_sees();
    detector.assert_absent(&"the logs", logs.as_bytes());
}

#[tokio::test]
async fn what_the_organization_does_not_trust_is_refused() {
    let scene = Scene::start().await;
    let stranger = FakeIssuer::new("https://cluster.example");
    let good = |claims: &str| scene.issuer.sign(claims);
    let of = |iss: &str, aud: &str, sub: &str, exp: u64| {
        good(&format!(r#"{{"iss":"{iss}","aud":"{aud}","sub":"{sub}","exp":{exp}}}"#))
    };
    let iss = "https://cluster.example";
    let later = START + 600;
    let mut tampered = of(iss, AUDIENCE, "checkout", later);
    let at = tampered.find('.').expect("parts") + 12;
    let other = if tampered.as_bytes()[at] == b'A' { "B" } else { "A" };
    tampered.replace_range(at..=at, other);
    for (token, code) in [
        (stranger.token(AUDIENCE, "checkout", later), "invalid_grant"),
        (tampered, "invalid_grant"),
        (of("https://other.example", AUDIENCE, "checkout", later), "invalid_grant"),
        (of(iss, "other", "checkout", later), "invalid_grant"),
        (of(iss, AUDIENCE, "checkout", START), "has expired"),
        (
            good(&format!(r#"{{"iss":"{iss}","aud":"{AUDIENCE}","sub":"checkout"}}"#)),
            "invalid_grant",
        ),
        (
            good(&format!(
                r#"{{"iss":"{iss}","aud":"{AUDIENCE}","sub":"checkout","exp":{later},"nbf":{later}}}"#
            )),
            "does not hold yet",
        ),
        (of(iss, AUDIENCE, "another", later), "access_denied"),
    ] {
        scene.writes(&token);
        let error = scene.identity().load().await.expect_err("refused");
        assert_eq!(error.kind(), LoadErrorKind::Denied, "{error}");
        assert!(error.to_string().contains(code), "{code}: {error}");
        assert_no_leak!(token, leak::error_surfaces(&error));
    }
    let token = scene.writes_good();
    let error = scene.identity_at("wip_unknown").load().await.expect_err("refused");
    assert!(error.to_string().contains("invalid_client"), "{error}");
    scene.fake.fault(Fault::on("POST", EXCHANGE).then(FaultAction::AnswerLost));
    let error = scene.identity().load().await.expect_err("lost");
    assert_eq!(error.kind(), LoadErrorKind::Unreachable, "{error}");
    assert_no_leak!(token, leak::error_surfaces(&error));
    scene.identity().load().await.expect("the fault is over");
}

#[tokio::test]
async fn a_provider_and_a_rule_made_over_the_api_are_enough() {
    let fake = FakeOpenAi::start().await.expect("a fake");
    let project = fake.seed_project("shop");
    let account = fake.seed_service_account(&project, "checkout", "member");
    let admin = keyward_admin::Client::builder(admin_key(fake.admin_key()))
        .base_url(fake.base_url())
        .allow_loopback()
        .build()
        .expect("a client");
    let issuer = FakeIssuer::new("https://cluster.example");
    let keys = JwkSet::parse(&issuer.jwks()).expect("keys");
    let new = NewWorkloadIdentityProvider::oidc("cluster", issuer.name(), AUDIENCE);
    let providers = admin.workload_identity_providers();
    let provider = providers.create(new.uploaded_jwks(keys)).await.expect("a provider");
    let handle = admin.workload_identity_provider(provider.id.clone());
    let rule = NewFederationRule::new(&*project, &*account, "sub", "checkout");
    let rule = handle.federation_rules().create(&rule).await.expect("a rule");

    // A handle holds the token, and gets another when OpenAI does not take it any more.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    let subject = issuer.token(AUDIENCE, "checkout", fake.clock().now() + 86_400);
    fs::write(&path, &subject).expect("a file");
    private(&path);
    let identity =
        WorkloadIdentity::new(provider.id.as_str(), account, FileLoader::mounted_secret(&path))
            .endpoint(fake.token_url())
            .allow_loopback();
    let live = LiveKey::project(identity, KeyPolicy::production()).start().await.expect("a token");
    let first = live.current().expect("a token").as_api_key().fingerprint();
    assert!(live.rejected(&first).await, "each exchange answers another token");
    let second = live.current().expect("a token").as_api_key().fingerprint();
    assert_ne!(first, second);

    // Who takes the rule away takes the identity away.
    handle.federation_rule(rule.id).delete().await.expect("deleted");
    assert!(!live.rejected(&second).await);
    let (_, error) = live.health().last_error.expect("an error");
    assert!(error.to_string().contains("access_denied"), "{error}");
    assert_no_leak!(subject, format!("{error:?} {live:?}"));
}
