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
        !is_letter(before) && !(is_short && is_letter(after))
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
