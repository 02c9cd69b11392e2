//! [`MemoryStore`]: a store that ends with the process, for tests and examples.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};

use super::contents::{Change, Contents};
use super::{Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, Version};
use crate::{KeyLoader, LoadError, LoadErrorKind, LoadedKey};

/// A store in this process's memory, for tests and examples.
///
/// A clone is the same store. It ends with the last one, and its keys with it.
///
/// ```
/// use keyward::store::{KeyStore as _, MemoryStore};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let store = MemoryStore::new("billing");
/// assert!(store.current().await?.is_none());
/// # Ok::<(), keyward::store::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    name: String,
    contents: Arc<Mutex<Contents>>,
}

impl MemoryStore {
    /// An empty store. The name is what errors tell it by.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), contents: Arc::default() }
    }

    fn look<T>(&self, look: impl FnOnce(&Contents) -> T) -> T {
        look(&self.contents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Contents, &KeySource) -> Result<Change<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = contents.clone();
        let change = change(&mut next, &self.source())?;
        if change.is_changed {
            *contents = next;
        }
        Ok(change.answer)
    }
}

impl KeyLoader for MemoryStore {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        self.look(|contents| contents.current.clone())
            .map(|stored| stored.into_loaded(self.source()))
            .ok_or_else(|| nothing_current(self.source()))
    }

    /// `memory:NAME`.
    fn source(&self) -> KeySource {
        KeySource::new("memory", self.name.clone())
    }
}

impl KeyStore for MemoryStore {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.change(|contents, source| contents.stage(key, note, now, source))
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        self.change(|contents, source| contents.promote(version, now, source))
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        self.change(|contents, source| contents.discard(version, source))
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(self.look(Contents::snapshot))
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.change(|contents, source| contents.lease(holder, ttl, now, source))
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.change(|contents, source| contents.renew(lease, ttl, now, source))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change(|contents, _| Ok(contents.release(lease)))
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        Ok(self.look(Contents::journal))
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        self.change(|contents, source| contents.write_journal(read, text, source))
    }
}

/// What loading from a store answers that has no current key.
pub(super) fn nothing_current(source: KeySource) -> LoadError {
    LoadError::new(
        LoadErrorKind::NotFound,
        source,
        "no key is current",
        "store one there, or promote the one that is pending",
    )
}
