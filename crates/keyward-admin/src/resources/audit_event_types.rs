//! [`AuditEventType`]: the names of what can happen, as of 2026-11.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::wire::Lenient;

/// What happened, by its dotted name, such as `api_key.created`.
///
/// New ones come every month, so any text can be one; the constants are those known as of 2026-11.
///
/// ```
/// use keyward_admin::AuditEventType;
///
/// assert_eq!(AuditEventType::from("api_key.created"), AuditEventType::API_KEY_CREATED);
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AuditEventType(Cow<'static, str>);

impl AuditEventType {
    /// The name as the API writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AuditEventType {
    fn from(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }
}

impl fmt::Display for AuditEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for AuditEventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Lenient for AuditEventType {
    fn from_text(name: &str) -> Option<Self> {
        Some(Self::from(name))
    }
}

macro_rules! event_types {
    ($($constant:ident = $name:literal,)*) => {
        impl AuditEventType {
            $(
                #[doc = concat!("`", $name, "`.")]
                pub const $constant: Self = Self(Cow::Borrowed($name));
            )*

            /// All of the constants.
            pub const KNOWN: &[Self] = &[$(Self::$constant),*];
        }
    };
}

event_types! {
    API_KEY_CREATED = "api_key.created",
    API_KEY_DELETED = "api_key.deleted",
    API_KEY_UPDATED = "api_key.updated",
    CERTIFICATE_CREATED = "certificate.created",
    CERTIFICATE_DELETED = "certificate.deleted",
    CERTIFICATE_UPDATED = "certificate.updated",
    CERTIFICATES_ACTIVATED = "certificates.activated",
    CERTIFICATES_DEACTIVATED = "certificates.deactivated",
    CHECKPOINT_PERMISSION_CREATED = "checkpoint.permission.created",
    CHECKPOINT_PERMISSION_DELETED = "checkpoint.permission.deleted",
    EXTERNAL_KEY_REGISTERED = "external_key.registered",
    EXTERNAL_KEY_REMOVED = "external_key.removed",
    EXTERNAL_STORAGE_REGISTERED = "external_storage.registered",
    EXTERNAL_STORAGE_REMOVED = "external_storage.removed",
    GROUP_CREATED = "group.created",
    GROUP_DELETED = "group.deleted",
    GROUP_UPDATED = "group.updated",
    INVITE_ACCEPTED = "invite.accepted",
    INVITE_DELETED = "invite.deleted",
    INVITE_SENT = "invite.sent",
    IP_ALLOWLIST_CONFIG_ACTIVATED = "ip_allowlist.config.activated",
    IP_ALLOWLIST_CONFIG_DEACTIVATED = "ip_allowlist.config.deactivated",
    IP_ALLOWLIST_CREATED = "ip_allowlist.created",
    IP_ALLOWLIST_DELETED = "ip_allowlist.deleted",
    IP_ALLOWLIST_UPDATED = "ip_allowlist.updated",
    LOGIN_FAILED = "login.failed",
    LOGIN_SUCCEEDED = "login.succeeded",
    LOGOUT_FAILED = "logout.failed",
    LOGOUT_SUCCEEDED = "logout.succeeded",
    ORGANIZATION_UPDATED = "organization.updated",
    PROJECT_ARCHIVED = "project.archived",
    PROJECT_CREATED = "project.created",
    PROJECT_DELETED = "project.deleted",
    PROJECT_UPDATED = "project.updated",
    RATE_LIMIT_DELETED = "rate_limit.deleted",
    RATE_LIMIT_UPDATED = "rate_limit.updated",
    RESOURCE_DELETED = "resource.deleted",
    ROLE_ASSIGNMENT_CREATED = "role.assignment.created",
    ROLE_ASSIGNMENT_DELETED = "role.assignment.deleted",
    ROLE_BOUND_TO_RESOURCE = "role.bound_to_resource",
    ROLE_CREATED = "role.created",
    ROLE_DELETED = "role.deleted",
    ROLE_UNBOUND_FROM_RESOURCE = "role.unbound_from_resource",
    ROLE_UPDATED = "role.updated",
    SCIM_DISABLED = "scim.disabled",
    SCIM_ENABLED = "scim.enabled",
    SERVICE_ACCOUNT_CREATED = "service_account.created",
    SERVICE_ACCOUNT_DELETED = "service_account.deleted",
    SERVICE_ACCOUNT_UPDATED = "service_account.updated",
    TENANT_ADMIN_API_KEY_CREATED = "tenant.admin_api_key.created",
    TENANT_ADMIN_API_KEY_DELETED = "tenant.admin_api_key.deleted",
    TENANT_ADMIN_API_KEY_UPDATED = "tenant.admin_api_key.updated",
    TENANT_ADS_ACCOUNT_ONBOARDING_REDEMPTION = "tenant.ads_account.onboarding.redemption",
    TENANT_API_ORGANIZATION_INVITE_DELETED = "tenant.api_organization_invite.deleted",
    TENANT_API_ORGANIZATION_INVITE_UPSERTED = "tenant.api_organization_invite.upserted",
    TENANT_BILLING_ALERTS_UPDATED = "tenant.billing.alerts.updated",
    TENANT_BILLING_INFO_UPDATED = "tenant.billing.info.updated",
    TENANT_BILLING_OVERAGE_LIMIT_UPDATED = "tenant.billing.overage_limit.updated",
    TENANT_CHATGPT_ACCESS_TOKEN_REVOKED = "tenant.chatgpt_access_token.revoked",
    TENANT_CHATGPT_WORKSPACE_INVITE_UPSERTED = "tenant.chatgpt_workspace_invite.upserted",
    TENANT_CUSTOM_ROLE_CREATED = "tenant.custom_role.created",
    TENANT_CUSTOM_ROLE_DELETED = "tenant.custom_role.deleted",
    TENANT_CUSTOM_ROLE_UPDATED = "tenant.custom_role.updated",
    TENANT_DOMAINS_MIGRATED = "tenant.domains.migrated",
    TENANT_GROUP_CREATED = "tenant.group.created",
    TENANT_GROUP_DELETED = "tenant.group.deleted",
    TENANT_GROUP_MEMBER_ADDED = "tenant.group.member.added",
    TENANT_GROUP_MEMBER_REMOVED = "tenant.group.member.removed",
    TENANT_GROUP_UPDATED = "tenant.group.updated",
    TENANT_MEMBERSHIP_ACCEPTED = "tenant.membership.accepted",
    TENANT_MEMBERSHIP_DECLINED = "tenant.membership.declined",
    TENANT_MEMBERSHIP_REVOKED = "tenant.membership.revoked",
    TENANT_METADATA_UPDATED = "tenant.metadata.updated",
    TENANT_MICROSOFT_ENTRA_MAPPING_DELETED = "tenant.microsoft_entra_mapping.deleted",
    TENANT_MICROSOFT_ENTRA_MAPPING_UPSERTED = "tenant.microsoft_entra_mapping.upserted",
    TENANT_MIGRATION_COMPLETED = "tenant.migration.completed",
    TENANT_MIGRATION_ROLLOUT_STATUS_UPDATED = "tenant.migration_rollout.status.updated",
    TENANT_MIGRATION_ROLLOUT_TIER_UPDATED = "tenant.migration_rollout.tier.updated",
    TENANT_POLICY_ATTACHED = "tenant.policy.attached",
    TENANT_POLICY_CREATED = "tenant.policy.created",
    TENANT_POLICY_DELETED = "tenant.policy.deleted",
    TENANT_POLICY_DETACHED = "tenant.policy.detached",
    TENANT_POLICY_UPDATED = "tenant.policy.updated",
    TENANT_PRINCIPAL_AUTHENTICATION_POLICY_RESOLVED = "tenant.principal_authentication_policy.resolved",
    TENANT_PRODUCT_ACCESS_POLICY_UPDATED = "tenant.product_access_policy.updated",
    TENANT_PROJECT_API_KEY_CREATED = "tenant.project_api_key.created",
    TENANT_RESOURCE_ACCESS_DELETED = "tenant.resource_access.deleted",
    TENANT_RESOURCE_ACCESS_UPDATED = "tenant.resource_access.updated",
    TENANT_RESOURCE_ROLE_ASSIGNMENT_CREATED = "tenant.resource_role_assignment.created",
    TENANT_RESOURCE_ROLE_ASSIGNMENT_DELETED = "tenant.resource_role_assignment.deleted",
    TENANT_RESOURCE_SHARE_GRANT_ACCEPTED = "tenant.resource_share_grant.accepted",
    TENANT_RESOURCE_SHARE_GRANT_CREATED = "tenant.resource_share_grant.created",
    TENANT_RESOURCE_SHARE_GRANT_DECLINED = "tenant.resource_share_grant.declined",
    TENANT_RESOURCE_SHARE_GRANT_DELETED = "tenant.resource_share_grant.deleted",
    TENANT_RESOURCE_SHARE_GRANT_REVOKED = "tenant.resource_share_grant.revoked",
    TENANT_RESOURCE_SHARE_GRANT_UPDATED = "tenant.resource_share_grant.updated",
    TENANT_ROLE_METADATA_UPDATED = "tenant.role.metadata.updated",
    TENANT_ROLE_ASSIGNMENT_CREATED = "tenant.role_assignment.created",
    TENANT_ROLE_ASSIGNMENT_DELETED = "tenant.role_assignment.deleted",
    TENANT_SCIM_DELETION_REQUESTED = "tenant.scim.deletion.requested",
    TENANT_SCIM_DIRECTORY_CREATED = "tenant.scim.directory.created",
    TENANT_SCIM_SETUP_STARTED = "tenant.scim.setup.started",
    TENANT_SERVICE_ACCOUNT_DELETED = "tenant.service_account.deleted",
    TENANT_SERVICE_ACCOUNT_TOKEN_REVOKED = "tenant.service_account.token.revoked",
    TENANT_SERVICE_ACCOUNT_UPDATED = "tenant.service_account.updated",
    TENANT_SESSION_POLICY_CREATED = "tenant.session_policy.created",
    TENANT_SESSION_POLICY_DELETED = "tenant.session_policy.deleted",
    TENANT_SESSION_POLICY_UPDATED = "tenant.session_policy.updated",
    TENANT_SESSION_REVOCATION_STARTED = "tenant.session_revocation.started",
    TENANT_SSO_MIGRATED = "tenant.sso.migrated",
    TENANT_SSO_CONNECTION_CREATED = "tenant.sso_connection.created",
    TENANT_SSO_CONNECTION_DELETED = "tenant.sso_connection.deleted",
    TENANT_SSO_CONNECTION_SETUP_STARTED = "tenant.sso_connection.setup.started",
    TENANT_SSO_CONNECTION_UPDATED = "tenant.sso_connection.updated",
    TENANT_THIRD_PARTY_APP_POLICY_UPDATED = "tenant.third_party_app_policy.updated",
    TENANT_TRUSTED_ACCESS_APPLICATION_SUBMITTED = "tenant.trusted_access.application.submitted",
    TENANT_TRUSTED_ACCESS_BUSINESS_VERIFICATION_STARTED = "tenant.trusted_access.business_verification.started",
    TENANT_USAGE_LIMIT_GROUP_UPDATED = "tenant.usage_limit.group.updated",
    TENANT_USAGE_LIMIT_INCREASE_REQUEST_RESOLVED = "tenant.usage_limit.increase_request.resolved",
    TENANT_USAGE_LIMIT_INCREASE_REQUEST_UPDATED = "tenant.usage_limit.increase_request.updated",
    TENANT_USAGE_LIMIT_USER_UPDATED = "tenant.usage_limit.user.updated",
    TENANT_USAGE_LIMIT_WORKSPACE_UPDATED = "tenant.usage_limit.workspace.updated",
    TENANT_USER_ADDED = "tenant.user.added",
    TENANT_USER_INVITED = "tenant.user.invited",
    TENANT_USER_LOOKED_UP = "tenant.user.looked_up",
    TENANT_USER_REMOVED = "tenant.user.removed",
    TENANT_USER_UPDATED = "tenant.user.updated",
    TENANT_WORKLOAD_IDENTITY_ACCESS_TOKEN_ISSUED = "tenant.workload_identity.access_token.issued",
    TENANT_WORKLOAD_IDENTITY_BINDING_CREATED = "tenant.workload_identity.binding.created",
    TENANT_WORKLOAD_IDENTITY_MAPPING_ARCHIVED = "tenant.workload_identity.mapping.archived",
    TENANT_WORKLOAD_IDENTITY_MAPPING_CREATED = "tenant.workload_identity.mapping.created",
    TENANT_WORKLOAD_IDENTITY_MAPPING_UPDATED = "tenant.workload_identity.mapping.updated",
    TENANT_WORKLOAD_IDENTITY_PRINCIPAL_PROVISIONED = "tenant.workload_identity.principal.provisioned",
    TENANT_WORKLOAD_IDENTITY_PROVIDER_ARCHIVED = "tenant.workload_identity.provider.archived",
    TENANT_WORKLOAD_IDENTITY_PROVIDER_CREATED = "tenant.workload_identity.provider.created",
    TENANT_WORKLOAD_IDENTITY_PROVIDER_UPDATED = "tenant.workload_identity.provider.updated",
    TENANT_WORKSPACE_INVITE_EMAIL_SETTINGS_UPDATED = "tenant.workspace_invite_email_settings.updated",
    TUNNEL_CREATED = "tunnel.created",
    TUNNEL_DELETED = "tunnel.deleted",
    TUNNEL_UPDATED = "tunnel.updated",
    USER_ADDED = "user.added",
    USER_DELETED = "user.deleted",
    USER_UPDATED = "user.updated",
    WORKLOAD_IDENTITY_PROVIDER_CREATED = "workload_identity_provider.created",
    WORKLOAD_IDENTITY_PROVIDER_DELETED = "workload_identity_provider.deleted",
    WORKLOAD_IDENTITY_PROVIDER_UPDATED = "workload_identity_provider.updated",
    WORKLOAD_IDENTITY_PROVIDER_MAPPING_CREATED = "workload_identity_provider_mapping.created",
    WORKLOAD_IDENTITY_PROVIDER_MAPPING_DELETED = "workload_identity_provider_mapping.deleted",
    WORKLOAD_IDENTITY_PROVIDER_MAPPING_UPDATED = "workload_identity_provider_mapping.updated",
}
