//! `/models` and `/responses`: enough of the rest of the API to see whether a key works.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::auth::AdmittedKey;
use super::state::{Owner, Shared, Spending};
use super::usage::Use;

/// What one answer costs, in US dollars.
const PRICE: f64 = 0.25;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/models", get(models)).route("/v1/responses", post(respond))
}

async fn models(State(shared): State<Arc<Shared>>) -> Json {
    let created = shared.organization().users[0].added_at;
    let data: Vec<_> = ["fake-model", "fake-model-mini"]
        .map(|id| json!({ "id": id, "object": "model", "created": created, "owned_by": "fake" }))
        .into();
    Json(json!({ "object": "list", "data": data }))
}

async fn respond(
    State(shared): State<Arc<Shared>>,
    Extension(AdmittedKey(key)): Extension<AdmittedKey>,
    body: Bytes,
) -> Result<Json, ApiError> {
    // Every field is let through: this is no model of the inference API.
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(&body) else {
        let message = "We could not parse the JSON body of your request.";
        return Err(ApiError::bad_request(message));
    };
    let at = shared.clock.now();
    let model = fields.get("model").cloned().unwrap_or_else(|| "fake-model".into());
    let id = shared.request_id().replace("req_", "resp_");
    let mut organization = shared.organization();
    let used = organization.keys.iter().find(|k| k.id == key);
    let project = used.and_then(|key| key.project.clone());
    let user = used.and_then(|key| match &key.owner {
        Owner::ServiceAccount(_) => None,
        Owner::User(user) => Some(user.clone()),
    });
    let dimensions = [
        ("api_key_id", json!(key)),
        ("batch", json!(false)),
        ("model", model.clone()),
        ("project_id", json!(project)),
        ("service_tier", json!("default")),
        ("user_id", json!(user)),
    ];
    let dimensions = dimensions.into_iter().collect();
    organization.uses.push(Use { kind: "completions", at, requests: 1, dimensions });
    organization.spending.push(Spending { at, project, key: Some(key), amount: PRICE });
    let text = json!({ "type": "output_text", "text": "This is the fake.", "annotations": [] });
    Ok(Json(json!({
        "id": id,
        "object": "response",
        "created_at": at,
        "status": "completed",
        "error": null,
        "model": model,
        "output": [{
            "type": "message",
            "id": id.replace("resp_", "msg_"),
            "status": "completed",
            "role": "assistant",
            "content": [text],
        }],
        "usage": { "input_tokens": 1, "output_tokens": 4, "total_tokens": 5 },
    })))
}
