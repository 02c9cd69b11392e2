//! `…/groups/{group_id}/roles` and `…/users/{user_id}/roles`, of the organization and of a project:
//! who has which role. The roles themselves are in `roles`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::state::{Estate, Organization, Shared};
use super::{groups, roles, users};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let principals = [
        "/v1/organization/groups/{group_id}",
        "/v1/organization/users/{user_id}",
        "/v1/projects/{project_id}/groups/{group_id}",
        "/v1/projects/{project_id}/users/{user_id}",
    ];
    principals.into_iter().fold(Router::new(), |router, principal| {
        router
            .route(&format!("{principal}/roles"), get(list).post(assign))
            .route(&format!("{principal}/roles/{{role_id}}"), get(retrieve).delete(unassign))
    })
}

/// That somebody has a role.
pub(super) struct Assignment {
    /// The id of a group or of a person.
    pub(super) principal: String,
    pub(super) role: String,
}

impl Estate {
    /// Gives a role; who has it already keeps it.
    pub(super) fn assign(&mut self, principal: &str, role: &str) {
        if !self.has(principal, role) {
            let (principal, role) = (principal.to_owned(), role.to_owned());
            self.assignments.push(Assignment { principal, role });
        }
    }

    fn has(&self, principal: &str, role: &str) -> bool {
        self.assignments.iter().any(|a| a.principal == principal && a.role == role)
    }
}

/// Who may have a role.
enum Principal<'a> {
    Group(&'a str),
    User(&'a str),
}

impl<'a> Principal<'a> {
    /// The one that the path names, if it is there.
    fn find(ids: &'a Ids, organization: &Organization) -> Result<Self, ApiError> {
        match ids.get("group_id") {
            Some(group) => {
                organization.groups.get(groups::WHAT, group)?;
                Ok(Self::Group(group))
            }
            None => {
                let user = &ids["user_id"];
                organization.user(user)?;
                Ok(Self::User(user))
            }
        }
    }

    fn id(&self) -> &'a str {
        match self {
            Self::Group(id) | Self::User(id) => id,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Group(_) => "group",
            Self::User(_) => "user",
        }
    }

    fn shown(&self, organization: &Organization) -> Result<Value, ApiError> {
        match self {
            Self::Group(id) => {
                let group = organization.groups.get(groups::WHAT, id)?;
                // Here, and here alone, it is `scim_managed`.
                Ok(json!({
                    "object": "group",
                    "id": id,
                    "name": group.name,
                    "created_at": group.created_at,
                    "scim_managed": false,
                }))
            }
            Self::User(id) => Ok(users::shown(organization.user(id)?, organization)),
        }
    }
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let estate = organization.estate(ids.project())?;
    let principal = Principal::find(&ids, &organization)?.id();
    let entries = estate
        .assignments
        .iter()
        .filter(|assignment| assignment.principal == principal)
        .map(|assignment| {
            let role = roles::find(&organization, ids.project(), &assignment.role);
            Entry { id: assignment.role.clone(), shown: role.ok().map(|role| role.assigned()) }
        })
        .collect();
    page::by_next(entries, &query)
}

async fn assign(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let role = Fields::parse(&body, &["role_id"])?.required_text("role_id")?;
    let mut organization = shared.organization();
    let principal = Principal::find(&ids, &organization)?;
    let role = roles::find(&organization, ids.project(), &role)?;
    organization.estate_mut(ids.project())?.assign(principal.id(), &role.id);
    let kind = principal.kind();
    let mut answer = json!({ "object": format!("{kind}.role"), "role": role.shown() });
    answer[kind] = principal.shown(&organization)?;
    let event = event(&organization, &principal, &role.id, ids.project());
    Ok(Json(answer).noting("role.assignment.created", ids.project(), event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let principal = Principal::find(&ids, &organization)?;
    find(&organization, &ids, &principal)?;
    Ok(Json(roles::find(&organization, ids.project(), &ids["role_id"])?.assigned()))
}

async fn unassign(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let role = &ids["role_id"];
    let mut organization = shared.organization();
    let principal = Principal::find(&ids, &organization)?;
    find(&organization, &ids, &principal)?;
    let id = principal.id();
    let assignments = &mut organization.estate_mut(ids.project())?.assignments;
    assignments.retain(|assignment| assignment.principal != id || assignment.role != role);
    // Without an id.
    let answer = json!({ "object": format!("{}.role.deleted", principal.kind()), "deleted": true });
    let event = event(&organization, &principal, role, ids.project());
    Ok(Json(answer).noting("role.assignment.deleted", ids.project(), event))
}

fn find(organization: &Organization, ids: &Ids, principal: &Principal<'_>) -> Result<(), ApiError> {
    let role = &ids["role_id"];
    if organization.estate(ids.project())?.has(principal.id(), role) {
        return Ok(());
    }
    Err(ApiError::not_found("role assignment", role))
}

fn event(
    organization: &Organization,
    principal: &Principal<'_>,
    role: &str,
    project: Option<&str>,
) -> Value {
    json!({
        "id": role,
        "principal_id": principal.id(),
        "principal_type": principal.kind(),
        "resource_id": project.unwrap_or(&organization.id),
        "resource_type": roles::resource_type(project),
    })
}
