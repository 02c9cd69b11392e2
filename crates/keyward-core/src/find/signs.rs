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
        // The last two bytes of a run begin nothing, but may be the only zeros.
        let tail =
            run.iter().rev().take(2).fold(0, |found, byte| found | STARTS[0][*byte as usize]);
        Self(found | (tail & (ESCAPE | ZERO)))
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

    pub(super) fn has_zeros(self) -> bool {
        self.0 & ZERO != 0
    }
}

/// The bits of [`Signs`]: one for each anchor, one for each way to begin, two for single bytes.
const BASE64: u16 = (1 << ANCHORS.len()) - 1;
const PLAIN: u16 = 0b1111 << ANCHORS.len();
const ESCAPE: u16 = 1 << 14;
const ZERO: u16 = 1 << 15;

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
        let words: [&[u8]; 4] = [MARKER, b"ek_", b"sess-", b"sk-"];
        let mut n = 0;
        while n < words.len() {
            starts[place][words[n][place] as usize] |= 1 << (ANCHORS.len() + n);
            n += 1;
        }
        let mut byte = 0;
        while byte < 256 {
            // A single byte is a sign whatever follows it.
            if place > 0 {
                starts[place][byte] |= ESCAPE | ZERO;
            }
            byte += 1;
        }
        place += 1;
    }
    starts[0][b'%' as usize] |= ESCAPE;
    starts[0][b'\\' as usize] |= ESCAPE;
    starts[0][0] |= ZERO;
    starts
};

/// The letters that base64 has for what keys begin with or have inside, at the three places where
/// a text can begin in its groups. Text of keys becomes letters and digits alone in base64, in
/// either alphabet.
struct Anchor {
    letters: [u8; 10],
    len: usize,
    /// Where in a group of four letters the first of them stands.
    place: usize,
}

/// Where base64 may have a key.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    pub(super) at: usize,
    /// Where in a group of four letters `at` is.
    pub(super) place: usize,
    /// Whether a key can begin before it.
    pub(super) is_inside: bool,
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

/// The next place at or after `from` where base64 may have a key.
pub(super) fn next_anchor(text: &[u8], from: usize) -> Option<Sighting> {
    (from..text.len()).find_map(|at| {
        let mut candidates = STARTS[0][text[at] as usize] & BASE64;
        while candidates != 0 {
            let number = candidates.trailing_zeros() as usize;
            let anchor = &ANCHORS[number];
            if text[at..].starts_with(anchor.letters()) {
                return Some(Sighting { at, place: anchor.place, is_inside: number < 3 });
            }
            candidates &= candidates - 1;
        }
        None
    })
}
