//! Answers made of schemas: every field is there, and every text and number is one of a kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use keyward_testkit::keys::{self, KeyRng};

use super::document::{Operation, list, members, resolved, text};

/// What every text of an answer begins with, so that it is found wherever it comes to light.
pub(crate) const MARK: &str = "zqmark";

/// An answer, and which other ones the schema allows in its place.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) json: Value,
    /// At which pointers another alternative or word could stand, and how many there are.
    pub(crate) choices: Vec<(String, usize)>,
}

/// The answer with the first alternative everywhere.
pub(crate) fn plain(operation: &Operation) -> Value {
    make(operation, &BTreeMap::new()).json
}

/// The answer with these alternatives.
pub(crate) fn make(operation: &Operation, chosen: &BTreeMap<String, usize>) -> Instance {
    let schema = &operation.answer;
    let mut maker = Maker { root: schema, chosen, choices: Vec::new() };
    let json = maker.value(schema, "");
    Instance { json, choices: maker.choices }
}

struct Maker<'a> {
    root: &'a Value,
    chosen: &'a BTreeMap<String, usize>,
    choices: Vec<(String, usize)>,
}

impl Maker<'_> {
    fn value(&mut self, schema: &Value, at: &str) -> Value {
        let root = self.root;
        let schema = resolved(root, schema);
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[self.choose(at, words.len())].clone();
        }
        for combined in ["anyOf", "oneOf"] {
            let alternatives: Vec<_> =
                list(&schema[combined]).iter().filter(|s| s["type"] != "null").collect();
            if !alternatives.is_empty() {
                let n = self.choose(at, alternatives.len());
                return self.value(alternatives[n], at);
            }
        }
        if !list(&schema["allOf"]).is_empty() {
            let mut all = Map::new();
            for part in list(&schema["allOf"]) {
                all.extend(members(&self.value(part, at)).map(|(k, v)| (k.clone(), v.clone())));
            }
            return Value::Object(all);
        }
        let types = schema["type"].as_array().map_or(&schema["type"], |types| {
            types.iter().find(|t| **t != "null").unwrap_or(&Value::Null)
        });
        match text(types) {
            "array" => json!([self.value(&schema["items"], &format!("{at}/0"))]),
            "boolean" => json!(!at.ends_with("/has_more")),
            "integer" => integer(at),
            "null" => Value::Null,
            "number" => json!(format!("{}.25", number(at)).parse::<f64>().expect("a number")),
            _ if types == "object" || schema.get("properties").is_some() => self.object(schema, at),
            _ => text_at(at),
        }
    }

    fn object(&mut self, schema: &Value, at: &str) -> Value {
        let mut all = Map::new();
        for (name, property) in members(&schema["properties"]) {
            all.insert(name.clone(), self.value(property, &format!("{at}/{name}")));
        }
        if all.is_empty() {
            let more = schema.get("additionalProperties").unwrap_or(&Value::Null);
            all.insert("anything".to_owned(), self.value(more, &format!("{at}/anything")));
        }
        Value::Object(all)
    }

    fn choose(&mut self, at: &str, among: usize) -> usize {
        self.choices.push((at.to_owned(), among));
        // What follows it has the same pointer, and fewer alternatives perhaps.
        self.chosen.get(at).copied().unwrap_or_default().min(among - 1)
    }
}

fn integer(at: &str) -> Value {
    let is_time = at.ends_with("_at") || at.ends_with("_time");
    json!(number(at) + if is_time { 1_700_000_000 } else { 0 })
}

fn text_at(at: &str) -> Value {
    // A minted key has to be one.
    if at == "/value" || at == "/api_key/value" {
        return json!(keys::service_account_key(&mut KeyRng::seeded(7)));
    }
    json!(format!("{MARK}{}", number(at)))
}

/// A number of six digits, another one for each place, so that none is the beginning of another.
fn number(at: &str) -> i64 {
    let hash = at.bytes().fold(7_u32, |hash, byte| {
        hash.wrapping_mul(16_777_619).wrapping_add(u32::from(byte)).rotate_left(5)
    });
    400_000 + i64::from(hash % 500_000)
}
