//! What stands in the log: what a service writes itself, what HTTP libraries write at `TRACE`, and
//! what tower-http writes of headers.

use std::error::Error;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyward::authorize::{AuthorizeLayer, Authorizer};
use keyward::redact::RedactingMakeWriter;
use keyward::{ApiKey, KeyLoader as _, LoadError, LoadedKey};
use keyward_testkit::leak::CapturedLogs;
use secrecy::SecretString;
use tower_http::trace::{DefaultMakeSpan, Trace, TraceLayer};
use tower_layer::Layer as _;
use tower_service::Service;
use tracing::Level;

use super::minting::{Created, created, mint, server};
use super::place::{
    Config, admin_key, admin_text, bearer, client, exposed, keyward, live, loader, middleware,
    plain, policy, project_key, run, secrecy, string,
};
use super::row::{Row, here};
use super::tls;
use crate::authorize::hostile::{Hostile, answer};
use crate::fixture::{traced, with_trace};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = written();
    rows.extend(verbose());
    rows.extend(layers());
    rows.extend(stacks());
    rows
}

/// By the service itself.
fn written() -> Vec<Row> {
    vec![
        Row::new(
            "`#[instrument]` on a function that takes the key",
            here(|| logs(|| takes_string(&string()))),
            here(|| logs(|| takes_secrecy(&secrecy()))),
            here(|| logs(|| takes_keyward(&keyward()))),
        ),
        Row::new(
            "`#[instrument(ret)]` on a function that yields the key",
            here(|| logs(|| drop(yields_string()))),
            here(|| logs(|| drop(yields_secrecy()))),
            here(|| logs(|| drop(yields_keyward()))),
        ),
        Row::new(
            "`#[instrument(err(Debug))]` on a function that reads it",
            here(|| logs(|| drop(reads::<String>(&string())))),
            here(|| logs(|| drop(reads::<SecretString>(&exposed())))),
            here(|| logs(|| drop(loads(format!("'{}'", string()))))),
        )
        .by("`LoadError`"),
        Row::new(
            "a configuration as a field, `?config`",
            here(|| logs(|| tracing::info!(config = ?Config::of(string()), "started"))),
            here(|| logs(|| tracing::info!(config = ?Config::of(secrecy()), "started"))),
            here(|| logs(|| tracing::info!(config = ?Config::of(keyward()), "started"))),
        ),
        Row::new(
            "an error as a field, with its causes",
            here(|| logs(|| fails(&number::<String>(&string())))),
            here(|| logs(|| fails(&number::<SecretString>(&exposed())))),
            here(|| {
                let error = run(loader(format!("'{}'", string())).load()).expect_err("quotes");
                logs(|| fails(&error))
            }),
        )
        .by("`LoadError`"),
        Row::new(
            "a library that writes the key by itself",
            here(|| library(&string(), false)),
            here(|| library(&exposed(), false)),
            here(|| library(&string(), true)),
        )
        .by("`redact::RedactingMakeWriter`"),
    ]
}

/// By reqwest, where the application asks for it.
fn verbose() -> Vec<Row> {
    vec![
        Row::new(
            "reqwest, `connection_verbose`: the request",
            here(|| asked(&string())),
            here(|| asked(&exposed())),
            here(|| {
                let server = Hostile::with(200, "", "ok");
                of(async {
                    let verbose = reqwest::Client::builder().connection_verbose(true);
                    let client = middleware().await.client(verbose).expect("a client");
                    let answer = client.get(server.url()).send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    assert!(server.heads()[0].contains(&string()), "it was not sent");
                })
            }),
        )
        .by("`AuthorizeMiddleware` turns it off"),
        Row::new(
            "reqwest, `connection_verbose`: the answer with a created key",
            here(|| created_verbosely(admin_text())),
            here(|| created_verbosely(admin_text())),
            here(|| {
                let server = server(200, &created());
                of(async { drop(mint(&server).await.expect("a key")) })
            }),
        )
        .by("`keyward-admin`"),
        Row::new(
            "reqwest, `connection_verbose`, TLS: the request",
            here(|| asked_over_tls(string())),
            here(|| asked_over_tls(exposed())),
            here(|| {
                let server = tls::Server::start(|_| answer(200, "", "ok"));
                let injector = tls::injector();
                of(async {
                    let client = server.injecting(&injector).connection_verbose(true).build();
                    let value = injector.header_value(&project_key()).expect("a value");
                    let call = client.expect("a client").get(server.url());
                    call.header(AUTHORIZATION, value).send().await.expect("an answer");
                    assert!(server.heads()[0].contains(&string()), "it was not put in");
                })
            }),
        )
        .by("`wire`"),
        Row::new(
            "reqwest, `connection_verbose`, TLS: the answer with a created key",
            here(created_over_tls),
            here(created_over_tls),
            here(|| {
                let server = tls::Server::start(|_| answer(200, "", &created()));
                let injector = tls::catching();
                of(async {
                    let client = server.injecting(&injector).connection_verbose(true).build();
                    let value = injector.header_value(&admin_key()).expect("a value");
                    let call = client.expect("a client").post(server.url());
                    let call = call.header(AUTHORIZATION, value).send().await;
                    let text = call.expect("an answer").text().await.expect("a body");
                    let read: Created<ApiKey> = serde_json::from_str(&text).expect("a key");
                    let key = injector.redeem(&read.value).expect("a key");
                    assert_eq!(key, keyward(), "another key was caught");
                })
            }),
        )
        .by("`wire`"),
    ]
}

/// By tower-http, around a client.
fn layers() -> Vec<Row> {
    vec![
        Row::new(
            "tower-http's `TraceLayer` with headers",
            here(|| through_trace_layer(&string(), false)),
            here(|| through_trace_layer(&exposed(), false)),
            here(|| {
                of(async {
                    let layer = AuthorizeLayer::new(live().await, Authorizer::new(policy()));
                    let server = Hostile::with(200, "", "ok");
                    let request = Request::get(server.url()).body(Full::default());
                    call(layer.layer(traced_client()), request.expect("a request")).await;
                    assert!(server.heads()[0].contains(&string()), "it was not sent");
                })
            }),
        )
        .by("`AuthorizeLayer`, around it"),
        Row::new(
            "tower-http's `TraceLayer`, the header marked as sensitive",
            here(|| through_trace_layer(&string(), true)),
            here(|| through_trace_layer(&exposed(), true)),
            here(|| {
                of(async {
                    let layer = AuthorizeLayer::new(live().await, Authorizer::new(policy()));
                    let hyper: Hyper<HttpConnector, Full<Bytes>> =
                        Hyper::builder(TokioExecutor::new()).build_http();
                    let server = Hostile::with(200, "", "ok");
                    let request = Request::get(server.url()).body(Full::default());
                    let client = trace_layer().layer(layer.layer(hyper));
                    call(client, request.expect("a request")).await;
                    assert!(server.heads()[0].contains(&string()), "it was not sent");
                })
            }),
        )
        .clean_because("a header that is marked is not printed")
        .by("`AuthorizeLayer`, within it"),
    ]
}

/// By the HTTP stack, at `TRACE`.
fn stacks() -> Vec<Row> {
    vec![
        Row::new(
            "async-openai: a body that does not decode",
            here(|| undecodable(string())),
            here(|| undecodable(exposed())),
            here(|| {
                let server = server(200, &undecodable_body());
                of(async { drop(mint(&server).await) })
            }),
        )
        .by("`keyward-admin`"),
        Row::new(
            "hyper at `TRACE`, HTTP/1.1",
            here(|| plainly(&string())),
            here(|| plainly(&exposed())),
            here(|| {
                let server = Hostile::with(200, "", "ok");
                of(async {
                    client().await.get(server.url()).send().await.expect("an answer");
                })
            }),
        )
        .clean_because("hyper logs lengths and not contents"),
        Row::new(
            "h2 at `TRACE`",
            here(|| by_http2(bearer(&string()))),
            here(|| by_http2(bearer(&exposed()))),
            here(|| by_http2(sensitive())),
        )
        .clean_because("h2 logs frames without their fields"),
        Row::new(
            "rustls at `TRACE`",
            here(|| over_tls(string(), false)),
            here(|| over_tls(exposed(), false)),
            here(|| {
                let server = tls::Server::start(|_| answer(200, "", "ok"));
                let injector = tls::injector();
                of(async {
                    let client = server.injecting(&injector).build().expect("a client");
                    let value = injector.header_value(&project_key()).expect("a value");
                    let call = client.get(server.url()).header(AUTHORIZATION, value);
                    call.send().await.expect("an answer");
                })
            }),
        )
        .clean_because("rustls logs handshakes and not records")
        .by("`wire`"),
    ]
}

/// What is logged while something runs, and that something was.
fn logs(run: impl FnOnce()) -> String {
    traced(run).1
}

/// The same of something with HTTP in it.
fn of(run: impl Future<Output = ()>) -> String {
    with_trace(run).1
}

#[tracing::instrument]
fn takes_string(key: &str) {
    tracing::info!(len = key.len(), "connecting");
}

#[tracing::instrument]
fn takes_secrecy(key: &SecretString) {
    tracing::info!(size = size_of_val(key), "connecting");
}

#[tracing::instrument]
fn takes_keyward(key: &ApiKey) {
    tracing::info!(kind = ?key.kind(), "connecting");
}

#[tracing::instrument(ret)]
fn yields_string() -> String {
    string()
}

#[tracing::instrument(ret)]
fn yields_secrecy() -> SecretString {
    secrecy()
}

#[tracing::instrument(ret)]
fn yields_keyward() -> ApiKey {
    keyward()
}

#[tracing::instrument(skip_all, err(Debug))]
fn reads<K: for<'de> serde::Deserialize<'de>>(key: &str) -> Result<(), serde_json::Error> {
    Err(number::<K>(key))
}

#[tracing::instrument(skip_all, err(Debug))]
fn loads(value: String) -> Result<LoadedKey, LoadError> {
    run(loader(value).load())
}

/// A parser's error that quotes the key where a number belongs.
fn number<K: for<'de> serde::Deserialize<'de>>(key: &str) -> serde_json::Error {
    let text = format!("{{\"id\": \"key_1\", \"value\": \"x\", \"created_at\": \"{key}\"}}");
    serde_json::from_str::<Created<K>>(&text).err().expect("no number")
}

fn fails(error: &(dyn Error + 'static)) {
    tracing::error!(error, "cannot start");
}

/// What a library writes to a subscriber of its application.
fn library(key: &str, is_masked: bool) -> String {
    let logs = CapturedLogs::new();
    let writer = {
        let logs = logs.clone();
        move || logs.writer()
    };
    let write = || tracing::warn!("401 for {key}, retrying");
    let builder = tracing_subscriber::fmt().with_max_level(Level::TRACE);
    if is_masked {
        let subscriber = builder.with_writer(RedactingMakeWriter::new(writer)).finish();
        tracing::subscriber::with_default(subscriber, write);
    } else {
        tracing::subscriber::with_default(builder.with_writer(writer).finish(), write);
    }
    logs.contents()
}

fn talkative() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().connection_verbose(true);
    builder.build().expect("a client")
}

fn asked(key: &str) -> String {
    let server = Hostile::with(200, "", "ok");
    of(async {
        talkative().get(server.url()).bearer_auth(key).send().await.expect("an answer");
    })
}

fn created_verbosely(admin: &str) -> String {
    let server = server(200, &created());
    of(async {
        let call = talkative().post(server.url()).bearer_auth(admin).send().await;
        call.expect("an answer").json::<Created<SecretString>>().await.expect("a key");
    })
}

fn asked_over_tls(key: String) -> String {
    over_tls(key, true)
}

fn over_tls(key: String, is_verbose: bool) -> String {
    let server = tls::Server::start(|_| answer(200, "", "ok"));
    of(async {
        let client = server.trusted().connection_verbose(is_verbose).build().expect("a client");
        client.get(server.url()).bearer_auth(key).send().await.expect("an answer");
    })
}

fn created_over_tls() -> String {
    let server = tls::Server::start(|_| answer(200, "", &created()));
    of(async {
        let client = server.trusted().connection_verbose(true).build().expect("a client");
        let call = client.post(server.url()).bearer_auth(admin_text()).send().await;
        call.expect("an answer").json::<Created<SecretString>>().await.expect("a key");
    })
}

fn trace_layer() -> TraceLayer<
    tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>,
    DefaultMakeSpan,
> {
    let span = DefaultMakeSpan::new().level(Level::INFO).include_headers(true);
    TraceLayer::new_for_http().make_span_with(span)
}

type TracedClient = Trace<
    Hyper<HttpConnector, Full<Bytes>>,
    tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>,
    DefaultMakeSpan,
>;

fn traced_client() -> TracedClient {
    trace_layer().layer(Hyper::builder(TokioExecutor::new()).build_http())
}

fn through_trace_layer(key: &str, is_sensitive: bool) -> String {
    let server = Hostile::with(200, "", "ok");
    of(async {
        let mut value = HeaderValue::from_str(&bearer(key)).expect("a value");
        value.set_sensitive(is_sensitive);
        let request = Request::get(server.url()).header(AUTHORIZATION, value);
        call(traced_client(), request.body(Full::default()).expect("a request")).await;
    })
}

async fn call<S: Service<Request<Full<Bytes>>>>(mut client: S, request: Request<Full<Bytes>>) {
    let ready = std::future::poll_fn(|cx| client.poll_ready(cx)).await;
    assert!(ready.is_ok(), "it is not ready");
    assert!(client.call(request).await.is_ok(), "it has no answer");
}

/// An answer with a created key in which a field has another type than it should.
fn undecodable_body() -> String {
    created().replace("1790000000", "{}")
}

fn undecodable(key: String) -> String {
    let body = undecodable_body();
    let server = server(200, &body);
    of(async {
        let config =
            async_openai::config::OpenAIConfig::new().with_api_key(key).with_api_base(server.url());
        let client = async_openai::Client::build(plain(), config);
        client.models().list().await.expect_err("it does not decode");
    })
}

fn plainly(key: &str) -> String {
    let server = Hostile::with(200, "", "ok");
    of(async {
        plain().get(server.url()).bearer_auth(key).send().await.expect("an answer");
    })
}

fn sensitive() -> HeaderValue {
    let authorizer = Authorizer::new(policy());
    authorizer.header(&project_key(), &"http://127.0.0.1/".parse().expect("a URI")).expect("it")
}

fn by_http2<V>(value: V) -> String
where
    HeaderValue: TryFrom<V>,
    <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
{
    let logs = of(async {
        let server = wiremock::MockServer::start().await;
        let builder = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
        let client = builder.build().expect("a client");
        let call = client.get(server.uri()).header(AUTHORIZATION, value).send().await;
        assert_eq!(call.expect("an answer").version(), http::Version::HTTP_2);
    });
    assert!(logs.contains("h2::"), "h2 is not in the log");
    logs
}
