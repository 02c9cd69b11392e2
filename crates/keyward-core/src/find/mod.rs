//! Finding keys in text that others wrote: logs, files, streams, error messages.
//!
//! - [`KeyFinder`] finds whole keys in bytes, with next to no false alarms, also where they are
//!   encoded. It is what a redactor and a scanner stand on.
//! - [`KeyStream`] does the same in pieces, so that a key that is split over two writes is found.
//! - [`scrub`] masks whatever may be a key, or a piece of one, in a short text such as an error
//!   message; [`contains_key`] asks whether there is anything of the kind.
//!
//! # What is found
//!
//! | key | by |
//! |---|---|
//! | project, service-account, admin and user keys of every generation | `sk-`, the marker in the middle, and at least 20 characters on each side of it |
//! | the same, cut off before or behind the marker | `sk-proj-`, `sk-svcacct-`, `sk-admin-` or `sk-None-` and together at least 63 characters, random ones, or fewer that end within the marker; `sk-`, perhaps a name, 20 letters and digits, and the marker with more behind it; not [certain](FoundKey::is_certain) |
//! | user keys of before 2023, and others without a marker | `sk-` and at least 40 letters and digits, or 92 characters, where the text before on the line names OpenAI; not [certain](FoundKey::is_certain), because other vendors issue the same |
//! | realtime client secrets | `ek_` and at least 32 hexadecimal digits; not [certain](FoundKey::is_certain) behind a letter (`week_`) |
//! | dashboard sessions | `sess-` and at least 40 letters of both cases and digits |
//! | a key of whatever look | being [registered](KeyFinder::with_key), as its own text alone |
//!
//! Those with a look of their own are found as they are, glued to a word, escaped (`%2D`,
//! `\u002d`, `\x2d`, `\055`, `\-`), in UTF-16 of either byte order, and, but for those without a marker, in
//! base64 of either alphabet, wherever in its groups of four they begin. Placeholders (`sk-...`,
//! `sk-xxxx`) and redacted forms (`sk-proj-****ab12`) are not found: they are no secret.
//!
//! # Limits
//!
//! Not found are keys that are broken into lines, as they are or in base64; in HTML entities
//! (`&#45;`) and quoted-printable (`=2D`); in compressed or encrypted data; and in two encodings at
//! once, other than JSON within JSON. Client secrets (`ek_`) are found with lower-case digits alone.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::{ApiKey, KeyFingerprint, KeyKind};

pub use self::scrub::{contains_key, scrub};
pub use self::stream::{KeyStream, Piece};

use self::gate::Gate;
use self::rules::Match;
use self::signs::Signs;
use self::views::View;
use self::words::Words;

mod gate;
mod rules;
mod scrub;
mod signs;
mod stream;
mod views;
mod words;

/// Finds the keys in a text, any bytes.
///
/// It is made once and used often. With the feature `simd`, a text without long words costs about as
/// much as the search for one literal, and nothing is allocated. Runs of 31 letters, digits and signs
/// or more, such as a UUID, cost twice that. Those that have three letters of what keys begin with or
/// have inside are looked at one by one, and read back out of what encoding they seem to be in; text
/// that is made of the beginnings of keys costs the most.
///
/// ```
/// use keyward_core::KeyKind;
/// use keyward_core::find::KeyFinder;
///
/// # let key = keyward_testkit::keys::admin_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let text = format!("GET /?key={key}&limit=20");
/// let found = KeyFinder::new().find(text.as_bytes()).expect("it is there");
/// assert_eq!(found.kind(), KeyKind::Admin);
/// assert_eq!(found.range(), 10..10 + key.len());
/// assert!(KeyFinder::new().find(b"sk-proj-****ab12").is_none());
/// ```
///
/// # Security
///
/// A finder holds nothing of the keys that it finds. A registered key is shared, not copied.
#[derive(Clone)]
pub struct KeyFinder {
    gate: Gate,
    registered: Vec<ApiKey>,
}

impl KeyFinder {
    /// A finder that knows keys by their look.
    #[must_use]
    pub fn new() -> Self {
        Self { gate: Gate::new(), registered: Vec::new() }
    }

    /// Looks for this key too, whatever it looks like: an access token, a key of a gateway.
    ///
    /// Its text is found as it stands, in no encoding. Each registered key that has no look of its
    /// own costs one more search of the text. A key of fewer than 8 characters is not looked for:
    /// it would be found by accident.
    ///
    /// # Security
    ///
    /// The finder shares the key's allocation, which is wiped when the last who shares it is gone.
    #[must_use]
    pub fn with_key(mut self, key: &ApiKey) -> Self {
        let is_short = key.with_bytes(|bytes| bytes.len() < SHORTEST_REGISTERED);
        if !is_short && !self.registered.contains(key) && !self.knows_by_look(key) {
            self.registered.push(key.clone());
        }
        self
    }

    /// The first key in the text.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<FoundKey> {
        let run = self.gate.next_run(text, 0);
        if run.is_none() && self.registered.is_empty() {
            return None;
        }
        self.first(text, run)
    }

    /// Apart, so that a text without a key does not pay for what this needs.
    #[cold]
    fn first(&self, text: &[u8], run: Option<(usize, usize)>) -> Option<FoundKey> {
        self.next(text, &mut Search { run, ..Search::default() })
    }

    /// Every key in the text, in order. No two overlap.
    pub fn find_iter<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = FoundKey> + 'a {
        let mut search = Search::default();
        core::iter::from_fn(move || self.next(text, &mut search))
    }

    fn knows_by_look(&self, key: &ApiKey) -> bool {
        key.with_bytes(|bytes| {
            self.find(bytes).is_some_and(|f| f.range == (0..bytes.len()) && f.is_certain)
        })
    }

    /// The next key, the earlier of the next by its look and the next that is registered.
    fn next(&self, text: &[u8], search: &mut Search) -> Option<FoundKey> {
        if search.by_look.is_none() && !search.looked {
            search.by_look = self.next_by_look(text, search);
            search.looked = search.by_look.is_none();
        }
        // One that began before the end of the last key is looked for anew behind it.
        let is_stale = |found: &FoundKey| found.range.start < search.done;
        if !self.registered.is_empty()
            && search.registered.as_ref().is_none_or(|found| found.as_ref().is_some_and(is_stale))
        {
            search.registered = Some(self.next_registered(text, search));
        }
        let registered = search.registered.clone().flatten();
        let by_look = search.by_look.as_ref().map(|found| found.range.clone());
        let found = match (registered, by_look) {
            // One that overlaps is told as the registered key, whole with what it overlaps.
            (Some(mut found), Some(look)) if found.range.start < look.end => {
                if found.range.end > look.start {
                    search.by_look = None;
                    search.told = search.words;
                    found.range = found.range.start.min(look.start)..found.range.end.max(look.end);
                }
                found
            }
            (_, Some(_)) => {
                search.told = search.words;
                search.by_look.take()?
            }
            (registered, None) => registered?,
        };
        search.done = found.range.end;
        search.at = search.at.max(found.range.end);
        Some(found)
    }

    fn next_registered(&self, text: &[u8], search: &mut Search) -> Option<FoundKey> {
        let from = search.done;
        // A place that is known counts until it is behind.
        search.places.resize(self.registered.len(), Some(0));
        for (key, place) in self.registered.iter().zip(&mut search.places) {
            if place.is_some_and(|place| place < from || !search.placed) {
                *place = text.get(from..).and_then(|text| key.find_in(text)).map(|at| from + at);
            }
        }
        search.placed = true;
        let found = self.registered.iter().zip(&search.places).filter_map(|(key, place)| {
            Some(((*place)?, (*place)? + key.with_bytes(<[u8]>::len), key))
        });
        let (start, end, key) = found.min_by_key(|(start, end, _)| (*start, usize::MAX - end))?;
        Some(FoundKey {
            range: start..end,
            kind: key.kind(),
            encoding: Encoding::Plain,
            fingerprint: key.fingerprint(),
            is_certain: true,
        })
    }

    fn next_by_look(&self, text: &[u8], search: &mut Search) -> Option<FoundKey> {
        loop {
            let (start, end) = match search.run {
                Some(run) => run,
                None => self.gate.next_run(text, search.at)?,
            };
            let segment_end = end.min(start + SEGMENT);
            // What begins near the end of a piece is whole in the next.
            let last = if segment_end < end { segment_end - OVERLAP } else { end };
            let (offset, words) = (search.offset, search.words);
            let segment = Segment { text, end: segment_end, offset, words };
            let found = segment.next(search.at.max(start)).filter(|found| found.range.start < last);
            if let Some(found) = found {
                search.run = Some((start, end));
                search.at = found.range.end;
                search.words = search.words.behind(text, &found.range);
                return Some(found);
            }
            // A run without end is looked at in pieces that overlap by more than any key.
            if segment_end < end {
                search.run = Some((last, end));
            } else {
                search.run = None;
                search.at = search.at.max(end);
            }
        }
    }
}

impl Default for KeyFinder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFinder").field("registered", &self.registered).finish_non_exhaustive()
    }
}

/// A key in a text: where, what, and in which encoding.
///
/// It holds nothing of the key but the fingerprint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundKey {
    range: Range<usize>,
    kind: KeyKind,
    encoding: Encoding,
    fingerprint: KeyFingerprint,
    is_certain: bool,
}

impl FoundKey {
    /// The bytes of the text that have the key in them, all of it.
    ///
    /// When something that could be part of a key is glued to it, that is in the range too.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// What the key is; [`KeyKind::Unknown`] when it has the marker and a prefix newer than this
    /// version, or no marker.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// How it was written in the text.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The fingerprint of the key, read back from its encoding: the same that
    /// [`ApiKey::fingerprint`] tells, unless something is glued to its end.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Whether it is a whole key by prefix and marker. Otherwise it is one that was cut off, or
    /// looks like one that others issue too.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.is_certain
    }
}

/// How a key was written.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Encoding {
    /// In base64, of either alphabet.
    Base64,
    /// With some characters escaped: `%2D`, `\u002d`, `\x2d`.
    Escaped,
    /// As it is.
    Plain,
    /// In UTF-16, the high byte first.
    Utf16Be,
    /// In UTF-16, the low byte first.
    Utf16Le,
}

/// A run is looked at in pieces of this size, so that views of it stay small.
const SEGMENT: usize = 16 * 1024;

/// What two pieces share: more than the longest form of a key, six bytes for each character.
const OVERLAP: usize = 8 * 1024;

/// What is shorter stands in many a text.
const SHORTEST_REGISTERED: usize = 8;

/// How far a search has come.
#[derive(Default)]
struct Search {
    /// Everything before is done with, by look.
    at: usize,
    /// The run that is being looked at, or what of it is left.
    run: Option<(usize, usize)>,
    by_look: Option<FoundKey>,
    looked: bool,
    /// The next registered key, once it has been looked for.
    registered: Option<Option<FoundKey>>,
    /// Where each registered key stands next.
    places: Vec<Option<usize>>,
    placed: bool,
    /// What the words tell that stand before what is looked at.
    words: Words,
    /// The same behind the last key by its look that was told.
    told: Words,
    /// The end of the last key that was told.
    done: usize,
    /// What stands before the text in its stream, by which the byte order of UTF-16 is told.
    offset: u64,
}

/// A run of bytes that keys consist of, or a piece of one.
struct Segment<'a> {
    text: &'a [u8],
    end: usize,
    offset: u64,
    words: Words,
}

impl Segment<'_> {
    /// The first key in any encoding that begins at or after `from`; of two the longer one.
    fn next(&self, from: usize) -> Option<FoundKey> {
        let run = self.text.get(from..self.end)?;
        let signs = Signs::of(run);
        let in_base64 = if signs.has_base64() { self.in_base64(from) } else { None };
        let utf16 = if signs.has_wide() { self.in_utf16(from) } else { None };
        let plain = if signs.has_escapes() {
            let view = views::unescaped(run);
            self.in_view(&view, from, Encoding::Escaped)
        } else if signs.has_plain() {
            let names_openai = |at, is_glued| self.names_openai(from + at, is_glued);
            let found = rules::next(run, 0, names_openai);
            found.map(|found| {
                let fingerprint = KeyFingerprint::of(&run[found.start..found.end]);
                told(&found, from + found.start..from + found.end, Encoding::Plain, fingerprint)
            })
        } else {
            None
        };
        let found = [plain, utf16, in_base64].into_iter().flatten();
        found.min_by_key(first_and_longest)
    }

    fn in_utf16(&self, from: usize) -> Option<FoundKey> {
        let run = &self.text[from..self.end];
        let found = [0, 1].into_iter().filter_map(|parity| {
            // The place in the stream tells the byte order. Behind other bytes it may mislead.
            let is_big = (self.offset + (from + parity) as u64) % 2 == 1;
            [is_big, !is_big].into_iter().find_map(|is_big| {
                let encoding = if is_big { Encoding::Utf16Be } else { Encoding::Utf16Le };
                self.in_view(&views::utf16(run, parity, is_big), from, encoding)
            })
        });
        found.min_by_key(first_and_longest)
    }

    fn in_base64(&self, from: usize) -> Option<FoundKey> {
        let run = &self.text[from..self.end];
        let phases = signs::phases(run).into_iter().enumerate().filter(|(_, is_there)| *is_there);
        let found = phases.filter_map(|(phase, _)| {
            self.in_view(&views::base64(run, phase), from, Encoding::Base64)
        });
        found.min_by_key(first_and_longest)
    }

    fn in_view(&self, view: &View, from: usize, encoding: Encoding) -> Option<FoundKey> {
        let found = rules::next(&view.bytes, 0, |at, is_glued| {
            self.names_openai(from + view.place(at, at + 1).0, is_glued)
        })?;
        let (start, end) = view.place(found.start, found.end);
        let key = &view.bytes[found.start..found.end];
        // What has no escape in it stands there as it is.
        let is_plain = encoding == Encoding::Escaped && end - start == key.len();
        let encoding = if is_plain { Encoding::Plain } else { encoding };
        Some(told(&found, from + start..from + end, encoding, KeyFingerprint::of(key)))
    }

    /// Whether the words before this place name OpenAI. What is glued to other text does not count,
    /// unless that text sets a colour.
    fn names_openai(&self, at: usize, is_glued: bool) -> bool {
        (!is_glued || words::ends_style(&self.text[self.words.floor.min(at)..at]))
            && self.words.distance(self.text, at).is_some()
    }
}

/// Of two keys the earlier one counts, of two at one place the longer.
fn first_and_longest(found: &FoundKey) -> (usize, usize) {
    (found.range.start, usize::MAX - found.range.end)
}

fn told(
    found: &Match,
    range: Range<usize>,
    encoding: Encoding,
    fingerprint: KeyFingerprint,
) -> FoundKey {
    FoundKey { range, kind: found.kind, encoding, fingerprint, is_certain: found.is_certain }
}
