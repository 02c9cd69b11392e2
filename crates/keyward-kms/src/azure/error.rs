//! What Azure answers when it does not do what it was asked, as an [`Error`]: by its status and the
//! codes that are known. An answer's own words are never shown.

use azure_core::error::ErrorKind as Sdk;

use crate::{Error, ErrorKind};

/// An error of the SDK without its words: they can have a whole answer in them.
pub(super) fn of_sdk(error: &azure_core::Error) -> Error {
    let (kind, what, fix) = match error.kind() {
        Sdk::HttpResponse { status, raw_response, .. } => {
            let body = raw_response.as_ref().map_or(&b""[..], |raw| raw.body().as_ref());
            return of_answer((*status).into(), body);
        }
        Sdk::Connection | Sdk::Io => (
            ErrorKind::Unreachable,
            "Key Vault could not be reached",
            "check the vault's name and the network, and that its certificate is trusted",
        ),
        Sdk::Credential => (
            ErrorKind::Unauthenticated,
            "no Azure credentials were found, or they could not be had",
            "give the workload an identity, or log in",
        ),
        Sdk::DataConversion => return incomplete(),
        _ => (
            ErrorKind::Invalid,
            "the SDK does not make the request",
            "check that the address is that of a vault, with https",
        ),
    };
    Error::new(kind, what, fix)
}

/// An answer that lacks what it must have, or is no JSON.
pub(super) fn incomplete() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the answer lacks what was asked for",
        "check that the address is that of a vault",
    )
}

/// An answer that is no success: by a code that Key Vault is known to give with this status, or by
/// the status alone.
fn of_answer(status: u16, body: &[u8]) -> Error {
    let has = |code: &str| {
        let quoted = format!("\"{code}\"");
        body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    };
    let known = CODES.iter().find(|(of, code, ..)| *of == status && has(code));
    if let Some((_, code, kind, fix)) = known {
        return Error::new(*kind, format!("Key Vault says {code}"), *fix);
    }
    let (kind, fix) = match status {
        401 => (ErrorKind::Unauthenticated, "renew the credentials, and check the tenant"),
        403 => (ErrorKind::Denied, "let the identity get secrets, by role or access policy"),
        409 => (ErrorKind::Conflict, "try again later"),
        429 => (ErrorKind::Throttled, "load less often"),
        500.. => (ErrorKind::Unreachable, "try again later"),
        400..=499 => (ErrorKind::Invalid, "check the names of the vault and the secret"),
        _ => (ErrorKind::Unexpected, "check that the address is that of a vault"),
    };
    Error::new(kind, format!("Key Vault answers {status}"), fix)
}

/// The codes that tell more than the status does.
const CODES: &[(u16, &str, ErrorKind, &str)] = &[
    (403, "ForbiddenByConnection", ErrorKind::Denied, "let this network in, at the vault"),
    (403, "ForbiddenByFirewall", ErrorKind::Denied, "let this network in, at the vault"),
    (403, "SecretDisabled", ErrorKind::Withdrawn, "enable the secret, or set a new version"),
    (404, "SecretNotFound", ErrorKind::NotFound, "set it, or correct the name or the vault"),
    (404, "VaultNotFound", ErrorKind::Invalid, "correct the vault's name"),
];

#[cfg(test)]
mod tests {
    use super::of_answer;
    use crate::ErrorKind;

    #[test]
    fn statuses_and_codes_tell_the_kind_and_no_answer_is_quoted() {
        for (status, code, kind, shown) in [
            (401, "Unauthorized", ErrorKind::Unauthenticated, "401"),
            (403, "Forbidden", ErrorKind::Denied, "403"),
            (403, "ForbiddenByFirewall", ErrorKind::Denied, "ForbiddenByFirewall"),
            (403, "SecretDisabled", ErrorKind::Withdrawn, "SecretDisabled"),
            (400, "SecretDisabled", ErrorKind::Invalid, "400"),
            (404, "SecretNotFound", ErrorKind::NotFound, "SecretNotFound"),
            // Of a proxy, or of something else than a vault.
            (404, "other", ErrorKind::Invalid, "404"),
            (409, "other", ErrorKind::Conflict, "409"),
            (429, "other", ErrorKind::Throttled, "429"),
            (503, "other", ErrorKind::Unreachable, "503"),
            (302, "other", ErrorKind::Unexpected, "302"),
        ] {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
            let error = of_answer(status, body.as_bytes());
            assert_eq!(error.kind(), kind, "{status} {code}");
            let told = error.to_string();
            assert!(told.contains(shown) && !told.contains("words"), "{told}");
        }
    }
}
