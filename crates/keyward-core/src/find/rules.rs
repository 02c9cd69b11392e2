//! What is a key, in text that is already decoded. Nothing here looks at how it was encoded.
//!
//! The rules rest on prefix and marker, and on least lengths, never on exact ones, but for formats
//! that have nothing else. What they take ends where no character of a key follows: a match that
//! stopped inside a key would leave its tail.

use memchr::memmem;

use crate::KeyKind;
use crate::formats::MARKER;

/// A key in a view: from where to where, what it is, and how sure that is.
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: KeyKind,
    pub(super) is_certain: bool,
}

/// So many characters are looked at on each side of a marker. The longest known key has 85.
pub(super) const SIDE: usize = 512;

/// The fewest characters on each side of a marker, in every generation.
const HALF: usize = 20;

/// A key that was cut off behind its prefix is told by so many characters.
const CUT: usize = 63;

/// The digits of `ek_`, and the letters and digits of `sess-`.
const EPHEMERAL: usize = 32;
const SESSION: usize = 40;

/// Bodies of `sk-` without a marker: so many letters and digits, or so many characters.
const UNMARKED: usize = 40;
const UNMARKED_LONG: usize = 92;

const OWN_PREFIXES: [&[u8]; 4] = [b"sk-proj-", b"sk-svcacct-", b"sk-admin-", b"sk-None-"];

/// The first key in `view` that begins at or after `from`.
///
/// `names_openai` tells of a place in the view whether the words before it speak of OpenAI.
pub(super) fn next(
    view: &[u8],
    from: usize,
    names_openai: impl Fn(usize) -> bool,
) -> Option<Match> {
    let mut at = from;
    while at < view.len() {
        let rest = &view[at..];
        let found = match rest[0] {
            b'T' if rest.starts_with(MARKER) => marked(view, from, at),
            b'e' if rest.starts_with(b"ek_") => ephemeral(view, at),
            b's' if rest.starts_with(b"sess-") => session(view, at),
            b's' if rest.starts_with(b"sk-") => {
                // What has a marker is one key up to its end, whatever else seems to begin in it.
                let len = run(rest, SIDE, is_key);
                let marker = memmem::find(&rest[..len], MARKER);
                let marked = marker.and_then(|marker| marked(view, at, at + marker));
                marked
                    .filter(|found| found.start == at)
                    .or_else(|| unmarked(view, at, &names_openai))
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        at += 1;
    }
    None
}

/// A key around the marker at `at`.
fn marked(view: &[u8], from: usize, at: usize) -> Option<Match> {
    let after = at + MARKER.len();
    let end = after + run(&view[after..], SIDE, is_key);
    let before = &view[from.max(at.saturating_sub(SIDE))..at];
    let before = &before[before.len() - before.iter().rev().take_while(|b| is_key(**b)).count()..];
    let begins = |prefix: &[u8]| memmem::find(before, prefix);
    // Other text may be glued to the front, so a prefix that says more is looked for first. Of
    // several the first counts, because a later one can be chance within the key.
    let named = OWN_PREFIXES.iter().filter_map(|p| Some((begins(p)?, p.len()))).min();
    let (start, prefix) = named.or_else(|| Some((begins(b"sk-")?, b"sk-".len())))?;
    let is_whole = end - after >= HALF;
    if before.len() - start < prefix + HALF || (!is_whole && named.is_none()) {
        return None;
    }
    let start = at - before.len() + start;
    Some(Match { start, end, kind: KeyKind::classify(&view[start..end]), is_certain: is_whole })
}

fn ephemeral(view: &[u8], at: usize) -> Option<Match> {
    let digits = &view[at + b"ek_".len()..];
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if run(digits, EPHEMERAL, is_hex) < EPHEMERAL {
        return None;
    }
    let end = view.len() - digits.len() + run(digits, SIDE, |b| b.is_ascii_alphanumeric());
    Some(Match { start: at, end, kind: KeyKind::EphemeralClient, is_certain: true })
}

fn session(view: &[u8], at: usize) -> Option<Match> {
    let body = &view[at + b"sess-".len()..];
    let len = run(body, SIDE, |b| b.is_ascii_alphanumeric());
    (len >= SESSION).then_some(Match {
        start: at,
        end: view.len() - body.len() + len,
        kind: KeyKind::Session,
        is_certain: true,
    })
}

/// What begins like a key at `at` and has no marker: one that was cut off, or one of the first
/// years, whose shape others have taken over.
fn unmarked(view: &[u8], at: usize, names_openai: impl Fn(usize) -> bool) -> Option<Match> {
    let len = run(&view[at..], 2 * SIDE, is_key);
    let key = &view[at..at + len];
    let prefix = OWN_PREFIXES.iter().find(|prefix| key.starts_with(prefix));
    let is_possible = if let Some(prefix) = prefix {
        len >= CUT && is_random(&key[prefix.len()..])
    } else {
        let body = &key[b"sk-".len()..];
        let is_glued = at.checked_sub(1).is_some_and(|before| is_key(view[before]));
        let has_shape = run(body, UNMARKED, |b| b.is_ascii_alphanumeric()) == UNMARKED
            || body.len() >= UNMARKED_LONG;
        has_shape
            && !is_glued
            && KeyKind::classify(key) == KeyKind::Unknown
            && is_random(body)
            && names_openai(at)
    };
    is_possible.then(|| Match {
        start: at,
        end: at + len,
        kind: KeyKind::classify(key),
        is_certain: false,
    })
}

/// Letters of both cases and digits, as chance makes them and people do not.
fn is_random(text: &[u8]) -> bool {
    let count = |is_sort: fn(&u8) -> bool| text.iter().filter(|byte| is_sort(byte)).count();
    let (lower, upper) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    if lower == 0 || upper == 0 || text.iter().any(u8::is_ascii_digit) {
        return lower > 0 && upper > 0;
    }
    // Of 40 letters and digits, one time in a thousand none is a digit. What people write has
    // fewer capitals, or less variety.
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic());
    let variety = letters.fold(0_u128, |seen, letter| seen | 1 << (letter & 0x7F)).count_ones();
    variety >= 16 && upper.min(lower) * 4 >= upper + lower
}

/// Whether a key can have this character behind its prefix.
pub(super) const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// How many bytes at the start, at the most `most`, are of this sort.
fn run(text: &[u8], most: usize, is_sort: impl Fn(u8) -> bool) -> usize {
    text.iter().take(most).take_while(|byte| is_sort(**byte)).count()
}
