//! What a 401 leads to, on the fake organization.

use keyward::authorize::{AuthorizeLayer, Authorizer, DeniedReason};
use keyward_testkit::FakeOpenAi;
use tower_layer::Layer as _;

use super::{Client, Place, clients, policy};

struct Fake {
    fake: FakeOpenAi,
    account: String,
    project: String,
}

impl Fake {
    async fn start() -> Self {
        let fake = FakeOpenAi::start().await.expect("a fake");
        let project = fake.seed_project("shop");
        let account = fake.seed_service_account(&project, "checkout", "member");
        Self { fake, account, project }
    }

    fn mint(&self) -> String {
        self.fake.seed_service_account_key(&self.account)
    }

    fn url(&self) -> String {
        format!("{}/responses", self.fake.base_url())
    }

    async fn delete(&self, key: &str) {
        let (project, id) = (&self.project, self.fake.key_id(key).expect("an id"));
        let url = format!("{}/organization/projects/{project}/api_keys/{id}", self.fake.base_url());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let deleted = http.delete(url).bearer_auth(self.fake.admin_key()).send().await;
        assert_eq!(deleted.expect("an answer").status(), 200);
    }

    fn asked(&self) -> usize {
        self.fake.count("POST", "/responses")
    }
}

const BODY: &str = r#"{"model": "fake-model", "input": "ping"}"#;

async fn ask(client: &Client, fake: &Fake) -> (u16, Option<DeniedReason>, String) {
    let answer = client.send("POST", &fake.url(), &[], BODY).await;
    let answer = answer.unwrap_or_else(|failure| panic!("{}", failure.surfaces));
    let body = answer.body.unwrap_or_else(|failure| panic!("{}", failure.surfaces));
    (answer.status, answer.denied.map(|denied| denied.reason()), body)
}

#[tokio::test]
async fn a_key_that_was_replaced_is_replaced_in_the_middle_of_a_request() {
    let fake = Fake::start().await;
    let mut old = fake.mint();
    let place = Place::new(&old);
    for (name, client) in clients(&place).await {
        let (status, denied, _) = ask(&client, &fake).await;
        assert_eq!((status, denied), (200, None), "{name}");

        let new = fake.mint();
        place.has(&new);
        fake.delete(&old).await;
        let before = fake.asked();
        let (status, denied, body) = ask(&client, &fake).await;
        assert_eq!((status, denied), (200, None), "{name}");
        assert!(body.contains("This is the fake."), "{name}: the body was sent again: {body}");
        assert_eq!(fake.asked() - before, 2, "{name}");

        // With the new one it is once.
        let before = fake.asked();
        assert_eq!(ask(&client, &fake).await.0, 200, "{name}");
        assert_eq!(fake.asked() - before, 1, "{name}");
        old = new;
    }
}

#[tokio::test]
async fn without_another_key_the_401_is_the_answer() {
    for n in 0..2 {
        let fake = Fake::start().await;
        let key = fake.mint();
        let place = Place::new(&key);
        let (name, client) = clients(&place).await.into_iter().nth(n).expect("two");
        fake.delete(&key).await;
        let (status, denied, body) = ask(&client, &fake).await;
        assert_eq!((status, denied), (401, Some(DeniedReason::Key)), "{name}");
        assert!(body.contains("Incorrect API key"), "{name}: the body is whole: {body}");
        assert_eq!(fake.asked(), 1, "{name}: it was made once more for nothing");

        // And the other key is no good either: once more, and no third time.
        let other = fake.mint();
        place.has(&other);
        let place = Place::new(&key);
        let (name, client) = clients(&place).await.into_iter().nth(n).expect("two");
        place.has(&other);
        fake.delete(&other).await;
        let before = fake.asked();
        let (status, denied, _) = ask(&client, &fake).await;
        assert_eq!((status, denied), (401, Some(DeniedReason::Key)), "{name}");
        assert_eq!(fake.asked() - before, 2, "{name}");
    }
}

/// A body that cannot be had again: then it is the next request that has the new key.
#[tokio::test]
async fn what_cannot_be_sent_again_is_not_but_the_handle_is_told() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::client::legacy::Client as Hyper;
    use hyper_util::rt::TokioExecutor;
    use tower_service::Service as _;

    let fake = Fake::start().await;
    let (old, new) = (fake.mint(), fake.mint());
    let place = Place::new(&old);
    let mut live = place.live().await;
    place.has(&new);
    fake.delete(&old).await;
    let layer = AuthorizeLayer::new(live.clone(), Authorizer::new(policy()));
    // Of a type that has no clone.
    let mut client = layer.layer(Hyper::builder(TokioExecutor::new()).build_http());
    let request = || {
        let body = Full::new(bytes::Bytes::from_static(BODY.as_bytes())).boxed_unsync();
        http::Request::post(fake.url()).body(body).expect("a request")
    };
    assert_eq!(client.call(request()).await.expect("an answer").status(), 401);
    assert_eq!(fake.asked(), 1);
    let within = std::time::Duration::from_secs(60);
    tokio::time::timeout(within, live.changed()).await.expect("told").expect("a key");
    assert_eq!(client.call(request()).await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn missing_scopes_are_told_by_name_and_cost_no_reload() {
    let fake = Fake::start().await;
    let url = format!(
        "{}/organization/projects/{}/service_accounts/{}/api_keys",
        fake.fake.base_url(),
        fake.project,
        fake.account,
    );
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mint = serde_json::json!({"name": "narrow", "scopes": ["api.model.read"]}).to_string();
    let mint = http.post(url).bearer_auth(fake.fake.admin_key()).body(mint);
    let minted = mint.header("content-type", "application/json").send().await.expect("an answer");
    let minted: serde_json::Value =
        serde_json::from_str(&minted.text().await.expect("a text")).expect("JSON");
    let place = Place::new(minted["value"].as_str().expect("a key"));
    for (name, client) in clients(&place).await {
        let before = fake.asked();
        let answer = client.send("POST", &fake.url(), &[], BODY).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{}", failure.surfaces));
        let denied = answer.denied.expect("a reason");
        assert_eq!(answer.status, 403, "{name}");
        assert_eq!(denied.reason(), DeniedReason::MissingScopes, "{name}");
        assert_eq!(denied.scopes(), ["api.responses.write"], "{name}");
        assert_eq!(fake.asked() - before, 1, "{name}");
        assert!(denied.to_string().contains("api.responses.write"), "{denied}");
    }
}
