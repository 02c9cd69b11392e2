//! What a handle tells the operator as it goes: events of `tracing` and, with the feature
//! `metrics`, counts. Of a key they have the fingerprint and the source.

use keyward_core::KeyFingerprint;

use super::keeper::Verdict;
use super::{Health, KeyUnavailable, LiveError};

/// What filters of logs go by, wherever the code moves.
const TARGET: &str = "keyward::live";

/// A load is done.
pub(super) fn loaded(health: &Health, verdict: &Result<Verdict, LiveError>) {
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
            tracing::error!(target: TARGET, %error, failures, "no key is in use");
        }
        (Ok(_), Err(_)) => {}
    }
    #[cfg(feature = "metrics")]
    counts::loaded(health, verdict);
}

/// The key went out of use.
pub(super) fn retired(why: KeyUnavailable) {
    tracing::error!(target: TARGET, %why, "the key is out of use");
    #[cfg(feature = "metrics")]
    counts::retired();
}

/// OpenAI has rejected a key.
pub(super) fn rejected(fingerprint: &KeyFingerprint) {
    tracing::warn!(target: TARGET, %fingerprint, "OpenAI has rejected a key");
    #[cfg(feature = "metrics")]
    counts::rejected(fingerprint);
}

/// The names are a contract: dashboards are built on them.
#[cfg(feature = "metrics")]
mod counts {
    use keyward_core::KeyFingerprint;
    use metrics::{counter, gauge};

    use super::{Health, LiveError, Verdict};

    pub(super) fn loaded(health: &Health, verdict: &Result<Verdict, LiveError>) {
        let outcome = match verdict {
            Ok(Verdict::Confirmed) => "confirmed",
            Ok(Verdict::Taken) => "taken",
            Err(error) => error.word(),
        };
        counter!("keyward_live_key_loads_total", "outcome" => outcome).increment(1);
        gauge!("keyward_live_key_in_use").set(if health.in_use.is_ok() { 1.0 } else { 0.0 });
        if let Ok(key) = &health.in_use
            && let Some(at) = key.expires_at
        {
            let labels =
                [("fingerprint", key.fingerprint.to_string()), ("source", key.source.to_string())];
            #[allow(
                clippy::cast_precision_loss,
                reason = "seconds since 1970 are exact in an f64"
            )]
            gauge!("keyward_live_key_expires_at_seconds", &labels).set(at.as_unix_seconds() as f64);
        }
    }

    pub(super) fn retired() {
        gauge!("keyward_live_key_in_use").set(0.0);
    }

    pub(super) fn rejected(fingerprint: &KeyFingerprint) {
        let labels = [("fingerprint", fingerprint.to_string())];
        counter!("keyward_live_key_rejections_total", &labels).increment(1);
    }
}
