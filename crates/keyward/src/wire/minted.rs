//! Keys that a server has just made, taken out of its answer before the HTTP stack reads it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward_core::{ApiKey, KeyFingerprint, KeyKind, MAX_KEY_LEN};
use rustls::crypto::cipher::{InboundOpaqueMessage, InboundPlainMessage, MessageDecrypter};
use rustls::{ContentType, Error};
use zeroize::Zeroizing;

use super::table::Table;

/// More than this many keys that nobody has asked for are not held.
const MOST: usize = 64;

/// The member of an answer that holds a new key.
const MEMBER: &[u8] = b"\"value\"";

/// The keys that were taken, by the fingerprints of what stands for them.
#[derive(Default)]
pub(super) struct Caught {
    is_on: AtomicBool,
    keys: Mutex<HashMap<KeyFingerprint, ApiKey>>,
}

impl Caught {
    pub(super) fn turn_on(&self) {
        self.is_on.store(true, Ordering::Release);
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// What this stands for; itself if it stands for nothing.
    pub(super) fn redeem(&self, key: ApiKey) -> ApiKey {
        self.keys().remove(&key.fingerprint()).unwrap_or(key)
    }

    /// Takes a key, and tells what stands for it from now on.
    fn take(&self, text: &[u8], table: &Table) -> Option<Vec<u8>> {
        let mut keys = self.keys();
        if keys.len() >= MOST {
            return None;
        }
        let placeholder = table.stand_in(text).ok()?;
        let stands_for = ApiKey::issued(placeholder.clone()).ok()?;
        // A copy of its exact size, which the key takes over.
        keys.insert(stands_for.fingerprint(), ApiKey::issued(text.to_vec()).ok()?);
        Some(placeholder)
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<KeyFingerprint, ApiKey>> {
        // Nothing that panics runs under the lock.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decrypts a record, and takes the new keys out of it. The plaintext with the keys is only in a
/// buffer that is wiped; rustls's own gets what stands for them.
pub(super) fn decrypt<'a>(
    inner: &mut dyn MessageDecrypter,
    mut message: InboundOpaqueMessage<'a>,
    seq: u64,
    table: &Arc<Table>,
) -> Result<InboundPlainMessage<'a>, Error> {
    let mut copy = Zeroizing::new(message.payload.to_vec());
    let opaque = InboundOpaqueMessage::new(message.typ, message.version, &mut copy);
    let plain = inner.decrypt(opaque, seq)?;
    let bytes = plain.payload;
    message.typ = plain.typ;
    message.version = plain.version;
    message.payload.truncate(bytes.len());
    let mut done = 0;
    if plain.typ == ContentType::ApplicationData {
        for at in minted(bytes) {
            let Some(placeholder) = table.caught.take(&bytes[at.clone()], table) else { continue };
            message.payload[done..at.start].copy_from_slice(&bytes[done..at.start]);
            message.payload[at.clone()].copy_from_slice(&placeholder);
            done = at.end;
        }
    }
    message.payload[done..].copy_from_slice(&bytes[done..]);
    Ok(message.into_plain_message())
}

/// Where the new keys stand: whole strings that are the `value` of something, and look like keys.
fn minted(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    // Not by memchr: unoptimized, it leaves what its vectors held on the stack.
    let mut members =
        (0..bytes.len()).filter(|at| bytes[*at] == b'"' && bytes[*at..].starts_with(MEMBER));
    std::iter::from_fn(move || {
        members.by_ref().find_map(|member| {
            let mut at = member + MEMBER.len();
            let mut pass = |wanted: u8| {
                at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let is_there = bytes.get(at) == Some(&wanted);
                at += 1;
                is_there
            };
            if !(pass(b':') && pass(b'"')) {
                return None;
            }
            let rest = &bytes[at..];
            let len = rest.iter().take(MAX_KEY_LEN + 1).take_while(|byte| is_key(**byte)).count();
            // A string that goes on in the next record, or in the next frame, is left alone.
            let is_whole = rest.get(len) == Some(&b'"');
            let looks =
                rest.starts_with(b"sk-") || KeyKind::classify(&rest[..len]) != KeyKind::Unknown;
            (is_whole && looks).then(|| at..at + len)
        })
    })
}

/// Redacted values have dots or asterisks.
fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
