//! [`Settled`]: stores that have shown every change when they are looked at next, because their lag
//! is waited for after it.

use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};

use super::Subject;
use crate::store::{Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoredKey, Version};
use crate::{KeyLoader, LoadError, LoadedKey};

/// The subject with each of its stores settled.
pub(super) struct Settled<'a, S>(pub(super) &'a S);

impl<S: Subject> Subject for Settled<'_, S> {
    type Store = SettledStore<S::Store>;

    async fn fresh(&self) -> Self::Store {
        SettledStore(self.0.fresh().await)
    }

    async fn again(&self, store: &Self::Store) -> Self::Store {
        SettledStore(self.0.again(&store.0).await)
    }

    async fn unreachable(&self) -> Option<Self::Store> {
        self.0.unreachable().await.map(SettledStore)
    }
}

#[derive(Debug)]
pub(super) struct SettledStore<S>(S);

impl<S: KeyStore> SettledStore<S> {
    /// Also after a change that was refused: it may have been by one that was made meanwhile.
    async fn after<T>(&self, change: impl Future<Output = T>) -> T {
        let done = change.await;
        let lag = self.0.lag();
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        done
    }
}

impl<S: KeyStore> KeyLoader for SettledStore<S> {
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
        self.0.load()
    }

    fn source(&self) -> KeySource {
        self.0.source()
    }
}

impl<S: KeyStore> KeyStore for SettledStore<S> {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.after(self.0.stage(key, note, now)).await
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        self.after(self.0.promote(version, now)).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        self.after(self.0.discard(version)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.0.snapshot().await
    }

    async fn current(&self) -> Result<Option<StoredKey>, StoreError> {
        self.0.current().await
    }

    async fn pending(&self) -> Result<Option<StoredKey>, StoreError> {
        self.0.pending().await
    }

    async fn previous(&self) -> Result<Option<StoredKey>, StoreError> {
        self.0.previous().await
    }

    fn lag(&self) -> Duration {
        self.0.lag()
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.after(self.0.lease(holder, ttl, now)).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.after(self.0.renew(lease, ttl, now)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.after(self.0.release(lease)).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        self.0.journal().await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        self.after(self.0.write_journal(read, text)).await
    }
}
