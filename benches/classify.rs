//! The promise: telling what a key is costs at most 10 ns for a 164-byte key, which is nothing
//! beside the one header it is put in. The peer is what applications write: six regular
//! expressions, tried in order.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use keyward_core::KeyKind;
use keyward_testkit::keys::{self, KeyRng};
use regex::bytes::Regex;

const SHAPES: [&str; 7] = [
    "project_164",
    "service_account_167",
    "admin_165",
    "legacy_user_51",
    "named_service_account",
    "openrouter",
    "user_unprefixed_95",
];

fn classify(c: &mut Criterion) {
    let naive = Naive::new();
    let mut group = c.benchmark_group("classify");
    for id in SHAPES {
        let shape = keys::shape(id).expect("a shape");
        let key = shape.generate(&mut KeyRng::seeded(1)).into_bytes();
        group.bench_with_input(BenchmarkId::new("keyward", id), &key, |b, key| {
            b.iter(|| KeyKind::classify(black_box(key)));
        });
        group.bench_with_input(BenchmarkId::new("six_regexes", id), &key, |b, key| {
            b.iter(|| naive.classify(black_box(key)));
        });
    }
    group.finish();
}

/// Regular expressions by exact shape, compiled once.
struct Naive([(Regex, KeyKind); 6]);

impl Naive {
    fn new() -> Self {
        let mark = keys::MARKER;
        let rule = |pattern: String, kind| (Regex::new(&pattern).expect("a pattern"), kind);
        Self([
            rule(
                format!("^sk-proj-[A-Za-z0-9_-]{{20,74}}{mark}[A-Za-z0-9_-]{{20,74}}$"),
                KeyKind::Project,
            ),
            rule(
                format!("^sk-svcacct-[A-Za-z0-9_-]{{46,74}}{mark}[A-Za-z0-9_-]{{46,74}}$"),
                KeyKind::ServiceAccount,
            ),
            rule(
                format!("^sk-admin-[A-Za-z0-9_-]{{58,74}}{mark}[A-Za-z0-9_-]{{58,74}}$"),
                KeyKind::Admin,
            ),
            rule(
                format!("^sk-(None-)?[A-Za-z0-9]{{20}}{mark}[A-Za-z0-9]{{20}}$"),
                KeyKind::LegacyUser,
            ),
            rule("^sess-[A-Za-z0-9]{40}$".to_owned(), KeyKind::Session),
            rule("^ek_[0-9a-f]{32}$".to_owned(), KeyKind::EphemeralClient),
        ])
    }

    fn classify(&self, key: &[u8]) -> KeyKind {
        self.0.iter().find(|(regex, _)| regex.is_match(key)).map_or(KeyKind::Unknown, |(_, k)| *k)
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().without_plots();
    targets = classify
}
criterion_main!(benches);
