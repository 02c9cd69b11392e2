//! The gate before each endpoint: who may send now, and how long the others wait.
//!
//! What it decides is [`controller`]'s; here are the queue, the clock and the observer. What a
//! caller sets and sees of it is in [`crate::pacing`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::controller::{Controller, Moment, Ticket, Turn};
pub(crate) use self::controller::{Outcome, Remaining};
use crate::operations::Operation;
use crate::pacing::{Event, Pacing, Why};

mod bucket;
mod controller;
#[cfg(test)]
mod simulation;

/// The gates of one client: one for each method and path template that was called.
pub(crate) struct Gate {
    pacing: Pacing,
    start: Instant,
    // Of the table's operations none is ever forgotten; of paths that callers made up, so many are
    // kept as `MOST_MADE_UP` allows. Each is of a bounded size.
    endpoints: Mutex<HashMap<Name, Arc<Endpoint>>>,
}

/// What a gate stands before.
#[derive(Eq, Hash, PartialEq)]
struct Name {
    method: &'static str,
    path: Cow<'static, str>,
}

/// The longest wait that is asked for exceeds what the caller allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WouldWaitTooLong {
    pub(crate) needed: Duration,
    /// Whether the server's rate, or calls that have not ended, held it back; otherwise the deadline
    /// had just passed.
    pub(crate) is_held: bool,
}

struct Endpoint {
    /// Not an operation of the table.
    made_up: bool,
    controller: Mutex<Controller>,
    /// Held by the first in line alone; it is fair, and who is dropped leaves the line.
    first: tokio::sync::Mutex<()>,
    /// Told to the first in line: ask the controller again.
    changed: Notify,
    waiting: std::sync::atomic::AtomicUsize,
}

impl Gate {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self { pacing, start: Instant::now(), endpoints: Mutex::default() }
    }

    /// Waits for this caller's turn, first come first served.
    pub(crate) async fn enter(
        &self,
        operation: &Operation,
        deadline: Option<Instant>,
    ) -> Result<Pass<'_>, WouldWaitTooLong> {
        let endpoint = self.endpoint(operation);
        let in_line = InLine::new(&endpoint);
        let too_long = |ahead| {
            let now = self.now();
            let needed = lock(&endpoint.controller).expected_wait(now, ahead);
            WouldWaitTooLong { needed: seconds(needed), is_held: true }
        };
        let in_time =
            |until: Moment| deadline.is_none_or(|deadline| self.start + seconds(until) <= deadline);
        // What is known not to come in time need not be waited for.
        let pause_ends = {
            let now = self.now();
            now + lock(&endpoint.controller).pause(now)
        };
        if !in_time(pause_ends) {
            let late = too_long(0);
            return Err(WouldWaitTooLong { is_held: !late.needed.is_zero(), ..late });
        }
        let turn = async {
            let _first = endpoint.first.lock().await;
            let mut told = false;
            loop {
                let now = self.now();
                let turn = lock(&endpoint.controller).poll(now);
                match turn {
                    Turn::Go(ticket) => return Ok(ticket),
                    Turn::At(moment) if !in_time(moment) => return Err(too_long(1)),
                    Turn::At(moment) => {
                        // Not a rounding error before it, which would be asked again at once.
                        let until = seconds(moment) + Duration::from_micros(1);
                        let lasting = seconds(moment - now);
                        if !told && lasting >= TOLD_FROM {
                            told = true;
                            let why = Why::Paced;
                            let operation = operation.clone();
                            self.tell(&Event::Waiting { operation, lasting, why });
                        }
                        // A pause may grow meanwhile, and a pace may rise.
                        tokio::select! {
                            () = tokio::time::sleep_until(self.start + until) => {}
                            () = endpoint.changed.notified() => {}
                        }
                    }
                    Turn::WhenOneEnds => endpoint.changed.notified().await,
                }
            }
        };
        let ticket = match deadline {
            Some(deadline) => match tokio::time::timeout_at(deadline, turn).await {
                Ok(ticket) => ticket?,
                Err(_) => return Err(too_long(endpoint.waiting())),
            },
            None => turn.await?,
        };
        drop(in_line);
        Ok(Pass { gate: self, endpoint, operation: operation.clone(), ticket: Some(ticket) })
    }

    fn endpoint(&self, operation: &Operation) -> Arc<Endpoint> {
        let mut endpoints = lock(&self.endpoints);
        let mut name = Name { method: operation.method, path: operation.path.clone() };
        let made_up = operation.is_made_up();
        if made_up && !endpoints.contains_key(&name) {
            let kept = |endpoints: &HashMap<_, Arc<Endpoint>>| {
                endpoints.values().filter(|endpoint| endpoint.made_up).count()
            };
            if kept(&endpoints) >= MOST_MADE_UP {
                let now = self.now();
                // Nobody is in it or waits for it, and it has nothing to tell.
                endpoints.retain(|_, endpoint| {
                    !endpoint.made_up
                        || Arc::strong_count(endpoint) > 1
                        || lock(&endpoint.controller).pause(now) > 0.0
                });
            }
            if kept(&endpoints) >= MOST_MADE_UP {
                name = Name { method: "", path: Cow::Borrowed("all the others") };
            }
        }
        let endpoint = endpoints.entry(name).or_insert_with(|| {
            let controller =
                Controller::new(FIRST_IN_FLIGHT, self.pacing.in_flight(), self.pacing.cap());
            Arc::new(Endpoint {
                made_up,
                controller: Mutex::new(controller),
                first: tokio::sync::Mutex::default(),
                changed: Notify::new(),
                waiting: std::sync::atomic::AtomicUsize::new(0),
            })
        });
        Arc::clone(endpoint)
    }

    /// How many gates there are.
    #[cfg(test)]
    fn endpoints(&self) -> usize {
        lock(&self.endpoints).len()
    }

    /// The longest `Retry-After` that is obeyed.
    pub(crate) fn cap(&self) -> Duration {
        self.pacing.cap()
    }

    fn now(&self) -> Moment {
        self.start.elapsed().as_secs_f64()
    }

    pub(crate) fn tell(&self, event: &Event) {
        match event {
            Event::Waiting { operation, lasting, why } => {
                tracing::debug!(%operation, ?lasting, ?why, "waiting");
            }
            Event::Page { listing, page, items, .. } => {
                tracing::debug!(%listing, page, items, "page");
            }
            Event::Resumed { operation } => tracing::debug!(%operation, "resumed"),
            Event::Learned { operation, rate } => {
                tracing::debug!(%operation, rate = *rate, "learned");
            }
        }
        self.pacing.tell(event);
    }
}

/// With so many requests at once an endpoint is approached, and with twice as many each round while
/// all goes well.
///
/// Eight of them, and not four, save one round trip of the four that it takes to have 64 under way,
/// which is 6 % of 1,000 calls. Where a minute's bucket holds 7 to 10 requests, as has been seen, it
/// is gone with the first round either way, and the second round is in vain: about 16 requests and
/// not 12, once for each operation that a client calls so often. From then on the rate is learned.
const FIRST_IN_FLIGHT: u32 = 8;
/// So many paths outside the table have a gate of their own; what comes beyond shares one.
const MOST_MADE_UP: usize = 256;
/// Shorter waits of single callers are not told.
const TOLD_FROM: Duration = Duration::from_secs(1);

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("pacing", &self.pacing).finish_non_exhaustive()
    }
}

/// The right to send one request. Dropped unfinished, it counts as one that told nothing.
#[must_use = "dropping it says that the request has ended"]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    endpoint: Arc<Endpoint>,
    operation: Operation,
    ticket: Option<Ticket>,
}

impl Pass<'_> {
    pub(crate) fn finished(mut self, outcome: Outcome, remaining: Option<Remaining>) {
        self.end(outcome, remaining);
    }

    fn end(&mut self, outcome: Outcome, remaining: Option<Remaining>) {
        let Some(ticket) = self.ticket.take() else { return };
        let now = self.gate.now();
        let chance = fastrand::f64();
        let change =
            lock(&self.endpoint.controller).finished(now, ticket, outcome, remaining, chance);
        self.endpoint.changed.notify_one();
        let operation = &self.operation;
        if let Some(rate) = change.learned {
            self.gate.tell(&Event::Learned { operation: operation.clone(), rate });
        }
        if let Some((pause, asked)) = change.pause {
            let why = if asked { Why::Asked } else { Why::BackOff };
            self.gate.tell(&Event::Waiting {
                operation: operation.clone(),
                lasting: seconds(pause),
                why,
            });
        }
        if change.resumed {
            self.gate.tell(&Event::Resumed { operation: operation.clone() });
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.end(Outcome::Other, None);
    }
}

/// A place in the line, counted as long as it lives.
struct InLine<'a>(&'a Endpoint);

impl<'a> InLine<'a> {
    fn new(endpoint: &'a Endpoint) -> Self {
        endpoint.waiting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(endpoint)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Endpoint {
    fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of others runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds(seconds: f64) -> Duration {
    // A hundred years at the most, which every clock can still be moved by.
    Duration::try_from_secs_f64(seconds.clamp(0.0, 3.2e9)).unwrap_or_default()
}
