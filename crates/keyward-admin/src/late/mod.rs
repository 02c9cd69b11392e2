//! How the admin key gets onto a request and a new key out of an answer: as they are, or, with the
//! feature `wire`, by late injection. What this needs of rustls is in `wire`.

use bytes::Bytes;
use keyward_core::{AdminKey, ApiKey};
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::Error;

#[cfg(feature = "wire")]
pub(crate) use self::wire::Late;

#[cfg(feature = "wire")]
mod wire;

/// What late injection was asked for with: without the feature, by nobody.
#[cfg(not(feature = "wire"))]
#[derive(Clone)]
pub(crate) enum Late {}

#[cfg(not(feature = "wire"))]
impl Late {
    pub(crate) fn credential(
        self,
        _key: &AdminKey,
        _policy: keyward_core::KeyPolicy,
    ) -> Result<Credential, Error> {
        match self {}
    }
}

/// What goes on a request.
pub(crate) enum Credential {
    /// The header's value, made once, with the key in it.
    Header(HeaderValue),
    /// A placeholder, which the injector gives out for each request.
    #[cfg(feature = "wire")]
    Late(Box<wire::Injected>),
}

impl Credential {
    /// `Bearer` and the key, in one allocation that is wiped when the last header that shares it
    /// goes.
    pub(crate) fn header(key: &AdminKey) -> Result<Self, Error> {
        const SCHEME: &str = "Bearer ";

        // EXPOSE: the Authorization header of the Admin API client.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let secret = key.as_api_key().expose_secret();
        let mut text = Zeroizing::new(Vec::with_capacity(SCHEME.len() + secret.len()));
        text.extend_from_slice(SCHEME.as_bytes());
        text.extend_from_slice(secret.as_bytes());
        // An `ApiKey` consists of what a header can carry, so this cannot fail.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
            .map_err(|_| Error::configuration("the key cannot be put in a header"))?;
        value.set_sensitive(true);
        Ok(Self::Header(value))
    }

    /// The value of `Authorization` for one request. It is to be kept until the head of the answer
    /// is there: as long a placeholder surely stands for the key.
    pub(crate) fn value(&self) -> Result<HeaderValue, Error> {
        match self {
            Self::Header(value) => Ok(value.clone()),
            #[cfg(feature = "wire")]
            Self::Late(injected) => injected.value(),
        }
    }

    /// The HTTP client with the TLS that it is to have.
    pub(crate) fn with_tls(&self, http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match self {
            Self::Header(_) => http,
            #[cfg(feature = "wire")]
            Self::Late(injected) => http.tls_backend_preconfigured(injected.tls()),
        }
    }

    /// Who has what stands for new keys in the answers.
    pub(crate) fn catch(&self) -> Catch {
        match self {
            Self::Header(_) => Catch::default(),
            #[cfg(feature = "wire")]
            Self::Late(injected) => injected.catch(),
        }
    }
}

/// Who has the keys that were taken out of answers; nobody, where none are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catch {
    #[cfg(feature = "wire")]
    injector: Option<wire::AdminInjector>,
}

/// What a text in an answer is.
#[cfg_attr(not(feature = "wire"), allow(dead_code, reason = "nothing is caught without it"))]
pub(crate) enum Caught {
    /// It stands for this key.
    Key(ApiKey),
    /// It stands for a key that nobody has any more.
    Lost,
    /// It stands for itself.
    Text,
}

#[cfg(not(feature = "wire"))]
#[allow(clippy::unused_self, reason = "with the feature there is something to ask")]
impl Catch {
    pub(crate) fn look(&self, _text: &str) -> Caught {
        Caught::Text
    }

    pub(crate) fn put_back(&self, _answer: &mut [u8]) -> bool {
        false
    }

    pub(crate) fn forget(&self, _answer: &[u8]) {}
}
