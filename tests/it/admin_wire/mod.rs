//! The admin client with late injection, on the fake organization behind TLS.

use std::time::Duration;

use keyward::store::{KeyStore as _, MemoryStore};
use keyward_admin::{
    ApiKey, Client, ClientBuilder, ErrorKind, Method, NewAdminKey, NewServiceAccount,
    NewServiceAccountKey, Scope, Scopes,
};
use keyward_rotate::danger::ShortSilence;
use keyward_rotate::{HttpProbe, Rotator, Slot};
use keyward_testkit::{EchoPlace, FaultAction, assert_no_leak, leak};
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};

use self::front::{Front, Http};
use crate::fixture::{MINT, Organization, admin_key, with_trace};

mod front;
#[cfg(target_os = "linux")]
mod memory;

/// A client as a service makes it, which knows the certificate of the front alone.
fn builder(org: &Organization, front: &Front, cryptography: CryptoProvider) -> ClientBuilder {
    Client::builder(admin_key(org.fake.admin_key()))
        .base_url(front.base_url())
        .allow_loopback()
        .max_wait(Duration::from_secs(3))
        .inject_late_with(cryptography, front.roots())
}

fn client(org: &Organization, front: &Front) -> Client {
    builder(org, front, aws_lc_rs::default_provider()).build().unwrap()
}

async fn start(http: Http) -> (Organization, Front) {
    let org = Organization::start().await;
    let front = Front::start(&org.fake.base_url(), http).await;
    (org, front)
}

fn new(name: &str) -> NewServiceAccountKey {
    NewServiceAccountKey::new(name, Scopes::only(Scope::RESPONSES_WRITE))
}

/// Whether it is a live key of the organization's, and so no placeholder.
fn is_live(org: &Organization, key: &ApiKey) -> bool {
    org.minted().into_iter().any(|live| ApiKey::parse(live).unwrap() == *key)
}

#[tokio::test]
async fn every_call_that_makes_a_key_gives_the_key() {
    for http in Http::BOTH {
        for cryptography in [aws_lc_rs::default_provider(), ring::default_provider()] {
            let (org, front) = start(http).await;
            let client = builder(&org, &front, cryptography).build().unwrap();
            let project = client.project(&org.project);
            let account = project.service_account(&org.account);
            let minted = account.create_key(new("one")).await.unwrap();
            assert_eq!(minted.metadata.name.as_deref(), Some("one"));
            let with_key = NewServiceAccount::with_unscoped_key("two");
            let made = project.service_accounts().create(with_key).await.unwrap();
            let admin = client.admin_keys().create(NewAdminKey::new("three")).await.unwrap();
            let mint = |name: &str| {
                let call = client.raw(Method::Post, MINT).arg(&org.project).arg(&org.account);
                call.json(&serde_json::json!({ "name": name }))
            };
            let raw = mint("four").mint().await.unwrap();
            let keys = [minted.key, made.key.unwrap().key, admin.key, raw.key];
            assert!(keys.iter().all(|key| is_live(&org, key)), "{http:?}: {keys:?}");

            // What is handed on as it came has the key in it too.
            let answer = mint("five").send().await.unwrap();
            let answer: serde_json::Value = answer.json().unwrap();
            let key = ApiKey::parse(answer["value"].as_str().unwrap().to_owned()).unwrap();
            assert!(is_live(&org, &key) && !keys.contains(&key), "{http:?}");
            assert_eq!(project.api_keys().list().all().await.unwrap().len(), 4);
        }
    }
}

/// More than an injector holds, so each must be forgotten.
#[tokio::test]
async fn many_keys_are_made_one_after_the_other() {
    let (org, front) = start(Http::Two).await;
    let client = client(&org, &front);
    let account = client.project(&org.project).service_account(&org.account);
    for n in 0..70 {
        let minted = account.create_key(new(&format!("n{n}"))).await.unwrap();
        assert!(is_live(&org, &minted.key), "{n}");
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_anywhere() {
    for http in Http::BOTH {
        let (org, front) = start(http).await;
        let client = client(&org, &front);
        let account = client.project(&org.project).service_account(&org.account);
        for at in (0..420).step_by(3) {
            front.cut_at(at);
            let minted = account.create_key(new("cut")).await.unwrap();
            assert!(is_live(&org, &minted.key), "{http:?} cut at {at}");
        }
    }
}

/// It is the key, or it is told that there may be one; never a placeholder.
#[tokio::test]
async fn an_answer_can_break_off_anywhere() {
    for http in Http::BOTH {
        let (org, front) = start(http).await;
        let client = client(&org, &front);
        let account = client.project(&org.project).service_account(&org.account);
        let mut made = 0;
        for end in (0..420).step_by(7) {
            front.break_at(end);
            match account.create_key(new("cut")).await {
                Ok(minted) => {
                    assert!(is_live(&org, &minted.key), "{http:?} broken off at {end}");
                    made += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{http:?} {end}: {error}");
                    let lost = org.fake.every_key_value().pop().unwrap();
                    assert_no_leak!(&lost, leak::error_surfaces(&error));
                }
            }
        }
        assert!((5..60).contains(&made), "{http:?}: both are seen, not {made}");
    }
}

/// What drifts in an answer is taken as without late injection.
#[tokio::test]
async fn what_drifts_is_taken_as_it_is_without() {
    for http in Http::BOTH {
        for fault in [
            FaultAction::DeepJson { depth: 200 },
            FaultAction::Mislabelled { encoding: "gzip".to_owned() },
            FaultAction::MissingFields { fields: vec![] },
            FaultAction::MissingFields { fields: vec!["value".to_owned()] },
            FaultAction::StatusAfter { code: 500 },
            FaultAction::StatusBefore { code: 400 },
            FaultAction::TruncatedJson,
            FaultAction::UnknownFields,
            FaultAction::ValueMoved,
            FaultAction::ValueRetyped,
            FaultAction::WrongTypes,
        ] {
            let (org, front) = start(http).await;
            let mut outcomes = Vec::new();
            for client in [org.client(), client(&org, &front)] {
                org.fails("POST", MINT, fault.clone());
                let account = client.project(&org.project).service_account(&org.account);
                let outcome = account.create_key(new("drifts")).await;
                outcomes.push(match outcome {
                    Ok(minted) => Ok(is_live(&org, &minted.key)),
                    Err(error) => Err(error.kind()),
                });
            }
            assert_eq!(outcomes[0], outcomes[1], "{http:?} {fault:?}");
            assert_ne!(outcomes[1], Ok(false), "{http:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_told_and_not_repeated() {
    for http in Http::BOTH {
        for place in [EchoPlace::Body, EchoPlace::Header] {
            let (org, front) = start(http).await;
            let client = client(&org, &front);
            org.fails("GET", "/organization/projects", FaultAction::EchoAuthorization { place });
            let error = client.projects().list().all().await.unwrap_err();
            assert!(error.is_unauthorized(), "{error}");
            assert_no_leak!(org.fake.admin_key(), leak::error_surfaces(&error));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for http in Http::BOTH {
        let (org, front) = start(http).await;
        let (elsewhere, _other) = start(http).await;
        let client = client(&org, &front);
        let location = format!("{}/organization/projects", elsewhere.fake.base_url());
        let fault = FaultAction::Redirect { to: location };
        org.fails("GET", "/organization/projects", fault);
        let error = client.projects().list().all().await.unwrap_err();
        assert_eq!(error.status(), Some(307), "{error}");
        assert!(elsewhere.fake.requests().is_empty());
    }
}

#[tokio::test]
async fn it_needs_tls_1_3_and_a_server_that_is_known() {
    let org = Organization::start().await;
    let (behind, versions) = (org.fake.base_url(), [&rustls::version::TLS12]);
    let of_12 = Front::with_versions(&behind, Http::One, &versions).await;
    let front = Front::start(&behind, Http::One).await;

    let http = builder(&org, &front, aws_lc_rs::default_provider()).base_url(org.fake.base_url());
    let error = http.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("https://"), "no fix: {error}");

    let untrusted = builder(&org, &front, ring::default_provider()).base_url(of_12.base_url());
    for builder in [builder(&org, &of_12, ring::default_provider()), untrusted] {
        let client = builder.build().unwrap();
        let account = client.project(&org.project).service_account(&org.account);
        let error = account.create_key(new("one")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert!(error.nothing_was_sent());
    }
    let mut broken = aws_lc_rs::default_provider();
    broken.cipher_suites.retain(|suite| suite.tls13().is_none());
    let error = builder(&org, &front, broken).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(org.fake.requests().is_empty());
}

/// Every line of the HTTP and TLS stacks, and of keyward itself.
#[test]
fn no_log_line_has_a_key() {
    for http in Http::BOTH {
        let (keys, logs) = with_trace(async {
            let (org, front) = start(http).await;
            let client = client(&org, &front);
            let account = client.project(&org.project).service_account(&org.account);
            let minted = account.create_key(new("one")).await.unwrap();
            assert!(is_live(&org, &minted.key));
            org.fails("POST", MINT, FaultAction::StatusAfter { code: 500 });
            let error = account.create_key(new("two")).await.unwrap_err();
            let shown = format!("{client:?} {minted:?} {error:?}");
            let keys = org.fake.every_key_value();
            for key in &keys {
                assert_no_leak!(key, &shown);
            }
            keys
        });
        assert_eq!(keys.len(), 3);
        for key in keys {
            assert_no_leak!(key, &logs);
        }
    }
}

#[tokio::test]
async fn a_rotation_takes_such_a_client_as_it_is() {
    let (org, front) = start(Http::Two).await;
    let policy = keyward::KeyPolicy::production().with_host("127.0.0.1").unwrap();
    let store = MemoryStore::new("billing");
    let scopes = Scopes::only(Scope::RESPONSES_WRITE).and(Scope::MODEL_REQUEST);
    let silence = ShortSilence::new(Duration::ZERO, "the organization is a fake").unwrap();
    let slot = Slot::new("billing", org.project.as_str(), org.account.as_str(), scopes)
        .unwrap()
        .with_grace(Duration::from_secs(60))
        .with_short_silence(silence);
    let rotator = Rotator::builder(client(&org, &front), "test")
        .probe(HttpProbe::new(org.fake.base_url(), policy).unwrap())
        .slot(slot, store.clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        rotator.rotate("billing").await.unwrap();
        let stored = store.current().await.unwrap().unwrap();
        assert!(is_live(&org, &stored.key));
    }
    assert_eq!(org.minted().len(), 1, "the old one is gone");
}
