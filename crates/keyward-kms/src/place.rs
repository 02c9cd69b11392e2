//! Names and paths as they may be shown: on one line, and masked where they are a key that was
//! passed in place of its name.

#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
use std::fmt;

use keyward::find;

#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
use crate::{Error, ErrorKind};

/// A name or path for errors, `Debug` and sources.
pub(crate) fn shown(place: &str) -> String {
    // Not every name is scrubbed: a long name with a digit in it would be masked too.
    let text = if find::contains_key(place) { find::scrub(place) } else { place.into() };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What somebody named: a secret, a parameter, a path, a KMS key. It may be a key by mistake.
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
#[derive(Clone)]
pub(crate) struct Name(String);

#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
impl Name {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// As it was given, to be looked at.
    #[cfg(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault"))]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it was given, to be sent: but not a key in the place of its name, because a cloud writes
    /// names to its audit log.
    pub(crate) fn checked(&self) -> Result<&str, Error> {
        if find::contains_key(&self.0) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a key stands in the place of its name",
                "give the name that the key is stored under",
            ));
        }
        Ok(&self.0)
    }
}

#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&shown(&self.0), f)
    }
}

#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn shows_names_whole_and_keys_masked() {
        let key = format!("sk-proj-{}", "a1B2".repeat(12));
        for (place, expected) in [
            ("prod/openai-key-of-2026".to_owned(), None),
            ("a\nb".to_owned(), Some("a\\nb")),
            (key.clone(), Some("[project key]")),
            (format!("prod/{key}"), Some("prod/[project key]")),
        ] {
            assert_eq!(shown(&place), expected.unwrap_or(&place));
        }
    }
}
