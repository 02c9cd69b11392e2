//! The primary type in this crate is [`ApiKey`]: an OpenAI API key in memory that is wiped on
//! drop, never printed, and knows its [kind](KeyKind).
//!
//! This crate is the ground that the rest of keyward stands on. It does no I/O, reads no clock,
//! knows no runtime and is `no_std` (with `alloc`). Services usually depend on the crate
//! `keyward`, which loads keys and re-exports everything here.
//!
//! - [`ApiKey`] takes text by value, wipes it, and refuses what cannot be a key.
//! - [`KeyKind`] is what a key is, told from its prefix and marker alone.
//! - [`KeyPolicy`] says which kinds may be used where, and refuses the rest with a reason and a
//!   fix. It is the only way to an [`AdminKey`] or a [`ProjectKey`].
//! - [`KeyFingerprint`] is the only thing of a key that may be logged.
//! - [`find`] finds keys in text that others wrote, so that they can be kept out of it.
//!
//! # Example
//!
//! ```
//! use keyward_core::{AdmitContext, ApiKey, KeyKind, KeyPolicy, Timestamp};
//!
//! # let text = keyward_testkit::keys::service_account_key(
//! #     &mut keyward_testkit::keys::KeyRng::seeded(1));
//! let key = ApiKey::parse(text)?; // a String, taken by value and wiped
//! assert_eq!(key.kind(), KeyKind::ServiceAccount);
//! println!("{key:?}"); // ApiKey { kind: ServiceAccount, fingerprint: 9c4f… }
//!
//! let now = Timestamp::from_unix_seconds(1_790_000_000);
//! let key = KeyPolicy::production()
//!     .admit(&key, &AdmitContext::at(now))?
//!     .into_project_key()?;
//! # let _ = key;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `locked`: the text of a key stands in a page of its own that is locked and, on Linux, in no
//!   core dump and in no forked child. [`ApiKey::protection`] tells whether it does.
//! - `memfd-secret`: `ApiKey::prefer_secret_memory`, from which on keys stand in memory that nobody
//!   else reads, root and the kernel included. Linux alone.
//! - `serde`: [`ApiKey`] can be deserialized (never serialized), and [`KeyPolicy`] read from and
//!   written to TOML or JSON.
//! - `simd`: [`find::KeyFinder`] asks the processor for its widest registers. Without it, it is
//!   slower and finds the same.
//! - `std`: `Timestamp: From<SystemTime>`.
//!
//! No feature changes what is refused or what is printed.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub use crate::fingerprint::KeyFingerprint;
pub use crate::key::ApiKey;
pub use crate::kind::{KeyKind, Vendor};
pub use crate::memory::Protection;
pub use crate::narrow::{AdminKey, ProjectKey};
pub use crate::parse::{MAX_KEY_LEN, ParseError, ParseReason};
pub use crate::policy::{
    AdmitContext, Admitted, Endpoint, KeyPolicy, PolicyError, Refusal, danger,
};
pub use crate::source::KeySource;
pub use crate::text::SecretText;
pub use crate::time::{InvalidTimestamp, Timestamp};

pub mod find;

mod classify;
mod fingerprint;
mod formats;
mod key;
mod kind;
mod memory;
mod narrow;
mod parse;
mod policy;
mod redacted;
#[cfg(feature = "serde")]
mod serde_impls;
mod source;
mod text;
mod time;

/// The README's snippet is held to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
