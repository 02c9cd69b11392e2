//! `…/spend_alerts`, of the organization and of a project: who is told when much was spent.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json};
use super::page;
use super::query::{Ids, Parameters};
use super::state::Shared;

const WHAT: &str = "spend alert";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let scopes = ["/v1/organization", "/v1/organization/projects/{project_id}"];
    scopes.into_iter().fold(Router::new(), |router, scope| {
        router.route(&format!("{scope}/spend_alerts"), get(list).post(create)).route(
            &format!("{scope}/spend_alerts/{{alert_id}}"),
            get(retrieve).post(update).delete(delete),
        )
    })
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let alerts = &organization.estate(ids.project())?.spend_alerts;
    page::by_id(alerts.entries(|_, alert| Some(alert.clone())), &query)
}

async fn create(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let mut alert = read(&body, &ids)?;
    let mut organization = shared.organization();
    organization.estate(ids.project())?;
    let id = organization.new_id("alert_");
    alert["id"] = id.as_str().into();
    organization.estate_mut(ids.project())?.spend_alerts.add(id, alert.clone());
    Ok(Json(alert))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let alerts = &organization.estate(ids.project())?.spend_alerts;
    Ok(Json(alerts.get(WHAT, &ids["alert_id"])?.clone()))
}

/// Takes the whole alert again.
async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let mut wanted = read(&body, &ids)?;
    let id = &ids["alert_id"];
    wanted["id"] = id.into();
    let mut organization = shared.organization();
    let alert = organization.estate_mut(ids.project())?.spend_alerts.get_mut(WHAT, id)?;
    *alert = wanted;
    Ok(Json(alert.clone()))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let id = &ids["alert_id"];
    let mut organization = shared.organization();
    organization.estate_mut(ids.project())?.spend_alerts.delete(WHAT, id)?;
    let object = format!("{}.deleted", object(&ids));
    Ok(Json(json!({ "object": object, "id": id, "deleted": true })))
}

/// The alert that a body asks for, without its id.
fn read(body: &Bytes, ids: &Ids) -> Result<Value, ApiError> {
    let fields =
        Fields::parse(body, &["threshold_amount", "currency", "interval", "notification_channel"])?;
    let channel = fields
        .object("notification_channel", &["type", "recipients", "subject_prefix?"])?
        .ok_or_else(|| ApiError::missing("notification_channel"))?;
    Ok(json!({
        "object": object(ids),
        // In cents.
        "threshold_amount": fields.required_integer("threshold_amount", 0)?,
        "currency": fields.required_choice("currency", &["USD"])?,
        "interval": fields.required_choice("interval", &["month"])?,
        "notification_channel": {
            "type": channel.required_choice("type", &["email"])?,
            "recipients": channel.required_texts("recipients")?,
            "subject_prefix": channel.text("subject_prefix")?,
        },
    }))
}

fn object(ids: &Ids) -> &'static str {
    if ids.project().is_some() { "project.spend_alert" } else { "organization.spend_alert" }
}
