//! [`Reference`]: where a key is, in one line of a configuration, and [`References`], which knows
//! what such a line leads to. What is built in lives in `schemes`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use keyward_core::{ApiKey, KeyKind, KeySource};

pub use self::error::{ReferenceError, ReferenceErrorKind};

use crate::loader::ShownPath;
use crate::store::DynKeyStore;
use crate::{DynKeyLoader, Environment, LoaderChain};

mod error;
mod schemes;

/// Where a key is: a scheme, and a place that the scheme understands.
///
/// `env:OPENAI_API_KEY`, `file:/etc/billing/openai.key`, `vault:secret/billing#openai`. Two slashes
/// behind the colon are allowed and mean nothing: `vault://secret/billing`.
///
/// A reference is no secret, and a key is no reference: one that was pasted in its place is
/// refused, and not repeated.
///
/// ```
/// use keyward::reference::Reference;
///
/// let reference = Reference::parse("vault:secret/billing#openai")?;
/// assert_eq!(reference.scheme(), "vault");
/// assert_eq!(reference.split_fragment(), ("secret/billing", Some("openai")));
/// # Ok::<(), keyward::reference::ReferenceError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Reference {
    scheme: String,
    place: String,
}

impl Reference {
    /// Takes a reference apart. Whether anything knows its scheme is asked later.
    ///
    /// # Errors
    ///
    /// [`Malformed`](ReferenceErrorKind::Malformed) for what has no scheme or no place, and
    /// [`HoldsAKey`](ReferenceErrorKind::HoldsAKey) for a key.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = text.trim();
        if is_key(text) {
            return Err(ReferenceError::holds_a_key());
        }
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.len() <= MAX_SCHEME_LEN
                && scheme.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let (scheme, place) = text
            .split_once(':')
            .filter(|(scheme, _)| is_scheme(scheme))
            .ok_or_else(ReferenceError::malformed)?;
        let place = place.strip_prefix("//").unwrap_or(place);
        if place.is_empty() || place.contains(char::is_control) {
            return Err(ReferenceError::malformed());
        }
        if is_key(place) {
            return Err(ReferenceError::holds_a_key());
        }
        Ok(Self { scheme: scheme.to_owned(), place: place.to_owned() })
    }

    /// What stands before the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands behind the colon.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The place, and what stands behind its last `#`, for schemes that have parts of a place.
    #[must_use]
    pub fn split_fragment(&self) -> (&str, Option<&str>) {
        match self.place.rsplit_once('#') {
            Some((place, fragment)) => (place, Some(fragment)),
            None => (&self.place, None),
        }
    }

    /// The same as errors and logs tell it.
    #[must_use]
    pub fn source(&self) -> KeySource {
        KeySource::new(self.scheme.clone(), ShownPath::new(&self.place).to_string())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

/// A key within the place is masked.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source(), f)
    }
}

/// What a scheme leads to. A crate with sources or stores of its own implements it, and is
/// [registered](References::register).
pub trait Scheme: Send + Sync {
    /// What loads the key that is referred to. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`ReferenceError::invalid`] for a place that the scheme does not understand.
    fn loader(&self, reference: &Reference) -> Result<DynKeyLoader, ReferenceError>;

    /// The store that is referred to. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`NotAStore`](ReferenceErrorKind::NotAStore), unless the scheme says otherwise; and those
    /// of [`loader`](Self::loader).
    fn store(&self, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
        Err(ReferenceError::not_a_store(reference))
    }
}

/// What references lead to: the schemes that are built in, as far as their features are on, and
/// those that others register.
///
/// | reference | loads with | stores with | feature |
/// |---|---|---|---|
/// | `cmd:PROGRAM ARGUMENT…` | [`CommandLoader`](crate::CommandLoader), split at white space, without a shell | | |
/// | `env:NAME` | [`EnvLoader`](crate::EnvLoader) | | |
/// | `file:PATH` | [`FileLoader::new`](crate::FileLoader::new) | `FileStore` (`store`) | |
/// | `mount:PATH` | [`FileLoader::mounted_secret`](crate::FileLoader::mounted_secret) | | |
/// | `systemd:NAME` | [`FileLoader::systemd_credential`](crate::FileLoader::systemd_credential) | | |
/// | `keychain:SERVICE/USER` | `KeychainLoader` | `KeychainPlace` (`store`) | `keychain` |
/// | `keyutils:SERVICE/USER` | the same, of the Linux kernel | the same | `keychain` |
/// | `sealed:PATH#identity=REFERENCE` | `SealedFile` | `SealedFile` | `sealed` |
/// | `sealed:PATH#identity-file=PATH` | the same | the same | `sealed` |
/// | `sealed:PATH#passphrase=REFERENCE` | the same | the same | `sealed` |
/// | `wif:PROVIDER/SERVICE_ACCOUNT#file=PATH` | `WorkloadIdentity`, with the token in a file | | `workload-identity` |
/// | `wif:…#cmd=PROGRAM ARGUMENT…` | the same, with the token that a program prints | | `workload-identity` |
/// | `wif:…#github=AUDIENCE`, `…#google=AUDIENCE`, `…#azure=RESOURCE` | the same, with that of the platform | | `workload-identity` |
/// | `wif:env` | the same, with what the environment tells | | `workload-identity` |
///
/// A scheme that is known and not there says which feature or which crate brings it.
///
/// ```
/// use keyward::reference::References;
///
/// let references = References::new();
/// let chain = references.chain(["env:OPENAI_API_KEY", "mount:/run/secrets/openai"])?;
/// let error = references.loader("aws-sm:billing/openai").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`aws-sm:` is not built in; add the crate `keyward-kms` with its feature `aws`, and \
///      register its schemes",
/// );
/// # let _ = chain;
/// # Ok::<(), keyward::reference::ReferenceError>(())
/// ```
#[derive(Clone)]
pub struct References {
    schemes: BTreeMap<String, Arc<dyn Scheme>>,
    environment: Environment,
}

impl References {
    /// The schemes that are built in.
    #[must_use]
    pub fn new() -> Self {
        Self { schemes: BTreeMap::new(), environment: Environment::process() }
    }

    /// Looks at these variables instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Adds a scheme, or puts another in its place, also in that of one that is built in.
    #[must_use]
    pub fn register(mut self, scheme: impl Into<String>, opens: impl Scheme + 'static) -> Self {
        self.schemes.insert(scheme.into(), Arc::new(opens));
        self
    }

    /// What loads the key that a text refers to. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// A [`ReferenceError`]: what is wrong with the text, or what is missing. The text is not
    /// repeated, because it may be a key.
    pub fn loader(&self, text: &str) -> Result<DynKeyLoader, ReferenceError> {
        let reference = Reference::parse(text)?;
        match self.schemes.get(reference.scheme()) {
            Some(scheme) => scheme.loader(&reference),
            None => schemes::loader(self, &reference),
        }
    }

    /// The store that a text refers to. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// As of [`loader`](Self::loader); and [`NotAStore`](ReferenceErrorKind::NotAStore) for a
    /// source that cannot be written.
    pub fn store(&self, text: &str) -> Result<DynKeyStore, ReferenceError> {
        let reference = Reference::parse(text)?;
        match self.schemes.get(reference.scheme()) {
            Some(scheme) => scheme.store(&reference),
            None => schemes::store(self, &reference),
        }
    }

    /// A chain of what several texts refer to, in their order; each link is named after its
    /// scheme.
    ///
    /// # Errors
    ///
    /// As of [`loader`](Self::loader), for the first text that is none; and
    /// [`Malformed`](ReferenceErrorKind::Malformed) for no text at all.
    pub fn chain<T: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<LoaderChain, ReferenceError> {
        let mut chain: Option<LoaderChain> = None;
        for text in texts {
            let loader = self.loader(text.as_ref())?;
            let name = Reference::parse(text.as_ref())?.scheme;
            chain = Some(match chain {
                None => LoaderChain::first(name, loader),
                Some(chain) => chain.then(name, loader),
            });
        }
        chain.ok_or_else(ReferenceError::malformed)
    }
}

impl Default for References {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("registered", &self.schemes.keys())
            .finish_non_exhaustive()
    }
}

/// A word before a colon that is longer than this is no scheme.
const MAX_SCHEME_LEN: usize = 24;

/// Whether a text is a key of a kind that is known.
fn is_key(text: &str) -> bool {
    // Taken by value and wiped: it may be one.
    ApiKey::parse(text.to_owned()).is_ok_and(|key| key.kind() != KeyKind::Unknown)
}
