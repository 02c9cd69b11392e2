//! [`FileLoader`]: a key in a file of its own, which only those may read and write who should.

use std::ffi::OsString;
use std::fs::{self, File, FileType};
use std::io;
use std::path::{Path, PathBuf};

use keyward_core::{ApiKey, KeySource};

use super::bounded::read_bounded;
use super::place::Place;
use super::{KeyLoader, LoadError, LoadErrorKind, LoadedKey, SourceSignature, Threads};
use crate::Environment;

#[cfg_attr(not(unix), path = "other.rs")]
#[cfg_attr(unix, path = "unix.rs")]
mod platform;

/// Loads a key from a file that holds it and nothing else.
///
/// | made by | for | the file may be read by |
/// |---|---|---|
/// | [`new`](Self::new) | a file that you or your provisioning wrote | its owner |
/// | [`mounted_secret`](Self::mounted_secret) | what a container platform mounts | anyone |
/// | [`systemd_credential`](Self::systemd_credential) | `LoadCredential=` of a unit | anyone |
///
/// A file must always
///
/// - be a regular file of at most 64 KiB. A pipe, a socket or a device is refused without waiting
///   for it;
/// - belong to the effective user or to root, and be writable by its owner alone;
/// - lie in the directory that its path names. A link that stays inside is followed, which is how
///   Kubernetes mounts secrets (`key` → `..data/key`, `..data` → `..2026_11_20…`) and replaces
///   them; a link that leads out is refused.
///
/// The checks are made on the open file, so that it cannot be replaced after them. Owner and
/// permissions are checked on Unix alone; elsewhere keep the file in a directory that only the
/// service's account can open.
///
/// Every load reads the file anew.
///
/// A file system that hangs, as a network's can, holds a load up for as long as it hangs:
/// [`LiveKey`](crate::LiveKey) and [`LoaderChain`](crate::LoaderChain) give it a limit. What was
/// given up still hangs on a thread of the runtime. Of one loader and its clones four such threads
/// can be there; whatever is asked further waits until one of them comes back. A runtime that is
/// dropped waits for them: end it with `shutdown_background`, or the process with
/// [`exit`](std::process::exit).
///
/// ```
/// use keyward::FileLoader;
///
/// let own = FileLoader::new("/etc/billing/openai.key");
/// let kubernetes = FileLoader::mounted_secret("/var/run/secrets/openai/key");
/// let systemd = FileLoader::systemd_credential("openai");
/// # let _ = (own, kubernetes, systemd);
/// ```
///
/// # Security
///
/// The file is read into one buffer, which is wiped. What the system keeps of it is beyond reach:
/// the page cache, a backup, and blocks of the disk that an earlier version stood in.
/// `mounted_secret` takes the platform's word for who can read the mount; outside of a container
/// use `new`. A bind mount, which Docker Compose makes of a secret from a file, keeps the owner
/// that the file has on the host: give it to the service's user there. Whoever may write to the
/// directories above the file may replace it by another file of yours.
#[derive(Clone, Debug)]
pub struct FileLoader {
    location: Location,
    rule: FileRule,
    environment: Environment,
    threads: Threads,
}

impl FileLoader {
    /// A file that only its owner may read: [`FileRule::Strict`].
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::Path(Place::new(path.into())), FileRule::Strict)
    }

    /// A file that Kubernetes, Docker or another platform mounts: [`FileRule::MountedSecret`].
    #[must_use]
    pub fn mounted_secret(path: impl Into<PathBuf>) -> Self {
        let location = Location::Path(Place::new(path.into()));
        Self::at(location, FileRule::MountedSecret)
    }

    /// A credential that systemd passes to a unit (`LoadCredential=name:…`): the file `name` in
    /// `$CREDENTIALS_DIRECTORY`.
    #[must_use]
    pub fn systemd_credential(name: impl Into<OsString>) -> Self {
        let location = Location::SystemdCredential(Place::new(name));
        Self::at(location, FileRule::MountedSecret)
    }

    /// Looks for `$CREDENTIALS_DIRECTORY` in this environment instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Shares with other loaders what may hang at once.
    #[cfg(feature = "workload-identity")]
    pub(super) fn with_threads(mut self, threads: &Threads) -> Self {
        self.threads = threads.clone();
        self
    }

    fn at(location: Location, rule: FileRule) -> Self {
        Self { location, rule, environment: Environment::process(), threads: Threads::default() }
    }

    fn path(&self) -> Result<Place, LoadError> {
        let name = match &self.location {
            Location::Path(path) => return Ok(path.clone()),
            Location::SystemdCredential(name) => name,
        };
        if !is_file_name(name.as_path()) {
            return Err(LoadError::new(
                LoadErrorKind::Invalid,
                self.source(),
                "a credential's name is one file name",
                "give the name that stands before the colon of `LoadCredential=`",
            ));
        }
        let directory = self
            .environment
            .path(CREDENTIALS_DIRECTORY.as_ref())
            .filter(|directory| !directory.as_os_str().is_empty())
            .ok_or_else(|| {
                LoadError::new(
                    LoadErrorKind::NotConfigured,
                    self.source(),
                    format!("{CREDENTIALS_DIRECTORY} is not set"),
                    "run the service as a systemd unit with `LoadCredential=`",
                )
            })?;
        if !directory.is_absolute() {
            return Err(LoadError::new(
                LoadErrorKind::Invalid,
                self.source(),
                format!("{CREDENTIALS_DIRECTORY} is not an absolute path"),
                "leave it to systemd to set it",
            ));
        }
        Ok(Place::new(directory.join(name.as_path())))
    }
}

impl KeyLoader for FileLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let loaded = load(self.path()?, self.rule, &self.threads).await?;
        Ok(loaded.variables(self.variables()))
    }

    /// `file:PATH`.
    fn source(&self) -> KeySource {
        match &self.location {
            Location::Path(path) => path.source("file"),
            Location::SystemdCredential(name) => {
                KeySource::new("file", format!("${CREDENTIALS_DIRECTORY}/{name}"))
            }
        }
    }

    /// `CREDENTIALS_DIRECTORY`, for a credential of systemd.
    fn variables(&self) -> Vec<OsString> {
        match &self.location {
            Location::Path(_) => Vec::new(),
            Location::SystemdCredential(_) => vec![CREDENTIALS_DIRECTORY.into()],
        }
    }

    /// Which file the path leads to, and when it was changed last. One `stat`.
    async fn signature(&self) -> Option<SourceSignature> {
        signature(self.path().ok()?, &self.threads).await
    }
}

/// Who may read a file that holds a key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FileRule {
    /// Anyone may read it and its owner alone may write it: a secret that a container platform
    /// mounts, for which it sets the permissions (Kubernetes 0644 or 0440, Docker 0444).
    MountedSecret,
    /// Its owner alone may read and write it: 0600 or 0400.
    #[default]
    Strict,
}

const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The largest file that is read. It is well above the longest key, so that a file with something
/// else in it is told apart from a key that is too long.
const MAX_FILE_LEN: usize = 64 * 1024;

/// How often a path is resolved: a mount that is replaced between resolving and opening is there
/// again at the second try.
const TRIES: usize = 3;

#[derive(Clone, Debug)]
enum Location {
    Path(Place),
    SystemdCredential(Place),
}

/// Loads a key from a file without blocking the thread that polls.
pub(super) async fn load(
    path: Place,
    rule: FileRule,
    threads: &Threads,
) -> Result<LoadedKey, LoadError> {
    let source = path.source("file");
    threads.run(move || read(&path, rule)).await.unwrap_or_else(|| {
        Err(LoadError::new(
            LoadErrorKind::Unreadable,
            source,
            "the runtime is shutting down",
            "load keys before it does",
        ))
    })
}

/// What a file looks like from outside, through all links: a mount is replaced by replacing a link.
pub(crate) async fn signature(path: Place, threads: &Threads) -> Option<SourceSignature> {
    let look = move || match fs::metadata(path.as_path()) {
        Ok(metadata) => SourceSignature::of((metadata.len(), platform::identity(&metadata))),
        Err(error) => SourceSignature::of(error.kind()),
    };
    threads.run(look).await
}

fn read(path: &Place, rule: FileRule) -> Result<LoadedKey, LoadError> {
    let source = path.source("file");
    let mut text = open(path.as_path())
        .and_then(|file| {
            check(&file, path, rule)?;
            read_bounded(&file, MAX_FILE_LEN)?.ok_or(Problem::TooLarge)
        })
        .map_err(|problem| problem.at(source.clone()))?;
    // EXPOSE: the door for keys that stand in files. The buffer goes into the key as it is.
    let key = ApiKey::parse(std::mem::take(&mut *text))
        .map_err(|error| LoadError::invalid(source.clone(), error))?;
    Ok(LoadedKey::new(key, source))
}

/// Opens the file that a path leads to.
fn open(path: &Path) -> Result<File, Problem> {
    trying(path, || {
        let resolved = resolve(path)?;
        // Before opening, because opening alone can make a device act.
        check_kind(fs::symlink_metadata(&resolved)?.file_type())?;
        Ok(platform::open(&resolved)?)
    })
}

/// Tries again as long as the path's name is there and what it leads to is not: a mount was
/// replaced between resolving and opening.
fn trying<T>(path: &Path, mut open: impl FnMut() -> Result<T, Problem>) -> Result<T, Problem> {
    for _ in 1..TRIES {
        match open() {
            Err(Problem::Io(_)) if is_there(path) => {}
            done => return done,
        }
    }
    match open() {
        Err(Problem::Io(io::ErrorKind::NotFound)) if is_there(path) => Err(Problem::DanglingLink),
        done => done,
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Refuses an open file unless it keeps the rule. Only what is open stays what it is, so this
/// is the check that counts.
fn check(file: &File, path: &Place, rule: FileRule) -> Result<(), Problem> {
    let metadata = file.metadata()?;
    check_kind(metadata.file_type())?;
    platform::check(&metadata, path, rule)?;
    if metadata.len() > MAX_FILE_LEN as u64 {
        return Err(Problem::TooLarge);
    }
    Ok(())
}

/// The path without links, if it is inside the directory that the path names.
fn resolve(path: &Path) -> Result<PathBuf, Problem> {
    // A path that ends in `..` or a root names no file.
    let Some(name) = path.file_name() else {
        return Err(Problem::NotAFile("a directory"));
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Resolved once and then built upon, so that the two agree if a link above changes meanwhile.
    let directory = fs::canonicalize(directory)?;
    let resolved = fs::canonicalize(directory.join(name))?;
    if !resolved.starts_with(directory) {
        return Err(Problem::Insecure {
            what: format!("a link that leads out of its directory, to {}", Place::new(resolved)),
            fix: "give the path of the file itself".into(),
        });
    }
    Ok(resolved)
}

fn check_kind(kind: FileType) -> Result<(), Problem> {
    if kind.is_file() {
        return Ok(());
    }
    Err(Problem::NotAFile(if kind.is_dir() { "a directory" } else { platform::name_of(kind) }))
}

fn is_file_name(name: &Path) -> bool {
    // Compared whole, because `components` drops a trailing `/` and `.`.
    name.file_name() == Some(name.as_os_str())
}

/// What is wrong with a file, before it is told where the file is.
enum Problem {
    DanglingLink,
    Insecure { what: String, fix: String },
    Io(io::ErrorKind),
    NotAFile(&'static str),
    TooLarge,
}

impl Problem {
    fn at(self, source: KeySource) -> LoadError {
        let (kind, what, fix): (_, String, String) = match self {
            Self::DanglingLink => (
                LoadErrorKind::Unreadable,
                "a link that leads to nothing".into(),
                "mend the link, or remove it".into(),
            ),
            Self::Insecure { what, fix } => (LoadErrorKind::Insecure, what, fix),
            Self::Io(io::ErrorKind::NotFound) => (
                LoadErrorKind::NotFound,
                "no such file".into(),
                "create it, or correct the path".into(),
            ),
            Self::Io(io::ErrorKind::PermissionDenied) => (
                LoadErrorKind::Unreadable,
                "permission denied".into(),
                "give the service's user read access to the file and its directories".into(),
            ),
            Self::Io(kind @ io::ErrorKind::TimedOut) => (
                LoadErrorKind::TimedOut,
                kind.to_string(),
                "check the file system that it lies on".into(),
            ),
            Self::Io(kind) => (
                LoadErrorKind::Unreadable,
                format!("cannot be read: {kind}"),
                "check the path and the file system that it lies on".into(),
            ),
            Self::NotAFile(what) => (
                LoadErrorKind::NotAFile,
                format!("it is {what}"),
                "store the key in a regular file of its own".into(),
            ),
            Self::TooLarge => (
                LoadErrorKind::TooLarge,
                format!("larger than {} KiB", MAX_FILE_LEN / 1024),
                "store the key in a file of its own, with nothing else in it".into(),
            ),
        };
        LoadError::new(kind, source, what, fix)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path whose name is there can lead to nothing for a moment, or for good.
    #[test]
    fn a_path_that_leads_to_nothing_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        for (path, succeeds_at, expected, tries) in [
            (directory.path().to_owned(), 1, "opened", 1),
            (directory.path().to_owned(), TRIES, "opened", TRIES),
            (directory.path().to_owned(), TRIES + 1, "dangling", TRIES),
            (directory.path().join("absent"), 2, "not found", 1),
        ] {
            let mut tried = 0;
            let result = trying(&path, || {
                tried += 1;
                if tried == succeeds_at {
                    return Ok(());
                }
                Err(Problem::Io(io::ErrorKind::NotFound))
            });
            let seen = match result {
                Ok(()) => "opened",
                Err(Problem::DanglingLink) => "dangling",
                Err(Problem::Io(io::ErrorKind::NotFound)) => "not found",
                Err(_) => "another",
            };
            assert_eq!((seen, tried), (expected, tries));
        }
    }

    #[test]
    fn credentials_are_named_by_one_file_name() {
        for (name, expected) in [
            ("openai", true),
            ("openai.key", true),
            ("..data", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("../a", false),
            ("/etc/passwd", false),
            ("a/", false),
            ("a/.", false),
        ] {
            assert_eq!(is_file_name(Path::new(name)), expected, "{name}");
        }
    }
}
