//! What a version of the secret holds: a key, nothing, or the note that a version is promoted.

use keyward::KeySource;
use keyward::store::{StoreError, StoredKey, Version};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::labels::Labels;
use crate::{json, stored};

/// What a version holds.
pub(super) enum Content {
    Key(Box<StoredKey>),
    Nothing,
    Promoting(Promoting),
}

impl Content {
    pub(super) fn into_stored(self) -> Option<StoredKey> {
        match self {
            Self::Key(stored) => Some(*stored),
            Self::Nothing | Self::Promoting(_) => None,
        }
    }
}

/// The note that a version is promoted, and nothing beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promoting {
    #[serde(rename = "promoting")]
    pub(super) version: String,
    /// What was current when that was decided.
    from: Option<String>,
}

impl Promoting {
    /// Whether the promotion is still to be carried out. It is over when `AWSCURRENT` is anywhere
    /// but where it was, be it that the promotion moved it or somebody who knows nothing of it; and
    /// when it was moved back from the version, which had been current then.
    pub(super) fn is_open(&self, labels: &Labels) -> bool {
        self.from == labels.current && labels.previous.as_ref() != Some(&self.version)
    }
}

/// What a version without a key holds.
pub(super) const NOTHING: &str = "{}";

/// The text of the note that a version is promoted, in place of the one that is current.
pub(super) fn promoting(version: &Version, from: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut fields = vec![("promoting", version.as_str().as_bytes())];
    fields.extend(from.map(|from| ("from", from.as_bytes())));
    json::object(&fields)
}

/// Reads a version. What has no key in it and is not ours is damaged.
pub(super) fn read(text: &[u8], id: &str, source: &KeySource) -> Result<Content, StoreError> {
    if let Some(stored) = stored::read(text, id, source)? {
        return Ok(Content::Key(Box::new(stored)));
    }
    if text == NOTHING.as_bytes() {
        return Ok(Content::Nothing);
    }
    match serde_json::from_slice(text) {
        Ok(note) => Ok(Content::Promoting(note)),
        Err(_) => Err(stored::without_a_key(source)),
    }
}
