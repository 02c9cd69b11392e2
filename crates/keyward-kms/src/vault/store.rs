//! [`KvPlace`]: a store's document in a KV v2 secret.

use std::ffi::OsString;
use std::time::Duration;

use keyward::KeySource;
use keyward::store::{Document, Place, StoreError, Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::client::{Call, Vault};
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline};

/// A secret of KV v2 as the [`Place`] of a [`DocumentStore`](keyward::store::DocumentStore).
///
/// Writes are compared by KV's own check-and-set. The secret's fields are the document's, so that
/// other programs find the key in use at `.current.key`.
///
/// ```no_run
/// use keyward::store::DocumentStore;
/// use keyward_kms::vault::{KvPlace, Vault};
///
/// fn store(vault: &Vault) -> impl keyward::store::KeyStore {
///     DocumentStore::new(KvPlace::new(vault, "secret", "openai/prod"))
/// }
/// ```
///
/// # Security
///
/// KV keeps old versions of a secret, ten unless set, and with them keys that were replaced.
/// They are of no use when the rotation has revoked them; to keep fewer, set `max_versions` of the
/// secret's metadata.
#[derive(Clone, Debug)]
pub struct KvPlace {
    vault: Vault,
    mount: Name,
    path: Name,
    deadline: Duration,
}

impl KvPlace {
    /// The secret at this path of a mount, which nothing else writes.
    #[must_use]
    pub fn new(vault: &Vault, mount: impl Into<String>, path: impl Into<String>) -> Self {
        let (mount, path) = (Name::new(mount), Name::new(path));
        Self { vault: vault.clone(), mount, path, deadline: deadline::DEFAULT }
    }

    /// Sets how long a read or a write may take; 10 seconds unless set. A whole operation of the store,
    /// with all that it tries again, has three times that.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn get(&self) -> Result<Option<(Document, Version)>, Error> {
        let path = [self.mount.checked()?, "data", self.path.checked()?];
        let answer = self.vault.call(&Call::get(&path)).await?;
        if answer.status == 404 && answer.read::<Secret<'_>>().is_err() {
            // Nothing was ever written there, or it is no place at all.
            let missing = answer.done().err();
            return match missing {
                Some(error) if !error.is_not_found() => Err(error),
                _ => Ok(None),
            };
        }
        let status = answer.status;
        let answer = if status == 404 { answer } else { answer.done()? };
        let Secret { data } = answer.read()?;
        match data.data {
            Some(document) if status != 404 => {
                let document = Document::from(document.get().as_bytes().to_vec());
                Ok(Some((document, data.metadata.version.to_string().into())))
            }
            _ => Err(Error::new(
                ErrorKind::Withdrawn,
                "the newest version of the secret was deleted",
                "undelete it, or delete the secret's metadata to begin anew",
            )),
        }
    }

    async fn put(&self, read: Option<&Version>, document: &Document) -> Result<(), Error> {
        let version = read.map_or("0", Version::as_str);
        if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "that is no version of KV v2",
                "give back the version that was read",
            ));
        }
        // EXPOSE: the store's write. Vault keeps it sealed.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let data = document.expose_bytes();
        let parts = [br#"{"options":{"cas":"#, version.as_bytes(), br#"},"data":"#, data, b"}"];
        let mut body =
            Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        for part in parts {
            body.extend_from_slice(part);
        }
        let path = [self.mount.checked()?, "data", self.path.checked()?];
        self.vault.call(&Call::post(&path, body)).await?.done()?;
        Ok(())
    }
}

impl Place for KvPlace {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        deadline::within(self.deadline, self.get()).await.map_err(|e| e.in_store(self.source()))
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        deadline::within(self.deadline, self.put(read, document)).await.map_err(|error| match error
            .kind()
        {
            ErrorKind::Conflict => StoreError::changed(self.source()),
            _ => error.in_store(self.source()),
        })
    }

    /// `vault:MOUNT/PATH`.
    fn source(&self) -> KeySource {
        KeySource::new("vault", format!("{}/{}", self.mount, self.path))
    }

    /// Those of the login.
    fn variables(&self) -> Vec<OsString> {
        self.vault.variables()
    }

    /// That of three calls: one that reads, one that writes, and one for those that are in the way.
    fn deadline(&self) -> Option<Duration> {
        Some(self.deadline.saturating_mul(3))
    }
}

/// A secret, with what is in it as it stands.
#[derive(Deserialize)]
struct Secret<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: super::secret::Metadata,
}
