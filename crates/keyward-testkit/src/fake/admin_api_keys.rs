//! `/organization/admin_api_keys`: the keys that manage the organization.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::Parameters;
use super::state::{Key, KeyKind, NewKey, Organization, Owner, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/admin_api_keys", get(list).post(create))
        .route("/v1/organization/admin_api_keys/{key_id}", get(retrieve).delete(delete))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let entries = organization
        .keys
        .iter()
        .filter(|key| key.kind == KeyKind::Admin || shared.options.list_project_keys_as_admin_keys)
        .map(|key| Entry {
            id: key.id.clone(),
            shown: key.deleted_at.is_none().then(|| shown(key, &organization)),
        })
        .collect();
    page::by_id(entries, &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name", "expires_in_seconds"])?;
    let name = fields.required_text("name")?;
    let lifetime = fields.lifetime()?;
    shared.admit_lifetime(lifetime)?;
    let mut organization = shared.organization();
    let owner = organization.users[0].id.clone();
    let id = organization
        .add_key(NewKey {
            kind: KeyKind::Admin,
            name: &name,
            owner: Owner::User(owner),
            project: None,
            now: shared.clock.now(),
            live_from: shared.live_from(),
            lifetime,
            scopes: Vec::new(),
        })
        .id
        .clone();
    let key = find(&organization, &id)?;
    let mut minted = shown(key, &organization);
    minted["value"] = json!(key.value);
    let event = json!({ "id": id, "data": { "scopes": [] } });
    Ok(Json(minted).noting("api_key.created", None, event))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(shown(find(&organization, &id)?, &organization)))
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Noted, ApiError> {
    let mut organization = shared.organization();
    find(&organization, &id)?;
    let now = shared.clock.precise();
    for key in organization.keys.iter_mut().filter(|key| key.id == id) {
        key.deleted_at = Some(now);
    }
    let object = "organization.admin_api_key.deleted";
    let answer = json!({ "id": id, "object": object, "deleted": true });
    Ok(Json(answer).noting("api_key.deleted", None, json!({ "id": id })))
}

fn find<'a>(organization: &'a Organization, id: &str) -> Result<&'a Key, ApiError> {
    organization
        .keys
        .iter()
        .find(|key| key.id == id && key.kind == KeyKind::Admin && key.deleted_at.is_none())
        .ok_or_else(|| ApiError::not_found("admin API key", id))
}

fn shown(key: &Key, organization: &Organization) -> Value {
    let owner = &organization.users[0];
    json!({
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": owner.id,
            "name": owner.name,
            "created_at": owner.added_at,
            "role": owner.role,
        },
    })
}
