//! Short texts that others wrote, in which too much is masked rather than too little.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::KeyKind;
use crate::formats::{FORMATS, IDENTIFIERS, MARKER};

/// A text with everything that may be a key masked.
///
/// It is for short texts that a server wrote, and it would rather mask too much: a word that
/// begins like a key, a word with a key glued into it, the partly masked key of a `401`, and any
/// long random-looking word that is not an identifier (`proj_…`, `key_…`, `req_…`). A masked word
/// reads `[project key]`, or `[masked]` when its kind is not known.
///
/// ```
/// use keyward_core::find;
///
/// assert_eq!(
///     find::scrub("Incorrect API key provided: sk-proj-****ab12. You can find it"),
///     "Incorrect API key provided: [project key]. You can find it",
/// );
/// assert_eq!(find::scrub("No project proj_abc found"), "No project proj_abc found");
/// ```
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for (start, end) in words(text) {
        let Some((from, kind)) = suspicious(&text[start..end]) else {
            continue;
        };
        out.push_str(&text[copied..start + from]);
        match kind {
            KeyKind::Unknown => out.push_str("[masked]"),
            kind => {
                out.push('[');
                out.extend(kind.as_str().chars().map(|c| if c == '_' { ' ' } else { c }));
                out.push_str(" key]");
            }
        }
        copied = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether a text has something in it that begins like a key, or has a key's marker.
///
/// It is for texts that are kept as they are or not at all, such as request ids. A long random
/// word is none here.
///
/// ```
/// use keyward_core::find;
///
/// assert!(find::contains_key("x-sk-proj-A1b2"));
/// assert!(!find::contains_key("b1946ac9-2ad6-4b0d-8f0c-5f2d3c4b5a69"));
/// ```
#[must_use]
pub fn contains_key(text: &str) -> bool {
    words(text).any(|(start, end)| begins_key(&text.as_bytes()[start..end]).is_some())
}

/// How long a word must be to look random rather than written, when it has digits and letters.
const RANDOM: usize = 20;

/// The same, when it has digits and letters of both cases, as pieces of a key have.
const RANDOM_MIXED: usize = 12;

/// Runs of characters that keys and their masked forms consist of, without the dots at the end of
/// a sentence.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let is_word = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '*' | '.' | '…' | '•' | '+' | '=' | '%' | '~')
    };
    let mut at = 0;
    core::iter::from_fn(move || {
        let start = at + text[at..].find(is_word)?;
        let rest = &text[start..];
        let run = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        at = start + run;
        Some((start, start + rest[..run].trim_end_matches('.').len()))
    })
}

/// From where in the word a key may stand, and of which kind it would be.
fn suspicious(word: &str) -> Option<(usize, KeyKind)> {
    if let Some(at) = begins_key(word.as_bytes()) {
        return Some((at, KeyKind::classify(&word.as_bytes()[at..])));
    }
    let is_identifier = IDENTIFIERS.iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()))
    });
    let is_masked = word.contains(['*', '•']) && word.chars().any(char::is_alphanumeric);
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_random = has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && (word.len() >= RANDOM || (is_mixed && word.len() >= RANDOM_MIXED));
    (!is_identifier && (is_masked || is_random)).then_some((0, KeyKind::Unknown))
}

/// Where in the word something begins like a key; the whole word when only the marker is there.
fn begins_key(word: &[u8]) -> Option<usize> {
    let from_prefix = (0..word.len()).find(|&at| {
        let rest = &word[at..];
        let prefix = FORMATS
            .iter()
            .map(|format| format.prefix.as_bytes())
            .chain([b"sk-".as_slice()])
            .find(|prefix| rest.starts_with(prefix));
        // `task-list` has the letters too: what follows must not read like a word, unless it
        // stands where a key would begin.
        prefix.is_some_and(|prefix| {
            let tail = &rest[prefix.len()..];
            let is_start = at == 0 || !word[at - 1].is_ascii_alphanumeric();
            let is_word = tail.iter().all(|b| b.is_ascii_lowercase() || *b == b'-');
            !tail.is_empty() && (!is_word || (is_start && tail.len() >= 3))
        })
    });
    let marked = || word.windows(MARKER.len()).any(|window| window == MARKER).then_some(0);
    from_prefix.or_else(marked)
}
