//! Every error of the client: its kind, its text, and that no key is in it.

use std::time::{Duration, Instant};

use keyward_admin::{Client, Error, ErrorKind, Event, Pacing, Why};
use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{EchoPlace, FakeOpenAi, Fault, FaultAction, assert_no_leak};

use crate::fixture::{Organization, admin_key, with_trace};

const USERS: &str = "/organization/users";

fn throttle(retry_after: Option<u64>, code: &str) -> FaultAction {
    FaultAction::Throttle { retry_after, code: code.to_owned() }
}

#[test]
fn every_failure_has_its_kind_and_no_key_in_it() {
    let hang = FaultAction::Hang { duration: Duration::from_secs(2), after_effect: false };
    let cases = [
        (FaultAction::StatusBefore { code: 400 }, ErrorKind::InvalidRequest),
        (FaultAction::StatusBefore { code: 401 }, ErrorKind::Unauthorized),
        (FaultAction::StatusBefore { code: 403 }, ErrorKind::Permission),
        (FaultAction::StatusBefore { code: 404 }, ErrorKind::NotFound),
        (FaultAction::StatusBefore { code: 409 }, ErrorKind::Conflict),
        (FaultAction::StatusBefore { code: 500 }, ErrorKind::Server),
        (FaultAction::StatusBefore { code: 503 }, ErrorKind::Server),
        (FaultAction::BareError { code: 400 }, ErrorKind::InvalidRequest),
        (FaultAction::BareError { code: 500 }, ErrorKind::Server),
        (FaultAction::NotJson { code: 502 }, ErrorKind::Server),
        (FaultAction::NotJson { code: 200 }, ErrorKind::Drift),
        (FaultAction::TruncatedJson, ErrorKind::Drift),
        (FaultAction::ConnectionReset, ErrorKind::Transport),
        (FaultAction::AnswerLost, ErrorKind::Transport),
        (FaultAction::EchoAuthorization { place: EchoPlace::Body }, ErrorKind::Unauthorized),
        (FaultAction::EchoAuthorization { place: EchoPlace::Header }, ErrorKind::Unauthorized),
        (FaultAction::HugePage { bytes: 300_000 }, ErrorKind::TooLarge),
        (FaultAction::Redirect { to: "http://127.0.0.1:9/".into() }, ErrorKind::Redirect),
        (hang, ErrorKind::Timeout),
        (throttle(Some(0), "rate_limit_exceeded"), ErrorKind::Throttled),
        (throttle(None, "credit_balance_exhausted"), ErrorKind::Budget),
        (throttle(Some(0), "organization_spend_limit_exceeded"), ErrorKind::Budget),
        (throttle(Some(0), "organization_usage_limit_exceeded"), ErrorKind::Budget),
        (throttle(Some(0), "project_spend_limit_exceeded"), ErrorKind::Budget),
    ];
    for (fault, kind) in cases {
        let ((error, org), logs) = with_trace(async {
            let org = Organization::start().await;
            let client = org
                .builder()
                .timeout(Duration::from_millis(400))
                .max_attempts(1)
                .max_answer_bytes(100_000)
                .build()
                .expect("a client");
            org.fails("GET", USERS, fault.clone());
            let error = client.users().list().all().await.expect_err("a fault");
            (error, org)
        });
        let shown = error_surfaces(&error);
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert!(!error.to_string().contains('\n'), "{fault:?}: {error}");
        assert!(error.to_string().starts_with("GET /organization/users: "), "{error}");
        assert_no_leak!(&org.fake.admin_key(), [("error", &shown), ("logs", &logs)]);
        assert!(std::error::Error::source(&error).is_none(), "no other library's error is kept");
    }
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_not_repeated_by_the_error() {
    // The real API echoes a part of what it was sent; a dead key of every kind of prefix.
    let org = Organization::start().await;
    let mut rng = keyward_testkit::keys::KeyRng::seeded(11);
    let text = keyward_testkit::keys::admin_key(&mut rng);
    let client = Client::builder(admin_key(text.clone()))
        .base_url(org.fake.base_url())
        .allow_loopback()
        .build()
        .expect("a client");
    let error = client.users().list().all().await.expect_err("an unknown key");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.code(), Some("invalid_api_key"));
    assert!(error.request_id().is_some_and(|id| id.starts_with("req_")), "{error}");
    let shown = error_surfaces(&error);
    assert_no_leak!(&text, &shown);
    assert!(!shown.contains(&text[text.len() - 4..]), "not even the end of the key: {error}");
    assert!(!format!("{client:?}").contains(&text[9..21]));
}

#[tokio::test]
async fn a_call_that_may_be_repeated_is() {
    let org = Organization::start().await;
    let client = org.client();
    org.fake.fault(Fault::on("GET", USERS).times(2).then(FaultAction::StatusBefore { code: 503 }));
    org.fake.fault(Fault::on("GET", USERS).times(1).then(FaultAction::AnswerLost));
    assert_eq!(client.users().list().all().await.expect("in the end").len(), 1);
    assert_eq!(org.fake.count("GET", USERS), 4);

    // An update is the same twice.
    let path = "/organization/projects/{project_id}";
    org.fails("POST", path, FaultAction::StatusAfter { code: 500 });
    let update = keyward_admin::ProjectUpdate::rename("new");
    client.project(&org.project).modify(update).await.expect("in the end");
    assert_eq!(org.fake.count("POST", path), 2);

    // A deletion whose answer was lost finds nothing left to delete, and does not say that it was
    // this call which did it.
    let path = "/organization/projects/{project_id}/api_keys/{api_key_id}";
    let value = org.fake.seed_service_account_key(org.account.as_str());
    let id = org.fake.key_id(&value).expect("an id");
    org.fails("DELETE", path, FaultAction::AnswerLost);
    let error = client.project(&org.project).api_key(id).delete().await.expect_err("gone");
    assert!(error.is_not_found(), "{error}");
    assert_eq!(org.fake.count("DELETE", path), 2);
    assert!(!org.fake.key_is_live(&value));
    // And one that was never there is an error.
    let error = client.project(&org.project).api_key("key_none").delete().await.expect_err("none");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_a_limit() {
    let org = Organization::start().await;
    let client = org.client();
    org.fails("GET", USERS, throttle(Some(1), "rate_limit_exceeded"));
    let start = Instant::now();
    client.users().list().all().await.expect("after a second");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(org.fake.count("GET", USERS), 2);

    // The fixture's client waits for three seconds at most.
    org.fails("GET", USERS, throttle(Some(600), "rate_limit_exceeded"));
    let start = Instant::now();
    let error = client.users().list().all().await.expect_err("too long");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
    assert!(error.to_string().contains("600 s"), "{error}");

    // A budget is not a rate.
    org.fails("GET", USERS, throttle(Some(0), "project_spend_limit_exceeded"));
    let before = org.fake.count("GET", USERS);
    assert_eq!(client.users().list().all().await.expect_err("spent").kind(), ErrorKind::Budget);
    assert_eq!(org.fake.count("GET", USERS), before + 1);
}

#[tokio::test]
async fn a_throttled_operation_is_entered_by_one_call_at_a_time_until_it_recovers() {
    let org = Organization::start().await;
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let pacing =
        Pacing::new().observer(move |event| seen.lock().expect("a lock").push(event.clone()));
    let client = org.builder().pacing(pacing).build().expect("a client");
    // Without a `Retry-After` the gate backs off by itself, oftener than `max_attempts`.
    let fault = Fault::on("GET", USERS).times(5).then(throttle(None, "rate_limit_exceeded"));
    org.fake.fault(fault);
    let calls = (0..4).map(|_| {
        let users = client.users();
        async move { users.list().all().await.expect("in the end") }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(org.fake.count("GET", USERS), 9);
    let events = events.lock().expect("a lock");
    let told = |wanted: fn(&Event) -> bool| events.iter().any(wanted);
    assert!(told(|e| matches!(e, Event::Waiting { why: Why::BackOff, .. })), "{events:?}");
    assert!(told(|e| matches!(e, Event::Resumed { .. })), "{events:?}");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_with_the_wait_that_it_would_need() {
    let org = Organization::start().await;
    let client = org.builder().deadline(Duration::from_secs(1)).build().expect("a client");
    org.fails("GET", USERS, throttle(Some(3), "rate_limit_exceeded"));
    let start = Instant::now();
    let error = client.users().list().all().await.expect_err("too late");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, Some(429)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    // Another call of the operation is not even sent.
    let error = client.users().list().all().await.expect_err("too late");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, None));
    let needed = error.retry_after().expect("a wait");
    assert!(needed > Duration::from_secs(2) && needed <= Duration::from_secs(3), "{needed:?}");
    assert!(error.to_string().contains("it needs 3 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(org.fake.count("GET", USERS), 1);
}

#[tokio::test]
async fn a_throttled_creation_is_sent_once_and_the_next_one_waits() {
    let org = Organization::start().await;
    let client = org.client();
    org.fails("POST", "/organization/projects", throttle(Some(1), "rate_limit_exceeded"));
    let new = || keyward_admin::NewProject::new("second");
    let error = client.projects().create(new()).await.expect_err("throttled");
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(org.fake.count("POST", "/organization/projects"), 1);
    let start = Instant::now();
    client.projects().create(new()).await.expect("after the pause");
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert_eq!(org.fake.count("POST", "/organization/projects"), 2);
}

#[tokio::test]
async fn the_key_does_not_follow_a_redirect() {
    let org = Organization::start().await;
    let elsewhere = FakeOpenAi::start().await.expect("a fake");
    let to = format!("{}/organization/users", elsewhere.base_url());
    org.fails("GET", USERS, FaultAction::Redirect { to });
    let error = org.client().users().list().all().await.expect_err("a redirect");
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn the_key_goes_to_the_policys_hosts_over_https_alone() {
    let build = |url: &str, policy: Option<KeyPolicy>| -> Result<Client, Error> {
        let text = keyward_testkit::Canary::of_kind("admin").text().to_owned();
        let builder = Client::builder(admin_key(text)).base_url(url);
        match policy {
            Some(policy) => builder.policy(policy).build(),
            None => builder.build(),
        }
    };
    for (url, expected) in [
        ("https://api.openai.com/v1", None),
        ("https://eu.api.openai.com/v1/", None),
        ("http://127.0.0.1:8080/v1", Some("host")),
        ("https://127.0.0.1:8080/v1", Some("host")),
        ("https://api.openai.com", Some("")),
        ("http://api.openai.com/v1", Some("insecure_transport")),
        ("https://api.openai.com.evil.example/v1", Some("host")),
        ("https://evil.example/v1", Some("host")),
        ("http://10.0.0.1/v1", Some("host")),
        ("https://user@api.openai.com/v1", Some("")),
        ("https://api.openai.com/v1?key=x", Some("")),
        ("api.openai.com", Some("")),
        ("file:///etc/passwd", Some("host")),
        ("", Some("")),
    ] {
        let error = build(url, None).err();
        let rule = error.as_ref().map(|e| e.refusal().map_or("", |r| r.rule()));
        assert_eq!(rule, expected, "{url}: {error:?}");
        if let Some(error) = error {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        }
    }
    let gateway = KeyPolicy::admin().with_host("gateway.example").expect("a host");
    assert!(build("https://gateway.example/v1", Some(gateway)).is_ok());

    // This machine is allowed where that is said, by its addresses.
    for (url, expected) in [
        ("http://127.0.0.1:8080/v1", true),
        ("http://[::1]:8080/v1", true),
        ("http://localhost:8080/v1", false),
        ("http://10.0.0.1/v1", false),
        ("http://api.openai.com/v1", false),
    ] {
        let text = keyward_testkit::Canary::of_kind("admin").text().to_owned();
        let built = Client::builder(admin_key(text)).base_url(url).allow_loopback().build();
        assert_eq!(built.is_ok(), expected, "{url}");
    }
}

#[test]
fn no_setting_of_a_client_shows_what_an_address_holds() {
    let text = keyward_testkit::Canary::of_kind("admin").text();
    for url in [
        format!("https://user:{text}@api.openai.com/v1"),
        format!("https://api.openai.com/{text}"),
        format!("https://api.openai.com/v1?key={text}"),
        text.to_owned(),
    ] {
        let builder = Client::builder(admin_key(text.to_owned())).base_url(url);
        assert_no_leak!(text, format!("{builder:?}"));
        match builder.build() {
            Ok(client) => assert_no_leak!(text, format!("{client:?}")),
            Err(error) => assert_no_leak!(text, error_surfaces(&error)),
        }
    }
}

#[test]
fn an_admin_key_is_had_through_a_policy_alone() {
    let text = keyward_testkit::Canary::of_kind("project").text().to_owned();
    let key = ApiKey::parse(text).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    assert!(KeyPolicy::admin().admit(&key, &now).is_err());
}
