//! `serde` for the public types. A key is read and never written, and no error about one quotes
//! what was read.

use alloc::string::String;
use core::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{ApiKey, KeyFingerprint, KeyKind, Timestamp};

/// Reads a key from a configuration.
///
/// An error tells the reason and the length, never the value, whatever the value's type is. What
/// the format's own parser says of a syntax error is out of reach: `toml`, for one, quotes the
/// line.
impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A format that knows its types would itself answer a wrong one, and quote the value. So
        // it is asked for anything, and the visitor answers.
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(KeyVisitor)
        } else {
            deserializer.deserialize_string(KeyVisitor)
        }
    }
}

struct KeyVisitor;

impl KeyVisitor {
    fn wrong<T, E: de::Error>(found: &str) -> Result<T, E> {
        Err(E::custom(format_args!("expected an API key as a string, found {found}")))
    }
}

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = ApiKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API key as a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ApiKey, E> {
        self.visit_string(String::from(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<ApiKey, E> {
        ApiKey::parse(text).map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<ApiKey, E> {
        Self::wrong("bytes")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<ApiKey, E> {
        Self::wrong("a boolean")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<ApiKey, E> {
        Self::wrong("a number")
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<ApiKey, E> {
        Self::wrong("a number")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<ApiKey, E> {
        Self::wrong("a number")
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<ApiKey, E> {
        Self::wrong("a number")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<ApiKey, E> {
        Self::wrong("a number")
    }

    fn visit_unit<E: de::Error>(self) -> Result<ApiKey, E> {
        Self::wrong("nothing")
    }

    fn visit_none<E: de::Error>(self) -> Result<ApiKey, E> {
        Self::wrong("nothing")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ApiKey, D::Error> {
        ApiKey::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<ApiKey, D::Error> {
        ApiKey::deserialize(deserializer)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<ApiKey, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Self::wrong("a list")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ApiKey, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Self::wrong("a table")
    }
}

impl Serialize for KeyFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.as_unix_seconds())
    }
}

impl Serialize for KeyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The kinds that a policy can name; `other_vendor` is not one, because it says too little.
impl<'de> Deserialize<'de> for KeyKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMED: [KeyKind; 8] = [
            KeyKind::AccessToken,
            KeyKind::Admin,
            KeyKind::EphemeralClient,
            KeyKind::LegacyUser,
            KeyKind::Project,
            KeyKind::ServiceAccount,
            KeyKind::Session,
            KeyKind::Unknown,
        ];
        let name = String::deserialize(deserializer)?;
        NAMED
            .into_iter()
            .find(|kind| kind.as_str() == name)
            // Not serde's own error, which quotes the word: it may be a key in the wrong place.
            .ok_or_else(|| {
                let names = NAMED.map(KeyKind::as_str).join(", ");
                de::Error::custom(format_args!("not a kind of key; the kinds are {names}"))
            })
    }
}
