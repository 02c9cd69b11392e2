//! The form of a store's document: JSON, read and written without leaving a copy of a key.

use std::fmt;
use std::io;

use keyward_core::{ApiKey, KeyKind, KeySource, Timestamp};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Document;
use crate::store::contents::Contents;
use crate::store::{KeyNote, Lease, StoreError, StoreErrorKind, StoredKey};

/// Reads a document.
pub(in crate::store) fn read(
    document: &Document,
    source: &KeySource,
) -> Result<Contents, StoreError> {
    let damaged = |what: String| {
        let fix = "restore it, or move it away and store the key anew";
        Err(StoreError::new(StoreErrorKind::Damaged, source.clone(), what, fix))
    };
    // EXPOSE: the door for keys that stand in a store's document.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let bytes = document.expose_bytes();
    let form: Form<'_> = match serde_json::from_slice(bytes) {
        Ok(form) => form,
        // Only where: what serde_json says quotes what stands there.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return damaged(format!("no document of a store, at line {line}, column {column}"));
        }
    };
    if form.keyward_store != FORM {
        return Err(StoreError::new(
            StoreErrorKind::Damaged,
            source.clone(),
            format!("a document of form {}, and this version knows {FORM}", form.keyward_store),
            "use the version of keyward that wrote it, or a later one",
        ));
    }
    let lease = form.lease.map(|lease| {
        Lease::new(lease.holder, lease.fence, Timestamp::from_unix_seconds(lease.expires_at))
    });
    let journal = form.journal.unwrap_or_default();
    let key = |key: Option<KeyForm<'_>>| key.map(KeyForm::into_stored).transpose();
    let keys = (key(form.current), key(form.pending), key(form.previous));
    let (Ok(current), Ok(pending), Ok(previous)) = keys else {
        return damaged("a key in it is none".to_owned());
    };
    Ok(Contents {
        versions: form.versions,
        fences: form.fences,
        current,
        pending,
        previous,
        lease,
        journal: journal.text,
        writings: journal.writings,
    })
}

/// Writes a document, into one buffer of its size.
pub(in crate::store) fn write(
    contents: &Contents,
    max_len: usize,
    source: &KeySource,
) -> Result<Document, StoreError> {
    let hex = [&contents.current, &contents.pending, &contents.previous]
        .map(|stored| stored.as_ref().and_then(|stored| hex_if_escaped(&stored.key)));
    let [current, pending, previous] = &hex;
    let form = Form {
        keyward_store: FORM,
        versions: contents.versions,
        fences: contents.fences,
        current: contents.current.as_ref().map(|stored| KeyForm::new(stored, current)),
        pending: contents.pending.as_ref().map(|stored| KeyForm::new(stored, pending)),
        previous: contents.previous.as_ref().map(|stored| KeyForm::new(stored, previous)),
        lease: contents.lease.as_ref().map(|lease| LeaseForm {
            holder: lease.holder.clone(),
            fence: lease.fence,
            expires_at: lease.expires_at.as_unix_seconds(),
        }),
        journal: (contents.writings > 0)
            .then(|| JournalForm { text: contents.journal.clone(), writings: contents.writings }),
    };
    // Counted first: a buffer that grows leaves copies behind.
    let mut counter = Counter(0);
    let counted = serde_json::to_writer(&mut counter, &form).is_ok();
    if !counted || counter.0 > max_len {
        return Err(StoreError::new(
            StoreErrorKind::TooLarge,
            source.clone(),
            format!("{} bytes, and the place holds {max_len}", counter.0),
            "write a shorter journal and shorter notes, or discard the previous key",
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(counter.0));
    match serde_json::to_writer(&mut *bytes, &form) {
        Ok(()) => Ok(Document::from(std::mem::take(&mut *bytes))),
        // A `Vec` takes everything, and every field has a form.
        Err(_) => Err(StoreError::new(
            StoreErrorKind::Invalid,
            source.clone(),
            "it cannot be written as JSON",
            "report this as a bug",
        )),
    }
}

/// The form that this version reads and writes.
const FORM: u32 = 1;

#[derive(Deserialize, Serialize)]
struct Form<'a> {
    keyward_store: u32,
    #[serde(default)]
    versions: u64,
    #[serde(default)]
    fences: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    current: Option<KeyForm<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pending: Option<KeyForm<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    previous: Option<KeyForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<JournalForm>,
}

#[derive(Deserialize, Serialize)]
struct KeyForm<'a> {
    version: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyText<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key_hex: Option<KeyText<'a>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_access_token: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staged_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promoted_at: Option<i64>,
}

impl<'a> KeyForm<'a> {
    fn new(stored: &'a StoredKey, hex: &'a Option<Zeroizing<String>>) -> Self {
        let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_unix_seconds);
        Self {
            version: stored.version.to_string(),
            // EXPOSE: the write of a store.
            #[allow(clippy::disallowed_methods, reason = "the marked door")]
            key: hex.is_none().then(|| KeyText(stored.key.expose_secret())),
            key_hex: hex.as_ref().map(|hex| KeyText(hex)),
            is_access_token: stored.key.kind() == KeyKind::AccessToken,
            key_id: stored.note.key_id.clone(),
            tag: stored.note.tag.clone(),
            expires_at: seconds(stored.note.expires_at),
            created_at: seconds(stored.note.created_at),
            staged_at: seconds(stored.staged_at),
            promoted_at: seconds(stored.promoted_at),
        }
    }

    fn into_stored(self) -> Result<StoredKey, NoKey> {
        // Not `parse`: what is stored was issued, and survives whatever it looks like.
        let text = match (self.key, self.key_hex) {
            (Some(text), None) => text.0.as_bytes().to_vec(),
            (None, Some(hex)) => from_hex(hex.0).ok_or(NoKey)?,
            _ => return Err(NoKey),
        };
        let key =
            if self.is_access_token { ApiKey::access_token(text) } else { ApiKey::issued(text) };
        let time = |at: Option<i64>| at.map(Timestamp::from_unix_seconds);
        let mut note =
            KeyNote::new().expires_at(time(self.expires_at)).created_at(time(self.created_at));
        (note.key_id, note.tag) = (self.key_id, self.tag);
        Ok(StoredKey::new(key.map_err(|_| NoKey)?, self.version)
            .note(note)
            .staged_at(time(self.staged_at))
            .promoted_at(time(self.promoted_at)))
    }
}

struct NoKey;

#[derive(Deserialize, Serialize)]
struct LeaseForm {
    holder: String,
    fence: u64,
    expires_at: i64,
}

#[derive(Default, Deserialize, Serialize)]
struct JournalForm {
    text: String,
    writings: u64,
}

/// A key's text, borrowed from the document. It is never one that JSON escapes: then the parser
/// would have to copy it.
#[derive(Serialize)]
#[serde(transparent)]
struct KeyText<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for KeyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = KeyText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text without escapes")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(KeyText(text))
            }
        }

        deserializer.deserialize_str(Borrowed)
    }
}

/// The key's text in hexadecimal digits, if it has a character that JSON escapes, or that a place
/// may escape which writes the JSON anew: those that are HTML's, as Go's library has it.
fn hex_if_escaped(key: &ApiKey) -> Option<Zeroizing<String>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    // EXPOSE: the write of a store.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let text = key.expose_secret();
    if !text.contains(['"', '\\', '<', '>', '&']) {
        return None;
    }
    let mut hex = Zeroizing::new(String::with_capacity(2 * text.len()));
    for byte in text.bytes() {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Some(hex)
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(hex.len() / 2));
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    for [high, low] in pairs {
        bytes.push(digit(*high)? << 4 | digit(*low)?);
    }
    rest.is_empty().then(|| std::mem::take(&mut *bytes))
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
