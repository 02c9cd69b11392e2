//! What is refused before it is sent, what the guards do, and the reasons that answers tell.

use keyward::authorize::{AuthorizeError, Authorizer, DeniedReason};
use keyward_testkit::assert_no_leak;

use super::hostile::Hostile;
use super::{Place, clients, clients_of, header, policy, secret};

const JSON: &str = "content-type: application/json\r\n";

/// Where to, with which headers, and what is said against it.
type Case<'a> = (String, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn what_must_not_have_the_key_is_not_sent() {
    let key = secret();
    let other = secret();
    let server = Hostile::with(200, "", "ok");
    let url = server.url();
    let address = url.trim_start_matches("http://");
    let (no, id) = (&[][..], [("openai-organization", "org-other")]);
    let cases: Vec<Case<'_>> = vec![
        (format!("http://localhost:{}/", address.rsplit(':').next().expect("a port")), no, "host"),
        ("https://evil.example/".into(), no, "host"),
        ("http://api.openai.com/v1/models".into(), no, "insecure_transport"),
        (format!("{url}/v1?key={other}"), no, "key in the URI"),
        (format!("{url}/{other}/x"), no, "key in the URI"),
        (format!("http://me@{address}/"), no, "user"),
        (url.clone(), &[("authorization", "Bearer other")], "authorization"),
        (url.clone(), &[("api-key", "x")], "api-key"),
        (url.clone(), &[("x-goog-api-key", "x")], "x-goog-api-key"),
        (url.clone(), &id, "other owner"),
        (url.clone(), &[("host", "evil.example")], "other host"),
    ];
    let authorizer = Authorizer::new(policy()).with_organization("org-mine").expect("an id");
    let clients = clients_of(&Place::new(&key), authorizer).await;
    for (sent, (name, client)) in clients.into_iter().enumerate() {
        let protocol = format!("realtime, openai-insecure-api-key.{other}");
        let in_protocol = [("sec-websocket-protocol", protocol.as_str())];
        let more = [(url.clone(), &in_protocol[..], "sec-websocket-protocol")];
        for (url, headers, expected) in cases.iter().cloned().chain(more) {
            let failure = client.send("POST", &url, headers, "").await.err().expect(&url);
            assert_no_leak!(key, failure.surfaces.clone());
            assert_no_leak!(other, failure.surfaces.clone());
            let seen = match failure.because() {
                AuthorizeError::Refused(refusal) => refusal.rule().to_owned(),
                AuthorizeError::AlreadyAuthorized { header, .. } => header,
                AuthorizeError::KeyInUri => "key in the URI".to_owned(),
                AuthorizeError::OtherHost => "other host".to_owned(),
                AuthorizeError::OtherOwner { .. } => "other owner".to_owned(),
                // reqwest makes a header of what stands before the `@`.
                AuthorizeError::UserInfo => "user".to_owned(),
                error => panic!("{name}: {url}: {error}"),
            };
            assert_eq!(seen, expected, "{name}: {url}");
        }
        assert_eq!(server.heads().len(), sent, "{name}: it was sent");
        // What only looks like it.
        let task = format!("{url}/v1/files/task-1?after=disk-2026");
        let answer = client.send("GET", &task, &[("x-request-id", "task-0123456789abcdef")], "");
        assert_eq!(answer.await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn a_request_has_the_key_and_says_whose_it_is() {
    let key = secret();
    let server = Hostile::with(200, "", "ok");
    let authorizer = Authorizer::new(policy())
        .with_organization("org-mine")
        .and_then(|authorizer| authorizer.with_project("proj_mine"))
        .expect("identifiers");
    for (n, (name, client)) in
        clients_of(&Place::new(&key), authorizer).await.into_iter().enumerate()
    {
        // To name what is set anyway is no contradiction.
        let same = [("OpenAI-Organization", "org-mine")];
        let answer = client.send("POST", &server.url(), &same, "{}").await.expect("an answer");
        assert_eq!(answer.body.expect("a body"), "ok", "{name}");
        let head = &server.heads()[n];
        assert_eq!(header(head, "authorization"), Some(&*format!("Bearer {key}")), "{name}");
        assert_eq!(header(head, "openai-organization"), Some("org-mine"), "{name}");
        assert_eq!(header(head, "openai-project"), Some("proj_mine"), "{name}");
        let failure = client.send("GET", &server.url(), &[("openai-project", "proj_x")], "").await;
        let because = failure.err().expect("refused").because();
        assert!(
            matches!(because, AuthorizeError::OtherOwner { header, .. } if header == "openai-project")
        );
    }
}

/// A code of the key where the status is of something else: it may be about a key in the body, and
/// whoever can have such an answer made cannot have the live key thrown away.
#[tokio::test]
async fn only_a_401_is_about_the_key_that_was_sent() {
    let (key, other) = (secret(), secret());
    let body = r#"{"error": {"message": "No.", "code": "invalid_api_key"}}"#;
    for status in [400, 403, 409, 424] {
        let server = Hostile::with(status, JSON, body);
        let place = Place::new(&key);
        for (name, client) in clients(&place).await {
            place.has(&other);
            for _ in 0..2 {
                let answer = client.get(&server.url()).await.expect("an answer");
                assert_eq!(answer.status, status, "{name}");
            }
            place.has(&key);
        }
        let heads = server.heads();
        assert_eq!(heads.len(), 4, "{status}: it was made once more");
        assert!(heads.iter().all(|head| head.contains(&key)), "{status}: the key was replaced");
    }
}

/// It may say that scopes are missing, or that the address is not allowed. The next request has the
/// other key, if there is one.
#[tokio::test]
async fn a_401_that_is_not_understood_is_noted_and_not_made_again() {
    let long = format!(r#"{{"error": {{"message": "{}"}}}}"#, "y".repeat(70_000));
    let packed = format!("{JSON}content-encoding: gzip\r\n");
    for (headers, body, is_clear) in [
        (JSON, &*long, false),
        (JSON, "{\"error\": ", false),
        (&*packed, "packed", false),
        ("content-type: text/html\r\n", "<p>Missing scopes: a.b</p>", false),
        (JSON, "{}", true),
        (JSON, "", true),
        ("", "", true),
    ] {
        for n in 0..2 {
            let (key, other) = (secret(), secret());
            let server = Hostile::with(401, headers, body);
            let place = Place::new(&key);
            let (name, client) = clients(&place).await.into_iter().nth(n).expect("two");
            place.has(&other);
            let answer = client.get(&server.url()).await.expect("an answer");
            let denied = answer.denied.map(|denied| denied.reason());
            assert_eq!((answer.status, denied), (401, Some(DeniedReason::Key)), "{name}");
            assert_eq!(answer.body.expect("a body"), body, "{name}");
            let made = server.heads().len();
            assert_eq!(made, if is_clear { 2 } else { 1 }, "{name}: {headers} {body:.40}");
            let is_replaced = || server.heads().last().is_some_and(|head| head.contains(&other));
            for _ in 0..500 {
                if is_replaced() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                client.get(&server.url()).await.expect("an answer");
            }
            assert!(is_replaced(), "{name}: the handle was not told: {headers} {body:.40}");
        }
    }
}

#[tokio::test]
async fn a_refusal_tells_its_reason_and_keeps_its_body() {
    use DeniedReason::{Address, Budget, Owner};
    let key = secret();
    let json = JSON;
    let quota =
        r#"{"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}"#;
    let address =
        r#"{"error": {"message": "IP 203.0.113.7 not authorized", "code": "ip_not_authorized"}}"#;
    let owner = r#"{"error": {"message": "x", "code": "mismatched_organization"}}"#;
    let long =
        format!("{{\"error\": {{\"code\": \"x\", \"message\": \"{}\"}}}}", "y".repeat(70_000));
    for (status, headers, body, expected) in [
        (429, json, quota, Some(Budget)),
        (401, json, address, Some(Address)),
        (401, json, owner, Some(Owner)),
        (429, "content-type: text/html\r\n", quota, None),
        (429, "content-type: application/json\r\ncontent-encoding: gzip\r\n", quota, None),
        (400, json, &*long, None),
        (403, json, "{", None),
        (404, json, "", None),
    ] {
        let server = Hostile::with(status, headers, body);
        for (name, client) in clients(&Place::new(&key)).await {
            let answer = client.get(&server.url()).await.expect("an answer");
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.denied.map(|denied| denied.reason()), expected, "{name}: {body:.60}");
            assert_eq!(answer.body.expect("a body"), body, "{name}");
            if let Some(url) = answer.url {
                assert_eq!(url.trim_end_matches('/'), server.url(), "{name}");
            }
        }
        // None of these is the key's fault, so none was made twice.
        assert_eq!(server.heads().len(), 2, "{body:.60}");
    }
}
