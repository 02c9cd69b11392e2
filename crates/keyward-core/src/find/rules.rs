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
/// `names_openai` tells of a place in the view whether the words before it speak of OpenAI, and may
/// deny it for what is glued to other text.
pub(super) fn next(
    view: &[u8],
    from: usize,
    names_openai: impl Fn(usize, bool) -> bool,
) -> Option<Match> {
    let mut at = from;
    // What is true of a whole run is found once in it: its end, its next marker, and where a key
    // with a marker may have begun.
    let (mut end, mut marker, mut begun) = (from, None, None);
    while at < view.len() {
        if at >= end {
            end = at + run(&view[at..], usize::MAX, is_key).max(1);
            (marker, begun) = (next_marker(view, at, end), None);
        } else if marker.is_some_and(|marker| marker < at) {
            marker = next_marker(view, at, end);
        }
        let rest = &view[at..end];
        let found = match rest[0] {
            b'T' if marker == Some(at) && begun.is_some_and(|begun| begun + SIDE >= at) => {
                marked(view, from, at, end)
            }
            b'e' if rest.starts_with(b"ek_") => ephemeral(view, at, end),
            b's' if rest.starts_with(b"sess-") => session(view, at, end),
            b's' if rest.starts_with(b"sk-") => {
                begun = Some(at);
                // What has a marker is one key up to its end, whatever else seems to begin in it.
                let near = marker.filter(|marker| marker + MARKER.len() <= end.min(at + SIDE));
                let marked = near.and_then(|marker| marked(view, at, marker, end));
                marked
                    .filter(|found| found.start == at)
                    .or_else(|| unmarked(view, at, end, &names_openai))
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
fn marked(view: &[u8], from: usize, at: usize, run_end: usize) -> Option<Match> {
    let after = at + MARKER.len();
    let end = ending(view, run_end, after + HALF, after + SIDE);
    let before = &view[from.max(at.saturating_sub(SIDE))..at];
    let before = &before[before.len() - before.iter().rev().take_while(|b| is_key(**b)).count()..];
    let begins = |prefix: &[u8]| memmem::find(before, prefix);
    // Other text may be glued to the front, so a prefix that says more is looked for first. Of
    // several the first counts, because a later one can be chance within the key.
    let named = OWN_PREFIXES.iter().filter_map(|p| Some((begins(p)?, p.len()))).min();
    let (start, prefix) = named.or_else(|| Some((begins(b"sk-")?, b"sk-".len())))?;
    let is_whole = end - after >= HALF;
    let body = &before[start + prefix..];
    if body.len() < HALF || !(is_whole || named.is_some() || (end > after && is_classic(body))) {
        return None;
    }
    let start = at - before.len() + start;
    Some(Match { start, end, kind: KeyKind::classify(&view[start..end]), is_certain: is_whole })
}

/// Whether this stood between `sk-` and the marker before keys had prefixes of their own: exactly so
/// many letters and digits, and before them the name of a service account, if of one.
fn is_classic(body: &[u8]) -> bool {
    let (name, half) = body.split_at(body.len() - HALF);
    let is_name = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    half.iter().all(u8::is_ascii_alphanumeric)
        && (name.is_empty() || (name.ends_with(b"-") && name.iter().all(is_name)))
}

fn ephemeral(view: &[u8], at: usize, run_end: usize) -> Option<Match> {
    let digits = at + b"ek_".len();
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if run(&view[digits..run_end], EPHEMERAL, is_hex) < EPHEMERAL {
        return None;
    }
    // Words end like that: `week_`, with a hash behind it.
    let is_word = at.checked_sub(1).is_some_and(|before| view[before].is_ascii_alphabetic());
    Some(Match {
        start: at,
        end: ending(view, run_end, digits + EPHEMERAL, digits + SIDE),
        kind: KeyKind::EphemeralClient,
        is_certain: !is_word,
    })
}

fn session(view: &[u8], at: usize, run_end: usize) -> Option<Match> {
    let body = &view[at + b"sess-".len()..run_end];
    let body = &body[..run(body, SIDE, |b| b.is_ascii_alphanumeric())];
    // A hash has letters of one case.
    let has = |is_sort: fn(&u8) -> bool| body.iter().any(is_sort);
    let is_key =
        body.len() >= SESSION && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    is_key.then(|| Match {
        start: at,
        end: ending(view, run_end, at + SESSION, at + SIDE),
        kind: KeyKind::Session,
        is_certain: true,
    })
}

/// What begins like a key at `at` and has no marker: one that was cut off, or one of the first
/// years, whose shape others have taken over.
fn unmarked(
    view: &[u8],
    at: usize,
    run_end: usize,
    names_openai: impl Fn(usize, bool) -> bool,
) -> Option<Match> {
    let end = ending(view, run_end, at + CUT, at + 2 * SIDE);
    let key = &view[at..end];
    let prefix = OWN_PREFIXES.iter().find(|prefix| key.starts_with(prefix));
    let is_possible = if let Some(prefix) = prefix {
        let body = &key[prefix.len()..];
        (key.len() >= CUT || before_cut_marker(body) >= HALF) && is_random(body)
    } else {
        let body = &key[b"sk-".len()..];
        let is_glued = at.checked_sub(1).is_some_and(|before| is_key(view[before]));
        let has_shape = body.len() >= UNMARKED_LONG
            || run(body, UNMARKED, |b| b.is_ascii_alphanumeric()) == UNMARKED;
        has_shape
            && names_openai(at, is_glued)
            && KeyKind::classify(key) == KeyKind::Unknown
            && is_random(body)
    };
    is_possible.then(|| Match { start: at, end, kind: KeyKind::classify(key), is_certain: false })
}

/// Where a key ends that has at least the characters before `least`: with its run, but no later
/// than at `most`. Another that has begun by then in a longer run is left whole.
fn ending(view: &[u8], run_end: usize, least: usize, most: usize) -> usize {
    if run_end <= most {
        return run_end;
    }
    let glued = &view[least..run_end.min(most + b"sk-".len() - 1)];
    memmem::rfind(glued, b"sk-").map_or(most, |at| least + at)
}

fn next_marker(view: &[u8], at: usize, end: usize) -> Option<usize> {
    let rest = &view[at..end];
    // Most runs are too short for it.
    (rest.len() >= MARKER.len()).then(|| memmem::find(rest, MARKER))?.map(|found| at + found)
}

/// How much stands before a marker within which it was cut off; nothing where it was not.
fn before_cut_marker(text: &[u8]) -> usize {
    let cut = (4..MARKER.len()).rev().find(|len| text.ends_with(&MARKER[..*len]));
    cut.map_or(0, |len| text.len() - len)
}

/// Letters of both cases and digits, as chance makes them and people do not.
fn is_random(text: &[u8]) -> bool {
    // So many characters of a key have them all.
    const MOST: usize = 128;

    let text = &text[..text.len().min(MOST)];
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
