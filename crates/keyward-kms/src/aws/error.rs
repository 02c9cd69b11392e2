//! What AWS answers when it does not do what it was asked, as an [`Error`]: by its code alone.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

use crate::{Error, ErrorKind};

/// An error of the SDK without its words: they can have a whole answer in them.
pub(super) fn of_sdk<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Error::new(
            ErrorKind::Invalid,
            "the SDK cannot make the request",
            "check the name, the region and the endpoint",
        ),
        SdkError::TimeoutError(_) => timed_out(),
        SdkError::DispatchFailure(_) if has_no_credentials(error) => Error::new(
            ErrorKind::Unauthenticated,
            "no AWS credentials were found, or they could not be had",
            "give the process a role, or set a profile",
        ),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timed_out(),
        SdkError::DispatchFailure(_) => Error::new(
            ErrorKind::Unreachable,
            "AWS could not be reached",
            "check the network, the region and the endpoint",
        ),
        SdkError::ServiceError(answer) => {
            of_answer(answer.err().code().unwrap_or(""), answer.raw().status().as_u16())
        }
        // An error that has no form that the SDK knows: a proxy's, for one.
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 400 => {
            of_answer("", answer.raw().status().as_u16())
        }
        // A response that is not understood, and what later versions of the SDK tell.
        _ => Error::new(
            ErrorKind::Unexpected,
            "the answer could not be read",
            "check that the endpoint is that of AWS",
        ),
    }
}

/// An answer that lacks what it must have.
pub(super) fn incomplete() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the answer lacks what was asked for",
        "check that the endpoint is that of AWS",
    )
}

fn timed_out() -> Error {
    Error::new(ErrorKind::TimedOut, "AWS did not answer in time", "check the network")
}

fn has_no_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<CredentialsError>)
}

fn of_answer(code: &str, status: u16) -> Error {
    // Some protocols write the code with a namespace before it.
    let code = code.rsplit('#').next().unwrap_or(code);
    if let Some((known, kind)) = CODES.iter().find(|(known, _)| *known == code) {
        return Error::new(*kind, format!("AWS says {known}"), fix(*kind));
    }
    // A code that is not known is not shown: it is a text that the server chose.
    let kind = match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Denied,
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Unreachable,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("AWS answers {status}"), fix(kind))
}

/// The codes of Secrets Manager, SSM and KMS, and those that all services share.
const CODES: &[(&str, ErrorKind)] = &[
    ("AccessDenied", ErrorKind::Denied),
    ("AccessDeniedException", ErrorKind::Denied),
    ("DecryptionFailure", ErrorKind::KeyUnusable),
    ("DependencyTimeoutException", ErrorKind::Unreachable),
    ("DisabledException", ErrorKind::KeyUnusable),
    ("EncryptionFailure", ErrorKind::KeyUnusable),
    ("ExpiredToken", ErrorKind::Unauthenticated),
    ("ExpiredTokenException", ErrorKind::Unauthenticated),
    ("IncompleteSignature", ErrorKind::Unauthenticated),
    ("IncorrectKeyException", ErrorKind::Undecryptable),
    ("InternalFailure", ErrorKind::Unreachable),
    ("InternalServerError", ErrorKind::Unreachable),
    ("InternalServiceError", ErrorKind::Unreachable),
    ("InternalServiceErrorException", ErrorKind::Unreachable),
    ("InvalidCiphertextException", ErrorKind::Undecryptable),
    ("InvalidClientTokenId", ErrorKind::Unauthenticated),
    ("InvalidKeyId", ErrorKind::KeyUnusable),
    ("InvalidKeyUsageException", ErrorKind::KeyUnusable),
    ("InvalidParameterException", ErrorKind::Invalid),
    // Of a secret that is read: it waits for its deletion.
    ("InvalidRequestException", ErrorKind::Withdrawn),
    ("InvalidSignatureException", ErrorKind::Unauthenticated),
    ("KMSInternalException", ErrorKind::Unreachable),
    ("KMSInvalidStateException", ErrorKind::KeyUnusable),
    ("KeyUnavailableException", ErrorKind::Unreachable),
    ("LimitExceededException", ErrorKind::Throttled),
    // Of a KMS key. `Decrypt` knows that this is no missing secret.
    ("NotFoundException", ErrorKind::KeyUnusable),
    ("ParameterNotFound", ErrorKind::NotFound),
    ("ParameterVersionNotFound", ErrorKind::NotFound),
    ("PreconditionNotMetException", ErrorKind::Conflict),
    ("RequestExpired", ErrorKind::Unauthenticated),
    ("RequestLimitExceeded", ErrorKind::Throttled),
    ("ResourceExistsException", ErrorKind::Conflict),
    ("ResourceNotFoundException", ErrorKind::NotFound),
    ("ServiceUnavailable", ErrorKind::Unreachable),
    ("ServiceUnavailableException", ErrorKind::Unreachable),
    ("SignatureDoesNotMatch", ErrorKind::Unauthenticated),
    ("Throttling", ErrorKind::Throttled),
    ("ThrottlingException", ErrorKind::Throttled),
    ("TooManyRequestsException", ErrorKind::Throttled),
    ("UnrecognizedClientException", ErrorKind::Unauthenticated),
    ("ValidationException", ErrorKind::Invalid),
];

fn fix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Conflict => "read it again, and decide anew",
        ErrorKind::Denied => "let the role do it: its policy, the resource's, and the KMS key's",
        ErrorKind::Invalid => "check the name and the settings",
        ErrorKind::KeyUnusable => "enable the KMS key, or seal by another one",
        ErrorKind::NotFound => "create it, or correct the name, the region or the account",
        ErrorKind::Throttled => "load less often",
        ErrorKind::Unauthenticated => "renew the credentials, and check the clock",
        ErrorKind::Undecryptable => "give the key and the context that it was sealed by",
        ErrorKind::Withdrawn => "restore the secret, or create it anew",
        _ => "try again later",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_in_order() {
        assert!(CODES.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn a_code_tells_the_kind_and_an_unknown_one_is_not_shown() {
        for (code, status, kind, shown) in [
            ("AccessDeniedException", 400, ErrorKind::Denied, "AccessDeniedException"),
            ("com.amazon#ThrottlingException", 400, ErrorKind::Throttled, "ThrottlingException"),
            ("Other", 403, ErrorKind::Denied, "403"),
            ("Other", 401, ErrorKind::Unauthenticated, "401"),
            ("Other", 429, ErrorKind::Throttled, "429"),
            ("Other", 400, ErrorKind::Invalid, "400"),
            ("", 503, ErrorKind::Unreachable, "503"),
            ("", 302, ErrorKind::Unexpected, "302"),
        ] {
            let error = of_answer(code, status);
            assert_eq!(error.kind(), kind, "{code}");
            assert!(error.to_string().contains(shown) && !error.to_string().contains("Other"));
        }
    }
}
