//! Exceptions that a security team should read twice.

use std::time::Duration;

use super::Slot;
use crate::{RotateError, RotateErrorKind};

/// Lets an old key be deleted after less than a minute of silence, for a reason.
///
/// Whoever uses a key seldom looks silent then, and loses it. This exists for tests against an
/// organization that is a fake, and where it is known otherwise that nobody uses the old key.
///
/// ```
/// use std::time::Duration;
///
/// use keyward_rotate::danger::ShortSilence;
///
/// let silence = ShortSilence::new(Duration::from_secs(1), "the organization is a fake")?;
/// assert_eq!(silence.reason(), "the organization is a fake");
/// # Ok::<(), keyward_rotate::RotateError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShortSilence {
    silence: Duration,
    reason: String,
}

impl ShortSilence {
    /// An exception for a reason.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] for a reason that is empty.
    pub fn new(silence: Duration, reason: impl Into<String>) -> Result<Self, RotateError> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(RotateError::new(
                RotateErrorKind::Configuration,
                "a silence of less than a minute has no reason",
                "say why nobody loses a key by it",
            ));
        }
        Ok(Self { silence, reason })
    }

    /// For how long the old key must not have been used.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Why the exception was made.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Slot {
    /// As [`with_silence`](Self::with_silence), and less than a minute is no error.
    #[must_use]
    pub fn with_short_silence(mut self, exception: ShortSilence) -> Self {
        self.silence = exception.silence;
        self.short_silence = Some(exception);
        self
    }

    /// The exception for a silence of less than a minute, if there is one.
    #[must_use]
    pub fn short_silence_exception(&self) -> Option<&ShortSilence> {
        self.short_silence.as_ref()
    }
}
