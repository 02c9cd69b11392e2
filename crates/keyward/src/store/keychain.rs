//! [`KeychainPlace`]: a store's document in an entry of the operating system's keychain.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use keyward_core::KeySource;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Document, Place, StoreError, StoreErrorKind, Version};
use crate::loader::keychain::{Item, Session, Trouble};
use crate::{Environment, Keychain};

/// A [`Place`] in the keychain of the operating system, for a
/// [`DocumentStore`](super::DocumentStore).
///
/// It is one entry, named by a service and a user, that holds the document. A keychain knows no
/// write that compares, so whoever writes holds a lock on a file meanwhile: the store is one for
/// the processes of one user on one machine.
///
/// ```
/// use keyward::store::{DocumentStore, KeychainPlace};
///
/// let store = DocumentStore::new(KeychainPlace::new("billing", "openai"));
/// # let _ = store;
/// ```
///
/// Time-outs, locked and absent keychains are as with [`KeychainLoader`](crate::KeychainLoader),
/// which loads the current key of such an entry. An entry that holds a bare key is no store, and
/// is refused: give the store another name, and stage the key.
///
/// In the kernel's keyring it lies in the user's persistent keyring, which all sessions of the user
/// see, and which the kernel drops when nobody has asked for it for three days
/// (`/proc/sys/kernel/keys/persistent_keyring_expiry`). Where there is none, a write is
/// [`Unreachable`](StoreErrorKind::Unreachable): each session would have a store of its own.
#[derive(Clone, Debug)]
pub struct KeychainPlace {
    item: Item,
    locks: Option<PathBuf>,
    environment: Environment,
}

impl KeychainPlace {
    /// The entry of a service and a user in the [keychain of this
    /// system](Keychain::of_this_system).
    #[must_use]
    pub fn new(service: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            item: Item::new(Keychain::of_this_system(), service.into(), user.into()),
            locks: None,
            environment: Environment::process(),
        }
    }

    /// Keeps it in this keychain instead.
    #[must_use]
    pub fn in_keychain(mut self, keychain: Keychain) -> Self {
        self.item.keychain = keychain;
        self
    }

    /// Lets the keychain ask a person for its password, within the time-out.
    #[must_use]
    pub fn may_prompt(mut self) -> Self {
        self.item.may_prompt = true;
        self
    }

    /// Waits so long for the keychain and for others who write, instead of 10 seconds.
    #[must_use]
    pub fn with_time_out(mut self, time_out: Duration) -> Self {
        self.item.time_out = time_out;
        self
    }

    /// Locks a file in this directory, instead of in `.local/state/keyward` in the user's home.
    /// All who use the entry must agree on it.
    #[must_use]
    pub fn with_lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks = Some(directory.into());
        self
    }

    /// Looks for `HOME` in this environment instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The file that is locked. It is one for all entries: writing is short and rare.
    fn lock(&self) -> Result<PathBuf, StoreError> {
        let name = match self.item.keychain {
            Keychain::Apple => "apple.lock",
            Keychain::Keyutils => "keyutils.lock",
            Keychain::SecretService => "secret-service.lock",
            Keychain::Windows => "windows.lock",
        };
        if let Some(locks) = &self.locks {
            return Ok(locks.join(name));
        }
        // Not `XDG_STATE_HOME` or `XDG_RUNTIME_DIR`, which a user's processes do not agree on: a
        // timer's has neither.
        let home = self.environment.path("HOME".as_ref()).filter(|home| home.is_absolute());
        home.map(|home| home.join(".local/state/keyward").join(name)).ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Invalid,
                self.source(),
                "HOME is no directory's path, so there is no file to lock",
                "set it, or give a directory with `with_lock_directory`",
            )
        })
    }

    fn told(&self, trouble: Trouble) -> StoreError {
        let kind = match trouble {
            Trouble::Absent(_) | Trouble::Failed(_) => StoreErrorKind::Unreachable,
            Trouble::Ambiguous => StoreErrorKind::Damaged,
            Trouble::Crowded | Trouble::LockedByOther | Trouble::Silent | Trouble::TimedOut => {
                StoreErrorKind::TimedOut
            }
            Trouble::Denied | Trouble::Locked => StoreErrorKind::Refused,
            Trouble::Invalid(_) => StoreErrorKind::Invalid,
            Trouble::TooLong(_) => StoreErrorKind::TooLarge,
            Trouble::Unsupported => StoreErrorKind::Unsupported,
        };
        let (what, fix) = trouble.told(&self.item);
        StoreError::new(kind, self.source(), what, fix)
    }
}

impl Place for KeychainPlace {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        let bytes = self.item.ask(Session::get).await.map_err(|trouble| self.told(trouble))?;
        Ok(bytes.map(|mut bytes| {
            let revision = revision(&bytes);
            (Document::from(std::mem::take(&mut *bytes)), revision)
        }))
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        let (path, source, read) = (self.lock()?, self.source(), read.cloned());
        // EXPOSE: the store's write; the copy is wiped when the thread that writes is done with it.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let document = Zeroizing::new(document.expose_bytes().to_vec());
        let wrote = self.item.ask(move |session| {
            // Held until the entry is written, also by a thread that nobody waits for any more.
            let _lock = match lock(&path, session)? {
                Ok(lock) => lock,
                Err(error) => return Ok(Err(cannot_lock(&path, source, error))),
            };
            if session.get()?.map(|bytes| revision(&bytes)) != read {
                return Ok(Err(StoreError::changed(source)));
            }
            session.set(&document).map(Ok)
        });
        wrote.await.map_err(|trouble| self.told(trouble))?
    }

    /// `keychain:SERVICE/USER`; `keyutils:SERVICE/USER` of the kernel's keyring.
    fn source(&self) -> KeySource {
        self.item.source()
    }

    /// What the kernel lets a user keep is 20,000 bytes by default, for all entries together.
    fn max_len(&self) -> usize {
        match self.item.keychain {
            Keychain::Keyutils => 16 * 1024,
            _ => 64 * 1024,
        }
    }
}

/// Which writing it is, by what was written: a hash of keys of a hundred random bits and more,
/// from which they cannot be guessed.
fn revision(bytes: &[u8]) -> Version {
    let hash = Sha256::digest(bytes);
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Locks the file, which is made if it is not there; waits for others until the session's time is
/// over. It is open again when it is dropped, or when the process dies.
fn lock(path: &Path, session: &Session) -> Result<Result<File, Errno>, Trouble> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => return Ok(Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))),
    };
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Ok(file)),
            Err(Errno::WOULDBLOCK | Errno::INTR) if session.is_over() => {
                return Err(Trouble::LockedByOther);
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        // Of the directories above, the system's own rules hold.
        directory.parent().map_or(Ok(()), fs::create_dir_all)?;
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if !directory.is_dir() => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
        .open(path)
}

fn cannot_lock(path: &Path, source: KeySource, error: Errno) -> StoreError {
    let error = std::io::Error::from(error);
    StoreError::new(
        StoreErrorKind::Refused,
        source,
        format!("{} cannot be locked: {}", path.display(), error.kind()),
        "let this user write there, or give another directory with `with_lock_directory`",
    )
}
