//! The controller by itself: told the time, one request after the other.

use super::*;

const THROTTLED: Outcome = Outcome::Throttled { retry_after: None };

fn asked(seconds: u64) -> Outcome {
    Outcome::Throttled { retry_after: Some(Duration::from_secs(seconds)) }
}

fn controller() -> Controller {
    Controller::new(4, 64, Duration::from_secs(90))
}

fn go(controller: &mut Controller, now: Moment) -> Ticket {
    match controller.poll(now) {
        Turn::Go(ticket) => ticket,
        turn => panic!("{turn:?} at {now}"),
    }
}

/// What may be sent at once.
fn all(controller: &mut Controller, now: Moment) -> Vec<Ticket> {
    std::iter::from_fn(|| match controller.poll(now) {
        Turn::Go(ticket) => Some(ticket),
        _ => None,
    })
    .collect()
}

#[test]
fn it_begins_with_few_and_soon_has_as_many_as_it_may() {
    let mut controller = controller();
    let mut rounds = Vec::new();
    for round in 0..8 {
        let now = f64::from(round);
        let sent = all(&mut controller, now);
        rounds.push(sent.len());
        assert_eq!(controller.poll(now), Turn::WhenOneEnds);
        for ticket in sent {
            controller.finished(now + 0.5, ticket, Outcome::Ok, None, 0.5);
        }
    }
    assert_eq!(rounds[0], 4);
    assert!(rounds.windows(2).all(|r| r[1] <= 2 * r[0]), "{rounds:?}");
    assert_eq!(rounds[7], 64, "{rounds:?}");
}

#[test]
fn a_pause_is_as_long_as_asked_and_capped() {
    // A row: what the server asked, the least and the most pause in seconds.
    for (outcome, least, most) in [
        (asked(7), 7.0, 7.0),
        (asked(600), 90.0, 90.0),
        (asked(0), 0.05, 0.2),
        (THROTTLED, 0.05, 0.2),
    ] {
        for chance in [0.0, 0.99] {
            let mut controller = controller();
            let ticket = go(&mut controller, 0.0);
            let change = controller.finished(1.0, ticket, outcome, None, chance);
            let (pause, _) = change.pause.expect("a pause");
            assert!((least..=most).contains(&pause), "{outcome:?}: {pause}");
            assert_eq!(controller.poll(1.0), Turn::At(1.0 + pause));
        }
    }
}

#[test]
fn one_episode_is_one_pause_and_ends_with_one_probe() {
    let mut controller = controller();
    let sent = all(&mut controller, 0.0);
    let changes: Vec<_> = sent
        .into_iter()
        .map(|ticket| controller.finished(0.1, ticket, asked(5), None, 0.5))
        .collect();
    assert_eq!(changes.iter().filter(|c| c.pause.is_some()).count(), 1);
    let probe = all(&mut controller, 5.2);
    assert_eq!(probe.len(), 1);
    let change = controller.finished(5.3, probe[0], Outcome::Ok, None, 0.5);
    assert!(change.resumed);
}

#[test]
fn a_probe_that_tells_nothing_is_followed_by_another() {
    for outcome in [Outcome::Failed, Outcome::Other] {
        let mut controller = controller();
        let ticket = go(&mut controller, 0.0);
        controller.finished(0.1, ticket, asked(5), None, 0.5);
        let probe = go(&mut controller, 6.0);
        assert_eq!(controller.poll(6.0), Turn::WhenOneEnds);
        controller.finished(6.1, probe, outcome, None, 0.5);
        go(&mut controller, 60.0);
        assert_eq!(controller.poll(60.0), Turn::WhenOneEnds);
    }
}

#[test]
fn pauses_double_while_nothing_is_taken() {
    let mut controller = controller();
    let (mut now, mut pauses) = (0.0, Vec::new());
    for _ in 0..12 {
        let ticket = go(&mut controller, now);
        let change = controller.finished(now, ticket, THROTTLED, None, 0.5);
        let pause = change.pause.expect("a pause").0;
        pauses.push(pause);
        now += pause;
    }
    assert!(pauses[..8].windows(2).all(|p| (1.9..2.1).contains(&(p[1] / p[0]))), "{pauses:?}");
    assert!(pauses.iter().all(|p| *p <= LONGEST_PAUSE * 1.1), "{pauses:?}");
}

#[test]
fn the_rate_of_a_bucket_is_found() {
    for (rate, size) in [(50.0, 50.0), (20.0, 5.0), (1.0, 10.0), (10.0 / 60.0, 10.0)] {
        let mut controller = controller();
        let (mut level, mut at, mut now): (f64, f64, f64) = (size, 0.0, 0.0);
        let mut learned = None;
        for _ in 0..2_000 {
            match controller.poll(now) {
                Turn::At(moment) => now = moment,
                Turn::WhenOneEnds => unreachable!("each has ended"),
                Turn::Go(ticket) => {
                    level = f64::min(size, level + rate * (now - at));
                    at = now;
                    let outcome = if level >= 1.0 {
                        level -= 1.0;
                        Outcome::Ok
                    } else {
                        THROTTLED
                    };
                    now += 1e-4;
                    let change = controller.finished(now, ticket, outcome, None, 0.5);
                    learned = change.learned.or(learned);
                }
            }
        }
        let learned = learned.expect("a rate");
        assert!((learned / rate - 1.0).abs() < 0.05, "{learned} of {rate}");
    }
}

#[test]
fn what_the_server_says_is_left_is_not_exceeded() {
    let mut controller = controller();
    let ticket = go(&mut controller, 0.0);
    controller.finished(0.1, ticket, Outcome::Ok, Some(Remaining(2)), 0.5);
    // Two, and then one alone when both have ended.
    let sent = all(&mut controller, 0.2);
    assert_eq!(sent.len(), 2);
    controller.finished(0.3, sent[0], Outcome::Ok, Some(Remaining(0)), 0.5);
    assert_eq!(controller.poll(0.3), Turn::WhenOneEnds);
    controller.finished(0.3, sent[1], Outcome::Ok, Some(Remaining(0)), 0.5);
    assert_eq!(all(&mut controller, 0.4).len(), 1);
}

#[test]
fn what_it_keeps_is_bounded() {
    let mut trace = Trace::new(0.0);
    for n in 0..100_000 {
        trace.sent(f64::from(n));
    }
    assert!(trace.groups.len() <= Trace::MOST);
    let kept: f64 = trace.groups.iter().map(|group| group.1).sum();
    assert_eq!(kept, 100_000.0);
}
