//! [`KeyRng`]: randomness that can be repeated.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The source of randomness that keys are made from.
///
/// The same seed yields the same keys in every version of this crate within a major version, so
/// that a failing seed can be written into a test. It is a statistical generator, not a
/// cryptographic one: what it makes must never guard anything.
#[derive(Clone, Debug)]
pub struct KeyRng {
    state: u64,
}

impl KeyRng {
    /// A generator that repeats itself for the same `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator seeded by the operating system, different at each call.
    #[must_use]
    pub fn from_entropy() -> Self {
        // `RandomState` is the one door to the system's entropy that needs no dependency.
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// The next 64 bits (SplitMix64).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    ///
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing is below zero");
        // The bias of a remainder is below 2^-50 for every bound that a key needs.
        (self.next_u64() % bound as u64) as usize
    }

    /// `len` letters and digits.
    pub fn alphanumeric(&mut self, len: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..len).map(|_| char::from(LETTERS[self.below(LETTERS.len())])).collect()
    }
}
