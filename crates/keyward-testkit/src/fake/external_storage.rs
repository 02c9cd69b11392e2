//! `/organization/external_storage`: buckets in a cloud that a project's data is kept in. None is
//! ever asked for here.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page;
use super::query::{Ids, Parameters};
use super::state::Shared;

const WHAT: &str = "external storage";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let storage = "/v1/organization/external_storage/{external_storage_id}";
    Router::new()
        .route("/v1/organization/external_storage", get(list).post(create))
        .route(storage, get(retrieve).delete(delete))
        .route(&format!("{storage}/validate"), post(validate))
}

/// The storage of one cloud.
struct Cloud {
    name: &'static str,
    /// The fields that a provider is made with.
    given: &'static [&'static str],
    /// Those that OpenAI adds.
    added: &'static [(&'static str, &'static str)],
}

static CLOUDS: [Cloud; 4] = [
    Cloud {
        name: "aws",
        given: &["bucket", "role_arn"],
        added: &[
            ("account_id", "000000000000"),
            ("external_id", "fake-external"),
            ("region", "us-east-1"),
        ],
    },
    Cloud {
        name: "azure",
        given: &["account_name", "container", "resource_group", "subscription_id", "tenant_id"],
        added: &[("region", "eastus")],
    },
    Cloud {
        name: "gcp",
        given: &[
            "bucket",
            "workload_identity_pool_id",
            "workload_identity_project_number",
            "workload_identity_provider_id",
        ],
        added: &[("audience", "fake-audience"), ("region", "us-east1")],
    },
    Cloud { name: "oci", given: &["bucket", "region", "tenancy_ocid"], added: &[] },
];

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let project = query.get("project_id");
    let organization = shared.organization();
    let entries = organization.external_storage.entries(|_, storage| {
        let wanted = project.is_none_or(|project| storage["project_id"] == project);
        wanted.then(|| storage.clone())
    });
    page::by_id(entries, &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["project_id", "provider"])?;
    let project = fields.required_text("project_id")?;
    let provider = read_provider(&fields)?;
    let mut organization = shared.organization();
    organization.active_project(&project)?;
    let id = organization.new_id("ext_storage_");
    let storage = json!({
        "object": "organization.external_storage",
        "id": id,
        "created_at": shared.clock.now(),
        "geography": "us",
        "project_id": project,
        "provider": provider,
        "status": "pending",
    });
    organization.external_storage.add(id.clone(), storage.clone());
    let event = json!({ "id": id });
    Ok(Json(storage).noting("external_storage.registered", Some(&project), event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(organization.external_storage.get(WHAT, &ids["external_storage_id"])?.clone()))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["external_storage_id"];
    shared.organization().external_storage.delete(WHAT, id)?;
    let object = "organization.external_storage.deleted";
    let answer = json!({ "object": object, "id": id, "deleted": true });
    Ok(Json(answer).noting("external_storage.removed", None, json!({ "id": id })))
}

async fn validate(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let mut organization = shared.organization();
    let storage = organization.external_storage.get_mut(WHAT, &ids["external_storage_id"])?;
    storage["status"] = "validated".into();
    Ok(Json(storage.clone()))
}

fn read_provider(fields: &Fields) -> Result<Value, ApiError> {
    let missing = || ApiError::missing("provider");
    let any: Vec<&str> =
        CLOUDS.iter().flat_map(|cloud| cloud.given).copied().chain(["type"]).collect();
    let name = fields
        .object("provider", &any)?
        .ok_or_else(missing)?
        .required_choice("type", &CLOUDS.each_ref().map(|cloud| cloud.name))?;
    let cloud = CLOUDS.iter().find(|cloud| cloud.name == name).expect("it was chosen among them");
    let allowed: Vec<&str> = cloud.given.iter().copied().chain(["type"]).collect();
    let fields = fields.object("provider", &allowed)?.ok_or_else(missing)?;
    for field in cloud.given {
        fields.required_text(field)?;
    }
    let mut provider = json!({});
    fields.write_to(&mut provider);
    for (field, value) in cloud.added {
        provider[*field] = (*value).into();
    }
    Ok(provider)
}
