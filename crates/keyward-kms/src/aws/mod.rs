//! AWS: keys in Secrets Manager and in SSM parameters, and keys sealed by KMS.
//!
//! The primary type is [`Aws`], the connection that everything here is made with.
//!
//! | what | needs (IAM) | tested against |
//! |---|---|---|
//! | [`SecretsManagerLoader`] | `secretsmanager:GetSecretValue`, and `kms:Decrypt` for a key of your own | moto 5.2 |
//! | `ParameterLoader` (feature `aws-ssm`) | `ssm:GetParameter`, `kms:Decrypt` | moto 5.2 |
//! | [`SecretsManagerStore`] | `secretsmanager:DescribeSecret`, `GetSecretValue`, `PutSecretValue`, `UpdateSecretVersionStage`, and `CreateSecret` where a secret does not exist | moto 5.2 |
//! | [`Kms`] with [`DirectLoader`](crate::DirectLoader) or [`EnvelopeLoader`](crate::EnvelopeLoader) | `kms:Decrypt`; to seal, `kms:Encrypt` | moto 5.2 |
//!
//! moto is an emulator. What it answers otherwise than AWS documents (a disabled KMS key, a
//! throttled call, a secret that waits for its deletion, …) is tested against a server that gives
//! the documented answers.
//!
//! ```no_run
//! use keyward_kms::aws::{Aws, SecretsManagerLoader};
//! use keyward::{KeyLoader as _, LoaderChain, EnvLoader};
//!
//! # async fn example() -> Result<(), keyward::LoadError> {
//! let aws = Aws::from_env();
//! let chain = LoaderChain::first("env", EnvLoader::new("OPENAI_API_KEY"))
//!     .then("aws", SecretsManagerLoader::new(&aws, "prod/openai").with_field("api_key"));
//! let loaded = chain.load().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! The SDK's errors and its answers never come out of here. Its HTTP stack and JSON parser keep
//! copies of a value that they do not wipe; keyward's own are wiped.

pub use aws_config::SdkConfig;

pub use self::client::Aws;
pub use self::kms::Kms;
#[cfg(feature = "aws-ssm")]
pub use self::parameter::ParameterLoader;
pub use self::secret::SecretsManagerLoader;
pub use self::store::SecretsManagerStore;

mod client;
mod error;
mod kms;
#[cfg(feature = "aws-ssm")]
mod parameter;
mod secret;
mod store;
