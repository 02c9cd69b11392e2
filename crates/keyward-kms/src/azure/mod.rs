//! Azure: keys in Key Vault.
//!
//! The primary type is [`Azure`], the connection that everything here is made with.
//!
//! | what | needs (Azure RBAC data actions) | tested against |
//! |---|---|---|
//! | [`KeyVaultLoader`] | `Microsoft.KeyVault/vaults/secrets/getSecret/action`, and the right to get deleted secrets (access policy `secrets/get` has it) to tell a secret that was deleted from one that never was | a fake |
//!
//! The fake speaks TLS, challenges as Key Vault does, and keeps secrets, versions, their attributes
//! and what was deleted. Azure's own client for Rust, which is in here, and the one for Python both
//! work with it. Nothing here has been run against Azure itself.
//!
//! ```no_run
//! use keyward::{EnvLoader, KeyLoader as _, LoaderChain};
//! use keyward_kms::azure::{Azure, KeyVaultLoader};
//!
//! # async fn example() -> Result<(), keyward::LoadError> {
//! let azure = Azure::managed_identity();
//! let chain = LoaderChain::first("env", EnvLoader::new("OPENAI_API_KEY"))
//!     .then("azure", KeyVaultLoader::new(&azure, "billing-prod", "openai"));
//! let loaded = chain.load().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Why there is no store
//!
//! A [`KeyStore`](keyward::store::KeyStore) compares before it sets, so that of two who stage or
//! promote at once one wins. Key Vault has nothing to compare by: setting a secret always succeeds
//! and makes the newest version, without a condition and without an entity tag
//! ([Set Secret](https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret));
//! versions have random names and are dated to the second, so that of two that were set at once
//! nobody can tell afterwards which is the newer; updates of attributes and tags are unconditional
//! too. A store over it could only hope, so there is none.
//!
//! To rotate a key that services read from Key Vault, keep it in a store that compares, and let one
//! job copy the current key to Key Vault after each promotion.
//!
//! # Security
//!
//! The SDK's errors and its answers never come out of here. Its HTTP stack keeps a copy of a value
//! that it does not wipe; keyward's own are wiped. The SDK sends a token over TLS alone, and to a
//! host of the domain that Key Vault's challenge names alone.

pub use azure_core::credentials::TokenCredential;
pub use azure_core::http::ClientOptions;

pub use self::client::Azure;
pub use self::secret::KeyVaultLoader;

mod client;
mod error;
mod secret;
