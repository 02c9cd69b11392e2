//! `/realtime/client_secrets` and `/realtime/calls`: what a browser has in the place of a key, and
//! what it opens sessions with.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, invalid};
use super::auth::AdmittedKey;
use super::state::{KeyKind, NewKey, Shared};

/// Not among the operations: what it takes and answers is no JSON.
pub(super) const CALLS: &str = "/realtime/calls";

/// How long a secret lives unless the request says, in seconds.
const LIFE: u64 = 600;
const LONGEST: u64 = 7200;
const SHORTEST: u64 = 10;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/realtime/client_secrets", post(create))
        .route("/v1/realtime/calls", post(connect))
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(AdmittedKey(key)): Extension<AdmittedKey>,
    body: Bytes,
) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["expires_after", "session"])?;
    let mut life = LIFE;
    if let Some(after) = fields.object("expires_after", &["anchor", "seconds"])? {
        after.choice("anchor", &["created_at"])?;
        life = after.integer("seconds", SHORTEST)?.unwrap_or(LIFE);
        if life > LONGEST {
            return Err(invalid("seconds", "an integer from 10 to 7200"));
        }
    }
    // Of a session only the type is looked at: this is no model of the Realtime API.
    let mut session = match fields.value("session") {
        None => json!({ "type": "realtime" }),
        Some(session @ Value::Object(_)) => session.clone(),
        Some(_) => return Err(invalid("session", "an object")),
    };
    match session.get("type").and_then(Value::as_str) {
        Some("realtime" | "transcription") => {}
        Some(_) => return Err(invalid("session.type", "one of realtime, transcription")),
        None => return Err(ApiError::missing("session.type")),
    }
    let now = shared.clock.now();
    let mut organization = shared.organization();
    session["id"] = organization.new_id("sess_").into();
    session["object"] = "realtime.session".into();
    let used = organization.keys.iter().find(|known| known.id == key).expect("it was admitted");
    let (owner, project) = (used.owner.clone(), used.project.clone());
    let secret = organization.add_key(NewKey {
        kind: KeyKind::ClientSecret,
        name: "client secret",
        owner,
        project,
        now,
        live_from: Duration::ZERO,
        lifetime: Some(life),
        scopes: Vec::new(),
    });
    Ok(Json(json!({ "value": secret.value, "expires_at": now + life, "session": session })))
}

/// Opens a session, as far as that can be told.
async fn connect(body: Bytes) -> Result<Response, ApiError> {
    if !body.starts_with(b"v=0") {
        return Err(ApiError::bad_request("The body is no session description (SDP)."));
    }
    let headers = [(header::CONTENT_TYPE, "application/sdp")];
    Ok((StatusCode::CREATED, headers, "v=0\r\ns=fake\r\n").into_response())
}
