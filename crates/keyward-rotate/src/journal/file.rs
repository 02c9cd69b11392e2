//! [`FileJournal`]: a directory of journals on this machine, one file a slot.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Journal, Written};
use crate::{RotateError, RotateErrorKind};

/// Keeps the journals of slots in a directory, `SLOT.journal` each, and never removes a line.
///
/// A line counts when it and, for a new file, the directory are on the disk. One that a crash cut
/// off is not there, and is overwritten by the next.
///
/// It is on one machine, so only rotators of this machine can go on with what it tells. Where there
/// are several, use [`StoreJournal`](super::StoreJournal). It needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct FileJournal {
    directory: PathBuf,
    /// Set when a write did not reach the disk: what the system shows of the file since may be gone
    /// after a loss of power.
    is_broken: Arc<AtomicBool>,
    sync: fn(&File) -> io::Result<()>,
}

impl FileJournal {
    /// Journals in this directory, which must be there. Nothing is read yet.
    ///
    /// # Security
    ///
    /// On Unix a journal of another user than the process's is refused, one in a directory of another
    /// than that or root, and either where others than its owner can write; a link is refused too.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let is_broken = Arc::new(AtomicBool::new(false));
        Self { directory: directory.into(), is_broken, sync: File::sync_all }
    }

    fn check_broken(&self) -> Result<(), RotateError> {
        if self.is_broken.load(Ordering::Acquire) {
            let path = &self.directory;
            return Err(refused(path, "has lost a write", "see to the disk, then start again"));
        }
        Ok(())
    }

    fn path(&self, slot: &str) -> PathBuf {
        self.directory.join(format!("{slot}.journal"))
    }
}

impl Journal for FileJournal {
    async fn read(&self, slot: &str) -> Result<Written, RotateError> {
        self.check_broken()?;
        let path = self.path(slot);
        on_a_thread(move || {
            check_directory(&path)?;
            match File::open(&path) {
                Ok(mut file) => {
                    check(&path, &file)?;
                    whole_lines(&mut file).map_err(|error| trouble(&path, &error))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Written::new("", "0")),
                Err(error) => Err(trouble(&path, &error)),
            }
        })
        .await
    }

    async fn append(&self, slot: &str, read: &Written, line: &str) -> Result<Written, RotateError> {
        self.check_broken()?;
        let (path, journal) = (self.path(slot), self.clone());
        let (read, line) = (read.clone(), line.to_owned());
        on_a_thread(move || {
            check_directory(&path)?;
            let mut file = open(&path).map_err(|error| trouble(&path, &error))?;
            check(&path, &file)?;
            // Held until the file is closed; a process that dies lets go of it.
            file.lock().map_err(|error| trouble(&path, &error))?;
            let now = whole_lines(&mut file).map_err(|error| trouble(&path, &error))?;
            if now.revision != read.revision {
                return Err(RotateError::new(
                    RotateErrorKind::LeaseLost,
                    "another rotator wrote the journal meanwhile",
                    "let it finish, and look at the status",
                ));
            }
            let write = |file: &mut File| {
                file.set_len(now.text.len() as u64)?;
                file.seek(SeekFrom::End(0))?;
                file.write_all(line.as_bytes())?;
                (journal.sync)(file)?;
                // The first line counts when its file is found again. An empty one may be left of a
                // process that died here.
                let is_first = now.text.is_empty();
                if is_first { (journal.sync)(&File::open(&journal.directory)?) } else { Ok(()) }
            };
            if let Err(error) = write(&mut file) {
                // A line whose sync failed stays readable and is not on the disk, and no later sync
                // tells of it. It must not be taken for written.
                journal.is_broken.store(true, Ordering::Release);
                let _ = file.set_len(now.text.len() as u64);
                return Err(trouble(&path, &error));
            }
            let text = now.text + &line;
            let revision = text.len().to_string();
            Ok(Written::new(text, revision))
        })
        .await
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RotateError> + Send + 'static,
) -> Result<T, RotateError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(RotateError::new(
            RotateErrorKind::JournalUnavailable,
            "the runtime ended while the journal was written",
            "resume with another",
        )),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Its lines that are whole; the revision is their length.
fn whole_lines(file: &mut File) -> io::Result<Written> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    let text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    let revision = text.len().to_string();
    Ok(Written::new(text, revision))
}

/// Who may write to it may make a rotator delete keys.
fn check(path: &Path, file: &File) -> Result<(), RotateError> {
    let named = std::fs::symlink_metadata(path).map_err(|error| trouble(path, &error))?;
    if named.is_symlink() {
        return Err(refused(path, "is a link", "move it away, and name the journal's directory"));
    }
    let metadata = file.metadata().map_err(|error| trouble(path, &error))?;
    if !metadata.is_file() {
        return Err(refused(path, "is no regular file", "move it away"));
    }
    check_owner(path, &metadata, Owner::User)
}

/// Who may write to a directory may put another file in the place of one, or take it away.
fn check_directory(file: &Path) -> Result<(), RotateError> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let metadata = std::fs::metadata(directory).map_err(|error| trouble(directory, &error))?;
    check_owner(directory, &metadata, Owner::UserOrRoot)
}

/// Whose a file may be.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Owner {
    User,
    UserOrRoot,
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata, _: Owner) -> Result<(), RotateError> {
    Ok(())
}

#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata, may: Owner) -> Result<(), RotateError> {
    use std::os::unix::fs::MetadataExt as _;

    let user = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != user && (owner != 0 || may == Owner::User) {
        let what = format!("is owned by uid {owner}, not by the effective user ({user})");
        return Err(refused(path, &what, "`chown` it, once it is clear who wrote it"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refused(path, "can be written by others than its owner", "`chmod go-w` it"));
    }
    Ok(())
}

fn refused(path: &Path, what: &str, fix: &'static str) -> RotateError {
    let what = format!("{} {what}", path.display());
    RotateError::new(RotateErrorKind::JournalRefused, what, fix)
}

fn trouble(path: &Path, error: &io::Error) -> RotateError {
    let what = format!("{}: {}", path.display(), error.kind());
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::InvalidData => RotateError::new(
            RotateErrorKind::JournalRefused,
            what,
            "let the rotator's user write to the journal's directory, and nobody else",
        ),
        _ => RotateError::new(
            RotateErrorKind::JournalUnavailable,
            what,
            "check the file system that it lies on",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FileJournal, Journal as _, Written};
    use crate::journal::{Entry, Record};
    use crate::tag::Tag;
    use keyward::Timestamp;

    fn line(n: u128) -> String {
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        Record { at, tag: Tag::new("billing", n), entry: Entry::Done }.to_line()
    }

    #[tokio::test]
    async fn lines_are_added_and_a_torn_one_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::new(directory.path());
        let empty = journal.read("billing").await.unwrap();
        assert_eq!(empty.text, "");
        let first = journal.append("billing", &empty, &line(1)).await.unwrap();

        // Power is lost in the middle of the second.
        let path = directory.path().join("billing.journal");
        fs::write(&path, format!("{}{}", first.text, &line(2)[..20])).unwrap();
        let read = journal.read("billing").await.unwrap();
        assert_eq!(read, first);
        let second = journal.append("billing", &read, &line(3)).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1) + &line(3));
        assert_eq!(second.records().unwrap().len(), 2);
        assert_eq!(journal.read("search").await.unwrap().text, "", "another slot's is another");
    }

    #[tokio::test]
    async fn of_two_that_read_the_same_one_writes() {
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::new(directory.path());
        let empty = Written::new("", "0");
        let (one, two) = (line(1), line(2));
        let (a, b) = tokio::join!(
            journal.append("billing", &empty, &one),
            journal.append("billing", &empty, &two)
        );
        assert!(a.is_ok() != b.is_ok());
        assert!(a.err().or(b.err()).unwrap().is_lease_held());
    }

    #[tokio::test]
    async fn a_line_that_is_not_on_the_disk_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::new(directory.path());
        let first = journal.append("billing", &Written::new("", "0"), &line(1)).await.unwrap();
        journal.sync = |_| Err(std::io::Error::other("EIO"));
        journal.append("billing", &first, &line(2)).await.unwrap_err();
        let error = journal.clone().read("billing").await.unwrap_err();
        assert!(error.needs_a_person() && error.to_string().contains("disk"), "{error}");
        journal.append("billing", &first, &line(2)).await.unwrap_err();
        // Another process finds what was there.
        assert_eq!(FileJournal::new(directory.path()).read("billing").await.unwrap(), first);
    }

    #[tokio::test]
    async fn the_directory_is_synced_with_the_first_line() {
        use std::sync::atomic::{AtomicU32, Ordering};

        static SYNCS: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        // A process died after it had made the file.
        fs::write(directory.path().join("billing.journal"), "").unwrap();
        let mut journal = FileJournal::new(directory.path());
        journal.sync = |file| {
            SYNCS.fetch_add(1, Ordering::Relaxed);
            file.sync_all()
        };
        let first = journal.append("billing", &Written::new("", "0"), &line(1)).await.unwrap();
        assert_eq!(SYNCS.swap(0, Ordering::Relaxed), 2, "the file and its directory");
        journal.append("billing", &first, &line(2)).await.unwrap();
        assert_eq!(SYNCS.load(Ordering::Relaxed), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_journal_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("billing.journal");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = FileJournal::new(directory.path()).read("billing").await.unwrap_err();
        assert!(error.needs_a_person() && error.to_string().contains("chmod"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    async fn a_journal_that_others_own_is_refused() {
        use std::os::unix::fs::chown;

        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a file away; run the tests as root");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::new(directory.path());
        let first = journal.append("billing", &Written::new("", "0"), &line(1)).await.unwrap();
        let path = directory.path().join("billing.journal");
        for (path, other) in [(path.as_path(), 12_345), (directory.path(), 12_345)] {
            chown(path, Some(other), None).unwrap();
            for error in [
                journal.read("billing").await.unwrap_err(),
                journal.append("billing", &first, &line(2)).await.unwrap_err(),
            ] {
                assert!(error.needs_a_person(), "{error}");
                assert!(error.to_string().contains("owned by uid 12345"), "{error}");
            }
            chown(path, Some(0), None).unwrap();
        }
        assert_eq!(journal.read("billing").await.unwrap(), first);

        chown(directory.path(), Some(12_345), None).unwrap();
        journal.append("search", &Written::new("", "0"), &line(1)).await.unwrap_err();
        assert!(!directory.path().join("search.journal").exists(), "nothing was made there");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_journal_whose_place_others_choose_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("a");
        fs::write(&target, "").unwrap();
        symlink(&target, directory.path().join("billing.journal")).unwrap();
        let journal = FileJournal::new(directory.path());
        let error = journal.read("billing").await.unwrap_err();
        assert!(error.needs_a_person() && error.to_string().contains("is a link"), "{error}");

        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = journal.append("search", &Written::new("", "0"), &line(1)).await.unwrap_err();
        assert!(error.to_string().contains("chmod"), "{error}");
    }
}
