//! [`Denied`]: why OpenAI did not do what a request asked for, where that is for whoever keeps the
//! keys to mend.
//!
//! Codes go first. Words are looked at only where there is no telling code, because OpenAI
//! documents few of them and changes their wording.

use std::borrow::Cow;
use std::fmt;

use http::{Extensions, StatusCode};
use keyward_core::{ApiKey, find};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// Why OpenAI refused a request, where it is the key's or the account's affair: an answer's 4xx,
/// understood.
///
/// The adapters put it among the extensions of the response; the response itself is handed on as it
/// came:
///
/// ```
/// use keyward::authorize::Denied;
///
/// fn tell<B>(response: &http::Response<B>) {
///     if let Some(denied) = Denied::of(response.extensions()) {
///         eprintln!("{denied}");
///     }
/// }
/// # tell(&http::Response::new(()));
/// ```
///
/// `Display` is one line: what OpenAI refuses, then the fix.
///
/// # Security
///
/// It holds the status, a code, and names of scopes. What the server said beside these is not kept:
/// OpenAI's own 401 repeats part of the key. The copy that it was read from is wiped, but for a text
/// with escapes (`\"`): `serde_json` takes that apart in memory of its own, which it does not wipe. The
/// body itself is the client's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    reason: DeniedReason,
    status: StatusCode,
    code: Option<String>,
    scopes: Vec<String>,
}

impl Denied {
    /// What an adapter has found, among the extensions of a response.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> DeniedReason {
        self.reason
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The server's code, if it gave one that reads like a code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The scopes that the key lacks, as far as the server named them; for
    /// [`DeniedReason::MissingScopes`].
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Takes an answer to a request with this key for what it is. None, if the key and the account
    /// have nothing to do with it.
    pub(crate) fn read(status: StatusCode, said: Said<'_>, key: &ApiKey) -> Option<Self> {
        let is_code = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
        let code = said.code.filter(|code| {
            (1..=64).contains(&code.len()) && code.bytes().all(is_code) && is_harmless(code, key)
        });
        let message = said.message.unwrap_or_default();
        let scopes = scopes(&message, key);
        let by_code = code.as_deref().and_then(|code| CODES.iter().find(|row| row.0 == code));
        let reason = match (by_code, status.as_u16()) {
            (Some((_, reason)), 400..=499) => *reason,
            (None, 401 | 403) if !scopes.is_empty() => DeniedReason::MissingScopes,
            (None, 401 | 403) => match by_words(&message) {
                Some(reason) => reason,
                None if status == StatusCode::UNAUTHORIZED => DeniedReason::Key,
                None => return None,
            },
            _ => return None,
        };
        Some(Self { reason, status, code: code.map(Cow::into_owned), scopes })
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        match self.reason {
            DeniedReason::Address => write!(
                f,
                "OpenAI refuses the request ({status}): it comes from an address that is not \
                 allowed; add it to the organization's allow list, or send from one that is there"
            ),
            DeniedReason::Budget => write!(
                f,
                "OpenAI refuses the request ({status}): there is no credit, or the budget is used \
                 up; raise it, or wait for the next month"
            ),
            DeniedReason::Key => write!(
                f,
                "OpenAI does not accept the key ({status}); store one that has not been revoked"
            ),
            DeniedReason::MissingScopes if self.scopes.is_empty() => write!(
                f,
                "OpenAI refuses the request ({status}): the key lacks a scope; give it more"
            ),
            DeniedReason::MissingScopes => write!(
                f,
                "OpenAI refuses the request ({status}): the key lacks the scopes {}; give it these",
                self.scopes.join(", ")
            ),
            DeniedReason::Owner => write!(
                f,
                "OpenAI refuses the request ({status}): the key belongs to another organization or \
                 project than the request names; use the one that it was made in"
            ),
        }
    }
}

/// Why a request was [`Denied`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DeniedReason {
    /// It came from an address, or a country, that is not allowed.
    Address,
    /// There is no credit, or a budget is used up.
    Budget,
    /// The key is not accepted: it was revoked, has expired, or never was one. With another status
    /// than 401 it may be a key in the request's body that is meant: the handle is not told.
    Key,
    /// The key lacks scopes.
    MissingScopes,
    /// The key belongs to another organization or project than the request names.
    Owner,
}

/// The codes that tell. Billing: OpenAI's published specification (2026-08-21), and
/// `insufficient_quota` from its error guide. The others have been seen in answers.
const CODES: [(&str, DeniedReason); 12] = [
    ("credit_balance_exhausted", DeniedReason::Budget),
    ("insufficient_quota", DeniedReason::Budget),
    ("invalid_api_key", DeniedReason::Key),
    ("ip_not_authorized", DeniedReason::Address),
    ("mismatched_organization", DeniedReason::Owner),
    ("mismatched_project", DeniedReason::Owner),
    ("missing_scope", DeniedReason::MissingScopes),
    ("missing_scopes", DeniedReason::MissingScopes),
    ("organization_spend_limit_exceeded", DeniedReason::Budget),
    ("organization_usage_limit_exceeded", DeniedReason::Budget),
    ("project_spend_limit_exceeded", DeniedReason::Budget),
    ("unsupported_country_region_territory", DeniedReason::Address),
];

/// Words that must all stand in a message, in small letters. The first of each reason has been
/// seen; the others are presumed.
const WORDS: [(&[&str], DeniedReason); 6] = [
    (&["ip ", "not authorized"], DeniedReason::Address),
    (&["country", "not supported"], DeniedReason::Address),
    (&["allowlist"], DeniedReason::Address),
    (&["must be a member of an organization"], DeniedReason::Owner),
    (&["should match organization"], DeniedReason::Owner),
    (&["should match project"], DeniedReason::Owner),
];

fn by_words(message: &str) -> Option<DeniedReason> {
    let words = in_small_letters(message);
    let row = WORDS.iter().find(|(all, _)| all.iter().all(|word| words.contains(word)));
    row.map(|(_, reason)| *reason)
}

/// The scopes behind "Missing scopes:". A scope is a word with a dot in it; what ends the list is
/// the next word of the sentence.
fn scopes(message: &str, key: &ApiKey) -> Vec<String> {
    const MOST: usize = 32;

    let words = in_small_letters(message);
    let Some(at) = words.find("missing scopes:").or_else(|| words.find("missing scope:")) else {
        return Vec::new();
    };
    let Some((_, list)) = message[at..].split_once(':') else { return Vec::new() };
    let is_scope = |scope: &str| {
        let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':');
        scope.contains('.')
            && scope.len() <= 64
            && scope.bytes().all(is_plain)
            && is_harmless(scope, key)
    };
    list.split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches(['.', '\'', '"', '`', ';', '[', ']']))
        .take_while(|word| is_scope(word))
        .take(MOST)
        .map(str::to_owned)
        .collect()
}

/// A copy that is wiped: the message can repeat the key. (Of one with escapes `serde_json` has made
/// copies already, which are not.)
fn in_small_letters(message: &str) -> Zeroizing<String> {
    Zeroizing::new(message.to_ascii_lowercase())
}

fn is_harmless(text: &str, key: &ApiKey) -> bool {
    !key.is_echoed_in(text) && find::scrub(text) == text
}

/// What an answer says of its failure, in any of the shapes seen: `{"error": {"code", "message"}}`,
/// the same without the wrapper, and `{"error": "code"}`.
#[derive(Default)]
pub(crate) struct Said<'a> {
    code: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
}

impl<'a> Said<'a> {
    /// What stands in the body of an answer; none, if that is no JSON, or not all of it.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The words, as they came: they may repeat the key.
    #[cfg(feature = "client-secret")]
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SaidVisitor)
    }
}

/// Takes what it knows, and passes over all else: a code that is a number, an error that is none.
struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Said { code: Some(text.into()), message: None })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Said { code: Some(text.to_owned().into()), message: None })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Said::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Said::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut said, mut inner) = (Said::default(), Said::default());
        let mut members = 0;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            members += 1;
            match &*name {
                // A word is read as an error of which that is the code.
                "code" => said.code = map.next_value::<Said<'de>>()?.code,
                "message" => said.message = map.next_value::<Said<'de>>()?.code,
                "error" => inner = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if members > 1_000 {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(Said { code: inner.code.or(said.code), message: inner.message.or(said.message) })
    }
}

#[cfg(test)]
mod tests {
    use keyward_testkit::assert_no_leak;
    use keyward_testkit::keys::{self, KeyRng};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn key() -> (String, ApiKey) {
        let text = keys::service_account_key(&mut KeyRng::seeded(7));
        let key = ApiKey::parse(text.clone()).expect("a key");
        (text, key)
    }

    fn read(status: u16, body: &serde_json::Value) -> Option<Denied> {
        let status = StatusCode::from_u16(status).expect("a status");
        let body = body.to_string();
        Denied::read(status, Said::read(body.as_bytes()).expect("JSON"), &key().1)
    }

    #[test]
    fn each_reason_is_told_by_code_or_by_words() {
        use DeniedReason::{Address, Budget, Key, MissingScopes, Owner};
        let coded = |code: &str| json!({"error": {"message": "No.", "code": code}});
        let worded = |message: &str| json!({"error": {"message": message, "code": null}});
        for (status, body, expected) in [
            (401, coded("invalid_api_key"), Some(Key)),
            (401, json!({}), Some(Key)),
            (401, json!("nothing"), Some(Key)),
            (401, json!({"error": [1, {"code": "insufficient_quota"}]}), Some(Key)),
            (401, json!({"error": {"code": 401, "message": 7}}), Some(Key)),
            (403, json!({"error": {"code": 401, "message": "No."}}), None),
            (403, coded("missing_scope"), Some(MissingScopes)),
            (403, worded("Missing scopes: api.model.read"), Some(MissingScopes)),
            (401, worded("IP 203.0.113.7 is not authorized."), Some(Address)),
            (403, coded("ip_not_authorized"), Some(Address)),
            (403, coded("unsupported_country_region_territory"), Some(Address)),
            (401, coded("mismatched_organization"), Some(Owner)),
            (
                401,
                worded("OpenAI-Organization header should match organization for key"),
                Some(Owner),
            ),
            (401, worded("You must be a member of an organization to use the API."), Some(Owner)),
            (429, coded("insufficient_quota"), Some(Budget)),
            (429, json!({"error": "insufficient_quota"}), Some(Budget)),
            (429, json!({"code": "insufficient_quota", "message": "No."}), Some(Budget)),
            (403, coded("project_spend_limit_exceeded"), Some(Budget)),
            (429, coded("rate_limit_exceeded"), None),
            (404, coded("model_not_found"), None),
            (500, coded("insufficient_quota"), None),
            (400, worded("IP addresses are not authorized"), None),
        ] {
            let denied = read(status, &body);
            assert_eq!(denied.as_ref().map(Denied::reason), expected, "{status} {body}");
            if let Some(denied) = denied {
                assert_eq!(denied.status(), status);
                let text = denied.to_string();
                assert!(text.lines().count() == 1 && text.contains("; "), "{text}");
            }
        }
    }

    #[test]
    fn scopes_end_with_the_list() {
        for (message, expected) in [
            ("Missing scopes: api.model.read.", &["api.model.read"][..]),
            ("No. Missing scopes: a.b, c.d. Check the key", &["a.b", "c.d"]),
            ("Missing scope: 'a.b' of it", &["a.b"]),
            ("Missing scopes:", &[]),
            ("missing a scope", &[]),
            ("Missing scopes: Ünïcode.x", &[]),
        ] {
            let (_, key) = key();
            assert_eq!(scopes(message, &key), expected, "{message}");
        }
    }

    /// A server that repeats the key, whole and in parts, wherever a text can stand.
    #[test]
    fn nothing_is_kept_that_repeats_the_key() {
        let (secret, _) = key();
        let small = secret.to_ascii_lowercase().replace('-', "_");
        for echo in
            [secret.clone(), secret[8..40].to_owned(), small.clone(), small[..50].to_owned()]
        {
            for body in [
                json!({"error": {"code": echo, "message": echo}}),
                json!({"error": echo}),
                json!({"code": echo, "error": {"message": format!("Missing scopes: {echo}.x")}}),
                json!({"error": {"message": format!("Missing scopes: a.b, a.{echo}")}}),
            ] {
                let denied = read(401, &body).expect("a 401 tells");
                assert_eq!(denied.code(), None);
                assert_no_leak!(
                    secret,
                    [("{}", denied.to_string()), ("{:?}", format!("{denied:?}"))]
                );
                assert!(!format!("{denied:?}").contains(&echo));
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_is_read(status in 400_u16..500, body: Vec<u8>) {
            let status = StatusCode::from_u16(status).expect("a status");
            let denied = Denied::read(status, Said::read(&body).unwrap_or_default(), &key().1);
            prop_assert!(denied.is_some() || status != StatusCode::UNAUTHORIZED);
        }
    }
}
