//! [`AuthorizeError`]: why a request got no key.

use keyward_core::Refusal;

use crate::KeyUnavailable;

/// Why a request was not authorized.
///
/// `Display` is one line: why, then the fix. It holds nothing of the key, and of the request no
/// more than the host and a header's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The request carries a credential already.
    #[error("the request has a header `{header}` already; let keyward alone put the key on it")]
    #[non_exhaustive]
    AlreadyAuthorized {
        /// The header's name.
        header: String,
    },
    /// A text was given for an organization or a project that is no identifier. It is not repeated:
    /// it may be a key.
    #[error("what was given for `{header}` is no identifier; give one such as `org-…` or `proj_…`")]
    #[non_exhaustive]
    Identifier {
        /// The header that it was meant for.
        header: String,
    },
    /// The URI has a key in it, in its path or its query.
    #[error("the request's URI has a key in it; remove it, and treat that key as leaked")]
    KeyInUri,
    /// The request has a `Host` that is not the host of its URI. The policy looks at the URI, and
    /// whatever shares a connection or an address among hosts looks at the header.
    #[error("the request's `Host` header names another host than its URI does; remove it")]
    OtherHost,
    /// The request names another organization or project than the authorizer is for.
    #[error("the request's header `{header}` names another than the authorizer does; remove it")]
    #[non_exhaustive]
    OtherOwner {
        /// The header.
        header: String,
    },
    /// The client has followed a redirect to another origin. What it answered there is not told.
    #[error(
        "the answer is not from where the request was sent: the client has followed a redirect to \
         another origin; turn redirects off, and find out who answers so"
    )]
    Redirected,
    /// The policy lets no key go there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request's URI does not tell the scheme and the host.
    #[error("the request's URI is not absolute; authorize it with its scheme and host in place")]
    RelativeUri,
    /// There is no key to authorize with.
    #[error(transparent)]
    Unavailable(#[from] KeyUnavailable),
    /// The URI's host cannot be told from what stands behind it.
    #[error("the request's URI has something behind its host that is no port; remove it")]
    UnclearHost,
    /// The URI has a user name or password in it, which also is how a URL pretends to lead to
    /// another host than it does.
    #[error(
        "the request's URI has a user name in front of its host; remove everything up to the `@`"
    )]
    UserInfo,
}

impl AuthorizeError {
    /// The policy's refusal, if it was that.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
