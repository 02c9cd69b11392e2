//! Audit logs: what was done in the organization, when, and by whom.

use std::ops::Range;

use keyward_core::Timestamp;

use crate::{Client, Pages};

pub use self::cursor::AuditCursor;
pub use self::details::{
    ApiKeyChange, AuditDetails, AuditNamed, CertificateChange, CertificatesChange,
    CheckpointPermissionChange, ExternalKeyChange, ExternalStorageChange, GroupChange,
    InviteChange, IpAllowlistChange, IpAllowlistConfigChange, LoginOutcome, OrganizationChange,
    ProjectChange, RateLimitChange, RoleAssignmentChange, RoleBindingChange, RoleBindingSource,
    RoleChange, ScimChange, ServiceAccountChange, UserChange, WorkloadIdentityMappingChange,
    WorkloadIdentityProviderChange,
};
pub use self::event::{
    AuditActor, AuditActorKey, AuditActorKind, AuditActorServiceAccount, AuditActorSession,
    AuditActorUser, AuditEvent, AuditPayload, AuditProject,
};
pub use self::export::AuditExport;
pub use self::query::AuditLogQuery;

mod cursor;
mod details;
mod event;
mod export;
mod query;
#[cfg(test)]
mod tests;
mod windows;
#[cfg(test)]
mod windows_tests;

/// The organization's audit logs. It comes from [`Client::audit_logs`].
///
/// An owner must have switched them on first. The tenant's events are listed apart from the
/// organization's: see [`AuditLogQuery::tenant_only`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{AuditEventType, AuditLogQuery};
///
/// let query = AuditLogQuery::new().of_type(AuditEventType::API_KEY_CREATED);
/// let mut events = client.audit_logs().list(&query);
/// while let Some(event) = events.next().await {
///     if let Some(change) = event?.api_key_change() {
///         println!("{:?} may do {:?}", change.id, change.scopes);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuditLogs {
    client: Client,
}

impl AuditLogs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists events, the newest first, with one cursor.
    ///
    /// It is what fits to look at the last ones. All of a day or a year come sooner by
    /// [`export`](Self::export).
    ///
    /// The stream's errors are [`ErrorKind::Permission`](crate::ErrorKind::Permission) where the
    /// key may not read audit logs, and those of any listing: see [`Pages`]. It comes in pages of
    /// 100.
    ///
    /// Needs the scope `api.audit_logs.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/audit_logs/methods/list)
    pub fn list(&self, query: &AuditLogQuery) -> Pages<AuditEvent> {
        Pages::new(self.client.clone(), query.call())
    }

    /// Lists everything in a span of time, from its start to before its end, the oldest event
    /// first, in many windows of time at once.
    ///
    /// The query says which events; times and `before` do not belong into it, and are an error of
    /// the kind [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest), the only thing
    /// that then comes. Its other errors are those of [`list`](Self::list), and
    /// [`ErrorKind::Drift`](crate::ErrorKind::Drift) where the server pays no heed to the times that
    /// it is asked for.
    ///
    /// Needs the scope `api.audit_logs.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/audit_logs/methods/list)
    ///
    /// ```
    /// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
    /// use keyward_admin::{AuditLogQuery, Timestamp};
    ///
    /// let at = Timestamp::from_unix_seconds;
    /// let day = at(1_790_000_000)..at(1_790_086_400);
    /// let mut export = client.audit_logs().export(&AuditLogQuery::new(), day.clone());
    /// while let Some(event) = export.next().await {
    ///     println!("{}", event?.id);
    /// }
    /// let cursor = export.cursor(); // keep it, and go on from it tomorrow:
    /// let next = client.audit_logs().export(&AuditLogQuery::new(), day.start..at(1_790_172_800));
    /// let events = next.resume(&cursor).all().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self, query: &AuditLogQuery, span: Range<Timestamp>) -> AuditExport {
        let refused = export::refusal(query.has_times());
        AuditExport::new(self.client.clone(), query.call(), span, refused)
    }
}
