//! Keys that a server has just made, taken out of its answer before the HTTP stack reads it.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward_core::{ApiKey, KeyFingerprint, KeyKind, MAX_KEY_LEN};

use super::placeholder::MARK;
use super::table::Table;
use super::{WireError, WireErrorKind};

/// More than this many keys are not held.
const MOST: usize = 64;

/// The member of an answer that holds a new key.
const MEMBER: &[u8] = b"\"value\"";

/// The keys that were taken, the oldest first.
pub(super) struct Caught {
    is_on: bool,
    keys: Mutex<Vec<Held>>,
}

struct Held {
    /// Of what stands for it.
    placeholder: KeyFingerprint,
    key: ApiKey,
    is_redeemed: bool,
}

impl Caught {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, keys: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// What this stands for; itself if it was never anything that stands for a key.
    pub(super) fn redeem(&self, minted: &ApiKey) -> Result<ApiKey, WireError> {
        let placeholder = minted.fingerprint();
        if let Some(held) = self.keys().iter_mut().find(|held| held.placeholder == placeholder) {
            held.is_redeemed = true;
            return Ok(held.key.clone());
        }
        // EXPOSE: its end is looked at, which of a placeholder says so.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let is_placeholder = minted.expose_secret().as_bytes().ends_with(MARK);
        match is_placeholder {
            true => Err(WireError::new(WireErrorKind::NotHeld)),
            false => Ok(minted.clone()),
        }
    }

    pub(super) fn forget(&self, minted: &ApiKey) {
        let placeholder = minted.fingerprint();
        self.keys().retain(|held| held.placeholder != placeholder);
    }

    /// Takes a key, and tells what stands for it from now on.
    fn take(&self, text: &[u8], table: &Table) -> Option<Vec<u8>> {
        let mut keys = self.keys();
        if keys.len() >= MOST {
            // Who has redeemed one has it. Of the others each may be the only copy there is.
            let Some(place) = keys.iter().position(|held| held.is_redeemed) else {
                tracing::warn!(
                    target: "keyward::wire",
                    held = keys.len(),
                    "a new key is left in its answer, because nobody has redeemed the others"
                );
                return None;
            };
            keys.remove(place);
        }
        // Only what says that it is a placeholder is never taken for a key later.
        let placeholder = table.stand_in(text).ok().filter(|it| it.ends_with(MARK))?;
        let stands_for = ApiKey::issued(placeholder.clone()).ok()?;
        keys.push(Held {
            placeholder: stands_for.fingerprint(),
            // A copy of its exact size, which the key takes over.
            key: ApiKey::issued(text.to_vec()).ok()?,
            is_redeemed: false,
        });
        Some(placeholder)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Held>> {
        // Nothing that panics runs under the lock.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the new keys out of a record that was just decrypted, and leaves what stands for them.
pub(super) fn take_from(record: &mut [u8], table: &Table) {
    let places: Vec<_> = minted(record).collect();
    for at in places {
        if let Some(placeholder) = table.caught.take(&record[at.clone()], table) {
            record[at].copy_from_slice(&placeholder);
        }
    }
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
