//! A store's files on Unix: opened without following a link, made for their owner alone, and
//! refused where others could come between.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Insecure;

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags()).open(path)
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).custom_flags(flags()).open(path)?;
    // Whatever the process's mask took away or left.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags()).open(path)
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// A file of a store is its owner's alone, and the process is the owner.
pub(super) fn check_file(metadata: &Metadata) -> Option<Insecure> {
    let (user, owner, mode) = (user(), metadata.uid(), metadata.mode() & 0o7777);
    if owner != user {
        let what = format!("owned by uid {owner}, not by the effective user ({user})");
        return Some(Insecure { what, command: format!("chown {user}") });
    }
    (mode & 0o077 != 0).then(|| Insecure {
        what: format!("its mode {mode:04o} lets others than its owner in"),
        command: "chmod 600".to_owned(),
    })
}

/// Who may write to a directory may put another file in the place of one.
pub(super) fn check_directory(metadata: &Metadata) -> Option<Insecure> {
    let (user, owner, mode) = (user(), metadata.uid(), metadata.mode() & 0o7777);
    if owner != user && owner != 0 {
        let what =
            format!("owned by uid {owner}, who is neither the effective user ({user}) nor root");
        return Some(Insecure { what, command: format!("chown {user}") });
    }
    (mode & 0o022 != 0).then(|| Insecure {
        what: format!("its mode {mode:04o} lets others than its owner write to it"),
        command: "chmod go-w".to_owned(),
    })
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// NONBLOCK: a pipe in its place must not hold the open up. NOFOLLOW: a link is refused.
fn flags() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW).bits().cast_signed()
}
