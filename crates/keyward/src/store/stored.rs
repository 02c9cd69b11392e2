//! [`StoredKey`]: a key as a store holds it, with its version and what is noted beside it.

use std::fmt;

use keyward_core::{ApiKey, KeySource, Timestamp, find};

use super::{Lease, StoreError, StoreErrorKind};
use crate::LoadedKey;

/// A key as a store holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredKey {
    /// The key. No policy has admitted it yet.
    pub key: ApiKey,
    /// Its version in this store.
    pub version: Version,
    /// What was noted when it was staged.
    pub note: KeyNote,
    /// When it was staged, if the store knows.
    pub staged_at: Option<Timestamp>,
    /// When it became current, if it has and the store knows.
    pub promoted_at: Option<Timestamp>,
}

impl StoredKey {
    /// A key and its version, with nothing noted.
    #[must_use]
    pub fn new(key: ApiKey, version: impl Into<Version>) -> Self {
        Self {
            key,
            version: version.into(),
            note: KeyNote::new(),
            staged_at: None,
            promoted_at: None,
        }
    }

    /// Sets what is noted of it.
    #[must_use]
    pub fn note(mut self, note: KeyNote) -> Self {
        self.note = note;
        self
    }

    /// Sets when it was staged.
    #[must_use]
    pub fn staged_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.staged_at = at.into();
        self
    }

    /// Sets when it became current.
    #[must_use]
    pub fn promoted_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.promoted_at = at.into();
        self
    }

    /// As what a loader yields: with the version and the expiry.
    #[must_use]
    pub fn into_loaded(self, source: KeySource) -> LoadedKey {
        LoadedKey::new(self.key, source)
            .version(self.version.to_string())
            .expires_at(self.note.expires_at)
    }
}

/// What a store holds, as it was at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The key in use.
    pub current: Option<StoredKey>,
    /// The key that was staged and is not in use yet.
    pub pending: Option<StoredKey>,
    /// The key that was in use before.
    pub previous: Option<StoredKey>,
    /// The lease that was taken last and not given back; it may have run out.
    pub lease: Option<Lease>,
}

impl Snapshot {
    /// Of a store that is empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key in use.
    #[must_use]
    pub fn current(mut self, key: impl Into<Option<StoredKey>>) -> Self {
        self.current = key.into();
        self
    }

    /// Sets the key that is staged.
    #[must_use]
    pub fn pending(mut self, key: impl Into<Option<StoredKey>>) -> Self {
        self.pending = key.into();
        self
    }

    /// Sets the key that was in use before.
    #[must_use]
    pub fn previous(mut self, key: impl Into<Option<StoredKey>>) -> Self {
        self.previous = key.into();
        self
    }

    /// Sets the lease.
    #[must_use]
    pub fn lease(mut self, lease: impl Into<Option<Lease>>) -> Self {
        self.lease = lease.into();
        self
    }
}

/// The version of a key in a store: opaque, and no secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Version(String);

impl Version {
    /// The version as the store writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<String> for Version {
    fn from(version: String) -> Self {
        Self(version)
    }
}

impl From<&str> for Version {
    fn from(version: &str) -> Self {
        Self(version.to_owned())
    }
}

/// What is noted beside a key, so that whoever comes later can find it at the issuer.
///
/// It is no secret. `Debug` masks what looks like a key all the same.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyNote {
    /// The id that the issuer gave the key (`key_…`).
    pub key_id: Option<String>,
    /// The name under which it was made.
    pub tag: Option<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was made, by the issuer's clock.
    pub created_at: Option<Timestamp>,
}

impl KeyNote {
    /// Notes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the id that the issuer gave the key.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// Notes the name under which the key was made.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Notes when the key expires.
    #[must_use]
    pub fn expires_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.expires_at = at.into();
        self
    }

    /// Notes when the key was made.
    #[must_use]
    pub fn created_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.created_at = at.into();
        self
    }

    /// Refuses a note that repeats a piece of the key that it is about; for those who implement a
    /// [`KeyStore`](super::KeyStore).
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`].
    pub fn check(&self, key: &ApiKey, source: KeySource) -> Result<(), StoreError> {
        let texts = [&self.key_id, &self.tag];
        if texts.into_iter().flatten().any(|text| key.is_echoed_in(text)) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                source,
                "the note repeats a piece of the key",
                "note the key's id and its name",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for KeyNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyNote")
            .field("key_id", &self.key_id.as_deref().map(shown))
            .field("tag", &self.tag.as_deref().map(shown))
            .field("expires_at", &self.expires_at)
            .field("created_at", &self.created_at)
            .finish()
    }
}

/// A text that should be no key, masked where it is one.
pub(super) fn shown(text: &str) -> String {
    if find::contains_key(text) { find::scrub(text).into_owned() } else { text.to_owned() }
}
