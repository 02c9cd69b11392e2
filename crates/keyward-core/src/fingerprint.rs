//! [`KeyFingerprint`]: what may be said of a key in a log.

use core::fmt;
use core::hint::black_box;

use sha2::{Digest as _, Sha256};

/// A short hash of a key, the only thing of a key that may be logged.
///
/// It is the first 8 bytes of SHA-256 over a fixed label and the key's text, shown as 16
/// hexadecimal digits. The same key has the same fingerprint in every process and on every
/// machine, so that logs of many services can be joined. Two keys of one organization share a
/// fingerprint with a probability of about 1 in 10^13 for 1,000 keys.
///
/// # Security
///
/// An issued key has more than 200 random bits, which a hash does not give away. A made-up,
/// guessable value (`letmein`) can be found from its fingerprint by trying.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyFingerprint([u8; 8]);

/// Keeps a fingerprint from being equal to any other hash of the same key. Part of the format:
/// changing it changes every fingerprint ever logged.
const LABEL: &[u8] = b"keyward fingerprint 1\0";

impl KeyFingerprint {
    pub(crate) fn of(key: &[u8]) -> Self {
        let fingerprint = hash(key);
        // sha2 wipes its block buffer by its `zeroize` feature, but not what the compression has
        // had on the stack: the last block, with the end of the key. Bytes that are no secret, and
        // that fill the last blocks as far, take its place.
        let public = [b'0'; 128];
        let len = if key.len() < 128 { key.len() } else { 64 + key.len() % 64 };
        black_box(hash(black_box(&public[..len])));
        fingerprint
    }

    /// The 8 bytes, in the order in which they are shown.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// Not inlined, so that each call has the same place on the stack.
#[inline(never)]
fn hash(bytes: &[u8]) -> KeyFingerprint {
    let mut hasher = Sha256::new();
    hasher.update(LABEL);
    hasher.update(bytes);
    // By reference: a buffer that is moved leaves a copy which nobody wipes.
    let digest = hasher.finalize_reset();
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    KeyFingerprint(short)
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
