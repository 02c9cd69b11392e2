//! No key in what a rotation writes, tells or logs.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use keyward::store::{FileStore, KeyNote, KeyStore as _, MemoryStore};
use keyward::{ApiKey, KeyPolicy, Timestamp};
use keyward_admin::Client;
use keyward_rotate::{FileJournal, HttpProbe, Journal as _, Rotator, Sweep};
use keyward_testkit::leak::{self, CapturedLogs, LeakDetector};
use keyward_testkit::{FakeOpenAi, FaultAction};
use tracing_subscriber::filter::LevelFilter;

use crate::fixture::{KEY, MINT, World};

thread_local! {
    static IS_HEARD: Cell<bool> = const { Cell::new(false) };
}

/// The log lines of this thread at `TRACE`, of every crate. One subscriber for the process: tracing
/// remembers for each place in the code whether anybody listens.
fn logs() -> CapturedLogs {
    static LOGS: OnceLock<CapturedLogs> = OnceLock::new();
    let logs = LOGS.get_or_init(|| {
        let logs = CapturedLogs::new();
        let writer = logs.clone();
        let writer = move || -> Box<dyn io::Write> {
            if IS_HEARD.get() { Box::new(writer.writer()) } else { Box::new(io::sink()) }
        };
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(writer).init();
        logs
    });
    IS_HEARD.set(true);
    logs.clone()
}

#[tokio::test]
async fn no_key_in_journals_logs_errors_events_and_outcomes() {
    let logs = logs();
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("key"));
    let fake = FakeOpenAi::builder().auth_cache(Duration::from_millis(300));
    let world = World::with_store(fake, store).await;
    let journal = FileJournal::new(directory.path());
    let in_file = world
        .builder()
        .patience(Duration::from_secs(3))
        .slot_with_journal(world.slot(), world.store.clone(), journal.clone())
        .build()
        .unwrap();
    let in_store = world.builder().slot(world.slot(), world.store.clone()).build().unwrap();
    let mut events = in_file.events();
    let mut told = String::new();
    let by_hand = world.put_by_hand(false).await;

    let faults = [
        None,
        Some(("POST", MINT, FaultAction::AnswerLost)),
        Some(("POST", MINT, FaultAction::StatusAfter { code: 500 })),
        Some(("POST", MINT, FaultAction::ValueMoved)),
        Some(("POST", MINT, FaultAction::TruncatedJson)),
        Some(("GET", "/models", FaultAction::EchoAuthorization { place: leak_in_body() })),
        Some(("DELETE", KEY, FaultAction::StatusAfter { code: 500 })),
        Some(("POST", KEY, FaultAction::NotJson { code: 502 })),
        Some(("POST", MINT, FaultAction::StatusBefore { code: 403 })),
    ];
    for fault in faults {
        if let Some((method, path, action)) = fault {
            world.fails(method, path, action);
        }
        let done = in_file.rotate("billing").await;
        write!(told, "{:?}\n{:?}\n", done, in_file.status("billing").await).unwrap();
        match done {
            Ok(outcome) => told.push_str(&outcome.to_string()),
            Err(error) => told.push_str(&leak::error_surfaces(&error)),
        }
        world.fake.clear_faults();
        in_file.resume("billing").await.unwrap();
    }
    in_store.rotate("billing").await.unwrap();
    // A key that the policy refuses, and a rotator that reads the admin key itself.
    let policy = KeyPolicy::production().with_sources(["vault"]).unwrap();
    let strict = HttpProbe::new(world.fake.base_url(), policy).unwrap();
    let strict = Rotator::builder(world.client(), "test").probe(strict);
    let strict = strict.slot(world.slot(), world.store.clone()).build().unwrap();
    let refused = strict.rotate("billing").await.unwrap_err();
    told.push_str(&leak::error_surfaces(&refused));
    let admin = MemoryStore::new("admin");
    let at = Timestamp::from_unix_seconds(1_790_000_000);
    let key = ApiKey::parse(world.fake.admin_key()).unwrap();
    let version = admin.stage(&key, &KeyNote::new(), at).await.unwrap();
    admin.promote(&version, at).await.unwrap();
    let (first, url) = (admin.clone(), world.fake.base_url());
    let connect = move |key| Client::builder(key).base_url(url.clone()).allow_loopback().build();
    let managed = Rotator::managed_with(first, connect, "test").probe(world.probe());
    let managed = managed.slot(world.slot(), world.store.clone());
    writeln!(told, "{managed:?}").unwrap();
    let managed = managed.build().unwrap();
    write!(told, "{managed:?}\n{:?}\n", managed.rotate("billing").await.unwrap()).unwrap();
    let plan = in_store.plan("billing").await.unwrap();
    let sweep = in_store.sweep("billing", Sweep::report()).await.unwrap();
    write!(told, "{plan}\n{plan:?}\n{sweep}\n{sweep:?}\n{by_hand}\n{in_store:?}").unwrap();
    let mut seen = String::new();
    while let Some(event) = events.try_next() {
        write!(seen, "{event}\n{event:?}\n").unwrap();
    }
    IS_HEARD.set(false);

    // What was ever current, and what still is; those of attempts that were given up are dead, and
    // nobody has their values but the fake.
    let mut values = world.fake.live_key_values();
    values.extend(world.fake.every_key_value());
    let detector = LeakDetector::of_all(&values);
    detector.assert_sees();
    assert!(values.len() > 10, "{} keys were made", values.len());
    let journal = journal.read("billing").await.unwrap().text;
    let in_store = world.store.journal().await.unwrap().text().to_owned();
    let logs = logs.contents();
    assert!(logs.contains("keyward::rotate") && logs.contains("TRACE"), "the logs are heard");
    assert!(journal.lines().count() > 30 && in_store.contains("intent"));
    for (label, text) in [
        ("the journal file", &journal),
        ("the store's journal", &in_store),
        ("the logs", &logs),
        ("the events", &seen),
        ("what is told", &told),
    ] {
        assert!(!text.is_empty(), "{label}");
        detector.assert_absent(&label, text.as_bytes());
    }
}

fn leak_in_body() -> keyward_testkit::EchoPlace {
    keyward_testkit::EchoPlace::Body
}
