//! `/organization/projects`: made, changed and archived, never deleted.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json};
use super::page::{self, Entry, Limits, Parameters};
use super::state::{Project, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/projects", get(list).post(create))
        .route("/v1/organization/projects/{project_id}", get(retrieve).post(update))
        .route("/v1/organization/projects/{project_id}/archive", post(archive))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    query: Query<Vec<(String, String)>>,
) -> Result<Json, ApiError> {
    let query = Parameters::new(query);
    let all = query.choice("include_archived", &["false", "true"])? == "true";
    let organization = shared.organization();
    let entries = organization
        .projects
        .iter()
        .map(|project| Entry {
            id: project.id.clone(),
            shown: (all || project.archived_at.is_none()).then(|| shown(project)),
        })
        .collect();
    page::by_id(entries, &query, Limits::usual(shared.options.page_size_limit))
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["name", "residency", "external_key_id"])?;
    let name = fields.required_text("name")?;
    let residency = fields.text("residency")?;
    let external_key_id = fields.text("external_key_id")?;
    let mut organization = shared.organization();
    let project = organization.add_project(&name, shared.clock.now());
    project.external_key_id = external_key_id;
    if let Some(residency) = residency {
        project.residency = residency;
    }
    Ok(Json(shown(project)))
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
) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["name", "external_key_id"])?;
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
    Ok(Json(shown(project)))
}

async fn archive(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json, ApiError> {
    let now = shared.clock.now();
    let mut organization = shared.organization();
    organization.active_project(&id)?;
    let project = organization.project_mut(&id)?;
    refuse_default(project)?;
    project.archived_at = Some(now);
    Ok(Json(shown(project)))
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
