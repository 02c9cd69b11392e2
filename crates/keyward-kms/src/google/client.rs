//! [`Google`]: the connection, made when it is first needed.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::client_builder::{self, ClientBuilder};
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, LimitedAttemptCount, RetryPolicyExt as _};
use google_cloud_kms_v1::client::KeyManagementService;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use tokio::runtime::Id;
use tokio::sync::OnceCell;

use super::error::{Call, of_sdk};
use crate::quiet::quietly;
use crate::{Error, ErrorKind, deadline};

/// A connection to Google Cloud. Clones share it.
///
/// It belongs to the runtime of tokio that it was made on, which is that of the first load. On another
/// runtime it is made anew, and so it is after a login by [`from_env`](Self::from_env) has failed.
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
    slot: Mutex<Option<Slot<C>>>,
}

/// A client, whose token is renewed by a task of the runtime it was made on.
struct Slot<C> {
    runtime: Id,
    client: Arc<OnceCell<C>>,
}

impl<C> Service<C> {
    fn new(endpoint: Option<String>) -> Self {
        Self { endpoint, slot: Mutex::new(None) }
    }

    /// Where the client of this runtime is, or will be.
    fn client(&self) -> Result<Arc<OnceCell<C>>, Error> {
        let runtime = deadline::runtime()?.id();
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*slot {
            Some(slot) if slot.runtime == runtime => slot.client.clone(),
            _ => slot.insert(Slot { runtime, client: Arc::default() }).client.clone(),
        })
    }

    fn renew(&self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Google {
    /// With credentials that were made by the crate `google-cloud-auth`.
    ///
    /// That crate renews their token by a task of the runtime on which they were made, and stops for
    /// good at an error that it does not take for a passing one: after that every load fails, and a
    /// load after the end of that runtime panics once the token has expired. So make them on the
    /// runtime that lasts, and anew when a load is refused; or take [`from_env`](Self::from_env), for
    /// which that is done here.
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
        let (secret_manager, kms) = (Service::new(secret_manager), Service::new(kms));
        Self(Arc::new(Inner { credentials, secret_manager, kms }))
    }

    // A client of each service is kept, because its connections are its own.

    pub(super) async fn secret_manager(&self) -> Result<SecretManagerService, Error> {
        let service = &self.0.secret_manager;
        let make = async || {
            let builder = self.set_up(SecretManagerService::builder(), service)?;
            quietly(builder.build()).await.map_err(|error| of_builder(&error))
        };
        service.client()?.get_or_try_init(make).await.cloned()
    }

    pub(super) async fn kms(&self) -> Result<KeyManagementService, Error> {
        let service = &self.0.kms;
        let make = async || {
            let builder = self.set_up(KeyManagementService::builder(), service)?;
            quietly(builder.build()).await.map_err(|error| of_builder(&error))
        };
        service.client()?.get_or_try_init(make).await.cloned()
    }

    fn set_up<F, C>(
        &self,
        builder: ClientBuilder<F, Credentials>,
        service: &Service<C>,
    ) -> Result<ClientBuilder<F, Credentials>, Error> {
        let builder = builder.with_retry_policy(retries()).with_backoff_policy(backoff());
        let builder = match checked(service.endpoint.as_deref())? {
            Some(endpoint) => builder.with_endpoint(endpoint),
            None => builder,
        };
        Ok(match &self.0.credentials {
            Some(credentials) => builder.with_credentials(credentials.clone()),
            None => builder,
        })
    }
}

impl Google {
    /// An error of the SDK without its words. After a login that failed the next one is made anew: the
    /// SDK would answer the same error for ever.
    pub(super) fn told(&self, error: &google_cloud_gax::error::Error, call: Call) -> Error {
        if error.is_authentication() && self.0.credentials.is_none() {
            self.0.secret_manager.renew();
            self.0.kms.renew();
        }
        of_sdk(error, call)
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
