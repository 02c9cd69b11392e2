//! Opening a file without being held up or led astray, and who may read it: on Unix.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::hash::Hash;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::super::place::Place;
use super::{FileRule, Problem};

/// Opens a path that has no links in it. `O_CLOEXEC` is set by the standard library.
pub(super) fn open(resolved: &Path) -> io::Result<File> {
    // NONBLOCK: a pipe without a writer would hold the open up for ever.
    // NOCTTY: a terminal must not become the process's own.
    // NOFOLLOW: a link that took the file's place after it was resolved.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(resolved)
}

/// Who owns the file and who else may do what with it.
pub(super) fn check(metadata: &Metadata, path: &Place, rule: FileRule) -> Result<(), Problem> {
    let user = rustix::process::geteuid().as_raw();
    let mode = metadata.mode() & 0o7777;
    let owner = metadata.uid();
    let path = path.quoted();
    let (what, fix) = if owner != user && owner != 0 {
        (
            format!("owned by uid {owner}, who is neither the effective user ({user}) nor root"),
            format!("`chown {user} {path}`"),
        )
    } else {
        match rule {
            FileRule::MountedSecret if mode & 0o022 != 0 => (
                format!("its mode {mode:04o} lets others than its owner write it"),
                format!("`chmod go-w {path}`, or mount it read-only"),
            ),
            FileRule::Strict if mode & 0o077 != 0 => (
                format!("its mode {mode:04o} lets others than its owner in"),
                format!(
                    "`chmod 600 {path}`, or `FileLoader::mounted_secret` \
                     (`FileRule::MountedSecret`) if a container platform mounts it"
                ),
            ),
            FileRule::MountedSecret | FileRule::Strict => return Ok(()),
        }
    };
    Err(Problem::Insecure { what, fix })
}

/// Which file it is, and what changes whenever it does: no program can set the time of change.
pub(super) fn identity(metadata: &Metadata) -> impl Hash {
    (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), metadata.mtime_nsec())
}

pub(super) fn name_of(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::super::{FileRule, Place, Problem, check};
    use super::open;

    /// What the checks before opening keep out can take a file's place after them.
    #[test]
    fn a_pipe_does_not_hold_it_up_and_a_link_does_not_lead_it_astray() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        let opened = open(&pipe).unwrap();
        let refused = check(&opened, &Place::new(&pipe), FileRule::Strict);
        assert!(matches!(refused, Err(Problem::NotAFile("a pipe"))));

        let link = directory.path().join("link");
        symlink("/etc/hostname", &link).unwrap();
        assert!(open(&link).is_err());
    }
}
