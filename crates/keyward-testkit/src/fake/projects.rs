//! `/organization/projects`: made, changed and archived, never deleted.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::Parameters;
use super::state::{Project, Shared};

static RESIDENCIES: [&str; 12] = [
    "GLOBAL",
    "US_STORAGE_PROCESSING",
    "EU_STORAGE_PROCESSING",
    "JP_STORAGE",
    "KR_STORAGE",
    "CA_STORAGE",
    "SG_STORAGE",
    "IN_STORAGE",
    "AU_STORAGE",
    "GB_STORAGE",
    "AE_STORAGE",
    "AE_STORAGE_PROCESSING",
];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/projects", get(list).post(create))
        .route("/v1/organization/projects/{project_id}", get(retrieve).post(update))
        .route("/v1/organization/projects/{project_id}/archive", post(archive))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let all = query.flag("include_archived");
    let organization = shared.organization();
    let entries = organization
        .projects
        .iter()
        .map(|project| Entry {
            id: project.id.clone(),
            shown: (all || project.archived_at.is_none()).then(|| shown(project)),
        })
        .collect();
    page::by_id(entries, &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name", "residency?", "external_key_id?"])?;
    let name = fields.required_text("name")?;
    let residency = fields.choice("residency", &RESIDENCIES)?;
    let external_key_id = fields.text("external_key_id")?;
    let mut organization = shared.organization();
    let project = organization.add_project(&name, shared.clock.now());
    project.external_key_id = external_key_id;
    if let Some(residency) = residency {
        project.residency = residency;
    }
    let event = json!({ "id": project.id, "data": { "name": name, "title": name } });
    let id = project.id.clone();
    Ok(Json(shown(project)).noting("project.created", Some(&id), event))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json, ApiError> {
    Ok(Json(shown(shared.organization().project(&id)?)))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name?", "external_key_id?"])?;
    let name = fields.text("name")?;
    let external_key_id = fields.text("external_key_id")?;
    let mut organization = shared.organization();
    organization.active_project(&id)?;
    let project = organization.project_mut(&id)?;
    refuse_default(project)?;
    if let Some(name) = name {
        project.name = name;
    }
    if fields.contains("external_key_id") {
        project.external_key_id = external_key_id;
    }
    let event = json!({ "id": id, "changes_requested": { "title": project.name } });
    Ok(Json(shown(project)).noting("project.updated", Some(&id), event))
}

async fn archive(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Noted, ApiError> {
    let now = shared.clock.now();
    let mut organization = shared.organization();
    organization.active_project(&id)?;
    let project = organization.project_mut(&id)?;
    refuse_default(project)?;
    project.archived_at = Some(now);
    let event = json!({ "id": id });
    Ok(Json(shown(project)).noting("project.archived", Some(&id), event))
}

fn refuse_default(project: &Project) -> Result<(), ApiError> {
    if project.is_default {
        return Err(ApiError::bad_request("The default project cannot be updated or archived."));
    }
    Ok(())
}

fn shown(project: &Project) -> Value {
    json!({
        "object": "organization.project",
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "archived_at": project.archived_at,
        "status": if project.archived_at.is_some() { "archived" } else { "active" },
        "external_key_id": project.external_key_id,
        "residency": project.residency,
    })
}
