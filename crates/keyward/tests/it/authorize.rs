//! Which requests get a key, and what is seen of it.

use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use keyward::authorize::{AuthorizeError, Authorizer};
use keyward::{ApiKey, KeyPolicy, KeySource, LoadedKey, ProjectKey};
use keyward_testkit::{assert_no_leak, leak};

use crate::fixture::{NOW, secret};

fn project_key(secret: &str) -> ProjectKey {
    let key = ApiKey::parse(secret.to_owned()).unwrap();
    LoadedKey::new(key, KeySource::new("test", "key"))
        .admit(&KeyPolicy::production(), NOW)
        .unwrap()
        .into_project_key()
        .unwrap()
}

#[test]
fn sets_one_sensitive_header() {
    let secret = secret();
    let authorizer = Authorizer::new(KeyPolicy::production());
    let mut request = Request::post("https://api.openai.com/v1/responses").body("body").unwrap();
    authorizer.authorize(&project_key(&secret), &mut request).unwrap();
    let value = &request.headers()[AUTHORIZATION];
    assert_eq!(value.as_bytes(), format!("Bearer {secret}").as_bytes());
    assert!(value.is_sensitive());
    assert_eq!(request.headers().len(), 1);
    assert_no_leak!(
        secret,
        [
            ("request", format!("{request:?}")),
            ("clone", format!("{:#?}", request.headers().clone())),
            ("authorizer", format!("{authorizer:?}")),
        ]
    );
}

#[test]
fn goes_to_the_policys_hosts_over_https_alone() {
    let secret = secret();
    let key = project_key(&secret);
    let own = KeyPolicy::production()
        .with_hosts(["gateway.example", "127.0.0.1", "localhost", "[::1]"])
        .unwrap();
    let openai = KeyPolicy::production();
    let person = KeyPolicy::production().with_kinds([keyward::KeyKind::Project]).unwrap();
    for (policy, uri, expected) in [
        (&openai, "https://api.openai.com/v1/models", None),
        (&openai, "HTTPS://API.OPENAI.COM/v1/models", None),
        (&openai, "https://api.openai.com:443/v1/models", None),
        (&openai, "https://api.openai.com.:443/v1/models", None),
        (&openai, "https://eu.api.openai.com/v1/models", None),
        (&openai, "http://api.openai.com/v1/models", Some("insecure_transport")),
        (&openai, "ws://api.openai.com/v1/realtime", Some("insecure_transport")),
        (&openai, "https://api.openai.com.evil.example/", Some("host")),
        (&openai, "https://evil.example/api.openai.com", Some("host")),
        (&openai, "https://evil.example?api.openai.com", Some("host")),
        (&openai, "https://localhost/", Some("host")),
        (&openai, "https://api.openai.com@evil.example/", Some("userinfo")),
        (&openai, "https://user:password@api.openai.com/", Some("userinfo")),
        (&openai, "https://@api.openai.com/", Some("userinfo")),
        (&openai, "/v1/models", Some("relative")),
        (&openai, "api.openai.com:443", Some("relative")),
        (&openai, "*", Some("relative")),
        (&own, "https://gateway.example/v1/models", None),
        (&own, "http://127.0.0.1:8080/v1/models", None),
        (&own, "http://localhost:8080/v1/models", Some("insecure_transport")),
        (&own, "https://localhost:8080/v1/models", None),
        (&own, "https://[::1].evil.example/v1/models", Some("unclear")),
        (&person, "https://api.openai.com/v1/models", Some("kind")),
        (&own, "http://[::1]:8080/v1/models", None),
        (&own, "http://127.0.0.2/v1/models", Some("host")),
        (&own, "http://gateway.example/v1/models", Some("insecure_transport")),
        (&own, "https://api.openai.com/v1/models", Some("host")),
    ] {
        let Ok(mut request) = Request::get(uri).body(()) else {
            // What `http` does not take for a URI cannot be sent either.
            assert!(expected.is_some(), "{uri}");
            continue;
        };
        let result = Authorizer::new(policy.clone()).authorize(&key, &mut request);
        let seen = result.as_ref().err().map(|error| match error {
            AuthorizeError::Refused(refusal) => refusal.rule(),
            AuthorizeError::RelativeUri => "relative",
            AuthorizeError::UnclearHost => "unclear",
            AuthorizeError::UserInfo => "userinfo",
            other => panic!("{other}"),
        });
        assert_eq!(seen, expected, "{uri}");
        assert_eq!(request.headers().contains_key(AUTHORIZATION), result.is_ok(), "{uri}");
    }
}

#[test]
fn never_touches_a_request_that_carries_a_credential() {
    let secret = secret();
    let key = project_key(&secret);
    let authorizer = Authorizer::new(KeyPolicy::production());
    for name in [
        "authorization",
        "Authorization",
        "api-key",
        "X-API-Key",
        "x-goog-api-key",
        "apikey",
        "X-Auth-Token",
        "Ocp-Apim-Subscription-Key",
    ] {
        let mut request = Request::get("https://api.openai.com/v1/models")
            .header(name, "another")
            .body(())
            .unwrap();
        let before = request.headers().clone();
        let error = authorizer.authorize(&key, &mut request).unwrap_err();
        let lower = name.to_lowercase();
        assert!(
            matches!(&error, AuthorizeError::AlreadyAuthorized { header, .. } if *header == lower)
        );
        assert_eq!(request.headers(), &before);
    }
    // One that has a key where nobody would look for it.
    let other = format!("realtime, openai-insecure-api-key.{}", crate::fixture::secret());
    for (name, value, is_refused) in [
        ("sec-websocket-protocol", other.as_str(), true),
        ("cookie", &format!("k={secret}"), true),
        ("x-request-id", "task-0123456789abcdef0123", false),
        ("x-api-key-id", "key_abc", false),
        ("idempotency-key", "b1946ac9-2ad6-4b0d-8f0c-5f2d3c4b5a69", false),
    ] {
        let request = Request::get("https://api.openai.com/v1/models").header(name, value);
        let result = authorizer.authorize(&key, &mut request.body(()).unwrap());
        assert_eq!(result.is_err(), is_refused, "{name}");
    }
    // Nor twice: the second time it carries ours.
    let mut request = Request::get("https://api.openai.com/").body(()).unwrap();
    authorizer.authorize(&key, &mut request).unwrap();
    assert!(authorizer.authorize(&key, &mut request).is_err());
}

/// A client that finds a `Host` there sends that one, whatever the URI says.
#[test]
fn the_host_header_is_that_of_the_uri() {
    let key = project_key(&secret());
    let policy = KeyPolicy::production().with_host("127.0.0.1").unwrap();
    let authorizer = Authorizer::new(policy);
    let openai = "https://api.openai.com/v1/models";
    for (uri, hosts, is_refused) in [
        (openai, &["api.openai.com"][..], false),
        (openai, &["API.openai.com:443"], false),
        ("https://api.openai.com:443/", &["api.openai.com"], false),
        ("http://127.0.0.1:80/", &["127.0.0.1"], false),
        ("http://127.0.0.1:8080/", &["127.0.0.1:8080"], false),
        ("http://127.0.0.1:8080/", &["127.0.0.1"], true),
        ("http://127.0.0.1:443/", &["127.0.0.1"], true),
        (openai, &["api.openai.com:80"], true),
        (openai, &["evil.example"], true),
        (openai, &["api.openai.com", "evil.example"], true),
        (openai, &["eu.api.openai.com"], true),
        (openai, &["api.openai.com evil.example"], true),
        (openai, &["api.openai.com\u{e9}"], true),
        (openai, &[""], true),
    ] {
        let mut request = Request::get(uri).body(()).unwrap();
        for host in hosts {
            let host = HeaderValue::from_bytes(host.as_bytes()).unwrap();
            request.headers_mut().append(http::header::HOST, host);
        }
        let before = request.headers().clone();
        let result = authorizer.authorize(&key, &mut request);
        assert_eq!(result == Err(AuthorizeError::OtherHost), is_refused, "{uri} {hosts:?}");
        assert_eq!(result.is_err(), is_refused, "{uri} {hosts:?}");
        assert_eq!(*request.headers() == before, is_refused, "{uri} {hosts:?}");
    }
}

#[test]
fn a_key_in_the_uri_is_refused_and_what_looks_like_one_is_not() {
    let secret = secret();
    let key = project_key(&secret);
    let authorizer = Authorizer::new(KeyPolicy::production());
    for (rest, is_refused) in [
        (format!("/v1/models?key={secret}"), true),
        (format!("/v1/{secret}/x"), true),
        (format!("/v1/models?a=b&api_key={secret}#x"), true),
        ("/v1/tasks/task-1?after=disk-2026".to_owned(), false),
        ("/v1/models/ft:gpt-4o:org:task-0123456789abcdef0123".to_owned(), false),
        ("/v1/files/file-0123456789abcdef0123".to_owned(), false),
    ] {
        let mut request = Request::get(format!("https://api.openai.com{rest}")).body(()).unwrap();
        let result = authorizer.authorize(&key, &mut request);
        assert_eq!(result == Err(AuthorizeError::KeyInUri), is_refused, "{rest:.30}");
        assert_eq!(result.is_err(), is_refused);
    }
}

#[test]
fn a_request_is_of_the_authorizers_organization_and_project_or_is_not_authorized() {
    let secret = secret();
    let key = project_key(&secret);
    let authorizer = Authorizer::new(KeyPolicy::production())
        .with_organization("org-first")
        .and_then(|authorizer| authorizer.with_organization("org-mine"))
        .and_then(|authorizer| authorizer.with_project("proj_mine"))
        .unwrap();
    for (headers, expected) in [
        (&[][..], None),
        (&[("openai-organization", "org-mine")], None),
        (&[("openai-organization", "org-first")], Some("openai-organization")),
        (&[("OpenAI-Project", "proj_other")], Some("openai-project")),
        (
            &[("openai-project", "proj_mine"), ("openai-project", "proj_other")],
            Some("openai-project"),
        ),
    ] {
        let mut request = Request::get("https://api.openai.com/v1/models").body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let before = request.headers().clone();
        match authorizer.authorize(&key, &mut request) {
            Ok(()) => {
                assert_eq!(expected, None);
                assert_eq!(request.headers()["openai-organization"], "org-mine");
                assert_eq!(request.headers()["openai-project"], "proj_mine");
                assert_eq!(request.headers().len(), 3);
            }
            Err(AuthorizeError::OtherOwner { header, .. }) => {
                assert_eq!(Some(header.as_str()), expected);
                assert_eq!(request.headers(), &before, "it is left as it was");
            }
            Err(error) => panic!("{error}"),
        }
    }
    for id in ["", "org mine", "org\nmine", "org-mïne", &secret] {
        let error = Authorizer::new(KeyPolicy::production()).with_project(id).unwrap_err();
        assert!(matches!(&error, AuthorizeError::Identifier { .. }));
        assert_no_leak!(secret, leak::error_surfaces(&error));
    }
}

/// The secret stands in every part of the request that an error could quote.
#[test]
fn errors_quote_nothing_of_the_request_but_the_host() {
    let secret = secret();
    let key = project_key(&secret);
    let authorizer = Authorizer::new(KeyPolicy::production());
    for uri in [
        format!("https://{secret}@api.openai.com/"),
        format!("https://user:{secret}@api.openai.com/"),
        format!("https://evil.example/{secret}?key={secret}"),
        format!("http://api.openai.com/{secret}?key={secret}"),
        format!("/{secret}?key={secret}"),
        format!("https://api.openai.com/?key={secret}"),
    ] {
        let mut request = Request::get(&uri).body(secret.clone()).unwrap();
        request.headers_mut().insert("api-key", HeaderValue::from_str(&secret).unwrap());
        let error = authorizer.authorize(&key, &mut request).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(error.to_string().contains("; "), "no fix: {error}");
        assert_eq!(error.refusal().is_some(), matches!(error, AuthorizeError::Refused(_)));
        assert_no_leak!(secret, leak::error_surfaces(&error));
    }
}
