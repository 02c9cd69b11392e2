//! Ids, one type each, so that a user's id cannot be passed for a project's.

macro_rules! id {
    ($($(#[$meta:meta])* $name:ident)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(String);

        impl $name {
            /// The id as the API writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&Self> for $name {
            fn from(id: &Self) -> Self {
                id.clone()
            }
        }

        /// A key in the place of an id is masked.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&crate::wire::plain(&self.0)).finish()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl crate::wire::Lenient for $name {
            fn from_text(id: &str) -> Option<Self> {
                Some(Self(crate::wire::plain(id)))
            }
        }
    )*};
}

id! {
    /// The id of an admin key (`key_…`).
    AdminKeyId
    /// The id of a project's API key (`key_…`).
    ApiKeyId
    /// The id of a certificate (`cert_…`).
    CertificateId
    /// The id of an audit event (`audit_log-…`).
    AuditEventId
    /// The id of an external key.
    ExternalKeyId
    /// The id of an external storage.
    ExternalStorageId
    /// The id of a federation rule.
    FederationRuleId
    /// The id of a group (`group_…`).
    GroupId
    /// The id of an invite (`invite-…`).
    InviteId
    /// The id of a project (`proj_…`).
    ProjectId
    /// The id of a role (`role_…`).
    RoleId
    /// The id of a rate limit (`rl-…`).
    RateLimitId
    /// The id of a service account (`svc_acct_…`).
    ServiceAccountId
    /// The id of a spend alert.
    SpendAlertId
    /// The id of a user (`user-…`).
    UserId
    /// The id of a vector store (`vs_…`).
    VectorStoreId
    /// The id of a workload identity provider.
    WorkloadIdentityProviderId
}
