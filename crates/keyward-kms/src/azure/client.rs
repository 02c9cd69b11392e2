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
            client_options: self.options.clone().unwrap_or_else(options),
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

/// Unless others are set.
fn options() -> ClientOptions {
    ClientOptions { retry: retries(), ..ClientOptions::default() }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
    use azure_core::http::headers::Headers;
    use azure_core::http::{
        AsyncRawResponse, ClientOptions, HttpClient, Request, StatusCode, Transport,
    };

    use super::{Azure, options};
    use crate::ErrorKind;
    use crate::azure::error::of_sdk;

    /// A transport to a service that gives this status.
    #[derive(Debug)]
    struct Answers(StatusCode, AtomicUsize);

    #[async_trait]
    impl HttpClient for Answers {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(AsyncRawResponse::from_bytes(self.0, Headers::new(), ""))
        }
    }

    /// Credentials that are not asked for: the first call goes without.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl TokenCredential for Nobody {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            unreachable!("nobody is challenged")
        }
    }

    #[test]
    fn a_call_is_tried_three_times_where_azure_is_not_at_work() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (status, kind, tries) in [
            (StatusCode::ServiceUnavailable, ErrorKind::Unreachable, 3),
            (StatusCode::Forbidden, ErrorKind::Denied, 1),
        ] {
            let answers = Arc::new(Answers(status, AtomicUsize::new(0)));
            let transport = Some(Transport::new(answers.clone()));
            let options = ClientOptions { transport, ..options() };
            let azure = Azure::new(Arc::new(Nobody)).with_client_options(options);
            let error = runtime.block_on(async {
                let client = azure.client("https://billing-prod.vault.azure.net").await.unwrap();
                client.get_secret("openai", None).await.map(drop).unwrap_err()
            });
            assert_eq!(of_sdk(&error).kind(), kind, "{status}");
            assert_eq!(answers.1.load(Ordering::Relaxed), tries, "{status}");
        }
    }
}
