//! Vault: against a real OpenBao, and against a server that gives the answers that it does not.

use std::sync::Arc;
use std::time::Duration;

use keyward::store::{DocumentStore, KeyStore as _, Place as _};
use keyward::{DynKeyLoader, EnvLoader, Environment, KeyLoader, LoadErrorKind, LoaderChain};
use keyward_kms::vault::{KvLoader, KvPlace, Transit, Vault, VaultAuth};
use keyward_kms::{DirectLoader, EnvelopeLoader, ErrorKind, SealContext, seal_directly};
use keyward_testkit::{CANARY, assert_no_leak};

use crate::fixture::server::{Answer, Server};
use crate::fixture::{assert_fails, assert_loads, key, logged, ready, secret};

pub(crate) mod openbao;
mod sessions;
mod store;

/// A loader of a text that is secret: a token, a secret id, a JWT.
fn given(text: &str) -> EnvLoader {
    EnvLoader::new("GIVEN").with_environment(Environment::fixed([("GIVEN", text)]))
}

fn vault(url: &str, auth: VaultAuth) -> Vault {
    Vault::builder(url, auth).allow_loopback().build().unwrap()
}

/// A connection to where nobody listens.
pub(crate) fn nowhere() -> Vault {
    vault("http://127.0.0.1:9", VaultAuth::token(given(&token())))
}

fn context() -> SealContext {
    SealContext::new("billing/openai", "proj_abc")
}

fn token() -> String {
    format!("hvs.{}", keyward_testkit::keys::KeyRng::from_entropy().alphanumeric(24))
}

#[test]
fn an_address_must_keep_the_token_confidential() {
    let token = token();
    for (address, loopback, ok) in [
        ("https://vault.example.com:8200", false, true),
        ("https://vault.example.com:8200/base/", true, true),
        ("http://127.0.0.1:8200", true, true),
        ("http://[::1]:8200", true, true),
        ("http://127.0.0.1:8200", false, false),
        ("http://localhost:8200", true, false),
        ("http://vault.example.com", true, false),
        ("https://user:secret@vault.example.com", false, false),
        ("https://vault.example.com?token=x", false, false),
        ("unix:///run/vault.sock", true, false),
        ("vault.example.com", false, false),
        ("", false, false),
    ] {
        let mut builder = Vault::builder(address, VaultAuth::token(given(&token)));
        if loopback {
            builder = builder.allow_loopback();
        }
        assert_no_leak!(token, format!("{builder:?}"));
        assert!(!format!("{builder:?}").contains("user:secret"));
        match builder.build() {
            Ok(vault) => {
                assert!(ok, "{address}");
                assert_no_leak!(token, format!("{vault:?} {vault:#?}"));
            }
            Err(error) => {
                assert!(!ok, "{address}: {error}");
                assert_eq!(error.kind(), ErrorKind::Invalid);
            }
        }
    }
    let builder = Vault::builder("https://x", VaultAuth::token(given(&token)));
    assert!(builder.clone().namespace("a\nb").build().is_err());
    assert!(builder.root_certificates(b"no certificate").is_err());
}

/// What a login is loaded from is not for a child either, whatever the login leads to.
#[test]
fn a_child_inherits_no_variable_of_the_login() {
    let nothing = Environment::fixed([("A", "b")]);
    let token = || EnvLoader::new("VAULT_TOKEN").with_environment(nothing.clone());
    for auth in [
        VaultAuth::token(token()),
        VaultAuth::app_role("billing", token()),
        VaultAuth::kubernetes_with_jwt("billing", token()),
    ] {
        let vault = vault("http://127.0.0.1:9", auth);
        let transit = || Transit::new(&vault, "transit", "openai");
        let chain = |loader| {
            let mut child = std::process::Command::new("true");
            LoaderChain::first("vault", loader).scrub_child_env(&mut child);
            child.get_envs().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        for loader in [
            DynKeyLoader::new(KvLoader::new(&vault, "secret", "prod", "api_key")),
            DynKeyLoader::new(DocumentStore::new(KvPlace::new(&vault, "secret", "prod"))),
            DynKeyLoader::new(DirectLoader::from_bytes(*b"sealed", transit(), context())),
            DynKeyLoader::new(EnvelopeLoader::from_bytes(*b"x", Arc::new(transit()), context())),
        ] {
            let source = loader.source();
            assert_eq!(chain(loader), ["VAULT_TOKEN", "VAULT_TOKEN_FILE"], "{source}");
        }
    }
}

/// reqwest and tokio's timers panic there.
#[test]
fn without_a_runtime_it_fails_and_says_so() {
    let away = nowhere();
    let place = KvPlace::new(&away, "secret", "prod");
    assert_eq!(place.deadline(), Some(Duration::from_secs(30)));
    let error = ready(DocumentStore::new(place).snapshot()).unwrap_err();
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
    let loader = KvLoader::new(&away, "secret", "prod", "api_key");
    let says = "there is no tokio runtime to wait in; await it within one";
    assert_fails(ready(loader.load()), &secret(), LoadErrorKind::Invalid, says);
    let kms = Transit::new(&away, "transit", "openai");
    let error = ready(seal_directly(&kms, &key(&secret()), &context())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn what_vault_answers_is_told_by_kind_and_never_quoted() {
    use LoadErrorKind::{
        Denied, Invalid, NotFound, Throttled, Undecryptable, Unreachable, Unreadable,
    };
    let canary = CANARY.text();
    let errors = |text: &str| format!(r#"{{"errors":["{text} {canary}"],"x":"{canary}"}}"#);
    let deleted = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-01-01","version":3}}}"#;
    for (status, body, kv, transit) in [
        (403, errors("permission denied"), Some(Denied), Some(Denied)),
        (429, errors("quota"), Some(Throttled), Some(Throttled)),
        (503, errors("Vault is sealed"), Some(Unreachable), Some(Unreachable)),
        (500, errors("internal error"), Some(Unreachable), Some(Unreachable)),
        (307, errors("elsewhere"), Some(Unreachable), Some(Unreachable)),
        (473, errors("standby"), Some(Unreachable), Some(Unreachable)),
        (404, r#"{"errors":[]}"#.to_owned(), Some(NotFound), None),
        (404, deleted.to_owned(), Some(Unreadable), None),
        (404, errors("no handler for route"), Some(Invalid), Some(Invalid)),
        (400, errors("encryption key not found"), None, Some(Undecryptable)),
        (400, errors("cipher: message authentication failed"), None, Some(Undecryptable)),
        (400, errors("invalid ciphertext"), None, Some(Undecryptable)),
        (200, String::new(), Some(Unreadable), Some(Unreadable)),
        (200, canary.to_owned(), Some(Unreadable), Some(Unreadable)),
        (
            200,
            format!(r#"{{"data":{{"data":{{"api_key":"{canary}""#),
            Some(Unreadable),
            Some(Unreadable),
        ),
        (
            200,
            format!(r#"{{"data":{{"plaintext":"{canary}"}}}}"#),
            Some(Unreadable),
            Some(Unreadable),
        ),
        (200, format!(r#"{{"data":"{canary}"}}"#), Some(Unreadable), Some(Unreadable)),
        // A KV v1 mount, and a field that is not a text.
        (200, format!(r#"{{"data":{{"api_key":"{canary}"}}}}"#), Some(Unreadable), None),
        (
            200,
            format!(
                r#"{{"data":{{"data":{{"api_key":["{canary}"]}},"metadata":{{"version":1}}}}}}"#
            ),
            Some(Invalid),
            None,
        ),
        (200, format!("{canary}{}", "x".repeat(300 * 1024)), Some(LoadErrorKind::TooLarge), None),
    ] {
        println!(
            "{status} {}",
            body.replace(canary, "CANARY").chars().take(60).collect::<String>()
        );
        let token = token();
        let ((results, asked), logs) = logged(async {
            let server = Server::start(move |request| {
                if request.contains("/lookup-self") {
                    return Answer::new(200, r#"{"data":{"ttl":0,"renewable":false}}"#);
                }
                Answer::new(status, body.clone())
            })
            .await;
            let vault = vault(&server.url(), VaultAuth::token(given(&token)));
            let secret = KvLoader::new(&vault, "secret", "openai/prod", "api_key").load().await;
            let kms = Transit::new(&vault, "transit", "openai");
            let sealed = DirectLoader::from_bytes(*b"vault:v1:abcd", kms, context()).load().await;
            ([(secret, kv), (sealed, transit)], server.asked())
        });
        for (result, kind) in results {
            if let Some(kind) = kind {
                assert_fails(result, canary, kind, "");
            }
        }
        assert_no_leak!(canary, logs.bytes());
        assert_no_leak!(token, logs.bytes());
        assert!(
            asked.iter().any(|request| request.starts_with("GET /v1/secret/data/openai/prod "))
        );
    }
}

#[test]
fn a_vault_that_is_slow_or_away_ends_in_the_deadline() {
    let canary = CANARY.text();
    let (result, logs) = logged(async {
        let slow =
            Server::start(|_| Answer::new(200, CANARY.text()).after(Duration::from_secs(60))).await;
        let vault = vault(&slow.url(), VaultAuth::token(given(&token())));
        let loader = KvLoader::new(&vault, "secret", "openai/prod", "api_key");
        loader.with_deadline(Duration::from_millis(200)).load().await
    });
    assert_fails(result, canary, LoadErrorKind::TimedOut, "no answer within 200ms");
    assert_no_leak!(canary, logs.bytes());

    // A port on which nobody listens.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let vault = vault(&closed, VaultAuth::token(given(&token())));
    let (result, _) = logged(KvLoader::new(&vault, "secret", "openai/prod", "api_key").load());
    assert_fails(result, canary, LoadErrorKind::Unreachable, "could not be reached");
}

#[test]
fn a_path_stays_where_it_is_said_to_be() {
    let canary = CANARY.text();
    let ((), _) = logged(async {
        let server = Server::start(|_| Answer::new(200, r#"{"data":{"ttl":0}}"#)).await;
        let vault = vault(&server.url(), VaultAuth::token(given(&token())));
        for (mount, path) in [
            ("secret", "../../sys/raw"),
            ("secret", "a/./b"),
            ("secret", "a//b"),
            ("", "a"),
            ("secret", ""),
            (canary, "a"),
            ("secret", canary),
        ] {
            let loader = KvLoader::new(&vault, mount, path, "api_key");
            assert_no_leak!(canary, loader.source().to_string());
            let result = loader.load().await;
            assert_fails(result, canary, LoadErrorKind::Invalid, "");
        }
        let _ = KvLoader::new(&vault, "/kv/team/", "/a b/c?d#e%2f", "f").load().await;
        let asked = server.asked();
        let asked: Vec<_> = asked
            .iter()
            .filter_map(|request| request.split(' ').nth(1))
            .filter(|path| !path.ends_with("/lookup-self"))
            .collect();
        assert_eq!(asked, ["/v1/kv/team/data/a%20b/c%3Fd%23e%252f"]);
    });
}

#[test]
fn what_a_login_needs_and_lacks_is_told() {
    let canary = CANARY.text();
    let nothing = EnvLoader::new("VAULT_TOKEN").with_environment(Environment::fixed([("A", "b")]));
    let vault = vault("http://127.0.0.1:9", VaultAuth::token(nothing));
    let loader = KvLoader::new(&vault, "secret", "openai/prod", "api_key");
    let (result, _) = logged(loader.load());
    // That there is no token does not mean that there is no key: a chain stops.
    assert_fails(result, canary, LoadErrorKind::Denied, "env:VAULT_TOKEN: not set");
}

/// The namespace and the token go with each request, and the token is sent to nobody else.
#[test]
fn the_token_goes_in_its_header_and_not_across_a_redirect() {
    let (secret, token) = (secret(), token());
    let ((loaded, redirected, asked, elsewhere), logs) = logged(async {
        let body =
            format!(r#"{{"data":{{"data":{{"api_key":"{secret}"}},"metadata":{{"version":7}}}}}}"#);
        let server = Server::start(move |request| match request {
            request if request.contains("/lookup-self") => {
                Answer::new(403, r#"{"errors":["permission denied"]}"#)
            }
            _ => Answer::new(200, body.clone()),
        })
        .await;
        let vault = Vault::builder(server.url(), VaultAuth::token(given(&token)))
            .allow_loopback()
            .namespace("teams/billing")
            .build()
            .unwrap();
        let loader = KvLoader::new(&vault, "secret", "openai/prod", "api_key");
        let loaded = loader.clone().with_version(7).load().await;
        let elsewhere = Server::start(|_| Answer::new(200, "{}")).await;
        let to = elsewhere.url();
        let redirecting =
            Server::start(move |_| Answer::new(307, "{}").header("location", to.clone())).await;
        let vault = self::vault(&redirecting.url(), VaultAuth::token(given(&token)));
        let redirected = KvLoader::new(&vault, "secret", "x", "api_key").load().await;
        (loaded, redirected, server.asked(), elsewhere.asked())
    });
    let loaded = assert_loads(loaded, &secret, "vault:secret/openai/prod#api_key");
    assert_eq!(loaded.version.as_deref(), Some("7"));
    assert_fails(redirected, &secret, LoadErrorKind::Unreachable, "not followed");
    assert!(elsewhere.is_empty());
    let request = asked.last().unwrap();
    assert!(request.starts_with("GET /v1/secret/data/openai/prod?version=7 "), "{request}");
    for header in ["x-vault-namespace: teams/billing", "x-vault-request: true"] {
        assert!(request.contains(header), "{header}");
    }
    assert!(request.contains(&format!("x-vault-token: {token}")));
    for secret in [&secret, &token] {
        assert_no_leak!(secret, logs.bytes());
    }
}
