//! [`DocumentStore`]: a store over any place that can hold one small document and write it only if
//! it is unchanged. What the document looks like lives in `form`.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

pub(super) use self::form::{read, write};

use super::contents::{Change, Contents};
use super::memory::nothing_current;
use super::{Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoreErrorKind, Version};
use crate::{KeyLoader, LoadError, LoadedKey, SourceSignature};

mod form;

/// Holds one small document, and writes it only if it is what was read before.
///
/// That is all that a [`DocumentStore`] needs of a place: a secret manager that checks versions, a
/// file with a lock, an object store with entity tags.
///
/// ```
/// use std::sync::Mutex;
///
/// use keyward::KeySource;
/// use keyward::store::{Document, DocumentStore, Place, StoreError, Version};
///
/// /// A place that counts how often it was written.
/// #[derive(Default)]
/// struct Shelf(Mutex<(u64, Vec<u8>)>);
///
/// impl Place for Shelf {
///     async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
///         let shelf = self.0.lock().unwrap();
///         let document = || (Document::from(shelf.1.clone()), shelf.0.to_string().into());
///         Ok((shelf.0 > 0).then(document))
///     }
///
///     async fn write_if(
///         &self,
///         read: Option<&Version>,
///         document: &Document,
///     ) -> Result<(), StoreError> {
///         let mut shelf = self.0.lock().unwrap();
///         let now = (shelf.0 > 0).then(|| Version::from(shelf.0.to_string()));
///         if now.as_ref() != read {
///             return Err(StoreError::changed(self.source()));
///         }
///         // EXPOSE: the store's write; a real place keeps it sealed.
///         #[allow(clippy::disallowed_methods, reason = "the marked door")]
///         let bytes = document.expose_bytes().to_vec();
///         *shelf = (shelf.0 + 1, bytes);
///         Ok(())
///     }
///
///     fn source(&self) -> KeySource {
///         KeySource::new("shelf", "top")
///     }
/// }
///
/// let store = DocumentStore::new(Shelf::default());
/// # let _ = store;
/// ```
pub trait Place: Send + Sync {
    /// Reads the document and which writing of it this is. `None` when nothing was written yet.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the place.
    fn read(&self) -> impl Future<Output = Result<Option<(Document, Version)>, StoreError>> + Send;

    /// Writes the document if it still is the one that was read; `None` if there was none.
    ///
    /// It is written as a whole or not at all, and is what every later read yields.
    ///
    /// # Errors
    ///
    /// [`StoreError::changed`] when somebody wrote it since: the store reads it again then, and
    /// decides anew. And whatever goes wrong with the place; if a write may have taken place all
    /// the same, the kind says so ([`Unreachable`](super::StoreErrorKind::Unreachable),
    /// [`TimedOut`](super::StoreErrorKind::TimedOut)).
    fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Where it is, for errors and logs.
    fn source(&self) -> KeySource;

    /// What the place looks like from outside, told cheaply and without reading the document: see
    /// [`KeyLoader::signature`].
    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        std::future::ready(None)
    }

    /// The environment variables that hold what opens the place, or lead to it: see
    /// [`KeyLoader::variables`].
    fn variables(&self) -> Vec<OsString> {
        Vec::new()
    }

    /// How long one operation of a store here may take, with all that it reads and writes again.
    /// `None`, as here, for as long as the place takes.
    ///
    /// It needs a tokio runtime with its timer on. Without a runtime there is no such limit.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// How many bytes a document may have. 64 KiB unless the place says less.
    fn max_len(&self) -> usize {
        MAX_LEN
    }
}

/// The bytes of a store's whole content: wiped on drop, never printed.
///
/// They are JSON in UTF-8, as [`DocumentStore`] documents it.
pub struct Document(Zeroizing<Vec<u8>>);

impl Document {
    /// How many bytes there are.
    #[allow(clippy::len_without_is_empty, reason = "no document is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes.
    ///
    /// # Security
    ///
    /// There are keys in them. This is for the write of a [`Place`]; mark the call with an
    /// `EXPOSE:` comment.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Takes the bytes by value, and wipes them on drop, spare capacity included.
impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// A [`KeyStore`] in one document at a [`Place`].
///
/// Every change reads the document, and writes it if nobody wrote it since; if somebody did, it
/// is read again and the change decided anew, a few times.
///
/// # The document
///
/// It is JSON, for people with `jq` in an emergency, and small: three keys, what is noted of
/// them, the lease and the journal. Times are unix seconds.
///
/// ```json
/// {
///   "keyward_store": 1,
///   "versions": 2,
///   "fences": 1,
///   "current": {
///     "version": "1", "key": "…", "key_id": "key_…", "tag": "…",
///     "expires_at": 1790000000, "staged_at": 1780000000, "promoted_at": 1780000060
///   },
///   "pending": { "version": "2", "key": "…", "staged_at": 1789000000 },
///   "lease": { "holder": "rotator-1", "fence": 1, "expires_at": 1789000300 },
///   "journal": { "text": "…", "writings": 3 }
/// }
/// ```
///
/// What is not there is left out. A key with a character that JSON escapes stands as `key_hex`,
/// so that reading it leaves no copy. A document of a later form is refused and left alone; fields
/// that are not known are dropped at the next write.
pub struct DocumentStore<P> {
    place: P,
}

impl<P: Place> DocumentStore<P> {
    /// A store at this place. Nothing is read before it is used.
    #[must_use]
    pub fn new(place: P) -> Self {
        Self { place }
    }

    /// The place.
    #[must_use]
    pub fn place(&self) -> &P {
        &self.place
    }

    #[cfg(feature = "sealed")]
    pub(super) fn place_mut(&mut self) -> &mut P {
        &mut self.place
    }

    async fn read(&self) -> Result<(Contents, Option<Version>), StoreError> {
        self.in_time(self.read_once()).await
    }

    async fn change<T>(
        &self,
        change: impl FnMut(&mut Contents, &KeySource) -> Result<Change<T>, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_time(self.try_change(change)).await
    }

    /// Awaits an operation until the place's deadline.
    async fn in_time<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let deadline = self.place.deadline().filter(|_| Handle::try_current().is_ok());
        let Some(deadline) = deadline else { return operation.await };
        tokio::time::timeout(deadline, operation).await.unwrap_or_else(|_| {
            Err(StoreError::new(
                StoreErrorKind::TimedOut,
                self.place.source(),
                format!("no answer within {deadline:?}"),
                "look at what the store holds, and try again",
            ))
        })
    }

    async fn read_once(&self) -> Result<(Contents, Option<Version>), StoreError> {
        match self.place.read().await? {
            None => Ok((Contents::default(), None)),
            Some((document, revision)) => {
                Ok((read(&document, &self.place.source())?, Some(revision)))
            }
        }
    }

    async fn try_change<T>(
        &self,
        mut change: impl FnMut(&mut Contents, &KeySource) -> Result<Change<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let source = self.place.source();
        let mut tries = 0;
        loop {
            let (mut contents, revision) = self.read_once().await?;
            let change = change(&mut contents, &source)?;
            if !change.is_changed {
                return Ok(change.answer);
            }
            let document = write(&contents, self.place.max_len(), &source)?;
            tries += 1;
            match self.place.write_if(revision.as_ref(), &document).await {
                Ok(()) => return Ok(change.answer),
                // Whoever was faster is done, so in a race somebody always comes further.
                Err(error) if error.is_conflict() && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<P: Place> KeyLoader for DocumentStore<P> {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.place.source();
        let (contents, _) = self.read().await?;
        Ok(loaded(contents, source)?.variables(self.variables()))
    }

    fn source(&self) -> KeySource {
        self.place.source()
    }

    fn variables(&self) -> Vec<OsString> {
        self.place.variables()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.place.signature()
    }
}

impl<P: Place> KeyStore for DocumentStore<P> {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.change(|contents, source| contents.stage(key, note, now, source)).await
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        self.change(|contents, source| contents.promote(version, now, source)).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        self.change(|contents, source| contents.discard(version, source)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(self.read().await?.0.snapshot())
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.change(|contents, source| contents.lease(holder, ttl, now, source)).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.change(|contents, source| contents.renew(lease, ttl, now, source)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change(|contents, _| Ok(contents.release(lease))).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        Ok(self.read().await?.0.journal())
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        self.change(|contents, source| contents.write_journal(read, text, source)).await
    }
}

/// Where it is, and not the place's own form, which may show what it holds.
impl<P: Place> fmt::Debug for DocumentStore<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DocumentStore").field(&self.place.source().to_string()).finish()
    }
}

/// The current key of a document that was read without its store.
#[cfg(feature = "keychain")]
pub(crate) fn current_of(document: &Document, source: KeySource) -> Result<LoadedKey, LoadError> {
    loaded(read(document, &source)?, source)
}

fn loaded(contents: Contents, source: KeySource) -> Result<LoadedKey, LoadError> {
    match contents.current {
        Some(stored) => Ok(stored.into_loaded(source)),
        None => Err(nothing_current(source)),
    }
}

const MAX_LEN: usize = 64 * 1024;

/// How often a change is tried when others write at the same time.
const TRIES: usize = 16;
