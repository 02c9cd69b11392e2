//! [`ClientSecrets`]: what a browser may hold in the place of a key.

use std::time::Duration;

use http::{HeaderMap, Uri};
use keyward_core::{ApiKey, ProjectKey, Timestamp};
use reqwest::Url;
use serde::Serialize;
use zeroize::Zeroizing;

pub use self::error::{ClientSecretError, ClientSecretErrorKind};
use crate::LiveKey;
use crate::authorize::{Authorizer, holds_key};
use crate::http_call::{self, Call};

mod answer;
mod error;

/// Mints client secrets: what a browser or a phone may hold, because a key may not be there.
///
/// A client secret (`ek_…`) opens sessions of the Realtime API until it expires, and does nothing
/// else. It can open several; one that is open goes on after the expiry. The session that it is made
/// for is a proposal that the browser may change. So says OpenAI's reference of
/// [`POST /v1/realtime/client_secrets`](https://developers.openai.com/api/reference/resources/realtime/subresources/client_secrets)
/// (2026-11).
///
/// # Example
///
/// An endpoint of a service, by axum, that gives each user who is logged in a secret for one minute:
///
/// ```
/// use std::time::Duration;
///
/// use axum::extract::State;
/// use axum::http::{StatusCode, header};
/// use axum::response::IntoResponse;
/// use keyward::authorize::Authorizer;
/// use keyward::client_secret::ClientSecrets;
/// use keyward::{FileLoader, KeyPolicy, LiveKey};
/// use serde_json::json;
///
/// async fn secret(State(secrets): State<ClientSecrets>) -> Result<impl IntoResponse, StatusCode> {
///     let session = json!({"type": "realtime", "model": "gpt-realtime"});
///     let secret = secrets.mint(&session).await.map_err(|error| {
///         tracing::error!(%error);
///         StatusCode::BAD_GATEWAY
///     })?;
///     // EXPOSE: to the browser of a user who is logged in. That is what it is made for.
///     # #[allow(clippy::disallowed_methods, reason = "the marked door")]
///     let value = secret.key.expose_secret();
///     let body = json!({"value": value, "expires_at": secret.expires_at.as_unix_seconds()});
///     let headers = [
///         (header::CONTENT_TYPE, "application/json"),
///         (header::CACHE_CONTROL, "no-store"),
///     ];
///     Ok((headers, body.to_string()))
/// }
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = KeyPolicy::production();
/// let mount = FileLoader::mounted_secret("/run/secrets/openai");
/// let key = LiveKey::project(mount, policy.clone()).start().await?;
/// let secrets =
///     ClientSecrets::new(key, Authorizer::new(policy)).lasting(Duration::from_secs(60));
/// let app = axum::Router::new().route("/secret", axum::routing::post(secret)).with_state(secrets);
/// # let _: axum::Router = app;
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// - The key goes where [`Authorizer::authorize`] lets it go and nowhere else: to the hosts of the
///   policy over https, across no redirect, and by a proxy only inside of TLS. It is not in the
///   answer: what repeats a piece of it, or is a key of another kind than a client secret, is
///   [`Invalid`](ClientSecretErrorKind::Invalid).
/// - Whoever has a client secret spends the project's money: mint one for users who are known, let
///   it live as long as it takes to connect, and bound what the project may spend.
/// - The secret is wiped in keyward's memory. In the buffers of the HTTP stack that it arrived in it
///   is not; see [`wire`](https://docs.rs/keyward/latest/keyward/wire/) for a key.
///
/// Each call has a connection and a thread of its own, so that a resolver that hangs holds up
/// nothing; it costs a TLS handshake.
#[derive(Clone, Debug)]
pub struct ClientSecrets {
    live: LiveKey,
    authorizer: Authorizer,
    base_url: String,
    life: Option<Duration>,
    limit: Duration,
}

/// A secret for a browser, and until when sessions can be opened with it.
///
/// # Security
///
/// `Debug` shows kind and fingerprint, and it cannot be serialized:
/// [`expose_secret`](ApiKey::expose_secret) of the key is the door, in the code that hands it over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSecret {
    /// The secret, of the kind [`EphemeralClient`](keyward_core::KeyKind::EphemeralClient).
    pub key: ApiKey,
    /// When it expires, by OpenAI's clock.
    pub expires_at: Timestamp,
}

const BASE_URL: &str = "https://api.openai.com/v1";

/// What OpenAI admits, in seconds.
const LIVES: std::ops::RangeInclusive<u64> = 10..=7200;

impl ClientSecrets {
    /// Mints with the key that the handle holds just then, at the hosts of the authorizer's policy.
    /// An organization or project that the authorizer names is named here too.
    #[must_use]
    pub fn new(key: LiveKey, authorizer: Authorizer) -> Self {
        Self {
            live: key,
            authorizer,
            base_url: BASE_URL.to_owned(),
            life: None,
            limit: Duration::from_secs(10),
        }
    }

    /// Where the API answers, with its version: `https://eu.api.openai.com/v1`. Its host must be one
    /// of the policy's.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Lets each secret live so long, in whole seconds: from ten seconds to two hours. Ten minutes
    /// unless set, which is OpenAI's own choice.
    #[must_use]
    pub fn lasting(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Gives each request so much time: 10 seconds unless set.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Mints a secret for sessions of this configuration, which is an object of JSON, such as
    /// `{"type": "realtime", "model": "gpt-realtime"}`.
    ///
    /// When OpenAI answers that it does not accept the key, the handle is
    /// [told](LiveKey::rejected), and if it has another key, the request is made once more with
    /// that. Nothing else is repeated.
    ///
    /// # Errors
    ///
    /// A [`ClientSecretError`], which tells why, and the fix. Nothing was sent in the case of
    /// [`Life`](ClientSecretErrorKind::Life), [`Refused`](ClientSecretErrorKind::Refused),
    /// [`Session`](ClientSecretErrorKind::Session) and
    /// [`Unavailable`](ClientSecretErrorKind::Unavailable).
    pub async fn mint(
        &self,
        session: &(impl Serialize + ?Sized),
    ) -> Result<ClientSecret, ClientSecretError> {
        let url = self.url()?;
        let body = self.body(session)?;
        let key = self.key()?;
        let error = match self.attempt(&key, &url, &body).await {
            Ok(secret) => return Ok(secret),
            Err(error) => error,
        };
        if !error.is_of_key() {
            return Err(error);
        }
        if !error.is_clear() {
            self.live.note_rejected(&key.fingerprint());
            return Err(error);
        }
        if !self.live.rejected(&key.fingerprint()).await {
            return Err(error);
        }
        let key = self.key()?;
        let result = self.attempt(&key, &url, &body).await;
        if result.as_ref().is_err_and(ClientSecretError::is_of_key) {
            self.live.note_rejected(&key.fingerprint());
        }
        result
    }

    fn key(&self) -> Result<ProjectKey, ClientSecretError> {
        Ok(ProjectKey::clone(&*self.live.current()?))
    }

    fn url(&self) -> Result<Url, ClientSecretError> {
        let unread = || ClientSecretError::address("the base URL cannot be read");
        let mut url = Url::parse(&self.base_url).map_err(|_| unread())?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ClientSecretError::address("the base URL has a query or a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ClientSecretError::address("the base URL has a user name in it"));
        }
        let mut path = url.path_segments_mut().map_err(|()| unread())?;
        path.pop_if_empty().extend(["realtime", "client_secrets"]);
        drop(path);
        Ok(url)
    }

    fn body(&self, session: &(impl Serialize + ?Sized)) -> Result<String, ClientSecretError> {
        // serde's error may quote what it could not write.
        let session = serde_json::to_value(session).ok().filter(serde_json::Value::is_object);
        let session = session.ok_or_else(|| ClientSecretError::session("is no object of JSON"))?;
        if has_key(&session) {
            return Err(ClientSecretError::session("has a key in it, which the browser would get"));
        }
        let mut body = serde_json::Map::new();
        if let Some(life) = self.life {
            let seconds = Some(life.as_secs()).filter(|seconds| LIVES.contains(seconds));
            let seconds = seconds.ok_or_else(ClientSecretError::life)?;
            let after = serde_json::json!({"anchor": "created_at", "seconds": seconds});
            body.insert("expires_after".to_owned(), after);
        }
        body.insert("session".to_owned(), session);
        Ok(serde_json::Value::Object(body).to_string())
    }

    async fn attempt(
        &self,
        key: &ProjectKey,
        url: &Url,
        body: &str,
    ) -> Result<ClientSecret, ClientSecretError> {
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| ClientSecretError::address("the base URL cannot be read"))?;
        let mut headers = HeaderMap::new();
        self.authorizer.put(key, &uri, &mut headers)?;
        let text = Zeroizing::new(body.as_bytes().to_vec());
        let mut call = Call::post(url.clone(), text, self.limit);
        // The session comes back, with what was not said filled in.
        call.most = http_call::MOST.saturating_add(body.len().saturating_mul(2));
        for (name, value) in &headers {
            call = call.header(name.clone(), value.clone());
        }
        let answer = http_call::send(call).await;
        let answer = answer.map_err(|problem| ClientSecretError::problem(&problem))?;
        answer::secret(&answer, key.as_api_key())
    }
}

/// Whether a text or a member's name holds a key. They are looked at before they are written: what is
/// escaped there, as `\n`, would be a letter before the key.
fn has_key(value: &serde_json::Value) -> bool {
    use serde_json::Value;

    match value {
        Value::String(text) => holds_key(text),
        Value::Array(values) => values.iter().any(has_key),
        Value::Object(members) => {
            members.iter().any(|(name, value)| holds_key(name) || has_key(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
