//! Where a client that follows redirects, or has a proxy, takes the key.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::rt::TokioExecutor;
use keyward::authorize::{
    AuthorizeError, AuthorizeLayer, AuthorizeMiddleware, Authorizer, CallError,
};
use tower_layer::Layer as _;

use super::hostile::{Hostile, answer};
use super::{Place, because, clients, header, policy, secret};

/// Redirects to wherever it is told, from `/away`, and to itself from `/here`.
fn redirects_to(url: String) -> Hostile {
    Hostile::start(move |head| {
        let location = match head.split(' ').nth(1) {
            Some("/away") => format!("location: {url}\r\n"),
            Some("/here") => "location: /there\r\n".to_owned(),
            _ => return answer(200, "", "ok"),
        };
        answer(307, &location, "")
    })
}

#[tokio::test]
async fn our_clients_follow_none() {
    let key = secret();
    let other = Hostile::with(200, "", "ok");
    let server = redirects_to(other.url());
    for (name, client) in clients(&Place::new(&key)).await {
        for path in ["/away", "/here"] {
            let url = format!("{}{path}", server.url());
            assert_eq!(client.get(&url).await.expect("an answer").status, 307, "{name}");
        }
    }
    assert_eq!(other.heads().len(), 0);
}

/// A client of reqwest as it comes, which follows them.
#[tokio::test]
async fn a_client_that_follows_one_leaves_the_key_behind_and_is_told() {
    let key = secret();
    let other = Hostile::with(200, "", "ok");
    let server = redirects_to(other.url());
    let middleware =
        AuthorizeMiddleware::new(Place::new(&key).live().await, Authorizer::new(policy()));
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    let client = reqwest_middleware::ClientBuilder::new(plain).with(middleware).build();

    let error = client.get(format!("{}/away", server.url())).send().await.expect_err("it is away");
    assert_eq!(because(&error), Some(AuthorizeError::Redirected));
    let heads = other.heads();
    assert_eq!(heads.len(), 1, "it was not followed, so nothing is shown");
    assert_eq!(header(&heads[0], "authorization"), None);
    assert!(!heads[0].contains(&key));

    // To the same origin it goes along, as it should.
    let answer = client.get(format!("{}/here", server.url())).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/there"));
    let last = server.heads().pop().expect("a request");
    assert_eq!(header(&last, "authorization"), Some(&*format!("Bearer {key}")));
}

/// A layer that follows redirects, around ours: each hop is asked for anew.
#[tokio::test]
async fn each_hop_of_a_layer_around_is_authorized_by_itself() {
    use tower_service::Service as _;

    let key = secret();
    let server = redirects_to("http://127.0.0.2:1/".to_owned());
    let other = Hostile::with(200, "", "ok");
    let elsewhere = redirects_to(other.url());
    let layer = AuthorizeLayer::new(Place::new(&key).live().await, Authorizer::new(policy()));
    let client = layer.layer(Hyper::builder(TokioExecutor::new()).build_http());
    let mut client = tower_http::follow_redirect::FollowRedirect::new(client);
    let mut get = |server: &Hostile, path| {
        let request = http::Request::get(format!("{}{path}", server.url()));
        client.call(request.body(Full::<Bytes>::default()).expect("a request"))
    };
    assert_eq!(get(&server, "/here").await.expect("an answer").status(), 200);
    for head in server.heads() {
        assert_eq!(header(&head, "authorization"), Some(&*format!("Bearer {key}")), "{head}");
    }
    let error = get(&server, "/away").await.expect_err("the policy knows no such host");
    let CallError::Authorize(AuthorizeError::Refused(refusal)) = error else { panic!("{error}") };
    assert_eq!(refusal.rule(), "host");

    // A policy has no ports, so another of the same host gets the key, as is documented.
    assert_eq!(get(&elsewhere, "/away").await.expect("an answer").status(), 200);
    let head = other.heads().pop().expect("a request");
    assert_eq!(header(&head, "authorization"), Some(&*format!("Bearer {key}")), "{head}");
}

/// What a proxy sees of a request over http is everything; so a client of ours takes none there.
#[tokio::test]
async fn a_proxy_does_not_see_the_key() {
    let key = secret();
    let server = Hostile::with(200, "", "ok");
    let proxy = Hostile::with(502, "", "");
    let through = || {
        let proxy = reqwest::Proxy::all(proxy.url()).expect("a proxy");
        reqwest::Client::builder().proxy(proxy)
    };
    let live = Place::new(&key).live().await;
    let middleware = |policy| AuthorizeMiddleware::new(live.clone(), Authorizer::new(policy));

    // A client that somebody else made, to show that there is something to see.
    let plain = through().build().expect("a client");
    let theirs = reqwest_middleware::ClientBuilder::new(plain).with(middleware(policy())).build();
    assert_eq!(theirs.get(server.url()).send().await.expect("an answer").status(), 502);
    assert!(proxy.heads()[0].contains(&key), "the proxy is blind");

    let ours = middleware(policy()).client(through()).expect("a client");
    assert_eq!(ours.get(server.url()).send().await.expect("an answer").status(), 200);
    assert_eq!(proxy.heads().len(), 1, "it went through the proxy");

    // Over https it is a tunnel, which this proxy refuses.
    let ours = middleware(keyward::KeyPolicy::production()).client(through()).expect("a client");
    ours.get("https://api.openai.com/v1/models").send().await.expect_err("there is no tunnel");
    let head = proxy.heads().pop().expect("a request");
    assert!(head.starts_with("CONNECT api.openai.com:443 HTTP/1.1"), "{head}");
    assert!(!head.contains(&key) && header(&head, "authorization").is_none());
    let error = ours.get(server.url()).send().await.expect_err("http is not allowed");
    assert!(matches!(because(&error), Some(AuthorizeError::Refused(_))));
}
