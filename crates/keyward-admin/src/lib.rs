//! The primary type in this crate is [`Client`]: the OpenAI Admin API, typed, seen with an admin
//! key.
//!
//! It covers the 143 operations that were there in 2026-11: the whole life of a key
//! ([admin keys](AdminKeys), [projects](Projects), [service accounts](ServiceAccounts) and their
//! keys, [project API keys](ProjectApiKeys)); who may do what ([users](Users), [invites](Invites),
//! [groups](Groups), [roles](Roles) and [their assignments](RoleAssignments)); what may be used and
//! spent ([rate limits](RateLimits), [spend limits](SpendLimitHandle), [alerts](SpendAlerts),
//! tools, models, service tiers); what was used and done ([usage](Usage), [costs](Costs),
//! [audit logs](AuditLogs)); and what the organization has elsewhere
//! ([certificates](Certificates), [external keys](ExternalKeys), [storage](ExternalStorages),
//! [workload identity](WorkloadIdentityProviders)). [`OPERATIONS`] is the table of what it can
//! call.
//!
//! # What it does for you
//!
//! - **A key is never made twice.** A call that creates something is sent once. When its outcome
//!   is not known (a 5xx, a time-out, a lost answer) the error is
//!   [`ErrorKind::OutcomeUnknown`], and `reconcile(name)` finds what was made.
//! - **A minted key is never lost.** Its value is kept whatever its format and whatever else
//!   drifted in the answer: see [`MintedKey`].
//! - **Nothing leaks.** No error, no `Debug` and no log line has a key or a body. What a server says
//!   in an error is masked where it looks like a key, and left out where it repeats a piece of the
//!   one that was sent.
//! - **Drift does not break it.** Unknown words, unknown fields, missing fields and fields of
//!   another type are taken as they come; only an `id`, and JSON that is JSON, is demanded.
//! - **"Deleted" and "none" are never guesses.** A deletion is believed when the server says so, and
//!   `reconcile` is an error where it cannot tell.
//! - **A list is whole or an error.** See [`Pages`].
//! - **Much is listed at once** where there is much: an audit log in windows of time
//!   ([`AuditExport`]), the same of many projects ([`FanOut`]).
//! - **It keeps to the server's rates.** All calls of an operation share one gate, which learns how
//!   fast the server lets it go. See [`Pacing`].
//! - **"All" is said by its name.** See [`Scopes`].
//! - **Nothing is without end.** Answers are bounded in bytes, time and depth, and listings in pages
//!   and bytes too; what is packed is not unpacked.
//! - **Its progress is seen.** [`Pacing::observer`] is told of each wait and of each page.
//! - **What OpenAI adds tomorrow can be called today,** with the same care: see [`Client::raw`].
//!
//! # Errors
//!
//! Each tells what happened, in which operation, and the fix, on one line. Whoever acts on them asks:
//!
//! | question | answer |
//! |---|---|
//! | must another key be loaded? | [`Error::is_unauthorized`]; a 401 alone does not say so |
//! | must somebody change what the key may do? | [`Error::is_forbidden`], and which scopes: [`Error::missing_scopes`] |
//! | may it have been done all the same? | [`Error::is_outcome_unknown`] |
//! | can it have reached the server? | not if [`Error::nothing_was_sent`] |
//! | is it worth trying later? | [`Error::is_retryable`], and when: [`Error::retry_after`] |
//! | is a budget used up, a name taken, an answer of another shape? | [`Error::kind`] |
//! | where is the answer not as documented? | [`Error::drift_path`], [`Error::drift_offset`] |
//!
//! # What the key must be allowed
//!
//! An admin key may be allowed less than all. OpenAI publishes no complete list of what each call
//! needs: [`Error::missing_scopes`] tells it, where the server does. Each call says what is known of
//! it as of 2026-11. Where it *needs a scope*, that is what the server was seen to ask for:
//!
//! | calls | scopes |
//! |---|---|
//! | admin keys, invites, projects, users | `api.management.read`, `api.management.write` |
//! | audit logs | `api.audit_logs.read` |
//! | costs, usage | `api.usage.read` |
//!
//! Where *a role allows it*, that is what [roles](Roles) call it in OpenAI's examples and in its
//! [guide to permissions](https://developers.openai.com/api/docs/guides/rbac); whether a key with
//! the scopes of the first line may do it too is not published:
//!
//! | calls | in a role |
//! |---|---|
//! | certificates | `api.mtls.read`, `api.mtls.write` |
//! | external keys | the area "External Keys" |
//! | groups | `api.groups.read`, `api.groups.write` |
//! | project API keys | `api.organization.projects.api_keys.read` and `.write` |
//! | project users, rate limits, service accounts | the area "Project Administration" |
//! | roles and their assignments | the area "Roles" |
//!
//! Of all others nothing is published.
//!
//! # Features
//!
//! - `wire`: [`ClientBuilder::inject_late`](https://docs.rs/keyward-admin/latest/keyward_admin/struct.ClientBuilder.html#method.inject_late)
//!   keeps the admin key, and the keys that are made, out of the HTTP stack. It brings `keyward`.
//!   Without it the stack's buffers hold copies of both, which nobody wipes.
//!
//! It is not on by default, and nothing changes before it is asked for.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use keyward_core::{
    AdminKey, AdmitContext, Admitted, ApiKey, KeyFingerprint, KeyKind, KeyPolicy, Refusal,
    Timestamp,
};

pub use crate::client::{Client, ClientBuilder};
pub use crate::error::{Error, ErrorKind};
pub use crate::fan_out::{FanOut, ProjectError};
pub use crate::ids::{
    AdminKeyId, ApiKeyId, AuditEventId, CertificateId, ExternalKeyId, ExternalStorageId,
    FederationRuleId, GroupId, InviteId, ProjectId, RateLimitId, RoleId, ServiceAccountId,
    SpendAlertId, UserId, VectorStoreId, WorkloadIdentityProviderId,
};
pub use crate::mint::{KeyMetadata, MintedKey};
pub use crate::money::{Amount, Cents, Decimal, InvalidDecimal};
pub use crate::operations::{Effect, OPERATIONS, Operation};
pub use crate::pacing::{Event, Pacing, Why};
pub use crate::page::{Page, Pages};
pub use crate::raw::{Method, RawAnswer, RawCall, RawItem};
pub use crate::resources::admin_keys::{AdminApiKey, AdminKeyHandle, AdminKeys, NewAdminKey};
pub use crate::resources::audit_event_types::AuditEventType;
pub use crate::resources::audit_logs::{
    ApiKeyChange, AuditActor, AuditActorKey, AuditActorKind, AuditActorServiceAccount,
    AuditActorSession, AuditActorUser, AuditCursor, AuditDetails, AuditEvent, AuditExport,
    AuditLogQuery, AuditLogs, AuditNamed, AuditPayload, AuditProject, CertificateChange,
    CertificatesChange, CheckpointPermissionChange, ExternalKeyChange, ExternalStorageChange,
    GroupChange, InviteChange, IpAllowlistChange, IpAllowlistConfigChange, LoginOutcome,
    OrganizationChange, ProjectChange, RateLimitChange, RoleAssignmentChange, RoleBindingChange,
    RoleBindingSource, RoleChange, ScimChange, ServiceAccountChange, UserChange,
    WorkloadIdentityMappingChange, WorkloadIdentityProviderChange,
};
pub use crate::resources::certificates::{
    Certificate, CertificateDetails, CertificateHandle, Certificates, NewCertificate,
    ProjectCertificates,
};
pub use crate::resources::costs::{CostBucket, CostGroup, CostQuery, CostResult, Costs};
pub use crate::resources::data_retention::{DataRetention, DataRetentionHandle, DataRetentionKind};
pub use crate::resources::external_keys::{
    AwsKey, AzureKey, Cloud, ExternalKey, ExternalKeyHandle, ExternalKeyPurpose,
    ExternalKeyValidation, ExternalKeys, GcpKey, NewExternalKey, OciKey,
};
pub use crate::resources::external_storage::{
    AwsBucket, AzureContainer, ExternalStorage, ExternalStorageHandle, ExternalStoragePlace,
    ExternalStorageStatus, ExternalStorages, GcpBucket, NewExternalStorage, OciBucket,
};
pub use crate::resources::federation_rules::{
    AttributeValue, FederationPermissions, FederationPermissionsKind, FederationRule,
    FederationRuleHandle, FederationRuleUpdate, FederationRules, NewFederationRule,
};
pub use crate::resources::groups::{
    Group, GroupHandle, GroupType, GroupUser, GroupUserType, Groups,
};
pub use crate::resources::hosted_tools::{
    HostedToolPermission, HostedToolPermissions, HostedToolPermissionsHandle, HostedToolUpdate,
};
pub use crate::resources::invites::{
    Invite, InviteHandle, InviteProject, InviteStatus, Invites, NewInvite,
};
pub use crate::resources::model_permissions::{
    ModelPermissionMode, ModelPermissionUpdate, ModelPermissions, ModelPermissionsHandle,
};
pub use crate::resources::project_groups::{ProjectGroup, ProjectGroupHandle, ProjectGroups};
pub use crate::resources::project_keys::{
    KeyOwner, KeyOwnerKind, KeyOwnerServiceAccount, KeyOwnerUser, KeyUpdate, OwnerProjectAccess,
    ProjectApiKey, ProjectApiKeyHandle, ProjectApiKeys,
};
pub use crate::resources::project_users::{
    ProjectUser, ProjectUserHandle, ProjectUserRole, ProjectUsers,
};
pub use crate::resources::projects::{
    NewProject, Project, ProjectHandle, ProjectStatus, ProjectUpdate, Projects,
};
pub use crate::resources::rate_limits::{RateLimit, RateLimitUpdate, RateLimits};
pub use crate::resources::role_assignments::{AssignedRole, AssignmentSource, RoleAssignments};
pub use crate::resources::roles::{NewRole, Role, RoleHandle, RoleResource, RoleUpdate, Roles};
pub use crate::resources::service_accounts::{
    CreatedServiceAccount, NewServiceAccount, NewServiceAccountKey, ServiceAccount,
    ServiceAccountHandle, ServiceAccountRole, ServiceAccountUpdate, ServiceAccounts,
};
pub use crate::resources::service_tiers::{
    DefaultServiceTier, EnabledServiceTiers, ServiceTier, ServiceTierSettings,
    ServiceTierSettingsHandle, ServiceTierUpdate,
};
pub use crate::resources::spend_alerts::{
    NewSpendAlert, SpendAlert, SpendAlertChannel, SpendAlertChannelKind, SpendAlertHandle,
    SpendAlerts, SpendInterval,
};
pub use crate::resources::spend_limits::{
    SpendEnforcement, SpendEnforcementStatus, SpendLimit, SpendLimitHandle,
};
pub use crate::resources::usage::{
    BucketWidth, CompletionsUsageGroup, DecisionsUsageGroup, FileSearchUsageGroup, ImageSize,
    ImageSource, ImagesUsageGroup, ProjectUsageGroup, Usage, UsageGroup, UsageKind, UsageQuery,
    WebSearchContextLevel, WebSearchUsageGroup,
};
pub use crate::resources::usage_results::{
    AudioSpeechesUsage, AudioTranscriptionsUsage, CodeInterpreterUsage, CompletionsUsage,
    DecisionsUsage, EmbeddingsUsage, FileSearchUsage, ImagesUsage, ModerationsUsage,
    UsageApiSource, UsageBucket, VectorStoresUsage, WebSearchUsage,
};
pub use crate::resources::users::{
    User, UserAccount, UserHandle, UserProject, UserRole, UserUpdate, Users,
};
pub use crate::resources::workload_identity::{
    AttributeTransformation, JwkSet, NewWorkloadIdentityProvider, TokenVerification,
    TokenVerificationKind, WorkloadIdentityProvider, WorkloadIdentityProviderHandle,
    WorkloadIdentityProviderKind, WorkloadIdentityProviderUpdate, WorkloadIdentityProviders,
};
pub use crate::scopes::{Scope, ScopeList, Scopes};

mod body;
mod client;
mod decode;
mod error;
mod fan_out;
mod gate;
mod headers;
mod ids;
mod late;
mod mint;
#[cfg(doctest)]
mod misuse;
mod money;
mod operations;
mod pacing;
mod page;
mod raw;
mod resources;
mod said;
mod scopes;
mod transport;
mod wire;

/// The README's snippet is held to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
