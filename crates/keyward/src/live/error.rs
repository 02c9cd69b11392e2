//! [`LiveError`]: why a load changed nothing. [`KeyUnavailable`]: why there is no key.

use std::fmt;
use std::sync::Arc;

use keyward_core::{KeyFingerprint, KeySource, Refusal};

use crate::{LoadError, LoadErrorKind};

/// Why a [`LiveKey`](crate::LiveKey) did not start, or why a load left the key in use as it is.
///
/// `Display` is one line: what happened, and the fix. It holds nothing of a key but fingerprints.
#[derive(Clone, Debug)]
pub struct LiveError(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    FallBack { source: KeySource, used: KeySource },
    Load(LoadError),
    NoRuntime,
    Refused { source: KeySource, fingerprint: KeyFingerprint, refusal: Refusal },
    Rejected { source: KeySource, fingerprint: KeyFingerprint },
    Unsettled { source: KeySource },
}

impl LiveError {
    pub(super) fn fall_back(source: KeySource, used: KeySource) -> Self {
        Self(Arc::new(Inner::FallBack { source, used }))
    }

    pub(super) fn load(error: LoadError) -> Self {
        Self(Arc::new(Inner::Load(error)))
    }

    pub(super) fn no_runtime() -> Self {
        Self(Arc::new(Inner::NoRuntime))
    }

    pub(super) fn refused(source: KeySource, key: KeyFingerprint, refusal: Refusal) -> Self {
        Self(Arc::new(Inner::Refused { source, fingerprint: key, refusal }))
    }

    pub(super) fn rejected(source: KeySource, fingerprint: KeyFingerprint) -> Self {
        Self(Arc::new(Inner::Rejected { source, fingerprint }))
    }

    pub(super) fn unsettled(source: KeySource) -> Self {
        Self(Arc::new(Inner::Unsettled { source }))
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> LiveErrorKind {
        match &*self.0 {
            Inner::FallBack { .. } => LiveErrorKind::FallBack,
            Inner::Load(error) => LiveErrorKind::Load(error.kind()),
            Inner::NoRuntime => LiveErrorKind::NoRuntime,
            Inner::Refused { .. } => LiveErrorKind::Refused,
            Inner::Rejected { .. } => LiveErrorKind::Rejected,
            Inner::Unsettled { .. } => LiveErrorKind::Unsettled,
        }
    }

    /// The loader's error, if it was that.
    #[must_use]
    pub fn load_error(&self) -> Option<&LoadError> {
        match &*self.0 {
            Inner::Load(error) => Some(error),
            _ => None,
        }
    }

    /// The policy's refusal, if it was that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &*self.0 {
            Inner::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// One word, for metrics.
    #[cfg(feature = "metrics")]
    pub(super) fn word(&self) -> &'static str {
        match self.kind() {
            LiveErrorKind::FallBack => "fall_back",
            LiveErrorKind::Load(_) => "failed",
            LiveErrorKind::NoRuntime => "no_runtime",
            LiveErrorKind::Refused => "refused",
            LiveErrorKind::Rejected => "rejected",
            LiveErrorKind::Unsettled => "unsettled",
        }
    }
}

impl std::error::Error for LiveError {}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::FallBack { source, used } => write!(
                f,
                "{source} has another key than {used}, which comes first and has none now: it may \
                 be an old one and is not taken; mend {used}, restart the service, or say \
                 `allow_fall_back`"
            ),
            Inner::Load(error) => write!(f, "{error}"),
            Inner::NoRuntime => f.write_str(
                "there is no tokio runtime to keep the key in; start within one, with its timer on",
            ),
            Inner::Refused { source, fingerprint, refusal } => {
                write!(f, "{source}: the key {fingerprint} is refused: {refusal}")
            }
            Inner::Rejected { source, fingerprint } => write!(
                f,
                "{source}: the key {fingerprint} was rejected by OpenAI and is not taken again; \
                 store a new one"
            ),
            Inner::Unsettled { source } => write!(
                f,
                "{source}: it changed while it was read; write keys to a new file and rename it"
            ),
        }
    }
}

/// What kind of [`LiveError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LiveErrorKind {
    /// A later source of the chain has another key, and the earlier one that is in use has none.
    FallBack,
    /// The loader has no key.
    Load(LoadErrorKind),
    /// It was started outside of a tokio runtime.
    NoRuntime,
    /// The policy refuses the key.
    Refused,
    /// The key is one that OpenAI has rejected before.
    Rejected,
    /// The source changed while it was read.
    Unsettled,
}

/// Why a [`LiveKey`](crate::LiveKey) that had a key hands none out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyUnavailable {
    /// The runtime that kept the key fresh has ended.
    Ended,
    /// The policy's exception for legacy user keys has closed.
    ExceptionClosed,
    /// The key has expired, or is just about to.
    Expired,
    /// No load has confirmed the key for too long.
    Stale,
}

impl std::error::Error for KeyUnavailable {}

impl fmt::Display for KeyUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => {
                "no key is in use: the runtime that kept it fresh has ended; keep the handle in \
                 the runtime that it was started in"
            }
            Self::ExceptionClosed => {
                "no key is in use: the exception for legacy user keys has closed; store a service \
                 account key"
            }
            Self::Expired => {
                "no key is in use: the last one has expired and the source has no newer one; store \
                 a new key"
            }
            Self::Stale => {
                "no key is in use: the source has not confirmed the last one for too long; see the \
                 last error in the health of the handle"
            }
        })
    }
}
