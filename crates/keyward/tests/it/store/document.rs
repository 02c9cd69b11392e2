//! A store over a place that can hold one document: its contract, its form, and its limits.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::store::conformance::Subject;
use keyward::store::{
    Document, DocumentStore, KeyNote, KeyStore as _, Place, StoreError, StoreErrorKind, Version,
};
use keyward::{ApiKey, KeyLoader as _, KeySource};
use keyward_testkit::{assert_no_leak, leak};
use serde_json::{Value, json};

use super::{assert_held, run};
use crate::fixture::{NOW, ready, secret};

/// A place in memory, as large as it is said to be. Its `Debug` would print the keys.
#[derive(Clone, Debug)]
struct Shelf {
    written: Arc<Mutex<(u64, Vec<u8>)>>,
    max_len: usize,
    is_down: bool,
}

impl Shelf {
    fn new(max_len: usize) -> Self {
        Self { written: Arc::default(), max_len, is_down: false }
    }

    fn of(document: impl Into<Vec<u8>>) -> Self {
        Self { written: Arc::new(Mutex::new((1, document.into()))), ..Self::new(64 * 1024) }
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().1.clone()).unwrap()
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_down {
            let kind = StoreErrorKind::Unreachable;
            return Err(StoreError::new(kind, self.source(), "the shelf is down", "put it up"));
        }
        Ok(())
    }
}

impl Place for Shelf {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        self.check()?;
        let written = self.written.lock().unwrap();
        let document = || (Document::from(written.1.clone()), written.0.to_string().into());
        Ok((written.0 > 0).then(document))
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        self.check()?;
        let mut written = self.written.lock().unwrap();
        if (written.0 > 0).then(|| Version::from(written.0.to_string())).as_ref() != read {
            return Err(StoreError::changed(self.source()));
        }
        assert!(document.len() <= self.max_len);
        // EXPOSE: the test's place keeps it.
        #[allow(clippy::disallowed_methods, reason = "synthetic keys in a test")]
        let bytes = document.expose_bytes().to_vec();
        *written = (written.0 + 1, bytes);
        Ok(())
    }

    fn source(&self) -> KeySource {
        KeySource::new("shelf", "test")
    }

    fn max_len(&self) -> usize {
        self.max_len
    }
}

struct OnShelves {
    max_len: usize,
}

impl Subject for OnShelves {
    type Store = DocumentStore<Shelf>;

    async fn fresh(&self) -> Self::Store {
        DocumentStore::new(Shelf::new(self.max_len))
    }

    async fn again(&self, store: &Self::Store) -> Self::Store {
        DocumentStore::new(store.place().clone())
    }

    async fn unreachable(&self) -> Option<Self::Store> {
        Some(DocumentStore::new(Shelf { is_down: true, ..Shelf::new(self.max_len) }))
    }
}

#[test]
fn a_store_of_one_document_keeps_the_contract() {
    assert_held(&OnShelves { max_len: 64 * 1024 }, &[]);
}

/// 2560 bytes is what a credential of Windows holds, the smallest place that is in use.
#[test]
fn a_place_as_small_as_a_windows_credential_is_large_enough() {
    assert_held(&OnShelves { max_len: 2560 }, &[]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    run(async {
        let store = DocumentStore::new(Shelf::new(600));
        let (first, second) = (ApiKey::parse(secret()).unwrap(), secret());
        let version = store.stage(&first, &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        let before = store.place().text();
        let long = KeyNote::new().tag("t".repeat(600));
        let key = ApiKey::parse(second.clone()).unwrap();
        let journal = store.journal().await.unwrap();
        for error in [
            store.stage(&key, &long, NOW).await.unwrap_err(),
            store.write_journal(&journal, &"j".repeat(600)).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::TooLarge);
            assert!(error.to_string().contains("the place holds 600; write"), "{error}");
            assert_no_leak!(second, leak::error_surfaces(&error));
            assert_eq!(store.place().text(), before);
        }
    });
}

/// The form is a promise: other versions read it, and people do in an emergency.
#[test]
fn the_document_has_the_form_that_is_documented() {
    run(async {
        let store = DocumentStore::new(Shelf::new(64 * 1024));
        let [first, second] = [secret(), secret()];
        let note = KeyNote::new().key_id("key_1").tag("blue").expires_at(NOW);
        let key = ApiKey::parse(first.clone()).unwrap();
        let version = store.stage(&key, &note, NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        let key = ApiKey::parse(second.clone()).unwrap();
        store.stage(&key, &KeyNote::new(), NOW).await.unwrap();
        let ttl = Duration::from_secs(60);
        store.lease("rotator-1", ttl, NOW).await.unwrap();
        let journal = store.journal().await.unwrap();
        store.write_journal(&journal, "step 1").await.unwrap();

        let now = NOW.as_unix_seconds();
        let text = store.place().text();
        let expected = json!({
            "keyward_store": 1,
            "versions": 2,
            "fences": 1,
            "current": {
                "version": "1", "key": first, "key_id": "key_1", "tag": "blue",
                "expires_at": now, "staged_at": now, "promoted_at": now,
            },
            "pending": { "version": "2", "key": second, "staged_at": now },
            "lease": { "holder": "rotator-1", "fence": 1, "expires_at": now + 60 },
            "journal": { "text": "step 1", "writings": 1 },
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);

        // Spaced by hand, with a field of another version, it is read all the same.
        let mut document = expected;
        document["later"] = json!("?");
        let store = DocumentStore::new(Shelf::of(serde_json::to_vec_pretty(&document).unwrap()));
        assert_eq!(store.load().await.unwrap().key, ApiKey::parse(first).unwrap());
        assert_eq!(store.journal().await.unwrap().text(), "step 1");
    });
}

#[test]
fn what_is_damaged_is_told_and_left_alone() {
    run(async {
        let key = secret();
        let current = |key: Value| json!({ "version": "1", "key": key });
        for (case, document, says) in [
            ("empty", String::new(), "at line 1"),
            ("a key alone", key.clone(), "at line 1"),
            ("a key in quotes", json!(key).to_string(), "at line 1"),
            ("cut", json!({ "current": current(json!(key)) }).to_string()[..90].into(), "line 1"),
            ("no form", json!({ "current": current(json!(key)) }).to_string(), "line 1"),
            ("a later form", json!({ "keyward_store": 2, "k": key }).to_string(), "of form 2"),
            (
                "a key of another type",
                json!({ "keyward_store": 1, "current": current(json!([key])) }).to_string(),
                "at line 1",
            ),
            (
                "a key with a space",
                json!({ "keyward_store": 1, "current": current(json!(format!("{key} "))) })
                    .to_string(),
                "a key in it is none",
            ),
            (
                "a key with an escape",
                json!({ "keyward_store": 1, "current": current(json!(format!("{key}\n"))) })
                    .to_string(),
                "at line 1",
            ),
            (
                "a key twice",
                json!({ "keyward_store": 1,
                        "previous": { "version": "1", "key": key, "key_hex": "00" } })
                .to_string(),
                "a key in it is none",
            ),
            (
                "half a digit",
                json!({ "keyward_store": 1, "pending": { "version": "1", "key_hex": "abc" } })
                    .to_string(),
                "a key in it is none",
            ),
            (
                "a word in place of a number",
                json!({ "keyward_store": key }).to_string(),
                "at line 1",
            ),
        ] {
            let store = DocumentStore::new(Shelf::of(document.clone()));
            let other = ApiKey::parse(secret()).unwrap();
            let error = store.stage(&other, &KeyNote::new(), NOW).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Damaged, "{case}: {error}");
            assert!(error.to_string().contains(says), "{case}: {error}");
            assert_no_leak!(key, leak::error_surfaces(&error));
            let error = store.load().await.unwrap_err();
            assert!(!error.is_not_found(), "{case}: {error}");
            assert_no_leak!(key, leak::error_surfaces(&error));
            assert_eq!(store.place().text(), document, "{case}");
        }
    });
}

/// A place that others always wrote before, a second later, and that tells what leads to it.
struct Contended(Option<Duration>);

impl Place for Contended {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        Ok(None)
    }

    async fn write_if(&self, _: Option<&Version>, _: &Document) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(StoreError::changed(self.source()))
    }

    fn source(&self) -> KeySource {
        KeySource::new("contended", "test")
    }

    fn variables(&self) -> Vec<OsString> {
        vec!["PLACE_TOKEN".into()]
    }

    fn deadline(&self) -> Option<Duration> {
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_ends_with_the_deadline_of_its_place() {
    let key = ApiKey::parse(secret()).unwrap();
    for (deadline, kind, after) in [
        (None, StoreErrorKind::Conflict, 16_000),
        (Some(Duration::from_secs(60)), StoreErrorKind::Conflict, 16_000),
        (Some(Duration::from_millis(4_500)), StoreErrorKind::TimedOut, 4_500),
    ] {
        let store = DocumentStore::new(Contended(deadline));
        let begun = tokio::time::Instant::now();
        let error = store.stage(&key, &KeyNote::new(), NOW).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(begun.elapsed(), Duration::from_millis(after));
    }
}

#[test]
fn a_store_tells_what_leads_to_its_place() {
    let store = DocumentStore::new(Contended(Some(Duration::from_secs(1))));
    assert_eq!(store.variables(), ["PLACE_TOKEN"]);
    // Without a runtime nothing could keep a deadline.
    assert!(ready(store.snapshot()).unwrap().current.is_none());
}
