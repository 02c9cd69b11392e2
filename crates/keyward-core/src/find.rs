//! Keys in text that others wrote: error messages above all, which echo what was sent.

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
                out.extend(
                    kind.as_str()
                        .chars()
                        .map(|c| if c == '_' { ' ' } else { c }),
                );
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

/// How long a word must be to look random rather than written.
const RANDOM: usize = 20;

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
    let bytes = word.as_bytes();
    let from_prefix = (0..bytes.len()).find(|&at| {
        let rest = &bytes[at..];
        let prefix = FORMATS
            .iter()
            .map(|format| format.prefix.as_bytes())
            .chain([b"sk-".as_slice()])
            .find(|prefix| rest.starts_with(prefix));
        // `task-list` has the letters too: what follows must not read like a word, unless it
        // stands where a key would begin.
        prefix.is_some_and(|prefix| {
            let tail = &rest[prefix.len()..];
            let starts = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
            let wordlike = tail.iter().all(|b| b.is_ascii_lowercase() || *b == b'-');
            !tail.is_empty()
                && if starts {
                    tail.len() >= 3 || !wordlike
                } else {
                    !wordlike
                }
        })
    });
    if let Some(at) = from_prefix {
        return Some((at, KeyKind::classify(&bytes[at..])));
    }
    if bytes.windows(MARKER.len()).any(|window| window == MARKER) {
        return Some((0, KeyKind::Unknown));
    }
    let is_identifier = IDENTIFIERS.iter().any(|prefix| {
        word.strip_prefix(prefix)
            .is_some_and(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()))
    });
    let is_masked = word.contains(['*', '•']) && word.chars().any(char::is_alphanumeric);
    let is_random = word.len() >= RANDOM
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_alphabetic());
    (!is_identifier && (is_masked || is_random)).then_some((0, KeyKind::Unknown))
}
