//! What Google answers when it does not do what it was asked, as an [`Error`]: by its code alone.

use google_cloud_gax::error::rpc::Code;

use crate::{Error, ErrorKind};

/// What the codes mean that mean something else in each call.
#[derive(Clone, Copy)]
pub(super) struct Call {
    /// `FAILED_PRECONDITION`.
    pub(super) precondition: ErrorKind,
    /// `INVALID_ARGUMENT`.
    pub(super) argument: ErrorKind,
}

impl Call {
    /// A version is read: it may be disabled or destroyed.
    pub(super) const READ: Self =
        Self { precondition: ErrorKind::Withdrawn, argument: ErrorKind::Invalid };
    /// A version is added, which is written with no entity tag: the key of KMS that the secret is
    /// sealed by may be disabled.
    pub(super) const ADD: Self =
        Self { precondition: ErrorKind::KeyUnusable, argument: ErrorKind::Invalid };
    /// Something is written: its entity tag may be another one now.
    pub(super) const WRITE: Self =
        Self { precondition: ErrorKind::Conflict, argument: ErrorKind::Invalid };
    /// A text is opened: the key's version may be disabled, or it was sealed by another key or in
    /// another context, which Google calls an invalid argument.
    pub(super) const OPEN: Self =
        Self { precondition: ErrorKind::KeyUnusable, argument: ErrorKind::Undecryptable };
    /// A text is sealed.
    pub(super) const SEAL: Self =
        Self { precondition: ErrorKind::KeyUnusable, argument: ErrorKind::Invalid };
}

/// An error of the SDK without its words: they can have a whole answer in them.
pub(super) fn of_sdk(error: &google_cloud_gax::error::Error, call: Call) -> Error {
    if let Some(status) = error.status().filter(|status| status.code != Code::Unknown) {
        return of_code(status.code, call);
    }
    // An answer in no form that Google's errors have, or with a code that is not known.
    if let Some(status) = error.http_status_code().filter(|status| *status >= 300) {
        return of_status(status);
    }
    let (kind, what, fix) = if error.is_timeout() {
        (ErrorKind::TimedOut, "Google did not answer in time", "check the network")
    } else if error.is_authentication() {
        (
            ErrorKind::Unauthenticated,
            "no Google credentials were found, or they could not be had",
            "give the process a service account, or run `gcloud auth application-default login`",
        )
    } else if error.is_binding() || error.is_serialization() {
        (
            ErrorKind::Invalid,
            "the SDK cannot make the request",
            "check the name: PROJECT/SECRET, or in full",
        )
    } else if error.is_deserialization() {
        return incomplete();
    } else {
        (
            ErrorKind::Unreachable,
            "Google could not be reached",
            "check the network and the endpoint",
        )
    };
    Error::new(kind, what, fix)
}

/// An answer that lacks what it must have.
pub(super) fn incomplete() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the answer lacks what was asked for",
        "check that the endpoint is that of Google",
    )
}

fn of_code(code: Code, call: Call) -> Error {
    let kind = match code {
        Code::Aborted | Code::AlreadyExists => ErrorKind::Conflict,
        Code::DeadlineExceeded => ErrorKind::TimedOut,
        Code::FailedPrecondition => call.precondition,
        Code::InvalidArgument => call.argument,
        Code::NotFound => ErrorKind::NotFound,
        Code::OutOfRange | Code::Unimplemented => ErrorKind::Invalid,
        Code::PermissionDenied => ErrorKind::Denied,
        Code::ResourceExhausted => ErrorKind::Throttled,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::Cancelled | Code::Internal | Code::Unavailable => ErrorKind::Unreachable,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("Google says {}", code.name()), fix(kind))
}

fn of_status(status: u16) -> Error {
    let kind = match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Denied,
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Unreachable,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("Google answers {status}"), fix(kind))
}

fn fix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Conflict => "read it again, and decide anew",
        ErrorKind::Denied => "give the service account the role, and check the project",
        ErrorKind::Invalid => "check the name and the settings",
        ErrorKind::KeyUnusable => "enable the version of the KMS key, or seal by another key",
        ErrorKind::NotFound => "create it, or correct the name or the project",
        ErrorKind::Throttled => "load less often",
        ErrorKind::Unauthenticated => "renew the credentials, and check the clock",
        ErrorKind::Undecryptable => "give the key and the context that it was sealed by",
        ErrorKind::Withdrawn => "enable the version, or add a new one",
        _ => "try again later",
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::{Code, Status};

    use super::{Call, of_sdk, of_status};
    use crate::ErrorKind;

    #[test]
    fn a_code_tells_the_kind_and_its_words_are_not_shown() {
        for (code, call, kind) in [
            (Code::NotFound, Call::READ, ErrorKind::NotFound),
            (Code::PermissionDenied, Call::READ, ErrorKind::Denied),
            (Code::Unauthenticated, Call::READ, ErrorKind::Unauthenticated),
            (Code::ResourceExhausted, Call::READ, ErrorKind::Throttled),
            (Code::Unavailable, Call::READ, ErrorKind::Unreachable),
            (Code::FailedPrecondition, Call::READ, ErrorKind::Withdrawn),
            (Code::FailedPrecondition, Call::WRITE, ErrorKind::Conflict),
            (Code::Aborted, Call::WRITE, ErrorKind::Conflict),
            (Code::AlreadyExists, Call::WRITE, ErrorKind::Conflict),
            (Code::FailedPrecondition, Call::ADD, ErrorKind::KeyUnusable),
            (Code::FailedPrecondition, Call::OPEN, ErrorKind::KeyUnusable),
            (Code::InvalidArgument, Call::OPEN, ErrorKind::Undecryptable),
            (Code::InvalidArgument, Call::SEAL, ErrorKind::Invalid),
            (Code::DataLoss, Call::READ, ErrorKind::Unexpected),
        ] {
            let status = Status::default().set_code(code).set_message("words of the server");
            let error = of_sdk(&google_cloud_gax::error::Error::service(status), call);
            assert_eq!(error.kind(), kind, "{code:?}");
            let told = error.to_string();
            assert!(told.contains(code.name()) && !told.contains("words"), "{told}");
        }
    }

    #[test]
    fn what_is_no_answer_of_google_is_not_taken_for_not_found() {
        for (status, kind) in [
            (404, ErrorKind::Invalid),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::Denied),
            (429, ErrorKind::Throttled),
            (502, ErrorKind::Unreachable),
            (302, ErrorKind::Unexpected),
        ] {
            assert_eq!(of_status(status).kind(), kind, "{status}");
        }
    }
}
