//! A store's files where there are no Unix permissions: keep them in a directory that the
//! service's account alone can open.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::Insecure;

pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Elsewhere a directory cannot be opened to be synced: after a loss of power the file may be the
/// old one, whole.
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_link(_: &io::Error) -> bool {
    false
}

pub(super) fn check_file(_: &Metadata) -> Option<Insecure> {
    None
}

pub(super) fn check_directory(_: &Metadata) -> Option<Insecure> {
    None
}
