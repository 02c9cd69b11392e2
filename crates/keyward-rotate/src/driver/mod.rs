//! [`Driver`]: does what the machine decides, one thing after the other, under the slot's lease.

use std::time::Duration;

use keyward::store::{KeyStore, Lease, Snapshot, StoreError};

use crate::event::{Event, EventKind, Hub, Wait};
use crate::journal::{Entry, Journal, OldKey, Record, Written};
use crate::machine::{Goal, Hand, Ledger, Next, Step, View, back_off, decide};
use crate::outcome::Outcome;
use crate::outside::{Minted, Organization, Time};
use crate::probe::Probe;
use crate::status::{due_at, rest};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot};

mod effects;
mod hold;
mod trust;

pub(crate) use self::hold::Held;

/// All that a slot's machine acts on.
pub(crate) struct Outside<'a, O, S, J, P, T> {
    pub(crate) slot: &'a Slot,
    pub(crate) organization: &'a O,
    pub(crate) store: &'a S,
    pub(crate) journal: &'a J,
    pub(crate) probe: &'a P,
    pub(crate) time: &'a T,
    pub(crate) hub: &'a Hub,
    /// By which name the lease is held.
    pub(crate) holder: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) random: &'a (dyn Fn() -> u128 + Send + Sync),
    /// Called when the new key is in use, and only old ones are waited for; and told whether it was
    /// brought into use by this call.
    pub(crate) promoted: &'a (dyn Fn(bool) + Send + Sync),
    #[cfg(test)]
    pub(crate) mutant: Option<crate::machine::Mutant>,
}

/// How a rotator behaves, whatever the slot.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// For how long a lease is taken.
    pub(crate) lease: Duration,
    /// For how long what does not answer is asked again.
    pub(crate) patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(300), patience: Duration::from_secs(120) }
    }
}

impl Settings {
    /// As they are used: machines' clocks agree better than the shortest lease, and who waits for an
    /// answer must not lose it meanwhile.
    pub(crate) fn checked(self) -> Self {
        let lease = self.lease.max(Duration::from_secs(60));
        Self { lease, patience: self.patience.min(lease / 2) }
    }
}

/// One call's run of a slot's machine.
pub(crate) struct Driver<'a, O, S, J, P, T> {
    pub(crate) outside: Outside<'a, O, S, J, P, T>,
    goal: Goal,
    ledger: Ledger,
    written: Written,
    held: Held,
    snapshot: Snapshot,
    /// Whether the snapshot may not be what the store holds.
    is_stale: bool,
    hand: Hand,
    /// The key that was made, until the store has it.
    minted: Option<Minted>,
    outcome: Option<Outcome>,
    stragglers: Vec<crate::Straggler>,
    left_alone: Vec<Option<String>>,
    /// A key that somebody put back, and that could not be given its life back.
    doomed: Option<String>,
}

/// Asks again, with back-off and within the patience, while what does not answer may answer later.
macro_rules! persist {
    ($driver:expr, $call:expr) => {{
        let since = $driver.outside.time.running();
        let mut times = 0;
        loop {
            let error = match $call.await {
                Ok(done) => break Ok(done),
                Err(error) => error,
            };
            times += 1;
            if !$driver.pauses_after(&error, since, times).await {
                break Err(error);
            }
        }
    }};
}
pub(crate) use persist;

/// More steps than any rotation takes between two waits: a machine that goes round in circles is
/// stopped. How long it waits is no matter, because a key may be held for months.
pub(crate) const MOST_STEPS: u32 = 10_000;

impl<'a, O, S, J, P, T> Driver<'a, O, S, J, P, T>
where
    O: Organization,
    S: KeyStore,
    J: Journal,
    P: Probe,
    T: Time,
{
    /// Runs the machine until there is nothing more to do. The outcome is that of the last rotation
    /// that came to its end.
    pub(crate) async fn run(
        outside: Outside<'a, O, S, J, P, T>,
        goal: Goal,
    ) -> Result<Option<Outcome>, RotateError> {
        let slot = outside.slot.name();
        let mut driver = Self::new(outside, goal);
        let result = match driver.take_lease().await {
            Ok(()) => {
                let result = driver.steps().await;
                // It ends by time too.
                let _ = driver.outside.store.release(&driver.held.lease).await;
                result
            }
            Err(error) => Err(error),
        };
        let result = result.map_err(|error| error.in_slot(slot));
        match &result {
            Ok(()) => driver.tell(EventKind::Finished),
            // That another has the slot is no trouble of it.
            Err(error) if error.kind() == RotateErrorKind::LeaseHeld => {}
            Err(error) => driver.tell(EventKind::Failed(error.to_string())),
        }
        result.map(|()| driver.outcome)
    }

    fn new(outside: Outside<'a, O, S, J, P, T>, goal: Goal) -> Self {
        let nobody = Held { lease: Lease::new("", 0, outside.time.wall()), since: Duration::ZERO };
        Self {
            outside,
            goal,
            ledger: Ledger::default(),
            written: Written::default(),
            held: nobody,
            snapshot: Snapshot::new(),
            is_stale: true,
            hand: Hand::default(),
            minted: None,
            outcome: None,
            stragglers: Vec::new(),
            left_alone: Vec::new(),
            doomed: None,
        }
    }

    async fn take_lease(&mut self) -> Result<(), RotateError> {
        self.held = persist!(self, async {
            let since = self.outside.time.running();
            let lease = self.lease_or_usurp().await;
            lease.map(|lease| Held { lease, since }).map_err(|error| RotateError::of_store(&error))
        })?;
        Ok(())
    }

    /// The lease. After a leak nobody is waited for: who holds it, perhaps for days because an old
    /// key is still used, finds its fence passed and stops.
    async fn lease_or_usurp(&self) -> Result<Lease, StoreError> {
        let Outside { store, holder, settings, time, .. } = &self.outside;
        let taken = store.lease(holder, settings.lease, time.wall()).await;
        match taken {
            Err(error) if self.goal == Goal::Now && error.lease().is_some() => {
                let other = error.lease().map(|lease| lease.holder.clone()).unwrap_or_default();
                let theirs = store.lease(&other, settings.lease, time.wall()).await?;
                store.release(&theirs).await?;
                store.lease(holder, settings.lease, time.wall()).await
            }
            taken => taken,
        }
    }

    async fn steps(&mut self) -> Result<(), RotateError> {
        self.written = persist!(self, self.outside.journal.read(self.outside.slot.name()))?;
        let records = self.written.records()?;
        if records.iter().any(|record| record.tag.slot() != self.outside.slot.name()) {
            return Err(RotateError::new(
                RotateErrorKind::JournalRefused,
                "the journal is another slot's",
                "give the slot its name back, or a store and a journal of its own",
            ));
        }
        self.ledger = Ledger::of(&records);
        let project = self.ledger.open.as_ref().and_then(|open| open.project.as_deref());
        if project.is_some_and(|project| project != self.outside.slot.project().as_str()) {
            // There its keys are, and here none of them is found.
            return Err(RotateError::new(
                RotateErrorKind::Configuration,
                "a rotation is open in another project than the slot's",
                "name that project again, resume, and move the slot then",
            ));
        }
        if self.ledger.open.as_ref().is_some_and(|open| open.step.is_promoted()) {
            (self.outside.promoted)(false);
        }
        let is_stored = self.ledger.open.as_ref().is_some_and(|open| open.step >= Step::Staged);
        if is_stored {
            // By whoever had it before, and perhaps just now. Also a store that tells of no lag may
            // be late.
            self.hand.stored_at = Some(self.outside.time.running());
        }
        let mut steps = 0;
        while steps < MOST_STEPS {
            let was_stale = self.is_stale;
            if was_stale {
                self.read_store().await?;
            }
            let next = decide(&self.view());
            steps = if matches!(next, Next::Wait { .. }) { 0 } else { steps + 1 };
            match &next {
                Next::Finished => return Ok(()),
                Next::Stop(error) => return Err(error.clone()),
                // Before something is destroyed, the store is looked at once more.
                Next::DeleteAccount(_)
                | Next::Expire { .. }
                | Next::Retire { .. }
                | Next::Sweep(_)
                    if !was_stale =>
                {
                    self.is_stale = true;
                    continue;
                }
                Next::Wait { .. } | Next::List | Next::LookAgain | Next::Check => {}
                _ => self.renew().await?,
            }
            self.perform(next).await?;
        }
        Err(RotateError::new(
            RotateErrorKind::GaveUp,
            "the rotation does not come to an end",
            "report it, with the journal",
        ))
    }

    fn view(&self) -> View<'_> {
        let (slot, current) = (self.outside.slot, self.snapshot.current.as_ref());
        let running = self.outside.time.running();
        let has_rested = |at| running.saturating_sub(at) >= rest(slot, current);
        let now = self.outside.time.wall();
        let is_due = |early| due_at(slot, &self.ledger, current, early).is_none_or(|at| now >= at);
        let may_begin = match self.goal {
            Goal::Due { not_before, .. } => running >= not_before,
            _ => true,
        };
        View {
            slot,
            goal: self.goal,
            ledger: &self.ledger,
            snapshot: &self.snapshot,
            hand: &self.hand,
            can_expire: self.outside.organization.can_expire(),
            is_due: is_due(Duration::ZERO),
            is_nearly_due: is_due(self.goal.early()),
            has_rested: may_begin && self.hand.promoted_at.is_none_or(has_rested),
            running,
            lag: self.outside.store.lag(),
            #[cfg(test)]
            mutant: self.outside.mutant,
        }
    }

    async fn read_store(&mut self) -> Result<(), RotateError> {
        self.snapshot = persist!(self, async {
            let snapshot = self.outside.store.snapshot().await;
            snapshot.map_err(|error| RotateError::of_store(&error))
        })?;
        let Snapshot { pending, previous, .. } = &mut self.snapshot;
        for place in [pending, previous] {
            // It may be shown for a while yet.
            place.take_if(|stored| self.hand.discarded.contains(&stored.version));
        }
        self.is_stale = false;
        if let Some(current) = &self.snapshot.current {
            self.outside.organization.take_over(&current.key)?;
        }
        Ok(())
    }

    /// The lease is held on. If it is lost, nothing further is done.
    async fn renew(&mut self) -> Result<(), RotateError> {
        #[cfg(test)]
        if self.outside.mutant == Some(crate::machine::Mutant::ForgetOthers) {
            return Ok(());
        }
        let ttl = self.outside.settings.lease;
        // A store was read just now.
        let is_mine = |lease: &Lease| lease.fence == self.held.lease.fence;
        let is_seen = self.snapshot.lease.as_ref().is_some_and(is_mine);
        if is_seen && !self.held.is_old(ttl, self.outside.time.running()) {
            return Ok(());
        }
        self.held = persist!(self, async {
            let mut held = self.held.clone();
            held.renew(&self.outside).await.map(|()| held)
        })?;
        self.is_stale = true;
        Ok(())
    }

    /// Writes something down, before anything else is done.
    async fn note(&mut self, tag: &Tag, entry: Entry) -> Result<(), RotateError> {
        let slot = self.outside.slot.name();
        let at = self.outside.time.wall();
        let record = Record { at, tag: tag.clone(), entry };
        let line = record.to_line();
        let since = self.outside.time.running();
        let mut times = 0;
        loop {
            let error = match self.outside.journal.append(slot, &self.written, &line).await {
                Ok(written) => {
                    self.written = written;
                    break;
                }
                Err(error) => error,
            };
            #[cfg(test)]
            if self.outside.mutant == Some(crate::machine::Mutant::ForgetOthers) {
                self.written = self.outside.journal.read(slot).await?;
                continue;
            }
            times += 1;
            if !self.pauses_after(&error, since, times).await {
                return Err(error);
            }
            // It may have been written, and the answer lost.
            let now = persist!(self, self.outside.journal.read(slot))?;
            if now.text.ends_with(&line) {
                self.written = now;
                break;
            }
            if now.revision != self.written.revision {
                return Err(lost());
            }
        }
        self.ledger.add(&record);
        let key = match &record.entry {
            Entry::Draining { key } | Entry::Retired { key, .. } => Some(key.clone()),
            Entry::Minted { key, .. } => key.clone(),
            Entry::Promoted | Entry::Staged { .. } | Entry::Verified => {
                self.ledger.open.as_ref().and_then(|open| open.key.clone())
            }
            _ => None,
        };
        let step = record.step();
        if record.entry == Entry::Promoted {
            self.hand.promoted_at = Some(self.outside.time.running());
            (self.outside.promoted)(true);
        }
        let what = match record.entry {
            Entry::DeletionRefused => EventKind::DeletionRefused,
            _ => EventKind::Step { step, key },
        };
        self.tell_of(Some(tag), what);
        Ok(())
    }

    /// Whether a failure may pass, and there is time to wait for that; it has been waited then.
    async fn pauses_after(&self, error: &RotateError, since: Duration, times: u32) -> bool {
        let waited = self.outside.time.running().saturating_sub(since);
        let is_passing = error.is_retryable() && !error.is_lease_held();
        let left = self.outside.settings.patience.saturating_sub(waited);
        let pause = error.retry_after().unwrap_or_default().max(back_off(times));
        if !is_passing || pause > left {
            return false;
        }
        self.tell(EventKind::Waiting { why: Wait::Recovery, pause, waited });
        self.outside.time.sleep(pause).await;
        true
    }

    fn tell(&self, what: EventKind) {
        self.tell_of(self.ledger.open.as_ref().map(|open| &open.tag), what);
    }

    fn tell_of(&self, tag: Option<&Tag>, what: EventKind) {
        self.outside.hub.tell(&Event {
            at: self.outside.time.wall(),
            slot: self.outside.slot.name().to_owned(),
            rotation: tag.map(|tag| tag.rotation().to_owned()),
            what,
        });
    }

    /// The rotation is over.
    fn finish(&mut self, handed_on: &[OldKey]) {
        let Some(open) = self.ledger.open.clone().filter(|open| open.step == Step::Promoted) else {
            return;
        };
        let current = self.snapshot.current.as_ref();
        let is_mine = self.hand.began.as_ref() == Some(&open.tag);
        // What leaked is replaced by a key that was made after that.
        let is_urgent = self.ledger.is_urgent && !open.now;
        #[cfg(test)]
        let is_urgent = is_urgent && {
            use crate::machine::Mutant;
            !matches!(self.outside.mutant, Some(Mutant::ForgetNow | Mutant::LeaveLeaked))
        };
        self.hand.is_finished = !is_urgent && (is_mine || self.goal != Goal::Now);
        let handed_on: Vec<_> = handed_on.iter().map(|old| old.key.clone()).collect();
        let mut left_alone = std::mem::take(&mut self.left_alone);
        // What an earlier process left alone is not written down; it still is the previous one.
        if let Some(previous) = self.snapshot.previous.as_ref().filter(|_| !is_mine) {
            let id = &previous.note.key_id;
            let is_known = |id: &String| open.is_retired(id) || handed_on.contains(id);
            // One of keyward's that is not to be retired was gone.
            let is_ours = Tag::is_of(previous.note.tag.as_deref(), self.outside.slot.name());
            if !is_ours && !id.as_ref().is_some_and(is_known) {
                left_alone.push(id.clone());
            }
        }
        // Of a call that ends one rotation and makes another.
        left_alone.extend(self.outcome.take().into_iter().flat_map(|earlier| earlier.left_alone));
        self.outcome = Some(Outcome {
            slot: self.outside.slot.name().to_owned(),
            key_id: current.and_then(|key| key.note.key_id.clone()).or(open.key),
            expires_at: current.and_then(|key| key.note.expires_at),
            retired: open.retired,
            handed_on,
            left_alone,
            stragglers: std::mem::take(&mut self.stragglers),
            was_resumed: !is_mine,
            has_own_account: open.own_account,
            tag: open.tag,
        });
        if !self.ledger.abandoned.is_empty() {
            // What was given up may have appeared since.
            self.hand.listing = None;
        }
    }
}

/// Somebody else wrote the journal.
fn lost() -> RotateError {
    RotateError::new(
        RotateErrorKind::LeaseLost,
        "another rotator wrote the journal meanwhile",
        "let it finish, and look at the status",
    )
}
