//! Audit logs: what was done in the organization, when, and by whom.

use crate::{Client, Pages};

pub use self::event::{
    ApiKeyChange, AuditActor, AuditActorKey, AuditActorKind, AuditActorServiceAccount,
    AuditActorSession, AuditActorUser, AuditEvent, AuditPayload, AuditProject,
    ServiceAccountChange,
};
pub use self::query::AuditLogQuery;

mod event;
mod query;
#[cfg(test)]
mod tests;

/// The organization's audit logs. It comes from [`Client::audit_logs`].
///
/// An owner must have switched them on first.
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

    /// Lists events.
    ///
    /// [OpenAI's reference](https://platform.openai.com/docs/api-reference/audit-logs/list)
    pub fn list(&self, query: &AuditLogQuery) -> Pages<AuditEvent> {
        Pages::new(self.client.clone(), query.call())
    }
}
