//! Text read back out of the forms that hide it: escapes, UTF-16, base64.
//!
//! A view has the bytes that were meant, and knows of each where it stood. It may hold a key, so it
//! is wiped.

use alloc::vec::Vec;

use zeroize::Zeroizing;

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

/// The text with `%2D`, `\u002d`, `\x2d`, `\055`, `\-` and the escapes of one letter read back.
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
        // Markdown and regular expressions.
        [sign @ (b'-' | b'_'), ..] => (*sign, 1),
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3)
        }
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

/// The text as UTF-16: every other byte, where the byte beside it is zero.
///
/// The characters stand at the places of the text that are `parity` modulo two; `is_big` says on
/// which side the zero of each is. Only whole units are taken.
pub(super) fn utf16(text: &[u8], parity: usize, is_big: bool) -> View {
    let mut view = View::with_capacity(text.len() / 2 + 1);
    for at in (parity..text.len()).step_by(2) {
        let (zero, start) =
            if is_big { (at.checked_sub(1), at.saturating_sub(1)) } else { (Some(at + 1), at) };
        let is_unit = zero.and_then(|zero| text.get(zero)) == Some(&0);
        view.push(if is_unit { text[at] } else { BREAK }, start, start + 2);
    }
    view
}

/// Base64 read back, all of `text`, the groups of four in which begin at `phase` modulo four.
///
/// Whatever is no letter of base64 breaks it.
pub(super) fn base64(text: &[u8], phase: usize) -> View {
    let mut view = View::with_capacity(text.len() / 4 * 3 + 6);
    // The bits of the last letters, and how many letters there are without a gap.
    let (mut word, mut letters) = (0_u32, 0_usize);
    for (at, byte) in text.iter().enumerate() {
        let value = digit(*byte);
        word = word << 6 | u32::from(value.unwrap_or(0));
        letters = if value.is_some() { letters + 1 } else { 0 };
        // Each letter but the first of a group completes a byte, which began in the one before.
        let shift = match (at + 4 - phase) % 4 {
            0 => continue,
            place => 6 - 2 * place as u32,
        };
        // A byte of which some bits are missing is none.
        let byte = if letters >= 2 { (word >> shift) as u8 } else { BREAK };
        view.push(byte, at.saturating_sub(1), at + 1);
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
