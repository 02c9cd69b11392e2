//! `/organization/projects/{project_id}/users`: the people who have access to a project.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::state::{Shared, User};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let users = "/v1/organization/projects/{project_id}/users";
    Router::new()
        .route(users, get(list).post(add))
        .route(&format!("{users}/{{user_id}}"), get(retrieve).post(modify).delete(remove))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let project = &ids["project_id"];
    organization.active_project(project)?;
    // All people of the organization, so that a cursor to one who left still works.
    let entries = organization
        .users
        .iter()
        .map(|user| Entry { id: user.id.clone(), shown: shown(user, project).ok() })
        .collect();
    page::by_id(entries, &query)
}

async fn add(State(shared): State<Arc<Shared>>, ids: Ids, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["user_id?", "email?", "role"])?;
    let (id, email) = (fields.text("user_id")?, fields.text("email")?);
    let role = fields.required_text("role")?;
    let project = &ids["project_id"];
    let mut organization = shared.organization();
    organization.active_project(project)?;
    let id = match (id, email) {
        (Some(id), None) => id,
        (None, Some(email)) => organization
            .users
            .iter()
            .find(|user| user.email == email && !user.deleted)
            .map(|user| user.id.clone())
            .ok_or_else(|| ApiError::not_found("user", &email))?,
        _ => {
            let message = "Exactly one of 'user_id' and 'email' must be given.";
            return Err(ApiError::bad_request(message));
        }
    };
    let user = organization.user_mut(&id)?;
    if user.membership(project).is_some() {
        let message = "The user is in the project already.";
        return Err(ApiError::bad_request(message).code("user_already_in_project"));
    }
    user.join(project, &role, shared.clock.now());
    let event = json!({ "id": id, "data": { "role": role } });
    Ok(Json(shown(user, project)?).noting("user.added", Some(project), event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let project = organization.active_project(&ids["project_id"])?;
    Ok(Json(shown(organization.user(&ids["user_id"])?, &project.id)?))
}

async fn modify(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let role = Fields::parse(&body, &["role?"])?.text("role")?;
    let (project, id) = (&ids["project_id"], &ids["user_id"]);
    let mut organization = shared.organization();
    organization.active_project(project)?;
    let user = organization.user_mut(id)?;
    shown(user, project)?;
    if let Some(role) = &role {
        user.join(project, role, 0);
    }
    let event = json!({ "id": id, "changes_requested": { "role": role } });
    Ok(Json(shown(user, project)?).noting("user.updated", Some(project), event))
}

async fn remove(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let (project, id) = (&ids["project_id"], &ids["user_id"]);
    let mut organization = shared.organization();
    organization.active_project(project)?;
    let user = organization.user_mut(id)?;
    shown(user, project)?;
    user.leave(project);
    let answer = json!({
        "object": "organization.project.user.deleted",
        "id": id,
        "deleted": true,
    });
    Ok(Json(answer).noting("user.deleted", Some(project), json!({ "id": id })))
}

/// The person as a member of the project, if they are one.
fn shown(user: &User, project: &str) -> Result<Value, ApiError> {
    let membership =
        user.membership(project).ok_or_else(|| ApiError::not_found("project user", &user.id))?;
    Ok(json!({
        "object": "organization.project.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": membership.role,
        "added_at": membership.added_at,
    }))
}
