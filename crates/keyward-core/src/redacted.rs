//! Matching a key against the redacted form in which the Admin API lists it.

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

#[cfg(test)]
mod tests {
    use super::matches;

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
