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
    let mut maker = Maker { root: schema, chosen, choices: Vec::new(), count: 0 };
    let json = maker.value(schema, "");
    Instance { json, choices: maker.choices }
}

struct Maker<'a> {
    root: &'a Value,
    chosen: &'a BTreeMap<String, usize>,
    choices: Vec<(String, usize)>,
    count: i64,
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
            "integer" => self.integer(at),
            "null" => Value::Null,
            "number" => json!(self.next() as f64 + 0.25),
            _ if types == "object" || schema.get("properties").is_some() => self.object(schema, at),
            _ => self.text(at),
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

    fn integer(&mut self, at: &str) -> Value {
        let base = if is_time(at) { 1_700_000_000 } else { 0 };
        json!(base + self.next())
    }

    fn text(&mut self, at: &str) -> Value {
        let n = self.next();
        // A minted key has to be one.
        if at == "/value" || at == "/api_key/value" {
            let seed = u64::try_from(n).expect("positive");
            return json!(keys::service_account_key(&mut KeyRng::seeded(seed)));
        }
        json!(format!("{MARK}{n}"))
    }

    /// A number that is not the beginning of another one.
    fn next(&mut self) -> i64 {
        self.count += 1;
        400_000 + self.count
    }

    fn choose(&mut self, at: &str, among: usize) -> usize {
        self.choices.push((at.to_owned(), among));
        // What follows it has the same pointer, and fewer alternatives perhaps.
        self.chosen.get(at).copied().unwrap_or_default().min(among - 1)
    }
}

/// Whether what stands there is a moment, by its name.
fn is_time(pointer: &str) -> bool {
    pointer.ends_with("_at") || pointer.ends_with("_time")
}
