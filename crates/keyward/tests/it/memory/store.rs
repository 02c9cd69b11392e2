//! What stores leave of a key in memory: nothing, when the last holder of the key is gone.

use std::fs;

use keyward::ApiKey;
use keyward::store::{
    DynKeyStore, FileStore, KeyNote, KeyStore as _, MemoryStore, SealedFile, StoreErrorKind, Unlock,
};

use super::{Masked, assert_gone_after};
use crate::fixture::{NOW, chmod, ready, secret};

/// Takes a key through every operation, and proves that the search sees it meanwhile.
fn use_up(key: &Masked, store: &DynKeyStore) {
    {
        let api_key = ApiKey::parse(key.to_bytes()).unwrap();
        let version = ready(store.stage(&api_key, &KeyNote::new(), NOW)).unwrap();
        let other = ApiKey::parse(secret()).unwrap();
        let refused = ready(store.stage(&other, &KeyNote::new(), NOW)).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        ready(store.promote(&version, NOW)).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
    }
    assert_gone_after(key, store);
    {
        let snapshot = ready(store.snapshot()).unwrap();
        assert!(snapshot.current.is_some() && key.is_in_memory(), "the search is blind");
    }
    let journal = ready(store.journal()).unwrap();
    ready(store.write_journal(&journal, "step")).unwrap();
    let lease = ready(store.lease("me", std::time::Duration::from_secs(1), NOW)).unwrap();
    ready(store.release(&lease)).unwrap();
}

/// Puts another key in its place, and then forgets it.
fn replace(store: &DynKeyStore) {
    let other = ApiKey::parse(secret()).unwrap();
    let version = ready(store.stage(&other, &KeyNote::new(), NOW)).unwrap();
    ready(store.promote(&version, NOW)).unwrap();
    let previous = ready(store.previous()).unwrap().unwrap();
    ready(store.discard(&previous.version)).unwrap();
}

#[test]
fn a_store_in_memory_leaves_nothing() {
    let key = Masked::new();
    let store = DynKeyStore::new(MemoryStore::new("test"));
    use_up(&key, &store);
    assert!(key.is_in_memory(), "the store holds it");
    replace(&store);
    assert!(!key.is_in_memory());
}

#[test]
fn a_store_in_files_leaves_nothing() {
    let key = Masked::new();
    let directory = tempfile::tempdir().unwrap();
    let store = DynKeyStore::new(FileStore::new(directory.path().join("key")));
    use_up(&key, &store);
    assert!(!key.is_in_memory(), "it is on the disk alone");
    replace(&store);
    assert!(!key.is_in_memory());
}

#[test]
fn a_sealed_store_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let identity = ready(Unlock::create_identity_file(directory.path().join("identity"))).unwrap();
    let words = Unlock::passphrase("correct horse battery staple".to_owned());
    for (name, unlock) in [("by identity", identity), ("by passphrase", words)] {
        let key = Masked::new();
        let file = SealedFile::new(directory.path().join(name), unlock).with_work_factor(15);
        let store = DynKeyStore::new(file);
        use_up(&key, &store);
        assert!(!key.is_in_memory(), "it is on the disk alone, {name}");
        replace(&store);
        assert!(!key.is_in_memory());
    }
}

/// Of what hands made of a document there can be more: `serde_json` copies a key with a JSON escape
/// into its scratch memory, and one where a number belongs into its error; and where it looks for
/// the line of an error behind a key, `memchr` leaves pieces of it on the stack if it is not
/// optimized.
#[test]
fn a_document_that_is_refused_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let document = directory.path().join("key.store");
    for (before, after) in [
        ("", ""),
        ("{\"keyward_store\": 1, \"current\": {\"version\": \"1\", \"key\": \"", " \"}}"),
        ("{\"keyward_store\": 1, \"current\": {\"version\": [\"", "\"]}}"),
    ] {
        let key = Masked::new();
        super::write(&key, &document, b"");
        let text = fs::read(&document).unwrap();
        let whole = [before.as_bytes(), &text, after.as_bytes()].concat();
        drop(zeroize::Zeroizing::new(text));
        let whole = zeroize::Zeroizing::new(whole);
        fs::write(&document, &*whole).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
        drop(whole);
        chmod(&document, 0o600);
        let error = ready(FileStore::new(&path).snapshot()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Damaged, "{error}");
        assert!(!key.is_in_memory(), "left behind: {before}…{after}");
        drop(error);
    }
}
