//! What a gate decides for one endpoint: a state machine that is told the time and the chance.
//!
//! It takes the server for a token bucket of unknown rate and size, and keeps a likeness of it.
//! Before the first 429 nothing is paced. A 429 says that the bucket is empty, so between two of
//! them the requests that got through are the rate times the time, to within one.

use std::time::Duration;

/// A moment: seconds since the gate was made.
pub(crate) type Moment = f64;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// No answer, or one that says that the server is not well.
    Failed,
    /// The server took it.
    Ok,
    /// Nothing that tells about rates.
    Other,
    /// The server asks for fewer requests.
    Throttled { retry_after: Option<Duration> },
}

/// How many requests the server says it still takes. The Admin API does not say it (2026-11), a
/// gateway before it may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Remaining(pub(crate) u64);

/// Whether the next caller may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// Ask again at that moment.
    At(Moment),
    /// Now.
    Go(Ticket),
    /// Ask again when a request has ended.
    WhenOneEnds,
}

/// One admitted request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticket {
    number: u64,
    sent: Moment,
}

/// What a finished request has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// All wait for so many seconds, because the server asked for it or for want of a better idea.
    pub(crate) pause: Option<(f64, bool)>,
    /// The first request after a pause was taken.
    pub(crate) resumed: bool,
    /// What is now taken for the server's rate, in requests a second.
    pub(crate) learned: Option<f64>,
}

/// A back-off begins here: five tokens of a bucket of 50 a second.
const FIRST_PAUSE: f64 = 0.1;
const LONGEST_PAUSE: f64 = 60.0;
/// A pause as long as this ends with one request alone.
const PROBED_PAUSE: f64 = 0.25;
/// How much faster each request comes than the one before, while the rate is searched.
const RAMP: f64 = 1.5;
/// Below the measured rate by so much: 429s then come from creeping up, not from chance.
const MARGIN: f64 = 0.01;
/// What creeping up adds in a step.
const CREEP: f64 = 0.01;
/// Successes before the first step, and between steps.
const HOLD: u64 = 80;
const STEP: u64 = 40;
/// No step before so many times the last pause have passed, so that pauses cost 1 % at most.
const HOLD_PAUSES: f64 = 60.0;

#[derive(Debug)]
pub(crate) struct Controller {
    first_window: f64,
    max_in_flight: f64,
    max_pause: f64,
    window: f64,
    in_flight: u32,
    next: u64,
    /// All wait until then.
    until: Moment,
    probe: Probe,
    /// Throttles of requests before this one are news of yesterday.
    episode: u64,
    /// Pauses since a request was last taken.
    failures: i32,
    last_pause: f64,
    remaining: Option<u64>,
    span: Span,
    /// Since when requests have come without a long gap, before the first 429.
    idle_since: Moment,
    phase: Phase,
}

#[derive(Debug, PartialEq)]
enum Probe {
    None,
    Needed,
    Out(u64),
}

/// What was sent since a moment at which the bucket was empty; or, before the first 429, full.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Moment,
    first: u64,
    /// Of those sent since, the ones that took no token.
    not_ok: u64,
    ok: u64,
}

#[derive(Debug)]
enum Phase {
    Open,
    Learning(Learning),
    Paced(Paced),
}

/// After the first 429: one request after the other, each sooner, until the next 429.
#[derive(Debug)]
struct Learning {
    rate: f64,
    next: Moment,
    sent: [Moment; RING],
    count: usize,
    /// The first span: how many got through in how long from a bucket that was full.
    burst: (f64, f64),
    last: Moment,
}

const RING: usize = 64;

/// The likeness of the bucket.
#[derive(Debug)]
struct Paced {
    rate: f64,
    level: f64,
    size: f64,
    at: Moment,
    /// Successes before the next step up.
    step_at: u64,
    since: Moment,
    crept: bool,
    capped: bool,
    used_credit: f64,
}

impl Controller {
    pub(crate) fn new(first: u32, max_in_flight: u32, max_pause: Duration) -> Self {
        let max_in_flight = f64::from(max_in_flight.max(1));
        let window = f64::from(first.max(1)).min(max_in_flight);
        Self {
            first_window: window,
            max_in_flight,
            max_pause: max_pause.as_secs_f64(),
            window,
            in_flight: 0,
            next: 0,
            until: 0.0,
            probe: Probe::None,
            episode: 0,
            failures: 0,
            last_pause: 0.0,
            remaining: None,
            span: Span { start: 0.0, first: 0, not_ok: 0, ok: 0 },
            idle_since: 0.0,
            phase: Phase::Open,
        }
    }

    /// How long everybody waits from now on.
    pub(crate) fn pause(&self, now: Moment) -> f64 {
        (self.until - now).max(0.0)
    }

    /// When so many callers more would have had their turn, as far as is known.
    pub(crate) fn expected_wait(&self, now: Moment, callers: usize) -> f64 {
        let pace = match &self.phase {
            Phase::Open => 0.0,
            Phase::Learning(l) => callers as f64 / l.rate,
            Phase::Paced(p) => (callers as f64 - p.level_at(now)).max(0.0) / p.rate,
        };
        self.pause(now) + pace
    }

    /// Whether the next caller may go. It is asked for one caller at a time, the first in line.
    pub(crate) fn poll(&mut self, now: Moment) -> Turn {
        if f64::from(self.in_flight) >= self.window.floor() {
            return Turn::WhenOneEnds;
        }
        if now < self.until {
            return Turn::At(self.until);
        }
        if self.remaining == Some(0) && self.in_flight > 0 {
            return Turn::WhenOneEnds;
        }
        if matches!(self.probe, Probe::Out(_)) {
            return Turn::WhenOneEnds;
        }
        let number = self.next;
        match &mut self.phase {
            Phase::Open => {
                if self.in_flight == 0 && now - self.idle_since > 1.0 {
                    self.span = Span { start: now, first: number, not_ok: 0, ok: 0 };
                }
            }
            Phase::Learning(learning) => {
                if now < learning.next {
                    return Turn::At(learning.next);
                }
                learning.sent(now);
            }
            Phase::Paced(paced) => {
                let ready = paced.ready(now);
                if now < ready {
                    return Turn::At(ready);
                }
                paced.sent(now);
            }
        }
        if self.probe == Probe::Needed {
            self.probe = Probe::Out(number);
        }
        self.next += 1;
        self.in_flight += 1;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
        Turn::Go(Ticket { number, sent: now })
    }

    /// Takes note of how a request ended. `chance` lies in `0.0..1.0`.
    pub(crate) fn finished(
        &mut self,
        now: Moment,
        ticket: Ticket,
        outcome: Outcome,
        remaining: Option<Remaining>,
        chance: f64,
    ) -> Change {
        let was_full = f64::from(self.in_flight) * 2.0 >= self.window;
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.idle_since = now;
        }
        // What is on its way is not in the server's count yet.
        self.remaining = remaining.map(|r| r.0.saturating_sub(u64::from(self.in_flight)));
        let was_probe = self.probe == Probe::Out(ticket.number);
        let mut change = Change::default();
        match outcome {
            Outcome::Ok => {
                if was_probe {
                    self.probe = Probe::None;
                    change.resumed = true;
                }
                if ticket.number >= self.span.first {
                    self.failures = 0;
                    self.span.ok += 1;
                    self.faster(now);
                }
                if was_full {
                    self.window = (self.window + 1.0).min(self.max_in_flight);
                }
            }
            Outcome::Throttled { retry_after } => {
                let asked = retry_after.map(|d| d.as_secs_f64()).filter(|s| *s > 0.0);
                if ticket.number < self.episode {
                    // The same empty bucket, told by a request that was under way.
                    if ticket.number >= self.span.first {
                        self.span.not_ok += 1;
                    }
                    if let Some(asked) = asked {
                        self.until = self.until.max(now + asked.min(self.max_pause));
                    }
                } else {
                    change = self.throttled(now, ticket, asked, chance);
                }
            }
            Outcome::Failed | Outcome::Other => {
                if was_probe {
                    // It told nothing; the next one tries.
                    self.probe = Probe::Needed;
                }
                if ticket.number >= self.span.first {
                    self.span.not_ok += 1;
                }
            }
        }
        change
    }

    fn faster(&mut self, now: Moment) {
        match &mut self.phase {
            Phase::Open => {}
            Phase::Learning(learning) => {
                // Only where somebody waits for it does going faster tell anything.
                if now - learning.last < 3.0 / learning.rate + 1.0 {
                    learning.rate *= RAMP;
                    learning.next = learning.next.min(learning.last + 1.0 / learning.rate);
                }
            }
            Phase::Paced(paced) => {
                if self.span.ok >= paced.step_at && now >= paced.since {
                    paced.settle(now);
                    paced.rate *= 1.0 + CREEP;
                    paced.crept = true;
                    paced.step_at = self.span.ok + STEP;
                }
            }
        }
    }

    fn throttled(
        &mut self,
        now: Moment,
        ticket: Ticket,
        asked: Option<f64>,
        chance: f64,
    ) -> Change {
        let got_through =
            (ticket.number - self.span.first.min(ticket.number)).saturating_sub(self.span.not_ok);
        let lasted = (ticket.sent - self.span.start).max(1e-6);
        let mut learned = None;
        // Nothing was taken since the last 429: only the pause was too short.
        let in_vain = got_through == 0 && !matches!(self.phase, Phase::Open);
        self.failures = if in_vain { self.failures + 1 } else { 0 };

        let known = match &mut self.phase {
            Phase::Open => None,
            Phase::Learning(_) if in_vain => None,
            Phase::Learning(learning) => {
                let rate = learning.solve(self.span.start, ticket.sent, got_through);
                let (burst, time) = learning.burst;
                let size = (burst - rate * time).max(1.0);
                let paced = Paced::new(rate * (1.0 - MARGIN), size, now);
                self.phase = Phase::Paced(paced);
                Some(rate)
            }
            Phase::Paced(paced) => {
                let measured = (got_through as f64 + 0.5) / lasted;
                let floor = if paced.capped || paced.crept {
                    paced.rate * (1.0 - 1.5 * CREEP)
                } else if got_through < 4 {
                    paced.rate * 0.7
                } else {
                    paced.rate * 0.5
                };
                if paced.used_credit > 1.5 {
                    paced.size = (paced.size * 0.7).max(1.0);
                }
                let rate = if in_vain {
                    paced.rate * 0.8
                } else {
                    measured.clamp(floor, paced.rate.max(floor)) * (1.0 - MARGIN)
                };
                *paced = Paced::new(rate, paced.size, now);
                Some(rate)
            }
        };
        if let Some(rate) = known {
            learned = Some(rate);
        }

        let own = match known {
            Some(rate) if self.failures == 0 => 1.0 / rate,
            Some(rate) => 2.0_f64.powi(self.failures.min(20)) / rate,
            None => FIRST_PAUSE * 2.0_f64.powi(self.failures.min(20)),
        };
        let own = own.min(LONGEST_PAUSE) * (0.9 + 0.2 * chance);
        let pause = asked.unwrap_or(own).min(self.max_pause);
        self.last_pause = pause;
        self.until = now + pause;
        if pause >= PROBED_PAUSE || known.is_none() {
            self.probe = Probe::Needed;
            self.window = 1.0;
        } else {
            self.probe = Probe::None;
            self.window = (self.window / 2.0).max(self.first_window);
        }

        let burst = (got_through as f64, lasted);
        match &mut self.phase {
            Phase::Open => {
                self.phase = Phase::Learning(Learning::new(first_rate(asked, pause), self.until, burst));
            }
            Phase::Learning(learning) => {
                // The bucket has stayed empty since the span began, which goes on.
                let since = self.until - self.span.start;
                let rate = first_rate(asked, since);
                *learning = Learning::new(rate, self.until, learning.burst);
            }
            Phase::Paced(paced) => {
                paced.step_at = HOLD.max(got_through.min(4 * HOLD));
                paced.since = now + pause * HOLD_PAUSES;
                paced.at = ticket.sent.max(now - 0.5 / paced.rate);
                paced.level = 0.0;
            }
        }
        self.episode = self.next;
        if !(in_vain && matches!(self.phase, Phase::Learning(_))) {
            self.span = Span {
                start: ticket.sent,
                first: ticket.number + 1,
                not_ok: 0,
                ok: 0,
            };
        } else {
            self.span.not_ok += 1;
        }
        Change { pause: Some((pause, asked.is_some())), resumed: false, learned }
    }
}

/// With which rate to begin after a pause.
fn first_rate(asked: Option<f64>, pause: f64) -> f64 {
    match asked {
        // Whole seconds have been rounded up.
        Some(asked) if asked.fract() == 0.0 => 1.0 / (asked - 1.0).max(FIRST_PAUSE),
        Some(asked) => 1.0 / asked,
        None => 2.0 / pause.max(1e-3),
    }
}

impl Learning {
    fn new(rate: f64, next: Moment, burst: (f64, f64)) -> Self {
        Self { rate, next, sent: [0.0; RING], count: 0, burst, last: next }
    }

    fn sent(&mut self, now: Moment) {
        if let Some(slot) = self.sent.get_mut(self.count) {
            *slot = now;
        }
        self.count += 1;
        self.last = now;
        self.next = now + 1.0 / self.rate;
    }

    /// The rate of the bucket that took these requests and not the last one.
    fn solve(&self, start: Moment, end: Moment, got_through: u64) -> f64 {
        if self.count > RING {
            return (got_through as f64 + 0.5) / (end - start).max(1e-6);
        }
        let sent: Vec<Moment> =
            self.sent.iter().take(self.count).copied().filter(|s| *s < end).collect();
        // The level before the last request, and the lowest before one that was taken.
        let levels = |rate: f64| {
            let size = (self.burst.0 - rate * self.burst.1).max(1.0);
            let (mut level, mut at, mut lowest) = (0.5, start, f64::INFINITY);
            for sent in &sent {
                level = size.min(level + rate * (sent - at));
                at = *sent;
                lowest = lowest.min(level);
                level -= 1.0;
            }
            (size.min(level + rate * (end - at)), lowest)
        };
        let bisect = |too_high: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (1e-5_f64, 1e5_f64);
            for _ in 0..50 {
                let middle = (low * high).sqrt();
                if too_high(middle) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            low
        };
        let most = bisect(&|rate| levels(rate).0 >= 1.0);
        let least = bisect(&|rate| levels(rate).1 >= 1.0);
        (most * least).sqrt()
    }
}

impl Paced {
    fn new(rate: f64, size: f64, now: Moment) -> Self {
        Self {
            rate,
            level: 0.0,
            size,
            at: now,
            step_at: HOLD,
            since: now,
            crept: false,
            capped: false,
            used_credit: 0.0,
        }
    }

    fn level_at(&self, now: Moment) -> f64 {
        (self.level + self.rate * (now - self.at).max(0.0)).min(self.size)
    }

    fn settle(&mut self, now: Moment) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    fn ready(&self, now: Moment) -> Moment {
        let level = self.level_at(now);
        if level >= 1.0 - 1e-9 { now } else { now + (1.0 - level) / self.rate }
    }

    fn sent(&mut self, now: Moment) {
        self.settle(now);
        if self.level >= self.size && self.size > 1.0 {
            self.capped = true;
        }
        self.used_credit = self.used_credit.mul_add(0.5, self.level * 0.5);
        self.level -= 1.0;
    }
}
