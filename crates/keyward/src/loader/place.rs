//! [`Place`]: a path or a name that a loader was given, and how it may be shown.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use keyward_core::{KeySource, find};

/// A path or a variable's name.
///
/// It is shown in every error, so it is shown with care: on one line, whatever characters it has,
/// and masked where it is a key that was passed in place of its name.
#[derive(Clone)]
pub(crate) struct Place(OsString);

impl Place {
    pub(crate) fn new(place: impl Into<OsString>) -> Self {
        Self(place.into())
    }

    pub(crate) fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    pub(crate) fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// As a word of a shell command that a reader may copy.
    #[cfg(any(unix, feature = "keychain", feature = "store"))]
    pub(crate) fn quoted(&self) -> String {
        let text = self.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
        if text.chars().all(plain) {
            return text;
        }
        format!("'{}'", text.replace('\'', r"'\''"))
    }

    pub(crate) fn source(&self, scheme: &'static str) -> KeySource {
        KeySource::new(scheme, self.to_string())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        // Not every name is scrubbed: a long name with a digit in it would be masked too.
        let text = if find::contains_key(&text) { find::scrub(&text) } else { text };
        text.chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_default())
            } else {
                fmt::Write::write_char(f, c)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[cfg(unix)]
    #[test]
    fn is_one_word_of_a_command() {
        for (place, expected) in [
            ("/run/secrets/openai-key", "/run/secrets/openai-key"),
            ("/a b", "'/a b'"),
            ("/a;rm x", "'/a;rm x'"),
            ("/it's", r"'/it'\''s'"),
        ] {
            assert_eq!(Place::new(place).quoted(), expected);
        }
    }

    #[test]
    fn shows_names_whole_and_keys_masked() {
        let key = format!("sk-proj-{}", "a1B2".repeat(12));
        for (place, expected) in [
            ("OPENAI_API_KEY_OF_TEAM_2".to_owned(), None),
            ("/run/secrets/openai-key-of-2026-production".to_owned(), None),
            ("a\nb\u{1b}[2J".to_owned(), Some("a\\nb\\u{1b}[2J")),
            (key.clone(), Some("[project key]")),
            (format!("sk-{}", "a1B2".repeat(12)), Some("[masked]")),
            (format!("/run/{key}"), Some("/run/[project key]")),
            (format!("OPENAI_API_KEY={key}"), Some("OPENAI_API_KEY=[project key]")),
            (format!("Bearer {key}"), Some("Bearer [project key]")),
            (format!("A:{key}"), Some("A:[project key]")),
        ] {
            let shown = Place::new(place.clone()).to_string();
            assert_eq!(shown, expected.unwrap_or(&place));
        }
    }
}
