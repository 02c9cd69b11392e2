//! Stores: each is held to the contract, and the contract to broken stores.

use std::future::Future;

use keyward::store::conformance::{Report, Subject, check};
use keyward::store::{DynKeyStore, MemoryStore};

mod broken;
mod disk;
mod document;
mod file;
mod late;
mod model;
mod process;
mod sealed;

#[test]
fn a_store_in_memory_keeps_the_contract() {
    struct InMemory;

    impl Subject for InMemory {
        type Store = MemoryStore;

        async fn fresh(&self) -> MemoryStore {
            MemoryStore::new("conformance")
        }

        async fn again(&self, store: &MemoryStore) -> MemoryStore {
            store.clone()
        }
    }

    assert_held(&InMemory, &["an_unreachable_place_is_told"]);
}

#[test]
fn a_store_of_any_type_keeps_the_contract() {
    struct OfAnyType;

    impl Subject for OfAnyType {
        type Store = DynKeyStore;

        async fn fresh(&self) -> DynKeyStore {
            DynKeyStore::new(MemoryStore::new("conformance"))
        }

        async fn again(&self, store: &DynKeyStore) -> DynKeyStore {
            store.clone()
        }
    }

    assert_held(&OfAnyType, &["an_unreachable_place_is_told"]);
}

/// Holds a store to the contract, with threads that really race.
#[track_caller]
pub(crate) fn assert_held(subject: &impl Subject, skipped: &[&str]) {
    let report = report(subject);
    println!("{report}");
    assert!(report.is_held(), "{report}");
    assert_eq!(report.skipped().collect::<Vec<_>>(), skipped, "{report}");
}

pub(crate) fn report(subject: &impl Subject) -> Report {
    run(check(subject))
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}
