//! The windows against a likeness of the server: any events, answers in any order.

use proptest::prelude::*;

use super::cursor::Had;
use super::windows::{Item, Most, Oldest, Step, Windows, time_of};
use crate::{AuditEvent, AuditEventId, Error, ErrorKind, decode};

const PAGE: usize = 5;
const EVENT_BYTES: u64 = 70;

/// A log, and how its server is odd.
#[derive(Debug)]
struct Log {
    /// Time and id, the newest first, as it lists them.
    events: Vec<(i64, String)>,
    heeds_times: bool,
}

impl Log {
    fn new(mut times: Vec<i64>) -> Self {
        times.sort_unstable();
        let events = times.iter().enumerate().map(|(n, at)| (*at, format!("e{n}"))).rev();
        Self { events: events.collect(), heeds_times: true }
    }

    fn page(&self, step: &Step) -> (Vec<Item>, Option<String>) {
        let after = step.after.as_ref().map_or(0, |after| {
            1 + self.events.iter().position(|(_, id)| id == after).expect("a cursor of the list")
        });
        let is_in = |at: i64| !self.heeds_times || (step.from..step.to).contains(&at);
        let mut rest = self.events[after..].iter().filter(|(at, _)| is_in(*at));
        let page: Vec<_> = rest.by_ref().take(PAGE).collect();
        let next = rest.next().and(page.last()).map(|(_, id)| id.clone());
        (page.into_iter().map(|(at, id)| Ok(event(*at, id))).collect(), next)
    }
}

fn event(at: i64, id: &str) -> AuditEvent {
    let json = format!(r#"{{"id": "{id}", "effective_at": {at}, "type": "login.succeeded"}}"#);
    decode::decode(json.as_bytes()).expect("an event")
}

/// Runs an export to its end. Which of the answers comes next is by chance.
struct Run {
    ids: Vec<String>,
    requests: usize,
    most_held: usize,
    error: Option<Error>,
}

fn run(log: &Log, span: (i64, i64), limit: usize, seed: u64, fails: Option<usize>) -> Run {
    run_within(Most::default(), log, span, limit, seed, fails)
}

fn run_within(
    most: Most,
    log: &Log,
    span: (i64, i64),
    limit: usize,
    seed: u64,
    fails: Option<usize>,
) -> Run {
    let mut chance = keyward_testkit::keys::KeyRng::seeded(seed);
    let mut windows = Windows::new(span.0, span.1, PAGE);
    windows.most = most;
    let mut run = Run { ids: Vec::new(), requests: 0, most_held: 0, error: None };
    let mut under_way: Vec<Step> = Vec::new();
    let mut had = Had::nothing(span.0);
    loop {
        while let Some(step) = windows.start(limit, 3 * limit) {
            run.requests += 1;
            under_way.push(step);
        }
        assert!(under_way.len() <= limit);
        match windows.take_oldest() {
            Oldest::Failed(error) => {
                run.error = Some(error);
                return run;
            }
            Oldest::Items(items) => {
                for item in items {
                    let at = time_of(&item).expect("a time");
                    let id = item.expect("an event").id.as_str().to_owned();
                    // What comes twice at a border it leaves out, as the export does.
                    if had.is_new(Some(at), &AuditEventId::from(id.as_str())) {
                        run.ids.push(id);
                    }
                }
                continue;
            }
            Oldest::None => return run,
            Oldest::NotYet => {}
        }
        run.most_held = run.most_held.max(windows.held());
        assert!(!under_way.is_empty(), "nothing is under way and nothing is there");
        let step = under_way.swap_remove(chance.below(under_way.len()));
        if fails == Some(run.requests) && run.error.is_none() {
            windows.failed(step.window, Error::new(ErrorKind::Server, "it broke"));
            under_way.retain(|step| windows.has(step.window));
            continue;
        }
        let (items, next) = log.page(&step);
        let bytes = EVENT_BYTES * items.len() as u64;
        windows.page(step.window, items, bytes, next);
        under_way.retain(|step| windows.has(step.window));
    }
}

fn expected(log: &Log, span: (i64, i64)) -> Vec<String> {
    let is_in = |at: &i64| (span.0..span.1).contains(at);
    log.events.iter().rev().filter(|(at, _)| is_in(at)).map(|(_, id)| id.clone()).collect()
}

/// Events in bursts: few seconds with many, long stretches with none.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let burst = (0_i64..1_000_000, 1_i64..5_000, 0_usize..60);
    prop::collection::vec((burst, any::<u64>()), 0..12).prop_map(|bursts| {
        let mut times = Vec::new();
        for ((start, length, count), seed) in bursts {
            let mut chance = keyward_testkit::keys::KeyRng::seeded(seed);
            let at = |_| start + i64::try_from(chance.below(length as usize)).unwrap_or(0);
            times.extend((0..count).map(at));
        }
        times
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_once_and_in_order(
        times in times(),
        from in 0_i64..1_000_000,
        length in 0_i64..1_100_000,
        limit in 1_usize..20,
        seed in any::<u64>(),
    ) {
        let log = Log::new(times);
        let span = (from, from + length);
        let run = run(&log, span, limit, seed, None);
        prop_assert_eq!(&run.ids, &expected(&log, span));
        prop_assert!(run.error.is_none());
    }

    #[test]
    fn what_comes_before_an_error_is_the_beginning(
        times in times(),
        limit in 1_usize..20,
        seed in any::<u64>(),
        fails in 1_usize..30,
    ) {
        let log = Log::new(times);
        let span = (0, 1_100_000);
        let run = run(&log, span, limit, seed, Some(fails));
        let expected = expected(&log, span);
        prop_assert!(expected.starts_with(&run.ids));
        prop_assert!(run.error.is_some() || run.ids == expected, "a part was answered as the whole");
    }

    #[test]
    fn a_server_without_order_loses_nothing(
        times in times(),
        limit in 1_usize..20,
        seed in any::<u64>(),
    ) {
        let mut log = Log::new(times);
        let mut chance = keyward_testkit::keys::KeyRng::seeded(seed);
        for n in (1..log.events.len()).rev() {
            log.events.swap(n, chance.below(n + 1));
        }
        let run = run(&log, (0, 1_100_000), limit, seed, None);
        let mut sorted = log.events.clone();
        sorted.sort_by_key(|(at, _)| *at);
        let time = |id: &String| sorted.iter().find(|(_, known)| known == id).map(|(at, _)| *at);
        prop_assert_eq!(run.ids.len(), sorted.len());
        prop_assert!(run.ids.is_sorted_by_key(time));
    }
}

#[test]
fn few_requests_are_wasted_however_the_events_lie() {
    let even: Vec<i64> = (0..2_000).map(|n| n * 100).collect();
    let one_burst: Vec<i64> = (0..2_000).map(|n| 150_000 + n / 10).collect();
    let one_second = vec![77_777; 500];
    let old: Vec<i64> = (0..2_000).collect();
    let mut growing: Vec<i64> = (0..2_000_i64).map(|n| 200_000 - 200_000 / (n + 1)).collect();
    growing.push(3);
    for (name, times) in [
        ("even", even),
        ("one burst", one_burst),
        ("one second", one_second),
        ("old", old),
        ("growing", growing),
        ("none", Vec::new()),
    ] {
        // The span is far longer than what was logged.
        for span in [(0, 200_000), (-100_000_000, 300_000), (-2_000_000_000, 2_000_000_000)] {
            let pages = times.len().div_ceil(PAGE).max(1);
            let log = Log::new(times.clone());
            let run = run(&log, span, 32, 7, None);
            assert_eq!(run.ids, expected(&log, span), "{name}");
            assert!(
                run.requests <= pages + pages / 4 + 20,
                "{name} {span:?}: {} requests for {pages} pages",
                run.requests
            );
            assert!(run.most_held <= 3 * 32 + 32, "{name} {span:?}: {} held", run.most_held);
        }
    }
}

#[test]
fn a_server_that_pays_no_heed_to_times_is_an_error() {
    for times in [(0..2_000).map(|n| n * 100).collect(), vec![5; 30]] {
        let log = Log { heeds_times: false, ..Log::new(times) };
        let run = run(&log, (10, 190_000), 32, 7, None);
        assert_eq!(run.error.map(|e| e.kind()), Some(ErrorKind::Drift));
        assert!(run.requests < 40, "{}", run.requests);
    }
}

#[test]
fn a_cursor_that_comes_again_ends_it() {
    let mut windows = Windows::new(0, 100, PAGE);
    for _ in 0..2 {
        let step = windows.start(4, 12).expect("a page to fetch");
        windows.page(step.window, vec![Ok(event(0, "e"))], EVENT_BYTES, Some("e".to_owned()));
    }
    let Oldest::Failed(error) = windows.take_oldest() else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::Paging);
    assert!(matches!(windows.take_oldest(), Oldest::None));
}

#[test]
fn what_lies_too_close_together_is_an_error_after_what_was_before_it() {
    let times = [(0..50).map(|n| n * 100).collect(), vec![77_777; 300]].concat();
    let log = Log::new(times);
    let span = (0, 100_000);
    let whole = expected(&log, span);
    let events = |events| Most { events, ..Most::default() };
    let bytes = |bytes| Most { bytes, ..Most::default() };
    for (most, is_enough) in [
        (events(100), false),
        (events(299), false),
        (events(350), true),
        (bytes(100 * EVENT_BYTES), false),
        (bytes(299 * EVENT_BYTES), false),
        (bytes(350 * EVENT_BYTES), true),
    ] {
        for seed in 0..10 {
            let run = run_within(most, &log, span, 4, seed, None);
            assert!(whole.starts_with(&run.ids), "{most:?}");
            if is_enough {
                assert_eq!(run.ids, whole, "{most:?}");
                continue;
            }
            let error = run.error.expect("too much");
            assert_eq!(error.kind(), ErrorKind::Paging, "{error}");
            assert!(error.to_string().contains("`max_held_"), "{error}");
        }
    }
}

#[test]
fn a_second_without_end_comes_to_an_end() {
    let mut windows = Windows::new(7, 100, PAGE);
    windows.most.events = 1_000;
    let mut pages = 0;
    while let Some(step) = windows.start(1, 3) {
        // Whatever is asked for, more of the same second, and another cursor.
        let items = (0..PAGE).map(|n| Ok(event(7, &format!("e{pages}-{n}")))).collect();
        windows.page(step.window, items, EVENT_BYTES, Some(format!("c{pages}")));
        pages += 1;
        assert!(windows.held() <= 201, "{} pages", windows.held());
    }
    assert_eq!(pages, 201);
    let failed = std::iter::from_fn(|| match windows.take_oldest() {
        Oldest::Failed(error) => Some(error),
        _ => None,
    });
    assert_eq!(failed.map(|e| e.kind()).collect::<Vec<_>>(), [ErrorKind::Paging]);
}
