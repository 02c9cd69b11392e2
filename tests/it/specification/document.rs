//! The specification and what came after it, as one list of operations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

/// The specification with what the official SDKs gained since.
pub(crate) struct Document {
    pub(crate) operations: Vec<Operation>,
    /// What `$ref` refers to, in the specification.
    components: Value,
}

/// One operation, as it is written down.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// The path's template.
    pub(crate) path: String,
    /// Whether OpenAI published it, or it was read from the SDKs.
    pub(crate) published: bool,
    pub(crate) query: BTreeMap<String, Parameter>,
    pub(crate) body: Option<Body>,
    /// The schema of the answer, with all that it refers to.
    pub(crate) answer: Value,
}

/// One parameter of the query.
pub(crate) struct Parameter {
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

/// What is sent.
pub(crate) struct Body {
    pub(crate) required: bool,
    /// With all that it refers to.
    pub(crate) schema: Value,
}

impl Document {
    /// Reads it from where `KEYWARD_FACTS` says, or tells why not.
    #[allow(clippy::print_stdout, reason = "tells that it was skipped")]
    pub(crate) fn load() -> Option<Self> {
        let how = "set KEYWARD_FACTS to a directory with admin-openapi.json and \
                   admin-delta-2026-11.json, to hold the client to OpenAI's specification";
        #[allow(clippy::disallowed_methods, reason = "tells a test where the facts are")]
        let Some(facts) = std::env::var_os("KEYWARD_FACTS").map(PathBuf::from) else {
            println!("skipped: {how}");
            return None;
        };
        let read = |name| {
            let text = std::fs::read_to_string(facts.join(name)).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        };
        let (Some(document), Some(delta)) =
            (read("admin-openapi.json"), read("admin-delta-2026-11.json"))
        else {
            println!("skipped: KEYWARD_FACTS does not have both files; {how}");
            return None;
        };
        Some(Self::of(&document, &delta))
    }

    fn of(document: &Value, delta: &Value) -> Self {
        let mut this = Self { operations: Vec::new(), components: document["components"].clone() };
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                let operation = this.published(method, path, operation);
                this.operations.push(operation);
            }
        }
        this.operations.extend(list(&delta["operations"]).iter().map(of_delta));
        this
    }

    fn published(&self, method: &str, path: &str, operation: &Value) -> Operation {
        let parameters = list(&operation["parameters"]).iter().filter(|p| p["in"] == "query");
        let query = parameters
            .map(|parameter| {
                let name = text(&parameter["name"]).trim_end_matches("[]").to_owned();
                let required = parameter["required"] == true;
                (name, Parameter { required, schema: self.whole(&parameter["schema"]) })
            })
            .collect();
        let json = "application/json";
        let body = operation.get("requestBody").map(|body| Body {
            required: body["required"] == true,
            schema: self.whole(&body["content"][json]["schema"]),
        });
        let answer = self.whole(&operation["responses"]["200"]["content"][json]["schema"]);
        Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            published: true,
            query,
            body,
            answer,
        }
    }

    /// A schema that can stand alone.
    fn whole(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        schema["components"] = self.components.clone();
        schema
    }

    /// The operation of a method and a path's template.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        self.operations.iter().find(|o| o.method == method && o.path == path)
    }

    /// The operation that a request reaches.
    pub(crate) fn route(&self, method: &str, path: &str) -> Option<&Operation> {
        let fits = |template: &str| {
            template.split('/').count() == path.split('/').count()
                && template.split('/').zip(path.split('/')).all(|(template, segment)| {
                    if template.starts_with('{') {
                        !segment.is_empty()
                    } else {
                        template == segment
                    }
                })
        };
        // Of `/certificates/activate` and `/certificates/{certificate_id}` the former.
        let mut fitting: Vec<_> =
            self.operations.iter().filter(|o| o.method == method && fits(&o.path)).collect();
        fitting.sort_by_key(|o| o.path.matches('{').count());
        fitting.first().copied()
    }
}

/// An operation that was read from the SDKs: its parameters are in one schema, which is that of
/// the query of a GET and else that of the body.
fn of_delta(operation: &Value) -> Operation {
    let (method, path) = (text(&operation["method"]), text(&operation["path"]));
    let mut params = operation["params_schema"].clone();
    for segment in path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        if let Some(Value::Object(properties)) = params.get_mut("properties") {
            properties.remove(segment);
        }
        if let Some(Value::Array(required)) = params.get_mut("required") {
            required.retain(|name| name != segment);
        }
    }
    let is_query = method == "GET";
    let required = list(&params["required"]);
    let query = members(&params["properties"]).filter(|_| is_query).map(|(name, schema)| {
        let mut schema = schema.clone();
        schema["$defs"] = defs(&params);
        (name.clone(), Parameter { required: required.iter().any(|r| r == name), schema })
    });
    let query = query.collect();
    let item = operation["response_schema"].clone();
    // The SDKs have a page and its items apart.
    let is_page = operation["paginated"].is_string() && item["properties"].get("data").is_none();
    let answer = if is_page {
        let defs = defs(&item);
        json!({
            "type": "object",
            "properties": {
                "object": { "const": "list" },
                "data": { "type": "array", "items": item },
                "has_more": { "type": "boolean" },
                "first_id": { "type": "string" },
                "last_id": { "type": "string" },
            },
            "$defs": defs,
        })
    } else {
        item
    };
    let body =
        (!is_query && params.is_object()).then_some(Body { required: false, schema: params });
    Operation {
        method: method.to_owned(),
        path: path.to_owned(),
        published: false,
        query,
        body,
        answer,
    }
}

/// What is referred to in a schema of the SDKs.
fn defs(schema: &Value) -> Value {
    schema.get("$defs").cloned().unwrap_or_else(|| json!({}))
}

/// What a schema refers to, if it does; `root` is where it stands.
pub(crate) fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        schema = root.pointer(pointer).unwrap_or_else(|| panic!("{reference} is not there"));
    }
    schema
}

/// The members of an object, of which there are none if it is none.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The items of an array, of which there are none if it is none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
