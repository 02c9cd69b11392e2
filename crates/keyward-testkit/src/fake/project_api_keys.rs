//! `/organization/projects/{project_id}/api_keys`: every key of a project, of people and of
//! service accounts. The minting is in `service_accounts`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::Parameters;
use super::state::{Key, Organization, Owner, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let keys = "/v1/organization/projects/{project_id}/api_keys";
    Router::new()
        .route(keys, get(list))
        .route(&format!("{keys}/{{api_key_id}}"), get(retrieve).post(update).delete(delete))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    query: Parameters,
) -> Result<Json, ApiError> {
    // The default hides live keys of owners who lost their access, as OpenAI's does.
    let access = query.choice("owner_project_access");
    let organization = shared.organization();
    organization.project(&project)?;
    let entries = organization
        .keys
        .iter()
        .filter(|key| key.project.as_ref() == Some(&project) && key.kind.is_managed())
        .map(|key| {
            let wanted = match access {
                "any" => true,
                "inactive" => !organization.owner_has_access(key),
                _ => organization.owner_has_access(key),
            };
            let listed = wanted && key.deleted_at.is_none();
            Entry { id: key.id.clone(), shown: listed.then_some(key) }
        })
        .collect();
    page::by_id_as(entries, &query, |key| shown(key, &organization))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let at = find(&organization, &project, &id)?;
    Ok(Json(shown(&organization.keys[at], &organization)))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["scopes", "expires_in_seconds"])?;
    let scopes = fields.texts("scopes")?;
    let lifetime = fields.lifetime()?;
    if scopes.is_none() && lifetime.is_none() {
        let message = "At least one of 'scopes' and 'expires_in_seconds' must be given.";
        return Err(ApiError::bad_request(message));
    }
    let mut organization = shared.organization();
    organization.active_project(&project)?;
    let at = find(&organization, &project, &id)?;
    let now = shared.clock.precise();
    let of_a_person = matches!(organization.keys[at].owner, Owner::User(_));
    if shared.options.service_account_keys_only && of_a_person {
        let message = "This organization allows service account API keys only.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    let key = &mut organization.keys[at];
    if key.has_expired(now.as_secs()) {
        return Err(ApiError::bad_request("Expired API keys cannot be updated."));
    }
    if lifetime.is_some() {
        shared.admit_lifetime(lifetime)?;
    }
    if let Some(scopes) = scopes {
        let before = key.scopes_at(now).to_vec();
        key.scopes_before = Some((before, now + shared.options.auth_cache));
        key.scopes = scopes;
    }
    if let Some(seconds) = lifetime {
        key.expires_at = Some(now.as_secs() + seconds);
    }
    let event = json!({ "id": id, "changes_requested": { "scopes": key.scopes } });
    let answer = shown(&organization.keys[at], &organization);
    Ok(Json(answer).noting("api_key.updated", Some(&project), event))
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
) -> Result<Noted, ApiError> {
    let mut organization = shared.organization();
    let at = find(&organization, &project, &id)?;
    let key = &mut organization.keys[at];
    if shared.options.refuse_service_account_key_deletion
        && matches!(key.owner, Owner::ServiceAccount(_))
    {
        return Err(ApiError::bad_request(
            "The API keys of a service account cannot be deleted; delete the service account.",
        ));
    }
    key.deleted_at = Some(shared.clock.precise());
    let object = "organization.project.api_key.deleted";
    let answer = json!({ "object": object, "id": id, "deleted": true });
    Ok(Json(answer).noting("api_key.deleted", Some(&project), json!({ "id": id })))
}

fn find(organization: &Organization, project: &str, id: &str) -> Result<usize, ApiError> {
    organization.project(project)?;
    organization
        .keys
        .iter()
        .position(|key| {
            key.id == id
                && key.kind.is_managed()
                && key.project.as_deref() == Some(project)
                && key.deleted_at.is_none()
        })
        .ok_or_else(|| ApiError::not_found("API key", id))
}

fn shown(key: &Key, organization: &Organization) -> Value {
    let access = if organization.owner_has_access(key) { "active" } else { "inactive" };
    json!({
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner_project_access": access,
        "owner": owner(key, organization),
    })
}

fn owner(key: &Key, organization: &Organization) -> Value {
    match &key.owner {
        Owner::ServiceAccount(id) => organization
            .service_accounts
            .iter()
            .find(|account| account.id == *id)
            .map_or(Value::Null, |account| {
                json!({
                    "type": "service_account",
                    "service_account": {
                        "id": account.id,
                        "name": account.name,
                        "created_at": account.created_at,
                        "role": account.role,
                    },
                })
            }),
        Owner::User(id) => organization.user(id).map_or(Value::Null, |user| {
            json!({
                "type": "user",
                "user": {
                    "id": user.id,
                    "email": user.email,
                    "name": user.name,
                    "created_at": user.added_at,
                    "role": user.role,
                },
            })
        }),
    }
}
