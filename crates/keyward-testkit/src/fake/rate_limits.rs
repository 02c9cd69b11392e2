//! `/organization/projects/{project_id}/rate_limits`: one for each model, changed but never made.
//! They bound nothing here.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted};
use super::page::{self, Entry};
use super::query::{Ids, Parameters};
use super::state::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    let limits = "/v1/organization/projects/{project_id}/rate_limits";
    Router::new()
        .route(limits, get(list))
        .route(&format!("{limits}/{{rate_limit_id}}"), post(update))
}

static FIELDS: [&str; 6] = [
    "max_requests_per_1_minute",
    "max_tokens_per_1_minute",
    "max_images_per_1_minute",
    "max_audio_megabytes_per_1_minute",
    "max_requests_per_1_day",
    "batch_1_day_max_input_tokens",
];

/// The models, and what each of their limits is at first, in the order of `FIELDS`.
static MODELS: [(&str, [Option<u64>; 6]); 4] = [
    ("fake-model", [Some(10_000), Some(2_000_000), None, None, Some(500_000), Some(200_000_000)]),
    ("fake-model-mini", [Some(30_000), Some(10_000_000), None, None, None, Some(1_000_000_000)]),
    ("fake-image-model", [Some(500), Some(100_000), Some(50), None, None, None]),
    ("fake-audio-model", [Some(500), Some(100_000), None, Some(100), None, None]),
];

/// What was changed of a project's limits, by model and field.
#[derive(Default)]
pub(super) struct RateLimits {
    changed: BTreeMap<(&'static str, &'static str), u64>,
}

impl RateLimits {
    fn shown(&self, model: &'static str, limits: &[Option<u64>; 6]) -> Value {
        let mut shown = json!({ "object": "project.rate_limit", "id": id(model), "model": model });
        for (field, limit) in FIELDS.iter().zip(limits) {
            if let Some(limit) = self.changed.get(&(model, *field)).or(limit.as_ref()) {
                shown[*field] = (*limit).into();
            }
        }
        shown
    }
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let project = organization.active_project(&ids["project_id"])?;
    let entries = MODELS
        .iter()
        .map(|(model, limits)| Entry {
            id: id(model),
            shown: Some(project.rate_limits.shown(model, limits)),
        })
        .collect();
    page::by_id(entries, &query)
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &FIELDS)?;
    let wanted = &ids["rate_limit_id"];
    let (model, limits) = MODELS
        .iter()
        .find(|(model, _)| id(model) == *wanted)
        .ok_or_else(|| ApiError::not_found("rate limit", wanted))?;
    let mut changes = Vec::new();
    for field in FIELDS {
        if let Some(limit) = fields.integer(field, 0)? {
            changes.push((field, limit));
        }
    }
    let project = &ids["project_id"];
    let mut organization = shared.organization();
    let rate_limits = &mut organization.active_project_mut(project)?.rate_limits;
    let mut requested = json!({});
    for (field, limit) in changes {
        rate_limits.changed.insert((model, field), limit);
        requested[field] = limit.into();
    }
    let event = json!({ "id": wanted, "changes_requested": requested });
    let answer = Json(rate_limits.shown(model, limits));
    Ok(answer.noting("rate_limit.updated", Some(project), event))
}

fn id(model: &str) -> String {
    format!("rl-{model}")
}
