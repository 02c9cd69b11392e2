//! [`Rotator::run`]: rotates when it is due, one new key at a time in each project.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use keyward::Timestamp;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::event::{Event, EventKind, Wait};
use crate::machine::Goal;
use crate::{RotateError, Rotator, Slot, Status, Stragglers};

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
    /// slots of many do not come at once. Whether it is due is looked at again under its lease, so
    /// that of several that see it one goes. A key that this has brought into use stays for half of
    /// that time, or of its life if the organization cut that short, whatever the clocks and the dates
    /// say. One that somebody puts back into its place stays for a day, or until
    /// [`rotate`](Self::rotate) is called. None of that holds back the rotation after a leak, if
    /// [`rotate_now`](Self::rotate_now) left it open.
    ///
    /// In one project one new key is made and proved at a time; old ones may drain beside that. A
    /// failure is told in [`events`](Self::events), and tried again after a minute, two, four, and up
    /// to an hour. Where another holds the lease it is looked each minute whether it still does, so
    /// that a replica that dies is soon followed.
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
            let pause = state.left(self.now(), self.running());
            let what = EventKind::Waiting { why: Wait::Due, pause, waited: Duration::ZERO };
            self.tell(slot, what);
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_after(&self, slot: &Slot, turn: &Arc<Mutex<()>>, state: &mut Kept) {
        let name = slot.name();
        let early = state.early(slot);
        state.pause = None;
        let looked = match self.status_early(name, early).await {
            Ok(status) => {
                state.see(&status, slot);
                if status.open.is_none() && !state.is_due(self.now(), self.running()) {
                    state.failures = 0;
                    return;
                }
                // Until only old keys are waited for.
                let turn = std::sync::Mutex::new(Some(turn.clone().lock_owned().await));
                let promoted_at = std::sync::Mutex::new(None);
                let promoted = |is_new: bool| {
                    drop(turn.lock().unwrap_or_else(PoisonError::into_inner).take());
                    if is_new {
                        let mut at = promoted_at.lock().unwrap_or_else(PoisonError::into_inner);
                        *at = Some(self.running());
                    }
                };
                // Another may have rotated it meanwhile: whether it is due is asked under the lease.
                let goal = Goal::Due { early, not_before: state.rests_until() };
                let driven = self.drive_until(name, goal, &promoted).await;
                if let Some(at) = promoted_at.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    (state.promoted_at, state.jitter) = (Some(at), None);
                }
                driven.map(|_| ())
            }
            Err(error) => {
                self.tell(slot, EventKind::Failed(error.to_string()));
                Err(error)
            }
        };
        match looked {
            Ok(()) => {
                state.failures = 0;
                let early = state.early(slot);
                if let Ok(status) = self.status_early(name, early).await {
                    state.see(&status, slot);
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
    is_urgent: bool,
    /// The random part, the same until the slot was rotated.
    jitter: Option<f64>,
    failures: u32,
    pause: Option<Instant>,
    /// When this loop last brought a key into use, as long as the rotator had been going, by the clock
    /// that does not jump.
    promoted_at: Option<Duration>,
    /// For how long after that no rotation begins.
    rest: Duration,
}

impl Kept {
    fn see(&mut self, status: &Status, slot: &Slot) {
        (self.due_at, self.is_urgent) = (status.due_at, status.is_urgent);
        self.rest = status.rest(slot);
    }

    /// How much earlier than it is due a slot goes: a random part of a twentieth of the time between
    /// two rotations.
    fn early(&mut self, slot: &Slot) -> Duration {
        let jitter = *self.jitter.get_or_insert_with(fastrand::f64);
        (slot.rotate_after() / 20).mul_f64(jitter)
    }

    /// How long the rotator has been going when the next rotation may begin.
    fn rests_until(&self) -> Duration {
        self.promoted_at.map_or(Duration::ZERO, |at| at.saturating_add(self.rest))
    }

    fn is_due(&self, now: Timestamp, running: Duration) -> bool {
        let rests = running < self.rests_until();
        self.is_urgent || (!rests && self.due_at.is_none_or(|at| now >= at))
    }

    /// How long nothing has to be done.
    fn left(&self, now: Timestamp, running: Duration) -> Duration {
        if let Some(pause) = self.pause {
            return pause.duration_since(Instant::now()).max(SHORTEST);
        }
        if self.is_urgent {
            return SHORTEST;
        }
        let due = self.due_at.map_or(Duration::ZERO, |at| at.saturating_since(now));
        due.max(self.rests_until().saturating_sub(running)).clamp(SHORTEST, LONGEST)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_but_a_leak_brings_one_rotation_after_another() {
        let now = Timestamp::from_unix_seconds(1_790_000_000);
        let hour = Duration::from_secs(3600);
        assert!(Kept::default().is_due(now, Duration::ZERO), "a slot without a key is due");
        for due_at in [None, Some(now), Some(crate::status::before(now, Duration::from_secs(9)))] {
            let kept = Kept { due_at, promoted_at: Some(hour), rest: hour, ..Kept::default() };
            assert!(!kept.is_due(now, hour * 3 / 2), "{kept:?}");
            assert_eq!(kept.left(now, hour * 3 / 2), LONGEST, "{kept:?}");
            assert!(kept.is_due(now, hour * 2), "it has rested: {kept:?}");
            let leaked = Kept { is_urgent: true, ..kept };
            assert!(leaked.is_due(now, hour * 3 / 2), "{leaked:?}");
            assert_eq!(leaked.left(now, hour * 3 / 2), SHORTEST, "{leaked:?}");
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
            let mut kept = Kept::default();
            let early = kept.early(&slot);
            assert!(early <= hour / 20, "{early:?}");
            assert_eq!(kept.early(&slot), early, "the same until it was rotated");
            let due_at = crate::status::before(at, early);
            assert!(due_at <= at && at.saturating_since(due_at) <= hour / 20, "{due_at}");
        }
    }
}
