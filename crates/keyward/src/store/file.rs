//! [`FileStore`]: the current key in a plain file that any program can read, and the rest beside
//! it.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};

use super::contents::{Change, Contents};
use super::disk::{Disk, Lock, on_disk};
use super::document;
use super::memory::nothing_current;
use super::{
    Document, Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoreErrorKind, StoredKey,
    Version,
};
use crate::{KeyLoader, LoadError, LoadedKey, SourceSignature};

/// Keeps keys in plain files that their owner alone can read.
///
/// | file | holds |
/// |---|---|
/// | `PATH` | the current key and nothing else, for whatever program reads it |
/// | `PATH.store` | the keys with their versions and notes, the lease and the journal, as a [`DocumentStore`](super::DocumentStore) writes them |
/// | `PATH.lock` | nothing: who writes locks it |
///
/// Each is replaced as a whole and synced, file and directory, so that a crash at any moment
/// leaves the key from before or the one after. Reading takes no lock. Writers of this machine
/// wait for each other; on a network file system use a store that is made for several machines.
///
/// A key that somebody else writes to `PATH` is the current one from then on, and what was
/// current is previous; a file that is removed leaves no key current.
///
/// The files must belong to the effective user and be closed to all others (0600), others may not
/// write to their directory, and links are refused. All this is checked on Unix alone; elsewhere
/// keep them in a directory that only the service's account can open.
///
/// ```no_run
/// use keyward::store::{FileStore, KeyStore as _};
///
/// # async fn example() -> Result<(), keyward::store::StoreError> {
/// let store = FileStore::new("/var/lib/billing/openai.key");
/// if let Some(pending) = store.pending().await? {
///     println!("{} waits since {:?}", pending.key.fingerprint(), pending.staged_at);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// The keys stand there as they are: permissions are all that protects them, and a backup has
/// none. [`SealedFile`](https://docs.rs/keyward/latest/keyward/store/struct.SealedFile.html)
/// encrypts them. A file that was replaced leaves its blocks on the disk.
#[derive(Clone, Debug)]
pub struct FileStore {
    disk: Disk,
}

impl FileStore {
    /// A store whose current key is in this file. Nothing is read or made before it is used.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { disk: Disk::new("file", path.into()) }
    }

    /// Waits so long for others that write; ten seconds unless it is said.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.disk.set_patience(patience);
        self
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(Contents) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.disk.reading(|disk| Ok(look(read(disk)?))).await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Contents, &KeySource) -> Result<Change<T>, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = self.disk.clone();
        on_disk(self.source(), move || {
            let lock = disk.lock()?;
            let mut contents = read(&disk)?;
            let before = contents.current.clone();
            let change = change(&mut contents, &disk.source())?;
            if change.is_changed {
                write(&disk, &contents, before.as_ref(), &lock)?;
            }
            Ok(change.answer)
        })
        .await
    }
}

impl KeyLoader for FileStore {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let current = self.look(|contents| contents.current).await?;
        current
            .map(|stored| stored.into_loaded(self.source()))
            .ok_or_else(|| nothing_current(self.source()))
    }

    /// `file:PATH`.
    fn source(&self) -> KeySource {
        self.disk.source()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.disk.signature()
    }
}

impl KeyStore for FileStore {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        let (key, note) = (key.clone(), note.clone());
        self.change(move |contents, source| contents.stage(&key, &note, now, source)).await
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        let version = version.clone();
        self.change(move |contents, source| contents.promote(&version, now, source)).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        let version = version.clone();
        self.change(move |contents, source| contents.discard(&version, source)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.look(|contents| contents.snapshot()).await
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let holder = holder.to_owned();
        self.change(move |contents, source| contents.lease(&holder, ttl, now, source)).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.change(move |contents, source| contents.renew(&lease, ttl, now, source)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.change(move |contents, _| Ok(contents.release(&lease))).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        self.look(|contents| contents.journal()).await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        let (read, text) = (read.clone(), text.to_owned());
        self.change(move |contents, source| contents.write_journal(&read, &text, source)).await
    }
}

/// What stands behind the path's name, in the name of the document.
const DOCUMENT: &str = ".store";

/// How large the document may be.
const MAX_LEN: usize = 64 * 1024;

/// How often the files are read when others write at the same time.
const TRIES: usize = 100;

/// Reads both files as they were at one moment, without a lock.
fn read(disk: &Disk) -> Result<Contents, StoreError> {
    let source = disk.source();
    let mut before = disk.read(DOCUMENT)?;
    for _ in 0..TRIES {
        let key = disk.read("")?;
        let after = disk.read(DOCUMENT)?;
        if before != after {
            before = after;
            continue;
        }
        let contents = match after {
            Some(mut bytes) => {
                document::read(&Document::from(std::mem::take(&mut *bytes)), &source)?
            }
            None => Contents::default(),
        };
        return reconciled(contents, key.as_ref().map(|bytes| bytes.trim_ascii()), &source);
    }
    Err(StoreError::new(
        StoreErrorKind::TimedOut,
        source,
        "others write it all the time",
        "find out who does, and try again",
    ))
}

/// The document as the key's file has it: what stands there is current, whoever put it there.
fn reconciled(
    mut contents: Contents,
    text: Option<&[u8]>,
    source: &KeySource,
) -> Result<Contents, StoreError> {
    let Some(text) = text else {
        // Somebody took it away. Nothing is put back in its place.
        if let Some(gone) = contents.current.take() {
            contents.previous = Some(gone);
        }
        return Ok(contents);
    };
    // What is known was issued, and need not look like a key that a person writes down.
    let issued = ApiKey::issued(text.to_vec()).ok();
    let is_it = |stored: &StoredKey| issued.as_ref().is_some_and(|key| stored.key == *key);
    if contents.current.as_ref().is_some_and(is_it) {
        return Ok(contents);
    }
    // A promotion writes the key first and the document then: this one was cut off in between,
    // or is under way.
    let known = contents.pending.take_if(|stored| is_it(stored));
    // Or somebody has put the one before back.
    let current = match known.or_else(|| contents.previous.take_if(|stored| is_it(stored))) {
        Some(known) => known,
        None => {
            let key = ApiKey::parse(text.to_vec()).map_err(|error| {
                let what = format!("it holds no key: {}", error.reason());
                StoreError::new(StoreErrorKind::Damaged, source.clone(), what, error.fix())
            })?;
            contents.versions += 1;
            // Until the next write the number is not taken: another key that comes to stand here
            // would have it too, and be discarded in the place of this one.
            let print = key.fingerprint().to_string();
            StoredKey::new(key, format!("{}-{}", contents.versions, &print[..8]))
        }
    };
    if let Some(replaced) = contents.current.replace(current) {
        contents.previous = Some(replaced);
    }
    Ok(contents)
}

/// Writes what has changed: the key first, which is what counts, and then the document.
fn write(
    disk: &Disk,
    contents: &Contents,
    before: Option<&StoredKey>,
    lock: &Lock,
) -> Result<(), StoreError> {
    // Made before anything is written: it may be too large.
    let document = document::write(contents, MAX_LEN, &disk.source())?;
    if let Some(current) = &contents.current
        && before.is_none_or(|before| before.key != current.key)
    {
        // EXPOSE: the write of a store; the file is its owner's alone.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        disk.write("", current.key.expose_secret().as_bytes(), lock)?;
    }
    // EXPOSE: the write of a store; the file is its owner's alone.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    disk.write(DOCUMENT, document.expose_bytes(), lock)
}
