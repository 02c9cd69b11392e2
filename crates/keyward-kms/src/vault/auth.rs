//! [`VaultAuth`]: how Vault is told who asks.

use std::ffi::OsString;
use std::fmt;

use keyward::{ApiKey, DynKeyLoader, FileLoader, KeyLoader};

use crate::reference::Name;
use crate::{Error, ErrorKind};

/// How Vault is told who asks: a token, or a login that yields one.
///
/// What is secret of it (a token, a secret id, a JWT) is loaded by a [`KeyLoader`] whenever it is
/// needed, so that it may be replaced meanwhile, and its file is held to the same rules as a key's.
///
/// ```
/// use keyward::{EnvLoader, FileLoader};
/// use keyward_kms::vault::VaultAuth;
///
/// // What the Vault Agent keeps fresh.
/// let token = VaultAuth::token(FileLoader::new("/run/vault/token"));
/// let by_env = VaultAuth::token(EnvLoader::new("VAULT_TOKEN"));
/// let app_role = VaultAuth::app_role("billing-role-id", FileLoader::new("/run/vault/secret-id"));
/// let pod = VaultAuth::kubernetes("billing").with_mount("kubernetes-eu");
/// # let _ = (token, by_env, app_role, pod);
/// ```
#[derive(Clone, Debug)]
pub struct VaultAuth {
    pub(super) method: Method,
    secret: DynKeyLoader,
}

#[derive(Clone, Debug)]
pub(super) enum Method {
    AppRole { mount: Name, role_id: Name },
    Kubernetes { mount: Name, role: Name },
    Token,
}

impl VaultAuth {
    /// A token. It is renewed where Vault allows that, and loaded anew when Vault refuses it.
    #[must_use]
    pub fn token(token: impl KeyLoader + 'static) -> Self {
        Self { method: Method::Token, secret: DynKeyLoader::new(token) }
    }

    /// An AppRole: its id, which is a name, and its secret id.
    #[must_use]
    pub fn app_role(role_id: impl Into<String>, secret_id: impl KeyLoader + 'static) -> Self {
        let (mount, role_id) = (Name::new("approle"), Name::new(role_id));
        Self { method: Method::AppRole { mount, role_id }, secret: DynKeyLoader::new(secret_id) }
    }

    /// The service account of the pod, in this role.
    #[must_use]
    pub fn kubernetes(role: impl Into<String>) -> Self {
        Self::kubernetes_with_jwt(role, FileLoader::mounted_secret(SERVICE_ACCOUNT_TOKEN))
    }

    /// A Kubernetes service account whose JWT lies elsewhere: a projected token with an audience
    /// of its own.
    #[must_use]
    pub fn kubernetes_with_jwt(role: impl Into<String>, jwt: impl KeyLoader + 'static) -> Self {
        let (mount, role) = (Name::new("kubernetes"), Name::new(role));
        Self { method: Method::Kubernetes { mount, role }, secret: DynKeyLoader::new(jwt) }
    }

    /// Sets where the login method is mounted, if not at its own name. A token has no such place.
    #[must_use]
    pub fn with_mount(mut self, path: impl Into<String>) -> Self {
        match &mut self.method {
            Method::AppRole { mount, .. } | Method::Kubernetes { mount, .. } => {
                *mount = Name::new(path);
            }
            Method::Token => {}
        }
        self
    }

    /// Loads what is secret of it.
    pub(super) async fn secret(&self) -> Result<ApiKey, Error> {
        let loaded = self.secret.load().await.map_err(|error| {
            Error::new(
                ErrorKind::Unauthenticated,
                format!("there is nothing to log in to Vault with: {error}"),
                "mend that first",
            )
        })?;
        Ok(loaded.key)
    }

    /// The variables that what is secret of it is looked for in.
    pub(super) fn variables(&self) -> Vec<OsString> {
        self.secret.variables()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppRole { mount, .. } | Self::Kubernetes { mount, .. } => {
                write!(f, "auth/{mount}")
            }
            Self::Token => f.write_str("token"),
        }
    }
}

const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
