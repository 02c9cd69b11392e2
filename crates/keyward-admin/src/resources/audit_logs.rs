//! Audit logs: what was done in the organization, when, and by whom.

use std::borrow::Cow;
use std::fmt;

use keyward_core::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{Tolerated, lenient, lenient_struct, open_enum};
use crate::{
    AuditEventId, AuditEventType, Client, KeyOwnerKind, Pages, ProjectId, Scope, ServiceAccountId,
    UserId, operations,
};

/// Something that was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The id.
    pub id: AuditEventId,
    /// What was done.
    pub event_type: Option<AuditEventType>,
    /// When.
    pub effective_at: Option<Timestamp>,
    /// In which project; none when it was done to the organization.
    pub project: Option<AuditProject>,
    /// By whom.
    pub actor: Option<AuditActor>,
    /// What else is told of it, in the field that is named as the type is. Many types have none.
    pub payload: Option<AuditPayload>,
}

impl AuditEvent {
    /// What was done to a key, if it was something of the sort `api_key.created`.
    #[must_use]
    pub fn api_key_change(&self) -> Option<ApiKeyChange> {
        let change = self.change("api_key.")?;
        let Asked { scopes, .. } = change.data.or(change.changes_requested).unwrap_or_default();
        Some(ApiKeyChange { id: change.id, scopes })
    }

    /// What was done to a service account, if it was something of the sort
    /// `service_account.created`.
    #[must_use]
    pub fn service_account_change(&self) -> Option<ServiceAccountChange> {
        let change = self.change("service_account.")?;
        let Asked { role, .. } = change.data.or(change.changes_requested).unwrap_or_default();
        Some(ServiceAccountChange { id: change.id.map(ServiceAccountId::from), role })
    }

    fn change(&self, of: &str) -> Option<Change> {
        let is_of = self.event_type.as_ref()?.as_str().starts_with(of);
        if !is_of {
            return None;
        }
        serde_json::from_str(self.payload.as_ref()?.json()).ok()
    }
}

impl Listed for AuditEvent {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// An event is read in one walk, and of its payload nothing but where it ends.
impl<'de> Deserialize<'de> for AuditEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;

        impl<'de> Visitor<'de> for EventVisitor {
            type Value = AuditEvent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audit event")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AuditEvent, A::Error> {
                walk(map)
            }
        }

        deserializer.deserialize_map(EventVisitor)
    }
}

fn walk<'de, A: MapAccess<'de>>(mut map: A) -> Result<AuditEvent, A::Error> {
    let mut id: Option<String> = None;
    let mut event_type: Option<AuditEventType> = None;
    let mut effective_at = None;
    let mut project = None;
    let mut actor = None;
    let mut payload = None;
    // What may turn out to be the payload, while the type has not come.
    let mut candidates: Vec<(String, Box<RawValue>)> = Vec::new();
    while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
        match &*name {
            "id" => id = map.next_value::<Tolerated<_>>()?.0,
            "type" => {
                event_type = map.next_value::<Tolerated<_>>()?.0;
                let is_named_so = |name: &str| is_of_type(name, event_type.as_ref());
                let found = candidates.drain(..).find(|(name, _)| is_named_so(name));
                payload = found.map(|(_, json)| json).or(payload);
            }
            "effective_at" => effective_at = map.next_value::<Tolerated<_>>()?.0,
            "project" => project = map.next_value::<Tolerated<_>>()?.0,
            "actor" => actor = map.next_value::<Tolerated<_>>()?.0,
            name if is_of_type(name, event_type.as_ref()) => payload = Some(map.next_value()?),
            "object" => drop(map.next_value::<IgnoredAny>()?),
            _ if event_type.is_none() => candidates.push((name.into_owned(), map.next_value()?)),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| A::Error::custom("no id"))?;
    let payload = payload.filter(|json| json.get() != "null").map(AuditPayload);
    Ok(AuditEvent { id: id.into(), event_type, effective_at, project, actor, payload })
}

/// The name of a field, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn is_of_type(name: &str, event_type: Option<&AuditEventType>) -> bool {
    event_type.is_some_and(|event_type| event_type.as_str() == name)
}

/// What else is told of an event: JSON that is different for each type, as the server wrote it.
///
/// `Debug` shows how long it is, since there may be anything in it.
#[derive(Clone)]
pub struct AuditPayload(Box<RawValue>);

impl AuditPayload {
    /// The JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Debug for AuditPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditPayload({} bytes)", self.json().len())
    }
}

/// What was done to a key. It comes from [`AuditEvent::api_key_change`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApiKeyChange {
    /// The key, by the id that audit logs track it by.
    pub id: Option<String>,
    /// What it may do from now on; none when that was not asked for.
    pub scopes: Option<Vec<Scope>>,
}

/// What was done to a service account. It comes from [`AuditEvent::service_account_change`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceAccountChange {
    /// The service account.
    pub id: Option<ServiceAccountId>,
    /// Its role from now on, `owner` or `member`; none when that was not asked for.
    pub role: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<Asked>,
    #[serde(default, deserialize_with = "lenient")]
    changes_requested: Option<Asked>,
}

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default, deserialize_with = "lenient")]
    scopes: Option<Vec<Scope>>,
    #[serde(default, deserialize_with = "lenient")]
    role: Option<String>,
}

/// The project in which something was done.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditProject {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<ProjectId>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
}

/// Who did something.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditActor {
    /// A person at a screen, or the holder of a key.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<AuditActorKind>,
    /// The person, and from where.
    #[serde(default, deserialize_with = "lenient")]
    pub session: Option<AuditActorSession>,
    /// The key.
    #[serde(default, deserialize_with = "lenient")]
    pub api_key: Option<AuditActorKey>,
}

open_enum! {
    /// As what somebody did something.
    pub enum AuditActorKind {
        /// As the holder of a key.
        ApiKey = "api_key",
        /// As a person who is logged in.
        Session = "session",
    }
}

/// A person who is logged in.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditActorSession {
    /// The person.
    #[serde(default, deserialize_with = "lenient")]
    pub user: Option<AuditActorUser>,
    /// From where.
    #[serde(default, deserialize_with = "lenient")]
    pub ip_address: Option<String>,
}

/// A key with which something was done.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditActorKey {
    /// The key, by the id that audit logs track it by.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    /// A person's or a service account's.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<KeyOwnerKind>,
    /// The person.
    #[serde(default, deserialize_with = "lenient")]
    pub user: Option<AuditActorUser>,
    /// The service account.
    #[serde(default, deserialize_with = "lenient")]
    pub service_account: Option<AuditActorServiceAccount>,
}

/// A person who did something.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditActorUser {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<UserId>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
}

/// A service account that did something.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AuditActorServiceAccount {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<ServiceAccountId>,
}

lenient_struct!(
    Asked,
    AuditActor,
    AuditActorKey,
    AuditActorServiceAccount,
    AuditActorSession,
    AuditActorUser,
    AuditProject,
);

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `list`"]
pub struct AuditLogQuery {
    filters: Vec<(&'static str, String)>,
}

impl AuditLogQuery {
    /// All that are not the tenant's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events from this moment on.
    pub fn since(self, moment: Timestamp) -> Self {
        self.filter("effective_at[gte]", moment.as_unix_seconds())
    }

    /// Events after this moment.
    pub fn after(self, moment: Timestamp) -> Self {
        self.filter("effective_at[gt]", moment.as_unix_seconds())
    }

    /// Events before this moment.
    pub fn until(self, moment: Timestamp) -> Self {
        self.filter("effective_at[lt]", moment.as_unix_seconds())
    }

    /// Events up to this moment.
    pub fn up_to(self, moment: Timestamp) -> Self {
        self.filter("effective_at[lte]", moment.as_unix_seconds())
    }

    /// Events in this project, and in others named so.
    pub fn of_project(self, project: impl Into<ProjectId>) -> Self {
        self.filter("project_ids[]", project.into())
    }

    /// Events of this type, and of others named so.
    pub fn of_type(self, event_type: impl Into<AuditEventType>) -> Self {
        self.filter("event_types[]", event_type.into())
    }

    /// What this user, service account or key (by its tracking id) did, and others named so.
    pub fn by_actor(self, id: impl fmt::Display) -> Self {
        self.filter("actor_ids[]", id)
    }

    /// What the user of this address did, and others named so.
    pub fn by_email(self, email: &str) -> Self {
        self.filter("actor_emails[]", email)
    }

    /// What was done to this, whatever it is, and to others named so.
    pub fn on_resource(self, id: impl fmt::Display) -> Self {
        self.filter("resource_ids[]", id)
    }

    /// The tenant's events alone, such as `role.bound_to_resource`. Types named besides must be
    /// the tenant's too.
    pub fn tenant_only(self) -> Self {
        self.filter("tenant_only", true)
    }

    /// Events before this one, in the server's order.
    pub fn before(self, id: impl Into<AuditEventId>) -> Self {
        self.filter("before", id.into())
    }

    fn filter(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.filters.push((name, value.to_string()));
        self
    }

    fn call(&self) -> Call {
        let call = Call::new(operations::AUDIT_LOGS_LIST, []).query("limit", PAGE);
        self.filters.iter().fold(call, |call, (name, value)| call.query(name, value))
    }
}

/// The organization's audit logs. It comes from [`Client::audit_logs`].
///
/// An owner must have switched them on first.
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{AuditEventType, AuditLogQuery};
///
/// let query = AuditLogQuery::new().of_type(AuditEventType::API_KEY_CREATED);
/// let mut events = client.audit_logs().list(&query);
/// while let Some(event) = events.next().await {
///     if let Some(change) = event?.api_key_change() {
///         println!("{:?} may do {:?}", change.id, change.scopes);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AuditLogs {
    client: Client,
}

impl AuditLogs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists events.
    ///
    /// [OpenAI's reference](https://platform.openai.com/docs/api-reference/audit-logs/list)
    pub fn list(&self, query: &AuditLogQuery) -> Pages<AuditEvent> {
        Pages::new(self.client.clone(), query.call())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::decode;
    use crate::resources::shapes;

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
            (
                "service_account.created",
                json!({"id": "s", "data": {"role": "member"}}),
                Some("member"),
            ),
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
}
