//! What Vault answers when it does not do what it was asked, as an [`Error`]: by its status and the
//! phrases that are known. An answer's own words are never shown.

use crate::{Error, ErrorKind};

/// An answer of 400 and above.
pub(super) fn of_answer(status: u16, body: &[u8]) -> Error {
    let known = PHRASES
        .iter()
        .find(|known| known.statuses.contains(&status) && contains(body, known.phrase));
    if let Some(known) = known {
        return Error::new(known.kind, known.what, known.fix);
    }
    let (kind, what, fix) = match status {
        401 => (
            ErrorKind::Unauthenticated,
            "Vault does not know the token",
            "give it a token that is valid",
        ),
        403 => (
            ErrorKind::Denied,
            "Vault does not allow it",
            "give the token's policy this path, and check the namespace",
        ),
        404 => (ErrorKind::NotFound, "nothing is stored there", "write it, or correct the path"),
        412 | 472 | 473 => (
            ErrorKind::Unreachable,
            "this Vault server stands by, or lags behind",
            "ask the active one, or try again",
        ),
        429 => (ErrorKind::Throttled, "Vault answers too many requests", "load less often"),
        500.. => {
            (ErrorKind::Unreachable, "Vault fails, or is not at work", "look at Vault's own log")
        }
        300..=399 => (
            ErrorKind::Unreachable,
            "Vault redirects, which is not followed",
            "give the address of the active server",
        ),
        _ => (ErrorKind::Invalid, "Vault refuses the request", "check the mount and the path"),
    };
    Error::new(kind, format!("{what} ({status})"), fix)
}

/// An answer that lacks what it must have, or is no JSON.
pub(super) fn incomplete() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the answer is not what Vault answers here",
        "check the address, and that the mount is of the right kind and version",
    )
}

/// An error of the HTTP stack without its words.
pub(super) fn of_http(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::new(
            ErrorKind::TimedOut,
            "Vault did not answer in time",
            "check the network",
        );
    }
    if error.is_connect() {
        return Error::new(
            ErrorKind::Unreachable,
            "Vault could not be reached",
            "check the address and the network, and that its certificate is trusted",
        );
    }
    Error::new(ErrorKind::Unreachable, "the connection to Vault broke", "try again")
}

struct Known {
    statuses: &'static [u16],
    phrase: &'static str,
    kind: ErrorKind,
    what: &'static str,
    fix: &'static str,
}

const PHRASES: &[Known] = &[
    Known {
        statuses: &[400],
        phrase: "check-and-set parameter",
        kind: ErrorKind::Conflict,
        what: "somebody else has written there meanwhile",
        fix: "read it again, and decide anew",
    },
    Known {
        statuses: &[400, 403, 404],
        phrase: "no handler for route",
        kind: ErrorKind::Invalid,
        what: "nothing is mounted there",
        fix: "correct the mount or the namespace",
    },
    Known {
        statuses: &[404],
        phrase: "Invalid path for a versioned K/V",
        kind: ErrorKind::Invalid,
        what: "the path is not one of KV v2",
        fix: "give mount and path apart, without `data/`",
    },
    Known {
        statuses: &[400],
        phrase: "encryption key not found",
        kind: ErrorKind::KeyUnusable,
        what: "transit has no such key",
        fix: "correct the key's name, or create it",
    },
    Known {
        statuses: &[400],
        phrase: "disallowed by policy (too old)",
        kind: ErrorKind::KeyUnusable,
        what: "the transit key's version is too old to open",
        fix: "seal the key anew, or lower `min_decryption_version`",
    },
    Known {
        statuses: &[400, 500],
        phrase: "message authentication failed",
        kind: ErrorKind::Undecryptable,
        what: "transit does not open it",
        fix: "give the key and the context that it was sealed by",
    },
    Known {
        statuses: &[400],
        phrase: "invalid ciphertext",
        kind: ErrorKind::Undecryptable,
        what: "it is not what transit has sealed",
        fix: "put what transit answered there, from `vault:` on",
    },
    Known {
        statuses: &[503],
        phrase: "is sealed",
        kind: ErrorKind::Unreachable,
        what: "Vault is sealed",
        fix: "unseal it",
    },
];

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_phrases_tell_the_kind_and_no_answer_is_quoted() {
        use ErrorKind::{
            Conflict, Denied, Invalid, KeyUnusable, NotFound, Throttled, Undecryptable, Unreachable,
        };
        for (status, body, kind) in [
            (400, "check-and-set parameter did not match the current version", Conflict),
            (400, "check-and-set parameter required for this call", Conflict),
            (404, r#"no handler for route "nope/data/x". route entry not found."#, Invalid),
            (404, r#"{"errors":[]}"#, NotFound),
            (403, "permission denied", Denied),
            (400, "encryption key not found", KeyUnusable),
            (400, "cipher: message authentication failed", Undecryptable),
            (400, "invalid ciphertext: no prefix", Undecryptable),
            (400, "missing words", Invalid),
            (429, "", Throttled),
            (307, "", Unreachable),
            (473, "", Unreachable),
            (503, "Vault is sealed", Unreachable),
            (500, "words", Unreachable),
        ] {
            let error = of_answer(status, body.as_bytes());
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert!(!error.to_string().contains("words"), "{error}");
        }
    }
}
