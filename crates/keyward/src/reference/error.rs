//! [`ReferenceError`]: why a reference leads nowhere, and how to mend it.

use std::borrow::Cow;
use std::fmt;

use super::Reference;

/// Why a reference leads nowhere.
///
/// `Display` is one line: why, then the fix. It never repeats the text, which may be a key that
/// was pasted in the reference's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReferenceError {
    kind: ReferenceErrorKind,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
}

impl ReferenceError {
    /// The error for a place that a scheme does not understand: what is wrong, and how to mend it.
    ///
    /// # Security
    ///
    /// Both texts are shown. Repeat nothing of the place in them.
    #[must_use]
    pub fn invalid(what: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReferenceErrorKind::Invalid, what, fix)
    }

    /// The error for a source that cannot be written.
    #[must_use]
    pub fn not_a_store(reference: &Reference) -> Self {
        Self::new(
            ReferenceErrorKind::NotAStore,
            format!("`{}:` can be loaded from and not stored to", reference.scheme()),
            "name a store, such as `sealed:PATH` or `file:PATH`",
        )
    }

    /// The error for a key that stands where a reference, or a part of one, belongs.
    #[must_use]
    pub fn holds_a_key() -> Self {
        Self::new(
            ReferenceErrorKind::HoldsAKey,
            "a key stands where a reference belongs",
            "put the key where the service can load it, and write down where that is; \
             if others can read this configuration, replace the key",
        )
    }

    /// The error for a scheme that is known and not there: its name, and what brings it.
    #[must_use]
    pub fn missing(scheme: &str, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReferenceErrorKind::Missing, format!("`{scheme}:` is not built in"), fix)
    }

    pub(super) fn malformed() -> Self {
        Self::new(
            ReferenceErrorKind::Malformed,
            "not a reference",
            "write a scheme, a colon and a place, such as `env:OPENAI_API_KEY`",
        )
    }

    pub(super) fn unknown(known: &str) -> Self {
        Self::new(
            ReferenceErrorKind::UnknownScheme,
            "no such scheme",
            format!("use one of {known}, or register your own"),
        )
    }

    fn new(
        kind: ReferenceErrorKind,
        what: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { kind, what: what.into(), fix: fix.into() }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ReferenceErrorKind {
        self.kind
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

impl std::error::Error for ReferenceError {}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

/// What kind of [`ReferenceError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReferenceErrorKind {
    /// A key stands where a reference belongs.
    HoldsAKey,
    /// The scheme does not understand the place.
    Invalid,
    /// There is no scheme in it, or no place.
    Malformed,
    /// The scheme is known, and the feature or the crate that brings it is not there.
    Missing,
    /// The source can be loaded from and not stored to.
    NotAStore,
    /// Nothing knows the scheme.
    UnknownScheme,
}
