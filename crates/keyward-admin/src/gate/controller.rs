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
    /// It went when at least a quarter of what may be under way was.
    busy: bool,
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
/// Timers are no finer than this.
const TICK: f64 = 0.002;
/// Below the measured rate by so much: 429s then come from creeping up, not from chance.
const MARGIN: f64 = 0.01;
/// What creeping up adds in a step.
const CREEP: f64 = 0.01;
/// No step above the ceiling before so many times the last pause have passed, so that pauses cost
/// 5 % at most.
const HOLD_PAUSES: f64 = 20.0;

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
    /// Of the `ok`, those that were under way when it began.
    strays: u64,
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
    last: Moment,
    /// The last one went when its time had come: it was neither the window nor a lack of callers
    /// that held it back.
    on_pace: bool,
    burst: Burst,
    trace: Trace,
}

/// What a bucket gave that was full at first.
#[derive(Clone, Copy, Debug)]
struct Burst {
    got_through: f64,
    lasted: f64,
}

/// The likeness of the bucket.
#[derive(Debug)]
struct Paced {
    rate: f64,
    level: f64,
    at: Moment,
    burst: Burst,
    /// The size that follows from the burst has turned out to be no more than this.
    most_size: f64,
    /// Rates up to here may well be the server's; above is unlikely.
    ceiling: f64,
    step: f64,
    /// Successes before the next step up.
    step_at: u64,
    /// No step above the ceiling before this.
    since: Moment,
    /// Requests since it was last taken for full, if it was.
    since_full: f64,
    trace: Trace,
}

/// When requests were sent since the bucket was empty, in a bounded number of groups.
#[derive(Debug)]
struct Trace {
    start: Moment,
    groups: Vec<(Moment, f64)>,
    size: f64,
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
            remaining: None,
            span: Span { start: 0.0, first: 0, not_ok: 0, ok: 0, strays: 0 },
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
                    self.span = Span { start: now, first: number, not_ok: 0, ok: 0, strays: 0 };
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
        let busy = f64::from(self.in_flight) * 4.0 >= self.window;
        Turn::Go(Ticket { number, sent: now, busy })
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
        let is_busy = f64::from(self.in_flight) * 2.0 >= self.window;
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
                    self.span.ok += 1;
                    if ticket.number >= self.episode {
                        self.failures = 0;
                        self.faster(now);
                    } else {
                        self.span.strays += 1;
                        if let Phase::Paced(paced) = &mut self.phase {
                            paced.level -= 1.0;
                        }
                    }
                }
                let more = match &self.phase {
                    Phase::Open if ticket.busy => 1.0,
                    Phase::Learning(_) if is_busy => 0.125,
                    Phase::Paced(_) if is_busy => 1.0,
                    _ => 0.0,
                };
                self.window = (self.window + more).min(self.max_in_flight);
            }
            Outcome::Throttled { retry_after } => {
                let asked = retry_after.map(|d| d.as_secs_f64()).filter(|s| *s > 0.0);
                if ticket.number < self.episode {
                    // The same empty bucket, told by a request that was under way.
                    if let Phase::Learning(learning) = &mut self.phase
                        && ticket.number < self.span.first
                    {
                        // It had been counted among those that would get through.
                        learning.burst.got_through -= 1.0;
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
                if ticket.number >= self.span.first.max(self.episode) {
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
                if learning.on_pace {
                    learning.rate *= RAMP;
                    learning.next = learning.next.min(learning.last + 1.0 / learning.rate);
                }
            }
            Phase::Paced(paced) => {
                if self.span.ok < paced.step_at {
                    return;
                }
                let gap = paced.ceiling / paced.rate - 1.0;
                if gap < CREEP && now < paced.since {
                    return;
                }
                paced.settle(now);
                paced.rate *= 1.0 + paced.next_step();
                if gap <= CREEP {
                    paced.step = (paced.step * 1.5).min(0.05);
                }
                paced.step_at = self.span.ok + paced.patience();
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
        let first = self.span.first.max(self.episode);
        let sent = ticket.number.saturating_sub(first) as f64;
        let strays = self.span.strays as f64;
        let got_through = (sent - self.span.not_ok as f64).max(0.0);
        let share = if sent > 0.0 { got_through / sent } else { 1.0 };
        // Nothing was taken since the last 429: only the pause was too short.
        let in_vain = got_through == 0.0 && !matches!(self.phase, Phase::Open);
        self.failures = if in_vain { self.failures + 1 } else { 0 };

        // Where the next 429 costs a long pause, the lower end is the better guess.
        let cost = |rate: f64| if asked.unwrap_or(0.0) * rate > 4.0 { 0.3 } else { 0.7 };
        let known = match &mut self.phase {
            Phase::Open => None,
            Phase::Learning(_) if in_vain => None,
            Phase::Learning(learning) => {
                let (least, most) = learning
                    .trace
                    .solve(ticket.sent, share, strays, |rate| learning.burst.size(rate));
                // Slower than the server's rate it would not have come to this.
                let most = most.min(learning.rate);
                let bounds = (least.min(most).max(most * 0.4), most);
                let paced = Paced::new(bounds, learning.burst, f64::INFINITY, cost(bounds.1));
                let rate = paced.rate;
                self.phase = Phase::Paced(paced);
                Some(rate)
            }
            Phase::Paced(paced) if in_vain => {
                // Less than one token has come since the bucket was empty, beside those of strays.
                let lasted = (ticket.sent - self.span.start).max(1e-6);
                let most = ((1.0 + strays) / lasted).clamp(paced.rate * 0.7, paced.rate);
                paced.settle(now);
                paced.rate = most * (1.0 - 3.0 * MARGIN);
                paced.ceiling = paced.ceiling.min(most);
                Some(paced.rate)
            }
            Phase::Paced(paced) => {
                let burst = paced.burst;
                let mut most_size = paced.most_size;
                let gave = got_through.min(paced.since_full - 1.0).max(1.0);
                let size_was_wrong = paced.since_full > 0.0 && gave < paced.size() - 0.5;
                if size_was_wrong {
                    // It was taken for full, and gave less.
                    most_size = gave;
                }
                let (least, most) = paced
                    .trace
                    .solve(ticket.sent, share, strays, |rate| burst.size(rate).min(most_size));
                // Whatever the likeness says, this rate was too high; the more so the sooner.
                let most = if size_was_wrong {
                    paced.rate
                } else {
                    let known = if got_through < 20.0 { 0.95 } else { 0.995 };
                    // Few requests tell little.
                    let floor = if got_through < 4.0 { 0.85 } else { 0.5 };
                    most.min(paced.rate * known).max(paced.rate * floor)
                };
                let bounds = (least.min(most).max(most * 0.7), most);
                *paced = Paced::new(bounds, burst, most_size, cost(paced.rate));
                Some(paced.rate)
            }
        };
        let learned = known;

        let own = match known {
            Some(rate) if self.failures == 0 => 1.0 / rate,
            Some(rate) => 2.0_f64.powi((self.failures - 1).min(20)) / rate,
            None => FIRST_PAUSE * 2.0_f64.powi(self.failures.min(20)),
        };
        let own = own.min(LONGEST_PAUSE) * (0.9 + 0.2 * chance);
        let pause = asked.unwrap_or(own).min(self.max_pause);
        self.until = now + pause;
        if pause >= PROBED_PAUSE || known.is_none() {
            self.probe = Probe::Needed;
            self.window = 1.0;
        } else {
            self.probe = Probe::None;
            self.window = (self.window / 2.0).max(self.first_window);
        }

        match &mut self.phase {
            Phase::Open => {
                let lasted = (ticket.sent - self.span.start).max(0.0);
                let burst = Burst { got_through, lasted };
                let rate = first_rate(asked, pause);
                self.phase = Phase::Learning(Learning::new(rate, self.until, burst, ticket.sent));
            }
            Phase::Learning(learning) => {
                // The bucket has stayed empty since the span began, which goes on.
                learning.rate = first_rate(asked, self.until - self.span.start);
                learning.next = self.until;
                learning.trace.groups.clear();
            }
            Phase::Paced(paced) => {
                paced.step_at = paced.patience();
                // What few requests have told is tried again sooner.
                let holds = HOLD_PAUSES * (got_through / 100.0).clamp(0.1, 1.0);
                paced.since = now + pause * holds;
                if !in_vain {
                    paced.at = ticket.sent;
                    paced.trace = Trace::new(ticket.sent);
                }
                paced.level = paced.level.min(0.0);
            }
        }
        self.episode = self.next;
        if in_vain {
            self.span.not_ok = 0;
        } else {
            self.span =
                Span { start: ticket.sent, first: ticket.number + 1, not_ok: 0, ok: 0, strays: 0 };
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
    fn new(rate: f64, next: Moment, burst: Burst, start: Moment) -> Self {
        Self { rate, next, last: next, on_pace: true, burst, trace: Trace::new(start) }
    }

    fn sent(&mut self, now: Moment) {
        self.trace.sent(now);
        self.on_pace = now - self.next < (0.3 / self.rate).max(TICK);
        self.last = now;
        self.next = now + 1.0 / self.rate;
    }
}

impl Burst {
    fn size(&self, rate: f64) -> f64 {
        (self.got_through - rate * self.lasted).max(1.0)
    }
}

impl Trace {
    const MOST: usize = 64;

    fn new(start: Moment) -> Self {
        Self { start, groups: Vec::new(), size: 1.0 }
    }

    fn sent(&mut self, now: Moment) {
        match self.groups.last_mut() {
            Some(last) if last.1 < self.size => *last = (now, last.1 + 1.0),
            _ => self.groups.push((now, 1.0)),
        }
        if self.groups.len() > Self::MOST {
            // Half as many, twice as coarse.
            self.groups = self
                .groups
                .chunks(2)
                .filter_map(|pair| {
                    let sum = pair.iter().map(|group| group.1).sum();
                    pair.last().map(|last| (last.0, sum))
                })
                .collect();
            self.size *= 2.0;
        }
    }

    /// Between which rates a bucket took these requests, and then one no more.
    fn solve(&self, end: Moment, share: f64, strays: f64, size: impl Fn(f64) -> f64) -> (f64, f64) {
        // The level before the last request, and the lowest after one that was taken.
        let levels = |rate: f64| {
            let size = size(rate);
            let (mut level, mut at, mut lowest) = (0.5 - strays, self.start, f64::INFINITY);
            for (sent, count) in self.groups.iter().filter(|(sent, _)| *sent < end) {
                level = (level + rate * (sent - at) - count * share).min(size - 1.0);
                at = *sent;
                lowest = lowest.min(level);
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
        let least = bisect(&|rate| levels(rate).1 >= 0.0);
        (least.min(most), most)
    }
}

impl Paced {
    fn new((least, most): (f64, f64), burst: Burst, most_size: f64, weight: f64) -> Self {
        Self {
            rate: least * (most / least).powf(weight) * (1.0 - MARGIN),
            level: 0.0,
            at: 0.0,
            burst,
            most_size,
            ceiling: most,
            step: CREEP,
            step_at: 0,
            since: 0.0,
            since_full: 0.0,
            trace: Trace::new(0.0),
        }
    }

    /// How far the next step goes: towards the ceiling, or beyond it ever faster.
    fn next_step(&self) -> f64 {
        let gap = self.ceiling / self.rate - 1.0;
        if gap > CREEP { (gap / 4.0).clamp(CREEP, 0.25) } else { self.step }
    }

    /// Successes before the next step: half of what would show that this rate is too high.
    fn patience(&self) -> u64 {
        (0.8 / self.next_step()) as u64
    }

    /// What it is trusted to hold: not the last drop, for running dry costs a pause.
    fn size(&self) -> f64 {
        (self.burst.size(self.rate).min(self.most_size) * 0.9 - 1.0).max(1.0)
    }

    fn level_at(&self, now: Moment) -> f64 {
        (self.level + self.rate * (now - self.at).max(0.0)).min(self.size())
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
        self.trace.sent(now);
        let size = self.size();
        if size > 1.0 && self.level >= size - 1e-6 {
            self.since_full = 1.0;
        } else if self.since_full > 0.0 {
            self.since_full += 1.0;
        }
        self.level -= 1.0;
    }
}

#[cfg(test)]
mod tests;
