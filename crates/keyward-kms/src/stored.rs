//! What a version of a secret holds that a store has written: JSON of texts, the key in the field
//! `api_key`.

use keyward::store::{KeyNote, StoreError, StoreErrorKind, StoredKey};
use keyward::{ApiKey, KeyKind, KeySource, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::json::{self, Found};

/// The text of a version that holds a key, in a buffer that is wiped.
pub(crate) fn write(key: &ApiKey, note: &KeyNote, now: Timestamp) -> Zeroizing<Vec<u8>> {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let (expires_at, created_at) = (time(note.expires_at), time(note.created_at));
    let staged_at = now.to_string();
    let kind = (key.kind() == KeyKind::AccessToken).then_some("access_token");
    // EXPOSE: the store's write. The cloud keeps it sealed.
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

/// Reads a version: one of ours, or one that another tool wrote, be it the bare key or JSON with
/// the field `api_key`. `None` is JSON without that field.
pub(crate) fn read(
    text: &[u8],
    version: &str,
    source: &KeySource,
) -> Result<Option<StoredKey>, StoreError> {
    if !text.trim_ascii_start().starts_with(b"{") {
        // EXPOSE: the door for keys that another tool has put where the store keeps them.
        let key = ApiKey::parse(text.to_vec());
        let key = key.map_err(|_| damaged("what is stored is neither a key nor JSON", source))?;
        return Ok(Some(StoredKey::new(key, version)));
    }
    let malformed = || damaged("what is stored is not well formed", source);
    let beside: Beside = serde_json::from_slice(text).map_err(|_| malformed())?;
    let text = match json::text_at(text, &["api_key"]) {
        Found::Text(text) => text,
        Found::Nothing => return Ok(None),
        Found::NotJson => return Err(malformed()),
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
    let key = key.map_err(|_| damaged("the key that is stored cannot be one", source))?;
    Ok(Some(StoredKey::new(key, version).note(note).staged_at(time(beside.staged_at))))
}

/// The error for a version without a key that is not ours. A store that took it for empty would
/// send a chain on to an older key, and write over it.
pub(crate) fn without_a_key(source: &KeySource) -> StoreError {
    damaged("there is no field `api_key` with a text", source)
}

fn damaged(what: &'static str, source: &KeySource) -> StoreError {
    let fix = "put the key there as the field `api_key` of a JSON object";
    StoreError::new(StoreErrorKind::Damaged, source.clone(), what, fix)
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
