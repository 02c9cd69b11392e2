//! [`Disk`]: the files of a store: read with care, locked between processes, and replaced as a
//! whole. What stands in them is not known here.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use keyward_core::KeySource;
use zeroize::Zeroizing;

use super::{StoreError, StoreErrorKind};
use crate::SourceSignature;
use crate::loader::{ShownPath, Threads, blocking, file_signature, read_bounded};

#[cfg_attr(not(unix), path = "other.rs")]
#[cfg_attr(unix, path = "unix.rs")]
mod platform;

/// The files of a store: one whose path was given, and others beside it whose names begin so.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    scheme: &'static str,
    path: ShownPath,
    patience: Duration,
    reads: Threads,
}

/// The right to write, until it is dropped.
pub(super) struct Lock(File);

impl Disk {
    pub(super) fn new(scheme: &'static str, path: PathBuf) -> Self {
        let patience = Duration::from_secs(10);
        Self { scheme, path: ShownPath::new(path), patience, reads: Threads::default() }
    }

    pub(super) fn source(&self) -> KeySource {
        self.path.source(self.scheme)
    }

    /// What the file looks like from outside.
    pub(super) fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        file_signature(self.path.clone(), &self.reads)
    }

    /// Reads without blocking the thread that polls. A live handle does so again and again, so when
    /// the file system hangs, only so many reads hang with it.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = self.clone();
        let done = self.reads.run(move || read(&disk)).await;
        done.unwrap_or_else(|| Err(shutting_down(self.source())))
    }

    /// Waits so long for another process that writes.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// What stands in the file, if it is there. The name is what stands behind the path's.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let path = self.beside(name);
        self.check_directory()?;
        let file = match platform::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.trouble(&path, &error)),
        };
        let metadata = file.metadata().map_err(|error| self.trouble(&path, &error))?;
        self.check_file(&path, &metadata)?;
        let read = read_bounded(&file, MAX_LEN).map_err(|error| self.trouble(&path, &error))?;
        read.map(Some).ok_or_else(|| {
            let what = format!("larger than {} KiB", MAX_LEN / 1024);
            self.error(StoreErrorKind::TooLarge, &path, what, "move it away")
        })
    }

    /// Keeps other processes, and other tasks of this one, from writing.
    pub(super) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.beside(".lock");
        self.check_directory()?;
        let file = platform::open_lock(&path).map_err(|error| self.trouble(&path, &error))?;
        let metadata = file.metadata().map_err(|error| self.trouble(&path, &error))?;
        self.check_file(&path, &metadata)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if began.elapsed() < self.patience => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    let what = "another process holds the lock and does not let go";
                    let fix = "find the process that has it open, and try again";
                    return Err(self.error(StoreErrorKind::TimedOut, &path, what.into(), fix));
                }
                Err(TryLockError::Error(error)) => return Err(self.trouble(&path, &error)),
            }
        }
    }

    /// Replaces the file: whoever reads it finds the old content or the new one, whole, also after
    /// a crash or a loss of power.
    pub(super) fn write(&self, name: &str, bytes: &[u8], _lock: &Lock) -> Result<(), StoreError> {
        let path = self.beside(name);
        let new = self.beside(&format!("{name}.new"));
        self.replace(&path, &new, bytes).map_err(|error| {
            // Nobody is left to use it, and it may hold a key.
            drop(fs::remove_file(&new));
            self.trouble(&path, &error)
        })
    }

    /// Makes the file, which must not be there.
    #[cfg(feature = "sealed")]
    pub(super) fn create(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.as_path();
        self.check_directory()?;
        let write = |mut file: File| {
            file.write_all(bytes)?;
            file.sync_all()?;
            drop(file);
            platform::sync_directory(self.directory())
        };
        let written = platform::create(path).and_then(|file| {
            // Ours, and of no use: half of it may be there, and would be in the way of the next.
            write(file).inspect_err(|_| drop(fs::remove_file(path)))
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let what = "it is there already".to_owned();
                self.error(StoreErrorKind::Conflict, path, what, "use it, or move it away")
            }
            _ => self.trouble(path, &error),
        })
    }

    fn replace(&self, path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
        // Left by a process that died; the lock is ours.
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = platform::create(new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(new, path)?;
        platform::sync_directory(self.directory())
    }

    fn check_directory(&self) -> Result<(), StoreError> {
        let directory = self.directory();
        let metadata = fs::metadata(directory).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let (kind, what) = (StoreErrorKind::NotFound, "no such directory".to_owned());
                self.error(kind, directory, what, "create it, for the service's user alone")
            }
            _ => self.trouble(directory, &error),
        })?;
        if !metadata.is_dir() {
            let what = "it is no directory".to_owned();
            return Err(self.error(StoreErrorKind::Invalid, directory, what, "correct the path"));
        }
        self.checked(directory, platform::check_directory(&metadata))
    }

    fn check_file(&self, path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
        if !metadata.is_file() {
            let what = "it is no regular file".to_owned();
            return Err(self.error(StoreErrorKind::Invalid, path, what, "correct the path"));
        }
        self.checked(path, platform::check_file(metadata))
    }

    fn checked(&self, path: &Path, insecure: Option<Insecure>) -> Result<(), StoreError> {
        let Some(Insecure { what, command }) = insecure else {
            return Ok(());
        };
        let fix = format!("`{command} {}`", ShownPath::new(path).quoted());
        Err(self.error(StoreErrorKind::Insecure, path, what, fix))
    }

    fn trouble(&self, path: &Path, error: &io::Error) -> StoreError {
        if platform::is_link(error) {
            let (kind, what) = (StoreErrorKind::Insecure, "it is a link".to_owned());
            return self.error(kind, path, what, "give the path of the file itself");
        }
        let (kind, fix) = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (StoreErrorKind::Refused, "let the service's user write to its directory")
            }
            io::ErrorKind::NotFound => (StoreErrorKind::NotFound, "create its directory"),
            io::ErrorKind::TimedOut => {
                (StoreErrorKind::TimedOut, "check the file system that it lies on")
            }
            _ => (StoreErrorKind::Unreachable, "check the file system that it lies on"),
        };
        self.error(kind, path, error.kind().to_string(), fix)
    }

    /// An error about a file beside the one that the store is named after says which.
    fn error(
        &self,
        kind: StoreErrorKind,
        path: &Path,
        what: String,
        fix: impl Into<std::borrow::Cow<'static, str>>,
    ) -> StoreError {
        let what = if path == self.path.as_path() {
            what
        } else {
            format!("{}: {what}", ShownPath::new(path))
        };
        StoreError::new(kind, self.source(), what, fix)
    }

    fn beside(&self, name: &str) -> PathBuf {
        let mut path = OsString::from(self.path.as_path());
        path.push(name);
        path.into()
    }

    fn directory(&self) -> &Path {
        match self.path.as_path().parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it would do, unless a child has inherited it.
        drop(self.0.unlock());
    }
}

/// Does work on files without blocking the thread that polls. It is done to its end also when
/// nobody waits for it any more.
pub(super) async fn on_disk<T: Send + 'static>(
    source: KeySource,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    blocking(work).await.unwrap_or_else(|| Err(shutting_down(source)))
}

fn shutting_down(source: KeySource) -> StoreError {
    let (kind, what) = (StoreErrorKind::Unreachable, "the runtime is shutting down");
    StoreError::new(kind, source, what, "use stores before it does")
}

/// What makes a file insecure, and the command that mends it, but for the path.
struct Insecure {
    what: String,
    command: String,
}

/// The largest file that is read.
const MAX_LEN: usize = 256 * 1024;
