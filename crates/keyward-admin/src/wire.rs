//! What the Admin API says in JSON, read so that its drift does not break a service.
//!
//! A field of the wrong type is a field that is not there. A field that nobody knows is passed
//! over. A word that nobody knows is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use keyward_core::{Timestamp, find};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A value that can be read from whatever JSON stands in its place, if only as nothing.
pub(crate) trait Lenient: Sized {
    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_integer(_: i64) -> Option<Self> {
        None
    }

    /// Whole numbers alone, unless a type knows better.
    fn from_float(number: f64) -> Option<Self> {
        let is_exact = number.fract() == 0.0 && number.abs() < 9e15;
        #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        is_exact.then_some(number as i64).and_then(Self::from_integer)
    }

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// For `#[serde(default, deserialize_with = "lenient")]`.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Lenient,
{
    struct AnyVisitor<T>(PhantomData<T>);

    impl<'de, T: Lenient> Visitor<'de> for AnyVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(T::from_text(text))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
            Ok(T::from_integer(number))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(i64::try_from(number).ok().and_then(T::from_integer))
        }

        fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
            Ok(T::from_float(number))
        }

        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(T::from_bool(value))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            T::from_seq(seq)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::from_map(map)
        }
    }

    deserializer.deserialize_any(AnyVisitor(PhantomData))
}

/// A text that the server gave, without a key that it should never have had in it.
///
/// The gate is cheap, because every text of every list comes through it: it is the marker, which
/// all keys of today have, and of that the last letter, which few texts have.
pub(crate) fn plain(text: &str) -> String {
    if has_marker(text) { find::scrub(text).into_owned() } else { text.to_owned() }
}

const MARKER: &[u8] = b"T3BlbkFJ";

fn has_marker(text: &str) -> bool {
    let text = text.as_bytes();
    memchr::memchr_iter(b'J', text).any(|at| text[..=at].ends_with(MARKER))
}

impl Lenient for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(plain(text))
    }

    fn from_integer(number: i64) -> Option<Self> {
        Some(number.to_string())
    }
}

/// For what is wiped again: the words of an error, which may repeat a key.
impl Lenient for Zeroizing<String> {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self::new(text.to_owned()))
    }

    fn from_integer(number: i64) -> Option<Self> {
        Some(Self::new(number.to_string()))
    }
}

impl Lenient for bool {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Lenient for i64 {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_integer(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Lenient for u64 {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_integer(number: i64) -> Option<Self> {
        Self::try_from(number).ok()
    }
}

/// A list. What in it cannot be read is not in it.
impl<T: Lenient> Lenient for Vec<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some(item) = seq.next_element::<Tolerated<T>>()? {
            items.extend(item.0);
        }
        Ok(Some(items))
    }
}

/// What stands under each name. What cannot be read is not in it.
impl<T: Lenient> Lenient for BTreeMap<String, T> {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        while let Some((name, item)) = map.next_entry::<String, Tolerated<T>>()? {
            items.extend(item.0.map(|item| (name, item)));
        }
        Ok(Some(items))
    }
}

/// What stands in a list or under a name, or nothing.
pub(crate) struct Tolerated<T>(pub(crate) Option<T>);

impl<'de, T: Lenient> Deserialize<'de> for Tolerated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient(deserializer).map(Self)
    }
}

impl Lenient for Timestamp {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_unix_seconds)
    }

    fn from_integer(seconds: i64) -> Option<Self> {
        Some(Self::from_unix_seconds(seconds))
    }
}

/// For a field of which nobody says what is in it: its JSON as it was.
pub(crate) fn json_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(raw.map(|raw| raw.get().to_owned()))
}

/// Implements [`Lenient`] for structs whose every field is lenient.
macro_rules! lenient_struct {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::wire::Lenient for $type {
            fn from_map<'de, A: serde::de::MapAccess<'de>>(
                map: A,
            ) -> Result<Option<Self>, A::Error> {
                $crate::wire::object(map).map(Some)
            }
        }
    )*};
}
pub(crate) use lenient_struct;

pub(crate) fn object<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(map))
}

/// A set of words that OpenAI extends without notice.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
            /// A word that this version does not know, as it was.
            Other(Box<str>),
        }

        impl $name {
            /// The word as the API writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    word => Self::Other(word.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::wire::Lenient for $name {
            fn from_text(word: &str) -> Option<Self> {
                Some(match Self::from(word) {
                    Self::Other(word) => Self::Other($crate::wire::plain(&word).into()),
                    known => known,
                })
            }
        }
    };
}
pub(crate) use open_enum;

/// An error body in any of the shapes seen.
#[derive(Default, Deserialize)]
pub(crate) struct ErrorShape {
    #[serde(default, deserialize_with = "lenient")]
    error: Option<ErrorField>,
    #[serde(default, deserialize_with = "lenient")]
    code: Option<Words>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<Words>,
    #[serde(default, deserialize_with = "lenient")]
    error_description: Option<Words>,
    #[serde(default, deserialize_with = "lenient")]
    deleted: Option<bool>,
}

type Words = Zeroizing<String>;

enum ErrorField {
    Word(Words),
    Object(ErrorObject),
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<Words>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<Words>,
}

impl Lenient for ErrorField {
    fn from_text(text: &str) -> Option<Self> {
        Words::from_text(text).map(Self::Word)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        object(map).map(Self::Object).map(Some)
    }
}

impl ErrorShape {
    /// Whether the answer says that something failed, whatever its status.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some() || self.deleted == Some(false)
    }

    /// The code and the message.
    pub(crate) fn into_parts(self) -> (Option<Words>, Option<Words>) {
        let message = self.message.or(self.error_description);
        match self.error {
            Some(ErrorField::Object(inner)) => {
                (inner.code.or(self.code), inner.message.or(message))
            }
            Some(ErrorField::Word(word)) if message.is_none() => (self.code, Some(word)),
            Some(ErrorField::Word(word)) => (Some(word), message),
            None => (self.code, message),
        }
    }
}

/// Reads an id, the one field that everything must have.
pub(crate) fn required_id<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    // Not serde's own "invalid type" error, which quotes the value.
    match lenient::<D, String>(deserializer)? {
        Some(id) if !id.is_empty() => Ok(T::from(id)),
        _ => Err(D::Error::custom("no id")),
    }
}

#[cfg(test)]
mod tests {
    use keyward_testkit::keys::{self, KeyRng};

    use super::*;
    use crate::ProjectStatus;

    #[test]
    fn a_text_with_a_key_in_it_is_masked_and_no_other_is_changed() {
        let key = keys::project_key(&mut KeyRng::seeded(3));
        for (text, is_changed) in [
            (String::new(), false),
            ("J".to_owned(), false),
            ("JJ, a Jolly name: BlbkFJ".to_owned(), false),
            ("proj_J0J1J2J3J4J5J6J7J8J9".to_owned(), false),
            (key.clone(), true),
            (format!("Jo pasted {key}."), true),
            (format!("x{}y", keys::MARKER), true),
        ] {
            let plain = plain(&text);
            assert_eq!(plain != text, is_changed, "{plain}");
            assert!(!plain.contains(keys::MARKER), "{plain}");
        }
    }

    #[test]
    fn a_word_that_nobody_knows_is_kept_without_a_key_in_it() {
        let key = keys::project_key(&mut KeyRng::seeded(4));
        assert_eq!(ProjectStatus::from_text("active"), Some(ProjectStatus::Active));
        assert_eq!(ProjectStatus::from_text("new"), Some(ProjectStatus::Other("new".into())));
        let masked = ProjectStatus::from_text(&key).expect("a word");
        assert!(!masked.as_str().contains(keys::MARKER), "{masked}");
    }
}
