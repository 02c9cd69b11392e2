//! AWS: against moto, and against a server that gives the answers that moto does not.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::config::Credentials;
use keyward::{KeyLoader, LoadErrorKind};
#[cfg(feature = "aws-ssm")]
use keyward_kms::aws::ParameterLoader;
use keyward_kms::aws::{Aws, Kms, SdkConfig, SecretsManagerLoader};
use keyward_kms::{DirectLoader, SealContext};
use keyward_testkit::{CANARY, assert_no_leak};

use crate::fixture::server::{Answer, Server};
use crate::fixture::{assert_fails, logged};

mod moto;
mod store;

/// The settings of the SDK for a server on loopback: nothing of the machine is looked at.
pub(crate) fn settings(url: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_kms::config::SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .build()
}

pub(crate) fn aws(url: &str) -> Aws {
    Aws::new(settings(url))
}

fn context() -> SealContext {
    SealContext::new("billing/openai", "proj_abc")
}

fn error(code: &str) -> String {
    // With the secret in every place where a server could put it.
    let canary = CANARY.text();
    format!(r#"{{"__type":"{code}","message":"{canary}","Message":"{canary}","x":"{canary}"}}"#)
}

#[test]
fn what_aws_answers_is_told_by_kind_and_never_quoted() {
    use LoadErrorKind::{Denied, NotFound, Throttled, Undecryptable, Unreachable, Unreadable};
    let canary = CANARY.text();
    let unreadable = [
        "".to_owned(),
        canary.to_owned(),
        format!(r#"{{"SecretString":"{canary}""#),
        format!(r#"{{"SecretString":{{"{canary}":"{canary}"}}}}"#),
        format!(r#"{{"SecretString":["{canary}"],"Plaintext":["{canary}"]}}"#),
        format!(r#"{{"Plaintext":"{canary}é","Parameter":{{"Value":["{canary}"]}}}}"#),
        format!(r#"{{"{canary}":"{canary}"}}"#),
        format!(r#"<html>{canary}</html>"#),
    ];
    let every = ["secrets manager", "ssm", "kms"];
    let mut cases: Vec<(u16, String, LoadErrorKind, &[&str])> = vec![
        (400, error("AccessDeniedException"), Denied, &every),
        (400, error("UnrecognizedClientException"), Denied, &every),
        (400, error("ExpiredTokenException"), Denied, &every),
        (400, error("ThrottlingException"), Throttled, &every),
        (500, error("InternalServiceError"), Unreachable, &every),
        (503, canary.to_owned(), Unreachable, &every),
        (403, error(canary), Denied, &every),
        (418, error(canary), LoadErrorKind::Invalid, &every),
        (400, error("ResourceNotFoundException"), NotFound, &every[..1]),
        // A secret that waits for its deletion: a chain must not go on to an older key.
        (400, error("InvalidRequestException"), Unreadable, &every[..1]),
        (400, error("DecryptionFailure"), Undecryptable, &every[..1]),
        (400, error("ParameterNotFound"), NotFound, &every[1..2]),
        (400, error("ParameterVersionNotFound"), NotFound, &every[1..2]),
        (400, error("InvalidKeyId"), Undecryptable, &every[1..2]),
        (400, error("DisabledException"), Undecryptable, &every[2..]),
        (400, error("KMSInvalidStateException"), Undecryptable, &every[2..]),
        (400, error("NotFoundException"), Undecryptable, &every[2..]),
        (400, error("InvalidCiphertextException"), Undecryptable, &every[2..]),
        (400, error("IncorrectKeyException"), Undecryptable, &every[2..]),
        (400, error("KeyUnavailableException"), Unreachable, &every[2..]),
    ];
    cases.extend(unreadable.map(|body| (200, body, Unreadable, &every[..])));
    for (status, body, kind, services) in cases {
        for service in services {
            if cfg!(not(feature = "aws-ssm")) && *service == "ssm" {
                continue;
            }
            println!("{service}: {status} {}", body.replace(canary, "CANARY"));
            let body = body.clone();
            let (result, logs) = logged(async move {
                let server = Server::start(move |_| Answer::new(status, body.clone())).await;
                let aws = aws(&server.url());
                match *service {
                    "secrets manager" => SecretsManagerLoader::new(&aws, "prod/x").load().await,
                    #[cfg(feature = "aws-ssm")]
                    "ssm" => ParameterLoader::new(&aws, "/prod/x").load().await,
                    _ => {
                        let kms = Kms::new(&aws, "alias/x");
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
            let body = format!(r#"{{"SecretString":"{}"}}"#, CANARY.text());
            Answer::new(200, body).after(Duration::from_secs(60))
        })
        .await;
        let loader = SecretsManagerLoader::new(&aws(&slow.url()), "prod/openai");
        loader.with_deadline(Duration::from_millis(200)).load().await
    });
    assert_fails(result, canary, LoadErrorKind::TimedOut, "no answer within 200ms");
    assert_no_leak!(canary, logs.bytes());

    // A port on which nobody listens.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (result, _) = logged(SecretsManagerLoader::new(&aws(&closed), "prod/openai").load());
    assert_fails(result, canary, LoadErrorKind::Unreachable, "could not be reached");
}

#[test]
fn what_is_missing_in_the_settings_is_told() {
    let canary = CANARY.text();
    let no_region = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let (result, _) = logged(SecretsManagerLoader::new(&Aws::new(no_region), "x").load());
    assert_fails(result, canary, LoadErrorKind::Invalid, "set AWS_REGION");

    let no_credentials = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_kms::config::SharedCredentialsProvider::new(Nobody))
        .endpoint_url("http://127.0.0.1:9")
        .build();
    let (result, _) = logged(SecretsManagerLoader::new(&Aws::new(no_credentials), "x").load());
    assert_fails(result, canary, LoadErrorKind::Denied, "no AWS credentials were found");
}

/// A provider that has none.
#[derive(Debug)]
struct Nobody;

impl aws_credential_types::provider::ProvideCredentials for Nobody {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::{error::CredentialsError, future};
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none")))
    }
}

#[test]
fn a_key_in_the_place_of_a_name_is_neither_sent_nor_shown() {
    let canary = CANARY.text();
    let ((results, asked), logs) = logged(async {
        let server = Server::start(|_| Answer::new(200, "{}")).await;
        let aws = aws(&server.url());
        let secret = SecretsManagerLoader::new(&aws, canary);
        let sealed = DirectLoader::from_bytes(*b"sealed", Kms::new(&aws, canary), context());
        let stage = SecretsManagerLoader::new(&aws, "x").with_version_stage(canary);
        let field = SecretsManagerLoader::new(&aws, "x").with_field(canary);
        assert_no_leak!(canary, format!("{} {secret:?} {sealed:?}", secret.source()));
        assert_no_leak!(canary, format!("{stage:?} {field:?}"));
        #[allow(unused_mut, reason = "one more with a feature")]
        let mut results = vec![secret.load().await, sealed.load().await, stage.load().await];
        #[cfg(feature = "aws-ssm")]
        {
            let field = ParameterLoader::new(&aws, "/x").with_field(canary);
            assert_no_leak!(canary, format!("{field:?}"));
            results.push(ParameterLoader::new(&aws, canary).load().await);
        }
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
