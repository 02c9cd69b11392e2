//! [`Lease`] and [`Journal`]: who replaces keys at the moment, and how far it has come.

use std::fmt;

use keyward_core::Timestamp;

use super::Version;
use super::stored::shown;

/// The right to replace the keys of a store, until a moment.
///
/// It is a record and not a guard: a process that dies holds it until it runs out, or until it is
/// started again under the same name.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lease {
    /// Who holds it: a name that is the same after a restart, and no other replica's.
    pub holder: String,
    /// Greater than that of every lease on this store before. It can be written beside what the
    /// holder does, so that what came late is told apart.
    pub fence: u64,
    /// When it runs out.
    pub expires_at: Timestamp,
}

impl Lease {
    /// A lease; for those who implement a [`KeyStore`](super::KeyStore).
    #[must_use]
    pub fn new(holder: impl Into<String>, fence: u64, expires_at: Timestamp) -> Self {
        Self { holder: holder.into(), fence, expires_at }
    }

    /// Whether it has run out.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("holder", &shown(&self.holder))
            .field("fence", &self.fence)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A journal as it was read: its text, and which writing of it this is.
#[derive(Clone, Eq, PartialEq)]
pub struct Journal {
    text: String,
    revision: Version,
}

impl Journal {
    /// A journal; for those who implement a [`KeyStore`](super::KeyStore).
    #[must_use]
    pub fn new(text: impl Into<String>, revision: impl Into<Version>) -> Self {
        Self { text: text.into(), revision: revision.into() }
    }

    /// What is written there.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which writing of it this is.
    #[must_use]
    pub fn revision(&self) -> &Version {
        &self.revision
    }
}

/// The text is its owner's to show.
impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("len", &self.text.len())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
