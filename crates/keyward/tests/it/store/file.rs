//! Plain files: the current key is anyone's to read and to write who may, and no crash leaves half
//! of it.

use std::fs;
use std::path::Path;

use keyward::store::{FileStore, KeyNote, KeyStore as _, StoreErrorKind};
use keyward::{ApiKey, FileLoader, KeyLoader as _};
use keyward_testkit::{assert_no_leak, leak};

use super::run;
use crate::fixture::{NOW, assert_loads, load, secret, write};

fn key(text: &str) -> ApiKey {
    ApiKey::parse(text.to_owned()).unwrap()
}

async fn put(store: &FileStore, text: &str) {
    let version = store.stage(&key(text), &KeyNote::new(), NOW).await.unwrap();
    store.promote(&version, NOW).await.unwrap();
}

#[test]
fn any_program_reads_the_current_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openai.key");
    let store = FileStore::new(&path);
    for _ in 0..2 {
        let text = secret();
        run(put(&store, &text));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let source = format!("file:{}", path.display());
        assert_loads(load(&FileLoader::new(&path)), &text, &source);
        assert_loads(load(&store), &text, &source);
    }
}

#[test]
fn a_key_that_was_there_before_is_current() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (secret(), secret());
        let path = write(directory.path().join("key"), format!("{old}\n"));
        let store = FileStore::new(&path);
        let current = store.current().await.unwrap().unwrap();
        assert_eq!(current.key, key(&old));
        // It keeps its version when the store first writes.
        put(&store, &new).await;
        let previous = store.previous().await.unwrap().unwrap();
        assert_eq!((previous.key, previous.version), (current.key, current.version));
    });
}

#[test]
fn a_key_that_somebody_writes_is_current_and_the_one_before_is_previous() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let store = FileStore::new(&path);
        let [first, second, pending] = [secret(), secret(), secret()];
        put(&store, &first).await;
        let staged = store.stage(&key(&pending), &KeyNote::new(), NOW).await.unwrap();
        write(&path, &second);

        let before = store.snapshot().await.unwrap();
        assert_eq!(before.current.as_ref().unwrap().key, key(&second));
        assert_eq!(before.previous.unwrap().key, key(&first));
        assert_eq!(before.pending.unwrap().version, staged);
        // What was only read becomes fixed with the next write, under the same version.
        store.discard(&staged).await.unwrap();
        let after = store.snapshot().await.unwrap();
        assert_eq!(after.current.unwrap().version, before.current.unwrap().version);

        fs::remove_file(&path).unwrap();
        assert!(store.load().await.unwrap_err().is_not_found());
        assert_eq!(store.previous().await.unwrap().unwrap().key, key(&second));
        put(&store, &first).await;
        assert_eq!(store.load().await.unwrap().key, key(&first));
    });
}

/// Nothing is written when a key is found that somebody put there, so its number is free until then.
#[test]
fn keys_that_somebody_writes_have_versions_of_their_own() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let store = FileStore::new(&path);
        put(&store, &secret()).await;
        let mut versions = Vec::new();
        for text in [secret(), secret()] {
            write(&path, &text);
            let found = store.current().await.unwrap().unwrap();
            assert_eq!(found.key, key(&text));
            let again = FileStore::new(&path).current().await.unwrap().unwrap();
            assert_eq!(found.version, again.version);
            versions.push(found.version);
        }
        let [gone, there] = &versions[..] else { panic!("two were written") };
        assert_ne!(gone, there);
        // What was meant for the one does not hit the other.
        put(&store, &secret()).await;
        store.discard(gone).await.unwrap();
        assert_eq!(&store.previous().await.unwrap().unwrap().version, there);
        store.discard(there).await.unwrap();
        assert!(store.previous().await.unwrap().is_none());
    });
}

#[test]
fn a_previous_key_that_somebody_puts_back_keeps_what_was_noted() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let store = FileStore::new(&path);
        let [first, second] = [secret(), secret()];
        let note = KeyNote::new().key_id("key_1");
        let version = store.stage(&key(&first), &note, NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        put(&store, &second).await;
        write(&path, &first);
        let snapshot = store.snapshot().await.unwrap();
        let current = snapshot.current.unwrap();
        assert_eq!((current.key, current.version), (key(&first), version));
        assert_eq!(current.note, note);
        assert_eq!(snapshot.previous.unwrap().key, key(&second));
    });
}

/// A promotion writes two files. Between them, and after a crash there, it has taken place.
#[test]
fn a_promotion_that_was_interrupted_has_taken_place() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let document = directory.path().join("key.store");
        let store = FileStore::new(&path);
        let [first, second, third] = [secret(), secret(), secret()];
        put(&store, &first).await;
        let note = KeyNote::new().key_id("key_2");
        let version = store.stage(&key(&second), &note, NOW).await.unwrap();
        let before = fs::read(&document).unwrap();
        store.promote(&version, NOW).await.unwrap();
        write(&document, before);

        for _ in 0..2 {
            let snapshot = store.snapshot().await.unwrap();
            assert!(snapshot.pending.is_none());
            assert_eq!(snapshot.previous.unwrap().key, key(&first));
            let current = snapshot.current.unwrap();
            assert_eq!((&current.version, &current.note), (&version, &note));
            assert_eq!(current.key, key(&second));
            store.promote(&version, NOW).await.unwrap();
        }
        let kind = store.discard(&version).await.unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::Conflict);
        put(&store, &third).await;
        assert_eq!(store.previous().await.unwrap().unwrap().key, key(&second));
    });
}

#[test]
fn what_is_damaged_is_told_and_left_alone() {
    let damage = |name: &str, content: &str| {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("key"));
        let text = secret();
        run(put(&store, &text));
        let path = directory.path().join(name);
        write(&path, content.replace("KEY", &text));
        let refused = run(store.stage(&key(&secret()), &KeyNote::new(), NOW)).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Damaged, "{refused}");
        assert_no_leak!(text, leak::error_surfaces(&refused));
        let error = run(store.load()).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content.replace("KEY", &text));
        error.to_string()
    };
    for (name, content, says) in [
        ("key", "", "it holds no key: empty; set it"),
        ("key", "KEY KEY", "it holds no key: space; store one key"),
        ("key", "\"KEY\"", "it holds no key: quoted; remove"),
        ("key.store", "KEY", "no document of a store, at line 1"),
        ("key.store", "{}", "no document of a store, at line 1"),
    ] {
        let error = damage(name, content);
        assert!(error.contains(says), "{name}: {error}");
    }
}

/// What the issuer answered survives also where nobody would write it down as a key.
#[test]
fn a_key_of_no_known_format_is_kept_in_a_plain_file_too() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("key"));
        let odd = ApiKey::issued(format!("sk-{}...", "x\"".repeat(20))).unwrap();
        let version = store.stage(&odd, &KeyNote::new(), NOW).await.unwrap();
        store.promote(&version, NOW).await.unwrap();
        assert_eq!(FileStore::new(directory.path().join("key")).load().await.unwrap().key, odd);
    });
}

#[test]
fn a_directory_that_is_read_only_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let text = secret();
    let store = FileStore::new(directory.path().join("key"));
    run(put(&store, &text));
    assert!(Path::new(store.source().place()).exists());
    fs::remove_file(directory.path().join("key.lock")).unwrap();
    run(async {
        assert_eq!(store.load().await.unwrap().key, key(&text));
        store.snapshot().await.unwrap();
        store.journal().await.unwrap();
    });
    assert!(!directory.path().join("key.lock").exists(), "reading took the lock");
}
