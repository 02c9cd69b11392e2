//! [`AuditEvent`]: what was done, when, by whom, and what else is told of it.

use std::borrow::Cow;
use std::fmt;

use keyward_core::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::page::Listed;
use crate::wire::{Tolerated, lenient, lenient_struct, open_enum};
use crate::{AuditEventId, AuditEventType, KeyOwnerKind, ProjectId, ServiceAccountId, UserId};

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
            _ if event_type.is_none() && candidates.len() < MOST_CANDIDATES => {
                candidates.push((name.into_owned(), map.next_value()?));
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| A::Error::custom("no id"))?;
    let payload = payload.filter(|json| json.get() != "null").map(AuditPayload);
    Ok(AuditEvent { id: id.into(), event_type, effective_at, project, actor, payload })
}

/// An event has a handful of fields. Of one with a million before its type, a payload that is not
/// among the first is not looked for.
const MOST_CANDIDATES: usize = 64;

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
    AuditActor,
    AuditActorKey,
    AuditActorServiceAccount,
    AuditActorSession,
    AuditActorUser,
    AuditProject,
);
