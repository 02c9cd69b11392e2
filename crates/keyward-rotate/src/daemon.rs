//! [`Rotator::run`]: rotates when it is due, one slot at a time in each project.

use std::time::Duration;

use keyward::Timestamp;
use tokio::task::JoinSet;

use crate::event::{Event, EventKind, Wait};
use crate::machine::Goal;
use crate::{RotateError, Rotator, Slot};

/// The longest wait before a slot is looked at again: somebody may have rotated it, or put another
/// key in its store.
const LONGEST: Duration = Duration::from_secs(600);

/// The shortest and the longest wait after a failure, which doubles in between.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

impl Rotator {
    /// Rotates every slot when it is due, and goes on with what is open, until it is dropped.
    ///
    /// A slot is due at [`Slot::rotate_after`], and when no key that keyward made is in use. Each
    /// goes a little earlier than that, by a random part of a twentieth of its time to live, so that
    /// the slots of many do not come at once. In one project one slot is rotated at a time. A
    /// failure is told in [`events`](Self::events), and tried again after a minute, two, four, and
    /// up to an hour.
    ///
    /// It does not return. Dropping its future stops it at once, wherever it is: what was begun is
    /// gone on with by the next.
    pub async fn run(&self) {
        let mut projects: Vec<(&str, Vec<String>)> = Vec::new();
        for slot in self.slots() {
            let (project, name) = (slot.project().as_str(), slot.name().to_owned());
            match projects.iter_mut().find(|(known, _)| *known == project) {
                Some((_, slots)) => slots.push(name),
                None => projects.push((project, vec![name])),
            }
        }
        // Dropped with this future, and their tasks with it.
        let mut tasks = JoinSet::new();
        for (_, slots) in projects {
            let rotator = self.clone();
            tasks.spawn(async move { rotator.keep(slots).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Keeps the slots of one project, without end.
    async fn keep(&self, slots: Vec<String>) {
        let mut states = vec![Kept::default(); slots.len()];
        loop {
            let mut next = LONGEST;
            for (name, state) in slots.iter().zip(&mut states) {
                if state.pause.is_none_or(|until| tokio::time::Instant::now() >= until) {
                    self.look_after(name, state).await;
                }
                next = next.min(state.left(self.now()));
            }
            self.tell_wait(&slots, next);
            tokio::time::sleep(next).await;
        }
    }

    async fn look_after(&self, name: &str, state: &mut Kept) {
        state.pause = None;
        let looked = match self.status(name).await {
            Ok(status) => {
                let slot = self.slots().find(|slot| slot.name() == name);
                let due_at = status.due_at.map(|at| early(at, slot, state));
                state.due_at = due_at;
                let is_due = status.open.is_some() || due_at.is_none_or(|at| self.now() >= at);
                if !is_due {
                    state.failures = 0;
                    return;
                }
                self.drive(name, Goal::Rotate).await.map(|_| ())
            }
            Err(error) => {
                self.tell_failure(name, &error);
                Err(error)
            }
        };
        match looked {
            Ok(()) => {
                *state = Kept::default();
                if let Ok(status) = self.status(name).await {
                    let slot = self.slots().find(|slot| slot.name() == name);
                    state.due_at = status.due_at.map(|at| early(at, slot, state));
                }
            }
            Err(error) => {
                let (shortest, longest) = AFTER_FAILURE;
                let pause = shortest.saturating_mul(1 << state.failures.min(6)).min(longest);
                let pause = pause.max(error.retry_after().unwrap_or_default());
                state.failures += 1;
                state.pause = Some(tokio::time::Instant::now() + pause);
            }
        }
    }

    fn tell_failure(&self, slot: &str, error: &RotateError) {
        self.hub().tell(&Event {
            at: self.now(),
            slot: slot.to_owned(),
            rotation: None,
            what: EventKind::Failed(error.to_string()),
        });
    }

    fn tell_wait(&self, slots: &[String], pause: Duration) {
        for slot in slots {
            let what = EventKind::Waiting { why: Wait::Due, pause, waited: Duration::ZERO };
            let at = self.now();
            self.hub().tell(&Event { at, slot: slot.clone(), rotation: None, what });
        }
    }
}

/// What the loop remembers of a slot.
#[derive(Clone, Debug, Default)]
struct Kept {
    due_at: Option<Timestamp>,
    /// The random part, the same until the slot was rotated.
    jitter: Option<f64>,
    failures: u32,
    pause: Option<tokio::time::Instant>,
}

impl Kept {
    /// How long nothing has to be done.
    fn left(&self, now: Timestamp) -> Duration {
        let paused = self.pause.map(|until| until.duration_since(tokio::time::Instant::now()));
        let due = self.due_at.map(|at| at.saturating_since(now));
        let left = paused.or(due).unwrap_or(LONGEST);
        left.clamp(Duration::from_secs(1), LONGEST)
    }
}

/// A due date, earlier by a random part of a twentieth of the time to live.
fn early(at: Timestamp, slot: Option<&Slot>, state: &mut Kept) -> Timestamp {
    let jitter = *state.jitter.get_or_insert_with(fastrand::f64);
    let most = slot.map_or(Duration::ZERO, |slot| slot.ttl() / 20);
    crate::status::before(at, most.mul_f64(jitter))
}
