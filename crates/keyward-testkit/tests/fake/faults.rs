//! Each fault, as a client meets it.

use super::*;

fn mint_fault(action: FaultAction) -> Fault {
    Fault::on("POST", MINT).then(action)
}

fn list_fault(action: FaultAction) -> Fault {
    Fault::on("GET", PROJECTS).then(action)
}

#[tokio::test]
async fn an_error_before_the_effect_mints_nothing_and_one_after_does() {
    let s = Scene::new().await;
    let live = s.fake.live_key_values().len();
    s.fake.fault(mint_fault(FaultAction::StatusBefore { code: 500 }));
    s.fake.fault(mint_fault(FaultAction::StatusAfter { code: 502 }));
    assert_eq!(s.admin.post(&s.mint_path(), json!({})).await.0, 500);
    assert_eq!(s.fake.live_key_values().len(), live);
    assert_eq!(s.admin.post(&s.mint_path(), json!({})).await.0, 502);
    assert_eq!(s.fake.live_key_values().len(), live + 1);
    let effects: Vec<_> = s.fake.requests().iter().map(|r| (r.status, r.effect)).collect();
    assert_eq!(effects, [(Some(500), false), (Some(502), true)]);
    assert_eq!(s.admin.post(&s.mint_path(), json!({})).await.0, 200);
}

#[tokio::test]
async fn a_lost_answer_leaves_a_key_and_a_reset_leaves_none() {
    let s = Scene::new().await;
    let live = s.fake.live_key_values().len();
    s.fake.fault(mint_fault(FaultAction::AnswerLost));
    s.fake.fault(mint_fault(FaultAction::ConnectionReset));
    for (left, effect) in [(live + 1, true), (live + 1, false)] {
        let error = s.admin.send(Method::POST, &s.mint_path(), Some(json!({}))).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(s.fake.live_key_values().len(), left);
        let last = s.fake.requests().pop().unwrap();
        assert_eq!((last.status, last.effect), (None, effect));
    }
    assert_eq!(s.fake.count("POST", MINT), 2, "the raw client does not try again");
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_lost_answer_an_end() {
    use std::io::{ErrorKind, Read as _, Write as _};
    let s = Scene::new().await;
    s.fake.fault(list_fault(FaultAction::ConnectionReset));
    s.fake.fault(list_fault(FaultAction::AnswerLost));
    let address = s.fake.base_url().replace("http://", "").replace("/v1", "");
    let read = || {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let request = format!("GET /v1{PROJECTS} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.read(&mut [0; 64])
    };
    assert_eq!(read().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(read().unwrap(), 0);
}

#[tokio::test]
async fn a_hang_comes_before_the_effect_or_after_it() {
    let s = Scene::new().await;
    let live = s.fake.live_key_values().len();
    let long = Duration::from_secs(60);
    let body = json!({ "name": "x" });
    for (after_effect, left) in [(false, live), (true, live + 1)] {
        s.fake.fault(mint_fault(FaultAction::Hang { duration: long, after_effect }));
        let request = s.admin.http.post(format!("{}{}", s.admin.base, s.mint_path()));
        let request = request.bearer_auth(&s.admin.key).json(&body);
        let error = request.timeout(Duration::from_millis(200)).send().await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(s.fake.live_key_values().len(), left);
        assert_eq!(s.fake.requests().pop().unwrap().status, None);
    }
    let short = Duration::from_millis(50);
    s.fake.fault(list_fault(FaultAction::Hang { duration: short, after_effect: false }));
    let start = Instant::now();
    assert_eq!(s.admin.get(PROJECTS).await.0, 200);
    assert!(start.elapsed() >= short);
}

#[tokio::test]
async fn a_slow_answer_arrives_whole() {
    let s = Scene::new().await;
    let interval = Duration::from_millis(5);
    s.fake.fault(list_fault(FaultAction::SlowDrip { chunk: 32, interval }));
    let start = Instant::now();
    let (_, slow) = s.admin.get(PROJECTS).await;
    assert!(start.elapsed() >= interval * 4);
    assert_eq!(slow, s.admin.get(PROJECTS).await.1);
}

#[tokio::test]
async fn truncated_and_foreign_bodies_are_no_json() {
    let s = Scene::new().await;
    s.fake.fault(list_fault(FaultAction::TruncatedJson));
    s.fake.fault(list_fault(FaultAction::NotJson { code: 502 }));
    for status in [200, 502] {
        let response = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.json::<Value>().await.unwrap_err().is_decode());
    }
}

#[tokio::test]
async fn answers_change_their_shape() {
    let s = Scene::new().await;
    for action in [
        FaultAction::UnknownFields,
        FaultAction::UnknownEnumValues,
        FaultAction::MissingFields { fields: Vec::new() },
        FaultAction::MissingFields { fields: vec!["created_at".into()] },
        FaultAction::WrongTypes,
    ] {
        s.fake.fault(list_fault(action));
    }
    let mut items = Vec::new();
    for _ in 0..6 {
        let list = s.admin.ok(Method::GET, PROJECTS, None).await;
        items.push(list["data"][0].clone());
        assert_eq!(items[0]["id"], list["data"][0]["id"]);
    }
    let [unknown, values, bare, lacking, wrong, whole] = &items[..] else { panic!() };
    assert!(unknown["a_field_of_next_year"]["nested"].is_array());
    assert_eq!(values["status"], "a_value_of_next_year");
    assert_eq!(bare, &json!({ "id": whole["id"] }));
    assert!(lacking.get("created_at").is_none() && lacking["name"] == whole["name"]);
    assert!(wrong["name"].is_number() && wrong["created_at"].is_string());
    assert_eq!(whole["status"], "active");
}

#[tokio::test]
async fn a_minted_value_moves_or_changes_its_type() {
    let s = Scene::new().await;
    s.fake.fault(mint_fault(FaultAction::ValueMoved));
    s.fake.fault(mint_fault(FaultAction::ValueRetyped));
    s.fake.fault(mint_fault(FaultAction::WrongTypes));
    let mut values = Vec::new();
    for at in ["/secret/value", "/value/0", "/value"] {
        let minted = s.admin.ok(Method::POST, &s.mint_path(), Some(json!({}))).await;
        values.push(minted.pointer(at).unwrap().as_str().unwrap().to_owned());
    }
    assert_eq!(s.fake.live_key_values()[1..], values);
}

#[tokio::test]
async fn a_repeated_cursor_goes_nowhere_in_every_envelope() {
    let s = Scene::with(FakeOpenAi::builder().page_size_limit(1)).await;
    s.fake.seed_project("second");
    s.fake.seed_group("one");
    s.fake.fault(Fault::on("GET", "*").always().then(FaultAction::RepeatedCursor));
    let first = s.admin.get(PROJECTS).await.1;
    let last = first["last_id"].as_str().unwrap();
    assert_eq!(first, s.admin.get(&format!("{PROJECTS}?after={last}")).await.1);
    assert_eq!(first["has_more"], true);
    let groups = s.admin.get("/organization/groups").await.1;
    let next = groups["next"].as_str().unwrap();
    assert_eq!(groups, s.admin.get(&format!("/organization/groups?after={next}")).await.1);
    let costs = format!("/organization/costs?start_time={START}");
    let page = s.admin.get(&costs).await.1;
    let next = page["next_page"].as_str().unwrap();
    assert_eq!(page, s.admin.get(&format!("{costs}&page={next}")).await.1);
}

#[tokio::test]
async fn a_huge_page_is_valid_and_huge() {
    let s = Scene::new().await;
    s.fake.fault(list_fault(FaultAction::HugePage { bytes: 3_000_000 }));
    let response = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
    assert_eq!(response.content_length(), None);
    let body = response.bytes().await.unwrap();
    assert!(body.len() >= 3_000_000);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["data"], json!([]));
}

#[tokio::test]
async fn a_throttle_tells_when_or_not() {
    let s = Scene::new().await;
    for retry_after in [Some(2), None] {
        let code = "organization_spend_limit_exceeded".to_owned();
        s.fake.fault(list_fault(FaultAction::Throttle { retry_after, code }));
        let response = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
        assert_eq!(response.status(), 429);
        let told = response.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(told, retry_after.map(|seconds| seconds.to_string()));
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["code"], "organization_spend_limit_exceeded");
    }
}

#[tokio::test]
async fn errors_come_bare_and_with_the_key_in_them() {
    let s = Scene::new().await;
    s.fake.fault(list_fault(FaultAction::BareError { code: 400 }));
    let (status, error) = s.admin.get(PROJECTS).await;
    assert_eq!((status, &error["code"]), (400, &json!(400)));
    assert!(error.get("error").is_none());

    let detector = LeakDetector::new(&s.admin.key);
    s.fake.fault(list_fault(FaultAction::EchoAuthorization { place: EchoPlace::Body }));
    let (status, error) = s.admin.get(PROJECTS).await;
    assert_eq!(status, 401);
    assert!(detector.find(error.to_string().as_bytes())[0].is_whole());

    s.fake.fault(list_fault(FaultAction::EchoAuthorization { place: EchoPlace::Header }));
    let response = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
    assert_eq!(response.headers()["x-echo-authorization"], s.admin.key.as_str());
    assert_no_leak!(s.admin.key, response.text().await.unwrap());
}

#[tokio::test]
async fn a_redirect_points_elsewhere() {
    let s = Scene::new().await;
    let to = "http://127.0.0.1:9/v1/organization/projects";
    s.fake.fault(list_fault(FaultAction::Redirect { to: to.to_owned() }));
    let response = s.admin.send(Method::GET, PROJECTS, None).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (307, &to.parse().unwrap())
    );
}

#[tokio::test]
async fn faults_are_read_from_json_given_at_start_and_cleared() {
    let list = r#"[{"method": "*", "path": "*", "times": null,
                    "action": {"kind": "status_before", "code": 503}}]"#;
    let fault = Fault::list_from_json(list).unwrap().remove(0);
    let s = Scene::with(FakeOpenAi::builder().fault(fault)).await;
    for path in [PROJECTS, "/nonsense"] {
        assert_eq!(s.admin.get(path).await.0, 503);
    }
    s.fake.clear_faults();
    assert_eq!(s.admin.get(PROJECTS).await.0, 200);
}

#[tokio::test]
async fn a_fault_of_no_operation_is_a_mistake() {
    let nowhere = || Fault::on("GET", "/organization/projekts").then(FaultAction::TruncatedJson);
    let error = FakeOpenAi::builder().fault(nowhere()).start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let fake = FakeOpenAi::start().await.unwrap();
    let added = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fake.fault(nowhere())));
    assert!(added.is_err());
    fake.fault(Fault::on("get", "/v1/organization/projects").then(FaultAction::TruncatedJson));
}
