//! [`Health`]: what an operator asks of a handle.

use std::time::Duration;

use keyward_core::{KeyFingerprint, KeyKind, KeySource, Protection, Timestamp};

use super::{KeyUnavailable, LiveError};
use crate::Attempt;

/// How a [`LiveKey`](crate::LiveKey) is, at one moment. No part of it can hold a key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// What is in use, or why nothing is.
    pub in_use: Result<KeyInUse, KeyUnavailable>,
    /// Why the last load changed nothing, and when. None once a load has succeeded.
    pub last_error: Option<(Timestamp, LiveError)>,
    /// What the chain tried at the last load, sources that it
    /// [tells of](crate::LoaderChain::report_shadowed) included; empty for a loader alone.
    pub attempts: Vec<Attempt>,
    /// How many loads there were, the first included.
    pub loads: u64,
    /// How many loads have failed since the last that did not.
    pub failures: u32,
}

impl Health {
    /// Whether a key is in use: what a readiness endpoint asks. One that was
    /// [rejected](KeyInUse::is_rejected) counts, because one 401 may be a mistake, and a service
    /// that is taken out of rotation for it helps nobody.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.in_use.is_ok()
    }
}

/// The key in use, as far as it may be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyInUse {
    /// Where it came from.
    pub source: KeySource,
    /// What it is.
    pub kind: KeyKind,
    /// Which it is.
    pub fingerprint: KeyFingerprint,
    /// What keeps its memory from others.
    pub protection: Protection,
    /// Its version at the source, if that counts versions.
    pub version: Option<String>,
    /// When it expires, if that is known.
    pub expires_at: Option<Timestamp>,
    /// How long it has been in use.
    pub age: Duration,
    /// How long ago a load confirmed it last.
    pub confirmed: Duration,
    /// Whether it has been rejected, and nothing newer is there.
    pub is_rejected: bool,
    /// Whether it came from a later source than the key before it, which the application allows.
    pub is_fall_back: bool,
}
