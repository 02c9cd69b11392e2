//! [`KvLoader`]: a key in a KV v2 secret.

use std::ffi::OsString;
use std::time::Duration;

use keyward::{KeyLoader, KeySource, LoadError, LoadedKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::client::{Call, Vault};
use super::error::incomplete;
use crate::json::{self, Found};
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline, field};

/// Loads a key from a field of a KV v2 secret.
///
/// The version that the key has is the secret's.
///
/// # Errors
///
/// A path that nothing was written to is `NotFound`; a version that was deleted or destroyed is
/// `Unreadable`, so that a chain does not go on to an older key.
#[derive(Clone, Debug)]
pub struct KvLoader {
    vault: Vault,
    mount: Name,
    path: Name,
    field: Name,
    version: Option<u64>,
    deadline: Duration,
}

impl KvLoader {
    /// The field of the secret at this path of a mount: `secret`, `openai/prod`, `api_key`.
    #[must_use]
    pub fn new(
        vault: &Vault,
        mount: impl Into<String>,
        path: impl Into<String>,
        field: impl Into<String>,
    ) -> Self {
        Self {
            vault: vault.clone(),
            mount: Name::new(mount),
            path: Name::new(path),
            field: Name::new(field),
            version: None,
            deadline: deadline::DEFAULT,
        }
    }

    /// Takes this version instead of the newest.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn read(&self) -> Result<(Zeroizing<Vec<u8>>, u64), Error> {
        let path = [self.mount.checked()?, "data", self.path.checked()?];
        let answer = self.vault.call(&Call::get(&path).version(self.version)).await?;
        if answer.status == 404 && answer.read::<Secret>().is_ok() {
            return Err(Error::new(
                ErrorKind::Withdrawn,
                "this version of the secret was deleted",
                "undelete it, or write a new one",
            ));
        }
        let answer = answer.done()?;
        let Secret { data: Data { metadata } } = answer.read()?;
        match json::text_at(&answer.body, &["data", "data", self.field.as_str()]) {
            Found::Text(text) => Ok((text, metadata.version)),
            Found::Nothing => Err(Error::new(
                ErrorKind::Invalid,
                format!("the secret has no field `{}` with a text", self.field),
                "correct the field's name",
            )),
            Found::NotJson => Err(incomplete()),
        }
    }
}

impl KeyLoader for KvLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let (text, version) = deadline::within(self.deadline, self.read())
            .await
            .map_err(|error| error.at(source.clone()))?;
        let key = field::key_of(text, None, &source)?;
        let loaded = LoadedKey::new(key, source).version(version.to_string());
        Ok(loaded.variables(self.variables()))
    }

    /// `vault:MOUNT/PATH#FIELD`.
    fn source(&self) -> KeySource {
        KeySource::new("vault", format!("{}/{}#{}", self.mount, self.path, self.field))
    }

    /// Those of the login.
    fn variables(&self) -> Vec<OsString> {
        self.vault.variables()
    }
}

/// What of a secret is not secret. Also a deleted version has it.
#[derive(Deserialize)]
pub(super) struct Secret {
    pub(super) data: Data,
}

#[derive(Deserialize)]
pub(super) struct Data {
    pub(super) metadata: Metadata,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) version: u64,
}
