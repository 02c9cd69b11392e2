//! Putting a key on requests of the crate `http`, and on no request that it does not belong on.
//!
//! This module is the adapter for that crate, so its types stand in the signatures here.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Request, Uri};
use keyward_core::{Endpoint, KeyPolicy, ProjectKey, Refusal};
use zeroize::Zeroizing;

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
#[derive(Clone, Debug)]
pub struct Authorizer {
    policy: KeyPolicy,
}

impl Authorizer {
    /// An authorizer for the hosts of this policy.
    #[must_use]
    pub fn new(policy: KeyPolicy) -> Self {
        Self { policy }
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
    /// holds a user name, or leads where the policy lets no key go; and when the request carries a
    /// credential already.
    pub fn authorize<B>(
        &self,
        key: &ProjectKey,
        request: &mut Request<B>,
    ) -> Result<(), AuthorizeError> {
        let value = self.header(key, request.uri())?;
        if let Some(header) =
            CREDENTIAL_HEADERS.iter().find(|header| request.headers().contains_key(*header))
        {
            return Err(AuthorizeError::AlreadyAuthorized { header: header.as_str().to_owned() });
        }
        request.headers_mut().insert(AUTHORIZATION, value);
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
    /// As of [`authorize`](Self::authorize), but for a credential that the request carries, which
    /// is not seen here.
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
        Ok(self.policy.admit_endpoint(&Endpoint::new(scheme, authority.host()))?)
    }
}

/// Why a request was not authorized.
///
/// `Display` is one line: why, then the fix. It holds nothing of the key, and of the request no
/// more than the host and a header's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The request carries a credential already.
    #[error("the request has a header `{header}` already; let keyward alone put the key on it")]
    #[non_exhaustive]
    AlreadyAuthorized {
        /// The header's name.
        header: String,
    },
    /// The policy lets no key go there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request's URI does not tell the scheme and the host.
    #[error("the request's URI is not absolute; authorize it with its scheme and host in place")]
    RelativeUri,
    /// The URI's host cannot be told from what stands behind it.
    #[error("the request's URI has something behind its host that is no port; remove it")]
    UnclearHost,
    /// The URI has a user name or password in it, which also is how a URL pretends to lead to
    /// another host than it does.
    #[error(
        "the request's URI has a user name in front of its host; remove everything up to the `@`"
    )]
    UserInfo,
}

impl AuthorizeError {
    /// The policy's refusal, if it was that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

/// The headers by which OpenAI and gateways in front of it take keys.
const CREDENTIAL_HEADERS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("api-key"), HeaderName::from_static("x-api-key")];

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
