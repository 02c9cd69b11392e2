//! [`DynKeyStore`]: a store of any type.

use std::ffi::OsString;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};

use super::{Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoredKey, Version};
use crate::{KeyLoader, LoadError, LoadedKey, SourceSignature};

/// A [`KeyStore`] whose type is not known at compile time: of a configuration, or one of several.
///
/// A clone is the same store.
///
/// ```
/// use keyward::store::{DynKeyStore, MemoryStore};
///
/// let stores = ["billing", "search"].map(|name| DynKeyStore::new(MemoryStore::new(name)));
/// # let _ = stores;
/// ```
#[derive(Clone)]
pub struct DynKeyStore(Arc<dyn AnyStore>);

impl DynKeyStore {
    /// A store of any type.
    #[must_use]
    pub fn new(store: impl KeyStore + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl KeyLoader for DynKeyStore {
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
        self.0.load_any()
    }

    fn source(&self) -> KeySource {
        self.0.source_any()
    }

    fn variables(&self) -> Vec<OsString> {
        self.0.variables_any()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.0.signature_any()
    }
}

impl fmt::Debug for DynKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynKeyStore").field(&self.source().to_string()).finish()
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Declares each operation in its boxed form, and forwards in both directions.
macro_rules! boxed {
    ($(
        $any:ident = $name:ident($($arg:ident: $(&$borrowed:ident)? $($owned:ident)?),*)
            -> $answer:ty;
    )*) => {
        trait AnyStore: Send + Sync {
            fn load_any(
                &self,
            ) -> Pin<Box<dyn Future<Output = Result<LoadedKey, LoadError>> + Send + '_>>;
            fn source_any(&self) -> KeySource;
            fn variables_any(&self) -> Vec<OsString>;
            fn lag_any(&self) -> Duration;
            fn signature_any(
                &self,
            ) -> Pin<Box<dyn Future<Output = Option<SourceSignature>> + Send + '_>>;
            $(fn $any<'a>(
                &'a self,
                $($arg: $(&'a $borrowed)? $($owned)?),*
            ) -> Answer<'a, $answer>;)*
        }

        impl<S: KeyStore> AnyStore for S {
            fn load_any(
                &self,
            ) -> Pin<Box<dyn Future<Output = Result<LoadedKey, LoadError>> + Send + '_>> {
                Box::pin(self.load())
            }

            fn source_any(&self) -> KeySource {
                self.source()
            }

            fn variables_any(&self) -> Vec<OsString> {
                self.variables()
            }

            fn lag_any(&self) -> Duration {
                self.lag()
            }

            fn signature_any(
                &self,
            ) -> Pin<Box<dyn Future<Output = Option<SourceSignature>> + Send + '_>> {
                Box::pin(self.signature())
            }

            $(fn $any<'a>(
                &'a self,
                $($arg: $(&'a $borrowed)? $($owned)?),*
            ) -> Answer<'a, $answer> {
                Box::pin(self.$name($($arg),*))
            })*
        }

        impl KeyStore for DynKeyStore {
            fn lag(&self) -> Duration {
                self.0.lag_any()
            }

            $(async fn $name(
                &self,
                $($arg: $(&$borrowed)? $($owned)?),*
            ) -> Result<$answer, StoreError> {
                self.0.$any($($arg),*).await
            })*
        }
    };
}

boxed! {
    stage_any = stage(key: &ApiKey, note: &KeyNote, now: Timestamp) -> Version;
    promote_any = promote(version: &Version, now: Timestamp) -> ();
    discard_any = discard(version: &Version) -> ();
    snapshot_any = snapshot() -> Snapshot;
    current_any = current() -> Option<StoredKey>;
    pending_any = pending() -> Option<StoredKey>;
    previous_any = previous() -> Option<StoredKey>;
    lease_any = lease(holder: &str, ttl: Duration, now: Timestamp) -> Lease;
    renew_any = renew(lease: &Lease, ttl: Duration, now: Timestamp) -> Lease;
    release_any = release(lease: &Lease) -> ();
    journal_any = journal() -> Journal;
    write_journal_any = write_journal(read: &Journal, text: &str) -> Journal;
}
