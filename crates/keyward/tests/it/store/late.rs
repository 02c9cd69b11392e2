//! A store whose answers are late: it is held to the contract if it says so, and not if it does not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::store::conformance::Subject;
use keyward::store::{
    DynKeyStore, Journal, KeyNote, KeyStore, Lease, MemoryStore, Snapshot, StoreError, Version,
};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadErrorKind, LoadedKey, Timestamp};

use super::{assert_held, report};

/// Shows the keys and the lease as they were so long ago. Changes compare with what is.
#[derive(Clone, Debug)]
struct Late {
    store: MemoryStore,
    by: Duration,
    /// What it says of it.
    lag: Duration,
    /// What it held since when.
    held: Arc<Mutex<Vec<(Instant, Snapshot)>>>,
}

impl Late {
    async fn after<T>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let done = change.await;
        let holds = self.store.snapshot().await?;
        self.held.lock().unwrap().push((Instant::now(), holds));
        done
    }
}

impl KeyLoader for Late {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let current = self.snapshot().await?.current;
        current.map(|stored| stored.into_loaded(self.source())).ok_or_else(|| {
            LoadError::new(LoadErrorKind::NotFound, self.source(), "no key yet", "wait")
        })
    }

    fn source(&self) -> KeySource {
        self.store.source()
    }
}

impl KeyStore for Late {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.after(self.store.stage(key, note, now)).await
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        self.after(self.store.promote(version, now)).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        self.after(self.store.discard(version)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let held = self.held.lock().unwrap();
        let shown = held.iter().rev().find(|(since, _)| since.elapsed() >= self.by);
        Ok(shown.map(|(_, snapshot)| snapshot.clone()).unwrap_or_default())
    }

    fn lag(&self) -> Duration {
        self.lag
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.after(self.store.lease(holder, ttl, now)).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.after(self.store.renew(lease, ttl, now)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.after(self.store.release(lease)).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        self.store.journal().await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        self.store.write_journal(read, text).await
    }
}

/// Stores that are late by the first, and say that they are by the second.
struct IsLate(Duration, Duration);

impl Subject for IsLate {
    type Store = DynKeyStore;

    async fn fresh(&self) -> DynKeyStore {
        let store = MemoryStore::new("late");
        DynKeyStore::new(Late { store, by: self.0, lag: self.1, held: Arc::default() })
    }

    async fn again(&self, store: &DynKeyStore) -> DynKeyStore {
        store.clone()
    }
}

#[test]
fn a_store_that_tells_its_lag_keeps_the_contract() {
    let lag = Duration::from_millis(5);
    assert_held(&IsLate(lag, lag), &["an_unreachable_place_is_told"]);
}

#[test]
fn a_lag_that_is_not_told_breaks_the_contract() {
    let report = report(&IsLate(Duration::from_secs(3600), Duration::ZERO));
    println!("{report}");
    let failed: Vec<_> = report.failed().collect();
    assert!(failed.contains(&"what_is_promoted_is_loaded"), "{report}");
}

#[test]
fn a_lag_is_told_through_every_wrapper() {
    let (by, lag) = (Duration::ZERO, Duration::from_secs(7));
    let late = || Late { store: MemoryStore::new("late"), by, lag, held: Arc::default() };
    assert_eq!(Arc::new(late()).lag(), lag);
    assert_eq!(Box::new(late()).lag(), lag);
    assert_eq!(DynKeyStore::new(Box::new(late())).lag(), lag);
    assert_eq!(MemoryStore::new("prompt").lag(), Duration::ZERO);
}
