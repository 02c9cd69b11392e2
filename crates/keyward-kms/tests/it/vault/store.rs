//! The store in one KV v2 secret, against a real OpenBao.

use keyward::store::conformance::{Subject, check};
use keyward::store::{DocumentStore, KeyNote, KeyStore as _, StoreErrorKind};
use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::vault::{KvPlace, VaultAuth};
use keyward_testkit::assert_no_leak;
use serde_json::json;

use super::openbao::Bao;
use super::{given, token, vault};
use crate::fixture::stores::{NOW, on_threads, place, race, run};
use crate::fixture::{assert_fails, assert_loads, key, secret, unique};

impl Bao {
    fn store(&self, path: &str) -> DocumentStore<KvPlace> {
        DocumentStore::new(KvPlace::new(&self.vault(), "secret", path))
    }
}

impl Subject for Bao {
    type Store = DocumentStore<KvPlace>;

    async fn fresh(&self) -> DocumentStore<KvPlace> {
        self.store(&unique("openai/prod"))
    }

    async fn again(&self, store: &DocumentStore<KvPlace>) -> DocumentStore<KvPlace> {
        let source = store.source();
        self.store(source.place().strip_prefix("secret/").unwrap())
    }

    async fn unreachable(&self) -> Option<DocumentStore<KvPlace>> {
        let away = vault("http://127.0.0.1:9", VaultAuth::token(given(&token())));
        Some(DocumentStore::new(KvPlace::new(&away, "secret", "openai/prod")))
    }
}

#[test]
fn the_store_keeps_the_contract() {
    let Some(bao) = Bao::find() else { return };
    let report = on_threads(check(&bao));
    println!("{report}");
    assert!(report.is_held(), "{report}");
    assert_eq!(report.skipped().count(), 0, "{report}");
}

#[test]
fn of_processes_that_race_one_wins() {
    let Some(bao) = Bao::find() else { return };
    let path = unique("openai/prod");
    race("vault::store::one_of_the_processes", &path);
    let snapshot = on_threads(bao.store(&path).snapshot()).unwrap();
    assert!(snapshot.current.is_some() && snapshot.pending.is_none());
}

#[test]
#[ignore = "run by the race, in processes of its own"]
fn one_of_the_processes() {
    let Some(bao) = Bao::find() else { return };
    on_threads(run(&bao.store(&place())));
}

#[test]
fn what_is_wrong_with_the_secret_is_told() {
    let Some(bao) = Bao::find() else { return };
    let text = secret();
    on_threads(async {
        let path = unique("openai/prod");
        bao.write(&path, json!({ "api_key": text })).await;
        let store = bao.store(&path);
        let error = store.snapshot().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged);
        assert_no_leak!(text, format!("{error} {error:?}"));

        let path = unique("openai/prod");
        let store = bao.store(&path);
        let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        assert_loads(store.load().await, &text, &format!("vault:secret/{path}"));
        bao.operate("DELETE", &format!("secret/data/{path}"), json!({})).await;
        // That the newest version was deleted does not make the store an empty one.
        assert_eq!(store.snapshot().await.unwrap_err().kind(), StoreErrorKind::Refused);
        assert_fails(store.load().await, &text, LoadErrorKind::Denied, "was deleted");

        let blind = bao.token("path \"secret/data/else\" { capabilities = [\"read\"] }", json!({}));
        let blind = vault(&bao.url, VaultAuth::token(given(&blind.await)));
        let blind = DocumentStore::new(KvPlace::new(&blind, "secret", &path));
        assert_eq!(blind.snapshot().await.unwrap_err().kind(), StoreErrorKind::Refused);

        let nowhere = DocumentStore::new(KvPlace::new(&bao.vault(), unique("absent"), "x"));
        assert_eq!(nowhere.snapshot().await.unwrap_err().kind(), StoreErrorKind::Invalid);
    });
}
