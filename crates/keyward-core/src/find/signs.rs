//! Which rules a run of bytes is worth: one pass that looks for what keys begin with or have inside,
//! as it is and in base64.

use crate::formats::MARKER;

/// What a run has in it, so that nothing is tried in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Signs(u16);

impl Signs {
    pub(super) fn of(run: &[u8]) -> Self {
        // A bit stays that each of three bytes in a row has for its place.
        let found = run.windows(3).fold(0, |found, window| {
            found
                | (STARTS[0][window[0] as usize]
                    & STARTS[1][window[1] as usize]
                    & STARTS[2][window[2] as usize])
        });
        // The last two bytes of a run begin nothing, but may be the only escapes.
        let tail =
            run.iter().rev().take(2).fold(0, |found, byte| found | STARTS[0][*byte as usize]);
        Self(found | (tail & ESCAPE))
    }

    pub(super) fn has_any(self) -> bool {
        self.0 != 0
    }

    pub(super) fn has_plain(self) -> bool {
        self.0 & PLAIN != 0
    }

    pub(super) fn has_base64(self) -> bool {
        self.0 & BASE64 != 0
    }

    pub(super) fn has_escapes(self) -> bool {
        self.0 & ESCAPE != 0
    }

    /// Whether something seems to begin in UTF-16.
    pub(super) fn has_wide(self) -> bool {
        self.0 & WIDE != 0
    }
}

/// The bits of [`Signs`]: one for each anchor, one for each way to begin, one for the
/// beginnings in UTF-16, one for escapes.
const BASE64: u16 = (1 << ANCHORS.len()) - 1;
const PLAIN: u16 = 0b1111 << ANCHORS.len();
const PERCENT: u16 = 1 << 13;
const BACKSLASH: u16 = 1 << 14;
const ESCAPE: u16 = PERCENT | BACKSLASH;
const WIDE: u16 = 1 << 15;

/// Which sign can have a byte in its first, second and third place.
static STARTS: [[u16; 256]; 3] = {
    let mut starts = [[0; 256]; 3];
    let mut place = 0;
    while place < 3 {
        let mut n = 0;
        while n < ANCHORS.len() {
            starts[place][ANCHORS[n].letters[place] as usize] |= 1 << n;
            n += 1;
        }
        // Of `sess-` the end, which words do not have.
        let words: [&[u8]; 4] = [MARKER, b"ek_", b"ss-", b"sk-"];
        let mut n = 0;
        while n < words.len() {
            starts[place][words[n][place] as usize] |= 1 << (ANCHORS.len() + n);
            n += 1;
        }
        let mut byte = 0;
        while byte < 256 {
            // A single byte is a sign whatever follows it.
            if place > 0 {
                starts[place][byte] |= ESCAPE;
            }
            byte += 1;
        }
        place += 1;
    }
    starts[0][b'%' as usize] |= PERCENT;
    starts[0][b'\\' as usize] |= BACKSLASH;
    let wide = [b"s\0k", b"e\0k", b"s\0e", b"T\x003"];
    let mut n = 0;
    while n < wide.len() {
        starts[0][wide[n][0] as usize] |= WIDE;
        starts[1][wide[n][1] as usize] |= WIDE;
        starts[2][wide[n][2] as usize] |= WIDE;
        n += 1;
    }
    starts
};

/// The same by the halves of a byte, of four bits each, as a processor looks up sixteen or more at
/// once. Signs share eight bits, and a half knows nothing of the other, so more has all three.
#[cfg(feature = "simd")]
pub(super) static PLACES: [Halves; 3] =
    [Halves::of(&STARTS[0], &BITS), Halves::of(&STARTS[1], &BITS), Halves::of(&STARTS[2], &BITS)];

/// Which of the eight bits each sign has. Those are together of which the halves look alike, so
/// that hexadecimal digits and words in small letters have all three of hardly any.
#[cfg(feature = "simd")]
const BITS: [u8; 16] = [5, 7, 7, 5, 7, 6, 5, 7, 6, 0, 1, 6, 0, 2, 3, 4];

/// What the lower and the upper half of a byte say of it, for each block of sixteen bytes again.
#[cfg(feature = "simd")]
pub(super) struct Halves {
    pub(super) low: [u8; 64],
    pub(super) high: [u8; 64],
}

#[cfg(feature = "simd")]
impl Halves {
    /// What can be part of a key in any form: one bit for each set of lower halves.
    pub(super) const TOKENS: Self = {
        let mut tokens = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            if super::gate::is_token(byte as u8) {
                tokens[byte] = 1 << (byte >> 4);
            }
            byte += 1;
        }
        Self::of(&tokens, &[0, 0, 1, 2, 3, 4, 3, 5, 0, 0, 0, 0, 0, 0, 0, 0])
    };

    const fn of(classes: &[u16; 256], bits: &[u8; 16]) -> Self {
        let (mut low, mut high) = ([0; 64], [0; 64]);
        let mut at = 0;
        while at < 256 * 16 {
            let (byte, class) = (at / 16, at % 16);
            if classes[byte] >> class & 1 != 0 {
                low[byte & 0x0F] |= 1 << bits[class];
                high[byte >> 4] |= 1 << bits[class];
            }
            at += 1;
        }
        let mut at = 16;
        while at < 64 {
            low[at] = low[at - 16];
            high[at] = high[at - 16];
            at += 1;
        }
        Self { low, high }
    }
}

/// The letters that base64 has for what keys begin with or have inside, at the three places where
/// a text can begin in its groups. Text of keys becomes letters and digits alone in base64, in
/// either alphabet.
struct Anchor {
    letters: [u8; 10],
    len: usize,
    /// Where in a group of four letters the first of them stands.
    place: usize,
}

impl Anchor {
    fn letters(&self) -> &[u8] {
        &self.letters[..self.len]
    }

    /// What base64 makes of `text` when `before` bytes of a group come before it, without the
    /// letters that depend on other bytes.
    const fn of(text: &[u8], before: usize) -> Self {
        let mut anchor = Self { letters: [0; 10], len: 0, place: (before * 8).div_ceil(6) };
        let mut bit = anchor.place * 6 - before * 8;
        while bit + 6 <= text.len() * 8 {
            let mut digit = 0;
            let mut n = 0;
            while n < 6 {
                let at = bit + n;
                digit = digit << 1 | (text[at / 8] >> (7 - at % 8)) as usize & 1;
                n += 1;
            }
            anchor.letters[anchor.len] = DIGITS[digit];
            anchor.len += 1;
            bit += 6;
        }
        anchor
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const ANCHORS: [Anchor; 9] = [
    Anchor::of(MARKER, 0),
    Anchor::of(MARKER, 1),
    Anchor::of(MARKER, 2),
    Anchor::of(b"ek_", 0),
    Anchor::of(b"ek_", 1),
    Anchor::of(b"ek_", 2),
    Anchor::of(b"sess-", 0),
    Anchor::of(b"sess-", 1),
    Anchor::of(b"sess-", 2),
];

/// Where groups of four letters begin, modulo four, in which base64 may have a key.
pub(super) fn phases(text: &[u8]) -> [bool; 4] {
    let mut phases = [false; 4];
    for at in 0..text.len() {
        let mut candidates = STARTS[0][text[at] as usize] & BASE64;
        while candidates != 0 {
            let anchor = &ANCHORS[candidates.trailing_zeros() as usize];
            candidates &= candidates - 1;
            let phase = (at + 4 - anchor.place) % 4;
            if !phases[phase] && text[at..].starts_with(anchor.letters()) {
                phases[phase] = true;
                if phases == [true; 4] {
                    return phases;
                }
            }
        }
    }
    phases
}
