//! What is counted, under the names that dashboards are built on.

use std::collections::BTreeMap;

use keyward::{KeyPolicy, LiveKey, LoadErrorKind};
use keyward_testkit::assert_no_leak;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::fixture::{Source, WallClock, after, pass, print_of, seconds, secret};

#[test]
fn loads_rejections_and_expiries_are_told() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let (old, new) = (secret(), secret());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    metrics::with_local_recorder(&recorder, || {
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
        });
    });
    let counts: BTreeMap<String, f64> = snapshots
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
            (format!("{} {}", name.as_str(), labels.join(",")), value)
        })
        .collect();
    println!("{counts:#?}");
    #[allow(clippy::cast_precision_loss, reason = "exact in an f64")]
    let expires = |key: &str, seconds| {
        let print = print_of(key);
        let labels = format!("fingerprint={print},source=scripted:source");
        (
            format!("keyward_live_key_expires_at_seconds {labels}"),
            after(seconds).as_unix_seconds() as f64,
        )
    };
    let rejected = format!("keyward_live_key_rejections_total fingerprint={}", print_of(&old));
    for (name, expected) in [
        ("keyward_live_key_in_use ".to_owned(), 0.0),
        ("keyward_live_key_loads_total outcome=taken".to_owned(), 2.0),
        ("keyward_live_key_loads_total outcome=confirmed".to_owned(), 1.0),
        (rejected, 1.0),
        expires(&old, 1_000),
        expires(&new, 500),
    ] {
        assert_eq!(counts.get(&name), Some(&expected), "{name}");
    }
    for outcome in ["failed", "rejected"] {
        assert!(counts[&format!("keyward_live_key_loads_total outcome={outcome}")] >= 1.0);
    }
    let told = format!("{counts:?}");
    assert_no_leak!(old, told);
    assert_no_leak!(new, told);
}
