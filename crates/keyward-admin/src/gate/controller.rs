//! What a gate decides for one endpoint: a state machine that is told the time and the chance.
//!
//! It takes the server for a token bucket of unknown rate and size, and keeps a likeness of it.
//! Before the first 429 nothing is paced. A 429 says that the bucket is empty, so between two of
//! them the requests that got through are the rate times the time, to within one.

use std::time::Duration;

use super::bucket::{Burst, Learning, Paced, Stakes, TICK, Trace};

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
pub(super) const FIRST_PAUSE: f64 = 0.1;
const LONGEST_PAUSE: f64 = 60.0;
/// A pause as long as this ends with one request alone.
const PROBED_PAUSE: f64 = 0.25;

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
    /// When the last of the `ok` was sent.
    last_ok: Moment,
}

#[derive(Debug)]
enum Phase {
    Open,
    Learning(Learning),
    Paced(Paced),
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
            span: Span::from(0.0, 0),
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
                    self.span = Span::from(now, number);
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
                if ticket.number >= self.episode {
                    self.span.ok += 1;
                    self.span.last_ok = self.span.last_ok.max(ticket.sent);
                    self.failures = 0;
                    self.faster(now);
                } else {
                    self.stray(ticket);
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
                    self.still_empty(ticket.sent);
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
                if ticket.number >= self.episode {
                    self.span.not_ok += 1;
                }
            }
        }
        change
    }

    /// One that was under way at a 429 was taken nevertheless.
    fn stray(&mut self, ticket: Ticket) {
        if ticket.sent > self.span.start + TICK {
            self.span.strays += 1;
        } else if let Phase::Learning(learning) = &mut self.phase {
            // It came before the bucket was empty, whatever the order of their numbers.
            learning.late(ticket.sent);
        }
    }

    /// The bucket was empty at that moment too.
    fn still_empty(&mut self, at: Moment) {
        if at <= self.span.start {
            return;
        }
        let strays = std::mem::take(&mut self.span.strays);
        match &mut self.phase {
            Phase::Open => {}
            Phase::Learning(learning) => {
                (0..strays).for_each(|_| learning.late(at));
                learning.trace.start = at;
            }
            Phase::Paced(paced) => paced.trace.start = at,
        }
        self.span.start = at;
    }

    fn faster(&mut self, now: Moment) {
        match &mut self.phase {
            Phase::Open => {}
            Phase::Learning(learning) => learning.faster(now, self.span.ok),
            Phase::Paced(paced) => paced.faster(now, self.span.ok),
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

        let learned = match &mut self.phase {
            Phase::Open => None,
            Phase::Learning(_) if in_vain => None,
            Phase::Learning(learning) => {
                let (least, most) = learning
                    .trace
                    .solve(ticket.sent, share, strays, |rate| learning.burst.size(rate));
                // Slower than the server's rate it would not have come to this.
                let most = most.min(learning.rate);
                let bounds = (least.min(most).max(most * 0.4), most);
                let stakes = Stakes::of(asked, most, learning.burst.size(most));
                let paced = Paced::new(bounds, learning.burst, f64::INFINITY, stakes);
                let rate = paced.rate;
                self.phase = Phase::Paced(paced);
                Some(rate)
            }
            Phase::Paced(paced) if in_vain => {
                // Less than one token has come since the bucket was empty, beside those of strays.
                let lasted = (ticket.sent - self.span.start).max(1e-6);
                let most = ((1.0 + strays) / lasted).clamp(paced.rate * 0.7, paced.rate);
                paced.at_most(now, most);
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
                let size = burst.size(paced.rate).min(most_size);
                *paced = Paced::new(bounds, burst, most_size, Stakes::of(asked, paced.rate, size));
                Some(paced.rate)
            }
        };
        let own = match learned {
            Some(rate) if self.failures == 0 => 1.0 / rate,
            Some(rate) => 2.0_f64.powi((self.failures - 1).min(20)) / rate,
            None => FIRST_PAUSE * 2.0_f64.powi(self.failures.min(20)),
        };
        let own = own.min(LONGEST_PAUSE) * (0.9 + 0.2 * chance);
        // What a caller allows is what the server may ask; where it does not say how long, whoever
        // will not wait would ask again at once.
        let pause = asked.map_or(own, |asked| asked.min(self.max_pause));
        self.until = now + pause;
        if pause >= PROBED_PAUSE || learned.is_none() {
            self.probe = Probe::Needed;
            self.window = 1.0;
        } else {
            self.probe = Probe::None;
            self.window = (self.window / 2.0).max(self.first_window);
        }

        match &mut self.phase {
            Phase::Open => {
                let start = self.span.start;
                let lasted = (self.span.last_ok - start).max(0.0);
                let burst = Burst { start, got_through: self.span.ok as f64, lasted };
                let learning = Learning::new(ticket.sent, self.until, asked, burst);
                self.phase = Phase::Learning(learning);
            }
            // The bucket has stayed empty since the span began, which goes on.
            Phase::Learning(learning) => learning.again(self.span.start, self.until, asked),
            Phase::Paced(paced) => {
                paced.hold(now, pause, got_through);
                if !in_vain {
                    // What has come since may have been taken by those that are under way.
                    let came = paced.rate * (now - ticket.sent);
                    paced.level = (came - f64::from(self.in_flight)).max(0.0);
                    paced.at = now;
                    paced.trace = Trace::new(ticket.sent);
                }
            }
        }
        self.episode = self.next;
        if in_vain {
            self.span.not_ok = 0;
        } else {
            self.span = Span::from(ticket.sent, ticket.number + 1);
        }
        Change { pause: Some((pause, asked.is_some())), resumed: false, learned }
    }
}

impl Span {
    fn from(start: Moment, first: u64) -> Self {
        Self { start, first, not_ok: 0, ok: 0, strays: 0, last_ok: start }
    }
}

#[cfg(test)]
mod tests;
