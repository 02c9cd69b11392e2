//! [`ClientSecretError`]: why there is no client secret.

use std::fmt;
use std::time::Duration;

use keyward_core::Refusal;

use crate::KeyUnavailable;
use crate::authorize::{AuthorizeError, Denied, DeniedReason};
use crate::http_call::Problem;

/// Why no client secret was minted.
///
/// `Display` is one line: what happened, then the fix. It holds nothing of a key or a secret, and of
/// what OpenAI said only words that look like neither.
#[derive(Clone, Debug)]
pub struct ClientSecretError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ClientSecretErrorKind,
    text: String,
    reason: Reason,
    retry_after: Option<Duration>,
}

/// What there is beside the text.
#[derive(Clone, Debug)]
enum Reason {
    /// OpenAI's, and whether it was understood.
    Denied(Denied, bool),
    Refused(Refusal),
    Told,
}

/// What kind of [`ClientSecretError`] it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ClientSecretErrorKind {
    /// OpenAI refuses it for the key's or the account's sake: see
    /// [`denied`](ClientSecretError::denied).
    Denied,
    /// The answer is none that there should be.
    Invalid,
    /// Client secrets do not live that long, or that short.
    Life,
    /// The key was not sent: the policy refuses its kind or the host, or the base URL is none.
    Refused,
    /// OpenAI does not accept the request, such as a session that it does not know (4xx).
    Rejected,
    /// The session is no object of JSON, or has a key in it.
    Session,
    /// OpenAI answers too many requests (429).
    Throttled,
    /// The time was over.
    TimedOut,
    /// There is no key to mint with.
    Unavailable,
    /// OpenAI cannot be reached, or is at fault (5xx).
    Unreachable,
}

impl ClientSecretError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ClientSecretErrorKind {
        self.0.kind
    }

    /// OpenAI's reason, where it is the key's or the account's affair.
    #[must_use]
    pub fn denied(&self) -> Option<&Denied> {
        match &self.0.reason {
            Reason::Denied(denied, _) => Some(denied),
            _ => None,
        }
    }

    /// The policy's refusal, if it was that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.0.reason {
            Reason::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether it is worth trying later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ClientSecretErrorKind::{Throttled, TimedOut, Unreachable};

        matches!(self.0.kind, Throttled | TimedOut | Unreachable)
    }

    /// How long OpenAI asked to wait, if it did, in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    fn new(kind: ClientSecretErrorKind, what: impl fmt::Display, fix: &str) -> Self {
        Self::because(kind, format_args!("{what}; {fix}"), Reason::Told)
    }

    fn because(kind: ClientSecretErrorKind, text: impl fmt::Display, reason: Reason) -> Self {
        let text = format!("no client secret: {text}");
        Self(Box::new(Inner { kind, text, reason, retry_after: None }))
    }

    pub(super) fn after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(super) fn address(what: &str) -> Self {
        Self::new(ClientSecretErrorKind::Refused, what, "write it as https://HOST/v1")
    }

    pub(super) fn session(what: &str) -> Self {
        let what = format!("the session {what}");
        let fix = r#"give one such as {"type": "realtime", "model": "…"}"#;
        Self::new(ClientSecretErrorKind::Session, what, fix)
    }

    pub(super) fn life() -> Self {
        let what = "one lives from 10 seconds to 2 hours";
        Self::new(ClientSecretErrorKind::Life, what, "let it last as long as that")
    }

    pub(super) fn invalid(what: &str) -> Self {
        let what = format!("the answer {what}");
        let fix = "check what answers at the base URL";
        Self::new(ClientSecretErrorKind::Invalid, what, fix)
    }

    pub(super) fn redirected(status: u16) -> Self {
        let what = format!("redirected ({status}), which is not followed");
        let fix = "check what answers at the base URL";
        Self::new(ClientSecretErrorKind::Invalid, what, fix)
    }

    pub(super) fn problem(problem: &Problem) -> Self {
        use ClientSecretErrorKind::{Invalid, TimedOut, Unreachable};

        let network = "check the network, the name service and the certificates";
        let because = |kind: Option<std::io::ErrorKind>| match kind {
            Some(kind) => format!(": {kind}"),
            None => String::new(),
        };
        match problem {
            Problem::Connect(kind) => {
                Self::new(Unreachable, format!("no connection{}", because(*kind)), network)
            }
            Problem::Packed => Self::invalid("is packed, which was not asked for"),
            Problem::Setup => Self::new(
                Unreachable,
                "the HTTP client cannot be set up",
                "check the limits of the process, and that there are root certificates",
            ),
            Problem::TimedOut => Self::new(
                TimedOut,
                "no answer came in time",
                "try later, or allow more time with `within`",
            ),
            Problem::TooLarge => Self::new(
                Invalid,
                "the answer is much larger than the session",
                "check what answers at the base URL",
            ),
            Problem::Transport(kind) => {
                Self::new(Unreachable, format!("the connection broke{}", because(*kind)), network)
            }
        }
    }

    /// OpenAI refuses it for the key's or the account's sake. It is clear where OpenAI was
    /// understood.
    pub(super) fn denied_by(denied: Denied, is_clear: bool) -> Self {
        let text = denied.to_string();
        Self::because(ClientSecretErrorKind::Denied, text, Reason::Denied(denied, is_clear))
    }

    /// OpenAI, or what stands before it, refuses it for another reason.
    pub(super) fn refused(status: u16, words: Option<&str>) -> Self {
        use ClientSecretErrorKind::{Rejected, Throttled, Unreachable};

        let (kind, fix) = match status {
            429 => (Throttled, "mint fewer, or try later"),
            408 | 500.. => (Unreachable, "try later"),
            _ => (Rejected, "check the session, and the base URL"),
        };
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        Self::new(kind, format!("OpenAI refuses it ({status}){words}"), fix)
    }

    /// Whether OpenAI does not accept the key.
    pub(super) fn is_of_key(&self) -> bool {
        self.denied().is_some_and(|it| it.status() == 401 && it.reason() == DeniedReason::Key)
    }

    /// Whether what OpenAI said was understood.
    pub(super) fn is_clear(&self) -> bool {
        matches!(self.0.reason, Reason::Denied(_, true))
    }
}

impl From<AuthorizeError> for ClientSecretError {
    fn from(error: AuthorizeError) -> Self {
        let reason = error.refusal().cloned().map_or(Reason::Told, Reason::Refused);
        Self::because(ClientSecretErrorKind::Refused, error, reason)
    }
}

impl From<KeyUnavailable> for ClientSecretError {
    fn from(why: KeyUnavailable) -> Self {
        Self::because(ClientSecretErrorKind::Unavailable, why, Reason::Told)
    }
}

impl std::error::Error for ClientSecretError {}

impl fmt::Display for ClientSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}
