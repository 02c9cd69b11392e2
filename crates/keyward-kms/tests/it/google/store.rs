//! The store of version aliases, against the fake.

use std::time::Duration;

use keyward::reference::References;
use keyward::store::conformance::{Subject, check};
use keyward::store::{KeyNote, KeyStore as _, StoreErrorKind};
use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::Schemes;
use keyward_kms::google::SecretManagerStore;
use keyward_testkit::{CANARY, assert_no_leak, leak};

use super::fake::{FORBIDDEN, Fake, PRECONDITION, VersionState, connect};
use super::{error, nowhere};
use crate::fixture::server::{Answer, Server};
use crate::fixture::stores::{NOW, on_threads, place, race, run};
use crate::fixture::{assert_fails, assert_loads, key, logged, secret, unique};

impl Fake {
    /// The fake is as late as a test tells it to be, and no later.
    fn store(&self, secret: &str) -> SecretManagerStore {
        SecretManagerStore::new(&self.google(), secret).with_lag(Duration::ZERO)
    }
}

impl Subject for Fake {
    type Store = SecretManagerStore;

    async fn fresh(&self) -> SecretManagerStore {
        self.store(&format!("p/{}", unique("openai")))
    }

    async fn again(&self, store: &SecretManagerStore) -> SecretManagerStore {
        self.store(store.source().place())
    }

    async fn unreachable(&self) -> Option<SecretManagerStore> {
        Some(SecretManagerStore::new(&nowhere(), "p/openai").with_lag(Duration::ZERO))
    }
}

#[test]
fn the_store_keeps_the_contract() {
    let report = on_threads(async { check(&Fake::start().await).await });
    println!("{report}");
    assert!(report.is_held(), "{report}");
    assert_eq!(report.skipped().count(), 0, "{report}");
}

/// Whoever replaces keys is told, also by a store that a reference leads to.
#[test]
fn the_store_tells_its_lag() {
    let google = nowhere();
    let store = SecretManagerStore::new(&google, "p/openai");
    assert_eq!(store.lag(), Duration::from_secs(600));
    let references = Schemes::new().with_google(&google).register(References::new());
    assert_eq!(references.store("gcp-sm:p/openai").unwrap().lag(), store.lag());
    assert_eq!(store.with_lag(Duration::from_secs(7)).lag(), Duration::from_secs(7));
}

#[test]
fn of_processes_that_race_one_wins() {
    on_threads(async {
        let fake = Fake::start().await;
        let place = format!("{} {} p/openai", fake.url(), fake.token);
        fake.add("p/openai", secret());
        fake.alias("p/openai", "current", 1);
        let racing = || race("google::store::one_of_the_processes", &place);
        tokio::task::block_in_place(racing);
        let snapshot = fake.store("p/openai").snapshot().await.unwrap();
        assert!(snapshot.current.is_some() && snapshot.pending.is_none());
        // What lost is destroyed.
        let states = fake.states("p/openai");
        let left = states.iter().filter(|state| **state == VersionState::Enabled).count();
        println!("{} versions were added, and {left} are left", states.len());
        assert_eq!(left, 1 + 18);
    });
}

#[test]
#[ignore = "run by the race, in processes of its own"]
fn one_of_the_processes() {
    let place = place();
    let [url, token, secret] = place.split(' ').collect::<Vec<_>>()[..] else { panic!() };
    on_threads(run(&SecretManagerStore::new(&connect(url, token), secret)));
}

/// What another program reads, and what keyward reads that another program has written.
#[test]
fn other_programs_find_the_key_where_they_look_for_it() {
    let (first, second) = (secret(), secret());
    on_threads(async {
        let fake = Fake::start().await;
        // A secret that was there before, with the bare key in it.
        fake.add("p/openai", first.clone());
        fake.alias("p/openai", "theirs", 1);
        fake.annotate("p/openai", "owner", "billing");
        let store = fake.store("p/openai");
        let loaded = assert_loads(store.load().await, &first, "gcp-sm:p/openai");
        assert_eq!(loaded.version.as_deref(), Some("1"));
        let note = KeyNote::new().key_id("key_abc").expires_at(NOW);
        let version = store.stage(&key(&second), &note, NOW).await.unwrap();
        // The latest version is the staged one, and is not taken for the current one.
        assert_eq!(version.as_str(), "2");
        assert_loads(store.load().await, &first, "gcp-sm:p/openai");
        store.promote(&version, NOW).await.unwrap();
        store.lease("replica", Duration::from_secs(60), NOW).await.unwrap();

        let text = fake.text("p/openai", "current").unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json["api_key"] == second);
        assert_eq!(json["key_id"], "key_abc");
        assert_eq!(json["expires_at"], NOW.to_string());
        let asked = fake.asked().len();
        let loaded = assert_loads(store.load().await, &second, "gcp-sm:p/openai");
        assert_eq!(loaded.expires_at, Some(NOW));
        // A load is one call, and needs no right but to access versions.
        assert_eq!(fake.asked()[asked..].len(), 1);
        assert!(fake.asked()[asked].contains("/versions/current:access"));
        assert!(store.previous().await.unwrap().unwrap().key == key(&first));
        // What others have noted there is still there.
        assert!(fake.text("p/openai", "theirs").unwrap() == first);
        fake.annotate("p/openai", "owner", "billing");
        assert!(store.snapshot().await.unwrap().lease.is_some());
    });
}

/// As Terraform leaves a secret: it is there, and has no version.
#[test]
fn a_secret_without_a_version_is_an_empty_store() {
    let text = secret();
    on_threads(async {
        let fake = Fake::start().await;
        let made = fake.store("p/openai");
        made.lease("replica", Duration::from_secs(60), NOW).await.unwrap();
        assert!(fake.states("p/openai").is_empty());
        let store = fake.store("p/openai");
        let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();
        assert!(store.load().await.unwrap_err().is_not_found());
        store.promote(&version, NOW).await.unwrap();
        assert_loads(store.load().await, &text, "gcp-sm:p/openai");
        assert!(store.snapshot().await.unwrap().lease.is_some());
    });
}

/// An operator replaces a key by hand, and nothing that was staged before brings the old one back.
#[test]
fn who_moves_the_alias_by_hand_is_obeyed() {
    let (old, staged, by_hand) = (secret(), secret(), secret());
    on_threads(async {
        let fake = Fake::start().await;
        let store = fake.store("p/openai");
        let version = store.stage(&key(&old), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        let pending = store.stage(&key(&staged), &KeyNote::new(), NOW).await.unwrap();
        // Adding a version alone replaces nothing.
        let number = fake.add("p/openai", by_hand.clone());
        assert_loads(store.load().await, &old, "gcp-sm:p/openai");
        fake.alias("p/openai", "current", number);
        assert_loads(store.load().await, &by_hand, "gcp-sm:p/openai");
        store.discard(&pending).await.unwrap();
        let error = store.promote(&pending, NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict);
        assert_loads(store.load().await, &by_hand, "gcp-sm:p/openai");
    });
}

#[test]
fn what_is_forgotten_is_destroyed_where_that_is_allowed_and_theirs_is_not() {
    on_threads(async {
        let fake = Fake::start().await;
        let theirs = secret();
        fake.add("p/openai", theirs.clone());
        let store = fake.store("p/openai");
        let second = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&second, NOW).await.unwrap();
        store.discard(&"1".into()).await.unwrap();
        assert!(store.previous().await.unwrap().is_none());
        assert!(fake.text("p/openai", "1").unwrap() == theirs);

        for allowed in [true, false] {
            if !allowed {
                fake.refuse("POST", "destroy", FORBIDDEN);
            }
            let version = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
            store.discard(&version).await.unwrap();
            assert!(store.pending().await.unwrap().is_none());
            let is_destroyed = fake.states("p/openai").last() == Some(&VersionState::Destroyed);
            assert_eq!(is_destroyed, allowed);
        }
    });
}

#[test]
fn what_is_wrong_with_the_secret_is_told() {
    let canary = CANARY.text();
    on_threads(async {
        let fake = Fake::start().await;
        // None of them is taken for a store without a key: a chain would go on.
        for (damaged, says) in [
            (format!(r#"{{"api_key":"{canary}""#), "not well formed"),
            (format!(r#"{{"OPENAI_API_KEY":"{canary}"}}"#), "no field `api_key` with a text"),
            (format!(r#"{{"api_key":["{canary}"]}}"#), "no field `api_key`"),
            ("{}".to_owned(), "no field `api_key`"),
            (format!("{canary} {canary}"), "neither a key nor JSON"),
        ] {
            println!("{}", damaged.replace(canary, "CANARY"));
            let name = format!("p/{}", unique("openai"));
            fake.add(&name, damaged);
            let store = fake.store(&name);
            let staged = store.stage(&key(canary), &KeyNote::new(), NOW).await.map(drop);
            for error in [store.snapshot().await.map(drop), staged] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
                assert_no_leak!(canary, leak::error_surfaces(&error));
            }
            assert_fails(store.load().await, canary, LoadErrorKind::Invalid, says);
            assert_eq!(fake.states(&name).len(), 1, "something was written over it");
        }

        // A version that is current and was taken away does not make the store an empty one.
        for state in [VersionState::Disabled, VersionState::Destroyed] {
            let name = format!("p/{}", unique("openai"));
            let store = fake.store(&name);
            let version = store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap();
            store.promote(&version, NOW).await.unwrap();
            fake.set(&name, 1, state);
            assert_eq!(store.snapshot().await.unwrap_err().kind(), StoreErrorKind::Refused);
            assert_fails(store.load().await, canary, LoadErrorKind::Denied, "enable the version");
        }
        // One that is pending is in the way until it is discarded.
        let name = format!("p/{}", unique("openai"));
        let store = fake.store(&name);
        fake.add(&name, secret());
        let version = store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap();
        fake.set(&name, 2, VersionState::Disabled);
        let error = store.promote(&version, NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        store.discard(&version).await.unwrap();
        store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap();

        let store = fake.store("openai");
        let error = store.stage(&key(canary), &KeyNote::new(), NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");

        // Google has no trash: a secret that was deleted is one that never was.
        fake.delete(&name);
        assert!(fake.store(&name).load().await.unwrap_err().is_not_found());
    });
}

/// Somebody writes the secret's aliases anew. A chain does not go on to an older key.
#[test]
fn a_store_that_lost_its_alias_is_not_an_empty_one() {
    let text = secret();
    on_threads(async {
        let fake = Fake::start().await;
        let store = fake.store("p/openai");
        let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        fake.lose_aliases("p/openai");
        let gone = "the alias `current` is gone";
        assert_fails(store.load().await, &text, LoadErrorKind::Unreadable, gone);
        let other = key(&secret());
        let staged = store.stage(&other, &KeyNote::new(), NOW).await.map(drop);
        for error in [store.snapshot().await.map(drop), staged] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains(gone), "{error}");
        }
        assert_eq!(fake.states("p/openai").len(), 1);
        // Who may not ask stops as well.
        fake.refuse("GET", "", FORBIDDEN);
        assert_fails(store.load().await, &text, LoadErrorKind::Unreadable, "cannot be told");
        fake.refuse_nothing();
        fake.alias("p/openai", "current", 1);
        assert_loads(store.load().await, &text, "gcp-sm:p/openai");
        store.stage(&other, &KeyNote::new(), NOW).await.unwrap();
    });
}

#[test]
fn a_version_that_an_alias_of_others_is_on_is_not_destroyed() {
    on_threads(async {
        let fake = Fake::start().await;
        fake.add("p/openai", secret());
        let store = fake.store("p/openai");
        let version = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        fake.alias("p/openai", "canary", 2);
        store.discard(&version).await.unwrap();
        assert_eq!(fake.states("p/openai"), [VersionState::Enabled; 2]);
    });
}

/// Google's reads of aliases and of secrets may be old.
#[test]
fn what_is_read_may_be_old_and_no_key_is_lost_by_it() {
    let (first, second) = (secret(), secret());
    for lag in [1, 2, 5, 40] {
        on_threads(async {
            let fake = Fake::start().await;
            fake.add("p/openai", first.clone());
            fake.lag(lag);
            let store = fake.store("p/openai");
            let version = store.stage(&key(&second), &KeyNote::new(), NOW).await.unwrap();
            // The alias is not seen, but a chain does not go on.
            assert!(store.load().await.is_err_and(|error| !error.is_not_found()) || lag < 3);
            let mut loaded = store.load().await;
            for _ in 0..lag {
                if let Err(error) = loaded {
                    assert_eq!(error.kind(), LoadErrorKind::Unreadable, "{lag}: {error}");
                }
                loaded = store.load().await;
            }
            assert_loads(loaded, &first, "gcp-sm:p/openai");
            store.promote(&version, NOW).await.unwrap();
            // For so long the key that was replaced.
            for _ in 0..lag {
                assert_loads(store.load().await, &first, "gcp-sm:p/openai");
            }
            assert_loads(store.load().await, &second, "gcp-sm:p/openai");
            let snapshot = store.snapshot().await.unwrap();
            assert!(snapshot.current.unwrap().key == key(&second));
            assert!(snapshot.previous.unwrap().key == key(&first));
        });
    }
}

/// That there is nothing to discard is not taken from a read that may be old.
#[test]
fn what_was_staged_a_moment_ago_is_discarded() {
    on_threads(async {
        let fake = Fake::start().await;
        fake.add("p/openai", secret());
        fake.alias("p/openai", "current", 1);
        fake.lag(3);
        let store = fake.store("p/openai");
        let version = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        store.discard(&version).await.unwrap();
        assert_eq!(fake.states("p/openai"), [VersionState::Enabled, VersionState::Destroyed]);
    });
}

/// Before there is an alias, who replaces a key by hand adds a version and has none to move.
#[test]
fn a_key_that_is_replaced_by_hand_while_the_first_is_staged_counts() {
    let (old, by_hand) = (secret(), secret());
    on_threads(async {
        let fake = Fake::start().await;
        fake.add("p/openai", old.clone());
        let store = fake.store("p/openai");
        let error = store.discard(&"1".into()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
        fake.add_at_next_update(by_hand.clone());
        store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        assert_loads(store.load().await, &by_hand, "gcp-sm:p/openai");
        assert!(fake.text("p/openai", "current").unwrap() == by_hand);
    });
}

/// As the docs tell to destroy what was discarded.
#[test]
fn a_latest_version_that_was_destroyed_is_in_nobodys_way_and_a_disabled_one_is() {
    on_threads(async {
        let fake = Fake::start().await;
        let store = fake.store("p/openai");
        let version = store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
        store.discard(&version).await.unwrap();
        fake.set("p/openai", 1, VersionState::Disabled);
        assert_eq!(store.snapshot().await.unwrap_err().kind(), StoreErrorKind::Refused);
        fake.set("p/openai", 1, VersionState::Destroyed);
        assert!(store.snapshot().await.unwrap().current.is_none());
        let text = secret();
        let version = store.stage(&key(&text), &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        assert_loads(store.load().await, &text, "gcp-sm:p/openai");
    });
}

/// What Google refuses for another reason than a faster writer.
#[test]
fn a_write_that_is_refused_whatever_is_read_is_no_conflict() {
    on_threads(async {
        for (method, verb) in [("POST", "addVersion"), ("PATCH", "")] {
            let fake = Fake::start().await;
            fake.add("p/openai", secret());
            fake.alias("p/openai", "current", 1);
            fake.refuse(method, verb, PRECONDITION);
            let staged = fake.store("p/openai").stage(&key(&secret()), &KeyNote::new(), NOW).await;
            let error = staged.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
            // What was added for it is not left behind.
            let left = fake.states("p/openai");
            assert_eq!(left.iter().filter(|state| **state == VersionState::Enabled).count(), 1);
        }
    });
}

/// Google says that it has seen a version's checksum. One of which it does not is in nobody's way.
#[test]
fn a_version_that_may_be_damaged_is_destroyed() {
    on_threads(async {
        let fake = Fake::start().await;
        let store = fake.store("p/openai");
        fake.damage(1);
        let staged = store.stage(&key(&secret()), &KeyNote::new(), NOW).await;
        assert_eq!(staged.unwrap_err().kind(), StoreErrorKind::Unreachable);
        assert_eq!(fake.states("p/openai"), [VersionState::Destroyed]);
        store.stage(&key(&secret()), &KeyNote::new(), NOW).await.unwrap();
    });
}

/// Where others have filled the annotations, the journal has no room.
#[test]
fn a_journal_without_room_is_told() {
    on_threads(async {
        let fake = Fake::start().await;
        fake.add("p/openai", secret());
        fake.annotate("p/openai", "others", &"x".repeat(15 * 1024));
        let store = fake.store("p/openai");
        let read = store.journal().await.unwrap();
        for (text, says) in
            [("y".repeat(2 * 1024), "other annotations"), ("y".repeat(13 * 1024), "")]
        {
            let error = store.write_journal(&read, &text).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    });
}

/// What came of a change is not known when its answer is cut off, and nothing is damaged by it.
#[test]
fn what_google_answers_is_told_by_kind() {
    use StoreErrorKind::{Refused, Throttled, Unreachable};
    let canary = CANARY.text();
    for (status, body, kind) in [
        (429, error("RESOURCE_EXHAUSTED", 429), Throttled),
        (403, error("PERMISSION_DENIED", 403), Refused),
        (503, canary.to_owned(), Unreachable),
        (200, format!(r#"{{"name":"{canary}"#), Unreachable),
        // A secret without an entity tag: nothing would be compared.
        (200, format!(r#"{{"name":"{canary}"}}"#), Unreachable),
        (200, format!("<html>{canary}</html>"), Unreachable),
    ] {
        println!("{status} {}", body.replace(canary, "CANARY"));
        let ((keys, lease), logs) = logged(async {
            let server = Server::start(move |_| Answer::new(status, body.clone())).await;
            let store = SecretManagerStore::new(&connect(&server.url(), "token"), "p/openai");
            let staged = store.stage(&key(canary), &KeyNote::new(), NOW).await.map(drop);
            let keys = [store.snapshot().await.map(drop), staged];
            (keys, store.lease("replica", Duration::from_secs(60), NOW).await.map(drop))
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
