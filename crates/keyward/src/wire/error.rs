//! [`WireError`]: why a key or a configuration is not had.

use std::fmt;

use keyward_core::Refusal;

/// Why an [`Injector`](super::Injector) could not be made, made no configuration, took no key, or
/// has none to give.
///
/// `Display` is one line: what happened, and the fix. It holds nothing of a key.
#[derive(Clone, Debug)]
pub struct WireError {
    kind: WireErrorKind,
    refusal: Option<Refusal>,
}

impl WireError {
    pub(super) fn new(kind: WireErrorKind) -> Self {
        Self { kind, refusal: None }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> WireErrorKind {
        self.kind
    }

    /// The policy's refusal, if it was that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Whether the policy refused the key.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == WireErrorKind::Refused
    }
}

impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        Self { kind: WireErrorKind::Refused, refusal: Some(refusal) }
    }
}

impl std::error::Error for WireError {}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refusal) = &self.refusal {
            return write!(f, "{refusal}");
        }
        f.write_str(match self.kind {
            WireErrorKind::NoPlaceholder => {
                "no placeholder can stand for this key: it has fewer than 20 characters, or unusual \
                 ones; use `authorize`, which puts the key itself on the request"
            }
            WireErrorKind::NoRandom => {
                "the cryptography of rustls yields no random numbers; see that it is set up"
            }
            WireErrorKind::NoRoots => {
                "there is no root certificate to verify a server by; load the roots of the system \
                 or of webpki"
            }
            WireErrorKind::NoTls13 => {
                "the cryptography given to rustls cannot speak TLS 1.3; hand in the default \
                 one of aws-lc-rs or of ring"
            }
            WireErrorKind::NotHeld => {
                "the text stands for a new key that this injector does not hold: it was forgotten, or \
                 another injector caught it; redeem it there, or revoke the key and make another"
            }
            WireErrorKind::Refused => "the policy refuses the key; see the refusal",
        })
    }
}

/// What kind of [`WireError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WireErrorKind {
    /// No placeholder can stand for the key.
    NoPlaceholder,
    /// There are no random numbers.
    NoRandom,
    /// There is no root certificate.
    NoRoots,
    /// The cryptography has no cipher suite or no key exchange for TLS 1.3.
    NoTls13,
    /// What stands for a new key is of another injector, or the key was forgotten.
    NotHeld,
    /// The policy refuses the key.
    Refused,
}
