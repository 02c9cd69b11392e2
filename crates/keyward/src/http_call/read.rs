//! What may be kept of an answer: a secret, in memory that is wiped, and the server's words, with
//! nothing of a secret in them.

use std::fmt;

use keyward_core::find;
use serde::de::{Deserialize, Deserializer, Visitor};
use zeroize::Zeroizing;

/// A JSON string in one allocation of exactly its size, which is wiped.
pub(crate) struct Secret(pub(crate) Zeroizing<Vec<u8>>);

impl Secret {
    /// It was a text before it was bytes.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
                bytes.extend_from_slice(text.as_bytes());
                Ok(Secret(bytes))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// So many characters of what a server says are shown.
const MAX_WORDS: usize = 200;

/// What a server says, on one line, with everything masked that may be a secret. None, if it
/// repeats the secret that was sent to it.
pub(crate) fn readable(words: &str, is_echo: impl Fn(&str) -> bool) -> Option<String> {
    if is_echo(words) {
        return None;
    }
    let words = find::scrub(words);
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
    Some(shown.trim_end_matches('.').to_owned())
}
