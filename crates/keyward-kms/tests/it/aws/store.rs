//! The store of staging labels, against moto. It moves labels only from where they are known to
//! be, which moto compares as AWS does.

use keyward::store::conformance::{Subject, check};
use keyward::store::{KeyNote, KeyStore as _, StoreErrorKind, Version};
use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::aws::{SecretsManagerLoader, SecretsManagerStore};
use keyward_testkit::{CANARY, assert_no_leak, leak};

use super::{aws, error, settings};
use crate::fixture::server::{Answer, Server};
use crate::fixture::stores::{NOW, on_threads, place, race, run};
use crate::fixture::{assert_fails, assert_loads, key, logged, secret, server, unique};

struct Moto(String);

impl Subject for Moto {
    type Store = SecretsManagerStore;

    async fn fresh(&self) -> SecretsManagerStore {
        SecretsManagerStore::new(&aws(&self.0), unique("prod/openai"))
    }

    async fn again(&self, store: &SecretsManagerStore) -> SecretsManagerStore {
        SecretsManagerStore::new(&aws(&self.0), store.source().place())
    }

    async fn unreachable(&self) -> Option<SecretsManagerStore> {
        Some(SecretsManagerStore::new(&aws("http://127.0.0.1:9"), "prod/openai"))
    }
}

#[test]
fn the_store_keeps_the_contract() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let report = on_threads(check(&Moto(url)));
    println!("{report}");
    assert!(report.is_held(), "{report}");
    assert_eq!(report.skipped().count(), 0, "{report}");
}

#[test]
fn of_processes_that_race_one_wins() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let name = unique("prod/openai");
    race("aws::store::one_of_the_processes", &format!("{url} {name}"));
    let store = SecretsManagerStore::new(&aws(&url), name);
    let snapshot = on_threads(store.snapshot()).unwrap();
    assert!(snapshot.current.is_some() && snapshot.pending.is_none());
}

#[test]
#[ignore = "run by the race, in processes of its own"]
fn one_of_the_processes() {
    let place = place();
    let (url, name) = place.split_once(' ').unwrap();
    on_threads(run(&SecretsManagerStore::new(&aws(url), name)));
}

/// What another program reads, and what keyward reads that another program has written.
#[test]
fn other_programs_find_the_key_where_they_look_for_it() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let (first, second) = (secret(), secret());
    let name = unique("prod/openai");
    on_threads(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        // A secret that was there before, with the bare key in it.
        client.create_secret().name(&name).secret_string(&first).send().await.unwrap();
        let store = SecretsManagerStore::new(&aws(&url), &name);
        assert_loads(store.load().await, &first, &format!("aws-sm:{name}"));
        let note = KeyNote::new().key_id("key_abc").expires_at(NOW);
        let version = store.stage(&key(&second), &note, NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();

        let get = client.get_secret_value().secret_id(&name).version_stage("AWSCURRENT");
        let text = get.send().await.unwrap().secret_string.unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json["api_key"] == second);
        assert_eq!(json["key_id"], "key_abc");
        assert_eq!(json["expires_at"], NOW.to_string());
        let loader = SecretsManagerLoader::new(&aws(&url), &name).with_field("api_key");
        let loaded = assert_loads(loader.load().await, &second, &format!("aws-sm:{name}"));
        assert_eq!(loaded.version.as_deref(), Some(version.as_str()));
        let loaded = assert_loads(store.load().await, &second, &format!("aws-sm:{name}"));
        assert_eq!(loaded.expires_at, Some(NOW));
        assert!(store.previous().await.unwrap().unwrap().key == key(&first));
    });
}

/// As Terraform leaves a secret: it is there, and has no version.
#[test]
fn a_secret_without_a_version_is_an_empty_store() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let text = secret();
    let name = unique("prod/openai");
    on_threads(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        client.create_secret().name(&name).send().await.unwrap();
        let store = SecretsManagerStore::new(&aws(&url), &name);
        let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();
        assert!(store.load().await.unwrap_err().is_not_found());
        store.promote(&version, NOW).await.unwrap();
        assert_loads(store.load().await, &text, &format!("aws-sm:{name}"));
    });
}

/// What a process leaves that dies between the two moves of a promotion: the note of it.
async fn decide(url: &str, name: &str, version: &Version, from: &Version) {
    let note = format!(r#"{{"promoting":"{version}","from":"{from}"}}"#);
    put_at(url, name, "AWSPENDING", &note).await;
}

/// What `put-secret-value` leaves, in two steps: after a label was moved, moto's own would leave
/// `AWSCURRENT` on two versions.
async fn put_at(url: &str, name: &str, label: &str, text: &str) {
    let client = aws_sdk_secretsmanager::Client::new(&settings(url));
    let put = client.put_secret_value().secret_id(name).secret_string(text);
    let to = put.version_stages("by-hand").send().await.unwrap().version_id.unwrap();
    let labels = client.describe_secret().secret_id(name).send().await.unwrap();
    let labels = labels.version_ids_to_stages.unwrap();
    let from = labels.into_iter().find(|(_, labels)| labels.iter().any(|at| at == label));
    move_label(&client, name, label, &from.unwrap().0, &to).await;
}

async fn move_label(
    client: &aws_sdk_secretsmanager::Client,
    name: &str,
    label: &str,
    from: &str,
    to: &str,
) {
    let moved = client.update_secret_version_stage().secret_id(name).version_stage(label);
    moved.remove_from_version_id(from).move_to_version_id(to).send().await.unwrap();
}

#[test]
fn a_promotion_that_was_decided_is_carried_on() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    for next in ["promote", "stage", "discard"] {
        println!("{next}");
        let name = unique("prod/openai");
        on_threads(async {
            let store = SecretsManagerStore::new(&aws(&url), &name);
            let old = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
            store.promote(&old, NOW).await.unwrap();
            let text = secret();
            let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();

            decide(&url, &name, &version, &old).await;
            let snapshot = store.snapshot().await.unwrap();
            assert_eq!(snapshot.current.unwrap().version, old);
            assert_eq!(snapshot.pending.unwrap().version, version);
            match next {
                "promote" => store.promote(&version, NOW).await.unwrap(),
                "stage" => {
                    let third = key(&secret());
                    let third = store.stage(&third, &KeyNote::new(), NOW).await.unwrap();
                    assert_eq!(store.pending().await.unwrap().unwrap().version, third);
                }
                _ => {
                    let error = store.discard(&version).await.unwrap_err();
                    assert_eq!(error.kind(), StoreErrorKind::Conflict);
                    assert!(error.to_string().contains("is being promoted; promote it"));
                    store.promote(&version, NOW).await.unwrap();
                }
            }
            let loaded = assert_loads(store.load().await, &text, &format!("aws-sm:{name}"));
            assert_eq!(loaded.version.as_deref(), Some(version.as_str()));
            assert_eq!(store.previous().await.unwrap().unwrap().version, old);
        });
    }
}

/// An operator replaces a key that leaked by hand, and nothing that keyward does afterwards brings
/// it back: neither what was decided before, nor what is left of a promotion or a discard.
#[test]
fn a_key_that_was_replaced_by_hand_does_not_come_back() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    for (before, writes) in [
        ("a promotion that is not done", 1),
        ("a promotion that is not done", 2),
        ("a promotion", 1),
        ("a promotion", 2),
        ("a discard", 2),
    ] {
        println!("{before}, then written {writes} times");
        let name = unique("prod/openai");
        on_threads(async {
            let store = SecretsManagerStore::new(&aws(&url), &name);
            let old = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
            store.promote(&old, NOW).await.unwrap();
            let leaked = secret();
            let version = store.stage(&key(&leaked), &KeyNote::new(), NOW).await.unwrap();
            match before {
                "a promotion" => store.promote(&version, NOW).await.unwrap(),
                "a discard" => store.discard(&version).await.unwrap(),
                _ => decide(&url, &name, &version, &old).await,
            }

            let mut by_hand = String::new();
            for _ in 0..writes {
                by_hand = secret();
                put_at(&url, &name, "AWSCURRENT", &by_hand).await;
            }
            let source = format!("aws-sm:{name}");
            assert!(store.pending().await.unwrap().is_none());
            let error = store.promote(&version, NOW).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Conflict);
            assert_loads(store.load().await, &by_hand, &source);

            let next = secret();
            let staged = store.stage(&key(&next), &KeyNote::new(), NOW).await.unwrap();
            assert_loads(store.load().await, &by_hand, &source);
            store.promote(&staged, NOW).await.unwrap();
            assert_loads(store.load().await, &next, &source);
            assert!(store.previous().await.unwrap().unwrap().key == key(&by_hand));
        });
    }
}

/// An operator goes back from a key that was promoted, by moving `AWSCURRENT`.
#[test]
fn a_promotion_that_was_taken_back_by_hand_is_not_made_again() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let (old, new) = (secret(), secret());
    let name = unique("prod/openai");
    on_threads(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        let store = SecretsManagerStore::new(&aws(&url), &name);
        let mut versions = Vec::new();
        for text in [&old, &new] {
            let version = store.stage(&key(text), &KeyNote::new(), NOW).await.unwrap();
            store.promote(&version, NOW).await.unwrap();
            versions.push(version);
        }
        let [from, to] = [versions[1].as_str(), versions[0].as_str()];
        move_label(&client, &name, "AWSCURRENT", from, to).await;

        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.current.unwrap().version, versions[0]);
        assert!(snapshot.pending.is_none());
        assert_eq!(snapshot.previous.unwrap().version, versions[1]);
        store.discard(&versions[1]).await.unwrap();
        let snapshot = store.snapshot().await.unwrap();
        assert!(snapshot.pending.is_none() && snapshot.previous.is_none());
        store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        assert_loads(store.load().await, &old, &format!("aws-sm:{name}"));
    });
}

#[test]
fn what_is_wrong_with_the_secret_is_told() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let canary = CANARY.text();
    on_threads(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        let mut name = String::new();
        // None of them is taken for a store without a key: a chain would go on, and a change would
        // write over it.
        for (damaged, says) in [
            (format!(r#"{{"api_key":"{canary}""#), "not well formed"),
            (format!(r#"{{"OPENAI_API_KEY":"{canary}"}}"#), "no field `api_key` with a text"),
            (format!(r#"{{"api_key":null,"tag":"{canary}"}}"#), "no field `api_key`"),
            (format!(r#"{{"api_key":["{canary}"]}}"#), "no field `api_key`"),
            (format!(r#"{{"api_kye":"{canary}","kind":"key"}}"#), "no field `api_key`"),
            (format!(r#"{{"promoting":"v1","from":"v0","key":"{canary}"}}"#), "no field `api_key`"),
            (r#"{"promoting":null}"#.to_owned(), "no field `api_key`"),
            ("{ }".to_owned(), "no field `api_key`"),
        ] {
            println!("{}", damaged.replace(canary, "CANARY"));
            name = unique("prod/openai");
            client.create_secret().name(&name).secret_string(damaged).send().await.unwrap();
            let store = SecretsManagerStore::new(&aws(&url), &name);
            let staged = store.stage(&key(canary), &KeyNote::new(), NOW).await.map(drop);
            for error in [store.snapshot().await.map(drop), staged] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
                assert_no_leak!(canary, leak::error_surfaces(&error));
            }
            assert_fails(store.load().await, canary, LoadErrorKind::Invalid, says);
        }
        let store = SecretsManagerStore::new(&aws(&url), &name);

        client.delete_secret().secret_id(&name).send().await.unwrap();
        let error = store.snapshot().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let error = store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        assert_fails(store.load().await, canary, LoadErrorKind::Denied, "restore");

        for name in [canary, "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"] {
            let store = SecretsManagerStore::new(&aws(&url), name);
            assert_no_leak!(canary, format!("{store:?}"));
            let error = store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");
            assert_no_leak!(canary, leak::error_surfaces(&error));
        }
    });
}

/// What came of a change is not known when its answer is cut off, and nothing is damaged by it.
#[test]
fn what_aws_answers_is_told_by_kind() {
    use StoreErrorKind::{Refused, Throttled, Unreachable};
    let canary = CANARY.text();
    for (status, body, kind) in [
        (400, error("ThrottlingException"), Throttled),
        (400, error("AccessDeniedException"), Refused),
        (503, canary.to_owned(), Unreachable),
        (200, format!(r#"{{"Name":"{canary}"#), Unreachable),
        (200, format!("<html>{canary}</html>"), Unreachable),
    ] {
        println!("{status} {}", body.replace(canary, "CANARY"));
        let ((keys, lease), logs) = logged(async {
            let server = Server::start(move |_| Answer::new(status, body.clone())).await;
            let store = SecretsManagerStore::new(&aws(&server.url()), "prod/openai");
            let staged = store.stage(&key(canary), &KeyNote::new(), NOW).await.map(drop);
            let keys = [store.snapshot().await.map(drop), staged];
            (keys, store.lease("replica", std::time::Duration::from_secs(60), NOW).await.map(drop))
        });
        for error in keys.into_iter().chain([lease]) {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_retryable(), kind != Refused);
            assert_no_leak!(canary, leak::error_surfaces(&error));
        }
        assert_no_leak!(canary, logs.bytes());
    }
}

#[test]
fn what_was_put_right_by_hand_is_in_nobodys_way() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let (theirs, first, second) = (secret(), secret(), secret());
    let name = unique("prod/openai");
    on_threads(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        let text = format!(r#"{{"openai":"{theirs}"}}"#);
        client.create_secret().name(&name).secret_string(text).send().await.unwrap();
        let store = SecretsManagerStore::new(&aws(&url), &name);
        let error = store.stage(&key(&first), &KeyNote::new(), NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
        assert_no_leak!(theirs, leak::error_surfaces(&error));

        let text = format!(r#"{{"api_key":"{first}"}}"#);
        client.put_secret_value().secret_id(&name).secret_string(text).send().await.unwrap();
        assert!(store.previous().await.unwrap().is_none());
        let version = store.stage(&key(&second), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        assert_loads(store.load().await, &second, &format!("aws-sm:{name}"));
        assert!(store.previous().await.unwrap().unwrap().key == key(&first));
    });
}
