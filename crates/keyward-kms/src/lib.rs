//! OpenAI API keys in clouds, as sources and stores of `keyward`; and keys that a KMS has sealed.
//!
//! Each cloud is a module behind a feature of its name; none is on by default. A module has a
//! connection ([`aws::Aws`], [`azure::Azure`], [`google::Google`], [`vault::Vault`]), loaders of its secret stores, and its KMS as a
//! [`Decrypt`] and [`Encrypt`]. All have the same files, so who knows one knows all.
//!
//! Without a feature there are the [`EnvelopeLoader`] and the [`DirectLoader`], which open keys
//! that a KMS has sealed: one of the clouds, or your own.
//!
//! ```
//! use keyward::{ApiKey, KeyLoader as _};
//! use keyward_kms::{Decrypt, Encrypt, EnvelopeLoader, SealContext, SealedKey};
//!
//! # use keyward_kms::{Error, Plaintext};
//! # async fn example(
//! #     key: &ApiKey, kms: impl Encrypt + Decrypt,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let context = SealContext::new("billing/openai", "proj_abc");
//! let sealed = SealedKey::seal(&kms, key, &context).await?;
//! std::fs::write("openai.sealed", sealed.to_text())?;
//!
//! let loaded = EnvelopeLoader::from_file("openai.sealed", kms, context).load().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where a key is can also stand in a configuration, as a line such as `aws-sm:prod/openai` or
//! `vault:secret/billing#openai`: see [`Schemes`].
//!
//! # What was tested against what
//!
//! | source | feature | server | what ran |
//! |---|---|---|---|
//! | [`EnvelopeLoader`], [`DirectLoader`] | | a KMS of the tests' own | fake |
//! | [`aws::SecretsManagerLoader`] | `aws` | moto 5.2 | emulator |
//! | [`aws::ParameterLoader`] | `aws-ssm` | moto 5.2 | emulator |
//! | [`aws::SecretsManagerStore`] | `aws` | moto 5.2 | emulator; processes that race |
//! | [`aws::Kms`], direct and in envelopes | `aws` | moto 5.2 | emulator |
//! | [`azure::KeyVaultLoader`] | `azure` | a server of the tests' own | fake, over TLS |
//! | [`google::SecretManagerLoader`] | `google` | a server of the tests' own | fake |
//! | [`google::SecretManagerStore`] | `google` | a server of the tests' own | fake; processes that race |
//! | [`google::Kms`], direct and in envelopes | `google` | a server of the tests' own | fake |
//! | [`pkcs11::AesKey`], direct and in envelopes | `pkcs11` | SoftHSM 2.6 | real |
//! | [`vault::KvLoader`] | `vault` | OpenBao 2.7 | real |
//! | a store at a [`vault::KvPlace`] | `vault` | OpenBao 2.7 | real; processes that race |
//! | [`vault::Transit`], direct and in envelopes | `vault` | OpenBao 2.7 | real |
//! | AppRole login, renewal, revocation, namespaces | `vault` | OpenBao 2.7 | real |
//! | Kubernetes login | `vault` | a server of the tests' own | fake |
//! | each reference of `Schemes` | as its source | as its source | a load through it |
//!
//! A service that holds a [`LiveKey`](keyward::LiveKey) over each of `aws-sm:NAME`,
//! `aws-sm:NAME#api_key`, `azure-kv:VAULT/SECRET`, `gcp-sm:PROJECT/SECRET`, `vault:MOUNT/PATH` and
//! `vault:MOUNT/PATH#FIELD` was asked 200 times a second while the key was replaced there and the
//! old one deleted in a fake organization, once it had been given up and at once: no request failed
//! (`tests/it/service.rs`).
//!
//! The fakes of Azure and Google keep state, check what their clouds document to check, and work with
//! the clouds' own clients for Rust and for Python (`fake.rs` and `witness.py` in `tests/it/azure`
//! and `tests/it/google`). Nothing was run against Azure or Google themselves.
//!
//! HashiCorp's Vault itself was not run: it cannot be had from a package registry. What servers
//! cannot be made to answer (a throttled call, a disabled key, an answer cut off with a secret in
//! it) comes from a server of the tests' own, for each of them.
//!
//! # How it fails
//!
//! Every load by a loader is under a deadline of its own, 10 seconds unless set; each operation of a
//! store, with all that it tries again, has 30, and a load from a store by a reference 10. They are
//! awaited in a tokio runtime: where there is none, they fail and say so; where the runtime's timer or
//! I/O is off, tokio panics, so build it with `enable_all`. A loader answers
//! [`NotFound`](keyward::LoadErrorKind::NotFound) only where nothing was ever stored, as far as the
//! cloud tells: a secret that was deleted or waits for it, a version that was named and is not
//! there, a mount or a KMS key that is not there, and a login that is refused all stop a chain,
//! because to go on could bring back a key that was taken out of use.
//!
//! Two clouds do not tell all of it. A secret of Google that was deleted, and one of Azure that was
//! deleted and purged, are answered as one that never was, and a chain goes on. Google's reads of
//! aliases may be old: see [`google::SecretManagerStore`].
//!
//! # How a replaced key is noticed
//!
//! A live handle looks at a file with a sealed key several times a second, and at what a cloud
//! keeps never: each look would be a call that is paid for and counted against a quota. There a
//! new key is found by the handle's interval, 5 minutes unless
//! [set](keyward::LiveKeyBuilder::refresh_every), and at once when the old one is
//! [rejected](keyward::LiveKey::rejected).
//!
//! # Features
//!
//! - `aws`: Secrets Manager and KMS, by the official SDK.
//! - `aws-ssm`: SSM parameters too. Its SDK alone takes minutes to compile.
//! - `azure`: Key Vault secrets, by the official SDK.
//! - `google`: Secret Manager and KMS, by the official SDK.
//! - `pkcs11`: keys sealed by a token with PKCS#11.
//! - `vault`: KV v2 and transit of HashiCorp Vault and OpenBao.
//!
//! # Security
//!
//! keyward's own buffers are wiped. The SDKs and HTTP stacks keep what they received in buffers
//! that are not. Whole copies of a key left in memory after it was dropped, as counted by
//! `tests/it/memory.rs`: none of a sealed key, 0 to 3 by AWS (hyper and the SDK's body and
//! parser), 0 to 4 by Azure (rustls, hyper, reqwest and the SDK's body), 0 to 2 by Vault (hyper and
//! reqwest), and none by Google but up to 3 in the base64 that it answers. Of what a load frees,
//! counted by `tests/it/memory/freed.rs`, one block has a copy: the buffer that hyper reads the answer
//! into, in base64 where the cloud answers so; with Azure also one of the SDK and two of rustls. What
//! an envelope or a PKCS#11 token holds leaves none. No error and no log line has a piece of a key in
//! it, whatever a server answers: see the tests.

#![cfg_attr(docsrs, feature(doc_cfg))]
// Without its feature a cloud's module is not there to be linked to.
#![cfg_attr(
    not(all(
        feature = "aws-ssm",
        feature = "azure",
        feature = "google",
        feature = "pkcs11",
        feature = "vault"
    )),
    allow(rustdoc::broken_intra_doc_links, reason = "a module that is not there")
)]

pub use crate::error::{Error, ErrorKind};
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
pub use crate::reference::Schemes;
pub use crate::seal::{
    Decrypt, DirectLoader, Encrypt, EnvelopeLoader, Plaintext, SealContext, SealedKey,
    seal_directly,
};

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(feature = "google")]
pub mod google;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
#[cfg(feature = "vault")]
pub mod vault;

mod deadline;
mod error;
#[cfg(any(feature = "aws", feature = "azure", feature = "google", feature = "vault"))]
mod field;
#[cfg(any(feature = "aws", feature = "azure", feature = "google", feature = "vault"))]
mod json;
mod place;
#[cfg(any(feature = "aws", feature = "azure", feature = "google"))]
mod quiet;
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
mod reference;
mod seal;
#[cfg(any(feature = "aws", feature = "google"))]
mod stored;
