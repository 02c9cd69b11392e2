//! What others repeat of a key: the redacted form in which the Admin API lists it, and pieces of it.

use alloc::vec::Vec;

use zeroize::Zeroizing;

/// Fewer characters than this say nothing about which key it is: `sk-...` is every key.
const MIN_SHOWN: usize = 4;

pub(crate) fn matches(key: &str, redacted: &str) -> bool {
    let redacted = redacted.trim();
    let is_mask = |c: char| matches!(c, '*' | '.' | '…');
    let Some(start) = redacted.find(is_mask) else {
        return false;
    };
    let head = &redacted[..start];
    let tail = redacted[start..].trim_start_matches(is_mask);
    !tail.contains(is_mask)
        && head.len() + tail.len() >= MIN_SHOWN
        && key.len() > head.len() + tail.len()
        && key.starts_with(head)
        && key.ends_with(tail)
}

/// So many characters in a row are a piece of the key and not chance.
const PIECE: usize = 12;

/// Whether a text has a piece of the key in it, whatever stands between its characters.
pub(crate) fn echoes(key: &str, text: &str) -> bool {
    let bare = |text: &str| {
        let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
        bare.extend(text.bytes().filter(u8::is_ascii_alphanumeric));
        bare
    };
    let (key, text) = (bare(key), bare(text));
    // A journal is long, and has this asked of it with each record.
    let mut windows: Vec<_> = text.windows(PIECE).collect();
    windows.sort_unstable();
    key.windows(PIECE).any(|piece| windows.binary_search(&piece).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{echoes, matches};

    #[test]
    fn pieces_are_seen_through_what_stands_between() {
        let key = "sk-proj-abcDEF123ghiJKL456mnoPQR789";
        for (text, expected) in [
            ("abcDEF123ghi", true),
            ("the key ...J-K/L 4:5:6 m.n.o PQR", true),
            ("sk-proj-abc", false),
            ("789", false),
            ("nothing of it is here", false),
            ("", false),
        ] {
            assert_eq!(echoes(key, text), expected, "{text}");
        }
    }

    #[test]
    fn shows_and_hides() {
        let key = "sk-proj-abcdefghijklmnop";
        for (redacted, expected) in [
            ("sk-pro...mnop", true),
            ("sk-proj-…nop", true),
            ("sk-proj-********mnop", true),
            ("  sk-pro...mnop\n", true),
            ("sk-proj-abcd...", true),
            ("...mnop", true),
            ("sk-pro...mnoq", false),
            ("sk-adm...mnop", false),
            ("sk-proj-abcdefghijklmnop", false),
            ("sk-proj-abcdefghijkl...ijklmnop", false),
            ("sk-pro...mn...op", false),
            ("...", false),
            ("sk-...", false),
            ("", false),
        ] {
            assert_eq!(matches(key, redacted), expected, "{redacted}");
        }
    }
}
