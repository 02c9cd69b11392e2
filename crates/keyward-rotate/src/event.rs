//! [`Event`]: what a rotator tells as it goes, and the [`Events`] in which it is told. The same goes
//! to `tracing`, at the target `keyward::rotate`.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use keyward::Timestamp;

/// What filters of logs go by, wherever the code moves.
pub(crate) const TARGET: &str = "keyward::rotate";

/// Something that a rotator did, or waits for. `Display` is one line.
///
/// # Security
///
/// It has ids, tags and times, and never key material.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, by the rotator's clock.
    pub at: Timestamp,
    /// Of which slot.
    pub slot: String,
    /// Of which rotation, if one is open.
    pub rotation: Option<String>,
    /// What.
    pub what: EventKind,
}

/// What an [`Event`] tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// Single keys of service accounts cannot be deleted here, so from now on each key gets an
    /// account of its own.
    DeletionRefused,
    /// An old key could not be given an expiry, so nothing but its deletion ends it.
    ExpiryRefused {
        /// Its id.
        key: String,
    },
    /// A rotation did not go on. The text is the error's.
    Failed(String),
    /// A call is finished, and there is nothing more to do.
    Finished,
    /// An old key is left as it is, because keyward did not make it.
    LeftAlone {
        /// Its id, if it could be told.
        key: Option<String>,
    },
    /// An old key was put back in the new one's place, by somebody else. If it was about to expire, it
    /// was given a whole time to live again.
    RolledBack {
        /// Its id.
        key: String,
    },
    /// At the end of an old key's grace it is not known whether somebody uses it: the organization
    /// does not tell when it was used.
    SilenceUnknown {
        /// Its id.
        key: String,
    },
    /// A step is done and in the journal: `intent`, `minted`, `staged`, `verified`, `promoted`,
    /// `draining`, `retired`, `done`, `handed_on`, `abandoned`, `urgent`, as [`Record::step`](crate::Record::step) tells.
    Step {
        /// Its name.
        step: &'static str,
        /// The key that it is about, if it is about one.
        key: Option<String>,
    },
    /// Somebody still uses an old key at the end of its grace.
    Straggling(Straggler),
    /// It waits.
    Waiting {
        /// For what.
        why: Wait,
        /// How long, before it looks again.
        pause: Duration,
        /// How long it has been waiting for that.
        waited: Duration,
    },
}

/// What a rotator waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Wait {
    /// For the API to accept the new key.
    Acceptance,
    /// For the next rotation to be due.
    Due,
    /// For the organization, the store or the journal to answer again.
    Recovery,
    /// For the old key to fall silent.
    Silence,
}

/// An old key that somebody still uses.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Straggler {
    /// The key's id.
    pub key: String,
    /// When it was last used, by the organization's clock.
    pub last_used_at: Option<Timestamp>,
    /// How long it was watched.
    pub watched: Duration,
    /// How many requests for completions and responses it made since the new key was, as far as the
    /// usage that the organization tells knows by now; none when it tells nothing.
    pub requests: Option<u64>,
}

impl Event {
    /// Whether somebody should look.
    fn is_warning(&self) -> bool {
        matches!(
            self.what,
            EventKind::DeletionRefused
                | EventKind::ExpiryRefused { .. }
                | EventKind::Failed(_)
                | EventKind::RolledBack { .. }
                | EventKind::SilenceUnknown { .. }
                | EventKind::Straggling(_)
        )
    }

    fn is_wait(&self) -> bool {
        matches!(self.what, EventKind::Waiting { .. })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.slot)?;
        if let Some(rotation) = &self.rotation {
            write!(f, "/{rotation}")?;
        }
        f.write_str(": ")?;
        match &self.what {
            EventKind::DeletionRefused => f.write_str(
                "the organization deletes no single key, so each key gets an account of its own",
            ),
            EventKind::ExpiryRefused { key } => {
                write!(f, "{key} cannot be let expire, so nothing but its deletion ends it")
            }
            EventKind::Failed(error) => write!(f, "failed: {error}"),
            EventKind::Finished => f.write_str("finished"),
            EventKind::LeftAlone { key: Some(key) } => {
                write!(f, "{key} is left alone: keyward did not make it")
            }
            EventKind::LeftAlone { key: None } => f.write_str(
                "the old key is left alone: it cannot be told which of the listed it is",
            ),
            EventKind::RolledBack { key } => {
                write!(f, "{key} is in use again, so it lives on; the new key is left over")
            }
            EventKind::SilenceUnknown { key } => {
                write!(f, "when {key} was last used is not told, so it may be in use still")
            }
            EventKind::Step { step, key: Some(key) } => write!(f, "{step} {key}"),
            EventKind::Step { step, key: None } => f.write_str(step),
            EventKind::Straggling(straggler) => write!(f, "{straggler}"),
            EventKind::Waiting { why, pause, waited } => {
                write!(f, "waiting {pause:?} for {why}, {waited:?} so far")
            }
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Acceptance => "the new key to be accepted",
            Self::Due => "the next rotation to be due",
            Self::Recovery => "what does not answer",
            Self::Silence => "the old key to fall silent",
        })
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is still used after {:?}", self.key, self.watched)?;
        if let Some(at) = self.last_used_at {
            write!(f, ", last at {at}")?;
        }
        match self.requests {
            Some(requests) => write!(f, ", {requests} requests known"),
            None => Ok(()),
        }
    }
}

/// How many events are kept for who does not read them.
const KEPT: usize = 4096;

/// The events of a rotator from now on, as a stream. It comes from
/// [`Rotator::events`](crate::Rotator::events).
///
/// No rotation waits for its reader. Steps are kept until they are read, up to 4096 events; of
/// waits that nobody has read yet only the last is kept. What did not fit is counted in
/// [`missed`](Self::missed). It ends when the rotator is gone.
#[derive(Debug)]
pub struct Events {
    queue: Arc<Queue>,
    hub: Weak<Hub>,
}

#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    missed: u64,
    waker: Option<Waker>,
}

impl Events {
    /// The next event; none when there will be no more.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next event, if it is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.lock().events.pop_front()
    }

    /// How many events did not fit, because they were not read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.queue.lock().missed
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.queue.lock();
        if let Some(event) = waiting.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if self.hub.strong_count() == 0 {
            return Poll::Ready(None);
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut waiting = self.lock();
        if event.is_wait()
            && waiting.events.back().is_some_and(|last| last.is_wait() && last.slot == event.slot)
        {
            waiting.events.pop_back();
        }
        if waiting.events.len() < KEPT {
            waiting.events.push_back(event);
        } else {
            waiting.missed += 1;
        }
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Whoever listens to a rotator.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<Vec<Weak<Queue>>>);

impl Hub {
    pub(crate) fn listen(self: &Arc<Self>) -> Events {
        let queue = Arc::new(Queue::default());
        self.queues().push(Arc::downgrade(&queue));
        Events { queue, hub: Arc::downgrade(self) }
    }

    pub(crate) fn tell(&self, event: &Event) {
        let (slot, rotation) = (event.slot.as_str(), event.rotation.as_deref());
        match &event.what {
            EventKind::Waiting { why, pause, .. } => {
                tracing::debug!(target: TARGET, slot, rotation, ?pause, "waiting for {why}");
            }
            EventKind::Step { step, key } => {
                tracing::info!(target: TARGET, slot, rotation, step, key, "a step is done");
            }
            _ if event.is_warning() => tracing::warn!(target: TARGET, slot, rotation, "{event}"),
            _ => tracing::info!(target: TARGET, slot, rotation, "{event}"),
        }
        self.queues().retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(event.clone());
                true
            }
            None => false,
        });
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for an event learns that there will be none.
impl Drop for Hub {
    fn drop(&mut self) {
        for queue in self.queues().iter().filter_map(Weak::upgrade) {
            if let Some(waker) = queue.lock().waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: EventKind) -> Event {
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        Event { at, slot: "billing".to_owned(), rotation: None, what }
    }

    fn wait(seconds: u64) -> EventKind {
        let pause = Duration::from_secs(seconds);
        EventKind::Waiting { why: Wait::Silence, pause, waited: pause }
    }

    #[tokio::test]
    async fn steps_are_kept_and_waits_are_the_last() {
        let hub = Arc::new(Hub::default());
        let mut events = hub.listen();
        for what in [EventKind::Finished, wait(1), wait(2), EventKind::DeletionRefused, wait(3)] {
            hub.tell(&event(what));
        }
        let mut told = Vec::new();
        drop(hub);
        while let Some(event) = events.next().await {
            told.push(event.what);
        }
        assert_eq!(told, [EventKind::Finished, wait(2), EventKind::DeletionRefused, wait(3)]);
    }

    #[tokio::test]
    async fn a_reader_waits_until_it_is_told_or_the_rotator_is_gone() {
        let hub = Arc::new(Hub::default());
        let mut events = hub.listen();
        let reader = tokio::spawn(async move { (events.next().await, events.next().await) });
        tokio::task::yield_now().await;
        hub.tell(&event(EventKind::Finished));
        tokio::task::yield_now().await;
        drop(hub);
        let (first, second) = reader.await.unwrap();
        assert_eq!(first.map(|event| event.what), Some(EventKind::Finished));
        assert_eq!(second, None);
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let hub = Arc::new(Hub::default());
        let events = hub.listen();
        for _ in 0..KEPT + 3 {
            hub.tell(&event(EventKind::Finished));
        }
        assert_eq!(events.missed(), 3);
    }
}
