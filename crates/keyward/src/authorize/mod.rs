//! Putting a key on requests of the crate `http`, and on no request that it does not belong on.
//!
//! The primary type is [`Authorizer`], which does it for one request and one key. With the features
//! `tower` and `reqwest-middleware` come adapters that do it for every request of a client, take the
//! key of a [`LiveKey`](crate::LiveKey), and do what a `401` asks for:
//!
//! | adapter | feature | for |
//! |---|---|---|
//! | [`Authorizer::authorize`] | `http` | requests of `http`, one by one |
//! | [`Authorizer::header`] | `http` | whatever takes its header values |
//! | [`AuthorizeLayer`](https://docs.rs/keyward/latest/keyward/authorize/struct.AuthorizeLayer.html) | `tower` | hyper's client, and every other service of tower |
//! | [`AuthorizeMiddleware`](https://docs.rs/keyward/latest/keyward/authorize/struct.AuthorizeMiddleware.html) | `reqwest-middleware` | reqwest, and what is built on it |
//!
//! This module is the adapter for those crates, so their types stand in the signatures here.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri};
use keyward_core::{ApiKey, Endpoint, KeyKind, KeyPolicy, ProjectKey, find};
use zeroize::Zeroizing;

#[cfg(feature = "client-secret")]
pub(crate) use self::denied::Said;
#[cfg(any(feature = "client-secret", feature = "reqwest-middleware", feature = "tower"))]
pub use self::denied::{Denied, DeniedReason};
pub use self::error::AuthorizeError;
#[cfg(feature = "tower")]
pub use self::peek::Peeked;
#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest_middleware::AuthorizeMiddleware;
#[cfg(feature = "tower")]
pub use self::tower::{AuthorizeLayer, AuthorizeService, CallError, Once, Replay, Replayed};

#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod call;
#[cfg(any(feature = "client-secret", feature = "reqwest-middleware", feature = "tower"))]
mod denied;
mod error;
#[cfg(any(feature = "reqwest-middleware", feature = "tower"))]
mod peek;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
#[cfg(feature = "tower")]
mod tower;

/// Puts keys on requests to the hosts of a policy, over https, and refuses all others.
///
/// It takes a [`ProjectKey`]. An admin key does not pass the type:
///
/// ```compile_fail,E0308
/// # use keyward::{AdminKey, authorize::Authorizer};
/// fn with_admin_key(authorizer: &Authorizer, key: &AdminKey, request: &mut http::Request<()>) {
///     let _ = authorizer.authorize(key, request);
/// }
/// ```
///
/// # Security
///
/// The kind of the key and the host are looked at for each request. What only time changes, an
/// expiry or the end of an exception, is looked at when a key is admitted: admit it again when it
/// is loaded again.
///
/// A client that follows redirects can carry the header to another host. Turn redirects off, or
/// see that the client drops `Authorization` on the way.
///
/// Over https a proxy sees no more than the host: the client makes a tunnel through it, and TLS
/// ends at OpenAI. A request over http, which only goes to an address of this machine that the
/// policy names, is read by a proxy if the client sends it to one. Whether it does, nothing but the
/// client knows.
#[derive(Clone, Debug)]
pub struct Authorizer {
    policy: KeyPolicy,
    /// Headers that say whose the request is, and their values.
    guards: Vec<(HeaderName, HeaderValue)>,
}

impl Authorizer {
    /// An authorizer for the hosts of this policy.
    #[must_use]
    pub fn new(policy: KeyPolicy) -> Self {
        Self { policy, guards: Vec::new() }
    }

    /// Sets `OpenAI-Organization` to this id, and refuses a request that names another. OpenAI
    /// answers a key of any other organization with an error, so that a key that was mixed up works
    /// for nobody.
    ///
    /// # Errors
    ///
    /// [`AuthorizeError::Identifier`] for a text that is no identifier.
    pub fn with_organization(self, id: impl AsRef<str>) -> Result<Self, AuthorizeError> {
        self.guarded_by(ORGANIZATION, id.as_ref())
    }

    /// The same with `OpenAI-Project`.
    ///
    /// # Errors
    ///
    /// [`AuthorizeError::Identifier`] for a text that is no identifier.
    pub fn with_project(self, id: impl AsRef<str>) -> Result<Self, AuthorizeError> {
        self.guarded_by(PROJECT, id.as_ref())
    }

    fn guarded_by(mut self, header: HeaderName, id: &str) -> Result<Self, AuthorizeError> {
        let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let value = HeaderValue::from_str(id)
            .ok()
            .filter(|_| !id.is_empty() && id.bytes().all(is_id) && !holds_key(id))
            .ok_or_else(|| AuthorizeError::Identifier { header: header.as_str().to_owned() })?;
        self.guards.retain(|(name, _)| *name != header);
        self.guards.push((header, value));
        Ok(self)
    }

    /// Sets `Authorization: Bearer …` on a request.
    ///
    /// The value is marked as sensitive: it is not printed by `Debug`, and HTTP/2 does not keep
    /// it in its compression table. It stands in one buffer, which is wiped when the request and
    /// every clone of the header are dropped.
    ///
    /// # Errors
    ///
    /// An [`AuthorizeError`], and the request is left as it was: when the key is of a kind that the
    /// policy does not know, because another policy admitted it; when the URI is not absolute,
    /// holds a user name or a key, or leads where the policy lets no key go; when the request
    /// carries a credential already; when its `Host` header is not that of the URI; and when it
    /// names another organization or project than
    /// [that of the authorizer](Self::with_organization).
    pub fn authorize<B>(
        &self,
        key: &ProjectKey,
        request: &mut Request<B>,
    ) -> Result<(), AuthorizeError> {
        let (uri, headers) = (request.uri().clone(), request.headers_mut());
        self.put(key, &uri, headers)
    }

    /// The same, for a request that is not of the crate `http`.
    pub(crate) fn put(
        &self,
        key: &ProjectKey,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<(), AuthorizeError> {
        let value = self.header(key, uri)?;
        if let Some(header) = credential(headers) {
            return Err(AuthorizeError::AlreadyAuthorized { header: header.as_str().to_owned() });
        }
        if headers.get_all(HOST).iter().any(|host| !is_host_of(uri, host)) {
            return Err(AuthorizeError::OtherHost);
        }
        for (header, value) in &self.guards {
            if headers.get_all(header).iter().any(|other| other != value) {
                return Err(AuthorizeError::OtherOwner { header: header.as_str().to_owned() });
            }
        }
        for (header, value) in &self.guards {
            headers.insert(header, value.clone());
        }
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The value of `Authorization` for a request to this URI, for clients whose requests are not
    /// of the crate `http` but whose header values are, such as reqwest:
    ///
    /// ```
    /// # use keyward::{ProjectKey, authorize::{AuthorizeError, Authorizer}};
    /// # fn value(authorizer: &Authorizer, key: &ProjectKey) -> Result<(), Box<dyn std::error::Error>> {
    /// let url = "https://api.openai.com/v1/responses";
    /// let value = authorizer.header(key, &url.parse()?)?;
    /// // client.post(url).header("authorization", value)
    /// # let _ = value;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`authorize`](Self::authorize), but for the headers that the request carries, which
    /// are not seen here.
    ///
    /// # Security
    ///
    /// That the value goes to this URI and no other is the caller's to see to.
    pub fn header(&self, key: &ProjectKey, uri: &Uri) -> Result<HeaderValue, AuthorizeError> {
        self.policy.check_kind(key.kind())?;
        self.admit(uri)?;
        Ok(bearer(key))
    }

    fn admit(&self, uri: &Uri) -> Result<(), AuthorizeError> {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(AuthorizeError::RelativeUri);
        };
        if authority.as_str().contains('@') {
            return Err(AuthorizeError::UserInfo);
        }
        // `host` passes over what stands behind a `]`, and a client may not.
        let port = authority.as_str().strip_prefix(authority.host());
        if !port.is_some_and(|port| port.is_empty() || is_port(port)) {
            return Err(AuthorizeError::UnclearHost);
        }
        if uri.path_and_query().is_some_and(|rest| holds_key(rest.as_str())) {
            return Err(AuthorizeError::KeyInUri);
        }
        Ok(self.policy.admit_endpoint(&Endpoint::new(scheme, authority.host()))?)
    }
}

/// Whether this is the value that a client would give `Host` for the URI, or differs from it in
/// nothing but letter case and the scheme's own port.
fn is_host_of(uri: &Uri, host: &HeaderValue) -> bool {
    let own = match uri.scheme_str() {
        Some("https" | "wss") => ":443",
        _ => ":80",
    };
    let without = |text: &str| text.strip_suffix(own).unwrap_or(text).to_ascii_lowercase();
    let authority = uri.authority().map(|authority| without(authority.as_str()));
    host.to_str().is_ok_and(|host| authority == Some(without(host)))
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// The header by which a request already says who it is from: one that servers and gateways take
/// keys by, or any other that has a key in it. A browser's WebSocket has it among its protocols.
fn credential(headers: &HeaderMap) -> Option<&HeaderName> {
    let is_credential = |name: &HeaderName, value: &HeaderValue| {
        let name = name.as_str();
        CREDENTIAL_HEADERS.contains(&name)
            || name.ends_with("api-key")
            || name.ends_with("apikey")
            || value.to_str().is_ok_and(holds_key)
    };
    headers.iter().find(|(name, value)| is_credential(name, value)).map(|(name, _)| name)
}

/// Those whose names do not say that it is an API key. The third is that of Azure's gateways.
const CREDENTIAL_HEADERS: [&str; 3] =
    ["authorization", "x-auth-token", "ocp-apim-subscription-key"];

/// Whether a word of the text is a key by its form. One that only contains such a word, as `task-1`
/// does, is none.
pub(crate) fn holds_key(text: &str) -> bool {
    const SHORTEST: usize = 20;

    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        .filter(|word| word.len() >= SHORTEST && find::contains_key(word))
        // The copy is wiped.
        .any(|word| ApiKey::parse(word.to_owned()).is_ok_and(|key| key.kind() != KeyKind::Unknown))
}

const SCHEME: &[u8] = b"Bearer ";

/// The header's value, in one buffer of exactly its size that is wiped on drop.
fn bearer(key: &ProjectKey) -> HeaderValue {
    // EXPOSE: the door into the `Authorization` header of a request that the policy has admitted.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let text = key.as_api_key().expose_secret().as_bytes();
    let mut value = Zeroizing::new(Vec::with_capacity(SCHEME.len() + text.len()));
    value.extend_from_slice(SCHEME);
    value.extend_from_slice(text);
    // From `Bytes`, so that the header holds this buffer and not a copy of it.
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .expect("an ApiKey consists of characters that a header can carry");
    header.set_sensitive(true);
    header
}
