//! Secret text on its way into a key: taken by value, wiped on drop, never read by anyone else.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// Text that may be a secret, taken by value and wiped on drop.
///
/// It is what [`ApiKey::parse`](crate::ApiKey::parse) takes, so that the caller's copy is gone
/// when the key is there. It can be made from a `String`, a `Vec<u8>` or their boxed forms, and
/// not from a `&str`: a borrowed text stays behind, and a literal is a key in the source code.
///
/// # Security
///
/// The whole allocation is wiped, spare capacity included. A caller that grew the `String` before
/// has left copies where it stood earlier; read into a buffer of the full size instead.
pub struct SecretText(Zeroizing<Vec<u8>>);

impl SecretText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Moves the bytes `start..end` into one allocation of exactly their size.
    ///
    /// The caller has checked that they are ASCII.
    pub(crate) fn into_secret(mut self, start: usize, end: usize) -> SecretString {
        let whole = start == 0 && end == self.0.len() && self.0.capacity() == end;
        let bytes = if whole {
            core::mem::take(&mut *self.0)
        } else {
            let mut exact = Vec::with_capacity(end - start);
            exact.extend_from_slice(&self.0[start..end]);
            exact
        };
        // On the error path the bytes would be lost unwiped, so they are wiped first. It cannot be
        // reached with ASCII.
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            String::new()
        });
        SecretString::new(text.into_boxed_str())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretText").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }
}

impl From<Box<str>> for SecretText {
    fn from(text: Box<str>) -> Self {
        Self::from(text.into_string())
    }
}

impl From<Vec<u8>> for SecretText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Box<[u8]>> for SecretText {
    fn from(bytes: Box<[u8]>) -> Self {
        Self::from(bytes.into_vec())
    }
}
