//! [`Google`]: the connection, made when it is first needed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::client_builder;
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, LimitedAttemptCount, RetryPolicyExt as _};
use google_cloud_kms_v1::client::KeyManagementService;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use tokio::sync::OnceCell;

use crate::quiet::quietly;
use crate::{Error, ErrorKind};

/// A connection to Google Cloud. Clones share it.
///
/// Making one reads nothing and connects to nothing. Reads are tried up to three times where
/// Google says that it is not at work.
///
/// ```no_run
/// use keyward_kms::google::Google;
///
/// // As Google's own tools do: by the Application Default Credentials of the machine.
/// let google = Google::from_env();
/// # let _ = google;
/// ```
#[derive(Clone)]
pub struct Google(Arc<Inner>);

struct Inner {
    credentials: Option<Credentials>,
    secret_manager: Service<SecretManagerService>,
    kms: Service<KeyManagementService>,
}

struct Service<C> {
    /// In place of Google's own.
    endpoint: Option<String>,
    client: OnceCell<C>,
}

impl Google {
    /// With credentials that were made by the crate `google-cloud-auth`.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self::with(Some(credentials), None, None)
    }

    /// With the Application Default Credentials, looked up at the first load: a file that
    /// `GOOGLE_APPLICATION_CREDENTIALS` names, `gcloud auth application-default login`, or the
    /// service account of the machine.
    #[must_use]
    pub fn from_env() -> Self {
        Self::with(None, None, None)
    }

    /// Sets the endpoint of Secret Manager, as `https://secretmanager.REGION.rep.googleapis.com`.
    ///
    /// Without TLS it must be an address of this machine.
    #[must_use]
    pub fn with_secret_manager_endpoint(self, url: impl Into<String>) -> Self {
        let kms = self.0.kms.endpoint.clone();
        Self::with(self.0.credentials.clone(), Some(url.into()), kms)
    }

    /// Sets the endpoint of Cloud KMS, as `https://cloudkms.REGION.rep.googleapis.com`.
    ///
    /// Without TLS it must be an address of this machine.
    #[must_use]
    pub fn with_kms_endpoint(self, url: impl Into<String>) -> Self {
        let secret_manager = self.0.secret_manager.endpoint.clone();
        Self::with(self.0.credentials.clone(), secret_manager, Some(url.into()))
    }

    fn with(
        credentials: Option<Credentials>,
        secret_manager: Option<String>,
        kms: Option<String>,
    ) -> Self {
        let secret_manager = Service { endpoint: secret_manager, client: OnceCell::new() };
        let kms = Service { endpoint: kms, client: OnceCell::new() };
        Self(Arc::new(Inner { credentials, secret_manager, kms }))
    }

    // A client of each service is kept, because its connections are its own.

    pub(super) async fn secret_manager(&self) -> Result<&SecretManagerService, Error> {
        let service = &self.0.secret_manager;
        let make = async || {
            let builder = SecretManagerService::builder()
                .with_retry_policy(retries())
                .with_backoff_policy(backoff());
            let builder = match checked(service.endpoint.as_deref())? {
                Some(endpoint) => builder.with_endpoint(endpoint),
                None => builder,
            };
            let builder = match &self.0.credentials {
                Some(credentials) => builder.with_credentials(credentials.clone()),
                None => builder,
            };
            quietly(builder.build()).await.map_err(|error| of_builder(&error))
        };
        service.client.get_or_try_init(make).await
    }

    pub(super) async fn kms(&self) -> Result<&KeyManagementService, Error> {
        let service = &self.0.kms;
        let make = async || {
            let builder = KeyManagementService::builder()
                .with_retry_policy(retries())
                .with_backoff_policy(backoff());
            let builder = match checked(service.endpoint.as_deref())? {
                Some(endpoint) => builder.with_endpoint(endpoint),
                None => builder,
            };
            let builder = match &self.0.credentials {
                Some(credentials) => builder.with_credentials(credentials.clone()),
                None => builder,
            };
            quietly(builder.build()).await.map_err(|error| of_builder(&error))
        };
        service.client.get_or_try_init(make).await
    }
}

fn retries() -> LimitedAttemptCount<Aip194Strict> {
    Aip194Strict.with_attempt_limit(3)
}

fn backoff() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_delay(Duration::from_millis(100))
        .with_maximum_delay(Duration::from_secs(1))
        .clamp()
}

/// A token and a key go there, so it must be confidential.
fn checked(endpoint: Option<&str>) -> Result<Option<&str>, Error> {
    let is_confidential = |url: &str| {
        url.starts_with("https://") || url.strip_prefix("http://").is_some_and(is_of_this_machine)
    };
    match endpoint {
        Some(url) if !is_confidential(url) => Err(Error::new(
            ErrorKind::Invalid,
            "a token would go to the endpoint in the clear",
            "give an https address, or one of this machine",
        )),
        endpoint => Ok(endpoint),
    }
}

/// `127.0.0.1:8080`, `[::1]:8080/`: not `localhost`, which is whatever a resolver says.
fn is_of_this_machine(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    !authority.contains('@') && host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn of_builder(error: &client_builder::Error) -> Error {
    if error.is_default_credentials() {
        return Error::new(
            ErrorKind::Unauthenticated,
            "no Google credentials were found, or they cannot be used",
            "give the process a service account, or run \
             `gcloud auth application-default login`",
        );
    }
    Error::new(
        ErrorKind::Invalid,
        "the client cannot be made",
        "check the endpoint, and the universe of the credentials",
    )
}

impl fmt::Debug for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |endpoint: &Option<String>| endpoint.as_deref().map(crate::place::shown);
        f.debug_struct("Google")
            .field("secret_manager_endpoint", &shown(&self.0.secret_manager.endpoint))
            .field("kms_endpoint", &shown(&self.0.kms.endpoint))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn no_token_goes_in_the_clear() {
        for (endpoint, goes) in [
            ("https://secretmanager.googleapis.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:8080/", true),
            ("http://localhost:8080", false),
            ("http://secretmanager.googleapis.com", false),
            ("http://127.0.0.1@example.com", false),
            ("http://127.0.0.1:80@example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://10.0.0.1", false),
            ("ftp://127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(checked(Some(endpoint)).is_ok(), goes, "{endpoint}");
        }
    }
}
