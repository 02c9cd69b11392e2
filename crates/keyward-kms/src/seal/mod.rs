//! Keys sealed by a KMS: the traits that a KMS implements, and the loaders of what it sealed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use keyward::{ApiKey, find};
use zeroize::Zeroizing;

pub use self::blob::SealedKey;
pub use self::direct::DirectLoader;
pub use self::envelope::EnvelopeLoader;

use crate::{Error, ErrorKind};

mod blob;
mod direct;
mod envelope;
mod opener;
mod origin;

/// Opens what a KMS key has sealed: a key in a KMS, or whatever else keeps a key that never
/// leaves it.
///
/// With it an [`EnvelopeLoader`] and a [`DirectLoader`] work with a KMS of your own; no feature
/// is needed. Implementations for clouds stand in the modules of their features.
///
/// ```
/// use keyward_kms::{Decrypt, Error, ErrorKind, Plaintext, SealContext};
///
/// struct Hsm;
///
/// impl Decrypt for Hsm {
///     async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
///         // Bind the context as additional data: what was sealed for one name and project must
///         // not open for another.
///         match ask_the_hsm(sealed, &context.to_bytes()).await {
///             Some(opened) => Ok(opened.into()),
///             None => Err(Error::new(
///                 ErrorKind::Undecryptable,
///                 "the HSM does not open it",
///                 "seal it anew, for this name and project",
///             )),
///         }
///     }
/// }
/// # async fn ask_the_hsm(_: &[u8], _: &[u8]) -> Option<Vec<u8>> { None }
/// ```
pub trait Decrypt: Send + Sync {
    /// Opens what [`Encrypt::encrypt`] sealed in the same context.
    ///
    /// # Errors
    ///
    /// An [`Error`]: above all [`ErrorKind::Undecryptable`] when it was sealed by another key or
    /// in another context, and [`ErrorKind::KeyUnusable`] when the key is disabled or gone.
    fn decrypt(
        &self,
        sealed: &[u8],
        context: &SealContext,
    ) -> impl Future<Output = Result<Plaintext, Error>> + Send;

    /// What a source is called that this opens: `aws-kms`, `vault-transit`, …
    fn scheme(&self) -> &'static str {
        "kms"
    }

    /// The environment variables that hold a login to it, or lead to one, which a child should not
    /// inherit. None unless the KMS says so.
    fn variables(&self) -> Vec<OsString> {
        Vec::new()
    }
}

impl<D: Decrypt> Decrypt for Arc<D> {
    fn decrypt(
        &self,
        sealed: &[u8],
        context: &SealContext,
    ) -> impl Future<Output = Result<Plaintext, Error>> + Send {
        D::decrypt(self, sealed, context)
    }

    fn scheme(&self) -> &'static str {
        D::scheme(self)
    }

    fn variables(&self) -> Vec<OsString> {
        D::variables(self)
    }
}

/// Seals by a KMS key: what [`Decrypt`] opens again.
pub trait Encrypt: Send + Sync {
    /// Seals a text of at most 4 KiB in a context.
    ///
    /// # Errors
    ///
    /// An [`Error`] that tells nothing of the text.
    fn encrypt(
        &self,
        plaintext: &[u8],
        context: &SealContext,
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;

    /// The KMS key that it seals by, as a person finds it again. It is shown, and stands in the
    /// head of a [`SealedKey`].
    fn key_id(&self) -> &str;
}

impl<E: Encrypt> Encrypt for Arc<E> {
    fn encrypt(
        &self,
        plaintext: &[u8],
        context: &SealContext,
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send {
        E::encrypt(self, plaintext, context)
    }

    fn key_id(&self) -> &str {
        E::key_id(self)
    }
}

/// What a KMS has opened: wiped on drop, never printed.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl From<Vec<u8>> for Plaintext {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintext").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// What a sealed key is bound to: it opens in this context alone.
///
/// AWS calls it the encryption context, others additional authenticated data. It is not secret:
/// AWS writes it to its audit log in the clear, where it also tells who opened which key.
///
/// ```
/// use keyward_kms::SealContext;
///
/// let context = SealContext::new("billing/openai", "proj_abc");
/// assert_eq!(context.get("keyward:project"), Some("proj_abc"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealContext(BTreeMap<String, String>);

impl SealContext {
    /// The name of the key, which no two keys of a team share, and the project that it is of.
    #[must_use]
    pub fn new(name: impl Into<String>, project: impl Into<String>) -> Self {
        Self::empty().with("keyward:name", name).with("keyward:project", project)
    }

    /// Nothing: for what another tool has sealed without a context.
    ///
    /// # Security
    ///
    /// Whoever can replace a sealed text can then put one in its place that was sealed for
    /// something else by the same key.
    #[must_use]
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// One more pair, as another tool has set it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All pairs, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All pairs as bytes that no other context has, for a KMS that binds bytes: the number of
    /// pairs, then each name and value behind its length, numbers in four bytes, the highest
    /// first. An empty context is no bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.0.is_empty() {
            return bytes;
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
        bytes.extend(number(self.0.len()));
        for text in self.pairs().flat_map(|(name, value)| [name, value]) {
            bytes.extend(number(text.len()));
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    /// A context is written to logs by the clouds, so a key must not be in it.
    fn check(&self) -> Result<(), Error> {
        if self.pairs().any(|(name, value)| find::contains_key(name) || find::contains_key(value)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "there is a key in the context",
                "name the key in the context; its value does not belong there",
            ));
        }
        Ok(())
    }
}

/// Seals a key by a KMS key directly, which keys are short enough for.
///
/// What comes out is what the KMS's own tool makes (`aws kms encrypt --encryption-context …`), and
/// a [`DirectLoader`] loads it. Put it under a deadline of your own.
///
/// # Errors
///
/// Those of the KMS, and [`ErrorKind::Invalid`] when there is a key in the context.
pub async fn seal_directly(
    kms: &impl Encrypt,
    key: &ApiKey,
    context: &SealContext,
) -> Result<Vec<u8>, Error> {
    context.check()?;
    // EXPOSE: the door to a KMS, which seals the key.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let text = key.expose_secret();
    kms.encrypt(text.as_bytes(), context).await
}
