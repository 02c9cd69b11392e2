//! [`LoadError`]: why no key was loaded, from where, and how to mend it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use keyward_core::{KeySource, ParseError};

use super::Attempt;

/// Why a loader has no key.
///
/// `Display` is one line: where, what happened, and the fix; a chain's tells every loader that it
/// tried. [`kind`](Self::kind) and the predicates are for programs.
///
/// # Security
///
/// It holds nothing of what was read, and no error of another library, whose text could: it has
/// no [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct LoadError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: LoadErrorKind,
    source: KeySource,
    what: Cow<'static, str>,
    fix: Cow<'static, str>,
    parse_error: Option<ParseError>,
    attempts: Vec<Attempt>,
    /// Whether a chain came to its end, so that no attempt alone is the one that failed.
    is_of_all: bool,
}

impl LoadError {
    /// An error of a loader: its kind, where it looked, what happened, and how to mend it.
    ///
    /// Both texts are parts of one line, without a full stop: `no such file`, `create it`.
    ///
    /// # Security
    ///
    /// Both texts are shown. Put nothing in them that was read from the source, and no other
    /// library's error, unless [scrubbed](keyward_core::find::scrub).
    #[must_use]
    pub fn new(
        kind: LoadErrorKind,
        source: KeySource,
        what: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            source,
            what: what.into(),
            fix: fix.into(),
            parse_error: None,
            attempts: Vec::new(),
            is_of_all: false,
        }))
    }

    /// The error for a text that was read and cannot be a key: [`LoadErrorKind::Invalid`].
    #[must_use]
    pub fn invalid(source: KeySource, error: ParseError) -> Self {
        let text = error.to_string();
        let what = text
            .strip_suffix(error.fix())
            .and_then(|text| text.strip_suffix("; "))
            .unwrap_or(&text)
            .to_owned();
        let mut invalid = Self::new(LoadErrorKind::Invalid, source, what, error.fix());
        invalid.0.parse_error = Some(error);
        invalid
    }

    /// The error of a chain of which no loader has a key.
    pub(super) fn all_not_found(source: KeySource, attempts: Vec<Attempt>) -> Self {
        let kind = LoadErrorKind::AllNotFound;
        let mut error = Self::new(kind, source, "no source has a key", "set one of them");
        error.0.attempts = attempts;
        error.0.is_of_all = true;
        error
    }

    /// The error of a chain that came to its end past sources whose failure it tolerates. It has the
    /// kind of the first of these: nobody knows whether there is a key, so it is not "not found".
    pub(super) fn of_tolerated(self, source: KeySource, attempts: Vec<Attempt>) -> Self {
        let fix = format!("{}, or set another of them", self.fix());
        let mut error = Self::new(self.kind(), source, "no source has a key", fix);
        error.0.parse_error = self.0.parse_error;
        error.0.attempts = attempts;
        error.0.is_of_all = true;
        error
    }

    /// The error for a source that did not answer in time: [`LoadErrorKind::TimedOut`].
    pub(crate) fn timed_out(source: KeySource, limit: Duration) -> Self {
        let what = format!("no answer within {limit:?}");
        let fix = "check that it can be reached, or give it more time";
        Self::new(LoadErrorKind::TimedOut, source, what, fix)
    }

    /// This error as the one that stopped a chain; it is the last of the attempts.
    pub(super) fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> LoadErrorKind {
        self.0.kind
    }

    /// Where the loader looked. Of a chain that stopped, where it stopped.
    #[must_use]
    pub fn key_source(&self) -> &KeySource {
        &self.0.source
    }

    /// What a chain tried, in its order, the failure included; empty for a loader alone.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Why the text that was read cannot be a key, if that was the failure.
    #[must_use]
    pub fn parse_error(&self) -> Option<ParseError> {
        self.0.parse_error
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.0.fix
    }

    /// Whether there is no key there, and that is all: nothing is set, nothing exists, or this
    /// is so of every loader of a chain. Only after such an error does a chain go on.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.kind(),
            LoadErrorKind::AllNotFound | LoadErrorKind::NotConfigured | LoadErrorKind::NotFound
        )
    }

    /// Whether the key lies where others could read or replace it.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.kind() == LoadErrorKind::Insecure
    }

    /// Whether something was read that cannot be a key.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.kind() == LoadErrorKind::Invalid
    }

    pub(super) fn what(&self) -> &Cow<'static, str> {
        &self.0.what
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let Some((stopped, before)) = inner.attempts.split_last() else {
            return write!(f, "{}: {}; {}", inner.source, inner.what, inner.fix);
        };
        if inner.is_of_all {
            write!(f, "{}: ", inner.what)?;
            for attempt in &inner.attempts {
                write!(f, "{attempt}; ")?;
            }
            return f.write_str(&inner.fix);
        }
        write!(f, "{stopped}; {}", inner.fix)?;
        for (n, attempt) in before.iter().enumerate() {
            f.write_str(if n == 0 { "; tried before: " } else { "; " })?;
            write!(f, "{attempt}")?;
        }
        Ok(())
    }
}

/// What kind of [`LoadError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// No loader of a chain has a key.
    AllNotFound,
    /// Two settings contradict each other.
    Conflict,
    /// The source lets the process not read it: a cloud's policy, a refused or missing login.
    Denied,
    /// The key lies where others could read or replace it.
    Insecure,
    /// What was read cannot be a key: see [`LoadError::parse_error`]. Or a setting cannot be used.
    Invalid,
    /// It is there, or may be, behind a lock that a person has to open.
    Locked,
    /// What is there is no regular file: a directory, a pipe, a socket, a device.
    NotAFile,
    /// Nothing says where the key would be: a variable is not set, or is set and empty.
    NotConfigured,
    /// There is nothing where the key would be.
    NotFound,
    /// The source answers too many requests; it may answer a later one.
    Throttled,
    /// The source did not answer in time.
    TimedOut,
    /// What is there is larger than any key.
    TooLarge,
    /// It is there, sealed, and could not be opened: by another key or in another context than
    /// it was sealed, or the key that opens it is disabled.
    Undecryptable,
    /// The source could not be reached, or is not at work.
    Unreachable,
    /// It is there and could not be read.
    Unreadable,
}
