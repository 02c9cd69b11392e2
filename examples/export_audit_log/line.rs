//! What is on a line: an event as JSON, field by field, and no more.

use keyward::find;
use keyward_admin::{AuditActor, AuditActorUser, AuditEvent, Error};
use serde_json::{Value, json};

/// `id`, `type`, `effective_at` (unix seconds), `project`, `actor`, and under `payload` what else
/// the server told, where it told anything. What looks like a key is masked.
pub(crate) fn of(event: &AuditEvent) -> String {
    let project =
        event.project.as_ref().map(|project| json!({ "id": project.id, "name": project.name }));
    let mut line = json!({
        "id": event.id,
        "type": event.event_type,
        "effective_at": event.effective_at.map(keyward::Timestamp::as_unix_seconds),
        "project": project,
        "actor": event.actor.as_ref().map(actor),
    })
    .to_string();
    if let Some(payload) = &event.payload {
        // In JSON a line ends between two tokens alone.
        let payload = find::scrub(payload.json()).replace(['\n', '\r'], " ");
        line.pop();
        line.push_str(",\"payload\":");
        line.push_str(&payload);
        line.push('}');
    }
    line
}

/// What stands in the place of an event that could not be read.
pub(crate) fn unreadable(error: &Error) -> String {
    json!({ "unreadable": error.to_string() }).to_string()
}

fn actor(actor: &AuditActor) -> Value {
    let user = |user: &AuditActorUser| json!({ "id": user.id, "email": user.email });
    json!({
        "type": actor.kind,
        "session": actor.session.as_ref().map(|session| json!({
            "user": session.user.as_ref().map(user),
            "ip_address": session.ip_address,
        })),
        "api_key": actor.api_key.as_ref().map(|key| json!({
            "id": key.id,
            "type": key.kind,
            "user": key.user.as_ref().map(user),
            "service_account": key.service_account.as_ref().map(|account| json!({ "id": account.id })),
        })),
    })
}
