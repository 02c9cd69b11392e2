//! `/organization/certificates` and `/organization/projects/{project_id}/certificates`: uploaded to
//! the organization, switched on and off there and in each project.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted, invalid};
use super::page;
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};

const WHAT: &str = "certificate";

/// How long a certificate is taken to be valid, in seconds: its text is not read.
const VALIDITY: u64 = 365 * 86_400;

pub(super) fn routes() -> Router<Arc<Shared>> {
    let own = "/v1/organization/certificates";
    let of_project = "/v1/organization/projects/{project_id}/certificates";
    let router = Router::new()
        .route(own, get(list).post(upload))
        .route(&format!("{own}/{{certificate_id}}"), get(retrieve).post(modify).delete(delete))
        .route(of_project, get(list));
    [own, of_project].into_iter().fold(router, |router, certificates| {
        router
            .route(&format!("{certificates}/activate"), post(activate))
            .route(&format!("{certificates}/deactivate"), post(deactivate))
    })
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    organization.estate(ids.project())?;
    let entries = organization
        .certificates
        .entries(|_, certificate| listed(certificate, &organization, ids.project()).ok());
    page::by_id(entries, &query)
}

async fn upload(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name", "certificate"])?;
    let name = fields.text("name")?;
    let content = fields.required_text("certificate")?;
    if !content.contains("BEGIN CERTIFICATE") {
        return Err(invalid("certificate", "a certificate in PEM"));
    }
    let mut organization = shared.organization();
    let id = organization.new_id("cert_");
    let now = shared.clock.now();
    let certificate = json!({
        "object": "certificate",
        "id": id,
        "name": name,
        "created_at": now,
        "certificate_details": {
            "valid_at": now,
            "expires_at": now + VALIDITY,
            "content": content,
        },
    });
    organization.certificates.add(id.clone(), certificate.clone());
    let event = json!({ "id": id, "name": name });
    Ok(Json(without_content(certificate)).noting("certificate.created", None, event))
}

async fn retrieve(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let certificate = organization.certificates.get(WHAT, &ids["certificate_id"])?.clone();
    let with_content = query.all("include").contains(&"content");
    Ok(Json(if with_content { certificate } else { without_content(certificate) }))
}

async fn modify(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["name"])?;
    fields.text("name")?;
    let id = &ids["certificate_id"];
    let mut organization = shared.organization();
    let certificate = organization.certificates.get_mut(WHAT, id)?;
    fields.write_to(certificate);
    let event = json!({ "id": id, "name": certificate["name"] });
    let answer = without_content(certificate.clone());
    Ok(Json(answer).noting("certificate.updated", None, event))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["certificate_id"];
    let mut organization = shared.organization();
    let certificate = organization.certificates.get(WHAT, id)?.clone();
    if organization.estates_mut().any(|estate| estate.active_certificates.contains(id)) {
        let message = "The certificate is active in the organization or in a project.";
        return Err(ApiError::bad_request(message));
    }
    organization.certificates.delete(WHAT, id)?;
    let event = json!({
        "id": id,
        "name": certificate["name"],
        "certificate": certificate["certificate_details"]["content"],
    });
    // Without `deleted`.
    let answer = json!({ "object": "certificate.deleted", "id": id });
    Ok(Json(answer).noting("certificate.deleted", None, event))
}

async fn activate(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    toggle(&shared, &ids, &body, true)
}

async fn deactivate(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    toggle(&shared, &ids, &body, false)
}

/// Switches all of the certificates, or none.
fn toggle(shared: &Shared, ids: &Ids, body: &Bytes, on: bool) -> Result<Noted, ApiError> {
    let wanted = Fields::parse(body, &["certificate_ids"])?.required_texts("certificate_ids")?;
    if !(1..=10).contains(&wanted.len()) {
        return Err(invalid("certificate_ids", "1 to 10 ids"));
    }
    let mut organization = shared.organization();
    for id in &wanted {
        organization.certificates.get(WHAT, id)?;
    }
    let active = &mut organization.estate_mut(ids.project())?.active_certificates;
    for id in &wanted {
        if on {
            active.insert(id.clone());
        } else {
            active.remove(id);
        }
    }
    let mut data = Vec::new();
    for id in &wanted {
        let certificate = organization.certificates.get(WHAT, id)?;
        data.push(listed(certificate, &organization, ids.project())?);
    }
    let told: Vec<_> = data.iter().map(|c| json!({ "id": c["id"], "name": c["name"] })).collect();
    let (object, kind) = match on {
        true => ("activation", "certificates.activated"),
        false => ("deactivation", "certificates.deactivated"),
    };
    let object = format!("{}.{object}", listed_object(ids.project()));
    let event = json!({ "certificates": told });
    Ok(Json(json!({ "object": object, "data": data })).noting(kind, ids.project(), event))
}

/// The certificate as lists and switches show it.
fn listed(
    certificate: &Value,
    organization: &Organization,
    project: Option<&str>,
) -> Result<Value, ApiError> {
    let mut listed = without_content(certificate.clone());
    let id = certificate["id"].as_str().unwrap_or_default();
    listed["object"] = listed_object(project).into();
    listed["active"] = organization.estate(project)?.active_certificates.contains(id).into();
    Ok(listed)
}

fn listed_object(project: Option<&str>) -> &'static str {
    if project.is_some() { "organization.project.certificate" } else { "organization.certificate" }
}

fn without_content(mut certificate: Value) -> Value {
    if let Some(details) = certificate["certificate_details"].as_object_mut() {
        details.remove("content");
    }
    certificate
}
