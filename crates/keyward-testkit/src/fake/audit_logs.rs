//! `/organization/audit_logs`: what happened, the newest first. The events are `audit_events`'.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::answer::{ApiError, Json};
use super::audit_events::{self, AuditEvent};
use super::page::{self, Entry};
use super::query::{Parameters, refused};
use super::state::{Organization, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/organization/audit_logs", get(list))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let tenant_only = query.flag("tenant_only");
    if tenant_only && !query.all("event_types").into_iter().all(audit_events::is_of_tenant) {
        return Err(refused("event_types", "types of the tenant's alone, with `tenant_only`"));
    }
    let organization = shared.organization();
    let mut events: Vec<_> = organization.audit_events.iter().enumerate().collect();
    events.sort_by_key(|(noted, event)| Reverse((event.at, *noted)));
    let entries = events
        .into_iter()
        .map(|(_, event)| {
            let wanted =
                event.is_of_tenant() == tenant_only && is_wanted(event, &query, &organization);
            Entry { id: event.id().to_owned(), shown: wanted.then(|| event.shown(&organization)) }
        })
        .collect();
    page::by_id(entries, &query)
}

fn is_wanted(event: &AuditEvent, query: &Parameters, organization: &Organization) -> bool {
    let actors = query.all("actor_ids");
    query.in_range("effective_at", event.at)
        && query.admits("event_types", Some(event.kind))
        && query.admits("project_ids", event.project.as_deref())
        && query.admits("resource_ids", event.resource())
        && query.admits("actor_emails", event.actor.email(organization))
        && (actors.is_empty() || event.actor.ids(organization).iter().any(|id| actors.contains(id)))
}
