//! Audit events of every type and in every order of their fields.

use std::fmt;

use keyward_core::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::resources::shapes;
use crate::{
    AuditDetails, AuditEvent, AuditEventType, AuditLogQuery, AuditPayload, Scope, ServiceAccountId,
    UserId, decode,
};

fn read(json: &str) -> AuditEvent {
    decode::decode(json.as_bytes()).unwrap_or_else(|e| panic!("{e}: {json}"))
}

/// Every order of these.
fn orders(items: &[String]) -> Vec<Vec<String>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (n, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(n);
        for mut order in orders(&rest) {
            order.push(first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn an_event_is_read_whatever_it_has() {
    let user = json!({"id": "user-1", "email": "one@x"});
    let full = json!({
        "id": "audit_log-1", "type": "comet.landed", "effective_at": 1_790_000_000,
        "project": {"id": "proj-1", "name": "website"},
        "actor": {
            "type": "a ghost",
            "session": {"user": user, "ip_address": "192.0.2.7"},
            "api_key": {
                "id": "key-1", "type": "nobody", "user": user,
                "service_account": {"id": "svc-1"},
            },
        },
    });
    let with_payload = |payload: Value| {
        let mut full = full.clone();
        full["comet.landed"] = payload;
        full
    };
    // The payload is the one thing that `Debug` does not show.
    let event = read(&with_payload(json!({"crater": [1]})).to_string());
    assert_eq!(event.payload.expect("a payload").json(), r#"{"crater":[1]}"#);
    shapes::check::<Shown>(&["id"], &full);
    for odd in [json!(7), json!("word"), json!([]), json!(false)] {
        let event = read(&with_payload(odd.clone()).to_string());
        assert_eq!(event.payload.expect("a payload").json(), odd.to_string());
    }
    assert!(read(&with_payload(json!(null)).to_string()).payload.is_none());
}

/// An event without its payload, which the table above leaves out.
struct Shown(AuditEvent);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AuditEvent::deserialize(deserializer).map(Self)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditEvent { id, event_type, effective_at, project, actor, payload: _ } = &self.0;
        write!(f, "{:?}", (id, event_type, effective_at, project, actor))
    }
}

#[test]
fn a_payload_is_found_in_whatever_order_the_fields_come() {
    for event_type in ["api_key.created", "tenant.user.added", "comet.landed", "undotted"] {
        let payload = r#"{"id": "key-1", "data": {"scopes": ["api.files.read"]}}"#;
        let fields = [
            r#""id": "audit_log-1""#.to_owned(),
            format!(r#""type": "{event_type}""#),
            format!(r#""{event_type}": {payload}"#),
            r#""effective_at": 1790000000"#.to_owned(),
            // Of another type, and of none.
            r#""project.created": {"id": "decoy"}"#.to_owned(),
            r#""of_next_year": {"id": "decoy"}"#.to_owned(),
        ];
        for order in orders(&fields) {
            let json = format!("{{{}}}", order.join(", "));
            let event = read(&json);
            assert_eq!(event.id.as_str(), "audit_log-1", "{json}");
            assert_eq!(event.event_type, Some(event_type.into()), "{json}");
            assert_eq!(event.payload.as_ref().map(AuditPayload::json), Some(payload), "{json}");
            let change = event.api_key_change();
            assert_eq!(change.is_some(), event_type == "api_key.created");
        }
    }
}

#[test]
fn every_known_type_finds_its_payload_first_or_last() {
    assert_eq!(AuditEventType::KNOWN.len(), 149);
    for event_type in AuditEventType::KNOWN {
        for json in [
            format!(r#"{{"id": "e", "type": "{event_type}", "{event_type}": {{"n": 1}}}}"#),
            format!(r#"{{"{event_type}": {{"n": 1}}, "type": "{event_type}", "id": "e"}}"#),
        ] {
            let event = read(&json);
            assert_eq!(event.event_type.as_ref(), Some(event_type));
            assert_eq!(event.payload.expect("a payload").json(), r#"{"n": 1}"#);
        }
    }
}

#[test]
fn an_event_without_a_type_has_no_payload() {
    for json in [
        r#"{"id": "e", "api_key.created": {"id": "key-1"}}"#,
        r#"{"id": "e", "type": null, "api_key.created": {"id": "key-1"}}"#,
        r#"{"api_key.created": {"id": "key-1"}, "type": ["api_key.created"], "id": "e"}"#,
        r#"{"id": "e", "type": "login.succeeded"}"#,
    ] {
        assert!(read(json).payload.is_none(), "{json}");
    }
}

#[test]
fn debug_does_not_show_a_payload() {
    let event = read(r#"{"id": "e", "type": "a.b", "a.b": {"note": "between us"}}"#);
    let shown = format!("{event:?}");
    assert!(shown.contains("AuditPayload(22 bytes)"), "{shown}");
    assert!(!shown.contains("between"), "{shown}");
}

#[test]
fn changes_are_read_of_their_own_events() {
    let event = |event_type: &str, payload: Value| {
        read(&json!({"id": "e", "type": event_type, event_type: payload}).to_string())
    };
    let scopes = Some(vec![Scope::FILES_READ]);
    let asked = json!({"scopes": ["api.files.read"]});
    for (event_type, payload, id, expected) in [
        ("api_key.created", json!({"id": "k", "data": asked}), Some("k"), &scopes),
        ("api_key.updated", json!({"id": "k", "changes_requested": asked}), Some("k"), &scopes),
        ("api_key.deleted", json!({"id": "k"}), Some("k"), &None),
        ("api_key.melted", json!({"id": 7, "data": "?"}), Some("7"), &None),
        ("api_key.created", json!({}), None, &None),
    ] {
        let event = event(event_type, payload);
        let change = event.api_key_change().expect("a change of a key");
        assert_eq!((change.id.as_deref(), &change.scopes), (id, expected), "{event_type}");
        assert!(event.service_account_change().is_none());
    }
    for (event_type, payload, role) in [
        ("service_account.created", json!({"id": "s", "data": {"role": "member"}}), Some("member")),
        (
            "service_account.updated",
            json!({"id": "s", "changes_requested": {"role": "owner"}}),
            Some("owner"),
        ),
        ("service_account.deleted", json!({"id": "s"}), None),
    ] {
        let event = event(event_type, payload);
        let change = event.service_account_change().expect("a change of a service account");
        assert_eq!(change.id, Some(ServiceAccountId::from("s")));
        assert_eq!(change.role.as_deref(), role, "{event_type}");
        assert!(event.api_key_change().is_none());
    }
    assert!(event("api_key.created", json!("?")).api_key_change().is_none());
    assert!(read(r#"{"id": "e", "type": "api_key.created"}"#).api_key_change().is_none());
}

#[test]
fn a_query_says_all_that_it_was_told() {
    let at = Timestamp::from_unix_seconds;
    let query = AuditLogQuery::new()
        .since(at(1))
        .after(at(2))
        .until(at(3))
        .up_to(at(4))
        .of_project("p1")
        .of_project("p2")
        .of_type(AuditEventType::API_KEY_CREATED)
        .of_type("comet.landed")
        .by_actor(UserId::from("user-1"))
        .by_email("one@x")
        .on_resource("r")
        .tenant_only()
        .before("audit_log-9");
    let sent: Vec<String> =
        query.call().query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        sent.join("&"),
        "limit=100&effective_at[gte]=1&effective_at[gt]=2&effective_at[lt]=3\
         &effective_at[lte]=4&project_ids[]=p1&project_ids[]=p2\
         &event_types[]=api_key.created&event_types[]=comet.landed&actor_ids[]=user-1\
         &actor_emails[]=one@x&resource_ids[]=r&tenant_only=true&before=audit_log-9"
    );
}

/// An event of this type of which this is told.
fn with_payload(event_type: &str, payload: &Value) -> AuditEvent {
    read(&json!({"id": "e", "type": event_type, event_type: payload}).to_string())
}

/// What is told of the types of each family, with everything that is documented; and what is not
/// of it.
fn told() -> Vec<(&'static [&'static str], Value)> {
    let named = json!([{"id": "x-1", "name": "first"}, {"id": "x-2", "name": "second"}]);
    let binding = json!({
        "id": "ws__con", "role_id": "role-1", "resource_id": "ws__con",
        "resource_type": "workspace_connector", "permissions": ["read"], "workspace_id": "ws-1",
        "connector_id": "con-1", "connector_name": "Files", "enabled": true,
        "source": "a word",
    });
    let assignment = json!({
        "id": "ra-1", "principal_id": "user-1", "principal_type": "user", "resource_id": "proj-1",
        "resource_type": "api.project",
    });
    vec![
        (&["api_key.created"], json!({"id": "k", "data": {"scopes": ["api.files.read"]}})),
        (
            &["api_key.updated"],
            json!({"id": "k", "changes_requested": {"scopes": ["api.files.read"]}}),
        ),
        (&["certificate.created", "certificate.updated"], json!({"id": "c", "name": "edge"})),
        (&["certificate.deleted"], json!({"id": "c", "name": "edge", "certificate": "PEM"})),
        (&["certificates.activated", "certificates.deactivated"], json!({"certificates": named})),
        (
            &["checkpoint.permission.created"],
            json!({"id": "p", "data": {"project_id": "proj-1", "fine_tuned_model_checkpoint": "ft"}}),
        ),
        (&["external_key.registered"], json!({"id": "ek-1", "data": {}})),
        (&["external_storage.registered", "external_storage.removed"], json!({"id": "es-1"})),
        (&["group.created"], json!({"id": "g", "data": {"group_name": "staff"}})),
        (&["group.updated"], json!({"id": "g", "changes_requested": {"group_name": "staff"}})),
        (&["invite.sent"], json!({"id": "i", "data": {"email": "one@x", "role": "reader"}})),
        (
            &["ip_allowlist.created", "ip_allowlist.updated", "ip_allowlist.deleted"],
            json!({"id": "l", "name": "office", "allowed_ips": ["192.0.2.0/24", "192.0.2.1"]}),
        ),
        (
            &["ip_allowlist.config.activated", "ip_allowlist.config.deactivated"],
            json!({"configs": named}),
        ),
        (
            &["login.failed", "logout.failed"],
            json!({"error_code": "denied", "error_message": "It was denied."}),
        ),
        (
            &["organization.updated"],
            json!({"id": "org-1", "changes_requested": {
                "title": "T", "description": "D", "name": "N", "threads_ui_visibility": "OWNERS",
                "usage_dashboard_visibility": "ANY_ROLE", "api_call_logging": "disabled",
                "api_call_logging_project_ids": "proj-1",
            }}),
        ),
        (&["project.created"], json!({"id": "p", "data": {"name": "shop", "title": "Shop"}})),
        (&["project.updated"], json!({"id": "p", "changes_requested": {"title": "Shop"}})),
        (
            &["rate_limit.updated"],
            json!({"id": "rl", "changes_requested": {
                "max_requests_per_1_minute": 11, "max_tokens_per_1_minute": 12,
                "max_images_per_1_minute": 13, "max_audio_megabytes_per_1_minute": 14,
                "max_requests_per_1_day": 15, "batch_1_day_max_input_tokens": 16,
            }}),
        ),
        (
            &["role.created"],
            json!({
                "id": "role-1", "role_name": "auditor", "permissions": ["read"],
                "resource_type": "api.organization", "resource_id": "org-1",
            }),
        ),
        (
            &["role.updated"],
            json!({"id": "role-1", "changes_requested": {
                "role_name": "auditor", "resource_id": "org-1", "resource_type": "api.organization",
                "permissions_added": ["write"], "permissions_removed": ["admin"],
                "description": "Looks", "metadata": {},
            }}),
        ),
        (&["role.assignment.created", "role.assignment.deleted"], assignment),
        (&["role.bound_to_resource", "role.unbound_from_resource"], binding),
        (&["scim.enabled", "scim.disabled"], json!({"id": "scim-1"})),
        (&["service_account.created"], json!({"id": "s", "data": {"role": "member"}})),
        (&["user.updated"], json!({"id": "u", "changes_requested": {"role": "owner"}})),
        (&["workload_identity_provider.deleted"], json!({"id": "w", "name": "cluster"})),
        (
            &["workload_identity_provider_mapping.deleted"],
            json!({
                "id": "m", "identity_provider_id": "w-1", "project_id": "proj-1",
                "service_account_id": "svc-1",
            }),
        ),
        (
            &[
                "api_key.deleted",
                "checkpoint.permission.deleted",
                "external_key.removed",
                "group.deleted",
                "invite.accepted",
                "invite.deleted",
                "project.archived",
                "project.deleted",
                "rate_limit.deleted",
                "role.deleted",
                "service_account.deleted",
                "user.deleted",
            ],
            json!({"id": "the-id"}),
        ),
        (&["login.succeeded", "logout.succeeded"], json!({})),
    ]
}

#[test]
fn details_have_everything_that_is_told_and_stand_what_is_odd() {
    for (event_type, payload) in
        told().iter().flat_map(|(types, payload)| types.iter().map(move |t| (*t, payload)))
    {
        let kind = details_have_all(event_type, payload);
        for pointer in shapes::pointers(payload) {
            for odd in [json!(null), json!(7), json!("odd"), json!([7, {}]), json!({"a": [1]})] {
                let mut payload = payload.clone();
                *payload.pointer_mut(&pointer).expect("a pointer") = odd.clone();
                let details = with_payload(event_type, &payload).details().expect("details");
                let same = std::mem::discriminant(&details) == kind;
                assert!(same, "{event_type}: {odd} at {pointer}: {details:?}");
            }
        }
        for none in [json!([]), json!("word"), json!(7), json!(true)] {
            let details = with_payload(event_type, &none).details();
            assert!(matches!(details, Some(AuditDetails::Other)), "{event_type}: {details:?}");
        }
    }
    for unknown in ["tenant.user.added", "comet.landed", "api_key", "", "resource.deleted"] {
        let details = with_payload(unknown, &json!({"id": "x"})).details();
        assert!(matches!(details, Some(AuditDetails::Other)), "{unknown}: {details:?}");
    }
    assert!(read(r#"{"id": "e", "type": "login.failed"}"#).details().is_none());
}

#[track_caller]
fn details_have_all(event_type: &str, payload: &Value) -> std::mem::Discriminant<AuditDetails> {
    let details = with_payload(event_type, payload).details().expect("details");
    assert!(!matches!(details, AuditDetails::Other), "{event_type} is not known");
    let shown = format!("{details:?}");
    for text in shapes::leaves(payload) {
        assert!(shown.contains(&text), "{event_type}: {text} is lost: {shown}");
    }
    std::mem::discriminant(&details)
}

/// The published specification is not part of the project, so this looks where it is told to.
#[test]
#[allow(clippy::print_stdout, reason = "tells that it was skipped")]
fn details_have_everything_that_is_specified() {
    #[allow(clippy::disallowed_methods, reason = "tells a test where the facts are")]
    let Some(facts) = std::env::var_os("KEYWARD_FACTS").map(std::path::PathBuf::from) else {
        println!(
            "skipped: set KEYWARD_FACTS to a directory with admin-openapi.json, the published \
                  specification"
        );
        return;
    };
    let text =
        std::fs::read_to_string(facts.join("admin-openapi.json")).expect("the specification");
    let specification: Value = serde_json::from_str(&text).expect("JSON");
    let events = &specification["components"]["schemas"]["AuditLog"]["properties"];
    let mut types = 0;
    for (event_type, schema) in events.as_object().expect("properties") {
        if !event_type.contains('.') {
            continue;
        }
        types += 1;
        let payload = instance(&specification, schema, &mut 100);
        details_have_all(event_type, &payload);
    }
    assert_eq!(types, 55);
}

/// Something that a schema allows, with every property in it; no two values are the same.
fn instance(specification: &Value, schema: &Value, next: &mut i64) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = specification.pointer(name.trim_start_matches('#')).expect("a schema");
        return instance(specification, schema, next);
    }
    *next += 1;
    let number = *next;
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer") => json!(number),
        Some("array") => json!([instance(specification, &schema["items"], next)]),
        Some("string") => json!(format!("text {number}")),
        _ => {
            let properties = schema["properties"].as_object();
            let properties = properties.into_iter().flatten();
            properties
                .map(|(name, schema)| (name.clone(), instance(specification, schema, next)))
                .collect()
        }
    }
}
