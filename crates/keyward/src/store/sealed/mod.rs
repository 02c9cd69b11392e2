//! [`SealedFile`]: keys in one encrypted file, which the `age` tool opens too. What opens it lives
//! in `unlock`.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

use age::{DecryptError, Decryptor, Encryptor};
use keyward_core::KeySource;
use zeroize::Zeroizing;

pub use self::unlock::Unlock;

use self::unlock::Opener;
use super::disk::{Disk, on_disk};
use super::{Document, DocumentStore, Place, StoreError, StoreErrorKind, Version, forward_store};
use crate::{KeyLoader, LoadError, LoadedKey, SourceSignature};

mod unlock;

/// Keeps keys in one file that is encrypted with [age](https://age-encryption.org): the store to
/// take where there is no secret manager.
///
/// It is opened by an age identity or by a passphrase, and these may lie wherever a
/// [`KeyLoader`] looks: in the keychain, in a systemd credential, in a file on another disk; see
/// [`Unlock`]. What is in it is a [`DocumentStore`]'s document, so that in an emergency
///
/// ```sh
/// age --decrypt -i identity.txt openai.sealed | jq -r .current.key
/// ```
///
/// prints the key, and what `age --encrypt` wrote in that form is read. The file (with `.lock` and,
/// for a moment, `.new` beside it) is replaced as a whole and synced, file and directory, so that a
/// crash at any moment leaves the content from before or the one after. Its size says nothing
/// about what is in it. Owner, permissions, links and processes that write at the same time are
/// treated as [`FileStore`](super::FileStore) treats them.
///
/// ```no_run
/// use keyward::store::{SealedFile, Unlock};
/// use keyward::{FileLoader, KeyLoader as _};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let unlock = Unlock::identity_from(FileLoader::systemd_credential("billing-identity"));
/// let store = SealedFile::new("/var/lib/billing/openai.sealed", unlock);
/// println!("{}", store.load().await?.key.fingerprint());
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// Sealing keeps the keys from whoever gets the file alone: from backups, copied disks and other
/// users. It keeps them from nobody who also has what opens it, so keep the two apart. Every load
/// asks for what opens it anew, and wipes it afterwards. What was decrypted is wiped too; but age
/// shrinks the buffer that it decrypts into, and an allocator that moves a block for that leaves a
/// copy behind at each opening. glibc's allocator does not.
///
/// A passphrase costs about half a second of computing and 128 MiB of memory at each load, by
/// design; for a service take an identity.
///
/// Nobody changes what is in the file unnoticed, but it can be replaced: by an earlier version of
/// it, and, where an identity opens it, by anything that somebody has sealed who can write the file
/// and knows the public key. age does not tell who sealed, and the public key is no secret: it
/// stands in the file that [`Unlock::create_identity_file`] makes. Only a passphrase keeps others
/// from sealing too. With an identity, whoever can write the file chooses the key that is loaded.
pub struct SealedFile {
    store: DocumentStore<Sealed>,
}

impl SealedFile {
    /// The sealed file at this path, and what opens it. Nothing is read or made before it is
    /// used.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, unlock: Unlock) -> Self {
        let disk = Disk::new("sealed", path.into());
        let sealed = Sealed { disk, unlock, work_factor: DEFAULT_WORK_FACTOR };
        Self { store: DocumentStore::new(sealed) }
    }

    /// Makes a passphrase cost 2 to the power of `log_n` steps of scrypt at the next write: 17
    /// unless it is said, at least 15, at most 22. It is of no matter for an identity.
    #[must_use]
    pub fn with_work_factor(mut self, log_n: u8) -> Self {
        self.store.place_mut().work_factor = log_n.clamp(MIN_WORK_FACTOR, MAX_WORK_FACTOR);
        self
    }

    /// Waits so long for others that write; ten seconds unless it is said.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.store.place_mut().disk.set_patience(patience);
        self
    }
}

impl KeyLoader for SealedFile {
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
        self.store.load()
    }

    /// `sealed:PATH`.
    fn source(&self) -> KeySource {
        self.store.source()
    }

    fn variables(&self) -> Vec<OsString> {
        self.store.variables()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.store.signature()
    }
}

forward_store! { [] SealedFile, self => &self.store }

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile")
            .field("source", &self.source().to_string())
            .field("unlock", &self.store.place().unlock)
            .finish_non_exhaustive()
    }
}

/// The file as a place for one document.
struct Sealed {
    disk: Disk,
    unlock: Unlock,
    work_factor: u8,
}

impl Place for Sealed {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        let opener = self.unlock.opener(&self.disk.source()).await?;
        let read = move |disk: &Disk| {
            let Some(sealed) = disk.read("")? else {
                return Ok(None);
            };
            let document =
                open(&sealed, &opener).map_err(|trouble| trouble.at(disk.source(), &opener))?;
            Ok(Some((document, revision(&sealed))))
        };
        self.disk.reading(read).await
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        let opener = self.unlock.opener(&self.disk.source()).await?;
        let (disk, work_factor, read) = (self.disk.clone(), self.work_factor, read.cloned());
        // Sealed before the lock is taken, because it can take long.
        let padded = padded(document);
        on_disk(self.source(), move || {
            let sealed = seal(&padded, &opener, work_factor)
                .map_err(|trouble| trouble.at(disk.source(), &opener))?;
            let lock = disk.lock()?;
            if disk.read("")?.map(|sealed| revision(&sealed)) != read {
                return Err(StoreError::changed(disk.source()));
            }
            disk.write("", &sealed, &lock)
        })
        .await
    }

    fn source(&self) -> KeySource {
        self.disk.source()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.disk.signature()
    }

    fn variables(&self) -> Vec<OsString> {
        self.unlock.variables()
    }

    fn max_len(&self) -> usize {
        CHUNK
    }
}

const DEFAULT_WORK_FACTOR: u8 = 17;
const MIN_WORK_FACTOR: u8 = 15;

/// 4 GiB of memory for what somebody else sealed.
const MAX_WORK_FACTOR: u8 = 22;

/// What age encrypts at once.
const CHUNK: usize = 64 * 1024;

/// The document, and white space behind it up to two chunks.
///
/// So the size tells nothing. And age does not wipe the buffer in which it gathers a chunk before
/// it encrypts it: here the second chunk overwrites the first, which has the keys in it.
fn padded(document: &Document) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
    // EXPOSE: the write of a store, on its way into age.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    padded.extend_from_slice(document.expose_bytes());
    padded.resize(2 * CHUNK, b' ');
    padded
}

fn seal(plain: &[u8], opener: &Opener, work_factor: u8) -> Result<Vec<u8>, Trouble> {
    let recipient = opener.recipient(work_factor);
    let encryptor =
        Encryptor::with_recipients(iter::once(&*recipient)).map_err(|_| Trouble::CannotSeal)?;
    let mut sealed = Vec::with_capacity(plain.len() + 4096);
    encryptor
        .wrap_output(&mut sealed)
        .and_then(|mut writer| {
            writer.write_all(plain)?;
            writer.finish()
        })
        .map_err(|_| Trouble::CannotSeal)?;
    Ok(sealed)
}

fn open(sealed: &[u8], opener: &Opener) -> Result<Document, Trouble> {
    if sealed.starts_with(b"-----BEGIN AGE") {
        return Err(Trouble::Armored);
    }
    let decryptor = Decryptor::new_buffered(sealed)?;
    match (decryptor.is_scrypt(), opener) {
        (true, Opener::Identity(_)) => return Err(Trouble::NeedsPassphrase),
        (false, Opener::Passphrase(_)) => return Err(Trouble::NeedsIdentity),
        _ => {}
    }
    let identity = opener.identity(MAX_WORK_FACTOR);
    let mut reader = decryptor.decrypt(iter::once(&*identity))?;
    // The content is smaller than what it is sealed in, so this never grows.
    let mut plain = Zeroizing::new(vec![0; sealed.len()]);
    let mut len = 0;
    while len < plain.len() {
        match reader.read(&mut plain[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Trouble::Damaged),
        }
    }
    plain.truncate(len);
    Ok(Document::from(std::mem::take(&mut *plain)))
}

/// Which writing of the file it is. No two are equal, because each is sealed with a new file key.
fn revision(sealed: &[u8]) -> Version {
    let mut hasher = DefaultHasher::new();
    hasher.write(sealed);
    Version::from(format!("{:016x}", hasher.finish()))
}

/// Why it cannot be opened or sealed.
enum Trouble {
    Armored,
    CannotSeal,
    Damaged,
    NeedsIdentity,
    NeedsPassphrase,
    NotOpened,
    TooMuchWork,
}

impl Trouble {
    fn at(self, source: KeySource, opener: &Opener) -> StoreError {
        let (kind, what, fix) = match self {
            Self::Armored => {
                (StoreErrorKind::Damaged, "it is sealed as text", "seal it anew, without `--armor`")
            }
            Self::CannotSeal => {
                (StoreErrorKind::Unsupported, "age does not seal it", "report this as a bug")
            }
            Self::Damaged => (
                StoreErrorKind::Damaged,
                "it is not what age wrote",
                "restore it, or move it away and store the key anew",
            ),
            Self::NeedsIdentity => (
                StoreErrorKind::Undecryptable,
                "it is sealed for an identity, and a passphrase is given",
                "give the identity",
            ),
            Self::NeedsPassphrase => (
                StoreErrorKind::Undecryptable,
                "it is sealed with a passphrase, and an identity is given",
                "give the passphrase",
            ),
            Self::NotOpened => (
                StoreErrorKind::Undecryptable,
                match opener {
                    Opener::Identity(_) => "it is sealed for another identity",
                    Opener::Passphrase(_) => "it is sealed with another passphrase",
                },
                "give the one that it was sealed with",
            ),
            Self::TooMuchWork => (
                StoreErrorKind::Undecryptable,
                "its passphrase costs more than this version spends",
                "seal it anew, with a work factor of at most 22",
            ),
        };
        StoreError::new(kind, source, what, fix)
    }
}

impl From<DecryptError> for Trouble {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => Self::NotOpened,
            DecryptError::ExcessiveWork { .. } => Self::TooMuchWork,
            _ => Self::Damaged,
        }
    }
}
