//! What the organization does when nothing goes wrong.

use super::*;

#[tokio::test]
async fn a_key_is_minted_used_listed_and_deleted() {
    let s = Scene::new().await;
    let body = json!({ "name": "blue", "scopes": ["api.responses.write"] });
    let minted = s.admin.ok(Method::POST, &s.mint_path(), Some(body)).await;
    assert_eq!(minted["object"], "organization.project.service_account.api_key");
    assert_eq!(minted["created_at"], START);
    let value = minted["value"].as_str().unwrap();
    assert!(value.starts_with("sk-svcacct-") && value.len() == 167);
    let (id, key) = (minted["id"].as_str().unwrap(), Api::new(&s.fake, value));

    s.fake.clock().advance(Duration::from_secs(5));
    assert_eq!(uses(&key).await, 200);
    let listed = s.admin.ok(Method::GET, &s.project_path("/api_keys"), None).await;
    let listed = &listed["data"][0];
    assert_eq!(listed["object"], "organization.project.api_key");
    assert_eq!(listed["id"], id);
    assert_eq!(listed["last_used_at"], START + 5);
    assert_eq!(listed["expires_at"], Value::Null);
    assert_eq!(listed["owner"]["type"], "service_account");
    assert_eq!(listed["owner"]["service_account"]["id"], s.account.as_str());
    let redacted = listed["redacted_value"].as_str().unwrap();
    let (head, tail) = redacted.split_once("...").unwrap();
    assert!(value.starts_with(head) && value.ends_with(tail), "{redacted}");
    assert_no_leak!(value, listed.to_string());

    let deleted = s.admin.ok(Method::DELETE, &s.key_path(id), None).await;
    assert_eq!(deleted["object"], "organization.project.api_key.deleted");
    let left = s.admin.get(&s.project_path("/api_keys?owner_project_access=any")).await.1;
    assert!(texts(&left, "id").is_empty());
    assert_eq!(uses(&key).await, 401);
    assert!(!s.fake.key_is_live(value));
    assert_eq!(s.admin.delete(&s.key_path(id)).await.0, 404);
    assert_eq!(s.admin.get(&s.key_path(id)).await.0, 404);
}

#[tokio::test]
async fn keys_are_good_for_their_own_side_alone() {
    let s = Scene::new().await;
    let (_, key) = s.mint(json!({})).await;
    let (status, error) = key.get(PROJECTS).await;
    assert_eq!(status, 403);
    assert!(error["error"]["message"].as_str().unwrap().contains("Missing scopes: "));
    assert_eq!(s.admin.get("/models").await.0, 403);
    assert_eq!(key.get("/models").await.0, 200);
    let legacy = Api::new(&s.fake, &s.fake.seed_legacy_user_key());
    assert_eq!((uses(&legacy).await, legacy.get(PROJECTS).await.0), (200, 403));
}

#[tokio::test]
async fn a_key_that_is_not_known_is_echoed_in_part() {
    let s = Scene::new().await;
    let stranger = keys::project_key(&mut keys::KeyRng::seeded(99));
    let (status, error) = Api::new(&s.fake, &stranger).get(PROJECTS).await;
    assert_eq!((status, &error["error"]["code"]), (401, &json!("invalid_api_key")));
    let message = error["error"]["message"].as_str().unwrap();
    let tail = &stranger[160..];
    assert!(message.starts_with("Incorrect API key provided: sk-proj-***"), "{message}");
    assert!(message.contains(&format!("*{tail}. You can find")), "{message}");
    assert_no_leak!(stranger, message);
    let nobody = s.admin.http.get(format!("{}/models", s.fake.base_url())).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn answers_carry_their_headers() {
    let s = Scene::new().await;
    for path in [PROJECTS, "/nonsense"] {
        let response = s.admin.send(Method::GET, path, None).await.unwrap();
        for name in ["x-request-id", "openai-organization", "openai-processing-ms"] {
            assert!(response.headers().contains_key(name), "{path}: {name}");
        }
    }
    assert_eq!(s.admin.get("/nonsense").await.0, 404);
    let (status, error) = s.admin.delete(PROJECTS).await;
    assert_eq!((status, &error["error"]["code"]), (405, &json!("method_not_supported")));
}

#[tokio::test]
async fn scopes_are_enforced_and_an_empty_list_means_all() {
    let s = Scene::new().await;
    let (id, key) = s.mint(json!({ "scopes": ["api.all.read"] })).await;
    assert_eq!(key.get("/models").await.0, 200);
    let (status, error) = key.post("/responses", json!({})).await;
    assert_eq!(status, 403);
    assert_eq!(
        error["error"]["message"],
        "You have insufficient permissions for this operation. Missing scopes: \
         api.responses.write."
    );
    s.admin.ok(Method::POST, &s.key_path(&id), Some(json!({ "scopes": [] }))).await;
    assert_eq!(uses(&key).await, 200);
    let narrow = json!({ "scopes": ["api.responses.write"] });
    s.admin.ok(Method::POST, &s.key_path(&id), Some(narrow)).await;
    assert_eq!((uses(&key).await, key.get("/models").await.0), (200, 403));
}

#[tokio::test]
async fn keys_expire_and_the_expired_cannot_be_updated() {
    let s = Scene::new().await;
    let (id, key) = s.mint(json!({ "expires_in_seconds": 60 })).await;
    s.fake.clock().advance(Duration::from_secs(59));
    assert_eq!(uses(&key).await, 200);
    let longer = json!({ "expires_in_seconds": 60 });
    let updated = s.admin.ok(Method::POST, &s.key_path(&id), Some(longer.clone())).await;
    assert_eq!(updated["expires_at"], START + 119);
    s.fake.clock().advance(Duration::from_secs(60));
    assert_eq!(uses(&key).await, 401);
    assert_eq!(s.admin.post(&s.key_path(&id), longer).await.0, 400);
    for body in [json!({}), json!({ "scopes": null }), json!({ "expires_in_seconds": 0 })] {
        assert_eq!(s.admin.post(&s.key_path(&id), body).await.0, 400);
    }
    for seconds in [json!(0), json!(31_536_001), json!("60"), Value::Null] {
        let body = json!({ "expires_in_seconds": seconds });
        assert_eq!(s.admin.post(&s.mint_path(), body).await.0, 400);
    }
}

#[tokio::test]
async fn the_authentication_cache_delays_what_changes() {
    let cache = Duration::from_millis(1500);
    let s = Scene::with(FakeOpenAi::builder().auth_cache(cache)).await;
    let (id, key) = s.mint(json!({})).await;
    assert_eq!(uses(&key).await, 401);
    assert!(s.fake.key_is_live(&key.key));
    s.fake.clock().advance(cache);
    assert_eq!(uses(&key).await, 200);

    let scopes = json!({ "scopes": ["api.all.read"] });
    s.admin.ok(Method::POST, &s.key_path(&id), Some(scopes)).await;
    assert_eq!(uses(&key).await, 200);
    s.fake.clock().advance(cache);
    assert_eq!((uses(&key).await, key.get("/models").await.0), (403, 200));

    s.admin.ok(Method::DELETE, &s.key_path(&id), None).await;
    assert_eq!(key.get("/models").await.0, 200);
    s.fake.clock().advance(cache);
    assert_eq!(key.get("/models").await.0, 401);
}

#[tokio::test]
async fn an_account_without_a_role_has_useless_keys() {
    let s = Scene::new().await;
    let accounts = s.project_path("/service_accounts");
    let alone = json!({ "name": "a", "create_service_account_only": true });
    let mut expiring = alone.clone();
    expiring["expires_in_seconds"] = json!(60);
    assert_eq!(s.admin.post(&accounts, expiring).await.0, 400);
    let account = s.admin.ok(Method::POST, &accounts, Some(alone)).await;
    assert_eq!((&account["role"], &account["api_key"]), (&json!("none"), &Value::Null));

    let path = format!("{accounts}/{}", account["id"].as_str().unwrap());
    let minted =
        s.admin.ok(Method::POST, &format!("{path}/api_keys"), Some(json!({ "name": "k" }))).await;
    let key = Api::new(&s.fake, minted["value"].as_str().unwrap());
    assert_eq!(uses(&key).await, 403);
    let all = s.project_path("/api_keys");
    assert!(texts(&s.admin.get(&all).await.1, "id").is_empty(), "hidden without `any`");
    for access in ["any", "inactive"] {
        let path = format!("{all}?owner_project_access={access}");
        let list = s.admin.get(&path).await.1;
        assert_eq!(list["data"][0]["owner_project_access"], "inactive");
    }
    assert_eq!(s.admin.get(&format!("{all}?owner_project_access=x")).await.0, 400);
    s.admin.ok(Method::POST, &path, Some(json!({ "role": "member" }))).await;
    assert_eq!(uses(&key).await, 200);
    assert_eq!(s.admin.post(&path, json!({ "role": "god" })).await.0, 400);
}

#[tokio::test]
async fn an_account_comes_with_a_key_and_takes_its_keys_along() {
    let s = Scene::new().await;
    let accounts = s.project_path("/service_accounts");
    let body = json!({ "name": "a", "expires_in_seconds": 60 });
    let account = s.admin.ok(Method::POST, &accounts, Some(body)).await;
    assert_eq!(account["role"], "member");
    assert_eq!(account["api_key"]["expires_at"], START + 60);
    let key = Api::new(&s.fake, account["api_key"]["value"].as_str().unwrap());
    assert_eq!(uses(&key).await, 200);
    let path = format!("{accounts}/{}", account["id"].as_str().unwrap());
    let renamed = s.admin.ok(Method::POST, &path, Some(json!({ "name": "b" }))).await;
    assert_eq!(renamed["name"], "b");
    assert_eq!(s.admin.ok(Method::GET, &path, None).await, renamed);
    assert_eq!(texts(&s.admin.get(&accounts).await.1, "name"), ["checkout", "b"]);
    let deleted = s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(deleted["deleted"], true);
    assert_eq!(uses(&key).await, 401);
    assert_eq!(s.admin.get(&path).await.0, 404);
}

#[tokio::test]
async fn an_archived_project_is_closed() {
    let s = Scene::new().await;
    let (_, key) = s.mint(json!({})).await;
    let archived = s.admin.ok(Method::POST, &s.project_path("/archive"), None).await;
    assert_eq!(
        (&archived["status"], &archived["archived_at"]),
        (&json!("archived"), &json!(START))
    );
    for (method, path) in [
        (Method::GET, s.project_path("/service_accounts")),
        (Method::GET, s.account_path()),
        (Method::DELETE, s.account_path()),
    ] {
        assert_eq!(s.admin.call(method, &path, None).await.0, 400, "{path}");
    }
    assert_eq!(s.admin.post(&s.mint_path(), json!({})).await.0, 400);
    assert_eq!(s.admin.post(&s.project_path(""), json!({ "name": "x" })).await.0, 400);
    assert_eq!(uses(&key).await, 401);
    assert!(!s.fake.key_is_live(&key.key));
    assert!(texts(&s.admin.get(PROJECTS).await.1, "id").is_empty());
    let all = s.admin.get(&format!("{PROJECTS}?include_archived=true")).await.1;
    assert_eq!(texts(&all, "id"), [s.project.as_str()]);
}

#[tokio::test]
async fn projects_are_made_and_renamed() {
    let s = Scene::new().await;
    let made = s.admin.ok(Method::POST, PROJECTS, Some(json!({ "name": "new" }))).await;
    assert_eq!(made["object"], "organization.project");
    let path = format!("{PROJECTS}/{}", made["id"].as_str().unwrap());
    let body = json!({ "name": "newer", "external_key_id": "ext" });
    let renamed = s.admin.ok(Method::POST, &path, Some(body)).await;
    assert_eq!((&renamed["name"], &renamed["external_key_id"]), (&json!("newer"), &json!("ext")));
    assert_eq!(s.admin.ok(Method::GET, &path, None).await, renamed);
    for body in [json!({}), json!({ "name": 7 }), json!({ "nmae": "x", "name": "x" }), json!([])] {
        assert_eq!(s.admin.post(PROJECTS, body).await.0, 400);
    }
    assert_eq!(s.admin.get(&format!("{PROJECTS}/proj_none")).await.0, 404);
}

#[tokio::test]
async fn admin_keys_are_minted_shown_once_and_deleted() {
    let s = Scene::new().await;
    let body = json!({ "name": "next", "expires_in_seconds": 3600 });
    let minted = s.admin.ok(Method::POST, ADMIN_KEYS, Some(body)).await;
    assert_eq!(minted["object"], "organization.admin_api_key");
    assert_eq!(minted["expires_at"], START + 3600);
    let next = Api::new(&s.fake, minted["value"].as_str().unwrap());
    let list = next.ok(Method::GET, ADMIN_KEYS, None).await;
    assert_eq!(texts(&list, "name"), ["bootstrap", "next"]);
    assert_eq!(list["data"][1]["owner"]["type"], "user");
    assert_no_leak!(next.key, list.to_string());
    let bootstrap = list["data"][0]["id"].as_str().unwrap();
    let path = format!("{ADMIN_KEYS}/{bootstrap}");
    assert_eq!(next.ok(Method::GET, &path, None).await["name"], "bootstrap");
    next.ok(Method::DELETE, &path, None).await;
    assert_eq!(s.admin.get(ADMIN_KEYS).await.0, 401);
    let descending = next.get(&format!("{ADMIN_KEYS}?order=desc")).await.1;
    assert_eq!(texts(&descending, "name"), ["next"]);
}

#[tokio::test]
async fn people_lose_access_and_their_keys_with_it() {
    let s = Scene::new().await;
    let key = Api::new(&s.fake, &s.fake.seed_user_project_key(&s.project));
    assert_eq!(uses(&key).await, 200);
    let keys = s.project_path("/api_keys");
    let list = s.admin.get(&keys).await.1;
    let user = list["data"][0]["owner"]["user"]["id"].as_str().unwrap();
    s.fake.revoke_access(user, &s.project);
    assert_eq!(uses(&key).await, 401);
    assert!(texts(&s.admin.get(&keys).await.1, "id").is_empty());
    let any = s.admin.get(&format!("{keys}?owner_project_access=any")).await.1;
    assert_eq!(texts(&any, "id").len(), 1);
    let shown = s.admin.ok(Method::GET, &format!("/organization/users/{user}"), None).await;
    assert_eq!(shown["object"], "organization.user");
    let email = shown["email"].as_str().unwrap();
    let found = s.admin.get(&format!("/organization/users?emails[]={email}")).await.1;
    assert_eq!(texts(&found, "id"), [user]);
    assert_eq!(s.admin.get("/organization/users").await.1["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn policies_show_as_refusals() {
    let max = Some(Duration::from_secs(3600));
    let s = Scene::with(
        FakeOpenAi::builder()
            .max_key_lifetime(max)
            .service_account_keys_only(true)
            .refuse_service_account_key_deletion(true)
            .refuse_duplicate_service_account_names(true),
    )
    .await;
    for body in [json!({}), json!({ "expires_in_seconds": 3601 })] {
        assert_eq!(s.admin.post(&s.mint_path(), body).await.0, 400);
    }
    let (id, key) = s.mint(json!({ "expires_in_seconds": 3600 })).await;
    assert_eq!(uses(&key).await, 200);
    assert_eq!(s.admin.delete(&s.key_path(&id)).await.0, 400);
    let person = Api::new(&s.fake, &s.fake.seed_user_project_key(&s.project));
    assert_eq!(uses(&person).await, 403);
    let twin = json!({ "name": "checkout", "expires_in_seconds": 60 });
    assert_eq!(s.admin.post(&s.project_path("/service_accounts"), twin).await.0, 400);
}

#[tokio::test]
async fn pages_follow_the_cursor_to_the_end() {
    let s = Scene::with(FakeOpenAi::builder().page_size_limit(2)).await;
    for n in 0..4 {
        s.fake.seed_project(&format!("p{n}"));
        s.fake.seed_group(&format!("g{n}"));
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = s.admin.get(&format!("{PROJECTS}?limit=50{after}")).await.1;
        names.extend(texts(&page, "name"));
        assert_eq!(page["last_id"], page["data"].as_array().unwrap().last().unwrap()["id"]);
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(names, ["shop", "p0", "p1", "p2", "p3"]);
    for wrong in ["limit=0", "limit=101", "limit=x", "after=proj_none"] {
        assert_eq!(s.admin.get(&format!("{PROJECTS}?{wrong}")).await.0, 400, "{wrong}");
    }

    let groups = "/organization/groups";
    let page = s.admin.get(groups).await.1;
    let next = page["next"].as_str().unwrap();
    let last = s.admin.get(&format!("{groups}?after={next}")).await.1;
    assert_eq!(
        (texts(&last, "name"), &last["next"]),
        (vec!["g2".into(), "g3".into()], &Value::Null)
    );
}

#[tokio::test]
async fn costs_come_in_buckets_of_a_day() {
    let s = Scene::new().await;
    let day = 86_400;
    let midnight = START / day * day;
    s.fake.seed_cost(&s.project, midnight - 2 * day, 3.5);
    let (id, key) = s.mint(json!({})).await;
    uses(&key).await;
    let costs = "/organization/costs";
    assert_eq!(s.admin.get(costs).await.0, 400);
    let range = format!("{costs}?start_time={}", midnight - 2 * day);
    let page = s.admin.get(&format!("{range}&group_by[]=api_key_id&limit=2")).await.1;
    assert_eq!((&page["object"], &page["has_more"]), (&json!("page"), &json!(true)));
    let buckets = page["data"].as_array().unwrap();
    assert_eq!(buckets[0]["results"][0]["amount"], json!({ "value": 3.5, "currency": "usd" }));
    assert_eq!(buckets[1]["results"], json!([]));
    let next = page["next_page"].as_str().unwrap();
    let last = s.admin.get(&format!("{range}&group_by[]=api_key_id&page={next}")).await.1;
    assert_eq!(last["data"][0]["start_time"], midnight);
    assert_eq!(last["data"][0]["results"][0]["api_key_id"], id.as_str());
    assert_eq!((&last["has_more"], &last["next_page"]), (&json!(false), &Value::Null));
    for wrong in ["limit=181", "bucket_width=1h", "page=x", "group_by[]=x"] {
        assert_eq!(s.admin.get(&format!("{range}&{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_seed_repeats_the_organization() {
    let [one, two] = [Scene::new().await, Scene::new().await];
    assert_eq!(one.fake.admin_key(), two.fake.admin_key());
    assert_eq!((&one.project, &one.account), (&two.project, &two.account));
    let other = FakeOpenAi::start().await.unwrap();
    assert_ne!(other.admin_key(), one.fake.admin_key());
}

#[tokio::test]
async fn records_tell_what_came_and_hold_no_secret() {
    let s = Scene::new().await;
    let (_, key) = s.mint(json!({ "name": "blue" })).await;
    s.admin.get(&format!("{PROJECTS}?limit=7")).await;
    key.get("/nonsense").await;
    let requests = s.fake.requests();
    let [mint, list, lost] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((mint.template.as_str(), mint.status, mint.effect), (MINT, Some(200), true));
    assert_eq!(mint.path, format!("/v1{}", s.mint_path()));
    assert_eq!((list.query.as_str(), list.effect), ("limit=7", false));
    assert_eq!((lost.template.as_str(), lost.status), ("", Some(404)));
    assert_eq!(s.fake.count("POST", MINT), 1);
    let live = s.fake.live_key_values();
    assert_eq!(live, [s.fake.admin_key(), key.key]);
    let detector = LeakDetector::of_all(&live);
    detector.assert_absent(&"records", format!("{requests:?} {:?}", s.fake).as_bytes());
}

#[tokio::test]
async fn project_keys_can_be_listed_as_admin_keys() {
    let s = Scene::with(FakeOpenAi::builder().list_project_keys_as_admin_keys(true)).await;
    s.fake.seed_service_account_key(&s.account);
    let list = s.admin.get(ADMIN_KEYS).await.1;
    let redacted = texts(&list, "redacted_value");
    assert!(redacted[0].starts_with("sk-admin") && !redacted[1].starts_with("sk-admin"));
}

#[tokio::test]
async fn the_port_is_closed_after_shutdown_and_drop() {
    let fake = FakeOpenAi::start().await.unwrap();
    let address = fake.base_url().replace("http://", "").replace("/v1", "");
    assert!(address.starts_with("127.0.0.1:"));
    assert!(std::net::TcpStream::connect(&address).is_ok());
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    fake.shutdown().await;
    assert!(std::net::TcpStream::connect(&address).is_err());
    drop(FakeOpenAi::builder().port(port).start().await.unwrap());
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn a_test_may_block_its_thread() {
    use std::io::{Read as _, Write as _};
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fake = runtime.block_on(FakeOpenAi::start()).unwrap();
    let address = fake.base_url().replace("http://", "").replace("/v1", "");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn client_secrets_open_sessions_until_they_expire() {
    const SECRETS: &str = "/realtime/client_secrets";
    let s = Scene::new().await;
    let key = Api::new(&s.fake, &s.fake.seed_service_account_key(&s.account));
    let ask = |seconds: Value| {
        json!({
            "expires_after": { "anchor": "created_at", "seconds": seconds },
            "session": { "type": "realtime", "model": "m" },
        })
    };
    for body in [ask(json!(9)), ask(json!(7201)), ask(json!("60")), json!({ "session": {} })] {
        assert_eq!(key.post(SECRETS, body.clone()).await.0, 400, "{body}");
    }
    assert_eq!(s.admin.post(SECRETS, ask(json!(60))).await.0, 403);

    let minted = key.ok(Method::POST, SECRETS, Some(ask(json!(60)))).await;
    assert_eq!(
        (&minted["expires_at"], &minted["session"]["model"]),
        (&json!(START + 60), &json!("m"))
    );
    let unasked = key.ok(Method::POST, SECRETS, Some(json!({}))).await;
    assert_eq!(unasked["expires_at"], START + 600);

    let browser = Api::new(&s.fake, minted["value"].as_str().unwrap());
    assert!(browser.key.starts_with("ek_"));
    let connect = async || {
        let url = format!("{}/realtime/calls", s.fake.base_url());
        let call = browser.http.post(url).bearer_auth(&browser.key).body("v=0\r\n");
        call.send().await.unwrap().status().as_u16()
    };
    assert_eq!(connect().await, 201);
    assert_eq!(browser.get("/models").await.0, 403);
    assert_eq!(browser.post(SECRETS, ask(json!(60))).await.0, 403);
    let listed = s.admin.get(&s.project_path("/api_keys")).await.1;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "a client secret is no key");
    s.fake.clock().advance(Duration::from_secs(60));
    assert_eq!(connect().await, 401);
}
