//! The events of the audit log: their types, what each tells, and samples of them. The list is
//! `audit_logs`'.

use serde_json::{Value, json};

use super::answer::Event;
use super::state::{Organization, Owner};

/// An event that happened.
pub(super) struct AuditEvent {
    id: String,
    pub(super) kind: &'static str,
    pub(super) at: u64,
    pub(super) project: Option<String>,
    pub(super) actor: Actor,
    pub(super) payload: Option<Value>,
}

/// Who made something happen.
pub(super) enum Actor {
    /// The id of a key.
    ApiKey(String),
    /// The id of a person.
    Session(String),
}

impl AuditEvent {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is the tenant's: such events are listed apart.
    pub(super) fn is_of_tenant(&self) -> bool {
        is_of_tenant(self.kind)
    }

    /// The id of what it happened to.
    pub(super) fn resource(&self) -> Option<&str> {
        self.payload.as_ref()?["id"].as_str()
    }

    pub(super) fn shown(&self, organization: &Organization) -> Value {
        let mut shown = json!({
            "id": self.id,
            "type": self.kind,
            "effective_at": self.at,
            "actor": self.actor.shown(organization),
        });
        if let Some(project) = self.project.as_ref().and_then(|id| organization.project(id).ok()) {
            shown["project"] = json!({ "id": project.id, "name": project.name });
        }
        // The field is named as the type is, dots and all.
        if let Some(payload) = &self.payload {
            shown[self.kind] = payload.clone();
        }
        shown
    }
}

impl Actor {
    /// Its ids: of the key, and of the person or account behind it.
    pub(super) fn ids<'a>(&'a self, organization: &'a Organization) -> Vec<&'a str> {
        match self {
            Self::Session(user) => vec![user],
            Self::ApiKey(key) => match owner(organization, key) {
                Some(Owner::ServiceAccount(owner) | Owner::User(owner)) => vec![key, owner],
                None => vec![key],
            },
        }
    }

    pub(super) fn email<'a>(&'a self, organization: &'a Organization) -> Option<&'a str> {
        self.ids(organization).into_iter().find_map(|id| email(organization, id))
    }

    fn shown(&self, organization: &Organization) -> Value {
        let person = |id: &str| json!({ "id": id, "email": email(organization, id) });
        match self {
            Self::Session(user) => json!({
                "type": "session",
                "session": { "user": person(user), "ip_address": "192.0.2.1" },
            }),
            Self::ApiKey(key) => {
                let mut api_key = json!({ "id": key });
                match owner(organization, key) {
                    Some(Owner::ServiceAccount(id)) => {
                        api_key["type"] = "service_account".into();
                        api_key["service_account"] = json!({ "id": id });
                    }
                    Some(Owner::User(id)) => {
                        api_key["type"] = "user".into();
                        api_key["user"] = person(id);
                    }
                    None => {}
                }
                json!({ "type": "api_key", "api_key": api_key })
            }
        }
    }
}

/// Whether events of this type are the tenant's.
pub(super) fn is_of_tenant(kind: &str) -> bool {
    kind.starts_with("tenant.")
        || matches!(kind, "role.bound_to_resource" | "role.unbound_from_resource")
}

impl Organization {
    /// Notes what was done with a key.
    pub(super) fn note(&mut self, event: Event, key: &str, at: u64) {
        let Event { kind, project, payload } = event;
        let actor = Actor::ApiKey(key.to_owned());
        let id = self.new_id("audit_log-");
        self.audit_events.push(AuditEvent { id, kind, at, project, actor, payload: Some(payload) });
    }

    /// Notes what a person did by themselves.
    pub(super) fn note_session(&mut self, kind: &'static str, user: &str, payload: Value, at: u64) {
        let id = self.new_id("audit_log-");
        let (actor, payload) = (Actor::Session(user.to_owned()), Some(payload));
        self.audit_events.push(AuditEvent { id, kind, at, project: None, actor, payload });
    }

    /// Adds events of these types at these moments. Tells their ids.
    pub(super) fn add_samples(
        &mut self,
        samples: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Vec<String> {
        let mut ids = Vec::new();
        for (n, (kind, at)) in samples.into_iter().enumerate() {
            // Every third happens to a project, and every other is done by a key.
            let projects = self.projects.len();
            let project =
                (n % 3 == 0 && projects > 0).then(|| self.projects[n % projects].id.clone());
            let actor = match n % 2 {
                0 => Actor::Session(self.users[n % self.users.len()].id.clone()),
                _ => Actor::ApiKey(self.keys[n % self.keys.len()].id.clone()),
            };
            let id = self.new_id("audit_log-");
            ids.push(id.clone());
            let payload = sample(kind, n);
            self.audit_events.push(AuditEvent { id, kind, at, project, actor, payload });
        }
        ids
    }
}

fn owner<'a>(organization: &'a Organization, key: &str) -> Option<&'a Owner> {
    organization.keys.iter().find(|known| known.id == key).map(|key| &key.owner)
}

fn email<'a>(organization: &'a Organization, user: &str) -> Option<&'a str> {
    // Of one who left too.
    organization.users.iter().find(|known| known.id == user).map(|user| user.email.as_str())
}

/// What an event of a type tells; most tell nothing.
fn sample(kind: &str, n: usize) -> Option<Value> {
    let id = format!("sample_{n}");
    let configs = || json!([{ "id": id, "name": "Office" }]);
    let permissions = || json!(["api.groups.read"]);
    Some(match kind {
        "api_key.created" => json!({ "id": id, "data": { "scopes": ["api.all.read"] } }),
        "api_key.updated" => {
            json!({ "id": id, "changes_requested": { "scopes": ["api.model.request"] } })
        }
        "certificate.created" | "certificate.updated" => json!({ "id": id, "name": "Edge" }),
        "certificate.deleted" => json!({ "id": id, "name": "Edge", "certificate": "PEM" }),
        "certificates.activated" | "certificates.deactivated" => {
            json!({ "certificates": [{ "id": id, "name": "Edge" }] })
        }
        "checkpoint.permission.created" => {
            let data = json!({ "project_id": "proj_sample", "fine_tuned_model_checkpoint": "ft" });
            json!({ "id": id, "data": data })
        }
        "external_key.registered" | "workload_identity_provider.created" => {
            json!({ "id": id, "data": {} })
        }
        "group.created" => json!({ "id": id, "data": { "group_name": "Staff" } }),
        "group.updated" => json!({ "id": id, "changes_requested": { "group_name": "Team" } }),
        "invite.sent" => {
            json!({ "id": id, "data": { "email": "guest@example.com", "role": "reader" } })
        }
        "ip_allowlist.created" | "ip_allowlist.deleted" => {
            json!({ "id": id, "name": "Office", "allowed_ips": ["192.0.2.0/24"] })
        }
        "ip_allowlist.updated" => json!({ "id": id, "allowed_ips": ["198.51.100.0/24"] }),
        "ip_allowlist.config.activated" | "ip_allowlist.config.deactivated" => {
            json!({ "configs": configs() })
        }
        "login.succeeded" | "logout.succeeded" => json!({}),
        "login.failed" | "logout.failed" => {
            json!({ "error_code": "denied", "error_message": "It was denied." })
        }
        "organization.updated" => {
            json!({ "id": id, "changes_requested": { "api_call_logging": "none" } })
        }
        "project.created" => json!({ "id": id, "data": { "name": "shop", "title": "Shop" } }),
        "project.updated" => json!({ "id": id, "changes_requested": { "title": "Store" } }),
        "rate_limit.updated" => {
            json!({ "id": id, "changes_requested": { "max_requests_per_1_minute": 60 } })
        }
        "role.assignment.created" | "role.assignment.deleted" => json!({
            "id": id,
            "principal_id": "user_sample",
            "principal_type": "user",
            "resource_id": "proj_sample",
            "resource_type": "api.project",
        }),
        "role.bound_to_resource" | "role.unbound_from_resource" => json!({
            "id": id,
            "role_id": "role_sample",
            "resource_id": id,
            "resource_type": "workspace_connector",
            "permissions": permissions(),
            "workspace_id": "ws_sample",
            "connector_id": "connector_sample",
            "connector_name": "Files",
            "enabled": true,
            "source": "role_toggle",
        }),
        "role.created" => json!({
            "id": id,
            "role_name": "Auditor",
            "permissions": permissions(),
            "resource_type": "api.organization",
            "resource_id": "org_sample",
        }),
        "role.updated" => {
            let changes = json!({ "role_name": "Reader", "permissions_added": permissions() });
            json!({ "id": id, "changes_requested": changes })
        }
        "service_account.created" | "user.added" => {
            json!({ "id": id, "data": { "role": "member" } })
        }
        "service_account.updated" | "user.updated" => {
            json!({ "id": id, "changes_requested": { "role": "owner" } })
        }
        "workload_identity_provider.deleted" => json!({ "id": id, "name": "Cluster" }),
        "workload_identity_provider.updated" => json!({ "id": id, "changes_requested": {} }),
        "workload_identity_provider_mapping.created" => {
            json!({ "id": id, "identity_provider_id": "wip_sample", "data": {} })
        }
        "workload_identity_provider_mapping.updated" => {
            json!({ "id": id, "identity_provider_id": "wip_sample", "changes_requested": {} })
        }
        "workload_identity_provider_mapping.deleted" => json!({
            "id": id,
            "identity_provider_id": "wip_sample",
            "project_id": "proj_sample",
            "service_account_id": "svc_acct_sample",
        }),
        // Those that only name what it happened to.
        "api_key.deleted"
        | "checkpoint.permission.deleted"
        | "external_key.removed"
        | "external_storage.registered"
        | "external_storage.removed"
        | "group.deleted"
        | "invite.accepted"
        | "invite.deleted"
        | "project.archived"
        | "project.deleted"
        | "rate_limit.deleted"
        | "role.deleted"
        | "scim.disabled"
        | "scim.enabled"
        | "service_account.deleted"
        | "user.deleted" => json!({ "id": id }),
        _ => return None,
    })
}

/// Every type: the organization's, then the tenant's.
pub(super) static TYPES: [&str; 149] = [
    "api_key.created",
    "api_key.deleted",
    "api_key.updated",
    "certificate.created",
    "certificate.deleted",
    "certificate.updated",
    "certificates.activated",
    "certificates.deactivated",
    "checkpoint.permission.created",
    "checkpoint.permission.deleted",
    "external_key.registered",
    "external_key.removed",
    "external_storage.registered",
    "external_storage.removed",
    "group.created",
    "group.deleted",
    "group.updated",
    "invite.accepted",
    "invite.deleted",
    "invite.sent",
    "ip_allowlist.config.activated",
    "ip_allowlist.config.deactivated",
    "ip_allowlist.created",
    "ip_allowlist.deleted",
    "ip_allowlist.updated",
    "login.failed",
    "login.succeeded",
    "logout.failed",
    "logout.succeeded",
    "organization.updated",
    "project.archived",
    "project.created",
    "project.deleted",
    "project.updated",
    "rate_limit.deleted",
    "rate_limit.updated",
    "resource.deleted",
    "role.assignment.created",
    "role.assignment.deleted",
    "role.bound_to_resource",
    "role.created",
    "role.deleted",
    "role.unbound_from_resource",
    "role.updated",
    "scim.disabled",
    "scim.enabled",
    "service_account.created",
    "service_account.deleted",
    "service_account.updated",
    "tunnel.created",
    "tunnel.deleted",
    "tunnel.updated",
    "user.added",
    "user.deleted",
    "user.updated",
    "workload_identity_provider.created",
    "workload_identity_provider.deleted",
    "workload_identity_provider.updated",
    "workload_identity_provider_mapping.created",
    "workload_identity_provider_mapping.deleted",
    "workload_identity_provider_mapping.updated",
    "tenant.admin_api_key.created",
    "tenant.admin_api_key.deleted",
    "tenant.admin_api_key.updated",
    "tenant.ads_account.onboarding.redemption",
    "tenant.api_organization_invite.deleted",
    "tenant.api_organization_invite.upserted",
    "tenant.billing.alerts.updated",
    "tenant.billing.info.updated",
    "tenant.billing.overage_limit.updated",
    "tenant.chatgpt_access_token.revoked",
    "tenant.chatgpt_workspace_invite.upserted",
    "tenant.custom_role.created",
    "tenant.custom_role.deleted",
    "tenant.custom_role.updated",
    "tenant.domains.migrated",
    "tenant.group.created",
    "tenant.group.deleted",
    "tenant.group.member.added",
    "tenant.group.member.removed",
    "tenant.group.updated",
    "tenant.membership.accepted",
    "tenant.membership.declined",
    "tenant.membership.revoked",
    "tenant.metadata.updated",
    "tenant.microsoft_entra_mapping.deleted",
    "tenant.microsoft_entra_mapping.upserted",
    "tenant.migration.completed",
    "tenant.migration_rollout.status.updated",
    "tenant.migration_rollout.tier.updated",
    "tenant.policy.attached",
    "tenant.policy.created",
    "tenant.policy.deleted",
    "tenant.policy.detached",
    "tenant.policy.updated",
    "tenant.principal_authentication_policy.resolved",
    "tenant.product_access_policy.updated",
    "tenant.project_api_key.created",
    "tenant.resource_access.deleted",
    "tenant.resource_access.updated",
    "tenant.resource_role_assignment.created",
    "tenant.resource_role_assignment.deleted",
    "tenant.resource_share_grant.accepted",
    "tenant.resource_share_grant.created",
    "tenant.resource_share_grant.declined",
    "tenant.resource_share_grant.deleted",
    "tenant.resource_share_grant.revoked",
    "tenant.resource_share_grant.updated",
    "tenant.role.metadata.updated",
    "tenant.role_assignment.created",
    "tenant.role_assignment.deleted",
    "tenant.scim.deletion.requested",
    "tenant.scim.directory.created",
    "tenant.scim.setup.started",
    "tenant.service_account.deleted",
    "tenant.service_account.token.revoked",
    "tenant.service_account.updated",
    "tenant.session_policy.created",
    "tenant.session_policy.deleted",
    "tenant.session_policy.updated",
    "tenant.session_revocation.started",
    "tenant.sso.migrated",
    "tenant.sso_connection.created",
    "tenant.sso_connection.deleted",
    "tenant.sso_connection.setup.started",
    "tenant.sso_connection.updated",
    "tenant.third_party_app_policy.updated",
    "tenant.trusted_access.application.submitted",
    "tenant.trusted_access.business_verification.started",
    "tenant.usage_limit.group.updated",
    "tenant.usage_limit.increase_request.resolved",
    "tenant.usage_limit.increase_request.updated",
    "tenant.usage_limit.user.updated",
    "tenant.usage_limit.workspace.updated",
    "tenant.user.added",
    "tenant.user.invited",
    "tenant.user.looked_up",
    "tenant.user.removed",
    "tenant.user.updated",
    "tenant.workload_identity.access_token.issued",
    "tenant.workload_identity.binding.created",
    "tenant.workload_identity.mapping.archived",
    "tenant.workload_identity.mapping.created",
    "tenant.workload_identity.mapping.updated",
    "tenant.workload_identity.principal.provisioned",
    "tenant.workload_identity.provider.archived",
    "tenant.workload_identity.provider.created",
    "tenant.workload_identity.provider.updated",
    "tenant.workspace_invite_email_settings.updated",
];
