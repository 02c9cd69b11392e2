//! The audit log exported in windows: every event once, in order, or an error; and gone on with.

use std::time::Duration;

use keyward_admin::{
    AuditCursor, AuditEventType, AuditExport, AuditLogQuery, Client, ErrorKind, Timestamp,
};
use keyward_testkit::keys::KeyRng;
use keyward_testkit::{FakeOpenAi, Fault, FaultAction, assert_no_leak};

use crate::fixture::{Organization, runtime, with_trace};

const LOGS: &str = "/organization/audit_logs";
const START: i64 = 1_790_000_000;
const END: i64 = START + 100_000;

/// An organization whose log comes in pages of so many events.
async fn logging(page: usize) -> Organization {
    Organization::of(FakeOpenAi::builder().page_size_limit(page).start().await.expect("a fake"))
}

/// Adds events in bursts, and some all in one second.
fn log_bursts(org: &Organization, rng: &mut KeyRng) {
    for _ in 0..1 + rng.below(6) {
        let (start, length) = (rng.below(100_000), 1 + rng.below(9_000));
        let count = rng.below(60);
        let times: Vec<_> = (0..count).map(|_| at(start + rng.below(length))).collect();
        org.fake.seed_audit_events_at("login.succeeded", &times);
        let second = vec![at(start); rng.below(15)];
        org.fake.seed_audit_events_at("logout.succeeded", &second);
    }
}

fn at(second: usize) -> u64 {
    START as u64 + second as u64
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn export(client: &Client, since: i64, until: i64) -> AuditExport {
    client.audit_logs().export(&AuditLogQuery::new(), time(since)..time(until))
}

/// What one cursor lists, the oldest first.
async fn listed(client: &Client, query: &AuditLogQuery, since: i64, until: i64) -> Vec<String> {
    let query = query.clone().since(time(since)).until(time(until));
    let mut all = client.audit_logs().list(&query).all().await.expect("a listing");
    all.reverse();
    all.into_iter().map(|event| event.id.as_str().to_owned()).collect()
}

/// Reads up to `most` events, and tells the error if one came.
async fn read(export: &mut AuditExport, most: usize) -> (Vec<String>, Option<ErrorKind>) {
    let mut ids = Vec::new();
    while ids.len() < most {
        match export.next().await {
            Some(Ok(event)) => ids.push(event.id.as_str().to_owned()),
            Some(Err(error)) => {
                assert!(export.is_broken_off());
                assert!(export.next().await.is_none(), "something comes after an error");
                return (ids, Some(error.kind()));
            }
            None => break,
        }
    }
    (ids, None)
}

/// As it would be after it lay in a file.
fn kept(cursor: &AuditCursor) -> AuditCursor {
    let json = serde_json::to_string(cursor).expect("a cursor as JSON");
    let kept = serde_json::from_str(&json).expect("a cursor");
    assert_eq!(&kept, cursor);
    kept
}

#[tokio::test]
async fn an_export_is_what_one_cursor_lists() {
    for seed in 0..6 {
        let mut rng = KeyRng::seeded(seed);
        let org = logging(1 + rng.below(9)).await;
        log_bursts(&org, &mut rng);
        let client = org.client();
        for query in
            [AuditLogQuery::new(), AuditLogQuery::new().of_type(AuditEventType::LOGIN_SUCCEEDED)]
        {
            let since = START - 1_000 + i64::try_from(rng.below(50_000)).expect("a number");
            let span = time(since)..time(END + 10);
            let exported = client
                .audit_logs()
                .export(&query, span)
                .in_flight(1 + rng.below(20))
                .all()
                .await
                .expect("an export");
            let times: Vec<_> = exported.iter().map(|event| event.effective_at).collect();
            assert!(times.is_sorted(), "seed {seed}");
            let ids: Vec<_> = exported.iter().map(|e| e.id.as_str().to_owned()).collect();
            assert_eq!(ids, listed(&client, &query, since, END + 10).await, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn an_export_goes_on_where_another_stopped() {
    let org = logging(9).await;
    log_bursts(&org, &mut KeyRng::seeded(40));
    org.fake.seed_audit_events_at("user.added", &[at(70_000); 11]);
    let client = org.client();
    let all = listed(&client, &AuditLogQuery::new(), START, END).await;
    assert!(all.len() > 30, "{}", all.len());
    for stop in (0..all.len()).step_by(23).chain([all.len()]) {
        let mut first = export(&client, START, END).in_flight(6);
        let (mut ids, error) = read(&mut first, stop).await;
        assert!(error.is_none());
        let mut next = export(&client, START, END).resume(&kept(&first.cursor()));
        drop(first);
        // Once more in the middle of what is left.
        let (more, _) = read(&mut next, 3).await;
        let last = export(&client, START, END).resume(&kept(&next.cursor()));
        ids.extend(more);
        ids.extend(last.all().await.expect("the rest").iter().map(|e| e.id.as_str().to_owned()));
        assert_eq!(ids, all, "stopped after {stop}");
    }
}

#[tokio::test]
async fn what_comes_late_is_found_as_far_back_as_is_looked() {
    let org = logging(4).await;
    let times: Vec<_> = (0..40).map(|n| at(n * 100)).collect();
    org.fake.seed_audit_events_at("login.succeeded", &times);
    let client = org.client();
    let minutes = Duration::from_secs(600);
    let mut first = export(&client, START, END).look_back(minutes);
    assert_eq!(read(&mut first, usize::MAX).await.0.len(), 40);
    let cursor = kept(&first.cursor());
    assert_eq!(cursor.since(), time(START + 3_900 - 600));
    // The last one was at 3,900.
    let late = org.fake.seed_audit_events_at("login.failed", &[at(3_350), at(3_900)]);
    org.fake.seed_audit_events_at("login.failed", &[at(3_000)]);
    let new = org.fake.seed_audit_events_at("logout.failed", &[at(4_000)]);
    let mut next = export(&client, START, END).look_back(minutes).resume(&cursor);
    assert_eq!(read(&mut next, usize::MAX).await.0, [&late[..], &new[..]].concat());
    let end = export(&client, START, END).resume(&kept(&next.cursor()));
    assert!(end.all().await.expect("nothing").is_empty());
}

#[tokio::test]
async fn an_error_comes_after_what_was_before_it_and_ends_the_export() {
    let org = logging(5).await;
    log_bursts(&org, &mut KeyRng::seeded(8));
    let client = org.builder().max_attempts(1).build().expect("a client");
    let all = listed(&client, &AuditLogQuery::new(), START, END).await;
    let pages = all.len().div_ceil(5);
    let mut failed = 0;
    for after in (0..pages as u32).step_by(2) {
        org.fake.clear_faults();
        let fault = Fault::on("GET", LOGS).after(after);
        org.fake.fault(fault.then(FaultAction::StatusBefore { code: 500 }));
        let mut export = export(&client, START, END).in_flight(8);
        let (ids, error) = read(&mut export, usize::MAX).await;
        assert!(all.starts_with(&ids), "after {after}");
        if error.is_some() {
            assert_eq!(error, Some(ErrorKind::Server));
            failed += 1;
            // Nothing is lost by it.
            let rest = self::export(&client, START, END).resume(&export.cursor());
            let rest = rest.all().await.expect("the rest");
            assert_eq!(ids.len() + rest.len(), all.len());
        } else {
            assert_eq!(ids.len(), all.len(), "a part was answered as the whole");
        }
    }
    assert!(failed > 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_an_error_in_its_place() {
    let org = logging(5).await;
    org.fake.seed_audit_events_at("login.succeeded", &[at(1); 23]);
    org.fake.fault(
        Fault::on("GET", LOGS)
            .always()
            .then(FaultAction::MissingFields { fields: vec!["id".into()] }),
    );
    let mut export = export(&org.client(), START, END);
    let mut errors = 0;
    while let Some(event) = export.next().await {
        assert_eq!(event.expect_err("no id").kind(), ErrorKind::Drift);
        errors += 1;
    }
    assert_eq!(errors, 23);
    assert!(!export.is_broken_off());
    assert_eq!(org.fake.count("GET", LOGS), 5);
}

#[tokio::test]
async fn a_throttled_export_is_whole() {
    let fake = FakeOpenAi::builder().page_size_limit(5).throttle(60.0, 3, false);
    let org = Organization::of(fake.start().await.expect("a fake"));
    let times: Vec<_> = (0..150).map(|n| at(n * 10)).collect();
    let ids = org.fake.seed_audit_events_at("login.succeeded", &times);
    let exported = export(&org.client(), START, END).all().await.expect("an export");
    assert_eq!(exported.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn fewer_at_once_are_tried_where_many_come_too_late() {
    // At 20 a second the last of 64 would have to wait for three.
    let fake = FakeOpenAi::builder().page_size_limit(5).throttle(20.0, 1, false);
    let org = Organization::of(fake.start().await.expect("a fake"));
    let times: Vec<_> = (0..400).map(|n| at(n * 10)).collect();
    org.fake.seed_audit_events_at("login.succeeded", &times);
    let client = org.builder().deadline(Duration::from_secs(2)).build().expect("a client");
    let exported = export(&client, START, END).in_flight(64).all().await.expect("an export");
    assert_eq!(exported.len(), 400);
}

#[test]
fn an_export_begun_on_a_runtime_that_ended_is_an_error() {
    let servers = runtime();
    let org = servers.block_on(logging(5));
    org.fake.seed_audit_events_at("login.succeeded", &[at(1); 23]);
    let hang = FaultAction::Hang { duration: Duration::from_secs(60), after_effect: false };
    org.fails("GET", LOGS, hang);
    let mut export = export(&org.client(), START, END);
    let first = runtime();
    let begun = async { tokio::time::timeout(Duration::from_millis(200), export.next()).await };
    assert!(first.block_on(begun).is_err(), "the server answers late");
    drop(first);
    let rest = async { tokio::time::timeout(Duration::from_secs(60), export.next()).await };
    let error = runtime().block_on(rest).expect("it does not wait for ever").expect("an error");
    assert_eq!(error.expect_err("it broke off").kind(), ErrorKind::Transport);
    assert!(export.is_broken_off());
}

#[tokio::test]
async fn a_span_without_events_costs_one_request_and_an_empty_one_none() {
    let org = logging(5).await;
    let client = org.client();
    assert!(export(&client, START, END).all().await.expect("nothing").is_empty());
    assert_eq!(org.fake.count("GET", LOGS), 1);
    for (since, until) in [(END, START), (START, START)] {
        assert!(export(&client, since, until).all().await.expect("nothing").is_empty());
    }
    assert_eq!(org.fake.count("GET", LOGS), 1);
}

#[tokio::test]
async fn a_query_with_times_of_its_own_is_refused() {
    let org = logging(5).await;
    let client = org.client();
    let moment = time(START);
    for query in [
        AuditLogQuery::new().since(moment),
        AuditLogQuery::new().after(moment),
        AuditLogQuery::new().until(moment),
        AuditLogQuery::new().up_to(moment),
        AuditLogQuery::new().before("audit_log-1"),
    ] {
        let mut export = client.audit_logs().export(&query, moment..time(END));
        let (ids, error) = read(&mut export, usize::MAX).await;
        assert_eq!((ids.len(), error), (0, Some(ErrorKind::InvalidRequest)));
    }
    assert!(org.fake.requests().is_empty());
}

#[tokio::test]
async fn what_is_fetched_ahead_is_bounded() {
    let org = logging(5).await;
    let times: Vec<_> = (0..500).map(|n| at(n * 10)).collect();
    org.fake.seed_audit_events_at("login.succeeded", &times);
    let mut export = export(&org.client(), START, START + 5_000).in_flight(4);
    export.next().await.expect("an event").expect("it");
    // Whatever the server could answer meanwhile, it is not asked.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = org.fake.count("GET", LOGS);
    assert!(asked < 40, "{asked} of 100 pages for one event");
    assert_eq!(read(&mut export, usize::MAX).await.0.len(), 499);
}

#[tokio::test]
async fn a_second_of_more_than_may_be_held_is_an_error_after_what_was_before_it() {
    let org = logging(5).await;
    org.fake.seed_audit_events_at("login.succeeded", &[at(1), at(2), at(3)]);
    org.fake.seed_audit_events_at("login.failed", &[at(50_000); 60]);
    let client = org.client();
    let all = listed(&client, &AuditLogQuery::new(), START, END).await;
    let one_at_a_time = || export(&client, START, END).in_flight(1);
    for (mut export, is_enough) in [
        (one_at_a_time().max_held_events(40), false),
        (one_at_a_time().max_held_events(100), true),
        (one_at_a_time().max_held_bytes(2_000), false),
        (one_at_a_time().max_held_bytes(1 << 20), true),
        // Limits stay where it goes on.
        (one_at_a_time().max_held_events(40).resume(&one_at_a_time().cursor()), false),
    ] {
        let (ids, error) = read(&mut export, usize::MAX).await;
        if is_enough {
            assert_eq!((ids, error), (all.clone(), None));
        } else {
            assert!(all.starts_with(&ids) && ids.len() <= 3, "{}", ids.len());
            assert_eq!(error, Some(ErrorKind::Paging));
        }
    }
}

#[test]
fn an_export_shows_no_key() {
    let ((shown, secret), logs) = with_trace(async {
        let org = logging(5).await;
        log_bursts(&org, &mut KeyRng::seeded(3));
        let echo = FaultAction::EchoAuthorization { place: keyward_testkit::EchoPlace::Body };
        org.fails("GET", LOGS, echo);
        let mut export = export(&org.client(), START, END);
        let mut shown = String::new();
        while let Some(event) = export.next().await {
            shown += &format!("{event:?} {export:?}");
        }
        let cursor = export.cursor();
        shown += &format!("{cursor:?} {}", serde_json::to_string(&cursor).expect("JSON"));
        (shown, org.fake.admin_key())
    });
    assert!(shown.contains("position"));
    assert_no_leak!(&secret, [("shown", &shown), ("logs", &logs)]);
}
