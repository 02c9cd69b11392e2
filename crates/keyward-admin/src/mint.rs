//! [`MintedKey`]: a key that was just made, caught on the way in and never lost.

use std::fmt;

use keyward_core::{ApiKey, KeyFingerprint, KeyKind, Timestamp, find};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::late::{Catch, Caught};
use crate::transport::Call;
use crate::wire::Lenient as _;
use crate::{Client, Error, ErrorKind, operations};

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
    let Some(key) = key else { return Err(unreadable(&call)) };
    Ok(MintedKey { metadata, key })
}

/// Sends a call that makes something which may come with a key.
pub(crate) async fn mint_or_not(client: &Client, call: Call) -> Result<MintAnswer, Error> {
    let (body, failed) = match client.transport().send_keeping_received(&call).await {
        Ok(received) => (received.body, None),
        Err(failure) => (failure.received, Some(failure.error)),
    };
    let (answer, is_whole) = MintAnswer::read(&body, &Wanted::of(client, &call, body.catch()));
    match failed {
        // An answer that broke off behind the key, or that has one in spite of its status, is
        // still an answer with a key.
        _ if answer.rank() == Some(Rank::Fitting) => Ok(answer),
        Some(error) => Err(error),
        None if is_whole || answer.rank().is_some() => Ok(answer),
        None => Err(unreadable(&call)),
    }
}

/// The call had its effect, as its status says, and what it made cannot be read.
pub(crate) fn unreadable(call: &Call) -> Error {
    Error::new(ErrorKind::OutcomeUnknown, "the answer is a success and has no key that can be read")
        .in_operation(&call.operation)
}

/// Which key an answer is expected to have, and which it must not be taken to have.
struct Wanted {
    kinds: &'static [KeyKind],
    /// The key that the call was made with: a server may repeat it.
    not: KeyFingerprint,
    /// Who has the key, if it was caught on its way.
    catch: Catch,
}

impl Wanted {
    fn of(client: &Client, call: &Call, catch: &Catch) -> Self {
        let kinds: &[_] = if call.operation == operations::ADMIN_KEYS_CREATE {
            &[KeyKind::Admin]
        } else if call.operation.is_made_up() {
            &[KeyKind::Admin, KeyKind::ServiceAccount, KeyKind::Project]
        } else {
            &[KeyKind::ServiceAccount, KeyKind::Project]
        };
        Self { kinds, not: client.key_fingerprint(), catch: catch.clone() }
    }
}

/// What was found in an answer to a call that makes something.
#[derive(Debug, Default)]
pub(crate) struct MintAnswer {
    /// What stands in the answer itself.
    pub(crate) top: Description,
    /// What stands in its `api_key`, when a service account was made.
    nested: Option<Description>,
    found: Option<(Rank, ApiKey)>,
}

/// How sure it is that a text is the key that was made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    /// It stands where the key should, and has a format that this version does not know.
    InPlace,
    /// It is a key of the kind that was asked for.
    Fitting,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl MintAnswer {
    /// What the answer has, and whether it was read to its end.
    fn read(body: &[u8], wanted: &Wanted) -> (Self, bool) {
        let mut answer = Self::default();
        let json = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let mut json = serde_json::Deserializer::from_slice(json);
        let walk = Walk { answer: &mut answer, wanted, place: Place::Top, field: "" };
        let is_whole = walk.deserialize(&mut json).is_ok();
        if !is_whole && answer.rank() < Some(Rank::Fitting) {
            answer.search(body, wanted);
        }
        (answer, is_whole)
    }

    /// Looks for a key in what JSON could not be read of: between quotes, because what the end of
    /// the answer cut off is a part of a key and worse than none.
    fn search(&mut self, body: &[u8], wanted: &Wanted) {
        let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        for rest in body.split_inclusive(|b| !is_key(b)) {
            let Some((end, word)) = rest.split_last() else { continue };
            let is_closed = matches!(end, b'"' | b'\\');
            if is_closed && let Ok(text) = str::from_utf8(word) {
                self.offer(text, Place::Elsewhere, wanted);
            }
        }
    }

    /// Takes a text for the key, if it can be one and nothing better was found before.
    fn offer(&mut self, text: &str, place: Place, wanted: &Wanted) {
        let text = text.trim();
        let caught = match wanted.catch.look(text) {
            Caught::Key(key) => Some(key),
            Caught::Lost => return,
            Caught::Text => None,
        };
        let kind = caught.as_ref().map_or_else(|| KeyKind::classify(text.as_bytes()), ApiKey::kind);
        let rank = if wanted.kinds.contains(&kind) {
            Rank::Fitting
        } else if place != Place::Elsewhere && kind != KeyKind::Admin {
            Rank::InPlace
        } else {
            return;
        };
        // The door for minted keys: the text is copied once, at its exact size, into the key. What
        // is redacted, a word or a placeholder is no key.
        let key = match (caught, rank) {
            (Some(caught), _) => Ok(caught),
            (None, Rank::Fitting) => ApiKey::parse(text.to_owned()),
            (None, Rank::InPlace) if is_shown_in_part(text) => return,
            (None, Rank::InPlace) => ApiKey::issued(text.to_owned()),
        };
        let Ok(key) = key else { return };
        if key.fingerprint() != wanted.not && self.rank() < Some(rank) {
            self.found = Some((rank, key));
        }
    }

    fn rank(&self) -> Option<Rank> {
        self.found.as_ref().map(|(rank, _)| *rank)
    }

    pub(crate) fn has_key(&self) -> bool {
        self.found.is_some()
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
        (metadata, self.found.map(|(_, key)| key))
    }
}

/// Whether a text is too short for a key, or shows that some of it is left out.
fn is_shown_in_part(text: &str) -> bool {
    const SHORTEST: usize = 16;

    text.len() < SHORTEST || text.contains("...") || text.contains(['*', '…', '•'])
}

/// Where in the answer a value stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Top,
    /// In `api_key`.
    Nested,
    /// Anywhere else: only a key of the kind that was asked for counts.
    Elsewhere,
}

/// Walks the whole answer. It never fails on a shape, only where the JSON itself ends.
struct Walk<'a> {
    answer: &'a mut MintAnswer,
    wanted: &'a Wanted,
    place: Place,
    field: &'static str,
}

impl Walk<'_> {
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
            "id" => about.id = Some(number.to_string()),
            _ => {}
        }
    }

    fn text(mut self, text: &str) {
        if self.field == "value" && self.place != Place::Elsewhere {
            self.answer.offer(text, self.place, self.wanted);
            return;
        }
        self.answer.offer(text, Place::Elsewhere, self.wanted);
        // A description that has a key in it is no description.
        if find::contains_key(text) {
            return;
        }
        let field = self.field;
        let Some(about) = self.about() else { return };
        match field {
            "created_at" => about.created_at = Timestamp::from_text(text),
            "expires_at" => about.expires_at = Timestamp::from_text(text),
            "id" => about.id = Some(text.to_owned()),
            "name" => about.name = Some(text.to_owned()),
            "role" => about.role = Some(text.to_owned()),
            _ => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
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

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        if let Some(time) = Timestamp::from_float(number) {
            self.number(time.as_unix_seconds());
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { answer, wanted, field, .. } = self;
        let place = Place::Elsewhere;
        while seq.next_element_seed(Walk { answer: &mut *answer, wanted, place, field })?.is_some()
        {
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { answer, wanted, place, field } = self;
        // What an error says is not what was made.
        if field == "error" {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let place = match (place, field) {
            (Place::Top, "" | "service_account") => Place::Top,
            (Place::Top, "api_key") => Place::Nested,
            _ => Place::Elsewhere,
        };
        while let Some(field) = map.next_key_seed(FieldName)? {
            map.next_value_seed(Walk { answer: &mut *answer, wanted, place, field })?;
        }
        Ok(())
    }
}

/// A field's name, as far as this module knows it; a name that could hold a secret is not kept.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<&'static str, E> {
        const KNOWN: [&str; 9] = [
            "api_key",
            "created_at",
            "error",
            "expires_at",
            "id",
            "name",
            "role",
            "service_account",
            "value",
        ];
        Ok(KNOWN.into_iter().find(|known| *known == name).unwrap_or("other"))
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::{ApiKey, KeyFingerprint, KeyKind};
    use keyward_testkit::keys::{self, KeyRng};

    use super::{Catch, MintAnswer, Wanted};
    use crate::ApiKeyId;

    fn fingerprint(text: &str) -> KeyFingerprint {
        ApiKey::parse(text.to_owned()).expect("a key").fingerprint()
    }

    /// Reads an answer, in which KEY is the minted key and OWN the one that the call was made with.
    fn read(template: &str) -> (MintAnswer, KeyFingerprint) {
        let mut rng = KeyRng::seeded(1);
        let (key, own) = (keys::service_account_key(&mut rng), keys::admin_key(&mut rng));
        let wanted = Wanted {
            kinds: &[KeyKind::ServiceAccount, KeyKind::Project],
            not: fingerprint(&own),
            catch: Catch::default(),
        };
        let mut body = template.replace("KEY", &key).replace("OWN", &own).into_bytes();
        // What cannot be written in this file.
        for byte in body.iter_mut().filter(|byte| **byte == b'\x7f') {
            *byte = 0xff;
        }
        let (answer, _) = MintAnswer::read(&body, &wanted);
        let shown = format!("{answer:?}");
        for secret in [&key, &own] {
            assert!(!shown.contains(&secret[20..40]), "{template}");
        }
        (answer, fingerprint(&key))
    }

    #[test]
    fn a_key_is_found_wherever_the_answer_has_drifted_to() {
        let deep = format!(r#"{{"x":{}1{},"value":"KEY"}}"#, "[".repeat(200), "]".repeat(200));
        for (template, id) in [
            (r#"{"id":"key_1","value":"KEY","created_at":1}"#, Some("key_1")),
            (r#"{"value":"KEY"}"#, None),
            (r#"{"id":7,"name":[],"created_at":"x","value":"KEY"}"#, Some("7")),
            (r#"{"id":"a","api_key":{"id":"key_2","value":"KEY"}}"#, Some("key_2")),
            (r#"{"id":"a","data":{"secret":["KEY"]}}"#, Some("a")),
            (r#"{"id":"a","value":{"text":"KEY"}}"#, Some("a")),
            (r#"{"id":"a","value":"KEY","owner":{"id":"b","name":"c"#, Some("a")),
            (r#"{"value":"KEY","id":"KEY","name":"KEY"}"#, None),
            (r#"{"value":"KEY\n"}"#, None),
            (r#"{"secret":"KEY","value":"active"}"#, None),
            (r#"{"key":"KEY","value":"sk-svc...abcd"}"#, None),
            (r#"{"value":"KEY","api_key":{"value":"sk-svc...abcd"}}"#, None),
            (r#"{"value":"KEY","value":"another value of unknown format"}"#, None),
            (r#"{"value":"an_unknown_format_of_a_key","key":"KEY"}"#, None),
            (r#"{"created_at":1e999,"value":"KEY"}"#, None),
            (r#"{"name":"\ud800","value":"KEY"}"#, None),
            ("{\"name\":\"\x7f\",\"value\":\"KEY\"}", None),
            ("\u{feff}{\"value\":\"KEY\"}", None),
            (&deep, None),
        ] {
            let (answer, key) = read(template);
            let (metadata, found) = answer.into_key::<ApiKeyId>();
            assert_eq!(found.map(|k| k.fingerprint()), Some(key), "{template}");
            assert_eq!(metadata.id.as_ref().map(ApiKeyId::as_str), id, "{template}");
        }
    }

    #[test]
    fn a_value_of_unknown_format_is_kept() {
        let (answer, _) =
            read(r#"{"value":"oai2_Zm9vYmFyYmF6cXV4","redacted_value":"sk-pro...x1"}"#);
        let (_, found) = answer.into_key::<ApiKeyId>();
        assert_eq!(found.map(|k| k.kind()), Some(KeyKind::Unknown));
    }

    #[test]
    fn what_is_not_the_key_is_not_taken_for_it() {
        for template in [
            r#"{"redacted_value":"sk-proj-****ab12"}"#,
            r#"{"value":"sk-svcacct-****ab12"}"#,
            r#"{"value":"active"}"#,
            r#"{"value":12345678901234567890}"#,
            r#"{"value":null}"#,
            r#"{"value":""}"#,
            r#"{"value":"two words of a sentence"}"#,
            r#"{"value":"OWN"}"#,
            r#"{"error":{"param":"OWN"}}"#,
            r#"{"error":{"value":"KEY"}}"#,
            r#"{"x":"OWN"#,
            r#"{"value":"KEY"#,
            "KEY",
            "[]",
            "",
            "<html>",
        ] {
            assert!(!read(template).0.has_key(), "{template}");
        }
    }
}
