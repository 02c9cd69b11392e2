//! [`KeyVaultLoader`]: a key in a secret of Key Vault.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::Bytes;
use azure_security_keyvault_secrets::SecretClient;
use azure_security_keyvault_secrets::models::SecretClientGetSecretOptions;
use keyward::{Clock, KeyLoader, KeySource, LoadError, LoadedKey, Timestamp};
use serde::Deserialize;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::client::Azure;
use super::error::{incomplete, of_sdk};
use crate::json::{self, Found};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline, field};

/// Loads a key from a secret of Azure Key Vault: its newest version, unless set.
///
/// The version that the key has is that of the secret, and it expires when the secret does, where
/// its attribute `exp` says so. Key Vault itself hands expired secrets out, and such as are not
/// active yet: a version whose attribute `nbf` is to come is not loaded.
///
/// ```no_run
/// use keyward_kms::azure::{Azure, KeyVaultLoader};
///
/// let azure = Azure::workload_identity();
/// let whole = KeyVaultLoader::new(&azure, "billing-prod", "openai");
/// let of_many = KeyVaultLoader::new(&azure, "billing-prod", "keys").with_field("openai");
/// # let _ = (whole, of_many);
/// ```
///
/// # Errors
///
/// A secret that never was is `NotFound`. One that was deleted, one that is disabled, and one that is
/// not active yet is `Unreadable`, and a version that a secret does not have is `Invalid`, so that a
/// chain does not go on to an older key. A secret that was purged is one that never was. Key Vault answers the same of a
/// secret that was deleted as of one that never was, so the loader then looks among the deleted
/// ones; if the identity may not look there it cannot be told, and the error is `Denied`.
#[derive(Clone)]
pub struct KeyVaultLoader {
    azure: Azure,
    vault: Name,
    secret: Name,
    version: Option<Name>,
    field: Option<Name>,
    deadline: Duration,
    clock: Clock,
    client: Arc<OnceCell<SecretClient>>,
}

impl KeyVaultLoader {
    /// The secret of this name in a vault, as a whole. The vault is given by its name,
    /// `billing-prod`, or by its address, `https://billing-prod.vault.azure.net`.
    #[must_use]
    pub fn new(azure: &Azure, vault: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            azure: azure.clone(),
            vault: Name::new(vault),
            secret: Name::new(secret),
            version: None,
            field: None,
            deadline: deadline::DEFAULT,
            clock: Clock::system(),
            client: Arc::default(),
        }
    }

    /// Takes the key from this field of a secret that is a JSON object.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(Name::new(name));
        self
    }

    /// Takes this version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(Name::new(version));
        self
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes the time from this clock, to tell whether a version is active yet; from the system's
    /// unless set.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    async fn read(&self) -> Result<(Zeroizing<Vec<u8>>, Metadata), Error> {
        let vault = self.vault.checked()?;
        let url = match vault.strip_prefix("https://") {
            Some(_) => vault.to_owned(),
            None => self.azure.url_of(plain(vault)?),
        };
        let name = plain(self.secret.checked()?)?;
        let version = match &self.version {
            Some(version) => Some(plain(version.checked()?)?.to_owned()),
            None => None,
        };
        let client = self.client.get_or_try_init(async || self.azure.client(&url).await).await?;
        let options =
            SecretClientGetSecretOptions { secret_version: version, ..Default::default() };
        let answer = match quietly(client.get_secret(name, Some(options))).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = of_sdk(&error);
                return Err(match &self.version {
                    _ if !error.is_not_found() => error,
                    Some(_) if is_there(client, name).await => no_version(),
                    _ => gone(client, name, error).await,
                });
            }
        };
        let body = Zeroizing::new(Vec::from(Bytes::from(answer.into_body())));
        let metadata: Metadata = serde_json::from_slice(&body).map_err(|_| incomplete())?;
        let begins = metadata.attributes.nbf.map(Timestamp::from_unix_seconds);
        if let Some(begins) = begins.filter(|begins| *begins > Timestamp::from(self.clock.now())) {
            return Err(Error::new(
                ErrorKind::Withdrawn,
                format!("the version is not active before {begins}"),
                "wait, or disable it and pin the version that is in use",
            ));
        }
        match json::text_at(&body, &["value"]) {
            Found::Text(text) => Ok((text, metadata)),
            Found::Nothing | Found::NotJson => Err(incomplete()),
        }
    }
}

/// Whether there is a secret of which a version was not found; also where that may not be asked.
async fn is_there(client: &SecretClient, name: &str) -> bool {
    match quietly(client.get_secret(name, None)).await {
        // What came with it is not wanted.
        Ok(answer) => {
            drop(Zeroizing::new(Vec::from(Bytes::from(answer.into_body()))));
            true
        }
        Err(error) => !of_sdk(&error).is_not_found(),
    }
}

fn no_version() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "the secret has no such version, or it may not be asked",
        "give a version that it has",
    )
}

/// Whether what is not found was there once.
async fn gone(client: &SecretClient, name: &str, missing: Error) -> Error {
    match quietly(client.get_deleted_secret(name, None)).await {
        Ok(_) => Error::new(
            ErrorKind::Withdrawn,
            "the secret was deleted",
            "recover it, or purge it and set it anew",
        ),
        Err(error) => {
            let error = of_sdk(&error);
            match error.kind() {
                ErrorKind::NotFound => missing,
                ErrorKind::Denied => Error::new(
                    ErrorKind::Denied,
                    "there is no such secret, and whether it was deleted may not be asked",
                    "set it, or let the identity get deleted secrets",
                ),
                _ => error,
            }
        }
    }
}

impl KeyLoader for KeyVaultLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let (text, metadata) = deadline::within(self.deadline, self.read())
            .await
            .map_err(|error| error.at(source.clone()))?;
        let key = field::key_of(text, self.field.as_ref(), &source)?;
        let expires_at = metadata.attributes.exp.map(Timestamp::from_unix_seconds);
        let loaded = LoadedKey::new(key, source).expires_at(expires_at);
        Ok(match metadata.id.rsplit_once('/') {
            // It is the server's word, and is shown.
            Some((_, version)) if is_version(version) => loaded.version(version),
            _ => loaded,
        })
    }

    /// `azure-kv:VAULT/SECRET`.
    fn source(&self) -> KeySource {
        let vault = self.vault.to_string();
        let vault = vault.strip_prefix("https://").unwrap_or(&vault);
        KeySource::new("azure-kv", format!("{}/{}", vault.trim_end_matches('/'), self.secret))
    }
}

impl fmt::Debug for KeyVaultLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVaultLoader")
            .field("azure", &self.azure)
            .field("vault", &self.vault)
            .field("secret", &self.secret)
            .field("version", &self.version)
            .field("field", &self.field)
            .field("deadline", &self.deadline)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

fn is_version(version: &str) -> bool {
    plain(version).is_ok() && Name::new(version).checked().is_ok()
}

/// A name of a vault, a secret or a version: it leads nowhere else in a URL.
fn plain(name: &str) -> Result<&str, Error> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Error::new(
            ErrorKind::Invalid,
            "a name in Key Vault has letters, digits and hyphens alone",
            "correct the name of the vault, the secret or the version",
        ));
    }
    Ok(name)
}

/// What stands beside the value.
#[derive(Deserialize)]
struct Metadata {
    /// `https://VAULT.vault.azure.net/secrets/SECRET/VERSION`.
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    /// When it begins to be active, in seconds since 1970.
    nbf: Option<i64>,
    /// When it expires, in seconds since 1970.
    exp: Option<i64>,
}
