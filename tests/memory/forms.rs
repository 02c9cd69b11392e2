//! What of a key stands in memory: whole copies, pieces, and the forms that it is given on its way.
//!
//! All that is kept of the key is masked, and no form of it is ever put together but masked.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use super::{MASK, Masked, PAGE, ZEROS};

#[path = "../../crates/keyward/src/wire/huffman.rs"]
mod huffman;

/// What of a key was found. Each place counts once, in the form of which it holds the most.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copies {
    pub(crate) whole: usize,
    /// Runs of at least 24 bytes that are no whole copy.
    pub(crate) pieces: usize,
    /// Runs of at least 16 bytes by the Huffman code of HTTP/2, which are about 20 characters,
    /// wherever in a byte they begin.
    pub(crate) coded: usize,
    /// Runs of at least 24 bytes in base64, in each of its alphabets and positions.
    pub(crate) base64: usize,
    /// The same in UTF-16 of either byte order.
    pub(crate) utf16: usize,
    /// The same in percent-encoding, of all that is no letter and digit, or of everything.
    pub(crate) percent: usize,
}

impl Copies {
    /// All but pieces of the text itself: these are seldom the whole of a secret.
    pub(crate) fn of_all_forms(self) -> usize {
        self.whole + self.coded + self.base64 + self.utf16 + self.percent
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// `whole+pieces`, and each other form that there is by its letter.
impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.whole)?;
        let others = [
            (self.pieces, 'p'),
            (self.coded, 'h'),
            (self.base64, 'b'),
            (self.utf16, 'u'),
            (self.percent, '%'),
        ];
        others.iter().filter(|(n, _)| *n > 0).try_for_each(|(n, form)| write!(f, "+{n}{form}"))
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Form {
    Plain,
    Coded,
    Base64,
    Utf16,
    Percent,
}

/// A text that is looked for, masked.
struct Pattern {
    form: Form,
    masked: Vec<u8>,
    /// Shorter runs do not count.
    least: usize,
}

/// A piece by which runs are noticed. Any run that counts has one at a multiple of [`STEP`].
const WINDOW: usize = 8;
const STEP: usize = 8;

/// The forms of a key, and where they were found.
pub(crate) struct Forms {
    patterns: Vec<Pattern>,
    /// Where a window, masked, stands in the patterns.
    windows: HashMap<[u8; WINDOW], Vec<(usize, usize)>>,
    /// By a hash of a window, whether there is such a one.
    hashes: Vec<bool>,
    found: BTreeSet<(u64, u64, Form, bool)>,
}

impl Forms {
    pub(crate) fn of(key: &Masked) -> Self {
        Self::with_pieces(key, 24)
    }

    /// Those of which shorter pieces count too: of `least` bytes, and no fewer than 15.
    pub(crate) fn with_pieces(key: &Masked, least: usize) -> Self {
        let mut patterns = vec![Pattern::new(Form::Plain, least, key.masked().to_vec())];
        patterns.extend((0..8).map(|shift| Pattern::new(Form::Coded, 16, coded(key, shift))));
        for alphabet in [STANDARD, URL] {
            let of = |skipped| Pattern::new(Form::Base64, 32, base64(key, skipped, alphabet));
            patterns.extend((0..3).map(of));
        }
        for pair in [|byte| [byte, 0], |byte| [0, byte]] {
            let wide = key.bytes().flat_map(pair).map(|byte| byte ^ MASK);
            patterns.push(Pattern::new(Form::Utf16, 2 * 24 - 1, wide.collect()));
        }
        for all in [true, false] {
            for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
                let least = if all { 3 * 24 } else { 24 };
                patterns.push(Pattern::new(Form::Percent, least, percent(key, all, digits)));
            }
        }
        let mut windows = HashMap::<_, Vec<_>>::new();
        let mut hashes = vec![false; 1 << 16];
        for (pattern, it) in patterns.iter().enumerate() {
            for (at, masked) in it.masked.windows(WINDOW).enumerate() {
                let masked: [u8; WINDOW] = masked.try_into().unwrap();
                hashes[hash(u64::from_ne_bytes(masked) ^ MASKS)] = true;
                windows.entry(masked).or_default().push((pattern, at));
            }
        }
        Self { patterns, windows, hashes, found: BTreeSet::new() }
    }

    pub(crate) fn longest(&self) -> usize {
        self.patterns.iter().map(|pattern| pattern.masked.len()).max().unwrap_or_default()
    }

    /// Looks at bytes of this address; of chunks that overlap by [`longest`](Self::longest) no run
    /// is missed.
    pub(crate) fn look(&mut self, address: u64, bytes: &[u8]) {
        for (page, content) in bytes.chunks(PAGE).enumerate() {
            // Most of memory is that.
            if *content == ZEROS[..content.len()] {
                continue;
            }
            for at in (page * PAGE..page * PAGE + content.len()).step_by(STEP) {
                let Some(window) = bytes.get(at..at + WINDOW) else { break };
                let window = u64::from_ne_bytes(window.try_into().unwrap());
                if self.hashes[hash(window)] {
                    self.runs_through(address, bytes, at, window ^ MASKS);
                }
            }
        }
    }

    fn runs_through(&mut self, address: u64, bytes: &[u8], at: usize, masked: u64) {
        for &(pattern, within) in self.windows.get(&masked.to_ne_bytes()).into_iter().flatten() {
            let Pattern { form, masked, least } = &self.patterns[pattern];
            let is = |at: usize, within: usize| bytes[at] ^ MASK == masked[within];
            let before = (1..=within.min(at)).take_while(|n| is(at - n, within - n)).count();
            let room = (masked.len() - within).min(bytes.len() - at);
            let after = (WINDOW..room).take_while(|n| is(at + n, within + n)).count() + WINDOW;
            if before + after >= *least {
                let start = address + (at - before) as u64;
                let whole = before + after == masked.len();
                self.found.insert((start, start + (before + after) as u64, *form, whole));
            }
        }
    }

    /// What was found. Of runs that share their place the longest counts.
    pub(crate) fn count(&self) -> Copies {
        let mut found: Vec<_> = self.found.iter().copied().collect();
        found.sort_by_key(|&(start, end, form, _)| (std::cmp::Reverse(end - start), form));
        let mut counted: Vec<Range<u64>> = Vec::new();
        let mut copies = Copies::default();
        for (start, end, form, whole) in found {
            let shared =
                |other: &Range<u64>| other.end.min(end).saturating_sub(start.max(other.start));
            if counted.iter().any(|other| 2 * shared(other) >= end - start) {
                continue;
            }
            counted.push(start..end);
            *match (form, whole) {
                (Form::Plain, true) => &mut copies.whole,
                (Form::Plain, false) => &mut copies.pieces,
                (Form::Coded, _) => &mut copies.coded,
                (Form::Base64, _) => &mut copies.base64,
                (Form::Utf16, _) => &mut copies.utf16,
                (Form::Percent, _) => &mut copies.percent,
            } += 1;
        }
        copies
    }
}

impl Pattern {
    fn new(form: Form, least: usize, masked: Vec<u8>) -> Self {
        assert!(least >= WINDOW + STEP - 1, "a run could be missed");
        Self { form, masked, least }
    }
}

const MASKS: u64 = u64::from_ne_bytes([MASK; WINDOW]);

fn hash(window: u64) -> usize {
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// By the Huffman code of HTTP/2, behind so many bits of something else: what fills whole bytes.
fn coded(key: &Masked, shift: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut pending, mut held) = (0_u64, shift);
    for character in key.bytes() {
        let (code, bits) = huffman::code_of(character);
        pending = pending << bits | u64::from(code);
        held += bits;
        while held >= 8 {
            held -= 8;
            out.push((pending >> held) as u8 ^ MASK);
            pending &= (1 << held) - 1;
        }
    }
    out.split_off(usize::from(shift > 0))
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// In base64, from a group of three on that begins after so many bytes.
fn base64(key: &Masked, skipped: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut group, mut have) = (0_u32, 0);
    for byte in key.bytes().skip(skipped) {
        group = group << 8 | u32::from(byte);
        have += 1;
        if have == 3 {
            let sixths = [18, 12, 6, 0].map(|shift| (group >> shift & 63) as usize);
            out.extend(sixths.map(|sixth| alphabet[sixth] ^ MASK));
            (group, have) = (0, 0);
        }
    }
    out
}

/// Percent-encoded.
fn percent(key: &Masked, all: bool, digits: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in key.bytes() {
        if all || !byte.is_ascii_alphanumeric() {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| digits[usize::from(digit)]);
            out.extend([b'%', high, low].map(|byte| byte ^ MASK));
        } else {
            out.push(byte ^ MASK);
        }
    }
    out
}
