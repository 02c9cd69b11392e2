//! What the client sends, each call with as little and as much as can be said in it, is what the
//! specification has.

use std::collections::{BTreeMap, BTreeSet};

use keyward_admin::OPERATIONS;
use serde_json::{Map, Value, json};

use super::calls::{self, Call};
use super::document::{Document, Operation, members, resolved};
use super::instances;
use super::server::{Quiet, Request, Server};

#[test]
#[allow(clippy::print_stdout, reason = "tells what was held to what")]
fn every_call_is_what_the_specification_has() {
    let Some(document) = Document::load() else { return };
    let server = Server::start();
    let (client, quiet) = (server.client(), Quiet::start());
    let mut faults = Vec::new();
    let mut sent = Sent::default();
    let mut count = 0;
    for call in calls::all() {
        let operation = document.operation(call.method, call.path);
        let operation = operation.unwrap_or_else(|| panic!("{} is not specified", call.name()));
        server.answers(answers(&call, operation));
        if let Err(error) = quiet.run(call.run(&client)) {
            faults.push(format!("{}: {error}", call.name()));
        }
        let requests = server.requests();
        if requests.is_empty() {
            faults.push(format!("{}: nothing was sent", call.name()));
        }
        for request in requests {
            count += 1;
            let reached = document.route(&request.method, &request.path);
            if reached.is_none_or(|o| (&*o.method, &*o.path) != (call.method, call.path)) {
                let reached = reached.map(|o| &o.path);
                faults.push(format!("{}: {} is {reached:?}", call.name(), request.path));
            }
            let found = query_faults(operation, &request, &mut sent);
            let found = found.into_iter().chain(body_faults(operation, &request, &mut sent));
            faults.extend(found.map(|fault| format!("{}: {fault}", call.name())));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));

    let called: BTreeSet<_> = calls::all().iter().map(|c| (c.method, c.path)).collect();
    let table: BTreeSet<_> = OPERATIONS.iter().map(|o| (o.method, &*o.path)).collect();
    let specified: BTreeSet<_> =
        document.operations.iter().map(|o| (o.method.as_str(), o.path.as_str())).collect();
    assert_eq!(called, table);
    assert_eq!(table, specified);

    let unsent = sent.missing(&document);
    println!(
        "{} operations, {} of them published; {} calls, {count} requests; {} parameters and \
         fields were sent, {} never: {unsent:?}",
        specified.len(),
        document.operations.iter().filter(|o| o.published).count(),
        calls::all().len(),
        sent.0.len(),
        unsent.len(),
    );
}

/// The validator sees what is wrong, or the test above could not fail.
#[test]
fn a_wrong_request_is_seen() {
    let Some(document) = Document::load() else { return };
    let request = |method: &str, path: &str, query: &str, body: Value| Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        is_json: body != Value::Null,
        body: if body == Value::Null { Vec::new() } else { body.to_string().into() },
    };
    let faults = |request: Request| {
        let operation = document.route(&request.method, &request.path).expect("an operation");
        let mut sent = Sent::default();
        let mut faults = query_faults(operation, &request, &mut sent);
        faults.extend(body_faults(operation, &request, &mut sent));
        faults.len()
    };
    const COSTS: &str = "/organization/costs";
    const KEYS: &str = "/organization/admin_api_keys";
    const LOGS: &str = "/organization/audit_logs";
    for (method, path, query, body, expected) in [
        ("GET", COSTS, "start_time=1&group_by[]=line_item", json!(null), 0),
        ("GET", COSTS, "group_by[]=line_item", json!(null), 1),
        ("GET", COSTS, "start_time=soon", json!(null), 1),
        ("GET", COSTS, "start_time=1&start_time=2", json!(null), 1),
        ("GET", COSTS, "start_time=1&group_by=line_item", json!(null), 1),
        ("GET", COSTS, "start_time=1&group_by[]=user", json!(null), 1),
        ("GET", COSTS, "start_time=1&colour=red", json!(null), 1),
        ("GET", COSTS, "start_time=1", json!({}), 1),
        ("GET", LOGS, "effective_at[gt]=1", json!(null), 0),
        ("GET", LOGS, "effective_at[gt]=now", json!(null), 1),
        ("GET", LOGS, "effective_at[since]=1", json!(null), 1),
        ("GET", LOGS, "event_types[]=api_key.created", json!(null), 0),
        ("GET", LOGS, "event_types[]=api_key.eaten", json!(null), 1),
        ("GET", LOGS, "tenant_only=yes", json!(null), 1),
        ("POST", KEYS, "", json!({"name": "ci"}), 0),
        ("POST", KEYS, "", json!({"name": 7}), 1),
        ("POST", KEYS, "", json!({}), 1),
        ("POST", KEYS, "", json!({"name": "ci", "expires_in_seconds": 0}), 1),
        ("POST", KEYS, "", json!({"name": "ci", "life": 7}), 1),
        ("POST", KEYS, "", json!(null), 1),
    ] {
        let shown = format!("{method} {path}?{query} {body}");
        assert_eq!(faults(request(method, path, query, body)), expected, "{shown}");
    }
}

/// Answers that let the call go its whole way; of a listing, a page with another behind it.
fn answers(call: &Call, operation: &Operation) -> Vec<Value> {
    let mut answer = instances::plain(operation);
    if answer.get("has_more").is_some() {
        answer["has_more"] = json!(true);
        return vec![answer];
    }
    // Some calls are made again for each variant.
    vec![answer; if call.form.starts_with("every") { 32 } else { 1 }]
}

/// What was sent of what could be.
#[derive(Default)]
struct Sent(BTreeSet<(String, String)>);

impl Sent {
    fn note(&mut self, operation: &Operation, name: &str) {
        let operation = format!("{} {}", operation.method, operation.path);
        self.0.insert((operation, name.to_owned()));
    }

    fn missing(&self, document: &Document) -> BTreeMap<String, BTreeSet<String>> {
        let mut missing: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for operation in &document.operations {
            let name = format!("{} {}", operation.method, operation.path);
            let body = operation.body.as_ref().map(|body| properties(&body.schema, &body.schema));
            let fields = body.into_iter().flat_map(|p| p.0.into_keys());
            for field in operation.query.keys().cloned().chain(fields) {
                if !self.0.contains(&(name.clone(), field.clone())) {
                    missing.entry(field).or_default().insert(name.clone());
                }
            }
        }
        missing
    }
}

/// What is not as specified in a query.
fn query_faults(operation: &Operation, request: &Request, sent: &mut Sent) -> Vec<String> {
    let mut faults = Vec::new();
    let url = format!("http://localhost/?{}", request.query);
    let url = reqwest::Url::parse(&url).expect("a query");
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    for (key, text) in url.query_pairs() {
        let (name, inner) = match key.split_once('[') {
            Some((name, inner)) => (name, inner.strip_suffix(']')),
            None => (&*key, None),
        };
        let Some(parameter) = operation.query.get(name) else {
            faults.push(format!("there is no parameter `{key}`"));
            continue;
        };
        sent.note(operation, name);
        let schema = resolved(&parameter.schema, &parameter.schema);
        match inner {
            None if given.contains_key(name) => faults.push(format!("`{name}` stands twice")),
            None => drop(given.insert(name.to_owned(), typed(schema, &text))),
            Some("") => {
                let all = given.entry(name.to_owned()).or_insert_with(|| json!([]));
                let item = typed(&schema["items"], &text);
                all.as_array_mut().expect("in brackets from the first").push(item);
            }
            Some(inner) if schema["properties"].get(inner).is_some() => {
                let all = given.entry(name.to_owned()).or_insert_with(|| json!({}));
                all[inner] = typed(&schema["properties"][inner], &text);
            }
            Some(_) => faults.push(format!("there is no parameter `{key}`")),
        }
    }
    for (name, parameter) in &operation.query {
        match given.get(name) {
            Some(value) => faults.extend(invalid(name, &parameter.schema, value)),
            None if parameter.required => faults.push(format!("`{name}` is missing")),
            None => {}
        }
    }
    faults
}

/// What a text in a query is, of the type that is wanted there, if it can be.
fn typed(schema: &Value, text: &str) -> Value {
    let is = |wanted: &str| {
        let either = super::document::list(&schema["anyOf"]);
        schema["type"] == wanted || either.iter().any(|schema| schema["type"] == wanted)
    };
    let value = if is("integer") || is("number") || is("boolean") {
        serde_json::from_str(text).ok()
    } else {
        None
    };
    value.unwrap_or_else(|| json!(text))
}

/// What is not as specified in a body.
fn body_faults(operation: &Operation, request: &Request, sent: &mut Sent) -> Vec<String> {
    let Some(body) = &operation.body else {
        let is_empty = request.body.is_empty();
        return if is_empty { Vec::new() } else { vec!["a body where none belongs".to_owned()] };
    };
    if request.body.is_empty() {
        return if body.required { vec!["no body".to_owned()] } else { Vec::new() };
    }
    if !request.is_json {
        return vec!["the body is not called JSON".to_owned()];
    }
    let Ok(value) = serde_json::from_slice::<Value>(&request.body) else {
        return vec!["the body is not JSON".to_owned()];
    };
    for (name, _) in members(&value) {
        sent.note(operation, name);
    }
    let mut faults = invalid("body", &body.schema, &value);
    faults.extend(unknown("body", &body.schema, &body.schema, &value));
    faults
}

fn invalid(name: &str, schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let errors = validator.iter_errors(value);
    errors.map(|e| format!("`{name}{}`: {e}", e.instance_path())).collect()
}

/// Members that no schema has. JSON Schema lets them pass, and so does a server that ignores them.
fn unknown(at: &str, root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let schema = resolved(root, schema);
    if let Some(items) = value.as_array() {
        let found = items.iter().flat_map(|item| unknown(at, root, &schema["items"], item));
        return found.collect();
    }
    let (known, is_open) = properties(root, schema);
    let mut faults = Vec::new();
    for (name, value) in members(value) {
        let at = format!("{at}.{name}");
        match known.get(name) {
            Some(schemas) => {
                faults.extend(unknown(&at, root, &json!({ "anyOf": schemas }), value));
            }
            None if is_open || NEWER.contains(&name.as_str()) => {}
            None => faults.push(format!("there is no field `{at}`")),
        }
    }
    faults
}

/// What service accounts and their keys can be given since the specification was published.
const NEWER: &[&str] = &["expires_in_seconds"];

/// The properties that an object can have, with their schemas, and whether it can have others.
fn properties(root: &Value, schema: &Value) -> (BTreeMap<String, Vec<Value>>, bool) {
    let schema = resolved(root, schema);
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, schema) in members(&schema["properties"]) {
        all.entry(name.clone()).or_default().push(schema.clone());
    }
    let more = schema.get("additionalProperties").is_some_and(|more| *more != false);
    let is_any = schema.as_object().is_none_or(Map::is_empty)
        || (schema["type"] == "object" && schema.get("properties").is_none());
    let mut is_open = more || is_any;
    for combined in ["allOf", "anyOf", "oneOf"] {
        for schema in super::document::list(&schema[combined]) {
            let (inner, open) = properties(root, schema);
            is_open |= open;
            for (name, schemas) in inner {
                all.entry(name).or_default().extend(schemas);
            }
        }
    }
    (all, is_open)
}
