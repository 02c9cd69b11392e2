//! [`SubjectToken`]: the token in which the platform says who the workload is, and where it is
//! had.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use keyward_core::{ApiKey, KeyKind, KeySource};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::super::detached::within;
use super::super::place::Place;
use super::answer::secret_member;
use super::endpoint;
use crate::http_call::{self, Answer, Call};
use crate::{
    CommandLoader, DynKeyLoader, Environment, FileLoader, KeyLoader as _, LoadError, LoadErrorKind,
    LoadedKey,
};

/// Where a workload has the token that says who it is: a JWT of its platform.
///
/// | made of | the token | |
/// |---|---|---|
/// | a [`FileLoader`] | a file that the platform replaces: a Kubernetes `serviceAccountToken` volume, SPIFFE's helper | read at each exchange |
/// | a [`CommandLoader`] | what a program prints: `spire-agent api fetch jwt …` | run at each exchange |
/// | [`GithubActions`] | that of a job with `id-token: write` | |
/// | [`GoogleMetadata`] | an identity token of the machine's service account | |
/// | [`AzureMetadata`] | a token of the machine's managed identity | |
/// | a [`DynKeyLoader`] | whatever a loader of yours yields | |
///
/// # Security
///
/// It is a secret: whoever has it can be the workload. It is wiped after the exchange and never
/// shown. A token has three parts between dots; anything else is refused and not sent.
#[derive(Clone, Debug)]
pub struct SubjectToken(Origin);

#[derive(Clone, Debug)]
enum Origin {
    Azure(AzureMetadata),
    File(FileLoader),
    Github(GithubActions),
    Google(GoogleMetadata),
    Loader(DynKeyLoader),
}

impl SubjectToken {
    /// Gets the token.
    pub(super) async fn fetch(
        &self,
        limit: Duration,
        loopback: bool,
    ) -> Result<Fetched, LoadError> {
        let (text, source) = match &self.0 {
            Origin::Azure(azure) => (azure.fetch(limit).await?, azure.source()),
            Origin::Github(github) => (github.fetch(limit, loopback).await?, github.source()),
            Origin::Google(google) => (google.fetch(limit).await?, google.source()),
            Origin::File(file) => {
                let read = within("keyward-limit", limit, file.load()).await;
                let late = || Err(LoadError::timed_out(file.source(), limit));
                return loaded(read.unwrap_or_else(late));
            }
            Origin::Loader(loader) => return loaded(loader.load().await),
        };
        let key = text.and_then(|mut text| ApiKey::parse(std::mem::take(&mut *text)).ok());
        key.and_then(Fetched::new).ok_or_else(|| no_token(source))
    }

    /// The variables that lead to the token.
    pub(super) fn variables(&self) -> Vec<OsString> {
        match &self.0 {
            Origin::Azure(_) | Origin::Google(_) => Vec::new(),
            Origin::File(file) => file.variables(),
            Origin::Github(_) => vec![REQUEST_URL.into(), REQUEST_TOKEN.into()],
            Origin::Loader(loader) => loader.variables(),
        }
    }
}

macro_rules! made_of {
    ($($source:ident: $from:expr;)*) => {$(
        impl From<$source> for SubjectToken {
            fn from(source: $source) -> Self {
                Self($from(source))
            }
        }
    )*};
}

made_of! {
    AzureMetadata: Origin::Azure;
    CommandLoader: |source| Origin::Loader(DynKeyLoader::new(source));
    DynKeyLoader: Origin::Loader;
    FileLoader: Origin::File;
    GithubActions: Origin::Github;
    GoogleMetadata: Origin::Google;
}

/// A subject token that was fetched: a JWT, by its shape.
pub(super) struct Fetched(ApiKey);

impl Fetched {
    fn new(key: ApiKey) -> Option<Self> {
        let fetched = Self(key);
        let is_part = |part: &str| {
            let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            !part.is_empty() && part.bytes().all(is_digit)
        };
        let text = fetched.text();
        let is_jwt = text.split('.').count() == 3 && text.split('.').all(is_part);
        (is_jwt && fetched.0.kind() == KeyKind::Unknown).then_some(fetched)
    }

    pub(super) fn text(&self) -> &str {
        // EXPOSE: its shape is looked at, and it goes into the body of the exchange.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        self.0.expose_secret()
    }

    pub(super) fn is_echoed_in(&self, text: &str) -> bool {
        self.0.is_echoed_in(text)
    }
}

/// The identity of a job of GitHub Actions, which must have the permission `id-token: write`.
///
/// ```
/// use keyward::workload_identity::GithubActions;
///
/// let token = GithubActions::new("https://api.openai.com/v1");
/// # let _ = token;
/// ```
///
/// # Security
///
/// The job's request token, from `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, goes to the host that
/// `ACTIONS_ID_TOKEN_REQUEST_URL` names, over https. Every step of a job can set the variables of
/// those behind it.
#[derive(Clone, Debug)]
pub struct GithubActions {
    audience: String,
    environment: Environment,
}

impl GithubActions {
    /// A token for this audience, which is that of the identity provider at OpenAI.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), environment: Environment::process() }
    }

    /// Looks at these variables instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    fn source(&self) -> KeySource {
        KeySource::new("github-actions", format!("${REQUEST_URL}"))
    }

    async fn fetch(&self, limit: Duration, loopback: bool) -> Result<Token, LoadError> {
        let url = self.environment.secret(REQUEST_URL.as_ref()).filter(|url| !url.is_empty());
        let token = self.environment.secret(REQUEST_TOKEN.as_ref()).filter(|t| !t.is_empty());
        let error = |kind, what| {
            let fix = "run it in a job of GitHub Actions with the permission `id-token: write`";
            LoadError::new(kind, self.source(), what, fix)
        };
        let (url, token) = match (url, token) {
            (Some(url), Some(token)) => (url, token),
            (None, None) => return Err(error(LoadErrorKind::NotConfigured, "not set")),
            (Some(_), None) | (None, Some(_)) => {
                let what = "of the job's two variables one is not set";
                return Err(error(LoadErrorKind::Conflict, what));
            }
        };
        let url = std::str::from_utf8(&url).ok().and_then(|url| endpoint(url, loopback).ok());
        let mut url = url.ok_or_else(|| error(LoadErrorKind::Invalid, "it is no https URL"))?;
        url.query_pairs_mut().append_pair("audience", &self.audience);
        let token = bearer(&token)
            .ok_or_else(|| error(LoadErrorKind::Invalid, "the job's token is no token"))?;
        let call = Call::get(url, limit).header(AUTHORIZATION, token);
        let answer = ask(call, self.source(), limit, "GitHub").await?;
        Ok(secret_member(&answer.body, "value"))
    }
}

/// The identity of a machine or a workload in Google Cloud, from its metadata server.
///
/// ```
/// use keyward::workload_identity::GoogleMetadata;
///
/// let token = GoogleMetadata::new("https://api.openai.com/v1");
/// # let _ = token;
/// ```
#[derive(Clone, Debug)]
pub struct GoogleMetadata {
    audience: String,
    address: Place,
}

impl GoogleMetadata {
    /// A token for this audience, which is that of the identity provider at OpenAI.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        let address = Place::new("http://metadata.google.internal");
        Self { audience: audience.into(), address }
    }

    /// Asks at this address, such as `http://169.254.169.254`. It must be of this machine or of its
    /// own link.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Place::new(address.into());
        self
    }

    fn source(&self) -> KeySource {
        KeySource::new("google-metadata", "identity")
    }

    async fn fetch(&self, limit: Duration) -> Result<Token, LoadError> {
        let path = "/computeMetadata/v1/instance/service-accounts/default/identity";
        let mut url = metadata(&self.address, path, &["metadata.google.internal"])
            .ok_or_else(|| no_metadata_address(self.source()))?;
        url.query_pairs_mut().append_pair("audience", &self.audience).append_pair("format", "full");
        let flavor = HeaderName::from_static("metadata-flavor");
        let call = Call::get(url, limit).header(flavor.clone(), HeaderValue::from_static("Google"));
        let mut answer = ask(call, self.source(), limit, "the metadata server").await?;
        if answer.headers.get(&flavor).is_none_or(|value| value != "Google") {
            return Err(LoadError::new(
                LoadErrorKind::Invalid,
                self.source(),
                "what answers is no metadata server of Google",
                "run it in Google Cloud, and check what answers at that address",
            ));
        }
        Ok(Some(std::mem::take(&mut answer.body)))
    }
}

/// The managed identity of a machine in Azure, from its metadata service.
///
/// ```
/// use keyward::workload_identity::AzureMetadata;
///
/// let token = AzureMetadata::new("api://openai-federation");
/// # let _ = token;
/// ```
#[derive(Clone, Debug)]
pub struct AzureMetadata {
    resource: String,
    client: Option<String>,
    address: Place,
}

impl AzureMetadata {
    /// A token for this resource, whose id is the audience of the identity provider at OpenAI.
    #[must_use]
    pub fn new(resource: impl Into<String>) -> Self {
        let address = Place::new("http://169.254.169.254");
        Self { resource: resource.into(), client: None, address }
    }

    /// Takes the identity with this client id, where the machine has several.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client = Some(id.into());
        self
    }

    /// Asks at this address. It must be of this machine or of its own link.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Place::new(address.into());
        self
    }

    fn source(&self) -> KeySource {
        KeySource::new("azure-metadata", "identity")
    }

    async fn fetch(&self, limit: Duration) -> Result<Token, LoadError> {
        let mut url = metadata(&self.address, "/metadata/identity/oauth2/token", &[])
            .ok_or_else(|| no_metadata_address(self.source()))?;
        url.query_pairs_mut()
            .append_pair("api-version", "2018-02-01")
            .append_pair("resource", &self.resource);
        if let Some(client) = &self.client {
            url.query_pairs_mut().append_pair("client_id", client);
        }
        let name = HeaderName::from_static("metadata");
        let call = Call::get(url, limit).header(name, HeaderValue::from_static("true"));
        let answer = ask(call, self.source(), limit, "the metadata service").await?;
        Ok(secret_member(&answer.body, "access_token"))
    }
}

/// What was answered, if it has a token where one belongs.
type Token = Option<Zeroizing<Vec<u8>>>;

/// The token that a loader of keys has loaded.
fn loaded(loaded: Result<LoadedKey, LoadError>) -> Result<Fetched, LoadError> {
    let loaded = loaded.map_err(|error| match error.parse_error() {
        // It tells of keys, and this is none.
        Some(_) => no_token(error.key_source().clone()),
        None => error,
    })?;
    Fetched::new(loaded.key).ok_or_else(|| no_token(loaded.source))
}

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

fn no_token(source: KeySource) -> LoadError {
    LoadError::new(
        LoadErrorKind::Invalid,
        source,
        "what is there is no JWT",
        "have the platform put its token there, and nothing else",
    )
}

fn no_metadata_address(source: KeySource) -> LoadError {
    LoadError::new(
        LoadErrorKind::Invalid,
        source,
        "the metadata server's address is none of this machine or of its own link",
        "leave the one that is built in",
    )
}

/// A path of a metadata server. It speaks http, so it must be near.
fn metadata(address: &Place, path: &str, names: &[&str]) -> Option<Url> {
    let mut url = Url::parse(address.as_os_str().to_str()?).ok()?;
    let host = url.host_str()?;
    let is_near = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unicast_link_local(),
        Err(_) => names.contains(&host),
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if url.scheme() != "http" || url.path() != "/" || !is_near || !is_bare {
        return None;
    }
    url.set_path(path);
    Some(url)
}

/// Asks for a token, and takes nothing but a success for an answer. What else is said is not shown.
async fn ask(
    call: Call,
    source: KeySource,
    limit: Duration,
    who: &str,
) -> Result<Answer, LoadError> {
    let answer = match http_call::send(call).await {
        Ok(answer) => answer,
        Err(problem) => return Err(problem.at(source, limit, who)),
    };
    let (kind, fix) = match answer.status {
        200 => return Ok(answer),
        429 => (LoadErrorKind::Throttled, "load less often, or try later"),
        408 | 500.. => (LoadErrorKind::Unreachable, "try later"),
        300..=399 => (LoadErrorKind::Unreadable, "check what answers there"),
        _ => (LoadErrorKind::Denied, "check that the workload has an identity there"),
    };
    let what = format!("{who} answered with status {}", answer.status);
    Err(LoadError::new(kind, source, what, fix))
}

/// A header's value of a token, in one buffer of exactly its size.
fn bearer(token: &[u8]) -> Option<HeaderValue> {
    const SCHEME: &[u8] = b"Bearer ";

    let mut text = Zeroizing::new(Vec::with_capacity(SCHEME.len() + token.len()));
    text.extend_from_slice(SCHEME);
    // EXPOSE: the job's request token, on the one request that it is for.
    text.extend_from_slice(token);
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetched")
    }
}

#[cfg(test)]
mod tests {
    use super::{Fetched, Place, metadata};

    #[test]
    fn metadata_is_asked_for_nearby() {
        for (address, expected) in [
            ("http://metadata.google.internal", true),
            ("http://169.254.169.254", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]:1", true),
            ("http://[fe80::1]", true),
            ("http://10.0.0.1", false),
            ("http://metadata.example", false),
            ("http://127.0.0.1.example", false),
            ("https://169.254.169.254", false),
            ("http://a@169.254.169.254", false),
            ("http://169.254.169.254/x", false),
            ("169.254.169.254", false),
        ] {
            let url = metadata(&Place::new(address), "/a", &["metadata.google.internal"]);
            assert_eq!(url.is_some(), expected, "{address}");
        }
    }

    #[test]
    fn a_subject_token_has_three_parts() {
        let part = "eyJhbGciOiJFUzI1NiJ9";
        for (text, expected) in [
            (format!("{part}.{part}.{part}"), true),
            (format!("{part}.{part}"), false),
            (format!("{part}.{part}.{part}.{part}"), false),
            (format!("{part}..{part}"), false),
            (format!("{part}.{part}.a+b{part}"), false),
            (part.repeat(3), false),
            (format!("sk-proj-{}", "a1B2".repeat(12)), false),
        ] {
            let key = keyward_core::ApiKey::parse(text.clone()).unwrap();
            assert_eq!(Fetched::new(key).is_some(), expected, "{text}");
        }
    }
}
