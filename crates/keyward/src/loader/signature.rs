//! [`SourceSignature`]: what a source looks like from outside, to see whether it has changed.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// What a source looks like from outside: equal to an earlier one unless something has changed.
///
/// It is a hash of what a file system or a service tells *about* a key: times, sizes, numbers of
/// versions. Make it of nothing secret.
///
/// ```
/// use keyward::SourceSignature;
///
/// let before = SourceSignature::of(("openai/prod", 7));
/// assert_eq!(before, SourceSignature::of(("openai/prod", 7)));
/// assert_ne!(before, SourceSignature::of(("openai/prod", 8)));
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct SourceSignature(u64);

impl SourceSignature {
    /// The signature of what is known of a source.
    #[must_use]
    pub fn of(known: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        known.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Hash for SourceSignature {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for SourceSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceSignature({:016x})", self.0)
    }
}
