//! `/organization/external_keys`: keys in the key management of a cloud, which encrypt what OpenAI
//! keeps. None is ever asked for here.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page;
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};

const WHAT: &str = "external key";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let key = "/v1/organization/external_keys/{external_key_id}";
    Router::new()
        .route("/v1/organization/external_keys", get(list).post(create))
        .route(key, get(retrieve).delete(delete))
        .route(&format!("{key}/validate"), post(validate))
}

/// The key management of one cloud: the fields of its keys, beside those that all have.
struct Cloud {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Cloud {
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(self.optional).copied()
    }
}

static CLOUDS: [Cloud; 4] = [
    Cloud { name: "aws", required: &["external_id", "kms_arn", "role_arn"], optional: &[] },
    Cloud {
        name: "azure",
        required: &["key_name", "tenant_id", "vault_uri"],
        optional: &["key_version"],
    },
    Cloud {
        name: "gcp",
        required: &[
            "audience",
            "kms_key_location",
            "kms_key_name",
            "kms_key_ring_name",
            "kms_project_id",
            "workload_identity_pool_id",
            "workload_identity_project_number",
            "workload_identity_provider_id",
        ],
        optional: &["kms_key_version"],
    },
    Cloud {
        name: "oci",
        required: &["key_ocid", "region", "vault_ocid"],
        optional: &["key_version_ocid"],
    },
];

/// The fields that every key has.
const COMMON: [&str; 3] = ["name", "purpose", "type"];

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let purpose = query.get("purpose");
    let entries = organization.external_keys.entries(|_, key| {
        let wanted = purpose.is_none_or(|purpose| key["purpose"] == purpose);
        wanted.then(|| shown(key, &organization))
    });
    page::by_id(entries, &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let any: Vec<&str> = CLOUDS.iter().flat_map(Cloud::fields).chain(COMMON).collect();
    let name = Fields::parse(&body, &any)?
        .required_choice("type", &CLOUDS.each_ref().map(|cloud| cloud.name))?;
    let cloud = CLOUDS.iter().find(|cloud| cloud.name == name).expect("it was chosen among them");
    let own: Vec<&str> = cloud.fields().chain(COMMON).collect();
    let fields = Fields::parse(&body, &own)?;
    fields.required_text("name")?;
    fields.choice("purpose", &["ekm", "psp_decryption"])?;
    for field in cloud.required {
        fields.required_text(field)?;
    }
    for field in cloud.optional {
        fields.text(field)?;
    }
    let mut organization = shared.organization();
    let id = organization.new_id("ext_key_");
    let mut key = json!({
        "object": "organization.external_key",
        "id": id,
        "created_at": shared.clock.now(),
        "purpose": "ekm",
        "workspace_id": organization.id,
    });
    fields.write_to(&mut key);
    organization.external_keys.add(id.clone(), key.clone());
    let event = json!({ "id": id, "data": {} });
    Ok(Json(shown(&key, &organization)).noting("external_key.registered", None, event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let key = organization.external_keys.get(WHAT, &ids["external_key_id"])?;
    Ok(Json(shown(key, &organization)))
}

/// Answers with the key itself, not that it was deleted.
async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["external_key_id"];
    let mut organization = shared.organization();
    let answer = shown(organization.external_keys.get(WHAT, id)?, &organization);
    if answer["api_project_ids"].as_array().is_some_and(|projects| !projects.is_empty()) {
        return Err(ApiError::bad_request("The external key is used by a project."));
    }
    organization.external_keys.delete(WHAT, id)?;
    Ok(Json(answer).noting("external_key.removed", None, json!({ "id": id })))
}

async fn validate(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    shared.organization().external_keys.get(WHAT, &ids["external_key_id"])?;
    Ok(Json(json!({ "status": "valid" })))
}

fn shown(key: &Value, organization: &Organization) -> Value {
    let mut shown = key.clone();
    let users: Vec<_> = organization
        .projects
        .iter()
        .filter(|project| project.external_key_id.as_deref() == key["id"].as_str())
        .map(|project| &project.id)
        .collect();
    shown["api_project_ids"] = json!(users);
    shown
}
