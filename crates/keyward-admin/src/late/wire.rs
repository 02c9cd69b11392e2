//! Late injection: the HTTP stack of a client has neither the admin key nor a key that was just
//! made. The adapter of [`ClientBuilder`] for `keyward::wire` and rustls.

use std::ops::Range;
use std::sync::Arc;

use keyward::wire::{Injector, WireError};
use keyward_core::{AdminKey, ApiKey, KeyPolicy};
use reqwest::header::HeaderValue;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};

use super::{Catch, Caught, Credential};
use crate::{ClientBuilder, Error};

pub(crate) type AdminInjector = Injector<AdminKey>;

impl ClientBuilder {
    /// Keeps the admin key, and the keys that are made, out of the HTTP stack: see
    /// [`keyward::wire`]. The stack sends and reads placeholders. The admin key is put in while
    /// rustls encrypts a request, and a new key is taken out while rustls decrypts the answer, so
    /// that [`MintedKey::key`](crate::MintedKey::key) is the one copy of it in this process.
    ///
    /// Certificates are verified as without this, by the platform, and the cryptography is the same:
    /// the process's default provider of rustls or, if none is installed, aws-lc-rs.
    ///
    /// ```no_run
    /// # fn client(admin_key: keyward_admin::AdminKey) -> Result<(), keyward_admin::Error> {
    /// use keyward_admin::Client;
    ///
    /// let client = Client::builder(admin_key).inject_late().build()?;
    /// # let _ = client;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// All else is as without it: the hosts of the policy, no redirects, the bounds. It needs https
    /// and TLS 1.3; [`build`](Self::build) refuses a base URL of http, and a server without TLS 1.3
    /// is [`ErrorKind::Connection`](crate::ErrorKind::Connection).
    ///
    /// # Security
    ///
    /// What holds, and what does not, is told in [`keyward::wire`]. A key in an answer that is no
    /// mint, such as that of a [`RawCall`](crate::RawCall), is put back into the client's own copy of
    /// it, which is wiped. A key whose text comes in two TLS records or two HTTP/2 frames is read as
    /// without this. A key that was caught out of an answer of which the reading was given up (a
    /// future that was dropped, a time-out) stays in memory, wiped with the client; after 64 of them
    /// new keys are read as without this, and `tracing` warns.
    pub fn inject_late(mut self) -> Self {
        self.late = Some(Late { cryptography: None, roots: None });
        self
    }

    /// The same with this cryptography, and with servers verified by these root certificates
    /// alone.
    pub fn inject_late_with(
        mut self,
        cryptography: impl Into<Arc<CryptoProvider>>,
        roots: impl Into<Arc<RootCertStore>>,
    ) -> Self {
        self.late =
            Some(Late { cryptography: Some(cryptography.into()), roots: Some(roots.into()) });
        self
    }
}

/// What late injection was asked for with.
#[derive(Clone)]
pub(crate) struct Late {
    cryptography: Option<Arc<CryptoProvider>>,
    /// None for those of the platform.
    roots: Option<Arc<RootCertStore>>,
}

impl Late {
    /// What goes on requests. The policy is the one that has let the base URL in.
    pub(crate) fn credential(self, key: &AdminKey, policy: KeyPolicy) -> Result<Credential, Error> {
        let cryptography = self.cryptography.unwrap_or_else(|| {
            // As reqwest does.
            let installed = CryptoProvider::get_default().cloned();
            installed.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
        });
        // It has let the base URL in; which kinds it knows was for admitting the key, which is done.
        let policy = policy.with_kinds([key.as_api_key().kind()]).map_err(|_| {
            Error::configuration("no policy admits a key of this kind, so it cannot be put in late")
        })?;
        let injector = Injector::admin_catching_minted(Arc::clone(&cryptography), policy);
        let injector = injector.map_err(|error| refused(&error))?;
        let tls = match self.roots {
            Some(roots) => injector.client_config(roots).map_err(|error| refused(&error))?,
            None => {
                let verifier = rustls_platform_verifier::Verifier::new(cryptography);
                let verifier = verifier.map_err(|_| {
                    Error::configuration("the certificates of the platform cannot be read")
                })?;
                injector.client_config_with(Arc::new(verifier))
            }
        };
        let injected = Injected { injector, key: key.clone(), tls };
        // What cannot be put in is told now.
        injected.value()?;
        Ok(Credential::Late(Box::new(injected)))
    }
}

/// The key that is put in, and who does it.
pub(crate) struct Injected {
    injector: AdminInjector,
    key: AdminKey,
    tls: ClientConfig,
}

impl Injected {
    pub(super) fn tls(&self) -> ClientConfig {
        self.tls.clone()
    }

    pub(super) fn value(&self) -> Result<HeaderValue, Error> {
        self.injector.header_value(&self.key).map_err(|error| refused(&error))
    }

    pub(super) fn catch(&self) -> Catch {
        Catch { injector: Some(self.injector.clone()) }
    }
}

fn refused(error: &WireError) -> Error {
    Error::configuration(error.to_string())
}

/// What the placeholder of a key that was caught ends with, as `keyward::wire` says.
const MARK: &[u8] = b"-keyward";

impl Catch {
    /// What this text is.
    pub(crate) fn look(&self, text: &str) -> Caught {
        let Some(injector) = &self.injector else { return Caught::Text };
        if !text.as_bytes().ends_with(MARK) {
            return Caught::Text;
        }
        let Ok(placeholder) = ApiKey::issued(text.to_owned()) else { return Caught::Text };
        injector.redeem(&placeholder).map_or(Caught::Lost, Caught::Key)
    }

    /// Puts the keys that were caught in the place of what stands for them, which is as long, and
    /// forgets them; tells whether there was one.
    pub(crate) fn put_back(&self, answer: &mut [u8]) -> bool {
        let Some(injector) = &self.injector else { return false };
        let mut is_any = false;
        for (at, placeholder) in placeholders(answer) {
            if let Ok(key) = injector.redeem(&placeholder) {
                // EXPOSE: the body of an answer that is no mint, as the server sent it. It is wiped.
                #[allow(clippy::disallowed_methods, reason = "the marked door")]
                let key = key.expose_secret().as_bytes();
                answer[at].copy_from_slice(key);
                is_any = true;
            }
            injector.forget(&placeholder);
        }
        is_any
    }

    /// Forgets the keys that were caught out of an answer.
    pub(crate) fn forget(&self, answer: &[u8]) {
        let Some(injector) = &self.injector else { return };
        placeholders(answer).iter().for_each(|(_, placeholder)| injector.forget(placeholder));
    }
}

/// The strings that end as a placeholder does, and where they stand.
fn placeholders(answer: &[u8]) -> Vec<(Range<usize>, ApiKey)> {
    let mut found = Vec::new();
    let mut start = 0;
    // Byte by byte: what searches by wide registers leaves pieces of what it saw on the stack.
    for (at, _) in answer.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let text = std::mem::replace(&mut start, at + 1)..at;
        if answer[text.clone()].ends_with(MARK)
            && let Ok(placeholder) = ApiKey::issued(answer[text.clone()].to_vec())
        {
            found.push((text, placeholder));
        }
    }
    found
}
