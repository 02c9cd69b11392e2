//! Opening a file where there are no Unix permissions.

use std::fs::{File, FileType, Metadata};
use std::hash::Hash;
use std::io;
use std::path::Path;

use super::super::place::Place;
use super::{FileRule, Problem};

pub(super) fn open(resolved: &Path) -> io::Result<File> {
    File::open(resolved)
}

/// Nothing is checked here: see the documentation of `FileLoader`.
pub(super) fn check(_: &Metadata, _: &Place, _: FileRule) -> Result<(), Problem> {
    Ok(())
}

/// Which file it is, as far as can be told.
pub(super) fn identity(metadata: &Metadata) -> impl Hash {
    (metadata.created().ok(), metadata.modified().ok())
}

pub(super) fn name_of(_: FileType) -> &'static str {
    "not a regular file"
}
