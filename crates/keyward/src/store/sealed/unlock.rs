//! [`Unlock`]: what opens a sealed file, and where that lies.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::{scrypt, x25519};
use keyward_core::KeySource;
use zeroize::Zeroizing;

use crate::loader::DynKeyLoader;
use crate::store::disk::{Disk, on_disk};
use crate::store::{StoreError, StoreErrorKind};
use crate::{KeyLoader, LoadErrorKind};

/// What opens a [`SealedFile`](super::SealedFile): an age identity or a passphrase, and where that
/// lies.
///
/// An identity is what `age-keygen` makes, `AGE-SECRET-KEY-1…`: the one to take for a service. It
/// is one line, so everything that loads a key can load it:
///
/// ```
/// use keyward::store::Unlock;
/// use keyward::{EnvLoader, FileLoader};
///
/// let from_systemd = Unlock::identity_from(FileLoader::systemd_credential("billing-identity"));
/// let from_kubernetes = Unlock::identity_from(FileLoader::mounted_secret("/run/secrets/age"));
/// let from_a_file = Unlock::identity_file("/etc/billing/age-identity.txt");
/// # let _ = (from_systemd, from_kubernetes, from_a_file);
/// ```
#[derive(Clone)]
pub struct Unlock(Where);

impl Unlock {
    /// The identity that this loader yields.
    #[must_use]
    pub fn identity_from(loader: impl KeyLoader + 'static) -> Self {
        Self(Where::Identity(DynKeyLoader::new(loader)))
    }

    /// The one identity in a file as `age-keygen` writes it, with comments. It must be its owner's
    /// alone.
    #[must_use]
    pub fn identity_file(path: impl Into<PathBuf>) -> Self {
        Self(Where::IdentityFile(Disk::new("file", path.into())))
    }

    /// This passphrase, which a person has typed in. A `String` that was grown has left pieces
    /// behind where it stood before.
    #[must_use]
    pub fn passphrase(passphrase: String) -> Self {
        let passphrase = Zeroizing::new(passphrase);
        Self(Where::Passphrase(Arc::new(exact(&passphrase))))
    }

    /// The passphrase that this loader yields: at least 16 characters, with no white space.
    #[must_use]
    pub fn passphrase_from(loader: impl KeyLoader + 'static) -> Self {
        Self(Where::LoadedPassphrase(DynKeyLoader::new(loader)))
    }

    /// Makes a new identity and writes it to a file that is its owner's alone, as `age-keygen`
    /// does.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) when the file is there already: it may be what
    /// opens something. And whatever goes wrong with the file.
    pub async fn create_identity_file(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let disk = Disk::new("file", path.into());
        let unlock = Self(Where::IdentityFile(disk.clone()));
        on_disk(disk.source(), move || {
            let identity = x25519::Identity::generate();
            let secret = identity.to_string();
            let comment = format!("# public key: {}\n", identity.to_public());
            let mut text = Zeroizing::new(Vec::with_capacity(comment.len() + SECRET_LEN + 1));
            text.extend_from_slice(comment.as_bytes());
            // EXPOSE: a new identity goes into the file that was asked for.
            #[allow(clippy::disallowed_methods, reason = "the marked door")]
            text.extend_from_slice(secret.expose_secret().as_bytes());
            text.push(b'\n');
            disk.create(&text)
        })
        .await?;
        Ok(unlock)
    }

    pub(super) fn variables(&self) -> Vec<OsString> {
        match &self.0 {
            Where::Identity(loader) | Where::LoadedPassphrase(loader) => loader.variables(),
            Where::IdentityFile(_) | Where::Passphrase(_) => Vec::new(),
        }
    }

    /// Fetches it for the file that is told.
    pub(super) async fn opener(&self, sealed: &KeySource) -> Result<Opener, StoreError> {
        match &self.0 {
            Where::Identity(loader) => {
                let text = fetch(loader, sealed).await?;
                let identity = text.parse().map_err(|_| no_identity(sealed, &loader.source()))?;
                Ok(Opener::Identity(identity))
            }
            Where::IdentityFile(disk) => {
                let sealed = sealed.clone();
                disk.reading(move |disk| read_identity(disk, &sealed)).await
            }
            Where::Passphrase(passphrase) => {
                // EXPOSE: the passphrase goes to age.
                #[allow(clippy::disallowed_methods, reason = "the marked door")]
                Ok(Opener::Passphrase(exact(passphrase.expose_secret())))
            }
            Where::LoadedPassphrase(loader) => {
                Ok(Opener::Passphrase(exact(&fetch(loader, sealed).await?)))
            }
        }
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, source) = match &self.0 {
            Where::Identity(loader) => ("identity", loader.source()),
            Where::IdentityFile(disk) => ("identity", disk.source()),
            Where::Passphrase(_) => return f.write_str("Unlock(passphrase)"),
            Where::LoadedPassphrase(loader) => ("passphrase", loader.source()),
        };
        write!(f, "Unlock({what} from {source})")
    }
}

#[derive(Clone)]
enum Where {
    Identity(DynKeyLoader),
    IdentityFile(Disk),
    LoadedPassphrase(DynKeyLoader),
    Passphrase(Arc<SecretString>),
}

/// What opens it, fetched.
pub(super) enum Opener {
    Identity(x25519::Identity),
    Passphrase(SecretString),
}

impl Opener {
    pub(super) fn recipient(&self, work_factor: u8) -> Box<dyn age::Recipient> {
        match self {
            Self::Identity(identity) => Box::new(identity.to_public()),
            Self::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(work_factor);
                Box::new(recipient)
            }
        }
    }

    pub(super) fn identity(&self, max_work_factor: u8) -> Box<dyn age::Identity> {
        match self {
            Self::Identity(identity) => Box::new(identity.clone()),
            Self::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(max_work_factor);
                Box::new(identity)
            }
        }
    }
}

/// How long an identity is as a text: a prefix, and 32 bytes and a checksum in Bech32.
const SECRET_LEN: usize = 74;

async fn fetch(loader: &DynKeyLoader, sealed: &KeySource) -> Result<Zeroizing<String>, StoreError> {
    let loaded = loader.load().await.map_err(|error| {
        let kind = match error.kind() {
            LoadErrorKind::Insecure => StoreErrorKind::Insecure,
            LoadErrorKind::Throttled => StoreErrorKind::Throttled,
            LoadErrorKind::TimedOut => StoreErrorKind::TimedOut,
            LoadErrorKind::Unreachable => StoreErrorKind::Unreachable,
            // Whatever there is instead, this file stays shut.
            _ => StoreErrorKind::Refused,
        };
        let text = error.to_string();
        let what =
            text.strip_suffix(error.fix()).map_or(&*text, |what| what.trim_end_matches("; "));
        let what = format!("what opens it is not to be had: {what}");
        StoreError::new(kind, sealed.clone(), what, error.fix().to_owned())
    })?;
    // EXPOSE: it is what opens the file, and goes to age.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    Ok(Zeroizing::new(loaded.key.expose_secret().to_owned()))
}

fn read_identity(disk: &Disk, sealed: &KeySource) -> Result<Opener, StoreError> {
    let file = disk.source();
    let bytes = disk.read("")?.ok_or_else(|| {
        let what = format!("what opens it is not to be had: {file}: no such file");
        let fix = "correct the path, or make an identity with `age-keygen`";
        StoreError::new(StoreErrorKind::Refused, sealed.clone(), what, fix)
    })?;
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let identity = lines
        .next()
        .filter(|_| lines.next().is_none())
        .and_then(|line| str::from_utf8(line).ok()?.parse().ok());
    identity.map(Opener::Identity).ok_or_else(|| no_identity(sealed, &file))
}

fn no_identity(sealed: &KeySource, source: &KeySource) -> StoreError {
    StoreError::new(
        StoreErrorKind::Invalid,
        sealed.clone(),
        format!("{source} holds no identity of age, or several"),
        "put one line there, `AGE-SECRET-KEY-1…`, as `age-keygen` writes it",
    )
}

/// A copy in one allocation of exactly its size, so that nothing is left when it is boxed.
fn exact(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text))
}
