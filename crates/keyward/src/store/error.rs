//! [`StoreError`]: why a store did not do what it was asked for, and how to mend it.

use std::borrow::Cow;
use std::fmt;

use keyward_core::KeySource;

use super::Lease;
use super::stored::shown;
use crate::{LoadError, LoadErrorKind};

/// Why a store did not do what it was asked for.
///
/// `Display` is one line: where, what happened, and the fix. [`kind`](Self::kind) and the
/// predicates are for programs.
///
/// # Security
///
/// It holds nothing of what was read or written, and no error of another library, whose text
/// could: it has no [`source`](std::error::Error::source).
#[derive(Clone, Debug)]
pub struct StoreError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: StoreErrorKind,
    source: KeySource,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
    lease: Option<Lease>,
}

impl StoreError {
    /// An error of a store: its kind, which store, what happened, and how to mend it.
    ///
    /// Both texts are parts of one line, without a full stop: `another key is pending`, `promote
    /// or discard it`.
    ///
    /// # Security
    ///
    /// Both texts are shown. Put nothing in them that was read from the store, and no other
    /// library's error, unless [scrubbed](keyward_core::find::scrub).
    #[must_use]
    pub fn new(
        kind: StoreErrorKind,
        source: KeySource,
        what: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self(Box::new(Inner { kind, source, what, fix, lease: None }))
    }

    /// The error for a place that somebody wrote since it was read: [`StoreErrorKind::Conflict`].
    #[must_use]
    pub fn changed(source: KeySource) -> Self {
        Self::new(
            StoreErrorKind::Conflict,
            source,
            "others wrote it meanwhile",
            "look at what it holds, and try again",
        )
    }

    /// The error for a lease that another holds: [`StoreErrorKind::LeaseHeld`].
    #[must_use]
    pub fn lease_held(source: KeySource, lease: Lease) -> Self {
        let holder: String =
            shown(&lease.holder).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let what = format!("`{holder}` holds the lease until {}", lease.expires_at);
        let fix = "wait until then, or let it finish";
        let mut error = Self::new(StoreErrorKind::LeaseHeld, source, what, fix);
        error.0.lease = Some(lease);
        error
    }

    /// The error for a lease that is held no more: [`StoreErrorKind::LeaseLost`].
    #[must_use]
    pub fn lease_lost(source: KeySource) -> Self {
        Self::new(
            StoreErrorKind::LeaseLost,
            source,
            "the lease was released, or taken by another after it ran out",
            "stop, and take it anew",
        )
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// Which store it was.
    #[must_use]
    pub fn key_source(&self) -> &KeySource {
        &self.0.source
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.0.fix
    }

    /// The lease that another holds, if that was the failure.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.0.lease.as_ref()
    }

    /// Whether the store is not what the caller took it for: look at it again, and decide anew.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == StoreErrorKind::Conflict
    }

    /// Whether it may pass by itself: the place did not answer, not in time, or too many at once.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            StoreErrorKind::Throttled | StoreErrorKind::TimedOut | StoreErrorKind::Unreachable
        )
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.0.source, self.0.what, self.0.fix)
    }
}

/// A store that cannot be read, as what a loader answers.
impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Conflict => LoadErrorKind::Conflict,
            StoreErrorKind::Damaged | StoreErrorKind::Invalid => LoadErrorKind::Invalid,
            StoreErrorKind::Insecure => LoadErrorKind::Insecure,
            StoreErrorKind::Refused => LoadErrorKind::Denied,
            StoreErrorKind::Throttled => LoadErrorKind::Throttled,
            StoreErrorKind::TimedOut => LoadErrorKind::TimedOut,
            StoreErrorKind::TooLarge => LoadErrorKind::TooLarge,
            StoreErrorKind::Undecryptable => LoadErrorKind::Undecryptable,
            StoreErrorKind::Unreachable => LoadErrorKind::Unreachable,
            // A store that is not there is not a store without a key: a chain must not go on.
            StoreErrorKind::LeaseHeld
            | StoreErrorKind::LeaseLost
            | StoreErrorKind::NotFound
            | StoreErrorKind::Unsupported => LoadErrorKind::Unreadable,
        };
        Self::new(kind, error.0.source, error.0.what, error.0.fix)
    }
}

/// What kind of [`StoreError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store is not what the caller took it for: another key is pending, the version is not,
    /// or somebody wrote in between.
    Conflict,
    /// What is there is not what a store wrote.
    Damaged,
    /// It lies where others could read or replace it.
    Insecure,
    /// What was to be written cannot be: a note that repeats the key; a setting that is none.
    Invalid,
    /// Another holds the lease: see [`StoreError::lease`].
    LeaseHeld,
    /// The lease is held no more.
    LeaseLost,
    /// The place itself is not there: its directory, its mount, its vault.
    NotFound,
    /// The place does not let this process in: permissions, a policy, a login that is refused or
    /// missing.
    Refused,
    /// The place answers too many requests; it may answer a later one. Nothing was changed.
    Throttled,
    /// The place did not answer in time. Whether a change took place is not known.
    TimedOut,
    /// It is more than the place can hold.
    TooLarge,
    /// It is there, sealed, and could not be opened: by another key than it was sealed for.
    Undecryptable,
    /// The place could not be reached, or failed. Whether a change took place is not known.
    Unreachable,
    /// The place cannot do that at all.
    Unsupported,
}
