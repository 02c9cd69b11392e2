//! Stores on disk against the store in memory: after any sequence of operations, each answers the
//! same.

use std::time::Duration;

use keyward::store::{
    DynKeyStore, Journal, KeyNote, KeyStore as _, Lease, MemoryStore, Snapshot, StoreError,
    StoredKey, Version,
};
use keyward::{ApiKey, KeyLoader as _, Timestamp};
use keyward_testkit::keys::{self, KeyRng};

use super::disk::{Kind, identity};
use crate::fixture::{NOW, ready};

#[test]
fn a_store_in_files_is_what_the_model_is() {
    for seed in 0..6 {
        compare(Kind::Plain, seed, 40);
    }
}

#[test]
fn a_sealed_store_is_what_the_model_is() {
    for seed in 100..103 {
        compare(Kind::Sealed, seed, 40);
    }
}

/// The store and the model, and what both have answered so far.
struct Pair {
    stores: [DynKeyStore; 2],
    versions: Vec<Version>,
    leases: Vec<Lease>,
    journals: Vec<Journal>,
}

fn compare(kind: Kind, seed: u64, steps: u32) {
    let directory = tempfile::tempdir().unwrap();
    identity(directory.path());
    let mut rng = KeyRng::seeded(seed);
    let keys: Vec<_> =
        (0..4).map(|_| ApiKey::parse(keys::service_account_key(&mut rng)).unwrap()).collect();
    let stores = [kind.open(directory.path()), DynKeyStore::new(MemoryStore::new("model"))];
    let journals = vec![ready(stores[0].journal()).unwrap()];
    let mut pair = Pair { stores, versions: vec!["none".into()], leases: Vec::new(), journals };
    let mut now = NOW;
    for step in 0..steps {
        let seconds = u64::try_from(rng.below(20)).unwrap();
        now = now.saturating_add(Duration::from_secs(seconds));
        let done = act(&mut pair, &mut rng, &keys, now);
        let what = format!("{kind:?}, seed {seed}, step {step}: {done}");
        // Opened anew: what it answers is what stands on the disk.
        pair.stores[0] = kind.open(directory.path());
        let snapshots = pair.stores.each_ref().map(|store| ready(store.snapshot()).unwrap());
        assert_eq!(told(&snapshots[0]), told(&snapshots[1]), "{what}");
        let loaded = pair.stores.each_ref().map(|store| {
            ready(store.load()).map(|loaded| (loaded.key, loaded.version)).map_err(|e| e.kind())
        });
        assert_eq!(loaded[0], loaded[1], "{what}");
        let journals = pair.stores.each_ref().map(|store| ready(store.journal()).unwrap());
        assert_eq!(journals[0], journals[1], "{what}");
    }
}

/// Does the same to both, and checks that they answer the same.
fn act(pair: &mut Pair, rng: &mut KeyRng, keys: &[ApiKey], now: Timestamp) -> &'static str {
    let key = &keys[rng.below(keys.len())];
    let version = pair.versions[rng.below(pair.versions.len())].clone();
    let ttl = Duration::from_secs(30);
    match rng.below(8) {
        0 | 1 => {
            let note = KeyNote::new().key_id("key_1").expires_at(now);
            let staged = both(pair, |store| ready(store.stage(key, &note, now)));
            pair.versions.extend(staged);
            "stage"
        }
        2 | 3 => {
            both(pair, |store| ready(store.promote(&version, now)));
            "promote"
        }
        4 => {
            both(pair, |store| ready(store.discard(&version)));
            "discard"
        }
        5 => {
            let holder = ["one", "two"][rng.below(2)];
            let lease = both(pair, |store| ready(store.lease(holder, ttl, now)));
            pair.leases.extend(lease);
            "lease"
        }
        6 => {
            let Some(lease) = pair.leases.get(rng.below(pair.leases.len().max(1))).cloned() else {
                return "no lease";
            };
            if rng.below(2) == 0 {
                both(pair, |store| ready(store.renew(&lease, ttl, now)));
                return "renew";
            }
            both(pair, |store| ready(store.release(&lease)));
            "release"
        }
        _ => {
            let read = pair.journals[rng.below(pair.journals.len())].clone();
            let text = format!("step {}", rng.below(3));
            let written = both(pair, |store| ready(store.write_journal(&read, &text)));
            pair.journals.extend(written);
            "write_journal"
        }
    }
}

#[track_caller]
fn both<T: std::fmt::Debug + PartialEq>(
    pair: &Pair,
    act: impl Fn(&DynKeyStore) -> Result<T, StoreError>,
) -> Option<T> {
    let [of_store, of_model] = pair.stores.each_ref().map(act);
    match (of_store, of_model) {
        (Ok(answer), Ok(expected)) => {
            assert_eq!(answer, expected);
            Some(answer)
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.kind(), expected.kind(), "{error}");
            None
        }
        (answer, expected) => panic!("{answer:?}, and the model {expected:?}"),
    }
}

/// All of a snapshot that can be compared.
fn told(snapshot: &Snapshot) -> String {
    let key = |stored: &Option<StoredKey>| format!("{stored:?}");
    let Snapshot { current, pending, previous, lease, .. } = snapshot;
    format!("{} {} {} {lease:?}", key(current), key(pending), key(previous))
}
