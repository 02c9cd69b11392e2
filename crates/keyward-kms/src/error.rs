//! [`Error`]: why a cloud or a KMS did not do what it was asked, and how to mend it.

use std::borrow::Cow;
use std::fmt;

#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
use keyward::store::{StoreError, StoreErrorKind};
use keyward::{KeySource, LoadError, LoadErrorKind};

/// Why a cloud or a KMS did not do what it was asked.
///
/// `Display` is one line: what happened, and the fix. [`kind`](Self::kind) and the predicates are
/// for programs. A loader turns it into a [`LoadError`], which also tells where.
///
/// # Security
///
/// It holds nothing that a server said but codes that are known beforehand, and no error of
/// another library: those of the cloud SDKs print the body of an answer that they cannot read.
/// It has no [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
}

impl Error {
    /// An error of a [`Decrypt`](crate::Decrypt) or [`Encrypt`](crate::Encrypt) of your own: its
    /// kind, what happened, and how to mend it.
    ///
    /// Both texts are parts of one line, without a full stop.
    ///
    /// # Security
    ///
    /// Both texts are shown. Put nothing in them that an answer had in it.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        what: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), fix: fix.into() }))
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.0.fix
    }

    /// Whether the cloud's policy, or a login, refused it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated)
    }

    /// Whether there is nothing at the place, and never was as far as the cloud tells.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Throttled | ErrorKind::TimedOut | ErrorKind::Unreachable)
    }

    /// As the error of a loader that looked there.
    pub(crate) fn at(self, source: KeySource) -> LoadError {
        LoadError::new(self.kind().as_load_error(), source, self.0.what, self.0.fix)
    }

    /// As the error of a store there.
    #[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
    pub(crate) fn in_store(self, source: KeySource) -> StoreError {
        StoreError::new(self.kind().as_store_error(), source, self.0.what, self.0.fix)
    }

    /// As the error of opening what is sealed: that a KMS has no such key does not mean that
    /// there is nothing to open, and must not send a chain on to an older key.
    pub(crate) fn of_opening(mut self) -> Self {
        if self.is_not_found() {
            self.0.kind = ErrorKind::KeyUnusable;
        }
        self
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.0.what, self.0.fix)
    }
}

/// What kind of [`Error`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Somebody else changed it meanwhile.
    Conflict,
    /// The cloud's policy lets this identity not do it.
    Denied,
    /// What was asked cannot be done as it was asked, or a setting cannot be used.
    Invalid,
    /// The KMS key is disabled, about to be deleted, gone, or made for something else.
    KeyUnusable,
    /// There is nothing there.
    NotFound,
    /// Too many requests.
    Throttled,
    /// No answer within the deadline.
    TimedOut,
    /// Larger than any key.
    TooLarge,
    /// There is no login, or it is refused.
    Unauthenticated,
    /// The sealed text does not open with this key in this context.
    Undecryptable,
    /// An answer that is not understood.
    Unexpected,
    /// The service could not be reached, or is not at work.
    Unreachable,
    /// It was there, and was deleted or disabled. That is not "not found": a chain that went on
    /// could bring a key back that was taken out of use.
    Withdrawn,
}

impl ErrorKind {
    fn as_load_error(self) -> LoadErrorKind {
        match self {
            Self::Denied | Self::Unauthenticated => LoadErrorKind::Denied,
            Self::Invalid => LoadErrorKind::Invalid,
            Self::KeyUnusable | Self::Undecryptable => LoadErrorKind::Undecryptable,
            Self::NotFound => LoadErrorKind::NotFound,
            Self::Throttled => LoadErrorKind::Throttled,
            Self::TimedOut => LoadErrorKind::TimedOut,
            Self::TooLarge => LoadErrorKind::TooLarge,
            Self::Conflict | Self::Unexpected | Self::Withdrawn => LoadErrorKind::Unreadable,
            Self::Unreachable => LoadErrorKind::Unreachable,
        }
    }

    #[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
    fn as_store_error(self) -> StoreErrorKind {
        match self {
            Self::Conflict => StoreErrorKind::Conflict,
            Self::Denied | Self::KeyUnusable | Self::Unauthenticated | Self::Withdrawn => {
                StoreErrorKind::Refused
            }
            Self::Invalid => StoreErrorKind::Invalid,
            Self::NotFound => StoreErrorKind::NotFound,
            Self::TimedOut => StoreErrorKind::TimedOut,
            Self::TooLarge => StoreErrorKind::TooLarge,
            Self::Throttled => StoreErrorKind::Throttled,
            Self::Undecryptable => StoreErrorKind::Undecryptable,
            // Of an answer that was cut off it is not known what is at the place, nor whether a
            // write took place there.
            Self::Unexpected | Self::Unreachable => StoreErrorKind::Unreachable,
        }
    }
}
