//! Every operation of the table, asked for something sensible; and the table against the
//! specification, where that is at hand.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// One of everything, with the ids that fill a path's parameters.
struct World {
    scene: Scene,
    ids: Vec<(&'static str, String)>,
}

/// What a key of a project is for.
const INFERENCE: [&str; 3] = ["/models", "/realtime/client_secrets", "/responses"];

const P: &str = "/organization/projects/{project_id}";

/// What is made first, in this order: the parameter that the id is for, the path, the body.
fn makings() -> Vec<(&'static str, &'static str, Value)> {
    let alert = alert(1000);
    vec![
        ("key_id", ADMIN_KEYS, json!({ "name": "spare" })),
        ("group_id", "/organization/groups", json!({ "name": "staff" })),
        ("role_id", "/organization/roles", role("auditor")),
        ("project role_id", "/projects/{project_id}/roles", role("deployer")),
        ("api_key_id", MINT, json!({ "name": "blue" })),
        ("invite_id", "/organization/invites", invite("guest@example.com")),
        ("certificate_id", "/organization/certificates", certificate()),
        ("alert_id", "/organization/spend_alerts", alert.clone()),
        ("project alert_id", "/organization/projects/{project_id}/spend_alerts", alert),
        ("external_key_id", "/organization/external_keys", external_key()),
        ("external_storage_id", "/organization/external_storage", external_storage()),
        (
            "workload_identity_provider_id",
            "/organization/workload_identity_providers",
            identity_provider(),
        ),
        (
            "workload_identity_federation_rule_id",
            "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules",
            federation_rule(),
        ),
        ("", "/organization/groups/{group_id}/users", json!({ "user_id": "{user_id}" })),
        ("", "/organization/groups/{group_id}/roles", json!({ "role_id": "{role_id}" })),
        ("", "/organization/users/{user_id}/roles", json!({ "role_id": "{role_id}" })),
        (
            "",
            "/organization/projects/{project_id}/groups",
            json!({ "group_id": "{group_id}", "role": "{project role_id}" }),
        ),
        (
            "",
            "/projects/{project_id}/groups/{group_id}/roles",
            json!({ "role_id": "{project role_id}" }),
        ),
        (
            "",
            "/projects/{project_id}/users/{user_id}/roles",
            json!({ "role_id": "{project role_id}" }),
        ),
        ("", "/organization/projects/{project_id}/users", {
            json!({ "user_id": "{user_id}", "role": "member" })
        }),
        ("", "/organization/spend_limit", limit(5000)),
        ("", "/organization/projects/{project_id}/spend_limit", limit(4000)),
    ]
}

impl World {
    async fn new() -> Self {
        let scene = Scene::new().await;
        scene.fake.seed_audit_events(149);
        scene.fake.seed_cost(&scene.project, START - 60, 1.5);
        for kind in KINDS_OF_USAGE {
            scene.fake.seed_usage(kind, &scene.project, START - 60, 2);
        }
        let ids = vec![
            ("project_id", scene.project.clone()),
            ("service_account_id", scene.account.clone()),
            ("user_id", scene.fake.seed_user("Ada")),
            ("rate_limit_id", "rl-fake-model".to_owned()),
        ];
        scene.fake.seed_user("Grace");
        let mut world = Self { scene, ids };
        for (parameter, path, body) in makings() {
            let (path, body) = (world.fill(path), world.fill(&body.to_string()));
            let body = serde_json::from_str(&body).unwrap();
            let made = world.scene.admin.ok(Method::POST, &path, Some(body)).await;
            if !parameter.is_empty() {
                world.ids.push((parameter, made["id"].as_str().unwrap().to_owned()));
            }
        }
        world
    }

    /// The template with ids for its parameters; a project has roles and alerts of its own.
    fn fill(&self, template: &str) -> String {
        let mut filled = template.to_owned();
        if template.contains("/projects/") || template.starts_with("/projects") {
            filled = filled
                .replace("{role_id}", "{project role_id}")
                .replace("{alert_id}", "{project alert_id}");
        }
        for (name, id) in &self.ids {
            filled = filled.replace(&format!("{{{name}}}"), id);
        }
        filled
    }

    fn body(&self, template: &str) -> Option<Value> {
        let made = makings().into_iter().find(|(_, path, _)| *path == template);
        let body = match template.strip_prefix(P).unwrap_or(template) {
            // What cannot be made twice is made otherwise.
            "/organization/roles" | "/projects/{project_id}/roles" => role("another"),
            "/organization/invites" => invite("other@example.com"),
            "/users" => json!({ "email": "grace@example.com", "role": "member" }),
            "/organization/projects" => json!({ "name": "next", "residency": "GLOBAL" }),
            "/service_accounts" => json!({ "name": "next" }),
            "/realtime/client_secrets" => json!({ "session": { "type": "realtime" } }),
            "/responses" => json!({ "model": "m", "input": "hi" }),
            "" => json!({ "name": "renamed" }),
            "/api_keys/{api_key_id}" => json!({ "scopes": ["api.all.read"] }),
            "/data_retention" => json!({ "retention_type": "organization_default" }),
            "/organization/data_retention" => json!({ "retention_type": "zero_data_retention" }),
            "/hosted_tool_permissions" => {
                json!({ "mcp": { "enabled": false }, "web_search": null })
            }
            "/model_permissions" => json!({ "mode": "allow_list", "model_ids": ["fake-model"] }),
            "/service_tier_settings" => json!({ "default": "fast", "enabled_tiers": ["flex"] }),
            "/rate_limits/{rate_limit_id}" => json!({ "max_requests_per_1_minute": 6 }),
            "/service_accounts/{service_account_id}" => json!({ "role": "owner" }),
            "/users/{user_id}" => json!({ "role": "owner" }),
            "/organization/users/{user_id}" => json!({ "technical_level": "high" }),
            "/organization/groups/{group_id}" => json!({ "name": "team" }),
            "/organization/roles/{role_id}" | "/projects/{project_id}/roles/{role_id}" => {
                json!({ "description": "Deploys." })
            }
            "/organization/certificates/{certificate_id}" => json!({ "name": "edge" }),
            "/organization/spend_alerts/{alert_id}" | "/spend_alerts/{alert_id}" => alert(2000),
            path if path.ends_with("/archive") || path.ends_with("/validate") => return None,
            path if path.ends_with("activate") => {
                json!({ "certificate_ids": ["{certificate_id}"] })
            }
            path if path.ends_with("{workload_identity_provider_id}") => {
                json!({ "enabled": false })
            }
            path if path.ends_with("{workload_identity_federation_rule_id}") => {
                json!({ "attribute_matchers": { "sub": "other" } })
            }
            _ => made.unwrap_or_else(|| panic!("no body for {template}")).2,
        };
        Some(serde_json::from_str(&self.fill(&body.to_string())).unwrap())
    }

    async fn call(&self, method: &str, template: &str) -> (u16, Value) {
        let mut path = self.fill(template);
        if template.contains("/usage/") || template.ends_with("/costs") {
            path = format!("{path}?start_time={}", START - 3600);
        }
        let inference = INFERENCE.contains(&template);
        let key = if inference {
            Api::new(
                &self.scene.fake,
                &self.scene.fake.seed_service_account_key(&self.scene.account),
            )
        } else {
            Api::admin(&self.scene.fake)
        };
        let body = (method == "POST").then(|| self.body(template)).flatten();
        key.call(method.parse().unwrap(), &path, body).await
    }
}

pub(super) const KINDS_OF_USAGE: [&str; 11] = [
    "audio_speeches",
    "audio_transcriptions",
    "code_interpreter_sessions",
    "completions",
    "decisions",
    "embeddings",
    "file_search_calls",
    "images",
    "moderations",
    "vector_stores",
    "web_search_calls",
];

pub(super) fn role(name: &str) -> Value {
    json!({ "role_name": name, "permissions": ["api.groups.read"], "description": null })
}

pub(super) fn invite(email: &str) -> Value {
    json!({ "email": email, "role": "reader" })
}

pub(super) fn certificate() -> Value {
    json!({ "name": "edge", "certificate": "-----BEGIN CERTIFICATE-----\nfake" })
}

pub(super) fn alert(cents: u64) -> Value {
    let channel = json!({ "type": "email", "recipients": ["money@example.com"] });
    json!({
        "threshold_amount": cents,
        "currency": "USD",
        "interval": "month",
        "notification_channel": channel,
    })
}

pub(super) fn limit(cents: u64) -> Value {
    json!({ "threshold_amount": cents, "currency": "USD", "interval": "month" })
}

pub(super) fn external_key() -> Value {
    json!({ "type": "aws", "name": "k", "external_id": "e", "kms_arn": "a", "role_arn": "r" })
}

pub(super) fn external_storage() -> Value {
    let provider = json!({ "type": "aws", "bucket": "b", "role_arn": "r" });
    json!({ "project_id": "{project_id}", "provider": provider })
}

pub(super) fn identity_provider() -> Value {
    json!({ "type": "oidc", "name": "n", "issuer": "https://issuer.example", "audience": "a" })
}

pub(super) fn federation_rule() -> Value {
    json!({
        "project_id": "{project_id}",
        "service_account_id": "{service_account_id}",
        "attribute_matchers": { "sub": "s", "admin": true, "level": 3 },
    })
}

/// Changes first, then reads, then deletions from the innermost out; archiving ends it.
fn in_a_sensible_order() -> Vec<(&'static str, &'static str)> {
    let mut operations = FakeOpenAi::operations().to_vec();
    operations.sort_by_key(|(method, path)| {
        let depth = path.matches('/').count();
        match *method {
            "POST" if path.ends_with("/archive") => (3, 0),
            "POST" => (0, 0),
            "GET" => (1, 0),
            _ => (2, usize::MAX - depth),
        }
    });
    operations
}

#[tokio::test]
async fn every_operation_answers_a_sensible_request() {
    let world = World::new().await;
    for (method, template) in in_a_sensible_order() {
        let (status, answer) = world.call(method, template).await;
        assert_eq!(status, 200, "{method} {template}: {answer}");
        let last = world.scene.fake.requests().pop().unwrap();
        assert_eq!((last.method.as_str(), last.template.as_str()), (method, template));
        assert_eq!(last.effect, method != "GET", "{method} {template}");
    }
}

#[tokio::test]
async fn every_list_is_in_its_envelope_and_refuses_what_it_does_not_know() {
    let world = World::new().await;
    let mut counted = [0; 3];
    for (method, template) in FakeOpenAi::operations() {
        let (_, answer) = match *method {
            "GET" => world.call("GET", template).await,
            _ => continue,
        };
        let path = world.fill(template);
        let query = if answer["object"] == "page" { "start_time=1&" } else { "" };
        let (status, error) = world.scene.admin.get(&format!("{path}?{query}no_such=1")).await;
        if *template != "/models" {
            assert_eq!((status, &error["error"]["code"]), (400, &json!("unknown_parameter")));
        }
        if !answer["data"].is_array() || *template == "/models" {
            continue;
        }
        let has = |name: &str| answer.get(name).is_some();
        let envelope = match (has("last_id"), has("next"), has("next_page")) {
            (true, false, false) => 0,
            (false, true, false) => 1,
            (false, false, true) => 2,
            _ => panic!("{template}: {answer}"),
        };
        counted[envelope] += 1;
        assert_eq!(answer["object"], if envelope == 2 { "page" } else { "list" }, "{template}");
        assert!(answer["has_more"].is_boolean(), "{template}");
        assert_ne!(answer["data"], json!([]), "{template}");
        for wrong in ["limit=x", "limit=-1", "limit=100000"] {
            let (status, _) = world.scene.admin.get(&format!("{path}?{query}{wrong}")).await;
            assert_eq!(status, 400, "{template} {wrong}");
        }
    }
    // Those of the specification, and those since.
    assert_eq!(counted, [13 + 4, 9, 11 + 1]);
}

#[tokio::test]
async fn every_body_is_held_to_its_fields() {
    let world = World::new().await;
    for (method, template) in FakeOpenAi::operations() {
        let acts = ["/archive", "/validate", "/client_secrets", "/responses"];
        if *method != "POST" || acts.iter().any(|end| template.ends_with(end)) {
            continue;
        }
        let path = world.fill(template);
        let valid = world.body(template).unwrap();
        let mut unknown = valid.clone();
        unknown["no_such_field"] = json!(1);
        let mut bodies = vec![unknown, json!([]), json!("text")];
        for field in valid.as_object().unwrap().keys() {
            let mut retyped = valid.clone();
            retyped[field] = json!([[7]]);
            bodies.push(retyped);
        }
        for body in bodies {
            let (status, answer) = world.scene.admin.post(&path, body.clone()).await;
            assert_eq!(status, 400, "{template} {body}: {answer}");
        }
    }
    for (_, template, body) in makings() {
        let optional = ["description", "name", "scopes", "permissions"];
        let body: Value = serde_json::from_str(&world.fill(&body.to_string())).unwrap();
        for field in body.as_object().unwrap().keys() {
            if optional.contains(&field.as_str()) && field != "permissions" {
                continue;
            }
            let mut lacking = body.clone();
            lacking.as_object_mut().unwrap().remove(field);
            let (status, answer) = world.scene.admin.post(&world.fill(template), lacking).await;
            assert_eq!(status, 400, "{template} without {field}: {answer}");
        }
    }
}

#[tokio::test]
async fn every_list_can_be_without_end() {
    let world = World::new().await;
    world.scene.fake.fault(Fault::on("GET", "*").always().then(FaultAction::RepeatedCursor));
    for (_, template) in FakeOpenAi::operations().iter().filter(|(method, _)| *method == "GET") {
        let (_, first) = world.call("GET", template).await;
        let cursor =
            ["next", "next_page", "last_id"].into_iter().find(|name| first.get(name).is_some());
        if let Some(cursor) = cursor {
            assert!(first[cursor].is_string() && first["has_more"] == true, "{template}: {first}");
        }
    }
}

#[tokio::test]
async fn every_operation_can_be_befallen_by_a_fault() {
    let world = World::new().await;
    for (method, template) in FakeOpenAi::operations() {
        world
            .scene
            .fake
            .fault(Fault::on(method, template).then(FaultAction::StatusBefore { code: 503 }));
        let (status, _) = world.call(method, template).await;
        assert_eq!(status, 503, "{method} {template}");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "where the specification is, is the developer's")]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn the_operations_are_those_of_the_specification() {
    let how = "set KEYWARD_FACTS to a directory with admin-openapi.json and \
               admin-delta-2026-11.json";
    let Some(directory) = std::env::var_os("KEYWARD_FACTS") else {
        println!("skipped: the specification is not here; {how}");
        return;
    };
    let read = |name: &str| -> Option<Value> {
        let text = std::fs::read(Path::new(&directory).join(name)).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    };
    let (Some(specification), Some(delta)) =
        (read("admin-openapi.json"), read("admin-delta-2026-11.json"))
    else {
        println!("skipped: KEYWARD_FACTS does not have both files; {how}");
        return;
    };
    let mut wanted = BTreeSet::new();
    for (path, methods) in specification["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            wanted.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(wanted.len(), 119);
    for operation in delta["operations"].as_array().unwrap() {
        let text = |name: &str| operation[name].as_str().unwrap().to_owned();
        wanted.insert((text("method"), text("path")));
    }
    assert_eq!(wanted.len(), 143);
    let served: BTreeSet<_> = FakeOpenAi::operations()
        .iter()
        .filter(|(_, path)| !INFERENCE.contains(path))
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(served, wanted);
    assert_eq!(FakeOpenAi::operations().len(), 146);
}
