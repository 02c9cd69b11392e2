//! The canary in the types of each contender, and what holds it for a row: configurations, handles,
//! clients, servers.

use std::collections::HashMap;
use std::error::Error;

use keyward::authorize::{AuthorizeMiddleware, Authorizer};
use keyward::{
    AdminKey, AdmitContext, ApiKey, EnvLoader, Environment, KeyPolicy, LiveKey, ProjectKey,
    Timestamp, redact,
};
use keyward_testkit::{CANARY, Canary, leak};
use reqwest_middleware::ClientWithMiddleware;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// Where every service looks for it.
pub(super) const VARIABLE: &str = "OPENAI_API_KEY";

pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

pub(super) fn string() -> String {
    CANARY.text().to_owned()
}

pub(super) fn secrecy() -> SecretString {
    SecretString::from(string())
}

pub(super) fn keyward() -> ApiKey {
    ApiKey::parse(string()).expect("a key")
}

/// The text, where a library takes nothing else.
pub(super) fn exposed() -> String {
    // EXPOSE: secrecy's own way, which is what is measured.
    #[allow(clippy::disallowed_methods, reason = "what others do")]
    secrecy().expose_secret().to_owned()
}

pub(super) fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// A policy that lets keys go to this machine too.
pub(super) fn policy() -> KeyPolicy {
    KeyPolicy::standard().with_host("127.0.0.1").expect("a host")
}

pub(super) fn project_key() -> ProjectKey {
    admit(&keyward(), &policy()).into_project_key().expect("a project key")
}

pub(super) fn admin_text() -> &'static str {
    Canary::of_kind("admin").text()
}

pub(super) fn admin_key() -> AdminKey {
    let key = ApiKey::parse(admin_text().to_owned()).expect("a key");
    admit(&key, &KeyPolicy::admin()).into_admin_key().expect("an admin key")
}

fn admit(key: &ApiKey, policy: &KeyPolicy) -> keyward::Admitted {
    let context = AdmitContext::at(NOW);
    policy.admit(key, &context).expect("admitted")
}

/// A loader that finds a value where every service looks for it.
pub(super) fn loader(value: impl Into<std::ffi::OsString>) -> EnvLoader {
    EnvLoader::new(VARIABLE).with_environment(Environment::fixed([(VARIABLE, value.into())]))
}

pub(super) async fn live() -> LiveKey {
    let live = LiveKey::project(loader(string()), policy()).without_watching();
    live.start().await.expect("a key")
}

pub(super) async fn middleware() -> AuthorizeMiddleware {
    middleware_of(policy()).await
}

pub(super) async fn middleware_of(policy: KeyPolicy) -> AuthorizeMiddleware {
    AuthorizeMiddleware::new(live().await, Authorizer::new(policy))
}

/// A client of reqwest that keyward has set up.
pub(super) async fn client() -> ClientWithMiddleware {
    middleware().await.client(reqwest::Client::builder()).expect("a client")
}

/// A client of reqwest as it comes.
pub(super) fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A configuration as services have it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Config<K> {
    pub(super) host: String,
    pub(super) key: K,
}

impl<K> Config<K> {
    pub(super) fn of(key: K) -> Self {
        Self { host: "api.openai.com".to_owned(), key }
    }
}

/// An error that holds the configuration that it is about.
#[derive(Debug)]
pub(super) struct ConfigError<K>(pub(super) Config<K>);

impl<K> std::fmt::Display for ConfigError<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the host does not answer")
    }
}

impl<K: std::fmt::Debug> Error for ConfigError<K> {}

/// Both forms of `Debug`.
pub(super) fn debug(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}\n{value:#?}")
}

/// All that an error prints, and its causes.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    leak::error_surfaces(error)
}

/// An error as keyward shows those of others.
pub(super) fn masked(error: &(dyn Error + 'static)) -> String {
    redact::chain(error).to_string()
}

/// Runs something on a runtime of this thread.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(future)
}

/// An address of this machine at which nobody listens, and which no other test gets.
pub(super) const NOBODY: &str = "http://127.0.0.1:1";

/// A file that its owner alone can read, until it is dropped.
pub(super) fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("a file");
    file
}

/// The variables of a process, as they are printed for a bug report.
pub(super) fn variables<K>(key: K) -> HashMap<String, K> {
    HashMap::from([(VARIABLE.to_owned(), key)])
}
