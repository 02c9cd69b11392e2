//! `/organization/groups`: groups of people, and who is in them. Their roles are in
//! `role_assignments`, their projects in `project_groups`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted, invalid};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::state::Shared;

pub(super) const WHAT: &str = "group";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let group = "/v1/organization/groups/{group_id}";
    Router::new()
        .route("/v1/organization/groups", get(list).post(create))
        .route(group, get(retrieve).post(update).delete(delete))
        .route(&format!("{group}/users"), get(list_members).post(add_member))
        .route(&format!("{group}/users/{{user_id}}"), get(retrieve_member).delete(remove_member))
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) created_at: u64,
    /// In order of joining; those who left keep their place, and are `false`.
    members: Vec<(String, bool)>,
}

impl Group {
    pub(super) fn new(name: &str, now: u64) -> Self {
        Self { name: name.to_owned(), created_at: now, members: Vec::new() }
    }

    pub(super) fn add(&mut self, user: &str) {
        if !self.has(user) {
            self.members.push((user.to_owned(), true));
        }
    }

    pub(super) fn remove(&mut self, user: &str) {
        for (_, is_in) in self.members.iter_mut().filter(|(id, _)| id == user) {
            *is_in = false;
        }
    }

    fn has(&self, user: &str) -> bool {
        self.members.iter().any(|(id, is_in)| id == user && *is_in)
    }

    fn member(&self, user: &str) -> Result<(), ApiError> {
        if self.has(user) { Ok(()) } else { Err(ApiError::not_found("group member", user)) }
    }
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let organization = shared.organization();
    page::by_next(organization.groups.entries(|id, group| Some(shown(id, group))), &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let name = read_name(&body)?;
    let mut organization = shared.organization();
    let id = organization.add_group(&name, shared.clock.now());
    let event = json!({ "id": id, "data": { "group_name": name } });
    Ok(Json(shown(&id, organization.groups.get(WHAT, &id)?)).noting("group.created", None, event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let id = &ids["group_id"];
    Ok(Json(shown(id, shared.organization().groups.get(WHAT, id)?)))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let name = read_name(&body)?;
    let id = &ids["group_id"];
    let mut organization = shared.organization();
    let group = organization.groups.get_mut(WHAT, id)?;
    group.name.clone_from(&name);
    // This answer alone lacks the group's type.
    let answer = json!({
        "id": id,
        "name": name,
        "created_at": group.created_at,
        "is_scim_managed": false,
    });
    let event = json!({ "id": id, "changes_requested": { "group_name": name } });
    Ok(Json(answer).noting("group.updated", None, event))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["group_id"];
    let mut organization = shared.organization();
    organization.groups.delete(WHAT, id)?;
    for project in &mut organization.projects {
        project.groups.delete_all(|group| group.group == id);
    }
    for estate in organization.estates_mut() {
        estate.assignments.retain(|assignment| assignment.principal != id);
    }
    let answer = json!({ "object": "group.deleted", "id": id, "deleted": true });
    Ok(Json(answer).noting("group.deleted", None, json!({ "id": id })))
}

async fn list_members(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let group = organization.groups.get(WHAT, &ids["group_id"])?;
    let entries = group
        .members
        .iter()
        .map(|(id, is_in)| {
            let user = organization.user(id).ok().filter(|_| *is_in);
            let shown =
                user.map(|user| json!({ "id": id, "name": user.name, "email": user.email }));
            Entry { id: id.clone(), shown }
        })
        .collect();
    page::by_next(entries, &query)
}

async fn add_member(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let user = Fields::parse(&body, &["user_id"])?.required_text("user_id")?;
    let id = &ids["group_id"];
    let mut organization = shared.organization();
    organization.groups.get(WHAT, id)?;
    organization.user(&user)?;
    organization.groups.get_mut(WHAT, id)?.add(&user);
    Ok(Json(json!({ "object": "group.user", "user_id": user, "group_id": id })))
}

async fn retrieve_member(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    organization.groups.get(WHAT, &ids["group_id"])?.member(&ids["user_id"])?;
    let user = organization.user(&ids["user_id"])?;
    Ok(Json(json!({
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "picture": null,
        "is_service_account": false,
        "user_type": "user",
    })))
}

async fn remove_member(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let mut organization = shared.organization();
    let group = organization.groups.get_mut(WHAT, &ids["group_id"])?;
    group.member(&ids["user_id"])?;
    group.remove(&ids["user_id"]);
    // Without an id.
    Ok(Json(json!({ "object": "group.user.deleted", "deleted": true })))
}

fn read_name(body: &Bytes) -> Result<String, ApiError> {
    let name = Fields::parse(body, &["name"])?.required_text("name")?;
    if name.chars().count() > 255 {
        return Err(invalid("name", "at most 255 characters"));
    }
    Ok(name)
}

fn shown(id: &str, group: &Group) -> Value {
    json!({
        "id": id,
        "name": group.name,
        "created_at": group.created_at,
        "is_scim_managed": false,
        "group_type": "group",
    })
}
