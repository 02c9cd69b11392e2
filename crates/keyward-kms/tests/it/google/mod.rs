//! Google Cloud: against a fake that keeps state, and against a server that gives the answers that
//! it does not.

use std::time::Duration;

use keyward::{KeyLoader, LoadErrorKind};
use keyward_kms::google::{Google, Kms, SecretManagerLoader, SecretManagerStore};
use keyward_kms::{DirectLoader, SealContext};
use keyward_testkit::{CANARY, assert_no_leak};

use self::fake::connect;
use crate::fixture::server::{Answer, Server};
use crate::fixture::{assert_fails, logged};

pub(crate) mod fake;
mod runtimes;
mod secrets;
mod store;
mod witness;

pub(crate) const KEY: &str = "projects/p/locations/eu/keyRings/prod/cryptoKeys/openai";

/// A connection to where nobody listens.
pub(crate) fn nowhere() -> Google {
    connect("http://127.0.0.1:9", "token")
}

fn context() -> SealContext {
    SealContext::new("billing/openai", "proj_abc")
}

/// With the secret in every place where a server could put it.
fn error(code: &str, status: u16) -> String {
    let canary = CANARY.text();
    format!(
        r#"{{"error":{{"code":{status},"status":"{code}","message":"{canary}","x":"{canary}",
        "details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{canary}",
        "domain":"{canary}","metadata":{{"{canary}":"{canary}"}}}}]}}}}"#
    )
}

#[test]
fn what_google_answers_is_told_by_kind_and_never_quoted() {
    use LoadErrorKind::{
        Denied, Invalid, NotFound, Throttled, Undecryptable, Unreachable, Unreadable,
    };
    let canary = CANARY.text();
    let every = ["secret manager", "kms"];
    let mut cases: Vec<(u16, String, LoadErrorKind, &[&str])> = vec![
        (403, error("PERMISSION_DENIED", 403), Denied, &every),
        (401, error("UNAUTHENTICATED", 401), Denied, &every),
        (429, error("RESOURCE_EXHAUSTED", 429), Throttled, &every),
        (503, error("UNAVAILABLE", 503), Unreachable, &every),
        (500, error("INTERNAL", 500), Unreachable, &every),
        (502, canary.to_owned(), Unreachable, &every),
        (403, error(canary, 403), Denied, &every),
        (418, error(canary, 418), Invalid, &every),
        // Of a proxy, or a wrong endpoint: no answer that a chain may go on after.
        (404, canary.to_owned(), Invalid, &every),
        (404, error("NOT_FOUND", 404), NotFound, &every[..1]),
        (400, error("FAILED_PRECONDITION", 400), Unreadable, &every[..1]),
        (400, error("INVALID_ARGUMENT", 400), Invalid, &every[..1]),
        (404, error("NOT_FOUND", 404), Undecryptable, &every[1..]),
        (400, error("FAILED_PRECONDITION", 400), Undecryptable, &every[1..]),
        (400, error("INVALID_ARGUMENT", 400), Undecryptable, &every[1..]),
    ];
    let name = "projects/p/secrets/s/versions/1";
    for body in [
        canary.to_owned(),
        format!(r#"{{"name":"{name}","payload":{{"data":"{canary}""#),
        format!(r#"{{"name":"{name}","payload":{{"data":{{"{canary}":"{canary}"}}}}}}"#),
        format!(r#"{{"payload":["{canary}"],"plaintext":["{canary}"]}}"#),
        format!(r#"{{"payload":{{"data":"{canary}"}},"plaintext":"{canary}é"}}"#),
        format!(r#"<html>{canary}</html>"#),
    ] {
        cases.push((200, body, Unreadable, &every));
    }
    // Without a checksum, or with another than that of what came.
    let damaged = r#"{"name":"projects/p/secrets/s/versions/1","plaintext":"c2s=","payload":{"data":"c2s="CRC}CRC2}"#;
    for (of_payload, of_text, kind) in
        [("", "", Unreadable), (r#","dataCrc32c":"1""#, r#","plaintextCrc32c":"1""#, Unreachable)]
    {
        let body = damaged.replace("CRC2", of_text).replace("CRC", of_payload);
        cases.push((200, body, kind, &every));
    }
    for (status, body, kind, services) in cases {
        for service in services {
            println!("{service}: {status} {}", body.replace(canary, "CANARY"));
            let body = body.clone();
            let (result, logs) = logged(async move {
                let server = Server::start(move |_| Answer::new(status, body.clone())).await;
                let google = connect(&server.url(), "token");
                match *service {
                    "secret manager" => SecretManagerLoader::new(&google, "p/s").load().await,
                    _ => {
                        let kms = Kms::new(&google, KEY);
                        DirectLoader::from_bytes(*b"sealed", kms, context()).load().await
                    }
                }
            });
            assert_fails(result, canary, kind, "");
            assert_no_leak!(canary, logs.bytes());
        }
    }
}

#[test]
fn a_service_that_is_slow_or_away_ends_in_the_deadline() {
    let canary = CANARY.text();
    let (result, logs) = logged(async {
        let slow = Server::start(|_| {
            Answer::new(200, CANARY.text().to_owned()).after(Duration::from_secs(60))
        })
        .await;
        let loader = SecretManagerLoader::new(&connect(&slow.url(), "token"), "p/s");
        loader.with_deadline(Duration::from_millis(200)).load().await
    });
    assert_fails(result, canary, LoadErrorKind::TimedOut, "no answer within 200ms");
    assert_no_leak!(canary, logs.bytes());

    let (result, _) = logged(SecretManagerLoader::new(&nowhere(), "p/s").load());
    assert_fails(result, canary, LoadErrorKind::Unreachable, "could not be reached");
}

#[test]
fn what_is_wrong_with_the_settings_is_told() {
    use google_cloud_auth::credentials::CacheableResource;

    /// Credentials that cannot be had.
    #[derive(Debug)]
    struct Nobody;

    impl google_cloud_auth::credentials::CredentialsProvider for Nobody {
        async fn headers(
            &self,
            _: http::Extensions,
        ) -> Result<CacheableResource<http::HeaderMap>, google_cloud_auth::errors::CredentialsError>
        {
            let said = format!("no {}", CANARY.text());
            Err(google_cloud_auth::errors::CredentialsError::from_msg(false, said))
        }

        async fn universe_domain(&self) -> Option<String> {
            None
        }
    }

    let canary = CANARY.text();
    let google = Google::new(Nobody.into()).with_secret_manager_endpoint("http://127.0.0.1:9");
    let (result, logs) = logged(SecretManagerLoader::new(&google, "p/s").load());
    assert_fails(result, canary, LoadErrorKind::Denied, "no Google credentials were found");
    assert_no_leak!(canary, logs.bytes());

    let google = connect("http://secretmanager.example.com", "token");
    let (result, _) = logged(SecretManagerLoader::new(&google, "p/s").load());
    assert_fails(result, canary, LoadErrorKind::Invalid, "in the clear");
    let (result, _) = logged(SecretManagerLoader::new(&nowhere(), "openai").load());
    assert_fails(result, canary, LoadErrorKind::Invalid, "write PROJECT/SECRET");
    for name in
        ["openai", "", &format!("{KEY}/x"), &format!("{KEY}?x"), &KEY.replace("openai", "..")]
    {
        let kms = Kms::new(&nowhere(), name);
        let (result, _) = logged(DirectLoader::from_bytes(*b"sealed", kms, context()).load());
        assert_fails(result, canary, LoadErrorKind::Invalid, "no name of a KMS key");
    }
}

#[test]
fn a_key_in_the_place_of_a_name_is_neither_sent_nor_shown() {
    let canary = CANARY.text();
    let ((results, asked), logs) = logged(async {
        let server = Server::start(|_| Answer::new(200, "{}")).await;
        let google = connect(&server.url(), "token");
        let secret = SecretManagerLoader::new(&google, format!("p/{canary}"));
        let version = SecretManagerLoader::new(&google, "p/s").with_version(canary);
        let store = SecretManagerStore::new(&google, format!("p/{canary}"));
        let sealed = DirectLoader::from_bytes(*b"sealed", Kms::new(&google, canary), context());
        let shown = format!("{} {secret:?} {version:?} {store:?} {sealed:?}", secret.source());
        assert_no_leak!(canary, shown);
        let field = SecretManagerLoader::new(&google, "p/s").with_field(canary);
        assert_no_leak!(canary, format!("{field:?}"));
        let results = [secret.load().await, version.load().await, sealed.load().await];
        let stored = store.load().await.unwrap_err();
        assert_eq!(stored.kind(), LoadErrorKind::Invalid, "{stored}");
        (results, server.asked())
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
