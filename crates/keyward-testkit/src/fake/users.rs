//! `/organization/users`: the people. Their access to projects is in `project_users`, their roles
//! in `role_assignments`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::roles;
use super::state::{Organization, Owner, Shared, User};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/users", get(list))
        .route("/v1/organization/users/{user_id}", get(retrieve).post(modify).delete(delete))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let entries = organization
        .users
        .iter()
        .map(|user| Entry {
            id: user.id.clone(),
            shown: (!user.deleted && query.admits("emails", Some(&user.email)))
                .then(|| shown(user, &organization)),
        })
        .collect();
    page::by_id(entries, &query)
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(shown(organization.user(&ids["user_id"])?, &organization)))
}

async fn modify(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields =
        Fields::parse(&body, &["role?", "role_id?", "technical_level?", "developer_persona?"])?;
    let role = fields.choice("role", &["owner", "reader"])?;
    let role_id = fields.text("role_id")?;
    let technical_level = fields.text("technical_level")?;
    let developer_persona = fields.text("developer_persona")?;
    let id = &ids["user_id"];
    let mut organization = shared.organization();
    let role = match &role_id {
        Some(role_id) => Some(roles::find(&organization, None, role_id)?.name),
        None => role,
    };
    let user = organization.user_mut(id)?;
    if let Some(role) = role {
        user.role = role;
    }
    if fields.contains("technical_level") {
        user.technical_level = technical_level;
    }
    if fields.contains("developer_persona") {
        user.developer_persona = developer_persona;
    }
    let event = json!({ "id": id, "changes_requested": { "role": user.role } });
    let answer = shown(organization.user(id)?, &organization);
    Ok(Json(answer).noting("user.updated", None, event))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["user_id"];
    let mut organization = shared.organization();
    organization.user(id)?;
    // The admin keys are the first owner's.
    if organization.users[0].id == *id {
        return Err(ApiError::bad_request("The last owner cannot be removed."));
    }
    let user = organization.user_mut(id)?;
    user.deleted = true;
    user.memberships.clear();
    organization.groups.iter_mut().for_each(|group| group.remove(id));
    for estate in organization.estates_mut() {
        estate.assignments.retain(|assignment| assignment.principal != id);
    }
    let answer = json!({ "object": "organization.user.deleted", "id": id, "deleted": true });
    Ok(Json(answer).noting("user.deleted", None, json!({ "id": id })))
}

pub(super) fn shown(user: &User, organization: &Organization) -> Value {
    let owner = Owner::User(user.id.clone());
    let last_used = organization
        .keys
        .iter()
        .filter(|key| key.owner == owner)
        .filter_map(|key| key.last_used_at)
        .max();
    let projects: Vec<_> = user
        .memberships
        .iter()
        .filter_map(|membership| {
            let project = organization.project(&membership.project).ok()?;
            Some(json!({ "id": project.id, "name": project.name, "role": membership.role }))
        })
        .collect();
    json!({
        "object": "organization.user",
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "added_at": user.added_at,
        "created": user.added_at,
        "is_default": false,
        "is_service_account": false,
        "is_scale_tier_authorized_purchaser": false,
        "is_scim_managed": false,
        "api_key_last_used_at": last_used,
        "technical_level": user.technical_level,
        "developer_persona": user.developer_persona,
        "user": {
            "object": "user",
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "picture": null,
            "enabled": true,
            "banned": false,
            "banned_at": null,
        },
        "projects": { "object": "list", "data": projects },
    })
}
