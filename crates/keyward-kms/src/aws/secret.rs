//! [`SecretsManagerLoader`]: a key in Secrets Manager.

use std::time::Duration;

use keyward::{KeyLoader, KeySource, LoadError, LoadedKey};
use zeroize::Zeroizing;

use super::client::Aws;
use super::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Error, deadline, field};

/// Loads a key from a secret of AWS Secrets Manager.
///
/// The stage is always sent: `AWSCURRENT`, unless set. The version that the key has is the
/// secret's version id.
///
/// ```no_run
/// use keyward_kms::aws::{Aws, SecretsManagerLoader};
///
/// let aws = Aws::from_env();
/// let whole = SecretsManagerLoader::new(&aws, "prod/openai");
/// let of_many = SecretsManagerLoader::new(&aws, "prod/billing").with_field("openai_api_key");
/// # let _ = (whole, of_many);
/// ```
///
/// # Errors
///
/// A secret or stage that does not exist is `NotFound`; one that waits for its deletion is
/// `Unreadable`, so that a chain does not go on to an older key. See
/// [`LoadErrorKind`](keyward::LoadErrorKind) for what else there is.
#[derive(Clone, Debug)]
pub struct SecretsManagerLoader {
    aws: Aws,
    id: Name,
    stage: Name,
    field: Option<Name>,
    deadline: Duration,
}

impl SecretsManagerLoader {
    /// The secret with this name or ARN, as a whole.
    #[must_use]
    pub fn new(aws: &Aws, id: impl Into<String>) -> Self {
        Self {
            aws: aws.clone(),
            id: Name::new(id),
            stage: Name::new(CURRENT),
            field: None,
            deadline: deadline::DEFAULT,
        }
    }

    /// Takes the key from this field of a secret that is a JSON object, which is how the console
    /// makes them.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(Name::new(name));
        self
    }

    /// Takes the version at this staging label.
    #[must_use]
    pub fn with_version_stage(mut self, stage: impl Into<String>) -> Self {
        self.stage = Name::new(stage);
        self
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn read(&self) -> Result<(Zeroizing<Vec<u8>>, Option<String>), Error> {
        let get = self.aws.secrets_manager().await?.get_secret_value();
        let get = get.secret_id(self.id.checked()?).version_stage(self.stage.checked()?);
        let answer = quietly(get.send()).await.map_err(|error| of_sdk(&error))?;
        let version = answer.version_id;
        let text = match (answer.secret_string, answer.secret_binary) {
            (Some(text), binary) => {
                drop(binary.map(|binary| Zeroizing::new(binary.into_inner())));
                text.into_bytes()
            }
            (None, Some(binary)) => binary.into_inner(),
            (None, None) => return Err(incomplete()),
        };
        Ok((Zeroizing::new(text), version))
    }
}

impl KeyLoader for SecretsManagerLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let (text, version) = deadline::within(self.deadline, self.read())
            .await
            .map_err(|error| error.at(source.clone()))?;
        let key = field::key_of(text, self.field.as_ref(), &source)?;
        let loaded = LoadedKey::new(key, source);
        Ok(match version {
            Some(version) => loaded.version(version),
            None => loaded,
        })
    }

    /// `aws-sm:NAME`.
    fn source(&self) -> KeySource {
        KeySource::new("aws-sm", self.id.to_string())
    }
}

pub(super) const CURRENT: &str = "AWSCURRENT";
