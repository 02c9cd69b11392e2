//! What happened: the audit log, usage, and how fast the organization answers.

use super::every_operation::KINDS_OF_USAGE;
use super::*;

const LOGS: &str = "/organization/audit_logs";

async fn events(s: &Scene, query: &str) -> Value {
    s.admin.ok(Method::GET, &format!("{LOGS}?{query}"), None).await
}

#[tokio::test]
async fn what_is_changed_is_noted() {
    let s = Scene::new().await;
    let (id, _) = s.mint(json!({ "scopes": ["api.all.read"] })).await;
    s.fake.clock().advance(Duration::from_secs(5));
    s.admin.ok(Method::DELETE, &s.key_path(&id), None).await;
    s.admin.get(PROJECTS).await;
    s.admin.delete(&s.key_path(&id)).await;
    let list = events(&s, "").await;
    assert_eq!(texts(&list, "type"), ["api_key.deleted", "api_key.created"]);
    let [deleted, created] = [&list["data"][0], &list["data"][1]];
    assert_eq!(created["api_key.created"]["data"]["scopes"], json!(["api.all.read"]));
    assert_eq!(deleted["api_key.deleted"]["id"], id.as_str());
    assert_eq!(deleted["effective_at"], START + 5);
    assert_eq!(deleted["project"]["id"], s.project.as_str());
    let admin = s.fake.key_id(&s.fake.admin_key()).unwrap();
    assert_eq!(deleted["actor"]["api_key"]["id"], admin.as_str());
    let body = json!({ "name": "both" });
    s.admin.ok(Method::POST, &s.project_path("/service_accounts"), Some(body)).await;
    let both = events(&s, "limit=2").await;
    assert_eq!(texts(&both, "type"), ["api_key.created", "service_account.created"]);
    s.fake.fault(Fault::on("DELETE", "*").then(FaultAction::AnswerLost));
    let path = format!("{PROJECTS}/{}/service_accounts/{}", s.project, s.account);
    s.admin.send(Method::DELETE, &path, None).await.unwrap_err();
    assert_eq!(texts(&events(&s, "limit=1").await, "type"), ["service_account.deleted"]);
    assert_no_leak!(s.fake.admin_key(), events(&s, "").await.to_string());
}

#[tokio::test]
async fn seeded_events_are_newest_first_and_page_to_the_end() {
    let s = Scene::new().await;
    let ids = s.fake.seed_audit_events(50);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = events(&s, &format!("limit=20{after}")).await;
        seen.extend(texts(&page, "id"));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(seen.len(), ids.len() - 2, "two types of the first fifty are the tenant's");
    assert!(ids.iter().filter(|id| seen.contains(id)).eq(&seen), "in the same order");
    let first = events(&s, "limit=1").await;
    let last = events(&s, &format!("before={}&limit=1", seen[1])).await;
    assert_eq!(first["data"], last["data"]);
    assert_eq!(first["data"][0]["effective_at"], START);
}

#[tokio::test]
async fn every_type_is_seeded_and_the_tenants_are_listed_apart() {
    let s = Scene::new().await;
    s.fake.seed_audit_events(149);
    let own = events(&s, "limit=100").await;
    let tenants = events(&s, "limit=100&tenant_only=true").await;
    let of = |list: &Value| list["data"].as_array().unwrap().clone();
    assert_eq!((of(&own).len(), of(&tenants).len()), (59, 90));
    for event in of(&own).iter().chain(&of(&tenants)) {
        let kind = event["type"].as_str().unwrap();
        let fields: Vec<_> =
            event.as_object().unwrap().keys().filter(|k| k.contains('.')).collect();
        assert!(fields.is_empty() || fields == [kind], "{event}");
        assert_eq!(
            fields.is_empty(),
            matches!(kind, "resource.deleted")
                || kind.starts_with("tunnel.")
                || kind.starts_with("tenant."),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn audit_events_are_filtered() {
    let s = Scene::new().await;
    s.fake.seed_audit_events(50);
    let all = events(&s, "limit=100").await["data"].as_array().unwrap().len();
    let owner = s.admin.get("/organization/users").await.1["data"][0].clone();
    let (id, email) = (owner["id"].as_str().unwrap(), owner["email"].as_str().unwrap());
    let key = s.fake.key_id(&s.fake.admin_key()).unwrap();
    let cases = [
        (format!("effective_at[gt]={}", START - 120), 2),
        (format!("effective_at[gte]={}&effective_at[lt]={START}", START - 120), 2),
        ("event_types[]=login.failed&event_types[]=login.succeeded".to_owned(), 2),
        ("event_types=login.failed".to_owned(), 1),
        // Every third, but for two of the tenant's.
        (format!("project_ids[]={}", s.project), 15),
        ("project_ids[]=proj_none".to_owned(), 0),
        ("resource_ids[]=sample_0".to_owned(), 1),
        (format!("actor_ids[]={key}"), 24),
        (format!("actor_ids[]={id}"), all),
        (format!("actor_emails[]={email}"), all),
        ("actor_emails[]=nobody@example.com".to_owned(), 0),
    ];
    for (query, count) in cases {
        let list = events(&s, &format!("limit=100&{query}")).await;
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{query}");
    }
    for wrong in [
        "event_types[]=login",
        "effective_at=1",
        "effective_at[gt]=x",
        "tenant_only=1",
        "tenant_only=true&event_types[]=login.failed",
    ] {
        assert_eq!(s.admin.get(&format!("{LOGS}?{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn usage_is_summed_by_bucket_and_group() {
    let s = Scene::new().await;
    let hour = START / 3600 * 3600;
    let other = s.fake.seed_project("other");
    for kind in KINDS_OF_USAGE {
        s.fake.seed_usage(kind, &s.project, hour, 2);
        s.fake.seed_usage(kind, &s.project, hour + 60, 3);
        s.fake.seed_usage(kind, &other, hour, 1);
        let usage = format!("/organization/usage/{kind}");
        assert_eq!(s.admin.get(&usage).await.0, 400, "no start");
        let range = format!("{usage}?start_time={hour}&end_time={}", hour + 3600);
        let requests = |page: &Value| -> Vec<u64> {
            let results = page["data"][0]["results"].as_array().unwrap();
            results.iter().map(|r| r["num_model_requests"].as_u64().unwrap_or(0)).collect()
        };
        let hourly = s.admin.get(&format!("{range}&bucket_width=1h")).await.1;
        assert_eq!(hourly["data"].as_array().unwrap().len(), 1, "{kind}");
        assert_eq!(hourly["data"][0]["results"][0]["project_id"], Value::Null);
        let counts_models = hourly["data"][0]["results"][0].get("num_model_requests").is_some();
        assert_eq!(requests(&hourly), [if counts_models { 6 } else { 0 }], "{kind}");
        let by_project = format!("{range}&bucket_width=1h&group_by[]=project_id");
        let grouped = s.admin.get(&by_project).await.1;
        let results = grouped["data"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert!(results.iter().any(|result| result["project_id"] == other.as_str()));
        let one = s.admin.get(&format!("{range}&bucket_width=1h&project_ids[]={other}")).await.1;
        assert_eq!(requests(&one), [u64::from(counts_models)], "{kind}");
        let minutes = s.admin.get(&format!("{range}&bucket_width=1m&limit=2")).await.1;
        assert_eq!(minutes["data"][1]["start_time"], hour + 60);
        let next = minutes["next_page"].as_str().unwrap();
        let rest = s.admin.get(&format!("{range}&bucket_width=1m&limit=2&page={next}")).await.1;
        assert_eq!(rest["data"][0]["results"], json!([]));
    }
    let usage = format!("/organization/usage/vector_stores?start_time={hour}");
    assert_eq!(s.admin.get(&format!("{usage}&group_by[]=model")).await.0, 400);
}

#[tokio::test]
async fn a_call_counts_as_a_completion() {
    let s = Scene::new().await;
    let (id, key) = s.mint(json!({})).await;
    uses(&key).await;
    uses(&key).await;
    let usage = format!("/organization/usage/completions?start_time={START}");
    let groups = "group_by[]=api_key_id&group_by[]=model&api_key_ids[]=";
    let page = s.admin.get(&format!("{usage}&{groups}{id}")).await.1;
    let result = &page["data"][0]["results"][0];
    assert_eq!((&result["num_model_requests"], &result["model"]), (&json!(2), &json!("m")));
    assert_eq!((&result["api_key_id"], &result["user_id"]), (&json!(id), &Value::Null));
}

#[tokio::test]
async fn answers_wait_at_once() {
    let latency = Duration::from_millis(300);
    let s = Scene::with(FakeOpenAi::builder().latency(latency)).await;
    let started = Instant::now();
    let calls = [(); 3].map(|()| s.admin.get(PROJECTS));
    let [one, two, three] = calls;
    let statuses = tokio::join!(one, two, three);
    assert_eq!((statuses.0.0, statuses.1.0, statuses.2.0), (200, 200, 200));
    assert!((latency..latency * 3).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_throttle_is_each_operations_own() {
    let s = Scene::with(FakeOpenAi::builder().throttle(0.2, 2, true)).await;
    assert_eq!((s.admin.get(PROJECTS).await.0, s.admin.get(PROJECTS).await.0), (200, 200));
    // What is throttled uses no fault up.
    s.fake.fault(Fault::on("GET", "*").then(FaultAction::StatusBefore { code: 503 }));
    let refused = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((4..=5).contains(&seconds), "{seconds}");
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    assert_eq!(s.admin.get(ADMIN_KEYS).await.0, 503);
    assert_eq!(s.admin.get(ADMIN_KEYS).await.0, 200);
    assert_eq!(s.fake.requests()[2].status, Some(429));

    let s = Scene::with(FakeOpenAi::builder().throttle(2.0, 1, false)).await;
    assert_eq!(s.admin.get(PROJECTS).await.0, 200);
    let refused = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().get("retry-after")), (429, None));
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert_eq!(s.admin.get(PROJECTS).await.0, 200);
}
