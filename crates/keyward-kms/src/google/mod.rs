//! Google Cloud: keys in Secret Manager, and keys sealed by Cloud KMS.
//!
//! The primary type is [`Google`], the connection that everything here is made with.
//!
//! | what | needs (IAM) | tested against |
//! |---|---|---|
//! | [`SecretManagerLoader`] | `secretmanager.versions.access`; with a version that is named, `secretmanager.secrets.get` too, to tell that there is no secret | a fake |
//! | [`SecretManagerStore`], to load | `secretmanager.versions.access`; `secretmanager.secrets.get` too, to tell a store whose key is pending only from one whose alias is gone | a fake |
//! | the same, to write | `secretmanager.secrets.get`, `secrets.update`, `versions.access`, `versions.add`, and `secrets.create` where a secret does not exist; `versions.destroy` to be rid of what was forgotten, and `versions.get` to go on after it was destroyed while nothing was current | a fake; processes that race |
//! | [`Kms`] with [`DirectLoader`](crate::DirectLoader) or [`EnvelopeLoader`](crate::EnvelopeLoader) | `cloudkms.cryptoKeyVersions.useToDecrypt`; to seal, `useToEncrypt` | a fake |
//!
//! Google has no emulator of either service. The fake keeps secrets, versions, their states, aliases
//! and entity tags, and checks tags, checksums, names and the login as Google documents it. Google's
//! own client for Rust, which is in here, and Google's own client for Python both work with it.
//! Nothing here has been run against Google itself.
//!
//! ```no_run
//! use keyward::{EnvLoader, KeyLoader as _, LoaderChain};
//! use keyward_kms::google::{Google, SecretManagerLoader};
//!
//! # async fn example() -> Result<(), keyward::LoadError> {
//! let google = Google::from_env();
//! let chain = LoaderChain::first("env", EnvLoader::new("OPENAI_API_KEY"))
//!     .then("google", SecretManagerLoader::new(&google, "billing-prod/openai"));
//! let loaded = chain.load().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! A secret is named `PROJECT/SECRET`, or in full as Google does: `projects/PROJECT/secrets/SECRET`,
//! `projects/PROJECT/locations/LOCATION/secrets/SECRET`. Regional secrets have an
//! [endpoint](Google::with_secret_manager_endpoint) of their region.
//!
//! # Security
//!
//! The SDK's errors and its answers never come out of here: `Debug` of an answer prints the secret.
//! What was damaged on the way is noticed by its CRC32C, as Google asks its clients to. The SDK's
//! HTTP stack and JSON parser keep copies of a value that they do not wipe; keyward's own are wiped.

pub use google_cloud_auth::credentials::Credentials;

pub use self::client::Google;
pub use self::kms::Kms;
pub use self::secret::SecretManagerLoader;
pub use self::store::SecretManagerStore;

mod checksum;
mod client;
mod error;
mod kms;
mod secret;
mod store;
