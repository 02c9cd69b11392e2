//! [`KeyStore`]: where a key is kept that is replaced from time to time: versioned, compared
//! before it is set, and with a lease for who replaces it; one file for each kind of place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{ApiKey, Timestamp};

use crate::KeyLoader;

#[cfg(all(feature = "keychain", feature = "store"))]
pub(crate) use self::document::current_of;
#[cfg(feature = "store")]
pub use self::document::{Document, DocumentStore, Place};
pub use self::dynamic::DynKeyStore;
pub use self::error::{StoreError, StoreErrorKind};
#[cfg(feature = "store")]
pub use self::file::FileStore;
#[cfg(all(feature = "keychain", feature = "store", unix))]
pub use self::keychain::KeychainPlace;
pub use self::lease::{Journal, Lease};
pub use self::memory::MemoryStore;
#[cfg(feature = "sealed")]
pub use self::sealed::{SealedFile, Unlock};
pub use self::stored::{KeyNote, Snapshot, StoredKey, Version};

#[cfg(feature = "conformance")]
pub mod conformance;

mod contents;
#[cfg(feature = "store")]
mod disk;
#[cfg(feature = "store")]
mod document;
mod dynamic;
mod error;
#[cfg(feature = "store")]
mod file;
#[cfg(all(feature = "keychain", feature = "store", unix))]
mod keychain;
mod lease;
mod memory;
#[cfg(feature = "sealed")]
mod sealed;
mod stored;

/// Keeps a key that is replaced from time to time, for every replica of a service.
///
/// A store is a [`KeyLoader`] too: what it loads is the current key. Beside it there is at most
/// one key that is *pending*, staged and not in use yet, and at most one that is *previous*, in
/// use until the last promotion:
///
/// ```text
///            stage              promote               promote
///  new key ────────▶ pending ─────────▶ current ─────────────▶ previous
///                       │ discard          └─ the next one's       │ discard
///                       ▼                                          ▼
/// ```
///
/// Every change is compared before it is set: it takes place as a whole, or not at all and with
/// an error, also when many processes on many machines try at once. What has been done already is
/// no error when it is asked for again, so that a process that died in the middle can be followed
/// by one that repeats its last step.
///
/// Nothing here reads a clock: the time is an argument.
///
/// ```
/// use std::time::SystemTime;
///
/// use keyward::store::{KeyNote, KeyStore as _, MemoryStore};
/// use keyward::{ApiKey, KeyLoader as _};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// # let minted = keyward_testkit::keys::service_account_key(
/// #     &mut keyward_testkit::keys::KeyRng::seeded(1));
/// let store = MemoryStore::new("billing");
/// let key = ApiKey::issued(minted)?;
/// let now = SystemTime::now().into();
///
/// let version = store.stage(&key, &KeyNote::new().key_id("key_abc"), now).await?;
/// assert!(store.load().await.unwrap_err().is_not_found(), "it is only pending");
/// store.promote(&version, now).await?;
/// assert_eq!(store.load().await?.key, key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Lease and journal
///
/// Who replaces keys takes the [`lease`](Self::lease) first, so that no two do it at once, and
/// [renews](Self::renew) it before each step. A lease ends by time, so it is not proof against a
/// holder that was asleep. What is, is the comparison in each change: a version that somebody
/// discarded cannot be promoted, and a [`journal`](Self::journal) that somebody wrote cannot be
/// written by who has not read it.
///
/// # Implementing
///
/// A place that can hold one small document and write it only if it is unchanged becomes a store
/// with [`DocumentStore`](https://docs.rs/keyward/latest/keyward/store/struct.DocumentStore.html).
/// A place with a notion of its own, such as staging labels, implements this trait. Either way it
/// passes the suite in
/// [`conformance`](https://docs.rs/keyward/latest/keyward/store/conformance/).
///
/// # Security
///
/// [`stage`](Self::stage) is a door out of the process: the key is written where the store keeps
/// it. Notes and journals are not kept secret; a store refuses one that repeats a piece of a key.
pub trait KeyStore: KeyLoader {
    /// Makes a key the pending one, and answers the version that it has from now on.
    ///
    /// A key that is pending or current already keeps the version that it has, and its note; it
    /// is answered and nothing changes. One that is previous can be staged like any other.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) when another key is pending;
    /// [`Invalid`](StoreErrorKind::Invalid) when the note repeats a piece of the key;
    /// [`TooLarge`](StoreErrorKind::TooLarge) when the place cannot hold so much; and whatever
    /// goes wrong with the place.
    fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> impl Future<Output = Result<Version, StoreError>> + Send;

    /// Makes the pending key current, the current one previous, and forgets the one before.
    ///
    /// If the version is current already, nothing changes and that is no error.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) when the version is neither pending nor current;
    /// and whatever goes wrong with the place.
    fn promote(
        &self,
        version: &Version,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets a key that is pending, or one that is previous.
    ///
    /// If the store knows no such version, nothing changes and that is no error.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) when the version is current; and whatever goes
    /// wrong with the place.
    fn discard(&self, version: &Version) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Everything that the store holds but for the journal, as it was at one moment.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the place. That it is empty is no error.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// The key in use, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot).
    fn current(&self) -> impl Future<Output = Result<Option<StoredKey>, StoreError>> + Send {
        async { Ok(self.snapshot().await?.current) }
    }

    /// The key that was staged and is not in use yet, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot).
    fn pending(&self) -> impl Future<Output = Result<Option<StoredKey>, StoreError>> + Send {
        async { Ok(self.snapshot().await?.pending) }
    }

    /// The key that was in use before the current one, if it was not discarded.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot).
    fn previous(&self) -> impl Future<Output = Result<Option<StoredKey>, StoreError>> + Send {
        async { Ok(self.snapshot().await?.previous) }
    }

    /// How long after a change a reader, on whatever machine, may still be shown what the store held
    /// before it: above all, the key that was current until a promotion. None, unless the place is
    /// documented to answer so late.
    ///
    /// Whoever replaces keys keeps the old one valid for that long at the least, and does not take a
    /// look that shows it for somebody else's doing.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes the lease until `now` and `ttl`.
    ///
    /// It can be taken when nobody holds it, when it has run out, and by its own holder, who
    /// thereby loses the earlier one: a process that was started again goes on at once. Each
    /// lease has a greater [fence](Lease::fence) than every one before.
    ///
    /// The machines' clocks need not agree well, but better than `ttl`: choose it in minutes.
    ///
    /// # Errors
    ///
    /// [`LeaseHeld`](StoreErrorKind::LeaseHeld) when another holds it, with
    /// [who and until when](StoreError::lease); [`Unsupported`](StoreErrorKind::Unsupported) when
    /// the place cannot hold one; and whatever goes wrong with the place.
    fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lease, StoreError>> + Send;

    /// Holds a lease until `now` and `ttl`, as long as nobody else has taken it.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](StoreErrorKind::LeaseLost) when it was released or taken by another; and
    /// whatever goes wrong with the place.
    fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lease, StoreError>> + Send;

    /// Gives a lease back. One that is held no more is no error.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the place.
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A small text beside the keys, in which whoever replaces them notes how far it has come, so
    /// that any replica can go on. It is empty at first.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](StoreErrorKind::Unsupported) when the place has no room for it: keep the
    /// journal elsewhere. And whatever goes wrong with the place.
    fn journal(&self) -> impl Future<Output = Result<Journal, StoreError>> + Send;

    /// Replaces the journal by another text, if it still is what was read.
    ///
    /// Writing the text that stands there is no error, and changes nothing, whatever was read.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) when somebody wrote it since;
    /// [`Invalid`](StoreErrorKind::Invalid) when the text repeats a piece of a key that the store
    /// holds; [`TooLarge`](StoreErrorKind::TooLarge); and those of [`journal`](Self::journal).
    fn write_journal(
        &self,
        read: &Journal,
        text: &str,
    ) -> impl Future<Output = Result<Journal, StoreError>> + Send;
}

/// Makes a type the store that is in it.
macro_rules! forward_store {
    ([$($generics:tt)*] $type:ty, $self:ident => $inner:expr) => {
        impl<$($generics)*> $crate::store::KeyStore for $type {
            fn stage(
                &$self,
                key: &$crate::ApiKey,
                note: &$crate::store::KeyNote,
                now: $crate::Timestamp,
            ) -> impl Future<Output = Result<$crate::store::Version, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::stage($inner, key, note, now)
            }

            fn promote(
                &$self,
                version: &$crate::store::Version,
                now: $crate::Timestamp,
            ) -> impl Future<Output = Result<(), $crate::store::StoreError>> + Send {
                $crate::store::KeyStore::promote($inner, version, now)
            }

            fn discard(
                &$self,
                version: &$crate::store::Version,
            ) -> impl Future<Output = Result<(), $crate::store::StoreError>> + Send {
                $crate::store::KeyStore::discard($inner, version)
            }

            fn snapshot(
                &$self,
            ) -> impl Future<Output = Result<$crate::store::Snapshot, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::snapshot($inner)
            }

            fn current(
                &$self,
            ) -> impl Future<
                Output = Result<Option<$crate::store::StoredKey>, $crate::store::StoreError>,
            > + Send {
                $crate::store::KeyStore::current($inner)
            }

            fn pending(
                &$self,
            ) -> impl Future<
                Output = Result<Option<$crate::store::StoredKey>, $crate::store::StoreError>,
            > + Send {
                $crate::store::KeyStore::pending($inner)
            }

            fn previous(
                &$self,
            ) -> impl Future<
                Output = Result<Option<$crate::store::StoredKey>, $crate::store::StoreError>,
            > + Send {
                $crate::store::KeyStore::previous($inner)
            }

            fn lag(&$self) -> std::time::Duration {
                $crate::store::KeyStore::lag($inner)
            }

            fn lease(
                &$self,
                holder: &str,
                ttl: std::time::Duration,
                now: $crate::Timestamp,
            ) -> impl Future<Output = Result<$crate::store::Lease, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::lease($inner, holder, ttl, now)
            }

            fn renew(
                &$self,
                lease: &$crate::store::Lease,
                ttl: std::time::Duration,
                now: $crate::Timestamp,
            ) -> impl Future<Output = Result<$crate::store::Lease, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::renew($inner, lease, ttl, now)
            }

            fn release(
                &$self,
                lease: &$crate::store::Lease,
            ) -> impl Future<Output = Result<(), $crate::store::StoreError>> + Send {
                $crate::store::KeyStore::release($inner, lease)
            }

            fn journal(
                &$self,
            ) -> impl Future<Output = Result<$crate::store::Journal, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::journal($inner)
            }

            fn write_journal(
                &$self,
                read: &$crate::store::Journal,
                text: &str,
            ) -> impl Future<Output = Result<$crate::store::Journal, $crate::store::StoreError>> + Send
            {
                $crate::store::KeyStore::write_journal($inner, read, text)
            }
        }
    };
}

forward_store! { [S: KeyStore] Arc<S>, self => &**self }
forward_store! { [S: KeyStore] Box<S>, self => &**self }

#[cfg(feature = "sealed")]
use forward_store;
