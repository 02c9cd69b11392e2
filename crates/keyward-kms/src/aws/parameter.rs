//! [`ParameterLoader`]: a key in an SSM parameter.

use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use keyward::{KeyLoader, KeySource, LoadError, LoadedKey};
use zeroize::Zeroizing;

use super::client::Aws;
use super::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline, field};

/// Loads a key from a `SecureString` parameter of AWS Systems Manager.
///
/// The version that the key has is the parameter's. A version or label can be named as AWS names
/// it: `/prod/openai:3`.
///
/// # Errors
///
/// A parameter that does not exist is `NotFound`. One that is stored in the clear (`String`) is
/// refused: whoever may list parameters reads it.
#[derive(Clone, Debug)]
pub struct ParameterLoader {
    aws: Aws,
    name: Name,
    field: Option<Name>,
    deadline: Duration,
}

impl ParameterLoader {
    /// The parameter with this name or ARN.
    #[must_use]
    pub fn new(aws: &Aws, name: impl Into<String>) -> Self {
        Self { aws: aws.clone(), name: Name::new(name), field: None, deadline: deadline::DEFAULT }
    }

    /// Takes the key from this field of a parameter that is a JSON object.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(Name::new(name));
        self
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn read(&self) -> Result<(Zeroizing<Vec<u8>>, i64), Error> {
        let get = self.aws.ssm().await?.get_parameter();
        let get = get.name(self.name.checked()?).with_decryption(true);
        let answer = quietly(get.send()).await.map_err(|error| of_sdk(&error))?;
        let parameter = answer.parameter.ok_or_else(incomplete)?;
        let text = Zeroizing::new(parameter.value.ok_or_else(incomplete)?.into_bytes());
        if parameter.r#type != Some(ParameterType::SecureString) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the parameter is not a SecureString, so it is stored in the clear",
                "store a new key as a SecureString, and revoke this one",
            ));
        }
        Ok((text, parameter.version))
    }
}

impl KeyLoader for ParameterLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let (text, version) = deadline::within(self.deadline, self.read())
            .await
            .map_err(|error| error.at(source.clone()))?;
        let key = field::key_of(text, self.field.as_ref(), &source)?;
        Ok(LoadedKey::new(key, source).version(version.to_string()))
    }

    /// `aws-ssm:NAME`.
    fn source(&self) -> KeySource {
        KeySource::new("aws-ssm", self.name.to_string())
    }
}
