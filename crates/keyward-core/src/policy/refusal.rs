//! [`Refusal`]: which rule refuses a key, why, and how to mend it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::{KeyKind, KeySource, Timestamp};

/// Why a policy refuses a key.
///
/// `Display` is one line: why, then the fix. [`rule`](Self::rule) is a stable word for logs and
/// metrics. No refusal holds any part of the key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The key has expired.
    #[non_exhaustive]
    Expired {
        /// When it did.
        at: Timestamp,
    },
    /// The key has no expiry, or none that is known.
    #[non_exhaustive]
    ExpiryMissing {
        /// The policy that requires one.
        policy: String,
    },
    /// The key expires later than the policy lets a key live.
    #[non_exhaustive]
    ExpiryTooFar {
        /// When it expires.
        at: Timestamp,
        /// How long it may live on.
        max: Duration,
    },
    /// The host is not one that the policy lets keys be sent to.
    #[non_exhaustive]
    Host {
        /// The host.
        host: String,
        /// The policy.
        policy: String,
    },
    /// The connection would not be encrypted.
    #[non_exhaustive]
    InsecureTransport {
        /// The host.
        host: String,
    },
    /// The kind of key is not admitted.
    #[non_exhaustive]
    Kind {
        /// What the key is.
        kind: KeyKind,
        /// A kind that is admitted.
        wanted: KeyKind,
        /// The policy.
        policy: String,
    },
    /// The exception for legacy user keys has closed on its date.
    #[non_exhaustive]
    LegacyWindowClosed {
        /// The first moment in which it was closed.
        until: Timestamp,
    },
    /// The key does not come from a place that the policy allows.
    #[non_exhaustive]
    Source {
        /// Where it came from, if that was told.
        source: Option<KeySource>,
        /// Where it may come from.
        allowed: String,
    },
    /// The key expires too soon to be taken into use.
    #[non_exhaustive]
    TooLittleLife {
        /// When it expires.
        at: Timestamp,
        /// How long it must live on.
        min: Duration,
    },
    /// The policy admits the key, and not for this: an admin key for model requests, or another for
    /// the Admin API.
    #[non_exhaustive]
    WrongUse {
        /// What the key is.
        kind: KeyKind,
    },
}

impl Refusal {
    /// The rule that refuses, as one word in `snake_case`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::ExpiryMissing { .. } => "expiry_missing",
            Self::ExpiryTooFar { .. } => "expiry_too_far",
            Self::Host { .. } => "host",
            Self::InsecureTransport { .. } => "insecure_transport",
            Self::Kind { .. } => "kind",
            Self::LegacyWindowClosed { .. } => "legacy_window_closed",
            Self::Source { .. } => "source",
            Self::TooLittleLife { .. } => "too_little_life",
            Self::WrongUse { .. } => "wrong_use",
        }
    }

    /// Why the rule refuses this key.
    #[must_use]
    pub fn why(&self) -> Cow<'static, str> {
        match self {
            Self::Expired { at } => format!("the key expired at {at}").into(),
            Self::ExpiryMissing { policy } => {
                format!("policy `{policy}` requires an expiry and this key has none that is known")
                    .into()
            }
            Self::ExpiryTooFar { at, max } => {
                format!("the key lives until {at}, longer than the {} allowed", Span(*max)).into()
            }
            Self::Host { host, policy } => {
                format!("policy `{policy}` does not let keys be sent to {host}").into()
            }
            Self::InsecureTransport { host } => {
                format!("the connection to {host} would not be encrypted").into()
            }
            Self::Kind { kind, policy, .. } => {
                format!("policy `{policy}` does not admit {}", what_it_is(*kind)).into()
            }
            Self::LegacyWindowClosed { until } => {
                format!("the exception for legacy user keys closed at {until}").into()
            }
            Self::Source { source: Some(source), allowed } => {
                format!("the key comes from {source}, and may come from {allowed} alone").into()
            }
            Self::Source { source: None, allowed } => format!(
                "it is not known where the key comes from; it may come from {allowed} alone"
            )
            .into(),
            Self::TooLittleLife { at, min } => {
                format!("the key expires at {at}, in less than the {} required", Span(*min)).into()
            }
            Self::WrongUse { kind: KeyKind::Admin } => {
                "an admin key manages the whole organization and cannot authorize model requests"
                    .into()
            }
            Self::WrongUse { kind } => {
                format!("the Admin API takes admin keys alone, and this is {}", what_it_is(*kind))
                    .into()
            }
        }
    }

    /// How to mend it: which key to make instead, and where.
    #[must_use]
    pub fn fix(&self) -> Cow<'static, str> {
        match self {
            Self::Expired { .. } => "mint a new key and store it in place of this one".into(),
            Self::ExpiryMissing { .. } => {
                "mint a key with `expires_in_seconds`, and say when it expires where it is loaded"
                    .into()
            }
            Self::ExpiryTooFar { .. } => "mint a key with a shorter `expires_in_seconds`".into(),
            Self::Host { .. } => {
                "add the host to the policy's `hosts` if it is yours to trust".into()
            }
            Self::InsecureTransport { .. } => {
                "use https; http is for this machine alone, named by its address (127.0.0.1)".into()
            }
            Self::Kind { kind, wanted, .. } => what_to_do(*kind, *wanted),
            Self::LegacyWindowClosed { .. } => {
                "move to a service account key in a project; extending the date is a decision of \
                 whoever owns the policy"
                    .into()
            }
            Self::Source { .. } => "move the key to an allowed source".into(),
            Self::TooLittleLife { .. } => "rotate the key now".into(),
            Self::WrongUse { kind: KeyKind::Admin } => format!(
                "give the service a key of its own: {}",
                how_to_make(KeyKind::ServiceAccount)
            )
            .into(),
            Self::WrongUse { .. } => how_to_make(KeyKind::Admin).into(),
        }
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why(), self.fix())
    }
}

fn what_it_is(kind: KeyKind) -> Cow<'static, str> {
    match kind {
        KeyKind::AccessToken => "an access token".into(),
        KeyKind::Admin => "an admin key: it manages the whole organization, and a service that \
             answers model requests must not hold it"
            .into(),
        KeyKind::EphemeralClient => "an ephemeral client secret: it is made for one browser or \
             phone session and dies within two hours"
            .into(),
        KeyKind::LegacyUser => "a legacy user key: it acts as a person across everything that \
             person may do, without a project, scopes or a budget"
            .into(),
        KeyKind::OtherVendor(vendor) => format!("a key of {vendor}").into(),
        KeyKind::Project => {
            "a project key: it belongs to a person and goes when that person leaves".into()
        }
        KeyKind::ServiceAccount => "a service account key: it is a machine's".into(),
        KeyKind::Session => {
            "a session token: it is somebody's login to the dashboard, and was never a key".into()
        }
        KeyKind::Unknown => "a key of unknown kind: it may be a user key of before 2023, a \
             gateway's or another vendor's key, or of a format newer than this version of keyward"
            .into(),
    }
}

/// What to do about a key that is not admitted, where another kind is.
fn what_to_do(kind: KeyKind, wanted: KeyKind) -> Cow<'static, str> {
    let make = how_to_make(wanted);
    match kind {
        KeyKind::EphemeralClient => {
            format!("a server makes such secrets, and needs a key of its own for it: {make}").into()
        }
        KeyKind::LegacyUser => format!("{make}, then revoke this one").into(),
        KeyKind::OtherVendor(_) => {
            "store the OpenAI key here; if this one was stored here by mistake, others may have \
             read it: rotate it at its vendor"
                .into()
        }
        KeyKind::Session => format!("log that session out, then {make}").into(),
        KeyKind::Unknown => format!("{make}; or update keyward if the key is new").into(),
        _ => make.into(),
    }
}

/// Where a key of a kind is made, in the dashboard as of 2026-11.
fn how_to_make(wanted: KeyKind) -> &'static str {
    match wanted {
        KeyKind::AccessToken => "use a workload identity, and no key at all",
        KeyKind::Admin => {
            "make an admin key: Organization settings > Admin keys \
             (platform.openai.com/settings/organization/admin-keys), as an owner"
        }
        KeyKind::Project => {
            "make a project key: Project > API keys > Create new secret key > You \
             (platform.openai.com/api-keys)"
        }
        KeyKind::ServiceAccount => {
            "make a service account key: Project > API keys > Create new secret key > Service \
             account (platform.openai.com/api-keys)"
        }
        _ => "load a key of a kind that the policy admits",
    }
}

/// A duration in the largest unit that tells it whole.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
            if seconds >= size && seconds.is_multiple_of(size) {
                return write!(f, "{}{unit}", seconds / size);
            }
        }
        write!(f, "{seconds}s")
    }
}
