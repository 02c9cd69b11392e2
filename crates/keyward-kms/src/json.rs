//! JSON that holds a secret: one text out of it, copied once into wiped memory, and objects of
//! texts, written into it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// What stands at a path.
pub(crate) enum Found {
    /// A text, in one allocation of its size.
    Text(Zeroizing<Vec<u8>>),
    /// Something else, or nothing.
    Nothing,
    /// It is no JSON object.
    NotJson,
}

/// What stands in `json` under these names, each within the one before.
///
/// The parser's error is dropped: it quotes what it stumbled over.
pub(crate) fn text_at(json: &[u8], path: &[&str]) -> Found {
    let mut parser = serde_json::Deserializer::from_slice(json);
    let found = Walk(path).deserialize(&mut parser);
    match (found, parser.end()) {
        (Ok(Some(text)), Ok(())) => Found::Text(text),
        (Ok(None), Ok(())) if json.trim_ascii_start().starts_with(b"{") => Found::Nothing,
        _ => Found::NotJson,
    }
}

/// A JSON object of texts, in a buffer that is wiped and never grows.
#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
pub(crate) fn object(fields: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    // A byte can become six (`\u0000`).
    let most = fields.iter().map(|(name, text)| 6 * (name.len() + text.len()) + 6).sum::<usize>();
    let mut json = Zeroizing::new(Vec::with_capacity(most + 2));
    json.push(b'{');
    for (n, (name, text)) in fields.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        write_text(&mut json, name.as_bytes());
        json.push(b':');
        write_text(&mut json, text);
    }
    json.push(b'}');
    json
}

#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
fn write_text(json: &mut Vec<u8>, text: &[u8]) {
    json.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => json.extend([b'\\', *byte]),
            0..0x20 => json.extend(format!("\\u{byte:04x}").bytes()),
            _ => json.push(*byte),
        }
    }
    json.push(b'"');
}

struct Walk<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Zeroizing<Vec<u8>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Zeroizing<Vec<u8>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_next) = map.next_key_seed(Is(self.0.first().copied()))? {
            if is_next {
                // Of two under one name the last counts, as other parsers have it.
                found = map.next_value_seed(Walk(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then(|| Zeroizing::new(text.as_bytes().to_vec())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a name is this one; no name is copied, because in a malformed secret it may be one.
struct Is<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
    use super::object;
    use super::{Found, text_at};

    #[test]
    fn finds_the_text_at_the_path_and_nothing_else() {
        for (json, path, expected) in [
            (r#"{"a":"x"}"#, &["a"][..], Ok(Some("x"))),
            (r#" {"b":1,"a":{"b":"y","c":[1,{"a":"z"}]},"d":null} "#, &["a", "b"], Ok(Some("y"))),
            (r#"{"a":"x","a":"y"}"#, &["a"], Ok(Some("y"))),
            (r#"{"a":"A\u0041\n"}"#, &["a"], Ok(Some("AA\n"))),
            (r#"{"a":""}"#, &["a"], Ok(Some(""))),
            (r#"{"a":1}"#, &["a"], Ok(None)),
            (r#"{"a":{"b":"x"}}"#, &["a"], Ok(None)),
            (r#"{"a":["x"]}"#, &["a"], Ok(None)),
            (r#"{"a":"x"}"#, &["a", "b"], Ok(None)),
            (r#"{"b":{"a":"x"}}"#, &["a"], Ok(None)),
            ("{}", &["a"], Ok(None)),
            (r#""a""#, &["a"], Err(())),
            (r#"["a"]"#, &["a"], Err(())),
            (r#"{"a":"x"} y"#, &["a"], Err(())),
            (r#"{"a":"x""#, &["a"], Err(())),
            ("x", &["a"], Err(())),
            ("", &["a"], Err(())),
        ] {
            let found = match text_at(json.as_bytes(), path) {
                Found::Text(text) => Ok(Some(String::from_utf8(text.to_vec()).unwrap())),
                Found::Nothing => Ok(None),
                Found::NotJson => Err(()),
            };
            assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{json}");
        }
    }

    #[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
    #[test]
    fn an_object_is_json_and_never_moves() {
        for text in ["", "plain", "\"quoted\\\"", "\u{0}\u{1f}\n", "é…"] {
            let json = object(&[("a", text.as_bytes()), ("b", b"c")]);
            let read: std::collections::BTreeMap<String, String> =
                serde_json::from_slice(&json).unwrap();
            assert_eq!((read["a"].as_str(), read["b"].as_str()), (text, "c"));
            assert!(json.len() <= 2 + 6 * (text.len() + 1) + 6 + 18);
        }
    }
}
