//! [`Error`]: what went wrong, in which operation, and what to do. It never owns a body.

use std::fmt;
use std::time::Duration;

use keyward_core::{ApiKey, Refusal};

use crate::Scope;
use crate::gate::WouldWaitTooLong;
use crate::operations::{OPERATIONS, Operation};
use crate::said::Said;

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
    scopes: Vec<Scope>,
    drift: Option<Drift>,
    nothing_sent: bool,
}

/// Where an answer is not as documented.
struct Drift {
    path: Option<String>,
    offset: usize,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key may not be used from this address: one outside an allowlist, or in a country that
    /// is not served. OpenAI answers 401 to the first. The key is live.
    AddressNotAllowed,
    /// A budget or spend limit is used up. Waiting does not help.
    Budget,
    /// The client was set up in a way that cannot work, or that would not be safe.
    Configuration,
    /// Something of that name is there already, or was changed meanwhile.
    Conflict,
    /// No connection was made. Nothing of this attempt was sent; whether an earlier one was, see
    /// [`Error::nothing_was_sent`].
    Connection,
    /// The answer has not the shape that it is documented to have. See [`Error::drift_path`] and
    /// [`Error::drift_offset`].
    Drift,
    /// The server does not take the request as it is, or the client does not send it so.
    InvalidRequest,
    /// The key is live and lacks scopes, which [`Error::missing_scopes`] lists if the server named
    /// them. OpenAI answers 401 or 403.
    MissingScopes,
    /// There is no such thing, or this key may not see it.
    NotFound,
    /// The key belongs to another organization or project than the request, or to none.
    OrganizationMismatch,
    /// A policy of the organization forbids it: a maximum lifetime of keys, service-account keys
    /// only. OpenAI documents neither code nor words for this, so it is told by words that are
    /// presumed; such a refusal may also come as [`InvalidRequest`](Self::InvalidRequest) or
    /// [`Permission`](Self::Permission).
    OrganizationPolicy,
    /// The call may or may not have had its effect, and was not repeated. See `reconcile` of the
    /// collection that was created in.
    OutcomeUnknown,
    /// A listing would not have come to an end: a repeated cursor, too many pages or bytes.
    Paging,
    /// The key is live and may not do this, by its role or for a reason that the server does not
    /// tell apart.
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
    /// The endpoint takes keys of another kind. The types of this crate let no project key be sent
    /// here; an endpoint may still want a session or a key of a kind of its own. Most such answers
    /// of OpenAI name scopes instead, and are [`MissingScopes`](Self::MissingScopes).
    WrongKey,
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
            scopes: Vec::new(),
            drift: None,
            nothing_sent: false,
        }))
    }

    pub(crate) fn configuration(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, detail).with_nothing_sent(true)
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
        let mut error = Self::new(said.kind(answer.status), said.message.unwrap_or_default());
        error.0.status = Some(answer.status);
        error.0.code = said.code;
        error.0.scopes = said.scopes;
        error.0.request_id = answer.request_id.clone();
        error.0.retry_after = answer.retry_after;
        error
    }

    /// An answer that is not as documented.
    pub(crate) fn drift(detail: &str, path: Option<String>, offset: usize) -> Self {
        let mut error = Self::new(ErrorKind::Drift, detail);
        error.0.drift = Some(Drift { path, offset });
        error
    }

    /// A call that is not sent, because it cannot be right or would not be safe.
    pub(crate) fn not_sent(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, detail).with_nothing_sent(true)
    }

    /// A call that was not sent, because its turn would come too late, or because it is too late
    /// already: then nothing held it back, and no rate is to blame.
    pub(crate) fn too_late(late: WouldWaitTooLong) -> Self {
        if !late.is_held {
            let detail = "the deadline passed before it could be sent";
            return Self::new(ErrorKind::Timeout, detail).with_nothing_sent(true);
        }
        let detail = "its turn at the server's rate would come after the deadline";
        let mut error = Self::new(ErrorKind::Throttled, detail).with_nothing_sent(true);
        error.0.retry_after = Some(late.needed);
        error
    }

    /// The tokio runtime ended on which an answer was waited for.
    pub(crate) fn runtime_gone() -> Self {
        Self::new(ErrorKind::Transport, "the runtime that it was fetched on has ended")
    }

    /// Whether its turn, or the answer, did not come before the deadline: for those who ask for many
    /// things at once, and can ask for fewer.
    pub(crate) fn came_too_late(&self) -> bool {
        matches!(self.kind(), ErrorKind::Throttled | ErrorKind::Timeout)
    }

    pub(crate) fn in_operation(mut self, operation: &Operation) -> Self {
        self.0.operation = Some(operation.clone());
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = self.0.request_id.or(id);
        self
    }

    pub(crate) fn with_nothing_sent(mut self, nothing: bool) -> Self {
        self.0.nothing_sent = nothing;
        self
    }

    /// The same drift, in a part of a larger answer.
    pub(crate) fn within(mut self, path: &str, offset: usize) -> Self {
        if let Some(drift) = &mut self.0.drift {
            drift.path = Some(match drift.path.take() {
                Some(inner) => format!("{path}.{inner}"),
                None => path.to_owned(),
            });
            drift.offset += offset;
        }
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

    /// The operation that failed; none when the client could not be built, and when a
    /// [`RawItem`](crate::RawItem) could not be read.
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

    /// The scopes that the key lacks, where the server named them; see
    /// [`ErrorKind::MissingScopes`].
    #[must_use]
    pub fn missing_scopes(&self) -> &[Scope] {
        &self.0.scopes
    }

    /// Where in the answer it is not as documented, as a path of field names and indices such as
    /// `data[3].id`, if it could be told. It is never what stands there.
    #[must_use]
    pub fn drift_path(&self) -> Option<&str> {
        self.0.drift.as_ref()?.path.as_deref()
    }

    /// At which byte of the answer it was found not to be as documented.
    #[must_use]
    pub fn drift_offset(&self) -> Option<usize> {
        self.0.drift.as_ref().map(|drift| drift.offset)
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

    /// Whether the key itself is not accepted: revoked, expired, or never one. Another key may be.
    ///
    /// A 401 alone does not say so: see [`ErrorKind::MissingScopes`] and
    /// [`ErrorKind::AddressNotAllowed`].
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.kind() == ErrorKind::Unauthorized
    }

    /// Whether the key is live and may not do this: scopes, a role, an address, an organization, a
    /// policy, or the kind of the key. Somebody has to change what is allowed.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::AddressNotAllowed
                | ErrorKind::MissingScopes
                | ErrorKind::OrganizationMismatch
                | ErrorKind::OrganizationPolicy
                | ErrorKind::Permission
                | ErrorKind::WrongKey
        )
    }

    /// Whether nothing of the call can have reached the server: no attempt of it was sent.
    ///
    /// Where this is `false`, the server may have got it.
    #[must_use]
    pub fn nothing_was_sent(&self) -> bool {
        self.0.nothing_sent
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
            ErrorKind::AddressNotAllowed => {
                "call from an address on the allowlist, or have this one added"
            }
            ErrorKind::Budget => "raise the limit, or wait for the next period",
            // The detail has it.
            ErrorKind::Configuration => "",
            ErrorKind::Conflict => "choose another name, or look at what is there",
            ErrorKind::Connection if self.nothing_was_sent() => {
                "check the address and the network; nothing was sent"
            }
            ErrorKind::Connection => "check the address and the network",
            ErrorKind::Drift => "the API may have moved; update keyward",
            ErrorKind::InvalidRequest => "mend the request as the message says",
            ErrorKind::MissingScopes => "give the key the scopes, or use one that has them",
            ErrorKind::NotFound => "check the id, and that it belongs to this organization",
            ErrorKind::OrganizationMismatch => {
                "use a key of the organization and project that the request is for"
            }
            ErrorKind::OrganizationPolicy => {
                "keep to the organization's policy (a shorter life, a service-account key), or \
                 have an owner change it"
            }
            ErrorKind::OutcomeUnknown if !self.has_reconcile() => {
                "it was not repeated; look at what is there, delete what nobody knows, and call \
                 again"
            }
            ErrorKind::OutcomeUnknown => {
                "it was not repeated; call `reconcile` with the name, delete what it finds, and \
                 create again"
            }
            ErrorKind::Paging => "narrow the listing, or raise its limits",
            ErrorKind::Permission => "give the key's owner a role that may do it",
            ErrorKind::Redirect => "set the base URL to where the API answers",
            ErrorKind::Server => "try again later",
            ErrorKind::Throttled => "call less often",
            ErrorKind::Timeout => "try again, or raise the time-out",
            ErrorKind::TooLarge => "raise the limit on answers, or ask for smaller pages",
            ErrorKind::Transport => "try again",
            ErrorKind::Unauthorized => "load a live admin key",
            ErrorKind::WrongKey => "use a key of the kind that the endpoint takes",
        }
    }

    /// Whether the call is one of the table's that make something: those have a `reconcile`.
    fn has_reconcile(&self) -> bool {
        self.operation().is_some_and(|operation| OPERATIONS.contains(operation))
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
        if let Some(drift) = &inner.drift {
            if let Some(path) = &drift.path {
                write!(f, " at `{path}`")?;
            }
            write!(f, ", byte {}", drift.offset)?;
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
            .field("operation", &inner.operation.as_ref().map(ToString::to_string))
            .field("status", &inner.status)
            .field("code", &inner.code)
            .field("request_id", &inner.request_id)
            .field("missing_scopes", &inner.scopes)
            .field("drift_path", &self.drift_path())
            .field("drift_offset", &self.drift_offset())
            .field("detail", &inner.detail)
            .finish()
    }
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::AddressNotAllowed => "not allowed from this address",
            Self::Budget => "a budget is used up",
            Self::Configuration => "the client cannot be set up so",
            Self::Conflict => "conflict",
            Self::Connection => "no connection",
            Self::Drift => "unexpected answer",
            Self::InvalidRequest => "not accepted",
            Self::MissingScopes => "the key lacks scopes",
            Self::NotFound => "not found",
            Self::OrganizationMismatch => "the key is of another organization",
            Self::OrganizationPolicy => "against a policy of the organization",
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
            Self::WrongKey => "a key of the wrong kind",
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, ErrorKind};
    use crate::gate::WouldWaitTooLong;
    use crate::operations;

    const ALL: [ErrorKind; 22] = [
        ErrorKind::AddressNotAllowed,
        ErrorKind::Budget,
        ErrorKind::Configuration,
        ErrorKind::Conflict,
        ErrorKind::Connection,
        ErrorKind::Drift,
        ErrorKind::InvalidRequest,
        ErrorKind::MissingScopes,
        ErrorKind::NotFound,
        ErrorKind::OrganizationMismatch,
        ErrorKind::OrganizationPolicy,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Paging,
        ErrorKind::Permission,
        ErrorKind::Redirect,
        ErrorKind::Server,
        ErrorKind::Throttled,
        ErrorKind::Timeout,
        ErrorKind::TooLarge,
        ErrorKind::Transport,
        ErrorKind::Unauthorized,
        ErrorKind::WrongKey,
    ];

    #[test]
    fn every_kind_says_what_happened_in_which_operation_and_how_to_mend_it() {
        let mut said = std::collections::BTreeSet::new();
        for kind in ALL {
            let error =
                Error::new(kind, "as the server says").in_operation(&operations::USERS_LIST);
            let text = error.to_string();
            let parts: Vec<_> = text.split("; ").collect();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.starts_with("GET /organization/users: "), "{text}");
            assert!(text.contains("as the server says"), "{text}");
            // The fix of a configuration is in its detail.
            assert!(parts.len() > 1 || kind == ErrorKind::Configuration, "{text}");
            assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
            assert!(said.insert(text), "two kinds say the same");
        }
    }

    #[test]
    fn a_kind_is_one_of_those_that_a_caller_acts_on_or_none() {
        for kind in ALL {
            let error = Error::new(kind, "");
            let acts = [
                error.is_forbidden(),
                error.is_not_found(),
                error.is_outcome_unknown(),
                error.is_retryable(),
                error.is_unauthorized(),
            ];
            assert!(acts.iter().filter(|acts| **acts).count() <= 1, "{kind:?}");
        }
    }

    const LATE: WouldWaitTooLong = WouldWaitTooLong { needed: Duration::ZERO, is_held: false };

    #[test]
    fn a_deadline_that_has_passed_is_no_rate() {
        assert_eq!(Error::too_late(LATE).kind(), ErrorKind::Timeout);
        let held = WouldWaitTooLong { is_held: true, ..LATE };
        assert_eq!(Error::too_late(held).kind(), ErrorKind::Throttled);
    }

    #[test]
    fn what_was_not_sent_says_so() {
        for (error, nothing) in [
            (Error::configuration("x"), true),
            (Error::not_sent("x"), true),
            (Error::too_late(WouldWaitTooLong { is_held: true, ..LATE }), true),
            (Error::too_late(LATE), true),
            (Error::new(ErrorKind::Connection, "refused").with_nothing_sent(true), true),
            (Error::new(ErrorKind::Connection, "refused"), false),
            (Error::new(ErrorKind::Transport, "x"), false),
            (Error::new(ErrorKind::Timeout, "x"), false),
        ] {
            assert_eq!(error.nothing_was_sent(), nothing, "{error}");
            let says = error.to_string().contains("nothing was sent");
            assert_eq!(says, nothing && error.kind() == ErrorKind::Connection, "{error}");
        }
    }
}
