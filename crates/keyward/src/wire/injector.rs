//! [`Injector`]: the primary type of `wire`.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::HeaderValue;
use keyward_core::{AdminKey, ApiKey, KeyPolicy, ProjectKey};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::gate::Gate;
use super::minted::Caught;
use super::suite;
use super::table::{SCHEME, Table};
use super::{WireError, WireErrorKind};
use crate::NarrowedKey;

/// Gives an HTTP client placeholders for keys, and puts the keys in as rustls encrypts what the
/// client sends to the hosts of a policy.
///
/// It is cheap to clone; all clones know the same keys. See the [module](super) for how it works
/// and what it does not do.
///
/// It takes one kind of key. An admin key does not pass the type of an injector for project keys:
///
/// ```compile_fail,E0308
/// # use keyward::{AdminKey, ProjectKey, wire::Injector};
/// fn with_admin_key(injector: &Injector<ProjectKey>, key: &AdminKey) {
///     let _ = injector.header_value(key);
/// }
/// ```
pub struct Injector<K: NarrowedKey = ProjectKey> {
    policy: KeyPolicy,
    table: Arc<Table>,
    cryptography: Arc<CryptoProvider>,
    kind: PhantomData<fn(&K)>,
}

impl Injector<ProjectKey> {
    /// An injector for keys that authorize model requests, to the hosts of this policy. Make one,
    /// and keep it as long as its client: about half a kilobyte of each is never freed, because
    /// rustls wants cipher suites that live for ever.
    ///
    /// The cryptography is what rustls has as `crypto::aws_lc_rs::default_provider()` or
    /// `crypto::ring::default_provider()`. Nothing of the process is changed: no default is
    /// installed.
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::NoTls13`].
    pub fn project(
        cryptography: impl Into<Arc<CryptoProvider>>,
        policy: KeyPolicy,
    ) -> Result<Self, WireError> {
        Self::new(&cryptography.into(), policy, false)
    }
}

impl Injector<AdminKey> {
    /// The same for keys of the Admin API.
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::NoTls13`].
    pub fn admin(
        cryptography: impl Into<Arc<CryptoProvider>>,
        policy: KeyPolicy,
    ) -> Result<Self, WireError> {
        Self::new(&cryptography.into(), policy, false)
    }

    /// The same, and a new key in the answers of its connections is taken out before the HTTP stack
    /// reads it; what the client reads in its place is a placeholder, for
    /// [`redeem`](Self::redeem). It is for clients of the Admin API alone: what looks like a new key
    /// is replaced whoever the answer is for.
    ///
    /// A new key is the whole string that is the member `value` of a JSON object, and looks like a
    /// key. One that is in two records, or in two frames of HTTP/2, is left as it is, which short
    /// answers do not do. At most 64 are held: then the oldest that was redeemed makes room, and if
    /// none was, new ones are left as they are, with a warning by `tracing` for each. No key is lost
    /// by that.
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::NoTls13`].
    pub fn admin_catching_minted(
        cryptography: impl Into<Arc<CryptoProvider>>,
        policy: KeyPolicy,
    ) -> Result<Self, WireError> {
        Self::new(&cryptography.into(), policy, true)
    }

    /// The key that this one stands for, as often as it is asked for; the same key if it stands for
    /// none, because it was left as it is.
    ///
    /// Store the key, and then [`forget`](Self::forget) it here.
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::NotHeld`]: it is a placeholder, and not the key, so do not store it. The
    /// key was forgotten, or another injector has it.
    ///
    /// # Security
    ///
    /// A key is held until it is forgotten, until it was redeemed and its place is needed, or until
    /// the injector and its configurations are dropped.
    pub fn redeem(&self, minted: &ApiKey) -> Result<ApiKey, WireError> {
        self.table.caught.redeem(minted)
    }

    /// Holds the key that this one stands for no more. If nobody else has it, it is lost.
    pub fn forget(&self, minted: &ApiKey) {
        self.table.caught.forget(minted);
    }
}

impl<K: NarrowedKey> Injector<K> {
    fn new(
        cryptography: &CryptoProvider,
        policy: KeyPolicy,
        catches: bool,
    ) -> Result<Self, WireError> {
        let table = Arc::new(Table::new(cryptography.secure_random, Caught::new(catches)));
        let cryptography = Arc::new(suite::wrap(cryptography, &table));
        builder(&cryptography).map_err(|_| WireError::new(WireErrorKind::NoTls13))?;
        Ok(Self { policy, table, cryptography, kind: PhantomData })
    }

    /// The configuration of an HTTP client whose servers are verified by these roots. It offers
    /// HTTP/2 and HTTP/1.1 by ALPN, which reqwest takes as it is. hyper-rustls wants to set that
    /// itself, and panics if it is set; clear it for that:
    ///
    /// ```
    /// # use keyward::wire::{Injector, WireError};
    /// # fn config(injector: &Injector, roots: rustls::RootCertStore) -> Result<(), WireError> {
    /// let mut config = injector.client_config(roots)?;
    /// config.alpn_protocols.clear();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::NoRoots`].
    ///
    /// # Security
    ///
    /// Connections to hosts that are not the policy's fail in the handshake, by an error that tells
    /// the refusal. Leave `enable_early_data` off, as it is: no key is put into early data.
    pub fn client_config(
        &self,
        roots: impl Into<Arc<RootCertStore>>,
    ) -> Result<ClientConfig, WireError> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.cryptography.clone())
                .build()
                .map_err(|_| WireError::new(WireErrorKind::NoRoots))?;
        Ok(self.client_config_with(verifier))
    }

    /// The same with a verifier of the application's, such as that of the crate
    /// `rustls-platform-verifier`.
    ///
    /// # Security
    ///
    /// Whom the verifier takes for a host of the policy gets the key.
    #[must_use]
    pub fn client_config_with(&self, verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
        let gate =
            Gate { inner: verifier, policy: self.policy.clone(), _table: Arc::clone(&self.table) };
        let mut config = self
            .builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(gate))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    /// The value of `Authorization` for a request: the placeholder of this key, marked as
    /// sensitive.
    ///
    /// Take it anew for each request, with the key that is in use then; that costs no more than a
    /// clone. The key can be put in as long as there is a header value with its placeholder, and some
    /// ten to twenty seconds more, for what the client has written but not sent. After that the
    /// injector forgets it, when it is asked for a header value again, of whatever key.
    ///
    /// That time begins when the client drops the header value, which it does when it has written
    /// the request into its buffer. Where the buffer can wait longer (an HTTP/2 connection whose
    /// server does not read), keep a clone of the value until the head of the answer is there;
    /// otherwise the request can go out with its placeholder, and the answer be a 401 that is not
    /// the key's.
    ///
    /// # Errors
    ///
    /// - [`WireErrorKind::Refused`]: the policy does not know keys of this kind.
    /// - [`WireErrorKind::NoPlaceholder`], [`WireErrorKind::NoRandom`].
    pub fn header_value(&self, key: &K) -> Result<HeaderValue, WireError> {
        let key = key.as_api_key();
        self.policy.check_kind(key.kind())?;
        self.table.value(key)
    }

    /// The placeholder of this key as text, for libraries that take a key as a `String` and make the
    /// header themselves.
    ///
    /// Take it anew for each request. Nothing tells when the library has done with it, so it stands
    /// for the key some ten to twenty seconds; a request that is sent later goes out with the
    /// placeholder. [`header_value`](Self::header_value) has no such end.
    ///
    /// # Errors
    ///
    /// As of [`header_value`](Self::header_value).
    ///
    /// # Security
    ///
    /// It is no secret: without this injector it stands for nothing.
    pub fn placeholder(&self, key: &K) -> Result<String, WireError> {
        let value = self.header_value(key)?;
        let text = value.as_bytes().strip_prefix(SCHEME).unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn builder(&self) -> ConfigBuilder<ClientConfig, WantsVerifier> {
        builder(&self.cryptography).expect("it was so when the injector was made")
    }
}

fn builder(
    cryptography: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::clone(cryptography)).with_protocol_versions(&[&TLS13])
}

impl<K: NarrowedKey> Clone for Injector<K> {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            table: Arc::clone(&self.table),
            cryptography: Arc::clone(&self.cryptography),
            kind: PhantomData,
        }
    }
}

/// The policy's name and how many keys it knows.
impl<K: NarrowedKey> fmt::Debug for Injector<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injector")
            .field("policy", &self.policy.name())
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
