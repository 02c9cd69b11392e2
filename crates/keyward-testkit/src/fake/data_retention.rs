//! `…/data_retention`, of the organization and of a project: what OpenAI keeps of the calls.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json};
use super::query::Ids;
use super::state::{Organization, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    ["/v1/organization", "/v1/organization/projects/{project_id}"].into_iter().fold(
        Router::new(),
        |router, scope| {
            router.route(&format!("{scope}/data_retention"), get(retrieve).post(update))
        },
    )
}

/// The types; an organization has the last four alone.
static TYPES: [&str; 6] = [
    "organization_default",
    "none",
    "zero_data_retention",
    "modified_abuse_monitoring",
    "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
];

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    shown(&shared.organization(), &ids).map(Json)
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    // It goes in as `retention_type` and comes out as `type`.
    let fields = Fields::parse(&body, &["retention_type"])?;
    let types = if ids.project().is_some() { &TYPES[..] } else { &TYPES[2..] };
    let retention = fields.required_choice("retention_type", types)?;
    let mut organization = shared.organization();
    organization.estate_mut(ids.project())?.retention = Some(retention);
    shown(&organization, &ids).map(Json)
}

fn shown(organization: &Organization, ids: &Ids) -> Result<Value, ApiError> {
    let (object, default) = match ids.project() {
        Some(_) => ("project.data_retention", "organization_default"),
        None => ("organization.data_retention", "modified_abuse_monitoring"),
    };
    let retention = &organization.estate(ids.project())?.retention;
    Ok(json!({ "object": object, "type": retention.as_deref().unwrap_or(default) }))
}
