//! [`KeyStream`]: keys in text that comes in pieces.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use zeroize::{Zeroize as _, Zeroizing};

use super::gate::is_token;
use super::words::{self, Words};
use super::{FoundKey, KeyFinder, OVERLAP, SEGMENT, Search};

/// Finds the keys in a text that comes in pieces, however it is cut: the pieces that it is given
/// go out again in order, as text without a key and as keys.
///
/// What may be a part of a key that goes on in the next piece is held back: a run of letters,
/// digits, `-`, `_`, `%`, `\` and zero bytes that reaches the end of what has come. It goes out as
/// soon as another byte comes, such as the end of a line, or with [`finish`](Self::finish).
///
/// ```
/// use keyward_core::find::{KeyFinder, KeyStream, Piece};
///
/// # let key = keyward_testkit::keys::project_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let text = format!("key={key} and more");
/// let (first, second) = text.as_bytes().split_at(50); // within the key
/// let mut out = String::new();
/// let mut each = |piece: Piece<'_>| match piece {
///     Piece::Text(text) => out.push_str(&String::from_utf8_lossy(text)),
///     Piece::Key(found) => out.push_str(&format!("[{}]", found.kind())),
/// };
/// let mut stream = KeyStream::new(KeyFinder::new());
/// stream.push(first, &mut each);
/// stream.push(second, &mut each);
/// stream.finish(&mut each);
/// assert_eq!(out, "key=[project] and more");
/// ```
///
/// # Security
///
/// At most [`MAX_HELD`](Self::MAX_HELD) bytes are held back, and a few that have gone out behind the
/// last key are kept for their words; all are wiped when they are no longer needed, and on drop.
pub struct KeyStream {
    finder: KeyFinder,
    /// What has gone out and gives the context, then what is held back. It never moves.
    buffer: Zeroizing<Vec<u8>>,
    /// Where in the buffer what is held back begins.
    held: usize,
    /// What the words tell that have gone out.
    words: Words,
    /// Where in the stream the buffer begins.
    offset: usize,
    /// Whether what has gone out ended with a line, so that it gives no context.
    is_line_start: bool,
}

/// A piece of a text in which keys are looked for.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A key that stood here. Its range is counted from the beginning of the stream.
    Key(FoundKey),
    /// Text without a key.
    Text(&'a [u8]),
}

/// So much is taken in at once.
const PART: usize = 16 * 1024;

impl KeyStream {
    /// The most bytes that are held back.
    pub const MAX_HELD: usize = SEGMENT + crate::MAX_KEY_LEN;

    /// A stream that has not begun.
    #[must_use]
    pub fn new(finder: KeyFinder) -> Self {
        Self {
            finder,
            buffer: Zeroizing::default(),
            held: 0,
            words: Words::default(),
            offset: 0,
            is_line_start: true,
        }
    }

    /// The finder, for another stream. What is held back is dropped.
    #[must_use]
    pub fn into_finder(self) -> KeyFinder {
        self.finder
    }

    /// Takes the next piece of the text, and gives on what is known to be whole.
    pub fn push(&mut self, text: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut text = text;
        // No key goes over the end of a line, so whole lines need not be copied.
        if !self.is_at_line()
            && let Some(end) = memchr::memchr(b'\n', text)
        {
            let (line, rest) = text.split_at(end + 1);
            self.take(line, &mut each);
            text = rest;
        }
        if self.is_at_line()
            && let Some(end) = memchr::memrchr(b'\n', text)
        {
            let (lines, rest) = text.split_at(end + 1);
            if !self.buffer.is_empty() {
                self.clear();
            }
            self.tell_all(lines, &mut each);
            text = rest;
        }
        self.take(text, &mut each);
    }

    /// Takes what is not whole lines, in which keys may go on.
    fn take(&mut self, text: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        for part in text.chunks(PART) {
            // All that it ever needs, because a buffer that moves leaves what it held behind.
            let before = self.buffer.len();
            self.buffer.reserve_exact(words::MOST + Self::MAX_HELD + PART - before);
            self.buffer.extend_from_slice(part);
            let hold = self.hold(before);
            self.drain(hold, each);
        }
    }

    /// Whether what has come ended with a line, all of which has gone out.
    fn is_at_line(&self) -> bool {
        self.is_line_start && self.held_back().is_empty()
    }

    /// Gives on everything that is held back: nothing more comes. The stream can begin anew.
    pub fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        self.drain(self.buffer.len(), &mut each);
        self.clear();
        self.is_line_start = true;
    }

    /// Gives on what is held back as far as it shows no sign of a key: for a writer that waits for
    /// an answer, and whose text does not end with a line.
    ///
    /// # Security
    ///
    /// A key in base64 of which no more than three letters had come is not known as one later on.
    pub fn release(&mut self, mut each: impl FnMut(Piece<'_>)) {
        let hold = self.held + sign_of_key(self.held_back()).unwrap_or(self.held_back().len());
        let hold = self.before_registered(hold);
        if hold > self.held {
            self.drain(hold, &mut each);
        }
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held_back().len()
    }

    fn held_back(&self) -> &[u8] {
        &self.buffer[self.held..]
    }

    /// From where in the buffer the text may go on in what comes next; up to `before` this has
    /// been looked at.
    fn hold(&self, before: usize) -> usize {
        let text = &self.buffer[..];
        let run = text[before..].iter().rev().take_while(|byte| is_token(**byte)).count();
        let mut hold = if run == text.len() - before { self.held } else { text.len() - run };
        // A run without end goes on in pieces that overlap by more than any key.
        while text.len() - hold > SEGMENT {
            hold += SEGMENT - OVERLAP;
        }
        self.before_registered(hold).max(self.held)
    }

    /// The last place up to `hold` that is not within a registered key, or what may become one.
    fn before_registered(&self, hold: usize) -> usize {
        let text = &self.buffer[..];
        let mut hold = hold;
        for key in &self.finder.registered {
            key.with_bytes(|key| {
                let from = (text.len() + 1).saturating_sub(key.len()).max(self.held);
                let begun = memchr::memchr_iter(key[0], &text[from..])
                    .find(|at| key.starts_with(&text[from + at..]));
                hold = hold.min(begun.map_or(hold, |at| from + at));
            });
        }
        // One that goes over the place where the text would be cut is not cut. That may bring the
        // place into another.
        loop {
            let before = hold;
            for key in &self.finder.registered {
                let rest = key.with_bytes(<[u8]>::len) - 1;
                let from = hold.saturating_sub(rest).max(self.held);
                let around = &text[from..text.len().min(hold + rest)];
                if let Some(at) = key.find_in(around) {
                    hold = hold.min(from + at);
                }
            }
            if hold == before {
                return hold;
            }
        }
    }

    /// Gives on the text up to `hold`, and the key that begins before it.
    fn drain(&mut self, hold: usize, each: &mut impl FnMut(Piece<'_>)) {
        if hold == self.held {
            return;
        }
        // Within a run, a key may go beyond; elsewhere, nothing does.
        let is_within = self.buffer.get(hold).is_some_and(|b| is_token(*b))
            && hold.checked_sub(1).is_some_and(|last| is_token(self.buffer[last]));
        let end = if is_within { self.buffer.len() } else { hold };
        let mut search = Search {
            at: self.held,
            done: self.held,
            words: self.words,
            told: self.words,
            offset: self.offset as u64,
            ..Search::default()
        };
        let text = &self.buffer[..end];
        let mut told = self.held;
        while let Some(found) = self.finder.next(text, &mut search) {
            if found.range.start >= hold {
                break;
            }
            tell(text, &mut told, found, self.offset, each);
            self.words = search.told;
        }
        let hold = hold.max(told);
        if told < hold {
            each(Piece::Text(&text[told..hold]));
        }
        self.is_line_start = text[..hold].last() == Some(&b'\n');
        self.forget(hold);
    }

    /// Whole lines, straight from where they are.
    fn tell_all(&mut self, text: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let run = self.finder.gate.next_run(text, 0);
        let mut search = Search { run, offset: self.offset as u64, ..Search::default() };
        let mut told = if run.is_none() && self.finder.registered.is_empty() {
            each(Piece::Text(text));
            text.len()
        } else {
            0
        };
        while told < text.len()
            && let Some(found) = self.finder.next(text, &mut search)
        {
            tell(text, &mut told, found, self.offset, each);
        }
        if told < text.len() {
            each(Piece::Text(&text[told..]));
        }
        self.offset = self.offset.wrapping_add(text.len());
    }

    /// Drops what has gone out, up to `hold`, but for the words before it.
    fn forget(&mut self, hold: usize) {
        // Words count from the beginning of the line, or from the last key on it.
        let front = match self.is_line_start {
            true => hold,
            false => hold.saturating_sub(words::MOST).max(self.words.floor),
        };
        let len = self.buffer.len() - front;
        self.buffer.copy_within(front.., 0);
        self.buffer[len..].zeroize();
        self.buffer.truncate(len);
        self.held = hold - front;
        self.words = self.words.without(front);
        self.offset = self.offset.wrapping_add(front);
    }

    fn clear(&mut self) {
        self.offset = self.offset.wrapping_add(self.buffer.len());
        self.buffer[..].zeroize();
        self.buffer.clear();
        (self.held, self.words) = (0, Words::default());
    }
}

impl fmt::Debug for KeyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStream")
            .field("finder", &self.finder)
            .field("held_len", &self.held_len())
            .finish_non_exhaustive()
    }
}

fn tell(
    text: &[u8],
    told: &mut usize,
    mut found: FoundKey,
    offset: usize,
    each: &mut impl FnMut(Piece<'_>),
) {
    if *told < found.range.start {
        each(Piece::Text(&text[*told..found.range.start]));
    }
    *told = found.range.end;
    let Range { start, end } = found.range;
    found.range = offset.wrapping_add(start)..offset.wrapping_add(end);
    each(Piece::Key(found));
}

/// From where a text that goes on may be the beginning of a key.
fn sign_of_key(text: &[u8]) -> Option<usize> {
    const BEGINNINGS: [&[u8]; 3] = [b"sk-", b"ek_", b"sess-"];
    // The same in base64, at the three places of a group.
    const ENCODED: [&[u8]; 9] =
        [b"c2st", b"NrL", b"zay", b"ZWtf", b"VrX", b"la1", b"c2Vz", b"Nlc3", b"zZXN"];

    if text.iter().any(|byte| matches!(byte, b'%' | b'\\' | 0)) {
        return Some(0);
    }
    let at = |word: &[u8]| memchr::memmem::find(text, word);
    if ENCODED.iter().any(|letters| at(letters).is_some()) {
        return Some(0);
    }
    let whole = BEGINNINGS.iter().filter_map(|word| at(word));
    let begun = BEGINNINGS.iter().filter_map(|word| {
        (1..word.len()).rev().find(|&len| text.ends_with(&word[..len])).map(|len| text.len() - len)
    });
    whole.chain(begun).min()
}
