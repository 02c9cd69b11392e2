//! What a server says of a failure: its code, its words, and the kind of failure that they tell.
//!
//! Codes go first. Words are looked at only where there is no telling code, because OpenAI
//! documents few of them and changes their wording; which of them are only presumed is said in the
//! table.

use keyward_core::{ApiKey, find};
use zeroize::Zeroizing;

use crate::wire::ErrorShape;
use crate::{ErrorKind, Scope};

/// What the server said, in any of the shapes seen: `{"error": {…}}`, the same without the
/// wrapper, `{"error": "code", "error_description": "…"}`, or not JSON at all.
///
/// Nothing is kept that repeats a piece of the key that was sent.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) code: Option<String>,
    /// One line, with everything masked that may be a key.
    pub(crate) message: Option<String>,
    pub(crate) scopes: Vec<Scope>,
    hint: Option<Hint>,
}

/// What the words of a message point to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hint {
    Address,
    Organization,
    Policy,
    WrongKey,
}

impl Said {
    pub(crate) fn decode(body: &[u8], key: &ApiKey) -> Self {
        let Ok(shape) = serde_json::from_slice::<ErrorShape>(body) else {
            return Self::default();
        };
        let (code, message) = shape.into_parts();
        let code = code.filter(|code| is_code(code) && !key.is_echoed_in(code));
        let mut said = Self { code: code.map(|code| code.to_string()), ..Self::default() };
        let Some(message) = message else { return said };
        let words = Zeroizing::new(message.to_ascii_lowercase());
        said.hint = hint(&words);
        if key.is_echoed_in(&message) {
            let what = "the server repeated the key, so its words are left out";
            said.message = Some(what.to_owned());
        } else {
            said.scopes = missing_scopes(&message, &words);
            said.message = Some(readable(&message));
        }
        said
    }

    /// Status codes are the server's, and its own codes more telling where there is one.
    pub(crate) fn kind(&self, status: u16) -> ErrorKind {
        let told = self.code.as_deref().and_then(|code| {
            CODES.iter().find(|row| row.0.contains(&status) && row.1 == code).map(|row| row.2)
        });
        if let Some(kind) = told {
            return kind;
        }
        if matches!(status, 401 | 403) && !self.scopes.is_empty() {
            return ErrorKind::MissingScopes;
        }
        match (self.hint, status) {
            (Some(Hint::Address), 401 | 403) => ErrorKind::AddressNotAllowed,
            (Some(Hint::Organization), 401 | 403) => ErrorKind::OrganizationMismatch,
            (Some(Hint::Policy), 400 | 403 | 422) => ErrorKind::OrganizationPolicy,
            (Some(Hint::WrongKey), 401 | 403) => ErrorKind::WrongKey,
            _ => kind_of(status),
        }
    }
}

type Statuses = std::ops::RangeInclusive<u16>;

/// The codes that tell more than their status.
///
/// Billing: the published specification (2026-08-21), and `insufficient_quota` from OpenAI's error
/// guide. The others have been seen in answers.
const CODES: [(Statuses, &str, ErrorKind); 13] = [
    (400..=499, "credit_balance_exhausted", ErrorKind::Budget),
    (400..=499, "insufficient_quota", ErrorKind::Budget),
    (400..=499, "organization_spend_limit_exceeded", ErrorKind::Budget),
    (400..=499, "organization_usage_limit_exceeded", ErrorKind::Budget),
    (400..=499, "project_spend_limit_exceeded", ErrorKind::Budget),
    (401..=403, "invalid_api_key", ErrorKind::Unauthorized),
    (401..=403, "ip_not_authorized", ErrorKind::AddressNotAllowed),
    (401..=403, "mismatched_organization", ErrorKind::OrganizationMismatch),
    (401..=403, "mismatched_project", ErrorKind::OrganizationMismatch),
    (401..=403, "missing_scope", ErrorKind::MissingScopes),
    (401..=403, "missing_scopes", ErrorKind::MissingScopes),
    (401..=403, "unsupported_country_region_territory", ErrorKind::AddressNotAllowed),
    (429..=429, "rate_limit_exceeded", ErrorKind::Throttled),
];

/// What a message points to: words that must all stand in it, in small letters.
///
/// Documented or seen: the first of the address, the first two of the organization, the first of
/// the wrong key. All others are presumed, and so is all of the policy, for which OpenAI tells neither
/// code nor words.
const HINTS: [(&[&str], Hint); 13] = [
    (&["ip", "not authorized"], Hint::Address),
    (&["allowlist"], Hint::Address),
    (&["country", "not supported"], Hint::Address),
    (&["must be a member of an organization"], Hint::Organization),
    (&["should match organization"], Hint::Organization),
    (&["should match project"], Hint::Organization),
    (&["must be made with a", "key type"], Hint::WrongKey),
    (&["requires an admin", "key"], Hint::WrongKey),
    (&["organization", "service account", "keys only"], Hint::Policy),
    (&["organization", "only service account"], Hint::Policy),
    (&["organization", "api keys to expire"], Hint::Policy),
    (&["organization", "maximum", "lifetime"], Hint::Policy),
    (&["organization", "maximum", "expir"], Hint::Policy),
];

fn hint(words: &str) -> Option<Hint> {
    let row = HINTS.iter().find(|(all, _)| all.iter().all(|needle| has_words(words, needle)));
    row.map(|(_, hint)| *hint)
}

/// Whether `needle` stands in the text and begins a word there: "ip" is not in "membership".
fn has_words(text: &str, needle: &str) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let is_short = needle.len() < 3;
        let after = text[at + needle.len()..].chars().next();
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let goes_on = is_short && is_letter(after);
        !is_letter(before) && !goes_on
    })
}

fn kind_of(status: u16) -> ErrorKind {
    match status {
        300..=399 => ErrorKind::Redirect,
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

/// The scopes behind "Missing scopes:", with commas or spaces between them.
///
/// A scope is a word with a dot in it: what ends the list is the next word of the sentence.
///
/// `words` is the same text in small letters.
fn missing_scopes(text: &str, words: &str) -> Vec<Scope> {
    const MOST: usize = 32;
    const LONGEST: usize = 64;

    let behind = ["missing scopes:", "missing scope:"]
        .iter()
        .find_map(|name| words.find(name).map(|at| &text[at + name.len()..]));
    let Some(list) = behind else { return Vec::new() };
    let mut scopes: Vec<Scope> = Vec::new();
    for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
        let scope = word.trim_matches(['.', '\'', '"', '`', ';', '[', ']']);
        let is_scope = scope.contains('.')
            && scope.len() <= LONGEST
            && scope
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':'))
            && find::scrub(scope) == scope;
        if !is_scope || scopes.len() == MOST {
            break;
        }
        if !scopes.iter().any(|known| known.as_str() == scope) {
            scopes.push(Scope::from(scope));
        }
        // The end of the sentence.
        if word.ends_with('.') {
            break;
        }
    }
    scopes
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

#[cfg(test)]
mod tests {
    use keyward_core::ApiKey;
    use keyward_testkit::assert_no_leak;
    use keyward_testkit::keys::{self, KeyRng};
    use keyward_testkit::leak::error_surfaces;
    use serde_json::json;

    use super::{CODES, HINTS, Said};
    use crate::error::Answer;
    use crate::{Error, ErrorKind, Scope};

    fn key() -> (String, ApiKey) {
        let text = keys::admin_key(&mut KeyRng::seeded(5));
        let key = ApiKey::parse(text.clone()).expect("a key");
        (text, key)
    }

    /// The same words in each shape that an answer has been seen to have.
    fn shapes(code: Option<&str>, message: &str) -> Vec<String> {
        let body = json!({"message": message, "type": "invalid_request_error", "code": code});
        let mut shapes = vec![json!({"error": body}).to_string(), body.to_string()];
        match code {
            Some(code) => {
                shapes.push(json!({"error": code, "error_description": message}).to_string());
            }
            None => {
                shapes.push(json!({"error": message}).to_string());
                // A code that is a number, as in two examples of OpenAI's.
                shapes.push(json!({"code": 401, "message": message}).to_string());
            }
        }
        shapes
    }

    const SCOPES: &str = "You have insufficient permissions for this operation. Missing scopes: \
                          api.organization.projects.api_keys.read, api.mtls.write. Check that you \
                          have the correct role.";

    #[test]
    fn a_refusal_is_told_by_status_code_and_words() {
        use ErrorKind as K;
        let table: &[(u16, Option<&str>, &str, K)] = &[
            (301, None, "Moved.", K::Redirect),
            (400, None, "Bad.", K::InvalidRequest),
            (
                400,
                Some("invalid_value"),
                "Invalid value for 'expires_in_seconds'.",
                K::InvalidRequest,
            ),
            (401, Some("invalid_api_key"), "Incorrect API key provided.", K::Unauthorized),
            (401, None, "", K::Unauthorized),
            (401, None, "Your IP is not authorized.", K::AddressNotAllowed),
            (401, Some("ip_not_authorized"), "No.", K::AddressNotAllowed),
            (401, None, "The address is not on the allowlist.", K::AddressNotAllowed),
            (403, Some("unsupported_country_region_territory"), "No.", K::AddressNotAllowed),
            (403, None, "Country, region, or territory not supported", K::AddressNotAllowed),
            (401, Some("mismatched_organization"), "No.", K::OrganizationMismatch),
            (401, Some("mismatched_project"), "No.", K::OrganizationMismatch),
            (
                401,
                None,
                "OpenAI-Organization header should match organization for API key",
                K::OrganizationMismatch,
            ),
            (
                401,
                None,
                "You must be a member of an organization to use the API",
                K::OrganizationMismatch,
            ),
            (401, None, SCOPES, K::MissingScopes),
            (403, None, SCOPES, K::MissingScopes),
            (403, Some("missing_scope"), "No.", K::MissingScopes),
            // A telling code goes before the words.
            (401, Some("invalid_api_key"), SCOPES, K::Unauthorized),
            (
                401,
                Some("mismatched_organization"),
                "Your IP is not authorized.",
                K::OrganizationMismatch,
            ),
            // One that nobody knows does not.
            (403, Some("a_code_of_next_year"), SCOPES, K::MissingScopes),
            (
                403,
                None,
                "Your request must be made with a session key. You made it with the following key \
                 type: secret.",
                K::WrongKey,
            ),
            (401, None, "This endpoint requires an admin API key.", K::WrongKey),
            (
                400,
                None,
                "This organization requires API keys to expire within 3600 seconds.",
                K::OrganizationPolicy,
            ),
            (
                403,
                None,
                "This organization allows service account API keys only.",
                K::OrganizationPolicy,
            ),
            (403, None, "No.", K::Permission),
            (404, None, "No such project.", K::NotFound),
            (404, None, SCOPES, K::NotFound),
            (408, None, "", K::Timeout),
            (409, None, "There is one of that name.", K::Conflict),
            (410, None, "", K::NotFound),
            (422, None, "", K::InvalidRequest),
            (429, Some("rate_limit_exceeded"), "Slow down.", K::Throttled),
            (429, None, "Slow down.", K::Throttled),
            (429, Some("organization_spend_limit_exceeded"), "Spent.", K::Budget),
            (429, Some("project_spend_limit_exceeded"), "Spent.", K::Budget),
            (429, Some("organization_usage_limit_exceeded"), "Spent.", K::Budget),
            (429, Some("credit_balance_exhausted"), "Spent.", K::Budget),
            (429, Some("insufficient_quota"), "Spent.", K::Budget),
            // A server that failed has failed, whatever it says of the key.
            (500, Some("invalid_api_key"), SCOPES, K::Server),
            (500, Some("insufficient_quota"), "Spent.", K::Server),
            (503, None, "Your IP is not authorized.", K::Server),
        ];
        let (text, key) = key();
        for (status, code, message, kind) in table {
            for body in shapes(*code, message) {
                let said = Said::decode(body.as_bytes(), &key);
                assert_eq!(said.kind(*status), *kind, "{status} {body}");
                let names = said.scopes.iter().map(Scope::as_str).collect::<Vec<_>>();
                if *message == SCOPES {
                    assert_eq!(
                        names,
                        ["api.organization.projects.api_keys.read", "api.mtls.write"]
                    );
                } else {
                    assert!(names.is_empty(), "{body}");
                }
                let answer = Answer {
                    status: *status,
                    body: body.as_bytes(),
                    request_id: None,
                    retry_after: None,
                };
                assert_no_leak!(&text, error_surfaces(&Error::from_answer(&answer, &key)));
            }
        }
        let told: Vec<_> = table.iter().filter_map(|row| row.1).collect();
        for (_, code, _) in &CODES[..] {
            assert!(told.contains(code) || *code == "missing_scopes", "{code} is not in the table");
        }
    }

    #[test]
    fn scopes_are_read_as_far_as_they_are_scopes() {
        let (text, key) = key();
        let many = format!("Missing scopes: {}", "api.x.read, api.y.read ".repeat(500));
        let long = format!("Missing scopes: api.{}, api.b", "a".repeat(5_000));
        for (message, expected) in [
            ("Missing scopes: api.a.read", &["api.a.read"][..]),
            ("Missing scopes: api.a.read.", &["api.a.read"]),
            ("missing scope: model.request.", &["model.request"]),
            ("MISSING SCOPES: api.a.read model.request", &["api.a.read", "model.request"]),
            (
                "Missing scopes: api.a.read,api.b.write. Check api.c.read.",
                &["api.a.read", "api.b.write"],
            ),
            ("Missing scopes: 'api.a.read', 'api.a.read'", &["api.a.read"]),
            ("Missing scopes: api.a.read and then some", &["api.a.read"]),
            ("Missing scopes: everything", &[]),
            ("Missing scopes:", &[]),
            ("Missing scopes: \u{202e}api.a.read", &[]),
            ("İİ missing scopes: api.a.read", &["api.a.read"]),
            ("Missing scopes: API.A.READ", &[]),
            ("Missing scopes: https://evil.example/x", &[]),
            (&many, &["api.x.read", "api.y.read"]),
            (&long, &[]),
            (&format!("Missing scopes: api.a.read, {text}"), &[]),
            (&format!("Missing scopes: x.{}", &text[20..40]), &[]),
            (&format!("Missing scopes: x.{}", text[20..40].to_lowercase()), &[]),
        ] {
            let body = json!({"error": {"message": message}}).to_string();
            let said = Said::decode(body.as_bytes(), &key);
            let names: Vec<_> = said.scopes.iter().map(Scope::as_str).collect();
            assert_eq!(names, expected, "{message}");
        }
    }

    #[test]
    fn what_a_hostile_server_says_is_one_line_without_the_key() {
        let (text, key) = key();
        let other = keys::service_account_key(&mut KeyRng::seeded(6));
        let deep = format!("{{\"error\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            json!({"error": {"message": format!("provided: {text}")}}).to_string(),
            json!({"error": {"message": text, "code": text}}).to_string(),
            json!({"error": {"message": "x", "code": &text[30..50]}}).to_string(),
            json!({"error": {"message": format!("a\nb\r\u{2028}{other}\u{202e}")}}).to_string(),
            json!({"error": text}).to_string(),
            json!({"message": {"text": text}, "code": [text]}).to_string(),
            json!({"error": {"message": "x".repeat(1_000_000)}}).to_string(),
            format!("{{\"error\":{{\"message\":\"{text}"),
            format!("<html>{text}</html>"),
            text.clone(),
            deep,
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
        ] {
            // A long one takes its time without optimization.
            let statuses = [400, 401, 403, 429, 500];
            let statuses = if body.len() < 100_000 { &statuses[..] } else { &statuses[1..2] };
            for &status in statuses {
                let body = body.as_bytes();
                let answer = Answer { status, body, request_id: None, retry_after: None };
                let error = Error::from_answer(&answer, &key);
                let shown = error_surfaces(&error);
                assert_no_leak!(&text, &shown);
                assert_no_leak!(&other, &shown);
                assert!(
                    !error.to_string().contains(['\n', '\r', '\u{2028}', '\u{202e}']),
                    "{error}"
                );
                assert!(error.to_string().len() < 2_000);
            }
        }
    }

    #[test]
    fn every_hint_can_be_told() {
        for (row, (all, hint)) in HINTS.iter().enumerate() {
            let words = all.join(" … ");
            assert_eq!(super::hint(&words), Some(*hint), "row {row}: {words}");
        }
        assert_eq!(super::hint("a recipe for membership that was not authorized"), None);
    }
}
