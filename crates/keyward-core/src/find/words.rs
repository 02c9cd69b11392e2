//! Whether the words before a key name OpenAI.
//!
//! They are those before it on its line, the nearest [`REACH`] characters of them. Keys that were
//! found and the masks of keys are passed over: they say nothing, and take no room. So a list of keys
//! has its name for each, and a masked text says what it said before.

use core::ops::Range;

/// So far before a key its text may name OpenAI.
const REACH: usize = 64;

/// So many bytes are looked at, masks and the zeros of UTF-16 with them.
pub(super) const MOST: usize = 512;

const NAME: &[u8] = b"openai";

/// What is known of the words before a place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Words {
    /// The end of the last key, or where what is known of the text begins.
    pub(super) floor: usize,
    /// How many characters before that key the name began.
    pub(super) before: Option<usize>,
}

impl Words {
    /// How many characters before `at` the name begins.
    pub(super) fn distance(self, text: &[u8], at: usize) -> Option<usize> {
        let floor = self.floor.min(at);
        let start = floor.max(at.saturating_sub(MOST));
        // The zeros of UTF-16 are passed over.
        let mut rest = text[start..at].iter().rev().copied().filter(|byte| *byte != 0);
        let (mut distance, mut matched) = (0, 0);
        while let Some(byte) = rest.next() {
            if matches!(byte, b'\n' | b'\r') {
                return None;
            }
            if byte == b']'
                && let Some(behind) = mask(rest.clone())
            {
                (rest, matched) = (behind, 0);
                continue;
            }
            distance += 1;
            if distance > REACH {
                return None;
            }
            // No beginning of the name, read backwards, comes back within it.
            let byte = byte.to_ascii_lowercase();
            matched = match NAME[NAME.len() - 1 - matched] == byte {
                true => matched + 1,
                false => usize::from(byte == NAME[NAME.len() - 1]),
            };
            if matched == NAME.len() {
                return Some(distance);
            }
        }
        let before = self.before.filter(|_| start == floor)?;
        Some(distance + before).filter(|distance| *distance <= REACH)
    }

    /// What is known behind this key.
    pub(super) fn behind(self, text: &[u8], key: &Range<usize>) -> Self {
        Self { floor: key.end, before: self.distance(text, key.start) }
    }

    /// The same when the text is dropped up to `front`.
    pub(super) fn without(self, front: usize) -> Self {
        match self.floor.checked_sub(front) {
            Some(floor) => Self { floor, ..self },
            None => Self::default(),
        }
    }
}

/// What is before a mask, read backwards from its last bracket: `[… key 0123456789abcdef]`.
fn mask<I: Iterator<Item = u8>>(rest: I) -> Option<I> {
    const FINGERPRINT: usize = 16;
    const LONGEST: usize = 48;

    let mut rest = rest;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let has_fingerprint = rest.by_ref().take(FINGERPRINT).filter(|byte| is_hex(*byte)).count();
    if has_fingerprint < FINGERPRINT || !rest.by_ref().take(4).eq(*b" yek") {
        return None;
    }
    let words = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b' ' | b'-');
    let first = rest.by_ref().take(LONGEST).find(|byte| !words(byte))?;
    (first == b'[').then_some(rest)
}

/// Whether a text ends with a sequence that sets colours, such as `ESC [ 1 ; 32 m`, the escape as it
/// is or written out.
pub(super) fn ends_style(text: &[u8]) -> bool {
    const LONGEST: usize = 32;

    let mut rest = text.iter().rev().copied().filter(|byte| *byte != 0).take(LONGEST);
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
    rest.next() == Some(b'm')
        && rest.find(|byte| !is_number(byte)) == Some(b'[')
        // `\u001b`, `\x1b`, `\033`, `\e`
        && matches!(rest.next(), Some(0x1B | b'b' | b'B' | b'3' | b'e'))
}
