//! What a version of the secret holds: JSON of texts, the key in the field `api_key`.

use keyward::store::{KeyNote, StoreError, StoreErrorKind, StoredKey, Version};
use keyward::{ApiKey, KeyKind, KeySource, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::labels::Labels;
use crate::json::{self, Found};

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

/// The text of a version that holds a key, in a buffer that is wiped.
pub(super) fn write(key: &ApiKey, note: &KeyNote, now: Timestamp) -> Zeroizing<Vec<u8>> {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let (expires_at, created_at) = (time(note.expires_at), time(note.created_at));
    let staged_at = now.to_string();
    let kind = (key.kind() == KeyKind::AccessToken).then_some("access_token");
    // EXPOSE: the store's write. Secrets Manager keeps it sealed.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let text = key.expose_secret();
    let fields = [
        ("api_key", Some(text)),
        ("kind", kind),
        ("key_id", note.key_id.as_deref()),
        ("tag", note.tag.as_deref()),
        ("expires_at", expires_at.as_deref()),
        ("created_at", created_at.as_deref()),
        ("staged_at", Some(staged_at.as_str())),
    ];
    let fields: Vec<_> =
        fields.into_iter().filter_map(|(name, text)| Some((name, text?.as_bytes()))).collect();
    json::object(&fields)
}

/// The text of the note that a version is promoted, in place of the one that is current.
pub(super) fn promoting(version: &Version, from: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut fields = vec![("promoting", version.as_str().as_bytes())];
    fields.extend(from.map(|from| ("from", from.as_bytes())));
    json::object(&fields)
}

/// Reads a version: one of ours, or one that another tool wrote, be it the bare key or JSON with
/// the field `api_key`. What has no key in it and is not ours is damaged: a store that took it for
/// empty would send a chain on to an older key, and write over it.
pub(super) fn read(text: &[u8], id: &str, source: &KeySource) -> Result<Content, StoreError> {
    let damaged = |what: &'static str| {
        let fix = "put the key there as the field `api_key` of a JSON object";
        StoreError::new(StoreErrorKind::Damaged, source.clone(), what, fix)
    };
    if !text.trim_ascii_start().starts_with(b"{") {
        let key = ApiKey::parse(text.to_vec());
        let key = key.map_err(|_| damaged("what is stored is neither a key nor JSON"))?;
        return Ok(Content::Key(Box::new(StoredKey::new(key, id))));
    }
    let beside: Beside =
        serde_json::from_slice(text).map_err(|_| damaged("what is stored is not well formed"))?;
    let text = match json::text_at(text, &["api_key"]) {
        Found::Text(text) => text,
        Found::Nothing if text == NOTHING.as_bytes() => return Ok(Content::Nothing),
        Found::Nothing => {
            return match serde_json::from_slice(text) {
                Ok(note) => Ok(Content::Promoting(note)),
                Err(_) => Err(damaged("there is no field `api_key` with a text")),
            };
        }
        Found::NotJson => return Err(damaged("what is stored is not well formed")),
    };
    // Not `parse`: what is stored was issued, and survives whatever it looks like.
    // EXPOSE: the door for keys that the store keeps.
    let key = match beside.kind.as_deref() {
        Some("access_token") => ApiKey::access_token(text.to_vec()),
        _ => ApiKey::issued(text.to_vec()),
    };
    let time = |at: Option<String>| at.and_then(|at| at.parse::<Timestamp>().ok());
    let mut note = KeyNote::new();
    (note.key_id, note.tag) = (beside.key_id, beside.tag);
    note = note.expires_at(time(beside.expires_at)).created_at(time(beside.created_at));
    let key = key.map_err(|_| damaged("the key that is stored cannot be one"))?;
    let stored = StoredKey::new(key, id).note(note).staged_at(time(beside.staged_at));
    Ok(Content::Key(Box::new(stored)))
}

/// What stands beside the key.
#[derive(Deserialize)]
struct Beside {
    kind: Option<String>,
    key_id: Option<String>,
    tag: Option<String>,
    expires_at: Option<String>,
    created_at: Option<String>,
    staged_at: Option<String>,
}
