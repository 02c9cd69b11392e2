//! Servers that would like to have the key, or to have it told.

use std::error::Error as _;

use keyward_testkit::assert_no_leak;
use keyward_testkit::leak;
use reqwest::header::AUTHORIZATION;

use super::*;
use crate::fixture::secret;

/// The text of an error and of all that it comes from.
fn chain(error: &reqwest::Error) -> String {
    let mut text = format!("{error}");
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// It has a certificate for its name, and the client trusts it.
#[tokio::test]
async fn another_server_on_the_same_configuration_gets_neither_key_nor_placeholder() {
    for (name, cryptography) in cryptographies() {
        for http in Http::BOTH {
            let server = Server::start().await;
            let policy = KeyPolicy::production();
            let injector = Injector::project(cryptography.clone(), policy).unwrap();
            let client = client(&server, &injector, http);
            let secret = secret();
            let key = project_key(secret.clone());
            for _ in 0..2 {
                // With a connection to a good host open, and its session known.
                let value = injector.header_value(&key).unwrap();
                let good =
                    client.get(server.url("api.openai.com", "/")).header(AUTHORIZATION, value);
                good.send().await.unwrap();
                assert_eq!(server.seen().len(), 1);
                for host in ["evil.example", "127.0.0.1"] {
                    let value = injector.header_value(&key).unwrap();
                    let call = client.get(server.url(host, "/")).header(AUTHORIZATION, value);
                    let error = call.send().await.unwrap_err();
                    assert!(chain(&error).contains(host), "{name}, {http:?}: {}", chain(&error));
                    assert!(chain(&error).contains("policy"), "{}", chain(&error));
                    assert_no_leak!(secret, leak::error_surfaces(&error));
                }
                assert!(server.seen().is_empty(), "{name}, {http:?}: it got a request");
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_ends_in_the_handshake() {
    for http in Http::BOTH {
        let server = Server::start().await;
        let injector = injector();
        let client = client(&server, &injector, http);
        let secret = secret();
        let value = injector.header_value(&project_key(secret.clone())).unwrap();
        let call = client.post(server.url("api.openai.com", "/redirect")).body("body");
        let error = call.header(AUTHORIZATION, value).send().await.unwrap_err();
        assert!(chain(&error).contains("evil.example"), "{}", chain(&error));
        let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, ["/redirect"], "the redirect was not followed");
        assert_no_leak!(secret, leak::error_surfaces(&error));
    }
}

#[tokio::test]
async fn an_older_protocol_is_not_spoken() {
    let server = Server::start_with(&[&rustls::version::TLS12]).await;
    let injector = injector();
    let client = client(&server, &injector, Http::One);
    let value = injector.header_value(&project_key(secret())).unwrap();
    let call = client.get(server.url("api.openai.com", "/")).header(AUTHORIZATION, value);
    let error = call.send().await.unwrap_err();
    assert!(error.is_connect(), "{}", chain(&error));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_tells_nothing() {
    for http in Http::BOTH {
        let server = Server::start().await;
        let injector = injector();
        let client = client(&server, &injector, http);
        let secret = secret();
        let value = injector.header_value(&project_key(secret.clone())).unwrap();
        let call = client.get(server.url("api.openai.com", "/cut")).header(AUTHORIZATION, value);
        let error = match call.send().await {
            Ok(answer) => answer.text().await.unwrap_err(),
            Err(error) => error,
        };
        assert_no_leak!(secret, leak::error_surfaces(&error));
    }
}

/// The server got the key; the client reads what stands for it.
#[tokio::test]
async fn a_key_that_is_sent_back_is_read_as_its_placeholder() {
    for (name, cryptography) in cryptographies() {
        for http in Http::BOTH {
            let server = Server::start().await;
            let policy = KeyPolicy::production();
            let injector = Injector::project(cryptography.clone(), policy).unwrap();
            let client = client(&server, &injector, http);
            let secret = secret();
            let value = injector.header_value(&project_key(secret.clone())).unwrap();
            let placeholder = value.to_str().unwrap();
            // Twice, so that the header comes out of HTTP/2's table too.
            for path in ["/echo", "/echo", "/echo-ok", "/echo-pieces"] {
                let call = client.post(server.url("api.openai.com", path));
                let answer = call.header(AUTHORIZATION, &value).send().await.unwrap();
                let echo = answer.headers().get("x-echo").cloned();
                assert!(echo.is_none_or(|echo| echo == placeholder), "{name}, {http:?}, {path}");
                let text = answer.text().await.unwrap();
                assert_no_leak!(secret, [(path, text.clone())]);
                assert!(text.contains(placeholder), "{name}, {http:?}, {path}: {text}");
            }
            let sent = server.seen().into_iter().map(|seen| seen.authorization.unwrap());
            assert!(sent.eq(std::iter::repeat_n(format!("Bearer {secret}"), 4)));
        }
    }
}

/// An own value that no injector made is sent as it is: it is not the injector's to judge.
#[tokio::test]
async fn a_header_of_others_goes_as_it_is() {
    for http in Http::BOTH {
        let server = Server::start().await;
        let injector = injector();
        let client = client(&server, &injector, http);
        let own = injector.header_value(&project_key(secret())).unwrap();
        let foreign = super::injector().header_value(&project_key(secret())).unwrap();
        let [own, foreign] = [&own, &foreign].map(|value| value.to_str().unwrap());
        let own = own.strip_prefix("Bearer ").unwrap();
        for value in [foreign.to_owned(), format!("Basic {own}"), "x".to_owned()] {
            let call = client.get(server.url("api.openai.com", "/"));
            call.header(AUTHORIZATION, &value).send().await.unwrap();
            assert_eq!(server.seen()[0].authorization.as_ref(), Some(&value));
        }
    }
}
