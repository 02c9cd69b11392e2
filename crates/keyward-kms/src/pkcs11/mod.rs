//! PKCS#11: keys sealed by a key that never leaves a token: an HSM, a smart card, SoftHSM.
//!
//! The primary type is [`Token`], the connection that an [`AesKey`] is found over.
//!
//! | what | needs | tested against |
//! |---|---|---|
//! | [`AesKey`] with [`DirectLoader`](crate::DirectLoader) or [`EnvelopeLoader`](crate::EnvelopeLoader) | the vendor's PKCS#11 module, the user's PIN, and an AES key that may decrypt (to seal: encrypt), with `CKM_AES_GCM` | SoftHSM 2.6 |
//!
//! ```no_run
//! use keyward::KeyLoader as _;
//! use keyward_kms::pkcs11::{AesKey, Pin, Token};
//! use keyward_kms::{EnvelopeLoader, SealContext};
//!
//! # async fn example(pin: String) -> Result<(), keyward::LoadError> {
//! let token = Token::new("/usr/lib/softhsm/libsofthsm2.so", "billing", Pin::from(pin));
//! let key = AesKey::new(&token, "openai-keys");
//! let context = SealContext::new("billing/openai", "proj_abc");
//! let loaded = EnvelopeLoader::from_file("/etc/billing/openai.sealed", key, context).load().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! The module is code of its vendor that runs in this process: give its path in code, and let nobody
//! else write to it. What it keeps of a text that it opened is its own affair; keyward's copies are
//! wiped.
//!
//! A token counts wrong PINs and locks itself. So a PIN that was refused is never tried again by the
//! same [`Token`] or its clones, however often a service asks. A service that is started over and over
//! with a wrong PIN tries it once each time: where the token says that one more wrong PIN locks it, none
//! is tried. Not every token says so.

pub use self::key::AesKey;
pub use self::token::{Pin, Token};

mod error;
mod key;
mod token;
