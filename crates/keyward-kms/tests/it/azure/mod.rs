//! Azure Key Vault: against a fake that keeps state, and against a server that gives the answers
//! that it does not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use keyward::{Clock, EnvLoader, Environment, KeyLoader, KeyPolicy, LoadErrorKind, LoaderChain};
use keyward_kms::azure::{Azure, KeyVaultLoader};
use keyward_testkit::{CANARY, assert_no_leak};
use serde_json::json;

use self::fake::{Fake, HOST, Identity, Token, connect};
use crate::fixture::server::{Answer, Server};
use crate::fixture::stores::NOW;
use crate::fixture::{assert_fails, assert_loads, logged, secret};

pub(crate) mod fake;
mod witness;

const VAULT: &str = "billing-prod";
const SOURCE: &str = "azure-kv:billing-prod/openai";

/// It stands at [`NOW`].
fn clock() -> Clock {
    let now = std::time::UNIX_EPOCH + Duration::from_secs(NOW.as_unix_seconds().unsigned_abs());
    Clock::from_fn(move || now)
}

/// A connection to where nobody listens.
pub(crate) fn nowhere() -> Azure {
    connect("127.0.0.1:9".parse().unwrap(), &Identity::new().pem, "token")
}

#[test]
fn the_version_is_the_newest_or_the_one_that_is_named() {
    let (old, new) = (secret(), secret());
    let ((loaded, asked, versions), logs) = logged(async {
        let fake = Fake::start().await;
        let versions = [fake.set("openai", &old), fake.set("openai", &format!("{new}\n"))];
        fake.attribute("openai", "exp", json!(NOW.as_unix_seconds()));
        let azure = fake.azure();
        // Of the time that it is active from.
        fake.attribute("openai", "nbf", json!(NOW.as_unix_seconds()));
        let newest = KeyVaultLoader::new(&azure, VAULT, "openai").with_clock(clock());
        assert_no_leak!(fake.token, format!("{newest:?}"));
        let first = newest.load().await;
        let before = fake.asked().len();
        let second = newest.load().await;
        let asked = fake.asked().len() - before;
        let named = newest.clone().with_version(&versions[0]).load().await;
        let by_address = KeyVaultLoader::new(&azure, format!("https://{HOST}"), "openai");
        assert_loads(by_address.load().await, &new, &format!("azure-kv:{HOST}/openai"));
        ([first, second, named], asked, versions)
    });
    let [first, second, named] = loaded;
    // The challenge is answered once.
    assert_eq!(asked, 1);
    let first = assert_loads(first, &new, SOURCE);
    assert_eq!(first.version.as_ref(), Some(&versions[1]));
    assert_eq!(first.expires_at, Some(NOW));
    assert_loads(second, &new, SOURCE);
    let named = assert_loads(named, &old, SOURCE);
    assert_eq!(named.version.as_ref(), Some(&versions[0]));
    assert_eq!(named.expires_at, None);
    let refusal = named.admit(&KeyPolicy::admin(), NOW).unwrap_err();
    for secret in [&old, &new] {
        assert_no_leak!(secret, logs.bytes());
        assert_no_leak!(secret, format!("{refusal} {refusal:?}"));
    }
}

#[test]
fn a_secret_may_be_json_and_what_is_not_there_is_told() {
    use LoadErrorKind::{Denied, Invalid, NotFound, Unreadable};
    let secret = secret();
    let json = format!(r#"{{"user":"x","openai":"{secret}","n":1}}"#);
    for (case, text, field, expected) in [
        ("a field", json.clone(), Some("openai"), Ok(())),
        ("the wrong field", json.clone(), Some("key"), Err((Invalid, "no field `key`"))),
        ("an object", json.clone(), None, Err((Invalid, "name the field"))),
        ("no object", secret.clone(), Some("openai"), Err((Invalid, "no JSON object"))),
    ] {
        println!("{case}");
        let (loaded, logs) = logged(async {
            let fake = Fake::start().await;
            fake.set("openai", &text);
            let loader = KeyVaultLoader::new(&fake.azure(), VAULT, "openai");
            match field {
                Some(field) => loader.with_field(field).load().await,
                None => loader.load().await,
            }
        });
        assert_no_leak!(secret, logs.bytes());
        match expected {
            Ok(()) => drop(assert_loads(loaded, &secret, SOURCE)),
            Err((kind, says)) => assert_fails(loaded, &secret, kind, says),
        }
    }
    for (case, kind, says) in [
        ("no secret", NotFound, "SecretNotFound; set it"),
        ("no version", Invalid, "no such version"),
        ("no secret, of a version", NotFound, "SecretNotFound"),
        ("a version that is deleted", Unreadable, "the secret was deleted"),
        ("not active yet", Unreadable, "not active before 20"),
        ("deleted", Unreadable, "the secret was deleted; recover it"),
        ("no secret, or deleted", Denied, "whether it was deleted may not be asked"),
        ("disabled", Unreadable, "SecretDisabled; enable the secret"),
        ("another token", Denied, "Key Vault answers 401"),
    ] {
        println!("{case}");
        let (loaded, logs) = logged(async {
            let fake = Fake::start().await;
            if !case.starts_with("no secret") {
                fake.set("openai", &secret);
            }
            let loader = KeyVaultLoader::new(&fake.azure(), VAULT, "openai");
            match case {
                "no version" | "no secret, of a version" => {
                    return loader.with_version("0123").load().await;
                }
                "deleted" => fake.delete("openai"),
                "no secret, or deleted" => fake.hide_deleted(),
                "a version that is deleted" => {
                    fake.delete("openai");
                    return loader.with_version("0123").load().await;
                }
                "not active yet" => {
                    fake.attribute("openai", "nbf", json!(NOW.as_unix_seconds() + 1));
                    return loader.with_clock(clock()).load().await;
                }
                "disabled" => fake.attribute("openai", "enabled", json!(false)),
                "another token" => {
                    let azure = connect(fake.address(), &fake.pem, "eyJ0.another");
                    return KeyVaultLoader::new(&azure, VAULT, "openai").load().await;
                }
                _ => {}
            }
            loader.load().await
        });
        assert_fails(loaded, &secret, kind, says);
        assert_no_leak!(secret, logs.bytes());
    }
}

/// A chain goes on past a secret that never was, and not past one that was deleted.
#[test]
fn a_deleted_secret_does_not_bring_an_older_key_back() {
    let (secret, older) = (secret(), secret());
    let ([absent, deleted], _) = logged(async {
        let fake = Fake::start().await;
        let azure = fake.azure();
        let chain = || {
            let env = EnvLoader::new("KEY");
            let env = env.with_environment(Environment::fixed([("KEY", older.clone())]));
            let vault = KeyVaultLoader::new(&azure, VAULT, "openai");
            LoaderChain::first("azure", vault).then("env", env)
        };
        let absent = chain().load().await;
        fake.set("openai", &secret);
        fake.delete("openai");
        [absent, chain().load().await]
    });
    assert_loads(absent, &older, "env:KEY");
    assert_fails(deleted, &older, LoadErrorKind::Unreadable, "was deleted");
}

#[test]
fn what_azure_answers_is_told_by_kind_and_never_quoted() {
    use LoadErrorKind::{Denied, Invalid, Throttled, Unreachable, Unreadable};
    let canary = CANARY.text();
    let error = |code: &str| {
        format!(
            r#"{{"error":{{"code":"{code}","message":"{canary}","innererror":{{"code":"{canary}"}},"x":"{canary}"}}}}"#
        )
    };
    let id = format!("https://{HOST}/secrets/openai/1");
    for (status, body, kind) in [
        (403, error("Forbidden"), Denied),
        (401, error("Unauthorized"), Denied),
        (429, error("Throttled"), Throttled),
        (409, error("Conflict"), Unreadable),
        (400, error("BadParameter"), Invalid),
        (500, error("InternalServerError"), Unreachable),
        (503, canary.to_owned(), Unreachable),
        (418, error(canary), Invalid),
        (404, canary.to_owned(), Invalid),
        (302, canary.to_owned(), Unreadable),
        (200, String::new(), Unreadable),
        (200, canary.to_owned(), Unreadable),
        (200, format!(r#"{{"id":"{id}","value":"{canary}""#), Unreadable),
        (200, format!(r#"{{"id":"{id}","value":{{"{canary}":"{canary}"}}}}"#), Unreadable),
        (200, format!(r#"{{"id":"{id}","value":["{canary}"]}}"#), Unreadable),
        (200, format!(r#"{{"id":["{canary}"],"value":"{canary}"}}"#), Unreadable),
        (
            200,
            format!(r#"{{"id":"{id}","value":"{canary}","attributes":{{"exp":"{canary}"}}}}"#),
            Unreadable,
        ),
        (200, format!("<html>{canary}</html>"), Unreadable),
    ] {
        println!("{status} {}", body.replace(canary, "CANARY"));
        let (result, logs) = logged(async move {
            let Identity { acceptor, pem } = Identity::new();
            let server = Server::start_tls(acceptor, move |request| {
                // Key Vault challenges who brings no token, and so does this.
                if !request.contains("Bearer token") {
                    let challenge = r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#;
                    return Answer::new(401, "").header("www-authenticate", challenge);
                }
                Answer::new(status, body.clone())
            })
            .await;
            let azure = connect(server.address(), &pem, "token");
            KeyVaultLoader::new(&azure, VAULT, "openai").load().await
        });
        assert_fails(result, canary, kind, "");
        assert_no_leak!(canary, logs.bytes());
    }
}

/// The version is the server's word, and is shown: what can be none is left out.
#[test]
fn a_version_that_can_be_none_is_not_shown() {
    let canary = CANARY.text();
    let text = secret();
    for version in [canary, "", "1?x", "1 2"] {
        let id = format!("https://{HOST}/secrets/openai/{version}");
        let body = json!({ "id": id, "value": text }).to_string();
        let (loaded, logs) = logged(async move {
            let Identity { acceptor, pem } = Identity::new();
            let server = Server::start_tls(acceptor, move |request| {
                if !request.contains("Bearer token") {
                    let challenge = r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#;
                    return Answer::new(401, "").header("www-authenticate", challenge);
                }
                Answer::new(200, body.clone())
            })
            .await;
            let azure = connect(server.address(), &pem, "token");
            KeyVaultLoader::new(&azure, VAULT, "openai").load().await
        });
        let loaded = assert_loads(loaded, &text, SOURCE);
        assert_eq!(loaded.version, None);
        assert_no_leak!(canary, format!("{loaded:?}"));
        assert_no_leak!(canary, logs.bytes());
    }
}

/// A challenge that names another host, to have a token sent elsewhere.
#[test]
fn a_challenge_of_somebody_else_is_not_answered() {
    let ((result, asked), _) = logged(async {
        let Identity { acceptor, pem } = Identity::new();
        let server = Server::start_tls(acceptor, |_| {
            let challenge = r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://evil.example.com""#;
            Answer::new(401, "").header("www-authenticate", challenge)
        })
        .await;
        let azure = connect(server.address(), &pem, "token");
        (KeyVaultLoader::new(&azure, VAULT, "openai").load().await, server.asked())
    });
    assert_fails(result, CANARY.text(), LoadErrorKind::Invalid, "does not make the request");
    assert!(asked.iter().all(|request| !request.contains("Bearer token")));
}

#[test]
fn a_service_that_is_slow_away_or_not_trusted_ends_in_the_deadline() {
    let canary = CANARY.text();
    let (result, logs) = logged(async {
        let Identity { acceptor, pem } = Identity::new();
        let slow = Server::start_tls(acceptor, |_| {
            Answer::new(200, CANARY.text()).after(Duration::from_secs(60))
        })
        .await;
        let loader = KeyVaultLoader::new(&connect(slow.address(), &pem, "token"), VAULT, "openai");
        loader.with_deadline(Duration::from_millis(200)).load().await
    });
    assert_fails(result, canary, LoadErrorKind::TimedOut, "no answer within 200ms");
    assert_no_leak!(canary, logs.bytes());

    let (result, _) = logged(KeyVaultLoader::new(&nowhere(), VAULT, "openai").load());
    assert_fails(result, canary, LoadErrorKind::Unreachable, "could not be reached");

    let (result, _) = logged(async {
        let fake = Fake::start().await;
        let azure = connect(fake.address(), &Identity::new().pem, &fake.token);
        KeyVaultLoader::new(&azure, VAULT, "openai").load().await
    });
    assert_fails(result, canary, LoadErrorKind::Unreachable, "its certificate is trusted");
}

#[test]
fn what_is_wrong_with_the_settings_is_told() {
    /// Credentials that cannot be had.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl TokenCredential for Nobody {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let said = format!("no {}", CANARY.text());
            Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, said))
        }
    }

    let canary = CANARY.text();
    let (result, logs) = logged(async {
        let fake = Fake::start().await;
        let root = reqwest::Certificate::from_pem(fake.pem.as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().resolve(HOST, fake.address());
        let http = http.tls_certs_only([root]).build().unwrap();
        let options = keyward_kms::azure::ClientOptions {
            transport: Some(azure_core::http::Transport::new(Arc::new(http))),
            ..Default::default()
        };
        let azure = Azure::new(Arc::new(Nobody)).with_client_options(options);
        KeyVaultLoader::new(&azure, VAULT, "openai").load().await
    });
    assert_fails(result, canary, LoadErrorKind::Denied, "no Azure credentials were found");
    assert_no_leak!(canary, logs.bytes());

    let token = || Azure::new(Arc::new(Token("token".to_owned())));
    for (vault, name) in [
        ("http://127.0.0.1:9", "openai"),
        ("billing.prod", "openai"),
        ("", "openai"),
        (VAULT, ""),
        (VAULT, "open/ai"),
        (VAULT, "openai?x"),
        (VAULT, ".."),
    ] {
        let (result, _) = logged(KeyVaultLoader::new(&token(), vault, name).load());
        assert_fails(result, canary, LoadErrorKind::Invalid, "letters, digits and hyphens");
    }
}

#[test]
fn a_key_in_the_place_of_a_name_is_neither_sent_nor_shown() {
    let canary = CANARY.text();
    let ((results, asked), logs) = logged(async {
        let fake = Fake::start().await;
        let azure = fake.azure();
        let vault = KeyVaultLoader::new(&azure, canary, "openai");
        let secret = KeyVaultLoader::new(&azure, VAULT, canary);
        let version = KeyVaultLoader::new(&azure, VAULT, "openai").with_version(canary);
        let shown =
            format!("{} {} {vault:?} {secret:?} {version:?}", vault.source(), secret.source());
        assert_no_leak!(canary, shown);
        let field = KeyVaultLoader::new(&azure, VAULT, "openai").with_field(canary);
        assert_no_leak!(canary, format!("{field:?}"));
        let results = [vault.load().await, secret.load().await, version.load().await];
        (results, fake.asked())
    });
    assert!(asked.is_empty());
    for result in results {
        assert_fails(
            result,
            canary,
            LoadErrorKind::Invalid,
            "a key stands in the place of its name",
        );
    }
    assert_no_leak!(canary, logs.bytes());
}
