//! HashiCorp Vault and OpenBao: keys in KV v2, and keys sealed by transit.
//!
//! The primary type is [`Vault`], the connection that everything here is made with.
//!
//! ```no_run
//! use keyward_kms::vault::{KvLoader, Vault, VaultAuth};
//!
//! # fn example() -> Result<(), keyward_kms::Error> {
//! let vault = Vault::builder("https://vault.example.com:8200", VaultAuth::kubernetes("billing"))
//!     .namespace("teams/billing")
//!     .build()?;
//! let loader = KvLoader::new(&vault, "secret", "openai/prod", "api_key");
//! # let _ = loader;
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! Nothing is taken from the environment: no `VAULT_SKIP_VERIFY`, no address and no token, unless a
//! loader of yours reads it. Certificates are always verified. What Vault answers stands in buffers
//! that are wiped, but for those of the HTTP stack.

pub use self::auth::VaultAuth;
pub use self::client::{Vault, VaultBuilder};
pub use self::kms::Transit;
pub use self::secret::KvLoader;
pub use self::store::KvPlace;

mod auth;
mod client;
mod error;
mod kms;
mod secret;
mod session;
mod store;
