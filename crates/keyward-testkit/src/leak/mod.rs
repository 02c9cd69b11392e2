//! Proving that a secret did not get out: a detector that knows the forms a secret takes when
//! it leaks, and an assertion that first proves that the detector can see.
//!
//! The forms live in `decode`, the planting for the positive control in `control`, and what
//! code under test prints is gathered in `surfaces`.
//!
//! ```
//! use keyward_testkit::{CANARY, assert_no_leak};
//!
//! #[derive(Debug)]
//! struct Config {
//!     host: &'static str,
//! }
//!
//! let config = Config { host: "api.openai.com" };
//! assert_no_leak!(CANARY.text(), [
//!     ("debug", format!("{config:?}")),
//!     ("host", config.host),
//! ]);
//! ```

use std::collections::HashMap;
use std::fmt;

use crate::keys::MARKER;

mod control;
mod decode;
mod surfaces;

pub use surfaces::{CapturedLogs, LogWriter, error_surfaces, surfaces_of};

/// Asserts that a secret is in none of some texts, in any form that [`LeakDetector`] knows.
///
/// The first argument is the secret. The second is one text, or a list of `("label", text)`;
/// a text is anything that is `AsRef<[u8]>`: `&str`, `String`, `Vec<u8>`.
///
/// Each call first plants the secret in a dummy text in every form and looks for it, so that the
/// assertion cannot pass because the detector is blind.
///
/// # Panics
///
/// If the secret is found; the message tells the label, the form and the offset, and does not
/// repeat the secret. Also if the positive control fails, or the secret is shorter than
/// [`LeakDetector::MIN_SECRET`] bytes.
///
/// ```
/// use keyward_testkit::{CANARY, assert_no_leak};
///
/// assert_no_leak!(CANARY.text(), "nothing to see");
/// assert_no_leak!(CANARY.text(), [("stdout", "nothing"), ("stderr", "to see")]);
/// ```
///
/// ```should_panic
/// use keyward_testkit::{CANARY, assert_no_leak};
///
/// assert_no_leak!(CANARY.text(), format!("Authorization: Bearer {}", CANARY.text()));
/// ```
#[macro_export]
macro_rules! assert_no_leak {
    ($secret:expr, [$(($label:expr, $value:expr $(,)?)),+ $(,)?] $(,)?) => {{
        let detector = $crate::leak::LeakDetector::new(::core::convert::AsRef::<str>::as_ref(&$secret));
        detector.assert_sees();
        $(detector.assert_absent(&$label, ::core::convert::AsRef::<[u8]>::as_ref(&$value));)+
    }};
    ($secret:expr, $text:expr $(,)?) => {
        $crate::assert_no_leak!($secret, [(::core::stringify!($text), $text)])
    };
}

/// Looks for secrets in bytes, in the forms that a secret takes when it leaks.
///
/// Found are the whole secret and any [`FRAGMENT`](Self::FRAGMENT) consecutive bytes of its random
/// part, each raw and in every [`Form`]. A printable prefix such as `sk-proj-` alone is no leak,
/// nor are the last four characters: OpenAI itself shows both.
///
/// ```
/// use keyward_testkit::CANARY;
/// use keyward_testkit::leak::{Form, LeakDetector};
///
/// let detector = LeakDetector::new(CANARY.text());
/// assert!(detector.find(b"sk-proj-...ab12").is_empty());
///
/// let bytes = format!("{:?}", CANARY.text().as_bytes());
/// let leaks = detector.find(bytes.as_bytes());
/// assert_eq!(leaks[0].form(), Form::ByteList);
/// assert!(leaks[0].is_whole());
/// ```
pub struct LeakDetector {
    secrets: Vec<Secret>,
    places: Places,
}

impl LeakDetector {
    /// How many consecutive bytes of a secret's random part are a leak.
    pub const FRAGMENT: usize = 12;

    /// The shortest secret that can be looked for: a shorter one is found by accident.
    pub const MIN_SECRET: usize = 8;

    /// A detector of one secret.
    ///
    /// # Panics
    ///
    /// If the secret is shorter than [`MIN_SECRET`](Self::MIN_SECRET) bytes.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self::of_all([secret])
    }

    /// A detector of several secrets.
    ///
    /// # Panics
    ///
    /// If there is none, or one is shorter than [`MIN_SECRET`](Self::MIN_SECRET) bytes.
    #[must_use]
    pub fn of_all<I>(secrets: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let secrets: Vec<_> = secrets.into_iter().map(|text| Secret::new(text.as_ref())).collect();
        assert!(!secrets.is_empty(), "a leak detector needs a secret to look for");
        let places = Places::of(&secrets);
        Self { secrets, places }
    }

    /// Where the secrets are in `haystack`, by offset. Overlapping finds of one secret are
    /// one leak.
    #[must_use]
    pub fn find(&self, haystack: &[u8]) -> Vec<Leak> {
        let mut leaks: Vec<Leak> = Vec::new();
        decode::for_each_view(haystack, |view| {
            for run in self.runs(&view.bytes) {
                let (start, end) = view.place(run.start, run.end);
                // A decoder that changed nothing in the run saw what the raw view sees.
                if view.form != Form::Raw && end - start == run.end - run.start {
                    continue;
                }
                leaks.push(Leak {
                    form: view.form,
                    secret: run.secret,
                    secret_bytes: run.end - run.start,
                    whole: run.whole,
                    offset: start,
                    length: end - start,
                });
            }
        });
        // The most telling of those that share bytes stays: the one that shows most of the
        // secret, then the shortest.
        leaks.sort_by_key(|leak| (std::cmp::Reverse(leak.secret_bytes), leak.length, leak.form));
        let mut kept: Vec<Leak> = Vec::new();
        for leak in leaks {
            if !kept.iter().any(|other| other.secret == leak.secret && other.overlaps(&leak)) {
                kept.push(leak);
            }
        }
        kept.sort_by_key(|leak| (leak.offset, leak.secret));
        kept
    }

    /// Asserts that the detector finds each of its secrets in each form, planted in a dummy text.
    ///
    /// # Panics
    ///
    /// If it does not: "detector is blind".
    #[track_caller]
    pub fn assert_sees(&self) {
        for (index, secret) in self.secrets.iter().enumerate() {
            for plant in control::plants(secret) {
                let found = self.find(&plant.text);
                assert!(
                    found.iter().any(|leak| leak.secret == index && leak.whole == plant.whole),
                    "detector is blind: secret {index} planted as {} was not found",
                    plant.what,
                );
            }
        }
    }

    /// Asserts that no secret is in `haystack`; `label` names it in the message.
    ///
    /// # Panics
    ///
    /// If one is. The message does not repeat the secret.
    #[track_caller]
    pub fn assert_absent(&self, label: &dyn fmt::Display, haystack: &[u8]) {
        let leaks = self.find(haystack);
        if let Some((first, rest)) = leaks.split_first() {
            panic!("secret leaked in {label}: {first}, and {} more", rest.len());
        }
    }
}

impl fmt::Debug for LeakDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakDetector").field("secrets", &self.secrets.len()).finish()
    }
}

/// One place where a secret was found. It tells the form and the place, and never the secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leak {
    form: Form,
    secret: usize,
    secret_bytes: usize,
    whole: bool,
    offset: usize,
    length: usize,
}

impl Leak {
    /// The form that the secret took.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether the whole secret is there, or a fragment of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many bytes of the secret are there.
    #[must_use]
    pub fn secret_bytes(&self) -> usize {
        self.secret_bytes
    }

    /// Which of the detector's secrets it is, counted from zero.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret
    }

    /// Where it begins, in bytes of what was searched.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes of what was searched it takes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.offset < other.offset + other.length && other.offset < self.offset + self.length
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole {
            f.write_str("the whole secret")?;
        } else {
            write!(f, "{} consecutive bytes of the secret", self.secret_bytes)?;
        }
        write!(f, ", {}, at offset {}, {} bytes long", self.form, self.offset, self.length)
    }
}

/// A form that a secret takes in text.
///
/// When a text is in two forms at once, as base64 without a character that tells the alphabets
/// apart, the first of them in this order is named.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Form {
    /// As it is.
    Raw,
    /// Base64 with `+` and `/`, at any of the three alignments, padded or not, wrapped or not.
    Base64Standard,
    /// Base64 with `-` and `_`, at any of the three alignments, padded or not, wrapped or not.
    Base64UrlSafe,
    /// The numbers of its bytes, as `Debug` prints a byte slice: `[115, 107, 45]`; also `0x73`.
    ByteList,
    /// With escapes of JSON or of a Rust string literal: `\u0073`, `\x73`, `\u{73}`, `\"`.
    Escaped,
    /// Two hexadecimal digits a byte, in either case.
    Hex,
    /// Some or all of its bytes as `%73`.
    PercentEncoded,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Base64Standard => "in base64",
            Self::Base64UrlSafe => "in URL-safe base64",
            Self::ByteList => "as a list of bytes",
            Self::Escaped => "with escapes",
            Self::Hex => "in hexadecimal",
            Self::PercentEncoded => "percent-encoded",
            Self::Utf16Le => "in UTF-16LE",
            Self::Utf16Be => "in UTF-16BE",
        })
    }
}

/// One secret, and where its random part begins.
struct Secret {
    text: Vec<u8>,
    body: usize,
}

impl Secret {
    fn new(text: &str) -> Self {
        assert!(
            text.len() >= LeakDetector::MIN_SECRET,
            "a secret of {} bytes is found by accident: {} are the least",
            text.len(),
            LeakDetector::MIN_SECRET,
        );
        Self { body: public_prefix(text), text: text.as_bytes().to_vec() }
    }
}

/// What begins how, of all secrets at once, so that many cost about as much as one.
struct Places {
    /// Whether something begins with four bytes of this hash: most of a haystack is passed over by
    /// this alone.
    sieve: Vec<bool>,
    /// The secrets that begin with these bytes.
    heads: HashMap<[u8; 4], Vec<usize>>,
    /// The secrets in whose random part these bytes are.
    windows: HashMap<[u8; LeakDetector::FRAGMENT], Vec<usize>>,
}

impl Places {
    fn of(secrets: &[Secret]) -> Self {
        let (mut heads, mut windows) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let mut sieve = vec![false; 1 << SIEVE_BITS];
        for (index, secret) in secrets.iter().enumerate() {
            let head = *secret.text.first_chunk().expect("a secret is longer");
            sieve[hash(u32::from_le_bytes(head))] = true;
            heads.entry(head).or_default().push(index);
            for window in secret.text[secret.body..].windows(LeakDetector::FRAGMENT) {
                let window: [u8; LeakDetector::FRAGMENT] = window.try_into().expect("as long");
                let first = *window.first_chunk().expect("it is longer");
                sieve[hash(u32::from_le_bytes(first))] = true;
                let owners = windows.entry(window).or_default();
                if owners.last() != Some(&index) {
                    owners.push(index);
                }
            }
        }
        Self { sieve, heads, windows }
    }

    /// The secrets that have this fragment.
    fn owners(&self, bytes: &[u8]) -> &[usize] {
        bytes.first_chunk().and_then(|window| self.windows.get(window)).map_or(&[], Vec::as_slice)
    }
}

impl LeakDetector {
    /// The stretches of `bytes` that show a secret, whole or in part.
    fn runs(&self, bytes: &[u8]) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut after = vec![0; self.secrets.len()];
        // The four bytes that end here.
        let mut head = 0;
        for (end, byte) in bytes.iter().enumerate() {
            head = head >> 8 | u32::from(*byte) << 24;
            if end < 3 || !self.places.sieve[hash(head)] {
                continue;
            }
            let (at, head) = (end - 3, head.to_le_bytes());
            for &secret in self.places.heads.get(&head).into_iter().flatten() {
                let text = &self.secrets[secret].text;
                if at >= after[secret] && bytes[at..].starts_with(text) {
                    after[secret] = at + text.len();
                    runs.push(Run { secret, start: at, end: after[secret], whole: true });
                }
            }
            for &secret in self.places.owners(&bytes[at..]) {
                if at >= after[secret] {
                    after[secret] = self.fragment_end(secret, bytes, at);
                    runs.push(Run { secret, start: at, end: after[secret], whole: false });
                }
            }
        }
        runs
    }

    /// The end of the secret's fragment that begins at `at`, however long it goes on.
    fn fragment_end(&self, secret: usize, bytes: &[u8], at: usize) -> usize {
        let goes_on = |from: &usize| self.places.owners(&bytes[*from..]).contains(&secret);
        (at..bytes.len()).take_while(goes_on).last().unwrap_or(at) + Self::FRAGMENT
    }
}

const SIEVE_BITS: u32 = 18;

/// Four bytes, the first the lowest, as a place in the sieve.
fn hash(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - SIEVE_BITS)) as usize
}

struct Run {
    secret: usize,
    start: usize,
    end: usize,
    whole: bool,
}

/// How many bytes at the start of a secret tell its kind and are no secret.
fn public_prefix(text: &str) -> usize {
    const PREFIXES: [&str; 8] = [
        "sk-admin-",
        "sk-None-",
        "sk-proj-",
        "sk-svcacct-",
        "ek_",
        "sess-",
        "sk-ant-api03-",
        "sk-or-v1-",
    ];
    if let Some(prefix) = PREFIXES.iter().find(|prefix| text.starts_with(**prefix)) {
        return prefix.len();
    }
    if !text.starts_with("sk-") {
        return 0;
    }
    // A service account of 2024 has its name in its keys: `sk-name-` and 20 letters, the marker.
    let named = text.find(MARKER).and_then(|marker| marker.checked_sub(20));
    match named {
        Some(body) if body > 3 && text.as_bytes()[body - 1] == b'-' => body,
        _ => 3,
    }
}

#[cfg(test)]
mod tests;
