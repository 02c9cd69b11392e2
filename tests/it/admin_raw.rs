//! The escape hatch: what it sends, what it refuses, and that it is as safe as the typed calls.

use std::time::Duration;

use keyward_admin::{Error, ErrorKind, Method, RawCall};
use keyward_core::{ApiKey, KeyKind};
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{Canary, FakeOpenAi, Fault, FaultAction, assert_no_leak};

use crate::fixture::{MINT, Organization, with_trace};

const PROJECT: &str = "/organization/projects/{project_id}";
const PROJECTS: &str = "/organization/projects";

#[derive(Debug, serde::Deserialize)]
struct Project<'a> {
    id: &'a str,
    name: &'a str,
}

#[tokio::test]
async fn what_the_typed_calls_do_can_be_done_by_hand() {
    let org = Organization::start().await;
    let client = org.client();
    let answer = client.raw(Method::Get, PROJECT).arg(&org.project).send().await.expect("it");
    let project: Project<'_> = answer.json().expect("a project");
    assert_eq!((project.id, project.name), (org.project.as_str(), "website"));
    assert_eq!(answer.status(), 200);
    assert!(answer.request_id().is_some_and(|id| id.starts_with("req_")));
    let shown = format!("{answer:?}");
    assert!(!shown.contains("website") && shown.contains("len"), "{shown}");

    // The id in the path is the same operation.
    let path = format!("/organization/projects/{}", org.project);
    let body = serde_json::json!({"name": "renamed"});
    let call = client.raw(Method::Post, path.clone()).json(&body).idempotent();
    call.send().await.expect("a change");
    let answer = client.raw(Method::Get, path).send().await.expect("it");
    assert_eq!(answer.json::<Project<'_>>().expect("a project").name, "renamed");
    assert_eq!(org.fake.count("POST", PROJECT), 1);

    // What a segment has in it stays in it.
    let error = client.raw(Method::Get, PROJECT).arg("../users").send().await.expect_err("none");
    assert!(error.is_not_found(), "{error}");
    let last = org.fake.requests().pop().expect("a request");
    assert_eq!(last.path, "/v1/organization/projects/..%2Fusers");
}

#[tokio::test]
async fn a_drift_is_told_by_its_place() {
    #[derive(Debug, serde::Deserialize)]
    struct Wrong {
        #[serde(rename = "name")]
        _name: u64,
    }

    let org = Organization::start().await;
    let answer = org.client().raw(Method::Get, PROJECT).arg(&org.project).send().await.expect("it");
    let error = answer.json::<Wrong>().expect_err("a text is no number");
    assert_eq!((error.kind(), error.drift_path()), (ErrorKind::Drift, Some("name")));
    let offset = error.drift_offset().expect("a place");
    assert!(answer.bytes()[..=offset].ends_with(b"\"website\""));
    let text = error.to_string();
    assert!(text.starts_with(&format!("GET {PROJECT}: ")) && !text.contains("website"), "{text}");
    assert!(error.request_id().is_some());
}

#[tokio::test]
async fn what_could_lead_elsewhere_is_not_sent() {
    let org = Organization::start().await;
    let client = org.client();
    let key = Canary::of_kind("service_account").text();
    let admin = org.fake.admin_key();
    let get = |path: &str| client.raw(Method::Get, path.to_owned());
    let cases: Vec<(&str, RawCall)> = vec![
        ("empty", get("")),
        ("no slash", get("organization/users")),
        ("another host", get("https://evil.example/organization/users")),
        ("another host of the same scheme", get("//evil.example/users")),
        ("up", get("/organization/../users")),
        ("up at the end", get("/organization/..")),
        ("here", get("/./organization")),
        ("up, escaped", get("/organization/%2e%2e/users")),
        ("up, as a parameter", get("/organization/{..}").arg("a")),
        ("backslash", get("/organization\\users")),
        ("a query", get("/organization/users?limit=1")),
        ("a fragment", get("/organization/users#a")),
        ("nothing between", get("/organization//users")),
        ("nothing behind", get("/organization/users/")),
        ("a space", get("/organization/a user")),
        ("a line", get("/organization/a\r\nHost: evil.example")),
        ("not ASCII", get("/organization/\u{ff0f}")),
        ("half a parameter", get("/organization/{id")),
        ("half a parameter, other half", get("/organization/id}").arg("a")),
        ("an empty parameter", get("/organization/{}").arg("a")),
        ("a long one", get(&format!("/{}", "a".repeat(5_000)))),
        ("too few arguments", get("/organization/users/{user_id}")),
        ("too many arguments", get("/organization/users").arg("a")),
        ("an argument that is up", get("/organization/users/{user_id}").arg("..")),
        ("an argument that becomes up", get("/a/{b}").arg(".\t.")),
        ("an argument that becomes nothing", get("/a/{b}").arg("\n")),
        ("a key in two pieces", get("/a/{b}").arg(format!("{}\n{}", &key[..20], &key[20..]))),
        ("a creation that is said to be none, by its arguments", {
            client.raw(Method::Post, "/organization/{what}").arg("admin_api_keys").idempotent()
        }),
        ("an empty argument", get("/organization/users/{user_id}").arg("")),
        ("a key in the path", get(&format!("/organization/{key}"))),
        ("a key for an argument", get("/organization/users/{user_id}").arg(key)),
        ("a key in the query", get("/organization/users").query("after", key)),
        ("a key for a name in the query", get("/organization/users").query(key, 1)),
        ("its own key", get(&format!("/organization/{admin}"))),
        ("its own key for an argument", get("/a/{b}").arg(&admin)),
        ("a body of what reads", get("/organization/users").json(&1)),
        ("a body that is no JSON", {
            let map = std::collections::BTreeMap::from([(vec![1], 2)]);
            client.raw(Method::Post, PROJECTS).json(&map)
        }),
        ("a creation that is said to be none", client.raw(Method::Post, PROJECTS).idempotent()),
    ];
    for (what, call) in cases {
        let shown = format!("{call:?}");
        let error = call.send().await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{what}: {error}");
        assert!(error.nothing_was_sent(), "{what}");
        let text = error.to_string();
        assert!(text.lines().count() == 1 && text.len() < 600, "{what}: {text}");
        for secret in [key, &admin] {
            assert_no_leak!(secret, [("error", &error_surfaces(&error)), ("call", &shown)]);
        }
    }
    for call in [get("/organization/.."), client.raw(Method::Post, PROJECTS)] {
        let error = call.pages().next().await.expect("an item").expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
    assert!(org.fake.requests().is_empty());
}

#[tokio::test]
async fn it_is_repeated_by_what_repeating_does() {
    let org = Organization::start().await;
    let client = org.client();
    let body = serde_json::json!({"name": "made"});
    let create = || client.raw(Method::Post, PROJECTS).json(&body);
    for fault in [FaultAction::StatusAfter { code: 500 }, FaultAction::AnswerLost] {
        let before = org.fake.count("POST", PROJECTS);
        org.fails("POST", PROJECTS, fault);
        let error = create().send().await.expect_err("a fault");
        assert!(error.is_outcome_unknown() && !error.nothing_was_sent(), "{error}");
        assert!(error.to_string().contains("call `reconcile`"), "{error}");
        assert_eq!(org.fake.count("POST", PROJECTS), before + 1);
    }

    let path = format!("/organization/projects/{}", org.project);
    let update = || client.raw(Method::Post, path.clone()).json(&body);
    org.fails("POST", PROJECT, FaultAction::StatusBefore { code: 503 });
    update().idempotent().send().await.expect("in the end");
    assert_eq!(org.fake.count("POST", PROJECT), 2);
    org.fails("POST", PROJECT, FaultAction::StatusBefore { code: 503 });
    let error = update().send().await.expect_err("once");
    assert!(error.is_outcome_unknown(), "{error}");
    assert!(!error.to_string().contains("reconcile"), "there is none: {error}");
    assert_eq!(org.fake.count("POST", PROJECT), 3);

    let user = org.fake.seed_user("a user");
    let delete = || client.raw(Method::Delete, "/organization/users/{user_id}").arg(&user);
    let of_fake = "/organization/users/{user_id}";
    org.fails("DELETE", of_fake, FaultAction::StatusBefore { code: 503 });
    assert!(delete().once().send().await.expect_err("once").is_outcome_unknown());
    assert_eq!(org.fake.count("DELETE", of_fake), 1);
    org.fails("DELETE", of_fake, FaultAction::StatusBefore { code: 503 });
    delete().send().await.expect("in the end");
    assert_eq!(org.fake.count("DELETE", of_fake), 3);
}

#[tokio::test]
async fn a_path_that_nobody_knows_has_errors_like_any() {
    let org = Organization::start().await;
    let client = org.client();
    let path = "/organization/widgets/{widget_id}";
    let error = client.raw(Method::Put, path).arg("w_1").send().await.expect_err("none");
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().starts_with("PUT /organization/widgets/{widget_id}: "), "{error}");
    assert_eq!(error.operation().expect("one").path, path);
    let path = "/organization/widgets/w_1";
    let error = client.raw(Method::Get, path).send().await.expect_err("none");
    assert!(error.to_string().starts_with("GET /organization/widgets/w_1: "), "{error}");
}

#[tokio::test]
async fn it_shares_the_gate_of_the_operation() {
    let org = Organization::start().await;
    let client = org.builder().deadline(Duration::from_secs(1)).build().expect("a client");
    let code = "rate_limit_exceeded".to_owned();
    let throttle = FaultAction::Throttle { retry_after: Some(3), code };
    org.fails("GET", "/organization/users/{user_id}", throttle);
    let error = client.user("user-a").get().await.expect_err("throttled");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, Some(429)));
    assert!(!error.nothing_was_sent());
    let error = client.raw(Method::Get, "/organization/users/user-b").send().await;
    let error = error.expect_err("throttled");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, None));
    assert!(error.nothing_was_sent());
}

#[test]
fn a_key_that_it_makes_is_caught_and_shown_nowhere() {
    type Minted = Result<keyward_admin::MintedKey<String>, Error>;
    for (drift, is_caught) in [
        (None, true),
        (Some(FaultAction::ValueMoved), true),
        (Some(FaultAction::ValueRetyped), true),
        (Some(FaultAction::UnknownFields), true),
        (Some(FaultAction::AnswerLost), false),
        (Some(FaultAction::StatusAfter { code: 500 }), false),
        (Some(FaultAction::NotJson { code: 200 }), false),
    ] {
        let ((minted, answer, org), logs): ((Minted, _, _), _) = with_trace(async {
            let org = Organization::start().await;
            let client = org.client();
            let call = || {
                let body = serde_json::json!({"name": "tag", "scopes": ["api.responses.write"]});
                let call = client.raw(Method::Post, MINT).arg(&org.project).arg(&org.account);
                call.json(&body)
            };
            if let Some(drift) = drift.clone() {
                org.fails("POST", MINT, drift);
            }
            let minted = call().mint().await;
            // And by hand, in an answer that shows nothing.
            let answer = call().send().await.expect("an answer");
            (minted, answer, org)
        });
        let made = org.minted();
        let mut shown = format!("{answer:?}");
        match &minted {
            Ok(minted) => {
                assert!(is_caught, "{drift:?}");
                assert_eq!(minted.key, ApiKey::parse(made[0].clone()).expect("a key"));
                assert_eq!(minted.key.kind(), KeyKind::ServiceAccount);
                assert!(minted.metadata.id.is_some());
                shown.push_str(&format!("{minted:?}"));
            }
            Err(error) => {
                assert!(!is_caught && error.is_outcome_unknown(), "{drift:?}: {error}");
                shown.push_str(&error_surfaces(error));
            }
        }
        assert_eq!(org.fake.count("POST", MINT), 2, "{drift:?}: sent once each");
        assert!(made.iter().any(|key| String::from_utf8_lossy(answer.bytes()).contains(key)));
        for key in &made {
            assert_no_leak!(key, [("shown", &shown), ("logs", &logs)]);
        }
    }
}

#[tokio::test]
async fn a_listing_by_hand_is_whole_or_an_error() {
    let fake = FakeOpenAi::builder().page_size_limit(10).start().await.expect("a fake");
    let org = Organization::of(fake);
    for n in 1..35 {
        org.fake.seed_project(&format!("project {n}"));
    }
    let client = org.client();
    let all = client.raw(Method::Get, PROJECTS).query("limit", 10).pages().all().await;
    let all = all.expect("a listing");
    assert_eq!(all.len(), 35);
    let names: Vec<_> = all.iter().map(|p| p.json::<Project<'_>>().expect("one").name).collect();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 35);
    assert!(all.iter().all(|p| p.id().is_some()));
    let shown = format!("{:?}", all[0]);
    assert!(!shown.contains(names[0]), "{shown}");

    org.fake.fault(Fault::on("GET", PROJECTS).always().then(FaultAction::RepeatedCursor));
    let error = client.raw(Method::Get, PROJECTS).pages().all().await.expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::Paging);

    let buckets = client
        .raw(Method::Get, "/organization/usage/completions")
        .query("start_time", 1_790_000_000)
        .query("end_time", 1_790_000_000 + 20 * 86_400)
        .query("bucket_width", "1d")
        .bucket_pages();
    let buckets = buckets.all().await.expect("a listing");
    assert!(buckets.len() >= 20, "{}", buckets.len());
    assert!(buckets[0].id().is_none());
}
