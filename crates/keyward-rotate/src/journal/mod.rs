//! [`Journal`]: what was begun and how far it came, durable and without a secret; one file for each
//! kind of place.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::RotateError;

pub use self::file::FileJournal;
pub use self::record::{Entry, OldKey, Record, Retirement};
pub use self::store::StoreJournal;

mod file;
pub(crate) mod record;
mod store;

/// Where a rotator notes what it is about to do and what it has done, so that another can go on.
///
/// A journal is lines of JSON, one a [`Record`], which people can read as well. Each slot has its
/// own. There are [`StoreJournal`], in the store beside the key, where every replica finds it, and
/// [`FileJournal`], a directory on this machine, which keeps the whole history.
///
/// # Implementing
///
/// `append` compares: it adds the line only if the journal is what was read, and is an error of the
/// kind [`LeaseLost`](crate::RotateErrorKind::LeaseLost) otherwise. What it has answered for must
/// survive a loss of power. A line is at most a kilobyte long.
///
/// # Security
///
/// A journal has key ids, tags and times in it, and never key material. Who can write to it can
/// make a rotator delete keys that carry the tags of its slot, so keep it where only the rotator
/// writes.
pub trait Journal: Send + Sync {
    /// What is written there of this slot; nothing is no error.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the place.
    fn read(&self, slot: &str) -> impl Future<Output = Result<Written, RotateError>> + Send;

    /// Adds one line, if the journal still is what was read, and answers what it is then.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](crate::RotateErrorKind::LeaseLost) when somebody wrote it since; and whatever
    /// goes wrong with the place.
    fn append(
        &self,
        slot: &str,
        read: &Written,
        line: &str,
    ) -> impl Future<Output = Result<Written, RotateError>> + Send;
}

/// A journal as it was read: its text, and which writing of it this is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// Lines, each with its end. What stands behind the last end is not part of it.
    pub text: String,
    /// Which writing it is: whatever the place compares by.
    pub revision: String,
}

impl Written {
    /// A text and which writing it is; for those who implement a [`Journal`].
    #[must_use]
    pub fn new(text: impl Into<String>, revision: impl Into<String>) -> Self {
        Self { text: text.into(), revision: revision.into() }
    }

    /// Its records, the oldest first.
    ///
    /// # Errors
    ///
    /// [`JournalRefused`](crate::RotateErrorKind::JournalRefused) for a line that is no record.
    pub fn records(&self) -> Result<Vec<Record>, RotateError> {
        record::read(&self.text)
    }
}

/// A [`Journal`] of any type. A clone is the same journal.
#[derive(Clone)]
pub struct DynJournal(Arc<dyn AnyJournal>);

impl DynJournal {
    /// A journal of any type.
    #[must_use]
    pub fn new(journal: impl Journal + 'static) -> Self {
        Self(Arc::new(journal))
    }
}

impl Journal for DynJournal {
    async fn read(&self, slot: &str) -> Result<Written, RotateError> {
        self.0.read_any(slot).await
    }

    async fn append(&self, slot: &str, read: &Written, line: &str) -> Result<Written, RotateError> {
        self.0.append_any(slot, read, line).await
    }
}

impl fmt::Debug for DynJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynJournal").finish_non_exhaustive()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Written, RotateError>> + Send + 'a>>;

trait AnyJournal: Send + Sync {
    fn read_any<'a>(&'a self, slot: &'a str) -> Answer<'a>;
    fn append_any<'a>(&'a self, slot: &'a str, read: &'a Written, line: &'a str) -> Answer<'a>;
}

impl<J: Journal> AnyJournal for J {
    fn read_any<'a>(&'a self, slot: &'a str) -> Answer<'a> {
        Box::pin(self.read(slot))
    }

    fn append_any<'a>(&'a self, slot: &'a str, read: &'a Written, line: &'a str) -> Answer<'a> {
        Box::pin(self.append(slot, read, line))
    }
}
