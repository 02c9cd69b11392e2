//! Narrowed keys: a key that a policy has admitted, for one purpose.

use crate::{ApiKey, KeyFingerprint, KeyKind, Timestamp};

/// An admin key that a policy has admitted: what the Admin API client takes.
///
/// It comes from [`Admitted::into_admin_key`](crate::Admitted::into_admin_key) alone. It cannot
/// authorize a model request: nothing takes both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminKey(ApiKey);

/// A key that a policy has admitted for model requests: a project key, a service-account key or
/// an access token.
///
/// It comes from [`Admitted::into_project_key`](crate::Admitted::into_project_key) alone. It
/// cannot enter the Admin API client: nothing takes both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProjectKey {
    key: ApiKey,
    expires_at: Option<Timestamp>,
}

impl AdminKey {
    pub(crate) fn new(key: ApiKey) -> Self {
        Self(key)
    }

    /// The short hash of the key, for logs.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.0.fingerprint()
    }

    /// The key itself.
    #[must_use]
    pub fn as_api_key(&self) -> &ApiKey {
        &self.0
    }
}

impl ProjectKey {
    pub(crate) fn new(key: ApiKey, expires_at: Option<Timestamp>) -> Self {
        Self { key, expires_at }
    }

    /// When it expires, as far as the policy was told.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The short hash of the key, for logs.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.key.fingerprint()
    }

    /// What the key is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// The key itself.
    #[must_use]
    pub fn as_api_key(&self) -> &ApiKey {
        &self.key
    }
}
