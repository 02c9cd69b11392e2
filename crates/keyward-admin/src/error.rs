//! [`Error`]: what went wrong, in which operation, and what to do. It never owns a body.

use std::fmt;
use std::time::Duration;

use keyward_core::{ApiKey, Refusal, find};
use zeroize::Zeroizing;

use crate::operations::Operation;
use crate::wire::ErrorShape;

/// What went wrong with a call.
///
/// `Display` is one line: the operation, what the server said of it with everything that looks
/// like a key masked, the request id, and a fix. It holds no body and no error of another library.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Option<Operation>,
    detail: String,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    refusal: Option<Refusal>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A budget or spend limit is used up. Waiting does not help.
    Budget,
    /// The client was set up in a way that cannot work, or that would not be safe.
    Configuration,
    /// Something of that name is there already, or was changed meanwhile.
    Conflict,
    /// No connection was made. Nothing was sent.
    Connection,
    /// The answer has not the shape that it is documented to have.
    Drift,
    /// The server does not take the request as it is.
    InvalidRequest,
    /// There is no such thing, or this key may not see it.
    NotFound,
    /// The call may or may not have had its effect, and was not repeated. See `reconcile` of the
    /// collection that was created in.
    OutcomeUnknown,
    /// A listing would not have come to an end: a repeated cursor, too many pages.
    Paging,
    /// The key is live and may not do this: a scope, a role, an address.
    Permission,
    /// The server answered with a redirect, which is not followed.
    Redirect,
    /// The server failed.
    Server,
    /// The server asked to wait, and for longer than the call may.
    Throttled,
    /// The answer did not come in time.
    Timeout,
    /// The answer is larger than the client accepts.
    TooLarge,
    /// The connection broke after the request was sent.
    Transport,
    /// The key is not accepted: revoked, expired, or never one.
    Unauthorized,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: None,
            detail: detail.into(),
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            refusal: None,
        }))
    }

    pub(crate) fn configuration(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, detail)
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let mut error = Self::configuration(refusal.to_string());
        error.0.refusal = Some(refusal);
        error
    }

    /// An answer whose status says that the call failed.
    ///
    /// What the server says is not kept if it repeats a piece of the key that it was sent.
    pub(crate) fn from_answer(answer: &Answer<'_>, key: &ApiKey) -> Self {
        let said = Said::decode(answer.body, key);
        let kind = kind_of(answer.status, said.code.as_deref(), said.message.as_deref());
        let mut error = Self::new(kind, said.message.unwrap_or_default());
        error.0.status = Some(answer.status);
        error.0.code = said.code;
        error.0.request_id = answer.request_id.clone();
        error.0.retry_after = answer.retry_after;
        error
    }

    /// A call that was not sent, because its turn would come too late.
    pub(crate) fn too_late(needed: Duration) -> Self {
        let detail = "its turn at the server's rate would come after the deadline";
        let mut error = Self::new(ErrorKind::Throttled, detail);
        error.0.retry_after = Some(needed);
        error
    }

    pub(crate) fn in_operation(mut self, operation: &Operation) -> Self {
        self.0.operation = Some(*operation);
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = self.0.request_id.or(id);
        self
    }

    /// The same failure of a call that makes something: nobody knows whether it did.
    pub(crate) fn into_outcome_unknown(mut self) -> Self {
        self.0.kind = ErrorKind::OutcomeUnknown;
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed; none when the client could not be built.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        self.0.operation.as_ref()
    }

    /// The HTTP status, when there was an answer that failed.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own code, such as `invalid_api_key`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The id under which OpenAI's support finds the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the server asked to wait, or how long this call would have had to.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The policy's refusal, when the client's address is not one that keys may be sent to.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.0.refusal.as_ref()
    }

    /// Whether there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the call may have had its effect without anybody knowing.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        self.kind() == ErrorKind::OutcomeUnknown
    }

    /// Whether the same call may succeed later and is safe to repeat.
    ///
    /// The client has already repeated what it safely could.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Connection
                | ErrorKind::Server
                | ErrorKind::Throttled
                | ErrorKind::Timeout
                | ErrorKind::Transport
        )
    }

    fn fix(&self) -> &'static str {
        match self.kind() {
            ErrorKind::Budget => "raise the limit, or wait for the next period",
            ErrorKind::Configuration => "",
            ErrorKind::Conflict => "choose another name, or look at what is there",
            ErrorKind::Connection => "check the address and the network; nothing was sent",
            ErrorKind::Drift => "the API may have moved; update keyward",
            ErrorKind::InvalidRequest => "mend the request as the message says",
            ErrorKind::NotFound => "check the id, and that it belongs to this organization",
            ErrorKind::OutcomeUnknown => {
                "it was not repeated; call `reconcile` with the name, delete what it finds, and \
                 create again"
            }
            ErrorKind::Paging => "narrow the listing",
            ErrorKind::Permission => "give the key the scope, or call from an allowed address",
            ErrorKind::Redirect => "set the base URL to where the API answers",
            ErrorKind::Server => "try again later",
            ErrorKind::Throttled => "call less often",
            ErrorKind::Timeout => "try again, or raise the time-out",
            ErrorKind::TooLarge => "raise the limit on answers, or ask for smaller pages",
            ErrorKind::Transport => "try again",
            ErrorKind::Unauthorized => "load a live admin key",
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        match &inner.operation {
            Some(operation) => write!(f, "{operation}: {}", inner.kind.as_str())?,
            None => f.write_str(inner.kind.as_str())?,
        }
        if let Some(status) = inner.status {
            write!(f, " ({status}")?;
            if let Some(code) = &inner.code {
                write!(f, " {code}")?;
            }
            f.write_str(")")?;
        }
        if !inner.detail.is_empty() {
            write!(f, ": {}", inner.detail.trim_end_matches('.'))?;
        }
        if let Some(wait) = inner.retry_after {
            let who = if inner.status.is_some() { "the server asks to wait" } else { "it needs" };
            write!(f, "; {who} {} s", wait.as_secs_f64().ceil())?;
        }
        if let Some(id) = &inner.request_id {
            write!(f, "; request {id}")?;
        }
        match self.fix() {
            "" => Ok(()),
            fix => write!(f, "; {fix}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation.map(|o| o.to_string()))
            .field("status", &inner.status)
            .field("code", &inner.code)
            .field("request_id", &inner.request_id)
            .field("detail", &inner.detail)
            .finish()
    }
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "a budget is used up",
            Self::Configuration => "the client cannot be set up so",
            Self::Conflict => "conflict",
            Self::Connection => "no connection",
            Self::Drift => "unexpected answer",
            Self::InvalidRequest => "not accepted",
            Self::NotFound => "not found",
            Self::OutcomeUnknown => "outcome unknown",
            Self::Paging => "the listing does not end",
            Self::Permission => "not permitted",
            Self::Redirect => "redirected",
            Self::Server => "the server failed",
            Self::Throttled => "throttled",
            Self::Timeout => "timed out",
            Self::TooLarge => "the answer is too large",
            Self::Transport => "the connection broke",
            Self::Unauthorized => "the key is not accepted",
        }
    }
}

/// An answer as far as errors look at it.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

/// What the server said, in any of the shapes seen: `{"error": {…}}`, the same without the
/// wrapper, `{"error": "code", "error_description": "…"}`, or not JSON at all.
#[derive(Default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

impl Said {
    fn decode(body: &[u8], key: &ApiKey) -> Self {
        let Ok(shape) = serde_json::from_slice::<ErrorShape>(body) else {
            return Self::default();
        };
        let (code, message) = shape.into_parts();
        Self {
            code: code
                .filter(|code| is_code(code) && !key.is_echoed_in(code))
                .map(|c| c.to_string()),
            message: message.map(|message| match key.is_echoed_in(&message) {
                true => "the server repeated the key, so its words are left out".to_owned(),
                false => readable(&message),
            }),
        }
    }
}

/// Status codes are the server's, and codes more telling where there is one.
///
/// Sources: the published specification (2026-08-21) for 429, OpenAI's error guide for the rest.
fn kind_of(status: u16, code: Option<&str>, message: Option<&str>) -> ErrorKind {
    const BUDGET: [&str; 5] = [
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    ];
    if (400..500).contains(&status) && code.is_some_and(|code| BUDGET.contains(&code)) {
        return ErrorKind::Budget;
    }
    // A missing scope is answered with 401 as often as with 403.
    let names_scopes = message.is_some_and(|m| m.to_ascii_lowercase().contains("missing scopes"));
    match status {
        300..=399 => ErrorKind::Redirect,
        401 if names_scopes => ErrorKind::Permission,
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Permission,
        404 | 410 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        429 => ErrorKind::Throttled,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

/// A server's text as one line, with everything that may be a key masked.
fn readable(text: &str) -> String {
    const MOST: usize = 400;

    // No character takes more room than before, so the buffer never moves and is wiped whole.
    let mut line = Zeroizing::new(String::with_capacity(text.len()));
    line.extend(text.chars().map(|c| if is_plain(c) { c } else { ' ' }));
    let mut scrubbed = find::scrub(&line).into_owned();
    if let Some((cut, _)) = scrubbed.char_indices().nth(MOST) {
        scrubbed.truncate(cut);
        scrubbed.push('…');
    }
    scrubbed
}

/// Not a character that ends a line, turns the direction of writing, or is not seen.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Codes are words; what is not may be an echo of anything.
fn is_code(text: &str) -> bool {
    text.len() <= 64
        && !text.is_empty()
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
        && find::scrub(text) == text
}
