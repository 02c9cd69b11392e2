//! [`AuditLogQuery`]: which events are asked for.

use std::fmt;

use keyward_core::Timestamp;

use crate::resources::PAGE;
use crate::transport::Call;
use crate::{AuditEventId, AuditEventType, ProjectId, operations};

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `list`"]
pub struct AuditLogQuery {
    filters: Vec<(&'static str, String)>,
}

impl AuditLogQuery {
    /// All that are not the tenant's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events from this moment on.
    pub fn since(self, moment: Timestamp) -> Self {
        self.filter("effective_at[gte]", moment.as_unix_seconds())
    }

    /// Events after this moment.
    pub fn after(self, moment: Timestamp) -> Self {
        self.filter("effective_at[gt]", moment.as_unix_seconds())
    }

    /// Events before this moment.
    pub fn until(self, moment: Timestamp) -> Self {
        self.filter("effective_at[lt]", moment.as_unix_seconds())
    }

    /// Events up to this moment.
    pub fn up_to(self, moment: Timestamp) -> Self {
        self.filter("effective_at[lte]", moment.as_unix_seconds())
    }

    /// Events in this project, and in others named so.
    pub fn of_project(self, project: impl Into<ProjectId>) -> Self {
        self.filter("project_ids[]", project.into())
    }

    /// Events of this type, and of others named so.
    pub fn of_type(self, event_type: impl Into<AuditEventType>) -> Self {
        self.filter("event_types[]", event_type.into())
    }

    /// What this user, service account or key (by its tracking id) did, and others named so.
    pub fn by_actor(self, id: impl fmt::Display) -> Self {
        self.filter("actor_ids[]", id)
    }

    /// What the user of this address did, and others named so.
    pub fn by_email(self, email: &str) -> Self {
        self.filter("actor_emails[]", email)
    }

    /// What was done to this, whatever it is, and to others named so.
    pub fn on_resource(self, id: impl fmt::Display) -> Self {
        self.filter("resource_ids[]", id)
    }

    /// The tenant's events alone, such as `role.bound_to_resource`. Types named besides must be
    /// the tenant's too.
    pub fn tenant_only(self) -> Self {
        self.filter("tenant_only", true)
    }

    /// Events before this one, in the server's order.
    pub fn before(self, id: impl Into<AuditEventId>) -> Self {
        self.filter("before", id.into())
    }

    fn filter(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.filters.push((name, value.to_string()));
        self
    }

    pub(super) fn has_times(&self) -> bool {
        let is_time = |name: &str| name == "before" || name.starts_with("effective_at");
        self.filters.iter().any(|(name, _)| is_time(name))
    }

    pub(super) fn call(&self) -> Call {
        let call = Call::new(operations::AUDIT_LOGS_LIST, []).query("limit", PAGE);
        self.filters.iter().fold(call, |call, (name, value)| call.query(name, value))
    }
}
