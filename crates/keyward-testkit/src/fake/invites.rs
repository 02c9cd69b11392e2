//! `/organization/invites`: people who were asked to join.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted, invalid};
use super::page;
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};

const WHAT: &str = "invite";

/// How long an invite stands, in seconds: a week.
const LIFETIME: u64 = 7 * 86_400;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/organization/invites", get(list).post(create))
        .route("/v1/organization/invites/{invite_id}", get(retrieve).delete(delete))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let now = shared.clock.now();
    let organization = shared.organization();
    page::by_id(organization.invites.entries(|_, invite| Some(shown(invite, now))), &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(&body, &["email", "role", "projects"])?;
    let email = fields.required_text("email")?;
    if !email.contains('@') {
        return Err(invalid("email", "an email address"));
    }
    let role = fields.required_choice("role", &["reader", "owner"])?;
    let mut projects = Vec::new();
    let mut organization = shared.organization();
    for project in fields.objects("projects", &["id", "role"])? {
        let id = project.required_text("id")?;
        organization.active_project(&id)?;
        let role = project.required_choice("role", &["member", "owner"])?;
        projects.push(json!({ "id": id, "role": role }));
    }
    if organization.users.iter().any(|user| user.email == email && !user.deleted) {
        let message = "A person with this email address is in the organization already.";
        return Err(ApiError::bad_request(message).param("email"));
    }
    let id = organization.new_id("invite-");
    let now = shared.clock.now();
    let invite = json!({
        "object": "organization.invite",
        "id": id,
        "email": email,
        "role": role,
        "status": "pending",
        "created_at": now,
        "expires_at": now + LIFETIME,
        "accepted_at": null,
        "projects": projects,
    });
    organization.invites.add(id.clone(), invite.clone());
    let event = json!({ "id": id, "data": { "email": email, "role": role } });
    Ok(Json(invite).noting("invite.sent", None, event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let invite = organization.invites.get(WHAT, &ids["invite_id"])?;
    Ok(Json(shown(invite, shared.clock.now())))
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["invite_id"];
    let mut organization = shared.organization();
    if organization.invites.get(WHAT, id)?["status"] == "accepted" {
        return Err(ApiError::bad_request("An invite that was accepted cannot be deleted."));
    }
    organization.invites.delete(WHAT, id)?;
    let answer = json!({ "object": "organization.invite.deleted", "id": id, "deleted": true });
    Ok(Json(answer).noting("invite.deleted", None, json!({ "id": id })))
}

/// Makes the invited a person of the organization and tells their id; `None` if there is no such
/// invite that still stands.
pub(super) fn accept(organization: &mut Organization, id: &str, now: u64) -> Option<String> {
    let invite = organization.invites.get_mut(WHAT, id).ok()?;
    if shown(invite, now)["status"] != "pending" {
        return None;
    }
    invite["status"] = "accepted".into();
    invite["accepted_at"] = now.into();
    let invite = invite.clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let email = text(&invite["email"]);
    let name = email.split('@').next().unwrap_or_default();
    let user = organization.add_user(name, &text(&invite["role"]), now);
    let joined = organization.user_mut(&user).ok()?;
    joined.email = email;
    for project in invite["projects"].as_array().into_iter().flatten() {
        joined.join(&text(&project["id"]), &text(&project["role"]), now);
    }
    Some(user)
}

fn shown(invite: &Value, now: u64) -> Value {
    let mut shown = invite.clone();
    let is_over = invite["expires_at"].as_u64().is_some_and(|at| at <= now);
    if invite["status"] == "pending" && is_over {
        shown["status"] = "expired".into();
    }
    shown
}
