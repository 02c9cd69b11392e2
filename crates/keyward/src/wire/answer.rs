//! [`Answers`]: what a server sends on one connection, read as it is decrypted. Where it repeats a
//! key that can be put into requests, the HTTP stack reads the key's placeholder.
//!
//! The server has the key, and one that wants to can write it so that nobody finds it. This is for
//! those that repeat what they were sent, as in the words of a 401.

use std::ops::Range;

use keyward_core::KeyKind;
use zeroize::Zeroizing;

use super::table::{Entry, Form, SCHEME, Table};

/// Shorter pieces of a key are left: they are where it was cut by the border of a record, a frame
/// or a chunk.
const LEAST: usize = 24;

/// How far the server has come.
#[derive(Debug, Default)]
pub(super) struct Answers {
    protocol: Protocol,
    /// Whether it was told that a key came back.
    is_told: bool,
}

#[derive(Debug, Default)]
enum Protocol {
    Http2(Frames),
    Other,
    #[default]
    Unknown,
}

impl Answers {
    /// Puts placeholders into a record in the places of their keys.
    pub(super) fn read(&mut self, record: &mut [u8], table: &Table) {
        let blocks = self.header_blocks(record, table.least_bits());
        let runs = runs(record);
        if blocks.is_empty() && runs.is_empty() {
            return;
        }
        let mut places = 0;
        for entry in table.all() {
            let key = Key::of(&entry);
            places += key.mask_in(record, &runs);
            for block in &blocks {
                places += mask_coded(&mut record[block.clone()], &entry);
            }
        }
        if places > 0 && !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                target: "keyward::wire",
                places,
                "the server repeats a key that it was sent; its placeholder is read in its place"
            );
        }
    }

    /// The header blocks of HTTP/2, as far as they can hold a coded key, which has so many bits.
    fn header_blocks(&mut self, record: &[u8], bits: usize) -> Vec<Range<usize>> {
        if matches!(self.protocol, Protocol::Unknown)
            && let Some(first) = record.first()
        {
            // A server of HTTP/2 begins with the length of its settings, which is short; one of
            // HTTP/1.1 with a letter.
            self.protocol = match first {
                0 => Protocol::Http2(Frames::default()),
                _ => Protocol::Other,
            };
        }
        match &mut self.protocol {
            Protocol::Http2(frames) => frames.header_blocks(record, bits),
            Protocol::Other | Protocol::Unknown => Vec::new(),
        }
    }
}

/// The frames of HTTP/2, whose payload is skipped but for header blocks.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; 9],
    have: usize,
    left: usize,
}

impl Frames {
    fn header_blocks(&mut self, record: &[u8], bits: usize) -> Vec<Range<usize>> {
        const HEADERS: u8 = 1;
        const PUSH_PROMISE: u8 = 5;
        const CONTINUATION: u8 = 9;
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < record.len() {
            if self.have < self.head.len() {
                self.head[self.have] = record[at];
                self.have += 1;
                at += 1;
                let [a, b, c, ..] = self.head;
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            } else {
                let end = record.len().min(at + self.left);
                let is_block = matches!(self.head[3], HEADERS | PUSH_PROMISE | CONTINUATION);
                if is_block && (end - at).saturating_mul(8) >= bits {
                    blocks.push(at..end);
                }
                self.left -= end - at;
                at = end;
            }
            if self.have == self.head.len() && self.left == 0 {
                self.have = 0;
            }
        }
        blocks
    }
}

const WORD: usize = size_of::<u64>();

/// The runs of characters of keys that are long enough for a key or a piece of one.
fn runs(record: &[u8]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut at = 0;
    // A run of the shortest key has a word at a multiple of eight, whatever stands around it.
    while let Some(bytes) = record.get(at..at + WORD) {
        if !may_be_of_key(word(bytes)) || !bytes.iter().all(|byte| is_of_key(*byte)) {
            at += WORD;
            continue;
        }
        let before = record[..at].iter().rev().take_while(|byte| is_of_key(**byte)).count();
        let after = record[at..].iter().take_while(|byte| is_of_key(**byte)).count();
        if before + after >= super::placeholder::MIN_LEN {
            runs.push(at - before..at + after);
        }
        at += after.next_multiple_of(WORD);
    }
    runs
}

/// The first bytes as one number.
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether no byte is less than `+`, as spaces, quotes and ends of lines are.
fn may_be_of_key(word: u64) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    word.wrapping_sub(EACH * u64::from(b'+')) & !word & (EACH << 7) == 0
}

/// Letters, digits, and what else stands in bearer tokens (RFC 6750, section 2.1).
fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// A key that is looked for.
struct Key<'a> {
    text: super::table::KeyBytes<'a>,
    placeholder: &'a [u8],
    /// How long a piece must be.
    least: usize,
}

impl<'a> Key<'a> {
    fn of(entry: &'a Entry) -> Self {
        let text = entry.key(Form::Plain);
        let len = text.as_ref().len();
        // Tokens of one issuer begin alike, and keys of others may have names in them.
        let is_drawn = matches!(
            entry.kind(),
            KeyKind::Admin | KeyKind::Project | KeyKind::ServiceAccount | KeyKind::LegacyUser
        );
        let least = if is_drawn { LEAST.min(len) } else { len };
        Self { text, placeholder: &entry.value(Form::Plain)[SCHEME.len()..], least }
    }

    /// How often it was there.
    fn mask_in(&self, record: &mut [u8], runs: &[Range<usize>]) -> usize {
        let mut words = None;
        let mut places = 0;
        for run in runs {
            let run = &mut record[run.clone()];
            // Most of them are ids, in small letters and digits.
            if run.len() < self.text.as_ref().len() && !self.is_piece(run) {
                continue;
            }
            let is_long = run.len() > 256;
            let words =
                is_long.then(|| &*words.get_or_insert_with(|| Words::of(self.text.as_ref())));
            places += self.mask_in_run(run, words);
        }
        places
    }

    fn mask_in_run(&self, run: &mut [u8], words: Option<&Words>) -> usize {
        // A piece has a word at a multiple of this.
        let step = LEAST.min(self.least) - WORD + 1;
        let mut places = 0;
        let mut at = 0;
        while let Some(bytes) = run.get(at..at + WORD) {
            if words.is_none_or(|words| words.may_have(word(bytes)))
                && let Some((place, from)) = self.longest(run, at)
            {
                let end = from + place.len();
                at = place.end;
                run[place].copy_from_slice(&self.placeholder[from..end]);
                places += 1;
            } else {
                at += step;
            }
        }
        places
    }

    /// The longest piece of the key around this word, and where in the key it is from.
    fn longest(&self, run: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
        let key = self.text.as_ref();
        let wanted = word(&run[at..]);
        let begins = (0..=key.len() - WORD).filter(|from| word(&key[*from..]) == wanted);
        let piece = |from: usize| {
            let before = run[..at].iter().rev().zip(key[..from].iter().rev());
            let before = before.take_while(|(a, b)| a == b).count();
            let after = run[at..].iter().zip(&key[from..]).take_while(|(a, b)| a == b).count();
            (at - before..at + after, from - before)
        };
        let (place, from) = begins.map(piece).max_by_key(|(place, _)| place.len())?;
        let found = &key[from..from + place.len()];
        (found.len() == key.len() || self.is_piece(found)).then_some((place, from))
    }

    /// Whether this can be a piece that counts: one that looks drawn by chance, and is no name that
    /// stands in a key.
    fn is_piece(&self, text: &[u8]) -> bool {
        text.len() >= self.least
            && text.iter().any(u8::is_ascii_lowercase)
            && text.iter().any(u8::is_ascii_uppercase)
    }
}

/// Which words a key has, by a hash of each; made for one record, and wiped.
struct Words(Zeroizing<[u64; 64]>);

impl Words {
    fn of(key: &[u8]) -> Self {
        let mut words = Zeroizing::new([0; 64]);
        for bytes in key.windows(WORD) {
            let (at, bit) = Self::place(word(bytes));
            words[at] |= bit;
        }
        Self(words)
    }

    fn may_have(&self, word: u64) -> bool {
        let (at, bit) = Self::place(word);
        self.0[at] & bit != 0
    }

    fn place(word: u64) -> (usize, u64) {
        let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

/// Replaces whole keys in the Huffman code of HTTP/2, wherever in a byte they begin. The placeholder
/// has as many bits. Pieces cannot be replaced: their ends would be no code.
fn mask_coded(block: &mut [u8], entry: &Entry) -> usize {
    let bits = entry.bits();
    if block.len() * 8 < bits {
        return 0;
    }
    let key = entry.key(Form::Coded);
    let key = key.as_ref();
    let placeholder = &entry.value(Form::Coded)[Form::Coded.scheme().len()..];
    // What fills eight bytes where the key begins with so many bits of the byte before.
    let mut words = Zeroizing::new([0_u64; 8]);
    for (skipped, word) in words.iter_mut().enumerate() {
        *word = (0..WORD).fold(0, |word, at| word << 8 | u64::from(byte_at(key, skipped + 8 * at)));
    }
    let mut places = 0;
    for at in 0..=block.len() - WORD {
        let word = block[at..at + WORD].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        for (skipped, _) in words.iter().enumerate().filter(|(_, it)| **it == word) {
            let Some(start) = (8 * at).checked_sub(skipped) else { continue };
            if start + bits <= 8 * block.len()
                && (0..bits).all(|bit| bit_at(block, start + bit) == bit_at(key, bit))
            {
                (0..bits).for_each(|bit| set_bit(block, start + bit, bit_at(placeholder, bit)));
                places += 1;
            }
        }
    }
    places
}

fn bit_at(bytes: &[u8], bit: usize) -> bool {
    bytes[bit / 8] << (bit % 8) & 0x80 != 0
}

/// The eight bits from this one on.
fn byte_at(bytes: &[u8], bit: usize) -> u8 {
    let next = bytes.get(bit / 8 + 1).copied().unwrap_or_default();
    let both = u16::from(bytes[bit / 8]) << 8 | u16::from(next);
    (both << (bit % 8) >> 8) as u8
}

fn set_bit(bytes: &mut [u8], bit: usize, is_set: bool) {
    let mask = 0x80 >> (bit % 8);
    match is_set {
        true => bytes[bit / 8] |= mask,
        false => bytes[bit / 8] &= !mask,
    }
}
