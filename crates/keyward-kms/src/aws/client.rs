//! [`Aws`]: the connection, made when it is first needed.

use std::fmt;
use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

use crate::{Error, ErrorKind, deadline};

/// A connection to AWS. Clones share it.
///
/// Making one reads nothing and connects to nothing.
///
/// ```no_run
/// # async fn example() {
/// use keyward_kms::aws::Aws;
///
/// // As the AWS CLI does: from the environment, `~/.aws`, a web identity, or the machine's role.
/// let aws = Aws::from_env();
///
/// // Or with settings of your own, by the crate `aws-config`.
/// let settings = aws_config::from_env().profile_name("billing").load().await;
/// let aws = Aws::new(settings);
/// # let _ = aws;
/// # }
/// ```
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    given: Option<SdkConfig>,
    settings: OnceCell<SdkConfig>,
    kms: OnceCell<aws_sdk_kms::Client>,
    secrets_manager: OnceCell<aws_sdk_secretsmanager::Client>,
    #[cfg(feature = "aws-ssm")]
    ssm: OnceCell<aws_sdk_ssm::Client>,
}

impl Aws {
    /// With these settings of the SDK.
    #[must_use]
    pub fn new(settings: SdkConfig) -> Self {
        Self::with(Some(settings))
    }

    /// As the AWS CLI finds region and credentials, looked up at the first load.
    ///
    /// A profile with `credential_process` or SSO needs the feature of that name of the crate
    /// `aws-config`, which the application turns on.
    #[must_use]
    pub fn from_env() -> Self {
        Self::with(None)
    }

    fn with(given: Option<SdkConfig>) -> Self {
        Self(Arc::new(Inner {
            given,
            settings: OnceCell::new(),
            kms: OnceCell::new(),
            secrets_manager: OnceCell::new(),
            #[cfg(feature = "aws-ssm")]
            ssm: OnceCell::new(),
        }))
    }

    async fn settings(&self) -> Result<&SdkConfig, Error> {
        deadline::runtime()?;
        let settings = match &self.0.given {
            Some(given) => given,
            None => {
                let load = || aws_config::defaults(BehaviorVersion::latest()).load();
                self.0.settings.get_or_init(load).await
            }
        };
        if settings.region().is_none() {
            return Err(Error::new(
                ErrorKind::Invalid,
                "no AWS region is set",
                "set AWS_REGION, or the region of the profile",
            ));
        }
        Ok(settings)
    }

    // A client of each service is kept, because its connections are its own.

    pub(super) async fn kms(&self) -> Result<&aws_sdk_kms::Client, Error> {
        let settings = self.settings().await?;
        Ok(self.0.kms.get_or_init(async || aws_sdk_kms::Client::new(settings)).await)
    }

    pub(super) async fn secrets_manager(&self) -> Result<&aws_sdk_secretsmanager::Client, Error> {
        let settings = self.settings().await?;
        let client = async || aws_sdk_secretsmanager::Client::new(settings);
        Ok(self.0.secrets_manager.get_or_init(client).await)
    }

    #[cfg(feature = "aws-ssm")]
    pub(super) async fn ssm(&self) -> Result<&aws_sdk_ssm::Client, Error> {
        let settings = self.settings().await?;
        Ok(self.0.ssm.get_or_init(async || aws_sdk_ssm::Client::new(settings)).await)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.given.as_ref().or(self.0.settings.get());
        f.debug_struct("Aws")
            .field("region", &settings.and_then(SdkConfig::region).map(ToString::to_string))
            .finish_non_exhaustive()
    }
}
