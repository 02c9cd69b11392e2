//! [`MintedKey`]: a key that was just made, caught on the way in and never lost.

use std::fmt;

use keyward_core::{ApiKey, KeyKind, Timestamp, find};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::transport::Call;
use crate::{Client, Error, ErrorKind};

/// A key that was just made. Its text is shown this once.
///
/// # Security
///
/// The value goes from the answer straight into [`ApiKey`], whatever its format: one that this
/// version does not know is [`KeyKind::Unknown`] and still yours. Whether it may be *used* is a
/// policy's question. `Debug` shows kind and fingerprint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MintedKey<Id> {
    /// What the server says of the key.
    pub metadata: KeyMetadata<Id>,
    /// The key itself: store it now.
    pub key: ApiKey,
}

/// What the server says of a key that it just made.
///
/// Every field is optional, even the id: a key must not be lost because its description drifted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyMetadata<Id> {
    /// The id, by which the key is managed.
    pub id: Option<Id>,
    /// The name.
    pub name: Option<String>,
    /// When it was made, by the server's clock.
    pub created_at: Option<Timestamp>,
    /// When it expires; none when it does not.
    pub expires_at: Option<Timestamp>,
}

/// Sends a call that makes a key.
pub(crate) async fn mint<Id: From<String>>(
    client: &Client,
    call: Call,
) -> Result<MintedKey<Id>, Error> {
    let answer = mint_or_not(client, call.clone()).await?;
    let (metadata, key) = answer.into_key();
    let Some(key) = key else {
        return Err(unreadable(&call));
    };
    Ok(MintedKey { metadata, key })
}

/// Sends a call that makes something which may come with a key.
pub(crate) async fn mint_or_not(client: &Client, call: Call) -> Result<MintAnswer, Error> {
    let (body, failed) = match client.transport().send_keeping_received(&call).await {
        Ok(body) => (body, None),
        Err(failure) => (failure.received, Some(failure.error)),
    };
    let mut answer = MintAnswer::default();
    let mut json = serde_json::Deserializer::from_slice(&body);
    let read = Walk { answer: &mut answer, place: Place::Top }.deserialize(&mut json);
    // An answer that breaks off behind the key is still an answer with a key.
    match (failed, read) {
        _ if answer.key().is_some() => Ok(answer),
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(answer),
        (None, Err(_)) => Err(unreadable(&call)),
    }
}

/// The call had its effect, as its status says, and what it made cannot be read.
pub(crate) fn unreadable(call: &Call) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, "the answer is a success and has no key that can be read")
        .in_operation(&call.operation)
}

/// What was found in an answer to a call that makes something.
#[derive(Debug, Default)]
pub(crate) struct MintAnswer {
    /// What stands in the answer itself.
    pub(crate) top: Description,
    /// What stands in its `api_key`, when a service account was made.
    nested: Option<Description>,
    value: Option<ApiKey>,
    elsewhere: Option<ApiKey>,
}

#[derive(Debug, Default)]
pub(crate) struct Description {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl MintAnswer {
    pub(crate) fn key(&self) -> Option<&ApiKey> {
        self.value.as_ref().or(self.elsewhere.as_ref())
    }

    /// The key, described by what stands beside it.
    pub(crate) fn into_key<Id: From<String>>(mut self) -> (KeyMetadata<Id>, Option<ApiKey>) {
        self.nested = Some(self.nested.unwrap_or(self.top));
        self.top = Description::default();
        self.into_nested_key()
    }

    /// The key, described by `api_key` alone: what stands above it is another thing's.
    pub(crate) fn into_nested_key<Id: From<String>>(self) -> (KeyMetadata<Id>, Option<ApiKey>) {
        let about = self.nested.unwrap_or_default();
        let metadata = KeyMetadata {
            id: about.id.map(Id::from),
            name: about.name,
            created_at: about.created_at,
            expires_at: about.expires_at,
        };
        (metadata, self.value.or(self.elsewhere))
    }
}

/// Where in the answer a value stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Top,
    /// In `api_key`.
    Nested,
    /// Anywhere else: only what is unmistakably a key counts.
    Elsewhere,
}

/// Walks the whole answer. It never fails on a shape, only where the JSON itself ends.
struct Walk<'a> {
    answer: &'a mut MintAnswer,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(FieldVisitor {
            answer: self.answer,
            place: self.place,
            field: "",
        })
    }
}

struct FieldVisitor<'a> {
    answer: &'a mut MintAnswer,
    place: Place,
    field: &'static str,
}

impl<'de> DeserializeSeed<'de> for FieldVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl FieldVisitor<'_> {
    fn about(&mut self) -> Option<&mut Description> {
        match self.place {
            Place::Top => Some(&mut self.answer.top),
            Place::Nested => Some(self.answer.nested.get_or_insert_default()),
            Place::Elsewhere => None,
        }
    }

    fn number(mut self, number: i64) {
        let field = self.field;
        let Some(about) = self.about() else { return };
        match field {
            "created_at" => about.created_at = Some(Timestamp::from_unix_seconds(number)),
            "expires_at" => about.expires_at = Some(Timestamp::from_unix_seconds(number)),
            _ => {}
        }
    }
}

impl<'de> Visitor<'de> for FieldVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        // The door for minted keys: the text is copied once, at its exact size, into the key.
        if self.field == "value" && self.place != Place::Elsewhere {
            if let Ok(key) = ApiKey::issued(text.to_owned()) {
                self.answer.value = Some(key);
            }
            return Ok(());
        }
        // Elsewhere, only what is unmistakably a whole key is one; `parse` refuses redacted forms.
        let is_ours = matches!(
            KeyKind::classify(text.as_bytes()),
            KeyKind::Admin | KeyKind::Project | KeyKind::ServiceAccount
        );
        if is_ours && let Ok(key) = ApiKey::parse(text.to_owned()) {
            self.answer.elsewhere.get_or_insert(key);
            return Ok(());
        }
        // A description that has a key in it is no description.
        if find::contains_key(text) {
            return Ok(());
        }
        let field = self.field;
        if let Some(about) = self.about() {
            match field {
                "id" => about.id = Some(text.to_owned()),
                "name" => about.name = Some(text.to_owned()),
                "role" => about.role = Some(text.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        if let Ok(number) = i64::try_from(number) {
            self.number(number);
        }
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { answer, field, .. } = self;
        while seq
            .next_element_seed(FieldVisitor {
                answer: &mut *answer,
                place: Place::Elsewhere,
                field,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { answer, place, field } = self;
        let place = match (place, field) {
            (Place::Top, "") => Place::Top,
            (Place::Top, "api_key") => Place::Nested,
            _ => Place::Elsewhere,
        };
        while let Some(name) = map.next_key_seed(FieldName)? {
            map.next_value_seed(FieldVisitor { answer: &mut *answer, place, field: name })?;
        }
        Ok(())
    }
}

/// A field's name, as far as this module knows it; a name that could hold a secret is not kept.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = &'static str;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<&'static str, E> {
                const KNOWN: [&str; 7] =
                    ["api_key", "created_at", "expires_at", "id", "name", "role", "value"];
                Ok(KNOWN.into_iter().find(|known| *known == name).unwrap_or("other"))
            }
        }

        deserializer.deserialize_any(Name)
    }
}

#[cfg(test)]
mod tests {
    use keyward_testkit::keys::{self, KeyRng};

    use super::{MintAnswer, Place, Walk};
    use crate::ApiKeyId;
    use serde::de::DeserializeSeed as _;

    fn walk(json: &str) -> (MintAnswer, bool) {
        let mut answer = MintAnswer::default();
        let mut de = serde_json::Deserializer::from_str(json);
        let ok = Walk { answer: &mut answer, place: Place::Top }.deserialize(&mut de).is_ok();
        (answer, ok)
    }

    #[test]
    fn a_key_is_found_wherever_the_answer_has_drifted_to() {
        let key = keys::service_account_key(&mut KeyRng::seeded(1));
        for (template, id) in [
            (r#"{"id":"key_1","value":"KEY","created_at":1}"#, Some("key_1")),
            (r#"{"value":"KEY"}"#, None),
            (r#"{"id":7,"name":[],"created_at":"x","value":"KEY"}"#, None),
            (r#"{"id":"a","api_key":{"id":"key_2","value":"KEY"}}"#, Some("key_2")),
            (r#"{"id":"a","data":{"secret":["KEY"]}}"#, Some("a")),
            (r#"{"id":"a","value":{"text":"KEY"}}"#, Some("a")),
            (r#"{"id":"a","value":"KEY","owner":{"id":"b","name":"c"#, Some("a")),
            (r#"{"value":"KEY","id":"KEY","name":"KEY"}"#, None),
        ] {
            let (answer, _) = walk(&template.replace("KEY", &key));
            assert!(answer.key().is_some(), "{template}");
            assert!(!format!("{answer:?}").contains(&key[20..40]), "{template}");
            let (metadata, _) = answer.into_key::<ApiKeyId>();
            assert_eq!(metadata.id.as_ref().map(ApiKeyId::as_str), id, "{template}");
        }
    }

    #[test]
    fn a_value_of_unknown_format_is_kept_and_a_redacted_one_is_not_taken_for_it() {
        let (answer, ok) =
            walk(r#"{"value":"oai2_Zm9vYmFyYmF6cXV4","redacted_value":"sk-pro...x1"}"#);
        assert!(ok);
        assert_eq!(
            answer.key().map(keyward_core::ApiKey::kind),
            Some(keyward_core::KeyKind::Unknown)
        );

        for none in [
            r#"{"redacted_value":"sk-proj-****ab12"}"#,
            r#"{"value":12345678901234567890}"#,
            r#"{"value":null}"#,
            r#"{"value":""}"#,
            r#"{"value":"two words"}"#,
            "[]",
            "",
            "<html>",
        ] {
            assert!(walk(none).0.key().is_none(), "{none}");
        }
    }
}
