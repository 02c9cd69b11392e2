//! What test doubles tell of the requests that they got, and what tests print that fail.

#![allow(clippy::print_stdout, reason = "what comes out of a child")]

use std::io;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use keyward::authorize::Authorizer;
use keyward_testkit::{FakeOpenAi, assert_no_leak};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::place::{bearer, client, debug, exposed, plain, policy, project_key, run, string};
use super::row::{Row, child, here, panics};

const FAKE: &str = "`FakeOpenAi`";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "wiremock: a request that was expected and did not come",
            panics(|| run(unmet(&string()))),
            panics(|| run(unmet(&exposed()))),
            panics(|| {
                run(async {
                    let fake = FakeOpenAi::start().await.expect("a fake");
                    ask_fake(&fake, "/models").await;
                    assert_eq!(fake.count("GET", "/models"), 2, "{:?}", fake.requests());
                });
            }),
        )
        .by(FAKE),
        Row::new(
            "wiremock: `received_requests`",
            here(|| run(received(&string()))),
            here(|| run(received(&exposed()))),
            here(|| {
                run(async {
                    let fake = FakeOpenAi::start().await.expect("a fake");
                    ask_fake(&fake, "/models").await;
                    debug(&fake.requests())
                })
            }),
        )
        .by(FAKE),
        Row::new(
            "wiremock: the log line of a request that nothing matches",
            child(|| unmatched(&string())),
            child(|| unmatched(&exposed())),
            child(|| {
                log_everything();
                run(async {
                    let fake = FakeOpenAi::start().await.expect("a fake");
                    ask_fake(&fake, "/no-such-thing").await;
                });
            }),
        )
        .by(FAKE),
        Row::new(
            "`assert_eq!` of a header",
            panics(|| assert_eq!(by_hand(&string()).headers()[AUTHORIZATION], expected())),
            panics(|| assert_eq!(by_hand(&exposed()).headers()[AUTHORIZATION], expected())),
            panics(|| {
                let mut request = Request::get("https://api.openai.com").body(()).expect("one");
                let authorizer = Authorizer::new(policy());
                authorizer.authorize(&project_key(), &mut request).expect("authorized");
                assert_eq!(request.headers()[AUTHORIZATION], expected());
            }),
        )
        .by("`Authorizer::authorize`"),
        Row::new(
            "a redaction test that fails",
            panics(|| assert_hidden(&string())),
            panics(|| assert_hidden(&exposed())),
            panics(|| assert_no_leak!(string(), format!("key={}", string()))),
        )
        .by("`assert_no_leak!`"),
    ]
}

async fn ask(server: &MockServer, key: &str) {
    let url = format!("{}/v1/models", server.uri());
    let request = plain().get(url).header(AUTHORIZATION, bearer(key));
    request.send().await.expect("an answer");
}

/// The fake organization does not know the canary, and answers 401; it gets the key all the same.
async fn ask_fake(fake: &FakeOpenAi, path: &str) {
    let url = format!("{}{path}", fake.base_url());
    client().await.get(url).send().await.expect("an answer");
}

async fn unmet(key: &str) {
    let server = MockServer::start().await;
    let mock = Mock::given(method("POST")).and(path("/v1/responses"));
    mock.respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    ask(&server, key).await;
    server.verify().await;
}

async fn received(key: &str) -> String {
    let server = MockServer::start().await;
    ask(&server, key).await;
    debug(&server.received_requests().await)
}

fn unmatched(key: &str) {
    log_everything();
    run(async { ask(&MockServer::start().await, key).await });
}

/// To the standard output of a child, from whatever thread.
fn log_everything() {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(io::stdout)
        .init();
}

fn by_hand(key: &str) -> Request<()> {
    let request = Request::get("https://api.openai.com").header(AUTHORIZATION, bearer(key));
    request.body(()).expect("a request")
}

fn expected() -> HeaderValue {
    HeaderValue::from_static("Bearer another")
}

/// A redaction test as people write it.
fn assert_hidden(key: &str) {
    let log = format!("key={key}");
    assert!(!log.contains(key), "the key is in the log: {log}");
}
