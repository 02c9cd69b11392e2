//! [`RotateError`]: why a rotation did not go on, and what to do. It holds nothing of any key.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use keyward::store::{StoreError, StoreErrorKind};

/// Why a rotation did not go on.
///
/// `Display` is one line: the slot, what happened, and the fix. [`kind`](Self::kind) and the
/// predicates are for programs.
///
/// # Security
///
/// It holds no key, nothing that was read from a store, and no error of another library: it has no
/// [`source`](std::error::Error::source). What the organization said is in it as `keyward-admin`
/// tells it, with everything masked that looks like a key.
#[derive(Clone, Debug)]
pub struct RotateError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: RotateErrorKind,
    slot: Option<String>,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
    retry_after: Option<Duration>,
}

impl RotateError {
    /// An error of a [`Journal`](crate::Journal) of your own: its kind, what happened, and how to
    /// mend it.
    ///
    /// Both texts are parts of one line, without a full stop.
    ///
    /// # Security
    ///
    /// Both texts are shown. Put nothing in them that may be a key.
    #[must_use]
    pub fn new(
        kind: RotateErrorKind,
        what: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self(Box::new(Inner { kind, slot: None, what, fix, retry_after: None }))
    }

    pub(crate) fn in_slot(mut self, slot: &str) -> Self {
        self.0.slot = Some(slot.to_owned());
        self
    }

    pub(crate) fn after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> RotateErrorKind {
        self.0.kind
    }

    /// The slot that was being rotated, if it was one.
    #[must_use]
    pub fn slot(&self) -> Option<&str> {
        self.0.slot.as_deref()
    }

    /// What happened, without the slot and the fix.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.0.fix
    }

    /// How long the organization asked to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether another rotator has the slot: it holds the lease, or has taken it meanwhile.
    #[must_use]
    pub fn is_lease_held(&self) -> bool {
        matches!(self.kind(), RotateErrorKind::LeaseHeld | RotateErrorKind::LeaseLost)
    }

    /// Whether the organization does not allow it: a policy, a permission, a role, the state of the
    /// project.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            self.kind(),
            RotateErrorKind::AccountUnusable
                | RotateErrorKind::ProjectUnusable
                | RotateErrorKind::Refused
        )
    }

    /// Whether it may pass by itself: `rotate` later goes on where it stopped, or begins anew.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            RotateErrorKind::GaveUp
                | RotateErrorKind::JournalUnavailable
                | RotateErrorKind::LeaseHeld
                | RotateErrorKind::LeaseLost
                | RotateErrorKind::NotProved
                | RotateErrorKind::OrganizationUnavailable
                | RotateErrorKind::StoreUnavailable
        )
    }

    /// Whether somebody has to look, because no later attempt will do better by itself.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        !self.is_retryable()
    }

    pub(crate) fn of_store(error: &StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::LeaseHeld => RotateErrorKind::LeaseHeld,
            StoreErrorKind::LeaseLost => RotateErrorKind::LeaseLost,
            _ if error.is_retryable() => RotateErrorKind::StoreUnavailable,
            _ => RotateErrorKind::StoreRefused,
        };
        let text = error.to_string();
        let what = text.strip_suffix(error.fix()).and_then(|text| text.strip_suffix("; "));
        let what = what.unwrap_or(&text).to_owned();
        Self::new(kind, what, error.fix().to_owned())
    }

    pub(crate) fn of_journal(error: &StoreError) -> Self {
        let mut told = Self::of_store(error);
        told.0.kind = match error.kind() {
            StoreErrorKind::Conflict => RotateErrorKind::LeaseLost,
            _ if error.is_retryable() => RotateErrorKind::JournalUnavailable,
            _ => RotateErrorKind::JournalRefused,
        };
        told
    }
}

impl std::error::Error for RotateError {}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slot) = &self.0.slot {
            write!(f, "slot `{slot}`: ")?;
        }
        write!(f, "{}; {}", self.0.what, self.0.fix)
    }
}

/// The kinds of [`RotateError`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RotateErrorKind {
    /// The service account is not there, or its role lets its keys do nothing.
    AccountUnusable,
    /// An answer of the organization has not the shape that it is documented to have.
    AnswerUnreadable,
    /// A setting cannot be used, or there is no such slot.
    Configuration,
    /// A key that no rotation of this slot staged is pending in the store.
    ForeignPending,
    /// Nothing worked within the attempts that are made. What was begun has been cleaned up or is
    /// in the journal.
    GaveUp,
    /// The journal cannot be read as one, or its place does not take it.
    JournalRefused,
    /// The journal's place did not answer. Whether the record was written is not known.
    JournalUnavailable,
    /// Another rotator holds the slot's lease.
    LeaseHeld,
    /// Another rotator took the slot meanwhile. Nothing further was done.
    LeaseLost,
    /// After a leak: the new key is in use, and the old one lives on, because keyward did not make it
    /// and its id is not named.
    LeftAlone,
    /// The new key was not accepted in time. It was deleted; the old key is in use as before.
    NotAccepted,
    /// Whether the new key works could not be told in time. It is staged; `resume` asks again.
    NotProved,
    /// The organization did not answer, or asked to wait longer than is waited.
    OrganizationUnavailable,
    /// The policy by which new keys are proved lets none like this be used. None was made, or it was
    /// deleted; the old key is in use as before.
    PolicyRefused,
    /// The project is not there or archived.
    ProjectUnusable,
    /// The organization refuses it: a policy, a permission, a limit.
    Refused,
    /// The store's current key is not the one that was promoted: somebody changed it by hand. What
    /// was put there stays for a day, unless a rotation is asked for: see
    /// [`Status::due_at`](crate::Status::due_at).
    StoreChanged,
    /// The store does not do it.
    StoreRefused,
    /// The store did not answer.
    StoreUnavailable,
}
