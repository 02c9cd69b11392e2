//! Text read back out of the forms that hide it: escapes, UTF-16, base64.
//!
//! A view has the bytes that were meant, and knows of each where it stood. It may hold a key, so it
//! is wiped.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::signs::Sighting;

/// Bytes that were meant, and where each of them stood.
pub(super) struct View {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    spans: Vec<(u32, u32)>,
}

impl View {
    fn with_capacity(capacity: usize) -> Self {
        // Nothing grows: a buffer that moves leaves what it held behind.
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(capacity)),
            spans: Vec::with_capacity(capacity),
        }
    }

    fn push(&mut self, byte: u8, start: usize, end: usize) {
        self.bytes.push(byte);
        self.spans.push((start as u32, end as u32));
    }

    /// Where the bytes `start..end` of the view stood.
    pub(super) fn place(&self, start: usize, end: usize) -> (usize, usize) {
        (self.spans[start].0 as usize, self.spans[end - 1].1 as usize)
    }
}

/// What stands for "no character of a key".
const BREAK: u8 = 0;

/// The text with `%2D`, `\u002d`, `\x2d` and the escapes of one letter read back.
pub(super) fn unescaped(text: &[u8]) -> View {
    let mut view = View::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (byte, len) = escape(&text[at..]).unwrap_or((text[at], 1));
        view.push(byte, at, at + len);
        at += len;
    }
    view
}

fn escape(text: &[u8]) -> Option<(u8, usize)> {
    if let [b'%', rest @ ..] = text {
        return Some((hex(rest, 2)?, 3));
    }
    // Several backslashes are one that was escaped itself, as JSON within JSON has them.
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    if slashes == 0 {
        return None;
    }
    let (byte, len) = match &text[slashes..] {
        [b'u', rest @ ..] => hex(rest, 4).map_or((BREAK, 0), |byte| (byte, 5)),
        [b'x', rest @ ..] => hex(rest, 2).map_or((BREAK, 0), |byte| (byte, 3)),
        [b'b' | b'f' | b'n' | b'r' | b't', ..] => (BREAK, 1),
        _ => (BREAK, 0),
    };
    Some((byte, slashes + len))
}

/// The byte that so many hexadecimal digits stand for; what is no ASCII is no part of a key.
fn hex(text: &[u8], digits: usize) -> Option<u8> {
    let value = text
        .get(..digits)?
        .iter()
        .try_fold(0_u32, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))?;
    Some(u8::try_from(value).unwrap_or(BREAK))
}

/// Every other byte, as far as the bytes between them are zero: the text as UTF-16.
///
/// The characters stand at the places of the text that are `parity` modulo two. `is_big` says to
/// which side the zero of each belongs, which does not change what the text says.
pub(super) fn utf16(text: &[u8], parity: usize, is_big: bool) -> View {
    let mut view = View::with_capacity(text.len() + 2);
    let is_zero = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&0);
    for at in (parity..text.len()).step_by(2) {
        let (before, after) = (is_zero(at.checked_sub(1)), is_zero(Some(at + 1)));
        if !before {
            view.push(BREAK, at, at);
        }
        let byte = if before || after { text[at] } else { BREAK };
        match is_big {
            true => view.push(byte, if before { at - 1 } else { at }, at + 1),
            false => view.push(byte, at, if after { at + 2 } else { at + 1 }),
        }
    }
    view
}

/// The bytes around an anchor.
pub(super) fn base64(text: &[u8], Sighting { at, place, is_inside }: Sighting) -> View {
    const MOST: usize = 2 * super::rules::SIDE;

    // The groups of four, the first of which may have begun before the text.
    let most = if is_inside { MOST } else { 4 };
    let back = text[..at].iter().rev().take(most).take_while(|b| digit(**b).is_some()).count();
    let ahead = text[at..].iter().take(MOST).take_while(|b| digit(**b).is_some()).count();
    let (start, end) = (at - back, at + ahead);
    let lead = (place + 4 - back % 4) % 4;
    let mut view = View::with_capacity((lead + end - start) / 4 * 3 + 3);
    let (mut word, mut letters) = (0_u32, 0);
    let padding = core::iter::repeat_n((start, 0), lead);
    let digits = (start..end).filter_map(|at| Some((at, digit(text[at])?)));
    for (at, value) in padding.chain(digits) {
        word = word << 6 | u32::from(value);
        letters += 1;
        // Each letter but the first of a group completes a byte, which began in the one before.
        match letters % 4 {
            2 => view.push((word >> 4) as u8, at.saturating_sub(1).max(start), at + 1),
            3 => view.push((word >> 2) as u8, at.saturating_sub(1).max(start), at + 1),
            0 => view.push(word as u8, at.saturating_sub(1).max(start), at + 1),
            _ => {}
        }
    }
    // A byte of which some bits are only padding is none.
    for byte in view.bytes.iter_mut().take(lead) {
        *byte = BREAK;
    }
    view
}

/// The six bits of a letter of either alphabet.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
