//! Exceptions that a security team should read twice.

use alloc::string::String;

use super::PolicyError;
use crate::{KeyPolicy, Timestamp};

/// Admits legacy user keys for a reason and until a date, on which it closes by itself.
///
/// The date is looked at when a key is admitted, which is at each load; a key that was admitted
/// before is not taken out of the hands of a running process.
///
/// A legacy user key acts as a person across everything that person may do, has no project, no
/// scopes, and goes when the person leaves. This exists so that a team can move off such a key
/// without a dead line at the worst moment, and not for longer.
///
/// ```
/// use keyward_core::{KeyPolicy, danger::AllowLegacyUserKey};
///
/// let until = "2026-12-31".parse()?;
/// let exception = AllowLegacyUserKey::new("batch job of team data moves in OPS-1412", until)?;
/// let policy = KeyPolicy::production().allow_legacy_user_key(exception);
/// # let _ = policy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AllowLegacyUserKey {
    reason: String,
    until: Timestamp,
}

impl AllowLegacyUserKey {
    /// An exception for a reason, until a moment.
    ///
    /// # Errors
    ///
    /// [`PolicyError::ReasonMissing`] for a reason that is empty.
    pub fn new(reason: impl Into<String>, until: Timestamp) -> Result<Self, PolicyError> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(PolicyError::ReasonMissing);
        }
        Ok(Self { reason, until })
    }

    /// Why the exception was made.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The first moment in which it is closed.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl KeyPolicy {
    /// Admits legacy user keys beside the policy's kinds, until the exception closes.
    #[must_use]
    pub fn allow_legacy_user_key(mut self, exception: AllowLegacyUserKey) -> Self {
        self.legacy = Some(exception);
        self
    }

    /// The exception for legacy user keys, if there is one.
    #[must_use]
    pub fn legacy_user_key_exception(&self) -> Option<&AllowLegacyUserKey> {
        self.legacy.as_ref()
    }
}
