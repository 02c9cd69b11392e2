//! Keeping keys out of what a service writes: logs, streams, errors, panics.
//!
//! The primary type is [`Redactor`], which masks every key of OpenAI in a stream of bytes, however
//! the stream is cut. The others bring it to where text goes out:
//!
//! - [`RedactingWriter`] stands before any [`Write`](std::io::Write);
//! - [`RedactingMakeWriter`](https://docs.rs/keyward/latest/keyward/redact/struct.RedactingMakeWriter.html)
//!   before a writer of `tracing-subscriber` (feature `tracing-subscriber`);
//! - [`RedactingLog`](https://docs.rs/keyward/latest/keyward/redact/struct.RedactingLog.html) before
//!   a logger of the crate `log` (feature `log`);
//! - [`panic_hook`] tells of panics, with their messages masked;
//! - [`chain()`] shows an error and its causes, [`display`] anything that can be shown, [`text`] and
//!   [`bytes()`] what is there already.
//!
//! Each can be told of a key that has no look of its own: `with_key`, or the function that ends in
//! `_with` and takes a [`KeyFinder`](crate::find::KeyFinder).
//!
//! A mask tells the kind and the [fingerprint](crate::KeyFingerprint), so that a log stays useful:
//! `[openai service-account key 9c4f0a1b2c3d4e5f]`. What is masked already stays as it is. What is
//! found, and what is not, is told in [`find`](crate::find).
//!
//! ```
//! use keyward::redact;
//!
//! # let key = keyward_testkit::keys::project_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
//! # let parsed = keyward::ApiKey::parse(key.clone())?;
//! let line = format!("401 for {key}, retrying");
//! let fingerprint = parsed.fingerprint();
//! assert_eq!(redact::text(&line), format!("401 for [openai project key {fingerprint}], retrying"));
//! # Ok::<(), keyward::ParseError>(())
//! ```
//!
//! # Security
//!
//! This is the last line, for what was written without thinking of it. The first is a type that
//! does not print what it holds, [`ApiKey`](crate::ApiKey). Nothing here has an effect on the
//! process by itself; [`panic_hook`] gives a hook, and who wants it installs it.

pub use self::error::{chain, chain_with, display, display_with};
#[cfg(feature = "log")]
pub use self::logger::RedactingLog;
pub use self::panic::{panic_hook, panic_hook_with};
pub use self::redactor::{Redactor, bytes, bytes_with, text, text_with};
#[cfg(feature = "tracing-subscriber")]
pub use self::subscriber::RedactingMakeWriter;
pub use self::writer::RedactingWriter;

mod error;
#[cfg(feature = "log")]
mod logger;
mod panic;
mod redactor;
#[cfg(feature = "tracing-subscriber")]
mod subscriber;
mod writer;
