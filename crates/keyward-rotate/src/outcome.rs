//! [`Outcome`]: what a rotation came to.

use std::fmt;

use keyward::Timestamp;

use crate::event::Straggler;
use crate::journal::Retirement;
use crate::machine::Goal;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind};

/// What a rotation came to. `Display` is one line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The slot.
    pub slot: String,
    /// The tag of the key that is in use now.
    pub tag: Tag,
    /// Its id, if the organization told it.
    pub key_id: Option<String>,
    /// When it expires, by the organization's clock.
    pub expires_at: Option<Timestamp>,
    /// The ids of old keys that are still used and were held until the next rotation was due: it goes
    /// on with them.
    pub handed_on: Vec<String>,
    /// The old keys that are dead now, and how.
    pub retired: Vec<(String, Retirement)>,
    /// The ids of old keys that were left as they are, because keyward did not make them; none for
    /// one of which it could not be told which of the listed it is.
    pub left_alone: Vec<Option<String>>,
    /// The old keys that somebody still used when they were deleted.
    pub stragglers: Vec<Straggler>,
    /// Whether an earlier process had begun it.
    pub was_resumed: bool,
    /// Whether the key has an account of its own, because single keys cannot be deleted.
    pub has_own_account: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key_id.as_deref().unwrap_or(self.tag.as_str());
        write!(f, "{}: {key} is in use", self.slot)?;
        if let Some(at) = self.expires_at {
            write!(f, ", expires {at}")?;
        }
        write!(f, "; {} retired", self.retired.len())?;
        if !self.handed_on.is_empty() {
            write!(f, ", {} handed on", self.handed_on.len())?;
        }
        if !self.left_alone.is_empty() {
            write!(f, ", {} left alone", self.left_alone.len())?;
        }
        if !self.stragglers.is_empty() {
            write!(f, ", {} still used", self.stragglers.len())?;
        }
        if self.has_own_account { f.write_str(", on an account of its own") } else { Ok(()) }
    }
}

/// What a call came to that began or ended a rotation.
pub(crate) fn ended(outcome: Option<Outcome>, goal: Goal) -> Result<Outcome, RotateError> {
    let outcome = outcome.ok_or_else(|| {
        RotateError::new(
            RotateErrorKind::GaveUp,
            "the rotation ended without an outcome",
            "look at the status, and rotate again",
        )
    })?;
    // Whoever reports a leak must not read that all is well.
    if let Some(left) = outcome.left_alone.first().filter(|_| goal == Goal::Now) {
        let which = left.as_deref().unwrap_or("the old one, of which the id could not be told,");
        return Err(RotateError::new(
            RotateErrorKind::LeftAlone,
            format!("a new key is in use, and {which} lives on: keyward did not make it"),
            "delete it by hand, or name its id in the slot's `retire` and do this again",
        ));
    }
    Ok(outcome)
}
