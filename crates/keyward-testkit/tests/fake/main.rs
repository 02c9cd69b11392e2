//! The fake organization over real HTTP, with a client that knows nothing of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::time::{Duration, Instant};

use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{
    EchoPlace, FakeClock, FakeOpenAi, FakeOpenAiBuilder, Fault, FaultAction, assert_no_leak, keys,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const START: u64 = 1_790_000_000;
const PROJECTS: &str = "/organization/projects";
const ADMIN_KEYS: &str = "/organization/admin_api_keys";
const MINT: &str =
    "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";

mod activity;
mod behaviour;
mod every_operation;
mod faults;
mod people;
mod settings;

/// A raw client with one key.
struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    fn new(fake: &FakeOpenAi, key: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { http, base: fake.base_url(), key: key.to_owned() }
    }

    fn admin(fake: &FakeOpenAi) -> Self {
        Self::new(fake, &fake.admin_key())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(method, path, body).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, None).await
    }

    /// The answer of an operation that must succeed.
    async fn ok(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method.clone(), path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}

/// A fake with a project and a service account in it, and its owner's client.
struct Scene {
    fake: FakeOpenAi,
    admin: Api,
    project: String,
    account: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with(FakeOpenAi::builder()).await
    }

    async fn with(builder: FakeOpenAiBuilder) -> Self {
        let fake = builder.clock(FakeClock::manual(START)).seed(1).start().await.unwrap();
        let project = fake.seed_project("shop");
        let account = fake.seed_service_account(&project, "checkout", "member");
        Self { admin: Api::admin(&fake), fake, project, account }
    }

    fn project_path(&self, rest: &str) -> String {
        format!("/organization/projects/{}{rest}", self.project)
    }

    fn account_path(&self) -> String {
        self.project_path(&format!("/service_accounts/{}", self.account))
    }

    fn mint_path(&self) -> String {
        format!("{}/api_keys", self.account_path())
    }

    fn key_path(&self, id: &str) -> String {
        self.project_path(&format!("/api_keys/{id}"))
    }

    /// Mints a key and gives its id and a client with it.
    async fn mint(&self, body: Value) -> (String, Api) {
        let minted = self.admin.ok(Method::POST, &self.mint_path(), Some(body)).await;
        let key = Api::new(&self.fake, minted["value"].as_str().unwrap());
        (minted["id"].as_str().unwrap().to_owned(), key)
    }
}

/// The status that using a key answers.
async fn uses(key: &Api) -> u16 {
    key.post("/responses", json!({ "model": "m", "input": "hi" })).await.0
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|v| v[field].as_str().unwrap().to_owned()).collect()
}
