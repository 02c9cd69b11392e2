//! [`AuditDetails`]: what is told of an event, by the family of its type.
//!
//! It is read when it is asked for. What an event has in `data` or `changes_requested` stands
//! beside what it has outside of them: which of the two there is says the type of the event.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::AuditEvent;
use crate::wire::{Lenient, lenient, lenient_struct, open_enum};
use crate::{
    CertificateId, ExternalKeyId, ExternalStorageId, GroupId, InviteId, ProjectId, RateLimitId,
    RoleId, Scope, ServiceAccountId, UserId, WorkloadIdentityProviderId,
};

impl AuditEvent {
    /// What is told of it, read by its type; none when nothing is told.
    ///
    /// A type that this version does not know is [`AuditDetails::Other`]. Whatever is not in the
    /// details is in the [payload](AuditEvent::payload).
    ///
    /// ```
    /// # fn example(event: &keyward_admin::AuditEvent) {
    /// use keyward_admin::AuditDetails;
    ///
    /// match event.details() {
    ///     Some(AuditDetails::ApiKey(key)) => println!("{:?} may do {:?}", key.id, key.scopes),
    ///     Some(AuditDetails::Login(login)) => println!("{:?}", login.error_code),
    ///     _ => {}
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn details(&self) -> Option<AuditDetails> {
        let event_type = self.event_type.as_ref()?.as_str();
        Some(AuditDetails::read(event_type, self.payload.as_ref()?.json()))
    }

    /// What was done to a key, if it was something of the sort `api_key.created`.
    #[must_use]
    pub fn api_key_change(&self) -> Option<ApiKeyChange> {
        match self.details()? {
            AuditDetails::ApiKey(change) => Some(change),
            _ => None,
        }
    }

    /// What was done to a service account, if it was something of the sort
    /// `service_account.created`.
    #[must_use]
    pub fn service_account_change(&self) -> Option<ServiceAccountChange> {
        match self.details()? {
            AuditDetails::ServiceAccount(change) => Some(change),
            _ => None,
        }
    }
}

/// The families of event types, the words that they begin with, and what is told of each.
macro_rules! families {
    ($(
        $(#[$meta:meta])*
        $variant:ident($name:ident) = $($prefix:literal)|+ {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    )*) => {
        /// What is told of an event. It comes from [`AuditEvent::details`].
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AuditDetails {
            $($(#[$meta])* $variant($name),)*
            /// Of a type of which this version does not know what is told, or not what it should
            /// be: see [`AuditEvent::payload`].
            Other,
        }

        impl AuditDetails {
            fn read(event_type: &str, json: &str) -> Self {
                let read = match family(event_type) {
                    $($($prefix)|+ => read(json).map(Self::$variant),)*
                    _ => None,
                };
                read.unwrap_or(Self::Other)
            }
        }

        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default, Deserialize)]
            #[non_exhaustive]
            pub struct $name {
                $(
                    $(#[$field_meta])*
                    #[serde(default, deserialize_with = "lenient")]
                    pub $field: Option<$type>,
                )*
            }

            impl Details for $name {
                fn or(self, other: Self) -> Self {
                    Self { $($field: self.$field.or(other.$field),)* }
                }
            }
        )*

        lenient_struct!($($name),*);
    };
}

families! {
    /// What was done to an API key.
    ApiKey(ApiKeyChange) = "api_key" {
        /// The key, by the id that audit logs track it by.
        id: String,
        /// What it may do from now on; none when that was not asked for.
        scopes: Vec<Scope>,
    }
    /// What was done to a certificate.
    Certificate(CertificateChange) = "certificate" {
        /// The certificate.
        id: CertificateId,
        /// Its name.
        name: String,
        /// The certificate itself, in PEM, when it was deleted.
        certificate: String,
    }
    /// Which certificates were activated or deactivated.
    Certificates(CertificatesChange) = "certificates" {
        /// The certificates.
        certificates: Vec<AuditNamed>,
    }
    /// Who may use a checkpoint of a fine-tuned model.
    CheckpointPermission(CheckpointPermissionChange) = "checkpoint.permission" {
        /// The permission.
        id: String,
        /// The project that it is for.
        project_id: ProjectId,
        /// The checkpoint.
        fine_tuned_model_checkpoint: String,
    }
    /// Which external key was registered or removed.
    ExternalKey(ExternalKeyChange) = "external_key" {
        /// The key.
        id: ExternalKeyId,
    }
    /// Which external storage was registered or removed.
    ExternalStorage(ExternalStorageChange) = "external_storage" {
        /// The storage.
        id: ExternalStorageId,
    }
    /// What was done to a group.
    Group(GroupChange) = "group" {
        /// The group.
        id: GroupId,
        /// Its name from now on.
        group_name: String,
    }
    /// What became of an invite.
    Invite(InviteChange) = "invite" {
        /// The invite.
        id: InviteId,
        /// The address that it was sent to.
        email: String,
        /// The role that it offers, `owner` or `reader`.
        role: String,
    }
    /// What was done to a list of allowed addresses.
    IpAllowlist(IpAllowlistChange) = "ip_allowlist" {
        /// The list.
        id: String,
        /// Its name.
        name: String,
        /// The addresses that are on it from now on, or were when it was deleted.
        allowed_ips: Vec<String>,
    }
    /// Which lists of allowed addresses were switched on or off.
    IpAllowlistConfig(IpAllowlistConfigChange) = "ip_allowlist.config" {
        /// The lists.
        configs: Vec<AuditNamed>,
    }
    /// How logging in or out went; empty when it went well.
    Login(LoginOutcome) = "login" | "logout" {
        /// Why it failed, in a word.
        error_code: String,
        /// Why it failed.
        error_message: String,
    }
    /// What was changed of the organization.
    Organization(OrganizationChange) = "organization" {
        /// The organization.
        id: String,
        /// Its title from now on.
        title: String,
        /// Its description from now on.
        description: String,
        /// Its name from now on.
        name: String,
        /// Who sees threads: `ANY_ROLE`, `OWNERS` or `NONE`.
        threads_ui_visibility: String,
        /// Who sees the usage dashboard: `ANY_ROLE` or `OWNERS`.
        usage_dashboard_visibility: String,
        /// Which calls are logged: `disabled`, `enabled_per_call`, `enabled_for_all_projects` or
        /// `enabled_for_selected_projects`.
        api_call_logging: String,
        /// The projects whose calls are logged, when those are selected.
        api_call_logging_project_ids: String,
    }
    /// What was done to a project.
    Project(ProjectChange) = "project" {
        /// The project.
        id: ProjectId,
        /// Its name.
        name: String,
        /// Its title, as people see it.
        title: String,
    }
    /// What was changed of a rate limit. A limit that is none was not asked for.
    RateLimit(RateLimitChange) = "rate_limit" {
        /// The rate limit.
        id: RateLimitId,
        /// Requests a minute.
        max_requests_per_1_minute: i64,
        /// Tokens a minute.
        max_tokens_per_1_minute: i64,
        /// Images a minute.
        max_images_per_1_minute: i64,
        /// Megabytes of audio a minute.
        max_audio_megabytes_per_1_minute: i64,
        /// Requests a day.
        max_requests_per_1_day: i64,
        /// Tokens that batches of a day may take in.
        batch_1_day_max_input_tokens: i64,
    }
    /// What was done to a role.
    Role(RoleChange) = "role" {
        /// The role.
        id: RoleId,
        /// Its name from now on.
        role_name: String,
        /// Its description from now on.
        description: String,
        /// What it permits, when it was made.
        permissions: Vec<String>,
        /// What it permits from now on.
        permissions_added: Vec<String>,
        /// What it permits no longer.
        permissions_removed: Vec<String>,
        /// What kind of thing it is for.
        resource_type: String,
        /// Which thing it is for.
        resource_id: String,
    }
    /// Who was given a role, or lost it.
    RoleAssignment(RoleAssignmentChange) = "role.assignment" {
        /// The assignment.
        id: String,
        /// Who: a user or a group.
        principal_id: String,
        /// What they are, `user` or `group`.
        principal_type: String,
        /// In what.
        resource_id: String,
        /// What that is.
        resource_type: String,
    }
    /// What a role may do with a connector of ChatGPT.
    RoleBinding(RoleBindingChange) = "role.binding" {
        /// The connector in its workspace.
        id: String,
        /// The role.
        role_id: RoleId,
        /// What it is bound to.
        resource_id: String,
        /// What that is.
        resource_type: String,
        /// What the role permits there.
        permissions: Vec<String>,
        /// The workspace.
        workspace_id: String,
        /// The connector.
        connector_id: String,
        /// The connector's name.
        connector_name: String,
        /// Whether the connector is enabled for the role.
        enabled: bool,
        /// What it came from.
        source: RoleBindingSource,
    }
    /// That SCIM was switched on or off.
    Scim(ScimChange) = "scim" {
        /// The directory.
        id: String,
    }
    /// What was done to a service account.
    ServiceAccount(ServiceAccountChange) = "service_account" {
        /// The service account.
        id: ServiceAccountId,
        /// Its role from now on, `owner` or `member`; none when that was not asked for.
        role: String,
    }
    /// What was done to a user.
    User(UserChange) = "user" {
        /// The user.
        id: UserId,
        /// Their role from now on, `owner` or `reader`; none when that was not asked for.
        role: String,
    }
    /// What was done to an issuer of workload identities.
    WorkloadIdentityProvider(WorkloadIdentityProviderChange) = "workload_identity_provider" {
        /// The issuer.
        id: WorkloadIdentityProviderId,
        /// Its name, when it was deleted.
        name: String,
    }
    /// What was done to a mapping of workload identities to service accounts.
    WorkloadIdentityMapping(WorkloadIdentityMappingChange) = "workload_identity_provider_mapping" {
        /// The mapping.
        id: String,
        /// The issuer.
        identity_provider_id: WorkloadIdentityProviderId,
        /// The project of the service account.
        project_id: ProjectId,
        /// The service account.
        service_account_id: ServiceAccountId,
    }
}

/// A thing with a name, of which there may be several in one event.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct AuditNamed {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
}

lenient_struct!(AuditNamed);

open_enum! {
    /// What a binding of a role came from.
    pub enum RoleBindingSource {
        /// A connector was published.
        ConnectorPublish = "connector_publish",
        /// The role's connectors were changed.
        RoleConnectorUpdate = "role_connector_update",
        /// The role was deleted.
        RoleDelete = "role_delete",
        /// The role was switched.
        RoleToggle = "role_toggle",
        /// The workspace's permissions were changed.
        WorkspacePermissions = "workspace_permissions",
    }
}

/// The words of an event's type before the last; of two of them, what they are about.
fn family(event_type: &str) -> &str {
    match event_type {
        "role.bound_to_resource" | "role.unbound_from_resource" => "role.binding",
        _ => event_type.rsplit_once('.').map_or("", |(family, _)| family),
    }
}

trait Details: Default + DeserializeOwned {
    /// What is here, and where nothing is, what is there.
    fn or(self, other: Self) -> Self;
}

/// Reads what is told, whether outside or inside of what was asked for. It is walked twice, which
/// is for those who ask for it; `#[serde(flatten)]` would keep a copy of everything.
fn read<T: Details + Lenient>(json: &str) -> Option<T> {
    // Of an array, serde would take what stands in it for the fields.
    if !json.starts_with('{') {
        return None;
    }
    let outside: T = serde_json::from_str(json).ok()?;
    let Inside { data, changes_requested }: Inside<T> = serde_json::from_str(json).ok()?;
    let inside = data.unwrap_or_default().or(changes_requested.unwrap_or_default());
    Some(outside.or(inside))
}

#[derive(Deserialize)]
#[serde(bound = "T: Lenient")]
struct Inside<T> {
    #[serde(default, deserialize_with = "lenient")]
    data: Option<T>,
    #[serde(default, deserialize_with = "lenient")]
    changes_requested: Option<T>,
}
