//! [`Plan`]: what a rotation would do, and what is in its way. Nothing is changed to tell it.

use std::fmt;
use std::time::Duration;

use keyward::Timestamp;
use keyward_admin::Scopes;

use crate::journal::OldKey;
use crate::{RotateError, Stragglers};

/// What a rotation of a slot would do, and why. `Display` is a line for each step and each obstacle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The slot.
    pub slot: String,
    /// What would be done, in this order.
    pub steps: Vec<PlannedStep>,
    /// What is in the way, as the errors that the rotation would end with. The organization's
    /// own policies, such as a maximum lifetime of keys, cannot be asked for: they show when a key
    /// is made, and the rotation then ends with their words and nothing changed.
    pub obstacles: Vec<RotateError>,
    /// When the next rotation is due; none when there is no key in use, so that it is due now.
    pub due_at: Option<Timestamp>,
}

impl Plan {
    /// Whether nothing is in the way, as far as can be told beforehand.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// A step of a [`Plan`]. `Display` is one line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PlannedStep {
    /// What an attempt left behind that was given up is deleted.
    CleanUp {
        /// How many keys there are of it.
        keys: usize,
    },
    /// An old key is left as it is, because keyward did not make it.
    LeaveAlone {
        /// Its id, if it could be told.
        key: Option<String>,
    },
    /// A key is made.
    Mint {
        /// Whose it will be: the slot's account, or none for an account of its own.
        account: Option<String>,
        /// What it may do.
        scopes: Scopes,
        /// How long it lives.
        ttl: Duration,
    },
    /// It becomes the store's current key.
    Promote,
    /// A rotation that was begun is gone on with.
    Resume {
        /// Its name.
        rotation: String,
        /// How far it has come, as its journal says.
        step: &'static str,
    },
    /// An old key expires by itself after the grace, and is deleted before that when it is silent.
    Retire {
        /// Which.
        key: OldKey,
        /// How long it lives at the most.
        grace: Duration,
        /// For how long it must not have been used.
        silence: Duration,
        /// What happens when it is used still.
        stragglers: Stragglers,
    },
    /// The new key is staged in the store, and used once to prove it.
    Verify {
        /// What is asked of the API.
        path: String,
    },
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.slot)?;
        match self.due_at {
            Some(at) => writeln!(f, "the next rotation is due at {at}")?,
            None => writeln!(f, "a rotation is due now")?,
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        self.obstacles.iter().try_for_each(|obstacle| writeln!(f, "  in the way: {obstacle}"))
    }
}

impl fmt::Display for PlannedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CleanUp { keys } => {
                write!(f, "delete {keys} keys that attempts left behind which were given up")
            }
            Self::LeaveAlone { key: Some(key) } => write!(
                f,
                "leave {key} alone: keyward did not make it; to have it retired, name its id in \
                 the slot's `retire`"
            ),
            Self::LeaveAlone { key: None } => f.write_str(
                "leave the key in use alone: it cannot be told which of the listed it is; to have \
                 it retired, name its id in the slot's `retire`",
            ),
            Self::Mint { account: Some(account), scopes, ttl } => {
                write!(f, "make a key of {account}: {scopes}, for {}", Span(*ttl))
            }
            Self::Mint { account: None, scopes, ttl } => write!(
                f,
                "make a key of an account of its own, because single keys cannot be deleted: \
                 {scopes}, for {}",
                Span(*ttl)
            ),
            Self::Promote => f.write_str("make it the store's current key"),
            Self::Resume { rotation, step } => {
                write!(f, "go on with {rotation}, which has come to `{step}`")
            }
            Self::Retire { key, grace, silence, stragglers } => {
                write!(f, "let {} expire within {}, ", key.key, Span(*grace))?;
                write!(f, "and delete it after {} of silence; ", Span(*silence))?;
                f.write_str(match stragglers {
                    Stragglers::Hold => "while it is used, hold",
                    Stragglers::Warn => "if it is used still, warn and delete it",
                    Stragglers::GoOn => "if it is used still, delete it",
                })
            }
            Self::Verify { path } => write!(f, "stage it in the store, and ask {path} with it"),
        }
    }
}

/// A duration as slot files have it: `30d`, `1h 30m`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        let mut is_first = true;
        for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            let many = left / seconds;
            left %= seconds;
            if many > 0 || (is_first && seconds == 1) {
                f.write_str(if is_first { "" } else { " " })?;
                write!(f, "{many}{unit}")?;
                is_first = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_they_are_written() {
        for (seconds, text) in [(2_592_000, "30d"), (5400, "1h 30m"), (600, "10m"), (0, "0s")] {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
