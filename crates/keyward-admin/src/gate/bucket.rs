//! What a gate knows of the server's bucket: how it is found out, and the likeness that is kept.

use super::controller::{FIRST_PAUSE, Moment};

/// How much faster each request comes than the one before, while the rate is searched.
const RAMP: f64 = 1.5;
/// The same where a bucket of one token answers a step too far with a long pause.
const GENTLE_RAMP: f64 = 1.15;
/// The rate is searched no further ahead of what the server has taken than so many times: a large
/// bucket would let every step through, and then refuse all that is under way.
const AHEAD: f64 = 2.0;
/// Timers are no finer than this.
pub(super) const TICK: f64 = 0.002;
/// Below the measured rate by so much: 429s then come from creeping up, not from chance.
const MARGIN: f64 = 0.01;
/// The same where a 429 costs much.
const WIDE_MARGIN: f64 = 0.02;
/// What creeping up adds in a step.
const CREEP: f64 = 0.01;
/// Where a 429 costs much, a rate so close to the ceiling is left alone for a while.
const NEAR: f64 = 0.05;
/// No step above the ceiling before so many times what the last pause has lost have passed, so that
/// pauses cost 5 % at most.
const HOLD_PAUSES: f64 = 20.0;
/// A 429 that loses more tokens than this costs much.
const DEAR: f64 = 4.0;

/// What the next 429 would cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stakes {
    /// A pause of one token's time, or one in which the bucket fills and nothing is lost.
    Low,
    /// A pause that the server asks for and in which its bucket runs over.
    High,
}

impl Stakes {
    pub(super) fn of(asked: Option<f64>, rate: f64, size: f64) -> Self {
        if asked.unwrap_or(0.0) * rate - size > DEAR { Self::High } else { Self::Low }
    }
}

/// After the first 429: one request after the other, each sooner, until the next 429.
#[derive(Debug)]
pub(super) struct Learning {
    pub(super) rate: f64,
    pub(super) next: Moment,
    last: Moment,
    /// The last one went when its time had come: it was neither the window nor a lack of callers
    /// that held it back.
    on_pace: bool,
    pub(super) burst: Burst,
    pub(super) trace: Trace,
    /// Since when.
    began: Moment,
    /// Nothing was in vain yet, so what comes late may still belong to the burst.
    is_first: bool,
    ramp: f64,
}

/// What a bucket gave that was full at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) start: Moment,
    pub(super) got_through: f64,
    /// From the start to the last of them.
    pub(super) lasted: f64,
}

/// The likeness of the bucket.
#[derive(Debug)]
pub(super) struct Paced {
    pub(super) rate: f64,
    pub(super) level: f64,
    pub(super) at: Moment,
    pub(super) burst: Burst,
    /// The size that follows from the burst has turned out to be no more than this.
    pub(super) most_size: f64,
    /// Rates up to here may well be the server's; above is unlikely.
    ceiling: f64,
    stakes: Stakes,
    step: f64,
    /// Successes before the next step up.
    step_at: u64,
    /// No step above the ceiling before this.
    since: Moment,
    /// Requests since it was last taken for full, if it was.
    pub(super) since_full: f64,
    pub(super) trace: Trace,
}

/// When requests were sent since the bucket was empty, in a bounded number of groups.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) start: Moment,
    pub(super) groups: Vec<(Moment, f64)>,
    size: f64,
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
    /// From a moment at which the bucket was empty, and the pause after it.
    pub(super) fn new(empty: Moment, until: Moment, asked: Option<f64>, burst: Burst) -> Self {
        let is_gentle = asked.is_some() && burst.got_through < 2.0;
        Self {
            rate: first_rate(asked, until - empty),
            next: until,
            last: until,
            on_pace: true,
            burst,
            trace: Trace::new(empty),
            began: until,
            is_first: true,
            ramp: if is_gentle { GENTLE_RAMP } else { RAMP },
        }
    }

    /// Begins again after another pause; the bucket has stayed empty.
    pub(super) fn again(&mut self, empty: Moment, until: Moment, asked: Option<f64>) {
        self.rate = first_rate(asked, until - empty);
        self.next = until;
        self.began = until;
        self.is_first = false;
        self.trace.groups.clear();
    }

    /// So many were taken since it began.
    pub(super) fn faster(&mut self, now: Moment, taken: u64) {
        if self.on_pace {
            let taken_at = taken as f64 / (now - self.began).max(1e-6);
            self.rate = (self.rate * self.ramp).min((AHEAD * taken_at).max(self.rate));
            self.next = self.next.min(self.last + 1.0 / self.rate);
        }
    }

    /// One that was on its way when the bucket was empty had been taken before.
    pub(super) fn late(&mut self, sent: Moment) {
        if self.is_first {
            self.burst.got_through += 1.0;
            self.burst.lasted = self.burst.lasted.max(sent - self.burst.start);
        }
    }

    pub(super) fn sent(&mut self, now: Moment) {
        self.trace.sent(now);
        self.on_pace = now - self.next < (0.3 / self.rate).max(TICK);
        self.last = now;
        self.next = now + 1.0 / self.rate;
    }
}

impl Burst {
    pub(super) fn size(&self, rate: f64) -> f64 {
        (self.got_through - rate * self.lasted).max(1.0)
    }
}

impl Trace {
    pub(super) const MOST: usize = 64;

    pub(super) fn new(start: Moment) -> Self {
        Self { start, groups: Vec::new(), size: 1.0 }
    }

    pub(super) fn sent(&mut self, now: Moment) {
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
    pub(super) fn solve(
        &self,
        end: Moment,
        share: f64,
        strays: f64,
        size: impl Fn(f64) -> f64,
    ) -> (f64, f64) {
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
    /// The server's rate lies between these.
    pub(super) fn new(
        (least, most): (f64, f64),
        burst: Burst,
        most_size: f64,
        stakes: Stakes,
    ) -> Self {
        let between = |weight: f64| least * (most / least).powf(weight);
        let (rate, ceiling) = match stakes {
            Stakes::Low => (between(0.7) * (1.0 - MARGIN), most),
            Stakes::High => (least * (1.0 - WIDE_MARGIN), between(0.3)),
        };
        Self {
            rate,
            level: 0.0,
            at: 0.0,
            burst,
            most_size,
            ceiling,
            stakes,
            step: CREEP,
            step_at: 0,
            since: 0.0,
            since_full: 0.0,
            trace: Trace::new(0.0),
        }
    }

    /// So many were taken since the last 429.
    pub(super) fn faster(&mut self, now: Moment, taken: u64) {
        if taken < self.step_at {
            return;
        }
        let gap = self.ceiling / self.rate - 1.0;
        let near = match self.stakes {
            Stakes::Low => CREEP,
            Stakes::High => NEAR,
        };
        if gap < near && now < self.since {
            return;
        }
        self.settle(now);
        self.rate *= 1.0 + self.next_step();
        if gap <= CREEP {
            self.step = (self.step * 1.5).min(0.05);
        }
        self.step_at = taken + self.patience();
    }

    /// The server's rate is no more than this.
    pub(super) fn at_most(&mut self, now: Moment, most: f64) {
        self.settle(now);
        self.rate = most * (1.0 - 3.0 * MARGIN);
        self.ceiling = self.ceiling.min(most);
    }

    /// After a 429 at that moment and a pause from now on; so many had been taken since the last.
    pub(super) fn hold(&mut self, now: Moment, pause: f64, got_through: f64) {
        self.step_at = self.patience();
        let share = match self.stakes {
            // What few requests have told is tried again sooner.
            Stakes::Low => (got_through / 100.0).clamp(0.1, 1.0),
            Stakes::High => 1.0,
        };
        // What comes into the bucket meanwhile is not lost.
        let lost = (pause - self.size() / self.rate).max(pause * 0.05);
        self.since = now + lost * HOLD_PAUSES * share;
        self.level = self.level.min(0.0);
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
    pub(super) fn size(&self) -> f64 {
        (self.burst.size(self.rate).min(self.most_size) * 0.9 - 1.0).max(1.0)
    }

    pub(super) fn level_at(&self, now: Moment) -> f64 {
        (self.level + self.rate * (now - self.at).max(0.0)).min(self.size())
    }

    fn settle(&mut self, now: Moment) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    pub(super) fn ready(&self, now: Moment) -> Moment {
        let level = self.level_at(now);
        if level >= 1.0 - 1e-9 { now } else { now + (1.0 - level) / self.rate }
    }

    pub(super) fn sent(&mut self, now: Moment) {
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
