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
const ESCAPE: u16 = 1 << 14;
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
                starts[place][byte] |= ESCAPE;
            }
            byte += 1;
        }
        place += 1;
    }
    starts[0][b'%' as usize] |= ESCAPE;
    starts[0][b'\\' as usize] |= ESCAPE;
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
