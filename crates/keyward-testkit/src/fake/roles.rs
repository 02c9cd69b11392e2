//! `/organization/roles` and `/projects/{project_id}/roles`: what may be done, under a name. Who has
//! them is in `role_assignments`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};

const WHAT: &str = "role";

pub(super) fn routes() -> Router<Arc<Shared>> {
    ["/v1/organization/roles", "/v1/projects/{project_id}/roles"].into_iter().fold(
        Router::new(),
        |router, roles| {
            router
                .route(roles, get(list).post(create))
                .route(&format!("{roles}/{{role_id}}"), get(retrieve).post(update).delete(delete))
        },
    )
}

/// A role that the organization made.
pub(super) struct Role {
    name: String,
    description: Option<String>,
    permissions: Vec<String>,
    created_at: u64,
    updated_at: u64,
}

/// A role as it is found, made or predefined.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    shown: Value,
    times: Option<(u64, u64)>,
}

impl Found {
    pub(super) fn shown(&self) -> Value {
        self.shown.clone()
    }

    /// As it is shown among those that somebody has.
    pub(super) fn assigned(&self) -> Value {
        let mut assigned = self.shown();
        if let Some(object) = assigned.as_object_mut() {
            object.remove("object");
        }
        assigned["created_at"] = json!(self.times.map(|(created_at, _)| created_at));
        assigned["updated_at"] = json!(self.times.map(|(_, updated_at)| updated_at));
        for absent in ["created_by", "created_by_user_obj", "metadata", "assignment_sources"] {
            assigned[absent] = Value::Null;
        }
        assigned
    }
}

/// The roles that OpenAI defines, of the organization and of each project: id, name, permissions.
static OF_ORGANIZATION: [(&str, &str, &[&str]); 2] = [
    ("role_api_organization_owner", "owner", &["api.management.read", "api.management.write"]),
    ("role_api_organization_reader", "reader", &["api.management.read"]),
];
static OF_PROJECT: [(&str, &str, &[&str]); 2] = [
    ("role_api_project_owner", "owner", &["api.project.read", "api.project.write"]),
    ("role_api_project_member", "member", &["api.project.read"]),
];

/// The role with this id; a predefined one is known by its name too.
pub(super) fn find(
    organization: &Organization,
    project: Option<&str>,
    id: &str,
) -> Result<Found, ApiError> {
    let roles = &organization.estate(project)?.roles;
    let predefined =
        predefined(project).iter().find(|(known, name, _)| *known == id || *name == id);
    match predefined {
        Some(&(id, name, permissions)) => Ok(Found {
            id: id.to_owned(),
            name: name.to_owned(),
            shown: json!({
                "object": "role",
                "id": id,
                "name": name,
                "description": null,
                "permissions": permissions,
                "resource_type": resource_type(project),
                "predefined_role": true,
            }),
            times: None,
        }),
        None => roles.get(WHAT, id).map(|role| Found {
            id: id.to_owned(),
            name: role.name.clone(),
            shown: shown(id, role, project),
            times: Some((role.created_at, role.updated_at)),
        }),
    }
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let project = ids.project();
    let made = &organization.estate(project)?.roles;
    let mut entries = Vec::new();
    for (id, ..) in predefined(project) {
        let shown = Some(find(&organization, project, id)?.shown());
        entries.push(Entry { id: (*id).to_owned(), shown });
    }
    entries.extend(made.entries(|id, role| Some(shown(id, role, project))));
    page::by_next(entries, &query)
}

async fn create(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    // It goes in as `role_name` and comes out as `name`.
    let fields = Fields::parse(&body, &["role_name", "permissions", "description?"])?;
    let now = shared.clock.now();
    let role = Role {
        name: fields.required_text("role_name")?,
        description: fields.text("description")?,
        permissions: fields.required_texts("permissions")?,
        created_at: now,
        updated_at: now,
    };
    let project = ids.project();
    let mut organization = shared.organization();
    refuse_taken(&organization, project, &role.name, None)?;
    let id = organization.new_id("role_");
    let answer = shown(&id, &role, project);
    let event = json!({
        "id": id,
        "role_name": role.name,
        "permissions": role.permissions,
        "resource_type": resource_type(project),
        "resource_id": project.unwrap_or(&organization.id),
    });
    organization.estate_mut(project)?.roles.add(id, role);
    Ok(Json(answer).noting("role.created", project, event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    Ok(Json(find(&shared.organization(), ids.project(), &ids["role_id"])?.shown()))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["role_name?", "permissions?", "description?"])?;
    let name = fields.text("role_name")?;
    let permissions = fields.texts("permissions")?;
    let description = fields.text("description")?;
    let (id, project) = (&ids["role_id"], ids.project());
    refuse_predefined(id, project)?;
    let mut organization = shared.organization();
    if let Some(name) = &name {
        refuse_taken(&organization, project, name, Some(id))?;
    }
    let role = organization.estate_mut(project)?.roles.get_mut(WHAT, id)?;
    let before = role.permissions.clone();
    if let Some(permissions) = permissions {
        role.permissions = permissions;
    }
    if fields.contains("description") {
        role.description = description;
    }
    if let Some(name) = name {
        role.name = name;
    }
    role.updated_at = shared.clock.now();
    let without = |some: &[String], others: &[String]| {
        some.iter().filter(|one| !others.contains(one)).cloned().collect::<Vec<_>>()
    };
    let changes = json!({
        "role_name": role.name,
        "permissions_added": without(&role.permissions, &before),
        "permissions_removed": without(&before, &role.permissions),
    });
    let event = json!({ "id": id, "changes_requested": changes });
    Ok(Json(shown(id, role, project)).noting("role.updated", project, event))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let (id, project) = (&ids["role_id"], ids.project());
    refuse_predefined(id, project)?;
    let mut organization = shared.organization();
    let estate = organization.estate_mut(project)?;
    estate.roles.delete(WHAT, id)?;
    estate.assignments.retain(|assignment| assignment.role != id);
    let answer = json!({ "object": "role.deleted", "id": id, "deleted": true });
    Ok(Json(answer).noting("role.deleted", project, json!({ "id": id })))
}

fn predefined(
    project: Option<&str>,
) -> &'static [(&'static str, &'static str, &'static [&'static str])] {
    if project.is_some() { &OF_PROJECT } else { &OF_ORGANIZATION }
}

fn refuse_predefined(id: &str, project: Option<&str>) -> Result<(), ApiError> {
    if predefined(project).iter().any(|(known, ..)| *known == id) {
        return Err(ApiError::bad_request("Predefined roles cannot be updated or deleted."));
    }
    Ok(())
}

fn refuse_taken(
    organization: &Organization,
    project: Option<&str>,
    name: &str,
    except: Option<&str>,
) -> Result<(), ApiError> {
    let made = &organization.estate(project)?.roles;
    if made.iter().any(|(id, role)| role.name == name && Some(id) != except) {
        let message = "A role with this name already exists.";
        return Err(ApiError::bad_request(message).param("role_name"));
    }
    Ok(())
}

pub(super) fn resource_type(project: Option<&str>) -> &'static str {
    if project.is_some() { "api.project" } else { "api.organization" }
}

fn shown(id: &str, role: &Role, project: Option<&str>) -> Value {
    json!({
        "object": "role",
        "id": id,
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "resource_type": resource_type(project),
        "predefined_role": false,
    })
}
