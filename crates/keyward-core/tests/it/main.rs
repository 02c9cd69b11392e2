//! What `keyward-core` promises, seen from outside.

#[cfg(feature = "serde")]
mod config;
mod finding;
mod formats;
mod keys;
mod policies;
mod scrubbing;
