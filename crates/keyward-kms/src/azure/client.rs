//! [`Azure`]: the connection, made when it is first needed.

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_core::time::Duration;
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, WorkloadIdentityCredential,
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use tokio::sync::OnceCell;

use crate::{Error, ErrorKind};

/// A connection to Azure. Clones share its login.
///
/// Making one reads nothing and connects to nothing. A call is tried up to three times where Azure
/// says that it is not at work.
///
/// There is no login that tries one way after the other: each is told in the code.
///
/// ```no_run
/// use keyward_kms::azure::Azure;
///
/// let azure = Azure::managed_identity();
/// # let _ = azure;
/// ```
#[derive(Clone)]
pub struct Azure {
    login: Arc<Login>,
    domain: Arc<str>,
    options: Option<ClientOptions>,
}

struct Login {
    way: Way,
    credential: OnceCell<Arc<dyn TokenCredential>>,
}

enum Way {
    DeveloperTools,
    Given(Arc<dyn TokenCredential>),
    ManagedIdentity,
    WorkloadIdentity,
}

impl Azure {
    /// With a credential that was made by the crate `azure_identity`.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self::by(Way::Given(credential))
    }

    /// As the system-assigned managed identity of the machine or the app.
    #[must_use]
    pub fn managed_identity() -> Self {
        Self::by(Way::ManagedIdentity)
    }

    /// By the token of a Kubernetes service account, as Microsoft Entra Workload ID sets the
    /// variables for it (`AZURE_FEDERATED_TOKEN_FILE` and the like).
    #[must_use]
    pub fn workload_identity() -> Self {
        Self::by(Way::WorkloadIdentity)
    }

    /// As whoever is logged in with the Azure CLI or the Azure Developer CLI here: for people.
    #[must_use]
    pub fn developer_tools() -> Self {
        Self::by(Way::DeveloperTools)
    }

    fn by(way: Way) -> Self {
        Self {
            login: Arc::new(Login { way, credential: OnceCell::new() }),
            domain: "vault.azure.net".into(),
            options: None,
        }
    }

    /// Sets the domain that vaults which are given by name are in; `vault.azure.net` unless set.
    /// Other clouds of Azure have `vault.azure.cn` and `vault.usgovcloudapi.net`.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into().into();
        self
    }

    /// Sets the SDK's own options: its transport, its retries.
    #[must_use]
    pub fn with_client_options(mut self, options: ClientOptions) -> Self {
        self.options = Some(options);
        self
    }

    /// Where a vault of this name is.
    pub(super) fn url_of(&self, vault: &str) -> String {
        format!("https://{vault}.{}", self.domain)
    }

    /// A client for a vault.
    pub(super) async fn client(&self, url: &str) -> Result<SecretClient, Error> {
        let credential = self.login.credential.get_or_try_init(async || self.login.make()).await?;
        let options = SecretClientOptions {
            client_options: self
                .options
                .clone()
                .unwrap_or_else(|| ClientOptions { retry: retries(), ..ClientOptions::default() }),
            ..SecretClientOptions::default()
        };
        SecretClient::new(url, credential.clone(), Some(options)).map_err(|_| {
            Error::new(
                ErrorKind::Invalid,
                "the client cannot be made",
                "check the vault's address: https://NAME.vault.azure.net",
            )
        })
    }
}

impl Login {
    fn make(&self) -> Result<Arc<dyn TokenCredential>, Error> {
        let made = match &self.way {
            Way::DeveloperTools => {
                DeveloperToolsCredential::new(None).map(|credential| credential as _)
            }
            Way::Given(credential) => return Ok(credential.clone()),
            Way::ManagedIdentity => {
                ManagedIdentityCredential::new(None).map(|credential| credential as _)
            }
            Way::WorkloadIdentity => {
                WorkloadIdentityCredential::new(None).map(|credential| credential as _)
            }
        };
        made.map_err(|_| {
            Error::new(
                ErrorKind::Unauthenticated,
                "no Azure credentials were found",
                "give the workload an identity, and set the variables that tell of it",
            )
        })
    }
}

fn retries() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions {
        initial_delay: Duration::milliseconds(100),
        max_retries: 2,
        ..ExponentialRetryOptions::default()
    })
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match self.login.way {
            Way::DeveloperTools => "developer tools",
            Way::Given(_) => "given",
            Way::ManagedIdentity => "managed identity",
            Way::WorkloadIdentity => "workload identity",
        };
        f.debug_struct("Azure")
            .field("login", &login)
            .field("domain", &crate::place::shown(&self.domain))
            .finish_non_exhaustive()
    }
}
