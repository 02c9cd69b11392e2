//! [`Body`]: what is read of an answer, in memory that is wiped.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroizing;

use crate::late::Catch;

/// An answer's body. It may be one that holds a new key, so it is wiped.
///
/// Where new keys are caught on their way in, it has what stands for them. What nobody asked for
/// by then is forgotten with the body.
#[derive(Default)]
pub(crate) struct Body {
    bytes: Zeroizing<Vec<u8>>,
    catch: Catch,
    /// Whether a key was put back.
    has_key: bool,
}

impl Body {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), catch: Catch::default(), has_key: false }
    }

    /// An empty one, for an answer whose new keys were caught so.
    pub(crate) fn caught_by(catch: Catch) -> Self {
        Self { bytes: Zeroizing::default(), catch, has_key: false }
    }

    pub(crate) fn catch(&self) -> &Catch {
        &self.catch
    }

    /// The answer as the server sent it, with the keys that were caught.
    pub(crate) fn whole(mut self) -> Self {
        let catch = std::mem::take(&mut self.catch);
        self.has_key = catch.put_back(&mut self.bytes);
        self
    }

    /// Whether a key that was caught stands in it again.
    pub(crate) fn has_key(&self) -> bool {
        self.has_key
    }

    /// What it has, which is no longer wiped: of an answer that holds no key.
    pub(crate) fn take_unwiped(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes)
    }

    /// Has room for so much, before there is anything in it.
    pub(crate) fn reserve_exact(&mut self, most: usize) {
        self.bytes.reserve_exact(most);
    }

    /// Adds to it. Where it has to move, what it leaves behind is wiped.
    pub(crate) fn append(&mut self, chunk: &[u8]) {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(self.bytes.capacity() * 2);
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(chunk);
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Body {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.catch.forget(&self.bytes);
    }
}

/// Its length.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
