//! What the token endpoint answers: a token, or why there is none.

use std::fmt;

use keyward_core::{ApiKey, KeySource};
use serde::de::{Deserializer, Visitor};
use zeroize::Zeroizing;

use super::subject::Fetched;
use crate::http_call::{Answer, Secret, readable};
use crate::{LoadError, LoadErrorKind};

/// What was exchanged for.
pub(super) struct Token {
    pub(super) key: ApiKey,
    /// How long it lives, in seconds, if that was told.
    pub(super) life: Option<u64>,
}

/// Takes the token out of an answer.
pub(super) fn token(
    answer: &Answer,
    subject: &Fetched,
    source: &KeySource,
) -> Result<Token, LoadError> {
    if answer.status != 200 {
        return Err(refused(answer, subject, source));
    }
    let invalid = |what: String| {
        let fix = "check that the endpoint is one of the token exchange";
        LoadError::new(LoadErrorKind::Invalid, source.clone(), what, fix)
    };
    // EXPOSE: the door for tokens that an exchange answers. serde's error is dropped: it quotes.
    let told: Told = serde_json::from_slice(&answer.body)
        .map_err(|_| invalid("the answer is not that of a token exchange".to_owned()))?;
    if !told.token_type.eq_ignore_ascii_case("bearer") {
        return Err(invalid("the answer's token is no bearer token".to_owned()));
    }
    let key = ApiKey::access_token(told.access_token.into_bytes()).map_err(|error| {
        invalid(format!("the answer has no access token: {:?}", error.reason()))
    })?;
    Ok(Token { key, life: told.expires_in })
}

/// A member of a JSON object that is a secret.
pub(super) fn secret_member(body: &[u8], name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut json = serde_json::Deserializer::from_slice(body);
    Deserializer::deserialize_map(&mut json, Member(name)).ok().flatten().map(|s| s.0)
}

#[derive(serde::Deserialize)]
struct Told {
    access_token: Secret,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Finds one member, and passes over the others.
struct Member<'a>(&'a str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<Secret>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 && found.is_none() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Why there is no token.
fn refused(answer: &Answer, subject: &Fetched, source: &KeySource) -> LoadError {
    let status = answer.status;
    let said = serde_json::from_slice::<Said>(&answer.body).unwrap_or_default();
    let code = said.error.as_ref().map(Secret::as_str);
    let code = code.filter(|code| is_code(code) && !subject.is_echoed_in(code));
    let words = said.error_description.map(|words| {
        readable(words.as_str(), |text| subject.is_echoed_in(text)).unwrap_or_else(|| {
            "the server repeated the subject token, so its words are left out".to_owned()
        })
    });
    let told = CODES.iter().find(|row| Some(row.0) == code);
    let kind = match status {
        300..=399 => LoadErrorKind::Unreadable,
        429 => LoadErrorKind::Throttled,
        408 | 500.. => LoadErrorKind::Unreachable,
        _ if code == Some("temporarily_unavailable") => LoadErrorKind::Unreachable,
        400..=499 => LoadErrorKind::Denied,
        _ => LoadErrorKind::Unreadable,
    };
    let mut what = match status {
        300..=399 => format!("redirected (status {status}), which is not followed"),
        _ => format!("refused (status {status}"),
    };
    if !(300..=399).contains(&status) {
        if let Some(code) = code {
            what += &format!(", {code}");
        }
        what.push(')');
        if let Some(words) = words {
            what += &format!(": {words}");
        }
    }
    let fix = match (told, kind) {
        (Some((_, fix)), _) => fix,
        (None, LoadErrorKind::Throttled) => "load less often, or try later",
        (None, LoadErrorKind::Unreachable) => "try later",
        (None, LoadErrorKind::Unreadable) => "check the endpoint",
        (None, _) => "check the ids, the endpoint, and the federation rules of the organization",
    };
    LoadError::new(kind, source.clone(), what, fix)
}

/// What a code of RFC 6749 or RFC 8693 asks to be mended.
const CODES: [(&str, &str); 8] = [
    ("access_denied", RULE),
    ("invalid_client", IDS),
    (
        "invalid_grant",
        "check that the subject token is of the issuer and audience of the identity provider, has \
         not expired, and is let in by a federation rule",
    ),
    ("invalid_request", IDS),
    ("invalid_scope", RULE),
    ("invalid_target", IDS),
    ("unauthorized_client", RULE),
    ("unsupported_grant_type", "check the endpoint"),
];

const IDS: &str = "check the ids of the identity provider and the service account";
const RULE: &str = "check that a federation rule lets the workload be the service account";

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Said {
    error: Option<Secret>,
    error_description: Option<Secret>,
}

/// Whether a text is a code, and not words or a secret.
fn is_code(text: &str) -> bool {
    (1..=48).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
