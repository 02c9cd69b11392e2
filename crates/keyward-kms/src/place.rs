//! Names and paths as they may be shown: on one line, and masked where they are a key that was
//! passed in place of its name.

use keyward::find;

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
