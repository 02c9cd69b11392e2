//! [`Rotator::run`]: rotates when it is due, one new key at a time in each project.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use keyward::Timestamp;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::event::{Event, EventKind, Wait};
use crate::machine::Goal;
use crate::{RotateError, Rotator, Slot, Stragglers};

/// The longest wait before a slot is looked at again: somebody may have rotated it, or put another
/// key in its store.
const LONGEST: Duration = Duration::from_secs(600);
const SHORTEST: Duration = Duration::from_secs(1);

/// The shortest and the longest wait after a failure, which doubles in between.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

impl Rotator {
    /// Rotates every slot when it is due, and goes on with what is open, until it is dropped.
    ///
    /// A slot is due at [`Slot::rotate_after`], and when no key that keyward made is in use. Each
    /// goes a little earlier than that, by a random part of a twentieth of its time, so that the
    /// slots of many do not come at once; and never twice within half of it, whatever the clocks and
    /// the organization say. In one project one new key is made and proved at a time; old ones may
    /// drain beside that. A failure is told in [`events`](Self::events), and tried again after a
    /// minute, two, four, and up to an hour. Where another holds the lease it is looked each minute
    /// whether it still does, so that a replica that dies is soon followed.
    ///
    /// It does not return. Dropping its future stops it at once, wherever it is: what was begun is
    /// gone on with by the next.
    pub async fn run(&self) {
        let mut projects: Vec<(&str, Arc<Mutex<()>>)> = Vec::new();
        // Dropped with this future, and their tasks with it.
        let mut tasks = JoinSet::new();
        for slot in self.slots() {
            let project = slot.project().as_str();
            let turn = match projects.iter().find(|(known, _)| *known == project) {
                Some((_, turn)) => turn.clone(),
                None => {
                    let turn = Arc::new(Mutex::new(()));
                    projects.push((project, turn.clone()));
                    turn
                }
            };
            let (rotator, slot) = (self.clone(), slot.clone());
            tasks.spawn(async move { rotator.keep(&slot, &turn).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Keeps one slot, without end.
    async fn keep(&self, slot: &Slot, turn: &Arc<Mutex<()>>) {
        let mut state = Kept::default();
        loop {
            self.look_after(slot, turn, &mut state).await;
            let pause = state.left(self.now());
            let what = EventKind::Waiting { why: Wait::Due, pause, waited: Duration::ZERO };
            self.tell(slot, what);
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_after(&self, slot: &Slot, turn: &Arc<Mutex<()>>, state: &mut Kept) {
        let name = slot.name();
        state.pause = None;
        let looked = match self.status(name).await {
            Ok(status) => {
                state.due_at = status.due_at.map(|at| early(at, slot, state));
                if status.open.is_none() && !state.is_due(self.now()) {
                    state.failures = 0;
                    return;
                }
                // Until only old keys are waited for.
                let turn = std::sync::Mutex::new(Some(turn.clone().lock_owned().await));
                let promoted = || drop(turn.lock().unwrap_or_else(PoisonError::into_inner).take());
                self.drive_until(name, Goal::Rotate, &promoted).await.map(|_| ())
            }
            Err(error) => {
                self.tell(slot, EventKind::Failed(error.to_string()));
                Err(error)
            }
        };
        match looked {
            Ok(()) => {
                // Whatever is said of the new key: a clock that is ahead, a life that was cut short
                // or no date at all must not bring one rotation after another.
                let rest = slot.rotate_after() / 2;
                *state = Kept { rests_until: Instant::now().checked_add(rest), ..Kept::default() };
                if let Ok(status) = self.status(name).await {
                    state.due_at = status.due_at.map(|at| early(at, slot, state));
                }
            }
            Err(error) => {
                let pause = pause_after(&error, state.failures, slot);
                // To wait for one's turn is no failure.
                state.failures += u32::from(!error.is_lease_held());
                state.pause = Some(Instant::now() + pause);
            }
        }
    }

    fn tell(&self, slot: &Slot, what: EventKind) {
        let slot = slot.name().to_owned();
        self.hub().tell(&Event { at: self.now(), slot, rotation: None, what });
    }
}

/// What the loop remembers of a slot.
#[derive(Clone, Debug, Default)]
struct Kept {
    due_at: Option<Timestamp>,
    /// The random part, the same until the slot was rotated.
    jitter: Option<f64>,
    failures: u32,
    pause: Option<Instant>,
    /// Until when no rotation begins, by the clock that does not jump.
    rests_until: Option<Instant>,
}

impl Kept {
    fn is_due(&self, now: Timestamp) -> bool {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        !rests && self.due_at.is_none_or(|at| now >= at)
    }

    /// How long nothing has to be done.
    fn left(&self, now: Timestamp) -> Duration {
        let until = |until: Instant| until.duration_since(Instant::now());
        if let Some(pause) = self.pause {
            return until(pause).max(SHORTEST);
        }
        let due = self.due_at.map_or(Duration::ZERO, |at| at.saturating_since(now));
        let rests = self.rests_until.map(until).unwrap_or_default();
        due.max(rests).clamp(SHORTEST, LONGEST)
    }
}

/// How long after a failure it is tried again.
fn pause_after(error: &RotateError, failures: u32, slot: &Slot) -> Duration {
    let (shortest, longest) = AFTER_FAILURE;
    let pause = shortest.saturating_mul(1 << failures.min(6)).min(longest);
    // Who holds the lease may die: it is taken soon after it has run out.
    let pause = if error.is_lease_held() { shortest } else { pause };
    let pause = match slot.stragglers() {
        // A key that is held expires if nobody puts that off.
        Stragglers::Hold => pause.min(slot.grace() / 4).max(shortest),
        _ => pause,
    };
    pause.max(error.retry_after().unwrap_or_default())
}

/// A due date, earlier by a random part of a twentieth of the time between two rotations.
fn early(at: Timestamp, slot: &Slot, state: &mut Kept) -> Timestamp {
    let jitter = *state.jitter.get_or_insert_with(fastrand::f64);
    let most = slot.rotate_after() / 20;
    crate::status::before(at, most.mul_f64(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_brings_one_rotation_after_another() {
        let now = Timestamp::from_unix_seconds(1_790_000_000);
        let fresh = Kept::default();
        assert!(fresh.is_due(now), "a slot without a key is due");
        let rests_until = Some(Instant::now() + Duration::from_secs(3600));
        for due_at in [None, Some(now), Some(crate::status::before(now, Duration::from_secs(9)))] {
            let kept = Kept { due_at, rests_until, ..Kept::default() };
            assert!(!kept.is_due(now), "{kept:?}");
            assert!(kept.left(now) == LONGEST, "{kept:?}");
        }
    }

    #[test]
    fn when_it_is_tried_again() {
        use crate::RotateErrorKind::{LeaseHeld, LeaseLost, OrganizationUnavailable};

        let slot = Slot::new("billing", "p", "s", keyward_admin::Scopes::All).unwrap();
        let error = |kind| RotateError::new(kind, "what", "fix");
        let minutes = |kind, failures| pause_after(&error(kind), failures, &slot).as_secs() / 60;
        for (failures, expected) in [(0, 1), (1, 2), (2, 4), (6, 60), (99, 60)] {
            assert_eq!(minutes(OrganizationUnavailable, failures), expected);
            assert_eq!((minutes(LeaseHeld, failures), minutes(LeaseLost, failures)), (1, 1));
        }
        // A grace of an hour: somebody must put the expiry of a key that is held off.
        let held = slot.clone().with_stragglers(Stragglers::Hold);
        let pause = pause_after(&error(OrganizationUnavailable), 99, &held);
        assert_eq!(pause, held.grace() / 4);
        let asked = error(OrganizationUnavailable).after(Some(Duration::from_secs(7200)));
        let at_once = held.clone().with_grace(Duration::ZERO);
        for slot in [&slot, &held, &at_once] {
            assert_eq!(pause_after(&asked, 0, slot).as_secs(), 7200, "as it was asked for");
        }
        let pause = pause_after(&error(OrganizationUnavailable), 0, &at_once);
        assert_eq!(pause, AFTER_FAILURE.0, "nothing is held");
    }

    #[test]
    fn how_much_earlier() {
        let slot = Slot::new("billing", "p", "s", keyward_admin::Scopes::All).unwrap();
        let hour = Duration::from_secs(3600);
        let slot = slot.with_rotate_after(hour).unwrap();
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        for _ in 0..100 {
            let early = early(at, &slot, &mut Kept::default());
            assert!(at.saturating_since(early) <= hour / 20);
        }
    }
}
