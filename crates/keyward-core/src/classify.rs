//! The classifier: what a text is, by the table of formats.

use crate::KeyKind;
use crate::formats::{self, FORMATS, MARKED};

impl KeyKind {
    /// Tells what a text is. Total, without allocation, and without looking at the random part.
    ///
    /// ```
    /// use keyward_core::{KeyKind, Vendor};
    ///
    /// assert_eq!(KeyKind::classify(b"sk-proj-..."), KeyKind::Project);
    /// assert_eq!(KeyKind::classify(b"sk-ant-..."), KeyKind::OtherVendor(Vendor::Anthropic));
    /// assert_eq!(KeyKind::classify(b"\xff\x00"), KeyKind::Unknown);
    /// ```
    #[must_use]
    pub fn classify(bytes: &[u8]) -> Self {
        // The closed generations of 2024 come between our own prefixes and those of vendors,
        // because a service account may have been called `ant`.
        let (own, vendors) = FORMATS.split_at(OWN);
        if let Some(kind) = by_prefix(own, bytes) {
            return kind;
        }
        if formats::is_marked_user_key(bytes) {
            return Self::LegacyUser;
        }
        if formats::is_named_service_account_key(bytes) {
            return Self::ServiceAccount;
        }
        if let Some(kind) = by_prefix(vendors, bytes) {
            return kind;
        }
        MARKED
            .iter()
            .find(|m| bytes.get(m.at..).is_some_and(|rest| rest.starts_with(m.mark.as_bytes())))
            .map_or(Self::Unknown, |marked| marked.kind)
    }
}

/// How many rows of the table are OpenAI's own: they come first.
const OWN: usize = {
    let mut n = 0;
    while n < FORMATS.len() && !matches!(FORMATS[n].kind, KeyKind::OtherVendor(_)) {
        n += 1;
    }
    n
};

fn by_prefix(formats: &[formats::Format], bytes: &[u8]) -> Option<KeyKind> {
    formats.iter().find(|f| bytes.starts_with(f.prefix.as_bytes())).map(|f| f.kind)
}
