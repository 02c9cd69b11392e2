//! A server that repeats the key wherever it can, closes in the middle, or says nothing: what is
//! printed of that.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyward::authorize::{AuthorizeMiddleware, Authorizer};
use keyward_testkit::assert_no_leak;
use reqwest_middleware::{Middleware, Next};

use super::hostile::{Hostile, answer};
use super::{Answer, Failure, Place, clients, header, policy, secret};
use crate::fixture::with_trace;

/// What it does with the key that it was sent.
type Does = fn(&str) -> Vec<u8>;

const WAYS: [(&str, Does); 10] = [
    ("repeats it in a 401", |key| {
        let body = format!(
            r#"{{"error": {{"message": "Incorrect API key provided: {key}", "code": "{key}"}}}}"#
        );
        answer(401, "content-type: application/json\r\n", &body)
    }),
    ("repeats it in a header", |key| {
        answer(401, &format!("x-echo: {key}\r\nwww-authenticate: Bearer {key}\r\n"), "")
    }),
    ("repeats it in a header that is not ASCII", |key| {
        let mut bytes = answer(401, &format!("x-echo: ?{key}\r\n"), "");
        let at = bytes.iter().position(|b| *b == b'?').expect("a mark");
        bytes[at] = 0xE9;
        bytes
    }),
    ("repeats it in a header that is UTF-8", |key| answer(500, &format!("x-echo: é{key}\r\n"), "")),
    ("repeats it where all is well", |key| answer(200, &format!("x-echo: {key}\r\n"), "ok")),
    ("repeats it in a redirect", |key| {
        answer(302, &format!("location: https://evil.example/?key={key}\r\n"), "")
    }),
    ("repeats it as a scope", |key| {
        let body = format!(r#"{{"error": {{"message": "Missing scopes: {key}.x, a.b"}}}}"#);
        answer(403, "content-type: application/json\r\n", &body)
    }),
    ("closes in the middle of a 401", |key| {
        let whole =
            answer(401, "content-type: application/json\r\n", &format!("{{\"a\": \"{key}\"}}"));
        whole[..whole.len() - 5].to_vec()
    }),
    ("closes in the head", |key| format!("HTTP/1.1 401 X\r\nx-echo: {key}").into_bytes()),
    ("is no server of HTTP", |key| format!("{key}\r\n\r\n").into_bytes()),
];

#[test]
fn nothing_prints_the_key() {
    for (what, does) in WAYS {
        let key = secret();
        let server = Hostile::start(move |head| {
            let sent =
                header(head, "authorization").and_then(|value| value.strip_prefix("Bearer "));
            does(sent.unwrap_or("nothing"))
        });
        let place = Place::new(&key);
        let (printed, logs) = with_trace(async {
            let mut printed = Vec::new();
            for (name, client) in clients(&place).await {
                printed.push((format!("{name}: {what}"), all_of(client.get(&server.url()).await)));
            }
            printed
        });
        assert!(logs.contains("keyward::live"), "keyward itself is not in the log");
        for (case, printed) in printed {
            assert_no_leak!(key, [(case, printed)]);
        }
        assert_no_leak!(key, [(format!("log: {what}"), logs)]);
        assert!(server.heads().iter().all(|head| head.contains(&key)), "it was not sent");
    }
}

/// What is printed of an answer, or of there being none.
fn all_of(answer: Result<Answer, Failure>) -> String {
    match answer {
        Err(failure) => failure.surfaces,
        Ok(answer) => {
            let denied = answer.denied.as_ref();
            let denied = denied.map(|denied| format!("{denied} {denied:?} {denied:#?}"));
            // What the server wrote is the caller's to read, and not to print.
            let failed = answer.body.err().map(|failure| failure.surfaces);
            format!("{} {denied:?} {failed:?}", answer.printed)
        }
    }
}

/// reqwest can log all that it sends; a client of ours does not.
#[test]
fn a_client_of_ours_is_not_verbose() {
    let key = secret();
    let server = Hostile::with(200, "", "ok");
    let ask = |is_ours: bool| {
        let place = Place::new(&key);
        let url = server.url();
        with_trace(async move {
            let verbose = reqwest::Client::builder().no_proxy().connection_verbose(true);
            let live = place.live().await;
            let middleware = AuthorizeMiddleware::new(live, Authorizer::new(policy()));
            let client = if is_ours {
                middleware.client(verbose).expect("a client")
            } else {
                let verbose = verbose.build().expect("a client");
                reqwest_middleware::ClientBuilder::new(verbose).with(middleware).build()
            };
            assert_eq!(client.get(url).send().await.expect("an answer").status(), 200);
        })
        .1
    };
    assert!(ask(false).contains(&key), "there is nothing to see");
    assert_no_leak!(key, ask(true));
}

/// What a client puts on by itself comes after every middleware: it replaces nothing that is there,
/// and is not looked at, as is documented.
#[tokio::test]
async fn default_headers_change_nothing_that_is_there() {
    let key = secret();
    let server = Hostile::with(200, "", "ok");
    let authorizer = Authorizer::new(policy()).with_organization("org-mine").expect("an id");
    let middleware = AuthorizeMiddleware::new(Place::new(&key).live().await, authorizer);
    let defaults = [
        ("authorization", "Bearer other"),
        ("openai-organization", "org-other"),
        ("openai-project", "proj_other"),
        ("api-key", "other"),
    ];
    let defaults = defaults.map(|(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, http::HeaderValue::from_static(value))
    });
    let builder = reqwest::Client::builder().default_headers(defaults.into_iter().collect());
    let client = middleware.client(builder).expect("a client");
    assert_eq!(client.get(server.url()).send().await.expect("an answer").status(), 200);
    let head = server.heads().pop().expect("a request");
    for (name, expected) in [
        ("authorization", &*format!("Bearer {key}")),
        ("openai-organization", "org-mine"),
        // These are not caught.
        ("openai-project", "proj_other"),
        ("api-key", "other"),
    ] {
        assert_eq!(header(&head, name), Some(expected), "{head}");
        assert_eq!(head.matches(&format!("{name}: ")).count(), 1, "{head}");
    }
}

/// A middleware that hands on how many requests pass it that have a key.
fn witness(keys: Arc<AtomicUsize>) -> impl Middleware {
    struct Witness(Arc<AtomicUsize>);

    impl Middleware for Witness {
        fn handle<'a, 'b, 'c, 'd>(
            &'a self,
            request: reqwest::Request,
            extensions: &'b mut http::Extensions,
            next: Next<'c>,
        ) -> Pin<Box<dyn Future<Output = reqwest_middleware::Result<reqwest::Response>> + Send + 'd>>
        where
            Self: 'd,
            'a: 'd,
            'b: 'd,
            'c: 'd,
        {
            if request.headers().contains_key("authorization") {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
            Box::pin(next.run(request, extensions))
        }
    }

    Witness(keys)
}

/// In front of ours a middleware sees no key, on a client that is set up as ours is.
#[tokio::test]
async fn a_middleware_in_front_sees_no_key() {
    let key = secret();
    let server = Hostile::with(302, "location: /there\r\n", "");
    for (is_in_front, expected) in [(true, 0), (false, 1)] {
        let live = Place::new(&key).live().await;
        let ours = AuthorizeMiddleware::new(live, Authorizer::new(policy()));
        let client = ours.hardened(reqwest::Client::builder()).build().expect("a client");
        let keys = Arc::new(AtomicUsize::new(0));
        let builder = reqwest_middleware::ClientBuilder::new(client);
        let builder = if is_in_front {
            builder.with(witness(Arc::clone(&keys))).with(ours)
        } else {
            builder.with(ours).with(witness(Arc::clone(&keys)))
        };
        let answer = builder.build().get(server.url()).send().await.expect("an answer");
        assert_eq!(answer.status(), 302, "a redirect was followed");
        assert_eq!(keys.load(Ordering::SeqCst), expected);
        assert!(server.heads().pop().expect("a request").contains(&key));
    }
}

/// That an answer was cut short is the caller's to know.
#[tokio::test]
async fn a_refusal_that_is_cut_short_stays_so() {
    let server = Hostile::start(|_| {
        let mut whole = answer(401, "content-type: application/json\r\n", "{\"error\": {}}");
        whole.truncate(whole.len() - 1);
        whole
    });
    for (name, client) in clients(&Place::new(&secret())).await {
        let answer = client.get(&server.url()).await.expect("an answer");
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.denied.is_some(), "{name}: a 401 tells by itself");
        assert!(answer.body.is_err(), "{name}");
    }
}
