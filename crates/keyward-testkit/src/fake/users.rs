//! `/organization/users`: the people, read only.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::page::{self, Entry, Limits, Parameters};
use super::state::{Organization, Owner, Shared, User};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/users", get(list))
        .route("/v1/organization/users/{user_id}", get(retrieve))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    query: Query<Vec<(String, String)>>,
) -> Result<Json, ApiError> {
    let query = Parameters::new(query);
    let emails = query.all("emails");
    let organization = shared.organization();
    let entries = organization
        .users
        .iter()
        .map(|user| Entry {
            id: user.id.clone(),
            shown: (emails.is_empty() || emails.contains(&user.email.as_str()))
                .then(|| shown(user, &organization)),
        })
        .collect();
    page::by_id(entries, &query, Limits::usual(shared.options.page_size_limit))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(shown(organization.user(&id)?, &organization)))
}

fn shown(user: &User, organization: &Organization) -> Value {
    let owner = Owner::User(user.id.clone());
    let last_used = organization
        .keys
        .iter()
        .filter(|key| key.owner == owner)
        .filter_map(|key| key.last_used_at)
        .max();
    let projects: Vec<_> = user
        .projects
        .iter()
        .filter_map(|id| organization.project(id).ok())
        .map(|project| json!({ "id": project.id, "name": project.name, "role": "member" }))
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
        "is_scim_managed": false,
        "api_key_last_used_at": last_used,
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
