//! `/organization/projects/{project_id}/groups`: the groups that have access to a project.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json};
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};
use super::{groups, page, roles};

const WHAT: &str = "project group";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let groups = "/v1/organization/projects/{project_id}/groups";
    Router::new()
        .route(groups, get(list).post(add))
        .route(&format!("{groups}/{{group_id}}"), get(retrieve).delete(remove))
}

/// The access of a group to a project. Its id is the group's.
pub(super) struct ProjectGroup {
    pub(super) group: String,
    created_at: u64,
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let project = organization.active_project(&ids["project_id"])?;
    let entries = project.groups.entries(|_, group| Some(shown(&project.id, group, &organization)));
    page::by_next(entries, &query)
}

async fn add(State(shared): State<Arc<Shared>>, ids: Ids, body: Bytes) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["group_id", "role"])?;
    let group = fields.required_text("group_id")?;
    let role = fields.required_text("role")?;
    let project = &ids["project_id"];
    let mut organization = shared.organization();
    organization.active_project(project)?;
    organization.groups.get(groups::WHAT, &group)?;
    let role = roles::find(&organization, Some(project), &role)?.id;
    let access = &mut organization.active_project_mut(project)?.groups;
    if access.get(WHAT, &group).is_err() {
        let created_at = shared.clock.now();
        access.add(group.clone(), ProjectGroup { group: group.clone(), created_at });
    }
    organization.estate_mut(Some(project))?.assign(&group, &role);
    let access = organization.active_project(project)?.groups.get(WHAT, &group)?;
    Ok(Json(shown(project, access, &organization)))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let id = &ids["group_id"];
    let project = organization.active_project(&ids["project_id"])?;
    let group = project.groups.get(WHAT, id)?;
    // No group here is a tenant's.
    if query.choice("group_type") != "group" {
        return Err(ApiError::not_found(WHAT, id));
    }
    Ok(Json(shown(&project.id, group, &organization)))
}

async fn remove(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let id = &ids["group_id"];
    let mut organization = shared.organization();
    let project = organization.active_project_mut(&ids["project_id"])?;
    project.groups.delete(WHAT, id)?;
    project.estate.assignments.retain(|assignment| assignment.principal != id);
    // Without an id.
    Ok(Json(json!({ "object": "project.group.deleted", "deleted": true })))
}

fn shown(project: &str, group: &ProjectGroup, organization: &Organization) -> Value {
    let name = organization.groups.get(groups::WHAT, &group.group).map(|group| &group.name);
    json!({
        "object": "project.group",
        "project_id": project,
        "group_id": group.group,
        "group_name": name.map_or("", String::as_str),
        "group_type": "group",
        "created_at": group.created_at,
    })
}
