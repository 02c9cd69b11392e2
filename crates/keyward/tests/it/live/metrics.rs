//! What is counted, under the names that dashboards are built on.

use std::collections::BTreeMap;

use keyward::{KeyPolicy, LiveKey, LoadErrorKind};
use keyward_testkit::assert_no_leak;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::fixture::{Source, WallClock, after, pass, print_of, seconds, secret};

#[test]
fn loads_rejections_and_expiries_are_told() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let (old, new) = (secret(), secret());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let counts = metrics::with_local_recorder(&recorder, || {
        runtime.unwrap().block_on(async {
            let source = Source::of("");
            source.has_until(&old, 1_000);
            let live = LiveKey::project(source.clone(), KeyPolicy::standard())
                .with_clock(WallClock::new().clock())
                .refresh_every(seconds(10))
                .start();
            let live = live.await.unwrap();
            pass(11_000).await;
            source.fails(LoadErrorKind::Unreadable);
            pass(10_000).await;
            source.has_until(&new, 500);
            assert!(live.rejected(&print_of(&old)).await);
            source.has_until(&old, 1_000);
            pass(12_000).await;
            source.fails(LoadErrorKind::NotFound);
            pass(1_000_000).await;
            told(&snapshots)
        })
    });
    println!("{counts:#?}");
    #[allow(clippy::cast_precision_loss, reason = "exact in an f64")]
    let expires = after(500).as_unix_seconds() as f64;
    let rejected = format!("rejections_total fingerprint={},{HANDLE}", print_of(&old));
    for (name, expected) in [
        (format!("in_use {HANDLE}"), 0.0),
        (format!("loads_total outcome=taken,{HANDLE}"), 2.0),
        (format!("loads_total outcome=confirmed,{HANDLE}"), 1.0),
        (rejected, 1.0),
        // Of the key in use, not of the one before.
        (format!("expires_at_seconds {HANDLE}"), expires),
    ] {
        assert_eq!(counts.get(&name), Some(&expected), "{name}");
    }
    assert_eq!(counts.keys().filter(|name| name.starts_with("expires")).count(), 1);
    for outcome in ["failed", "rejected"] {
        assert!(counts[&format!("loads_total outcome={outcome},{HANDLE}")] >= 1.0);
    }
    let text = format!("{counts:?}");
    assert_no_leak!(old, text);
    assert_no_leak!(new, text);
}

#[test]
fn a_handle_that_is_over_is_no_key_in_use() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (in_use, expires) = (format!("in_use {HANDLE}"), format!("expires_at_seconds {HANDLE}"));
    metrics::with_local_recorder(&recorder, || {
        let runtime = runtime.unwrap();
        let source = Source::of("");
        source.has_until(&secret(), 1_000);
        let live = LiveKey::project(source, KeyPolicy::standard())
            .with_clock(runtime.block_on(async { WallClock::new() }).clock());
        let live = runtime.block_on(live.start()).unwrap();
        let counts = told(&snapshots);
        assert_eq!(counts.get(&in_use), Some(&1.0));
        assert!(counts[&expires].is_finite());
        drop(live);
        runtime.block_on(pass(1));
        let counts = told(&snapshots);
        assert_eq!(counts.get(&in_use), Some(&0.0));
        assert_eq!(counts.get(&expires), Some(&f64::INFINITY));
    });
}

/// The handle by which all is labelled.
const HANDLE: &str = "source=scripted:source";

/// Names, without what all begin with, and labels.
fn told(snapshots: &Snapshotter) -> BTreeMap<String, f64> {
    snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let (name, labels) = key.key().clone().into_parts();
            let labels: Vec<_> =
                labels.iter().map(|l| format!("{}={}", l.key(), l.value())).collect();
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let value = match value {
                DebugValue::Counter(n) => n as f64,
                DebugValue::Gauge(n) => n.into_inner(),
                DebugValue::Histogram(_) => panic!("none is made"),
            };
            let name = name.as_str().strip_prefix("keyward_live_key_").unwrap();
            (format!("{name} {}", labels.join(",")), value)
        })
        .collect()
}
