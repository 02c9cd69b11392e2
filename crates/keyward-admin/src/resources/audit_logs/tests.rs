//! Audit events of every type and in every order of their fields.

use std::fmt;

use keyward_core::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::resources::shapes;
use crate::{
    AuditEvent, AuditEventType, AuditLogQuery, AuditPayload, Scope, ServiceAccountId, UserId,
    decode,
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
