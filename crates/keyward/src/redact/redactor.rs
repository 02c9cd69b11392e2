//! [`Redactor`], and the mask.

use std::borrow::Cow;
use std::fmt;

use keyward_core::find::{Encoding, FoundKey, KeyFinder, KeyStream, Piece};
use keyward_core::{ApiKey, KeyKind};

/// Masks the keys in a stream of bytes, wherever the stream is cut.
///
/// What may be a part of a key that goes on is held back: a run of letters, digits, `-`, `_`, `%`,
/// `\` and zero bytes at the end of what has come, of at most
/// [`KeyStream::MAX_HELD`](crate::find::KeyStream::MAX_HELD) bytes. The end of a line lets it go.
/// Bytes that are no text pass as they are.
///
/// ```
/// use keyward::redact::Redactor;
///
/// # let key = keyward_testkit::keys::admin_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let (first, second) = key.split_at(40);
/// let (mut redactor, mut out) = (Redactor::new(), Vec::new());
/// redactor.push(b"key=", &mut out);
/// redactor.push(first.as_bytes(), &mut out);
/// redactor.push(second.as_bytes(), &mut out);
/// redactor.push(b"\n", &mut out);
/// assert!(out.starts_with(b"key=[openai admin key "));
/// assert!(out.ends_with(b"]\n"));
/// ```
///
/// # Security
///
/// What is held back is wiped when it has gone out, and on drop. What goes out holds no key; it is
/// the caller's.
#[derive(Debug)]
pub struct Redactor {
    stream: KeyStream,
    masked: u64,
}

impl Redactor {
    /// A redactor that knows keys by their look.
    #[must_use]
    pub fn new() -> Self {
        Self::with_finder(KeyFinder::new())
    }

    /// A redactor that masks what this finder finds, such as keys that are registered with it.
    #[must_use]
    pub fn with_finder(finder: KeyFinder) -> Self {
        Self { stream: KeyStream::new(finder), masked: 0 }
    }

    /// Masks this key too, whatever it looks like, from the beginning of a stream.
    ///
    /// The key is shared, not copied. See [`KeyFinder::with_key`].
    #[must_use]
    pub fn with_key(self, key: &ApiKey) -> Self {
        Self::with_finder(self.stream.into_finder().with_key(key))
    }

    /// Takes the next bytes of the stream, and appends to `out` what can go out.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.stream.push(bytes, masking(out, &mut self.masked));
    }

    /// Appends what is held back: nothing more comes. The redactor can begin anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.stream.finish(masking(out, &mut self.masked));
    }

    /// Appends what is held back as far as it shows no sign of a key, for a stream that waits in
    /// the middle of a line. See [`KeyStream::release`].
    pub fn release(&mut self, out: &mut Vec<u8>) {
        self.stream.release(masking(out, &mut self.masked));
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.stream.held_len()
    }

    /// How many keys have been masked so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

/// A text with the keys in it masked; the text itself where there is none.
///
/// ```
/// assert_eq!(keyward::redact::text("nothing to hide"), "nothing to hide");
/// ```
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    text_with(&KeyFinder::new(), text)
}

/// A text with what this finder finds in it masked; the text itself where that is nothing.
#[must_use]
pub fn text_with<'a>(finder: &KeyFinder, text: &'a str) -> Cow<'a, str> {
    match bytes_with(finder, text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        // A key in UTF-16 within a text has its mask in UTF-16 too, so this stays a text.
        Cow::Owned(masked) => Cow::Owned(
            String::from_utf8(masked)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    }
}

/// Any bytes with the keys in them masked; the bytes themselves where there is none.
#[must_use]
pub fn bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    bytes_with(&KeyFinder::new(), bytes)
}

/// Any bytes with what this finder finds in them masked; the bytes themselves where that is nothing.
#[must_use]
pub fn bytes_with<'a>(finder: &KeyFinder, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let mut out = Vec::new();
    let mut told = 0;
    for found in finder.find_iter(bytes) {
        out.extend_from_slice(&bytes[told..found.range().start]);
        mask(&found, &mut out);
        told = found.range().end;
    }
    if told == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(&bytes[told..]);
    Cow::Owned(out)
}

fn masking(out: &mut Vec<u8>, count: &mut u64) -> impl FnMut(Piece<'_>) {
    move |piece| match piece {
        Piece::Text(text) => out.extend_from_slice(text),
        Piece::Key(found) => {
            mask(&found, out);
            *count += 1;
        }
    }
}

/// Writes the mask of a key, in UTF-16 where the key was.
fn mask(found: &FoundKey, out: &mut Vec<u8>) {
    let mask = Mask(found).to_string();
    match found.encoding() {
        Encoding::Utf16Be => out.extend(mask.bytes().flat_map(|byte| [0, byte])),
        Encoding::Utf16Le => out.extend(mask.bytes().flat_map(|byte| [byte, 0])),
        _ => out.extend_from_slice(mask.as_bytes()),
    }
}

struct Mask<'a>(&'a FoundKey);

impl fmt::Display for Mask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found) = self;
        f.write_str(if found.is_certain() { "[" } else { "[possible " })?;
        match found.kind() {
            KeyKind::Unknown => {}
            KeyKind::OtherVendor(_) => f.write_str("other-vendor ")?,
            kind => {
                f.write_str("openai ")?;
                let words = kind.as_str();
                words.split('_').enumerate().try_for_each(|(n, word)| {
                    f.write_str(if n == 0 { "" } else { "-" })?;
                    f.write_str(word)
                })?;
                f.write_str(" ")?;
            }
        }
        write!(f, "key {}]", found.fingerprint())
    }
}
