//! What others are sent: where redirects, proxies, base URLs and broken certificates lead.

use std::process::Command;

use http::header::AUTHORIZATION;
use keyward::authorize::AuthorizeMiddleware;
use keyward::wire::Injector;
use keyward::{AdminKey, KeyPolicy, ProjectKey};
use reqwest_middleware::ClientWithMiddleware;

use super::child;
use super::place::{
    VARIABLE, admin_text, client, exposed, middleware_of, plain, policy, project_key, run, string,
    told,
};
use super::row::{Row, around, here, lacks};
use super::tls;
use crate::authorize::because;
use crate::authorize::hostile::{Hostile, answer};

/// The header that other vendors take keys by, and that gateways do.
const CUSTOM: &str = "api-key";

const CLIENT: &str = "`AuthorizeMiddleware` follows none";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = redirects();
    rows.extend(proxies());
    rows.extend(addresses());
    rows
}

fn redirects() -> Vec<Row> {
    vec![
        Row::new(
            "a redirect to another port, `Authorization`",
            here(|| run(redirected("127.0.0.1", By::Bearer(string())))),
            here(|| run(redirected("127.0.0.1", By::Bearer(exposed())))),
            here(|| run(redirected("127.0.0.1", By::Keyward))),
        )
        .clean_because("reqwest takes it off")
        .by(CLIENT),
        Row::new(
            "a redirect to another port, a header of one's own",
            here(|| run(redirected("127.0.0.1", By::Custom(string())))),
            here(|| run(redirected("127.0.0.1", By::Custom(exposed())))),
            here(|| run(redirected("127.0.0.1", By::Keyward))),
        )
        .by(CLIENT),
        Row::new(
            "a redirect to another host, `Authorization`",
            here(|| run(redirected("localhost", By::Bearer(string())))),
            here(|| run(redirected("localhost", By::Bearer(exposed())))),
            here(|| run(redirected("localhost", By::Keyward))),
        )
        .clean_because("reqwest takes it off")
        .by(CLIENT),
        Row::new(
            "a redirect to another host, a header of one's own",
            here(|| run(redirected("localhost", By::Custom(string())))),
            here(|| run(redirected("localhost", By::Custom(exposed())))),
            here(|| run(redirected("localhost", By::Keyward))),
        )
        .by(CLIENT),
        Row::new(
            "a redirect from https to http, `Authorization`",
            here(|| run(downgraded(By::Bearer(string())))),
            here(|| run(downgraded(By::Bearer(exposed())))),
            here(|| run(downgraded(By::Keyward))),
        )
        .clean_because("reqwest takes it off")
        .by(CLIENT),
        Row::new(
            "a redirect from https to http, a header of one's own",
            here(|| run(downgraded(By::Custom(string())))),
            here(|| run(downgraded(By::Custom(exposed())))),
            here(|| run(downgraded(By::Keyward))),
        )
        .by(CLIENT),
        Row::new(
            "a redirect by tower-http, a header of one's own",
            here(|| run(by_tower(string()))),
            here(|| run(by_tower(exposed()))),
            here(|| run(by_tower_of_keyward())),
        )
        .by("`AuthorizeLayer`, within it"),
        Row::new(
            "the `Referer` of a redirect, the key in the query",
            here(|| run(referred(string()))),
            here(|| run(referred(exposed()))),
            here(|| {
                run(async {
                    let (from, to) = pair("127.0.0.1");
                    let url = format!("{}/?key={}", from.url(), string());
                    let told = refused(client().await.get(url).send().await);
                    seen_by(&[&from, &to]) + &told
                })
            }),
        )
        .by("`AuthorizeMiddleware` refuses it"),
    ]
}

fn proxies() -> Vec<Row> {
    vec![
        Row::new(
            "an http proxy from the environment",
            around(through_proxy, || run(through(&string()))),
            around(through_proxy, || run(through(&exposed()))),
            around(through_proxy, || {
                run(async {
                    let server = Hostile::with(200, "", "ok");
                    let here = client().await.get(server.url()).send().await;
                    assert_eq!(here.expect("an answer").status(), 200, "it took the proxy");
                    let clear = strict().await.get("http://api.openai.com/v1/models");
                    refused(clear.send().await);
                });
            }),
        )
        .by("`AuthorizeMiddleware` takes none for http"),
        Row::new(
            "an https request through a proxy",
            around(through_tunnel, || run(through_https(&string()))),
            around(through_tunnel, || run(through_https(&exposed()))),
            around(through_tunnel, || {
                run(async {
                    let call = strict().await.get("https://api.openai.com/v1/models");
                    call.send().await.expect_err("the proxy refuses");
                });
            }),
        )
        .clean_because("the proxy sees a tunnel"),
        Row::new(
            "`OPENAI_BASE_URL` from the environment",
            around(elsewhere, || run(by_openai(string()))),
            around(elsewhere, || run(by_openai(exposed()))),
            around(elsewhere, || {
                run(async {
                    // As the example `clients` does it, with a base URL that somebody has set.
                    #[allow(clippy::disallowed_methods, reason = "the variable of a child")]
                    let base = std::env::var("OPENAI_BASE_URL").expect("a base URL");
                    refused(strict().await.get(format!("{base}/models")).send().await);
                });
            }),
        )
        .by("`AuthorizeMiddleware`: the policy names the hosts"),
    ]
}

fn addresses() -> Vec<Row> {
    vec![
        Row::new(
            "a base URL with `http://`",
            here(|| run(in_the_clear(&string()))),
            here(|| run(in_the_clear(&exposed()))),
            here(|| {
                run(async {
                    let server = Hostile::with(200, "", "ok");
                    let told = refused(strict().await.get(server.url()).send().await);
                    seen_by(&[&server]) + &told
                })
            }),
        )
        .by("the policy wants https"),
        Row::new(
            "the key in the query, in a server's access log",
            here(|| run(queried(string()))),
            here(|| run(queried(exposed()))),
            here(|| {
                run(async {
                    let server = Hostile::with(200, "", "ok");
                    let url = format!("{}/?key={}", server.url(), string());
                    let told = refused(client().await.get(url).send().await);
                    seen_by(&[&server]) + &told
                })
            }),
        )
        .by("`AuthorizeMiddleware` refuses it"),
        Row::new(
            "an admin key on a model request",
            here(|| run(in_the_clear(admin_text()))),
            here(|| run(in_the_clear(admin_text()))),
            lacks!(AdminKey: Into<ProjectKey>),
        )
        .by("`crates/keyward/src/misuse.rs`"),
        Row::new(
            "a certificate of the server's own making, checks turned off",
            here(|| run(unchecked(string()))),
            here(|| run(unchecked(exposed()))),
            here(|| {
                run(async {
                    let (server, trusted) = (accepting(), accepting());
                    let injector = tls::injector();
                    let builder = trusted.injecting(&injector).danger_accept_invalid_certs(true);
                    let value = injector.header_value(&project_key()).expect("a value");
                    let client = builder.build().expect("a client");
                    let call = client.get(server.url()).header(AUTHORIZATION, value).send().await;
                    let told = told(&call.expect_err("the certificate is not trusted"));
                    assert!(told.contains("InvalidCertificate"), "another reason: {told}");
                    format!("{:?}\n{told}", server.heads())
                })
            }),
        )
        .by("`wire`: the verifier is its own"),
        Row::new(
            "a host that is not OpenAI's, over https",
            here(|| run(foreign(string()))),
            here(|| run(foreign(exposed()))),
            here(|| {
                run(async {
                    let server = accepting();
                    let standard = KeyPolicy::standard();
                    let injector = Injector::project(tls::cryptography(), standard);
                    let injector = injector.expect("an injector");
                    let client = server.injecting(&injector).build().expect("a client");
                    let value = injector.header_value(&project_key()).expect("a value");
                    let call = client.get(server.url()).header(AUTHORIZATION, value).send().await;
                    let told = told(&call.expect_err("the policy knows no such host"));
                    assert!(told.contains("127.0.0.1"), "another reason: {told}");
                    format!("{:?}\n{told}", server.heads())
                })
            }),
        )
        .by("`wire`: the policy names the hosts"),
    ]
}

/// How the key is sent.
enum By {
    Bearer(String),
    Custom(String),
    Keyward,
}

/// What two servers got, the first of which redirects to the second, but for what the first should
/// have.
async fn redirected(host: &str, by: By) -> String {
    let (from, to) = pair(host);
    let status = sent(reqwest::Client::builder().no_proxy(), &from.url(), by).await;
    assert!(from.heads()[0].contains(&string()), "it was not sent");
    format!("{status}\n{}", seen_by(&[&to]))
}

async fn downgraded(by: By) -> String {
    let to = Hostile::with(200, "", "ok");
    let location = format!("location: {}/landed\r\n", to.url());
    let from = tls::Server::start(move |_| answer(307, &location, ""));
    let status = sent(from.trusted(), &from.url(), by).await;
    assert!(from.heads()[0].contains(&string()), "it was not sent");
    format!("{status}\n{}", seen_by(&[&to]))
}

async fn sent(builder: reqwest::ClientBuilder, url: &str, by: By) -> u16 {
    let answer = match by {
        By::Keyward => {
            let client = middleware_of(policy()).await.client(builder).expect("a client");
            return client.get(url).send().await.expect("an answer").status().as_u16();
        }
        By::Bearer(key) => builder.build().expect("a client").get(url).bearer_auth(key),
        By::Custom(key) => builder.build().expect("a client").get(url).header(CUSTOM, key),
    };
    answer.send().await.expect("an answer").status().as_u16()
}

/// A server that redirects to another, by whatever name that is reached.
fn pair(host: &str) -> (Hostile, Hostile) {
    let to = Hostile::with(200, "", "ok");
    let location = format!("location: {}/landed\r\n", to.url().replace("127.0.0.1", host));
    (Hostile::start(move |_| answer(307, &location, "")), to)
}

fn seen_by(servers: &[&Hostile]) -> String {
    let heads: Vec<_> = servers.iter().flat_map(|server| server.heads()).collect();
    format!("{} requests\n{}", heads.len(), heads.join("\n"))
}

async fn by_tower(key: String) -> String {
    let (from, to) = pair("127.0.0.1");
    let request = http::Request::get(from.url()).header(CUSTOM, key);
    let client = tower::hyper();
    tower::follow(client, request).await.expect("an answer");
    seen_by(&[&to])
}

async fn by_tower_of_keyward() -> String {
    // Another address of this machine, which the policy does not name.
    let (from, to) = pair("127.0.0.2");
    let error = tower::follow(tower::of_keyward().await, http::Request::get(from.url())).await;
    assert!(from.heads()[0].contains(&string()), "it was not sent");
    seen_by(&[&to]) + &error.expect_err("the policy knows no such host")
}

/// What is told of a request that keyward has refused.
pub(super) fn refused(answer: reqwest_middleware::Result<reqwest::Response>) -> String {
    let error = answer.expect_err("it was sent");
    assert!(because(&error).is_some(), "it failed for another reason: {error}");
    told(&error)
}

async fn referred(key: String) -> String {
    let (from, to) = pair("127.0.0.1");
    let call = plain().get(format!("{}/?key={key}", from.url())).send().await;
    assert_eq!(call.expect("an answer").status(), 200);
    seen_by(&[&to])
}

/// A client with the policy as it is for services, which names no address of this machine.
async fn strict() -> ClientWithMiddleware {
    let middleware: AuthorizeMiddleware = middleware_of(KeyPolicy::standard()).await;
    middleware.client(reqwest::Client::builder()).expect("a client")
}

/// What a proxy got from a process that has it in its environment.
fn through_proxy(mut command: Command) -> String {
    let proxy = Hostile::with(502, "", "");
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(name, proxy.url());
    }
    child::output(command) + &seen_by(&[&proxy])
}

/// The same of one that wants https.
fn through_tunnel(command: Command) -> String {
    let seen = through_proxy(command);
    assert!(seen.contains("CONNECT api.openai.com:443"), "it took no tunnel: {seen}");
    seen
}

async fn through(key: &str) {
    let client = reqwest::Client::new();
    let call = client.get("http://api.openai.com/v1/models").bearer_auth(key).send().await;
    assert_eq!(call.expect("an answer of the proxy").status(), 502);
}

async fn through_https(key: &str) {
    let client = reqwest::Client::new();
    let call = client.get("https://api.openai.com/v1/models").bearer_auth(key).send().await;
    call.expect_err("the proxy refuses");
}

/// What a server got from a process that was told that it is OpenAI's.
fn elsewhere(mut command: Command) -> String {
    let server = Hostile::with(200, "content-type: application/json\r\n", "{\"data\": []}");
    command.env("OPENAI_BASE_URL", server.url()).env(VARIABLE, string());
    child::output(command) + &seen_by(&[&server])
}

async fn by_openai(key: String) {
    let config = async_openai::config::OpenAIConfig::new().with_api_key(key);
    // What it answers is not what this is about.
    let _ = async_openai::Client::with_config(config).models().list().await;
}

async fn in_the_clear(key: &str) -> String {
    let server = Hostile::with(200, "", "ok");
    plain().get(server.url()).bearer_auth(key).send().await.expect("an answer");
    seen_by(&[&server])
}

async fn queried(key: String) -> String {
    let server = Hostile::with(200, "", "ok");
    plain().get(format!("{}/?key={key}", server.url())).send().await.expect("an answer");
    seen_by(&[&server])
}

fn accepting() -> tls::Server {
    tls::Server::start(|_| answer(200, "", "ok"))
}

async fn unchecked(key: String) -> String {
    let server = accepting();
    let builder = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true);
    let client = builder.build().expect("a client");
    client.get(server.url()).bearer_auth(key).send().await.expect("an answer");
    server.heads().join("\n")
}

async fn foreign(key: String) -> String {
    let server = accepting();
    let client = server.trusted().build().expect("a client");
    client.get(server.url()).bearer_auth(key).send().await.expect("an answer");
    server.heads().join("\n")
}

/// tower-http's way to follow redirects.
mod tower {
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper_util::client::legacy::Client as Hyper;
    use hyper_util::client::legacy::connect::HttpConnector;
    use hyper_util::rt::TokioExecutor;
    use keyward::authorize::{AuthorizeLayer, AuthorizeService, Authorizer};
    use tower_http::follow_redirect::FollowRedirect;
    use tower_layer::Layer as _;
    use tower_service::Service;

    use super::super::place::{live, policy};

    type Plain = Hyper<HttpConnector, Full<Bytes>>;

    pub(super) fn hyper() -> Plain {
        Hyper::builder(TokioExecutor::new()).build_http()
    }

    pub(super) async fn of_keyward() -> AuthorizeService<Plain> {
        AuthorizeLayer::new(live().await, Authorizer::new(policy())).layer(hyper())
    }

    pub(super) async fn follow<S, A>(
        client: S,
        request: http::request::Builder,
    ) -> Result<(), String>
    where
        S: Service<http::Request<Full<Bytes>>, Response = http::Response<A>> + Clone,
        S::Error: std::fmt::Debug,
    {
        let request = request.body(Full::default()).expect("a request");
        let answer = FollowRedirect::new(client).call(request).await;
        answer.map(drop).map_err(|error| format!("{error:?}"))
    }
}
