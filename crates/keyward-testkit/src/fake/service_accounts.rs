//! `/organization/projects/{project_id}/service_accounts`: the accounts of machines, and the
//! minting of their keys. Keys that exist are in `project_api_keys`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::Parameters;
use super::state::{Key, KeyKind, NewKey, Organization, Owner, ServiceAccount, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let accounts = "/v1/organization/projects/{project_id}/service_accounts";
    Router::new()
        .route(accounts, get(list).post(create))
        .route(
            &format!("{accounts}/{{service_account_id}}"),
            get(retrieve).post(update).delete(delete),
        )
        .route(&format!("{accounts}/{{service_account_id}}/api_keys"), post(mint))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    organization.active_project(&project)?;
    let entries = organization
        .service_accounts
        .iter()
        .filter(|account| account.project == project)
        .map(|account| Entry {
            id: account.id.clone(),
            shown: (!account.deleted).then(|| shown(account)),
        })
        .collect();
    page::by_id(entries, &query)
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields =
        Fields::parse(&body, &["name", "create_service_account_only?", "expires_in_seconds"])?;
    let name = fields.required_text("name")?;
    let lifetime = fields.lifetime()?;
    let account_only = fields.flag("create_service_account_only")?.unwrap_or(false);
    if account_only && lifetime.is_some() {
        let message = "`expires_in_seconds` cannot be given when no API key is created.";
        return Err(ApiError::bad_request(message).param("expires_in_seconds"));
    }
    let mut organization = shared.organization();
    organization.active_project(&project)?;
    let taken = organization
        .service_accounts
        .iter()
        .any(|account| account.project == project && account.name == name && !account.deleted);
    if taken && shared.options.refuse_duplicate_service_account_names {
        let message = "A service account with this name already exists in the project.";
        return Err(ApiError::bad_request(message).param("name"));
    }
    if !account_only {
        shared.admit_lifetime(lifetime)?;
    }
    let role = if account_only { "none" } else { "member" };
    let account = organization.add_service_account(&project, &name, role, shared.clock.now());
    let mut answer = shown(&account);
    answer["api_key"] = Value::Null;
    let made = json!({ "id": account.id, "data": { "role": account.role } });
    if account_only {
        return Ok(Json(answer).noting("service_account.created", Some(&project), made));
    }
    let new = NewMint { name: "Secret Key", lifetime, scopes: Vec::new() };
    let key = add_key(&shared, &mut organization, &account, new);
    answer["api_key"] = minted(key);
    Ok(Json(answer).noting("service_account.created", Some(&project), made).noting(
        "api_key.created",
        Some(&project),
        key_created(key),
    ))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
) -> Result<Json, ApiError> {
    Ok(Json(shown(shared.organization().service_account(&project, &id)?)))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name", "role"])?;
    let name = fields.text("name")?;
    let role = fields.choice("role", &["member", "owner"])?;
    let mut organization = shared.organization();
    let account = organization.service_account(&project, &id)?;
    if let Some(name) = name {
        account.name = name;
    }
    if let Some(role) = role {
        account.role = role;
    }
    let event = json!({ "id": id, "changes_requested": { "role": account.role } });
    Ok(Json(shown(account)).noting("service_account.updated", Some(&project), event))
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
) -> Result<Noted, ApiError> {
    let mut organization = shared.organization();
    organization.service_account(&project, &id)?.deleted = true;
    let now = shared.clock.precise();
    let owner = Owner::ServiceAccount(id.clone());
    for key in organization.keys.iter_mut().filter(|key| key.owner == owner) {
        key.deleted_at.get_or_insert(now);
    }
    let object = "organization.project.service_account.deleted";
    let answer = json!({ "object": object, "id": id, "deleted": true });
    Ok(Json(answer).noting("service_account.deleted", Some(&project), json!({ "id": id })))
}

async fn mint(
    State(shared): State<Arc<Shared>>,
    Path((project, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name", "scopes", "expires_in_seconds"])?;
    let name = fields.text("name")?;
    let scopes = fields.texts("scopes")?.unwrap_or_default();
    let lifetime = fields.lifetime()?;
    let mut organization = shared.organization();
    let account = organization.service_account(&project, &id)?.clone();
    shared.admit_lifetime(lifetime)?;
    let name = name.as_deref().unwrap_or("Secret Key");
    let new = NewMint { name, lifetime, scopes };
    let key = add_key(&shared, &mut organization, &account, new);
    Ok(Json(minted(key)).noting("api_key.created", Some(&project), key_created(key)))
}

struct NewMint<'a> {
    name: &'a str,
    lifetime: Option<u64>,
    scopes: Vec<String>,
}

fn add_key<'a>(
    shared: &Shared,
    organization: &'a mut Organization,
    account: &ServiceAccount,
    new: NewMint<'_>,
) -> &'a Key {
    organization.add_key(NewKey {
        kind: KeyKind::ServiceAccount,
        name: new.name,
        owner: Owner::ServiceAccount(account.id.clone()),
        project: Some(account.project.clone()),
        now: shared.clock.now(),
        live_from: shared.live_from(),
        lifetime: new.lifetime,
        scopes: new.scopes,
    })
}

fn shown(account: &ServiceAccount) -> Value {
    json!({
        "object": "organization.project.service_account",
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
    })
}

fn key_created(key: &Key) -> Value {
    json!({ "id": key.id, "data": { "scopes": key.scopes } })
}

/// A key as it is shown once.
fn minted(key: &Key) -> Value {
    let mut minted = json!({
        "object": "organization.project.service_account.api_key",
        "value": key.value,
        "name": key.name,
        "created_at": key.created_at,
        "id": key.id,
    });
    if let Some(at) = key.expires_at {
        minted["expires_at"] = at.into();
    }
    minted
}
