//! What a handle tells the operator as it goes: events of `tracing` and, with the feature
//! `metrics`, counts. Of a key they have the fingerprint and the source.

use keyward_core::{KeyFingerprint, KeySource};

use super::keeper::Verdict;
use super::{Health, KeyUnavailable, LiveError};

/// What filters of logs go by, wherever the code moves.
const TARGET: &str = "keyward::live";

/// A load is done, of the handle over this loader.
pub(super) fn loaded(handle: &KeySource, health: &Health, verdict: &Result<Verdict, LiveError>) {
    match (verdict, &health.in_use) {
        (Ok(Verdict::Taken), Ok(key)) if key.is_fall_back => tracing::warn!(
            target: TARGET,
            fingerprint = %key.fingerprint,
            source = %key.source,
            kind = %key.kind,
            "a key of a later source is in use, because an earlier one has none"
        ),
        (Ok(Verdict::Taken), Ok(key)) => tracing::info!(
            target: TARGET,
            fingerprint = %key.fingerprint,
            source = %key.source,
            kind = %key.kind,
            expires_at = key.expires_at.map(tracing::field::display),
            "a key is in use"
        ),
        (Ok(_), Ok(key)) => tracing::debug!(
            target: TARGET,
            fingerprint = %key.fingerprint,
            source = %key.source,
            "the key is confirmed"
        ),
        (Err(error), Ok(key)) => tracing::warn!(
            target: TARGET,
            fingerprint = %key.fingerprint,
            %error,
            failures = health.failures,
            "no other key was taken, the one in use stays"
        ),
        (Err(error), Err(_)) => {
            let failures = health.failures;
            tracing::error!(target: TARGET, source = %handle, %error, failures, "no key is in use");
        }
        (Ok(_), Err(_)) => {}
    }
    #[cfg(feature = "metrics")]
    counts::loaded(handle, health, verdict);
}

/// The key went out of use.
pub(super) fn retired(handle: &KeySource, why: KeyUnavailable) {
    tracing::error!(target: TARGET, source = %handle, %why, "the key is out of use");
    #[cfg(feature = "metrics")]
    counts::retired(handle);
}

/// The handle and its task are over.
pub(super) fn ended(handle: &KeySource) {
    tracing::debug!(target: TARGET, source = %handle, "the key is kept no longer");
    #[cfg(feature = "metrics")]
    counts::ended(handle);
}

/// OpenAI has rejected a key.
pub(super) fn rejected(handle: &KeySource, fingerprint: &KeyFingerprint) {
    tracing::warn!(target: TARGET, source = %handle, %fingerprint, "OpenAI has rejected a key");
    #[cfg(feature = "metrics")]
    counts::rejected(handle, fingerprint);
}

/// The names are a contract: dashboards are built on them. `source` is that of the handle's loader,
/// which stays the same when its key does not.
#[cfg(feature = "metrics")]
mod counts {
    use keyward_core::{KeyFingerprint, KeySource};
    use metrics::{counter, gauge};

    use super::{Health, LiveError, Verdict};

    pub(super) fn loaded(
        handle: &KeySource,
        health: &Health,
        verdict: &Result<Verdict, LiveError>,
    ) {
        let outcome = match verdict {
            Ok(Verdict::Confirmed) => "confirmed",
            Ok(Verdict::Taken) => "taken",
            Err(error) => error.word(),
        };
        let labels = [("outcome", outcome.to_owned()), ("source", handle.to_string())];
        counter!("keyward_live_key_loads_total", &labels).increment(1);
        in_use(handle, health.in_use.is_ok());
        if let Ok(key) = &health.in_use {
            #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in an f64")]
            let at = key.expires_at.map_or(f64::INFINITY, |at| at.as_unix_seconds() as f64);
            expires_at(handle, at);
        }
    }

    pub(super) fn retired(handle: &KeySource) {
        in_use(handle, false);
    }

    pub(super) fn ended(handle: &KeySource) {
        in_use(handle, false);
        expires_at(handle, f64::INFINITY);
    }

    pub(super) fn rejected(handle: &KeySource, fingerprint: &KeyFingerprint) {
        let labels = [("fingerprint", fingerprint.to_string()), ("source", handle.to_string())];
        counter!("keyward_live_key_rejections_total", &labels).increment(1);
    }

    fn in_use(handle: &KeySource, is_it: bool) {
        let value = if is_it { 1.0 } else { 0.0 };
        gauge!("keyward_live_key_in_use", "source" => handle.to_string()).set(value);
    }

    /// Of the key in use, not of each that ever was: an alarm on one that is gone rings for ever.
    fn expires_at(handle: &KeySource, seconds: f64) {
        gauge!("keyward_live_key_expires_at_seconds", "source" => handle.to_string()).set(seconds);
    }
}
