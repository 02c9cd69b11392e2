//! [`Rotator`]: what an application has of all this.

use std::fmt;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use keyward::store::{DynKeyStore, KeyStore};
use keyward::{AdminKey, Clock, KeyPolicy, Timestamp};
use keyward_admin::{Client, Error};

use crate::access::{Access, Connect, Management};
use crate::driver::{Driver, Outside, Settings};
use crate::event::{Events, Hub};
use crate::journal::{DynJournal, Journal, StoreJournal};
use crate::machine::{Goal, Hand, Ledger, View, foreign_pending, tag_of, to_retire};
use crate::organization::ProjectKeys;
use crate::outcome::{Outcome, ended};
use crate::outside::{Organization as _, SystemTimes, Time};
use crate::plan::{Plan, PlannedStep};
use crate::probe::{DynProbe, HttpProbe, Probe};
use crate::status::{Status, due_at};
use crate::sweep::{Sweep, SweepReport, sweep_slot};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot};

/// Replaces the keys of slots. A clone is the same rotator.
///
/// ```no_run
/// # async fn example(
/// #     client: keyward_admin::Client,
/// #     store: keyward::store::DynKeyStore,
/// # ) -> Result<(), keyward_rotate::RotateError> {
/// use keyward_admin::{Scope, Scopes};
/// use keyward_rotate::{Rotator, Slot};
///
/// let scopes = Scopes::only(Scope::RESPONSES_WRITE);
/// let slot = Slot::new("billing", "proj_abc", "svc_acct_abc", scopes)?;
/// // The name of this replica: the same after a restart, and no other's.
/// let rotator = Rotator::builder(client, "rotator-0").slot(slot, store).build()?;
///
/// println!("{}", rotator.plan("billing").await?); // changes nothing
/// println!("{}", rotator.rotate("billing").await?);
/// # Ok(())
/// # }
/// ```
///
/// Every call that changes something takes the slot's lease first, so that of two rotators one
/// works and the other is told by [`is_lease_held`](RotateError::is_lease_held). A call whose
/// future is dropped, or whose process dies, is gone on with by the next `rotate` or `resume`,
/// wherever it ended. Calls of one rotator for one slot wait for each other.
#[derive(Clone)]
pub struct Rotator(Arc<Inner>);

pub(crate) struct Inner {
    management: Management,
    holder: String,
    slots: Vec<Place>,
    settings: Settings,
    time: SystemTimes,
    hub: Arc<Hub>,
}

/// A slot with what belongs to it.
struct Place {
    slot: Slot,
    store: DynKeyStore,
    journal: DynJournal,
    probe: DynProbe,
    /// Held while this process changes the slot: the lease is the process's, so it would not keep
    /// its own tasks apart.
    turn: tokio::sync::Mutex<()>,
    /// Told when a rotation after a leak begins: whoever has the turn leaves, wherever it is.
    urgent: tokio::sync::Notify,
}

impl Rotator {
    /// A rotator that manages the organization with this client, and takes leases by this name.
    ///
    /// The name is the same after a restart of this replica, and no other replica's: the name of a
    /// pod of a stateful set, of a host, of a job that never runs twice at once.
    pub fn builder(client: Client, holder: impl Into<String>) -> RotatorBuilder {
        RotatorBuilder::new(Manager::Client(client), holder.into())
    }

    /// A rotator that manages the organization with the admin key that is current in this store,
    /// read anew for each call, so that an [`AdminRotator`](crate::AdminRotator) can replace it
    /// at any moment.
    /// `connect` makes the client of a key; the name is as of [`builder`](Self::builder).
    ///
    /// ```no_run
    /// # fn example(
    /// #     admin: keyward::store::DynKeyStore,
    /// # ) -> keyward_rotate::RotatorBuilder {
    /// use keyward_admin::Client;
    /// use keyward_rotate::Rotator;
    ///
    /// Rotator::managed_with(admin, Client::new, "rotator-0")
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// The admin key passes [`KeyPolicy::admin`] before it is used.
    pub fn managed_with(
        store: impl KeyStore + 'static,
        connect: impl Fn(AdminKey) -> Result<Client, Error> + Send + Sync + 'static,
        holder: impl Into<String>,
    ) -> RotatorBuilder {
        let manager = Manager::Store(DynKeyStore::new(store), Arc::new(connect));
        RotatorBuilder::new(manager, holder.into())
    }

    /// The slots, in the order in which they were given.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.slots.iter().map(|place| &place.slot)
    }

    /// What it does from now on, as a stream.
    #[must_use]
    pub fn events(&self) -> Events {
        self.0.hub.listen()
    }

    /// Tells what [`rotate`](Self::rotate) would do, and what is in its way. Nothing is changed.
    ///
    /// # Errors
    ///
    /// When that cannot be told: no such slot, or the organization, the store or the journal does
    /// not answer.
    pub async fn plan(&self, slot: &str) -> Result<Plan, RotateError> {
        let place = self.place(slot)?;
        self.plan_of(place).await.map_err(|error| error.in_slot(slot))
    }

    /// Replaces the key of a slot; or, if a rotation is open, brings that one to its end.
    ///
    /// It returns when the old key is dead, which takes as long as services use it: see
    /// [`Slot::with_grace`] and [`Slot::with_silence`]. The new key is in use long before:
    /// [`events`](Self::events) tell.
    ///
    /// # Errors
    ///
    /// See [`RotateErrorKind`]. Whatever it is, the store's current key is one that works, if it
    /// was before.
    pub async fn rotate(&self, slot: &str) -> Result<Outcome, RotateError> {
        self.must_end(slot, Goal::Rotate).await
    }

    /// Replaces the key of a slot because it leaked: the old ones are deleted at once when the new
    /// one is in use, whoever uses them.
    ///
    /// What an earlier rotation had staged is given up, because it lay beside what leaked. Nobody is
    /// waited for: whoever holds the slot's lease loses it, and stops.
    ///
    /// # Errors
    ///
    /// As of [`rotate`](Self::rotate); and [`LeftAlone`](RotateErrorKind::LeftAlone) when the new key
    /// is in use and the old one lives on, because keyward did not make it: name its id by
    /// [`Slot::retiring`], and call this again.
    pub async fn rotate_now(&self, slot: &str) -> Result<Outcome, RotateError> {
        self.must_end(slot, Goal::Now).await
    }

    /// Brings the open rotation of a slot to its end, and begins none. None when nothing was open.
    ///
    /// One after a leak is open until a key that was made after it is in use: if
    /// [`rotate_now`](Self::rotate_now) did not come so far, this makes that key.
    ///
    /// # Errors
    ///
    /// As of [`rotate`](Self::rotate).
    pub async fn resume(&self, slot: &str) -> Result<Option<Outcome>, RotateError> {
        self.drive(slot, Goal::Resume).await
    }

    /// Where a slot is. The store and the journal are asked, and the organization is not.
    ///
    /// # Errors
    ///
    /// No such slot, or the store or the journal does not answer.
    pub async fn status(&self, slot: &str) -> Result<Status, RotateError> {
        self.status_early(slot, Duration::ZERO).await
    }

    /// The status, where the next rotation is due so much early.
    pub(crate) async fn status_early(
        &self,
        slot: &str,
        early: Duration,
    ) -> Result<Status, RotateError> {
        let place = self.place(slot)?;
        let look = async {
            let ledger = Ledger::of(&place.journal.read(slot).await?.records()?);
            let snapshot = place.store.snapshot().await.map_err(|e| RotateError::of_store(&e))?;
            Ok(Status::of(&place.slot, &ledger, &snapshot, early))
        };
        look.await.map_err(|error: RotateError| error.in_slot(slot))
    }

    /// Looks for keys that keyward made and nobody knows any more, and deletes them if that is
    /// asked for. What keyward did not make is never touched.
    ///
    /// # Errors
    ///
    /// No such slot, or the organization, the store or the journal does not answer.
    pub async fn sweep(&self, slot: &str, sweep: Sweep) -> Result<SweepReport, RotateError> {
        let place = self.place(slot)?;
        let all: Vec<_> = self.slots().map(Slot::name).collect();
        let mut report = SweepReport::default();
        let is_near = |other: &&Place| {
            other.slot.name() == slot
                || (sweep.whole_project && other.slot.project() == place.slot.project())
        };
        // Tags of slots that nobody has are told once.
        let mut sweep = sweep.clone();
        let (whole, mut is_first) = (sweep.whole_project, true);
        for place in self.0.slots.iter().filter(is_near) {
            let _turn = if sweep.deletes { Some(place.turn.lock().await) } else { None };
            let organization = ProjectKeys::new(&self.0.management, &place.slot);
            let outside = self.outside(place, &organization, &|_| ());
            sweep.whole_project = whole && is_first;
            is_first = false;
            report.add(sweep_slot(&outside, &all, &sweep).await?);
        }
        Ok(report)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.time.wall()
    }

    /// How long it has been going.
    pub(crate) fn running(&self) -> Duration {
        self.0.time.running()
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    pub(crate) async fn drive(
        &self,
        slot: &str,
        goal: Goal,
    ) -> Result<Option<Outcome>, RotateError> {
        self.drive_until(slot, goal, &|_| ()).await
    }

    /// Drives, and calls `promoted` when only old keys are waited for.
    pub(crate) async fn drive_until(
        &self,
        slot: &str,
        goal: Goal,
        promoted: &(dyn Fn(bool) + Send + Sync),
    ) -> Result<Option<Outcome>, RotateError> {
        let place = self.place(slot)?;
        // From here on it is heard.
        let mut urgent = pin!(place.urgent.notified());
        if goal == Goal::Now {
            place.urgent.notify_waiters();
        }
        let _turn = place.turn.lock().await;
        let organization = ProjectKeys::new(&self.0.management, &place.slot);
        let outside = self.outside(place, &organization, promoted);
        let mut run = pin!(Driver::run(outside, goal));
        // Left anywhere, a rotation is gone on with by the next.
        std::future::poll_fn(|context| {
            if goal != Goal::Now && urgent.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(yielded().in_slot(slot)));
            }
            run.as_mut().poll(context)
        })
        .await
    }

    async fn must_end(&self, slot: &str, goal: Goal) -> Result<Outcome, RotateError> {
        ended(self.drive(slot, goal).await?, goal).map_err(|error| error.in_slot(slot))
    }

    fn place(&self, slot: &str) -> Result<&Place, RotateError> {
        self.0.slots.iter().find(|place| place.slot.name() == slot).ok_or_else(|| {
            let names: Vec<_> = self.slots().map(Slot::name).collect();
            RotateError::new(
                RotateErrorKind::Configuration,
                "there is no such slot",
                format!("name one of: {}", names.join(", ")),
            )
        })
    }

    fn outside<'a>(
        &'a self,
        place: &'a Place,
        organization: &'a ProjectKeys<'a>,
        promoted: &'a (dyn Fn(bool) + Send + Sync),
    ) -> Outside<'a, ProjectKeys<'a>, DynKeyStore, DynJournal, DynProbe, SystemTimes> {
        Outside {
            slot: &place.slot,
            organization,
            store: &place.store,
            journal: &place.journal,
            probe: &place.probe,
            time: &self.0.time,
            hub: &self.0.hub,
            holder: &self.0.holder,
            settings: &self.0.settings,
            random: &random,
            promoted,
            #[cfg(test)]
            mutant: None,
        }
    }

    async fn plan_of(&self, place: &Place) -> Result<Plan, RotateError> {
        let slot = &place.slot;
        let organization = ProjectKeys::new(&self.0.management, slot);
        let ledger = Ledger::of(&place.journal.read(slot.name()).await?.records()?);
        let snapshot = place.store.snapshot().await.map_err(|e| RotateError::of_store(&e))?;
        let mut obstacles = Vec::new();
        if let Err(error) = organization.check().await {
            if !error.is_refused() {
                return Err(error);
            }
            obstacles.push(error);
        }
        // An archived project lists nothing, and that has been told.
        let listing = match organization.list(ledger.own_accounts).await {
            Err(_) if !obstacles.is_empty() => Default::default(),
            listing => listing?,
        };
        let now = self.now();
        if let Some(lease) = &snapshot.lease
            && lease.holder != self.0.holder
            && !lease.is_over(now)
        {
            let error = keyward::store::StoreError::lease_held(
                keyward::KeyLoader::source(&place.store),
                lease.clone(),
            );
            obstacles.push(RotateError::of_store(&error));
        }
        let store = keyward::KeyLoader::source(&place.store);
        obstacles.extend(place.probe.foresee(&store, slot.ttl()).err());
        let pending = snapshot.pending.as_ref().map(tag_of);
        let is_foreign = |tag: &Option<Tag>| tag.as_ref().is_none_or(|t| t.slot() != slot.name());
        if pending.as_ref().is_some_and(is_foreign) {
            obstacles.push(foreign_pending());
        }
        let mut steps = Vec::new();
        let is_stray = |key: &&crate::outside::ListedKey| {
            key.tag().is_some_and(|tag| ledger.has_abandoned(&tag))
        };
        let strays = listing.keys.iter().filter(is_stray).count();
        if strays > 0 {
            steps.push(PlannedStep::CleanUp { keys: strays });
        }
        let open = ledger.open.clone();
        let hand = Hand { listing: Some(listing), ..Hand::default() };
        let view = View {
            slot,
            goal: Goal::Rotate,
            ledger: &ledger,
            snapshot: &snapshot,
            hand: &hand,
            can_expire: true,
            is_due: false,
            is_nearly_due: false,
            has_rested: true,
            running: Duration::ZERO,
            lag: place.store.lag(),
            #[cfg(test)]
            mutant: None,
        };
        let (mut old, mut left_alone) = to_retire(&view);
        if let Some(open) = open {
            steps.push(PlannedStep::Resume {
                rotation: open.tag.rotation().to_owned(),
                step: open.step.as_str(),
            });
            if open.step.is_promoted() {
                old = open.old.iter().filter(|old| !open.is_retired(&old.key)).cloned().collect();
                left_alone.clear();
            }
        }
        if !ledger.open.as_ref().is_some_and(|open| open.step.is_promoted()) {
            let account = (!ledger.own_accounts).then(|| slot.service_account().to_string());
            let mint =
                PlannedStep::Mint { account, scopes: slot.scopes().clone(), ttl: slot.ttl() };
            let verify = PlannedStep::Verify { path: slot.verification().path.clone() };
            steps.extend([mint, verify, PlannedStep::Promote]);
        }
        steps.extend(old.into_iter().map(|key| PlannedStep::Retire {
            key,
            grace: view.grace(),
            silence: slot.silence(),
            stragglers: slot.stragglers(),
        }));
        steps.extend(left_alone.into_iter().map(|key| PlannedStep::LeaveAlone { key }));
        let due_at = due_at(slot, &ledger, snapshot.current.as_ref(), Duration::ZERO);
        let obstacles = obstacles.into_iter().map(|e| e.in_slot(slot.name())).collect();
        Ok(Plan { slot: slot.name().to_owned(), steps, obstacles, due_at })
    }
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotator")
            .field("holder", &self.0.holder)
            .field("slots", &self.slots().map(Slot::name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// How a [`Rotator`] is set up. It comes from [`Rotator::builder`].
#[must_use = "nothing is made before `build`"]
pub struct RotatorBuilder {
    manager: Manager,
    holder: String,
    slots: Vec<(Slot, DynKeyStore, Option<DynJournal>)>,
    settings: Settings,
    clock: Clock,
    probe: Option<DynProbe>,
}

enum Manager {
    Client(Client),
    Store(DynKeyStore, Arc<Connect>),
}

impl RotatorBuilder {
    fn new(manager: Manager, holder: String) -> Self {
        Self {
            manager,
            holder,
            slots: Vec::new(),
            settings: Settings::default(),
            clock: Clock::system(),
            probe: None,
        }
    }

    /// A slot and the store of its key. Its journal is kept in the store too, so that any replica
    /// can go on. A store holds the key of one slot.
    pub fn slot(mut self, slot: Slot, store: impl KeyStore + 'static) -> Self {
        self.slots.push((slot, DynKeyStore::new(store), None));
        self
    }

    /// A slot, the store of its key, and where its journal is kept.
    pub fn slot_with_journal(
        mut self,
        slot: Slot,
        store: impl KeyStore + 'static,
        journal: impl Journal + 'static,
    ) -> Self {
        self.slots.push((slot, DynKeyStore::new(store), Some(DynJournal::new(journal))));
        self
    }

    /// How new keys are proved; unless set, by an [`HttpProbe`] of `https://api.openai.com/v1`
    /// under [`KeyPolicy::production`].
    pub fn probe(mut self, probe: impl Probe + 'static) -> Self {
        self.probe = Some(DynProbe::new(probe));
        self
    }

    /// What time it is. Waiting is by tokio's timer.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// For how long a lease is taken, and held on before each step: five minutes unless set, and
    /// one at the least. Machines' clocks must agree better than that. A rotator that dies keeps
    /// others out for as long.
    ///
    /// While keys are listed it is held on too; any other call should take less than half of it. A
    /// client whose server throttles waits until its
    /// [`deadline`](keyward_admin::ClientBuilder::deadline), which is five minutes as well unless set.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// For how long what does not answer is asked again before a call gives up: two minutes unless
    /// set, and half of the lease at the most.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Makes it. Nothing is read and nothing is started.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] when there is no slot, or two have the same name or
    /// the same store, when a slot's grace or silence does not fit it, when the name of the holder is
    /// empty, or when TLS cannot be set up.
    pub fn build(self) -> Result<Rotator, RotateError> {
        let misset = |what: &'static str, fix: &'static str| {
            Err(RotateError::new(RotateErrorKind::Configuration, what, fix))
        };
        if self.slots.is_empty() {
            return misset("a rotator has at least one slot", "add one");
        }
        if self.holder.trim().is_empty() {
            return misset("the holder has no name", "give each replica a name of its own");
        }
        let mut names: Vec<_> = self.slots.iter().map(|(slot, ..)| slot.name()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return misset("two slots have the same name", "rename one");
        }
        let mut places: Vec<_> = self
            .slots
            .iter()
            .map(|(_, store, _)| keyward::KeyLoader::source(store).to_string())
            .collect();
        places.sort_unstable();
        if places.windows(2).any(|pair| pair[0] == pair[1]) {
            return misset("two slots have the same store", "give each slot a store of its own");
        }
        let probe = match self.probe {
            Some(probe) => probe,
            None => {
                let policy = KeyPolicy::production();
                let probe = HttpProbe::new("https://api.openai.com/v1", policy)?;
                DynProbe::new(probe.with_clock(self.clock.clone()))
            }
        };
        let place = |(slot, store, journal): (Slot, DynKeyStore, Option<DynJournal>)| {
            let kept = || DynJournal::new(StoreJournal::new(store.clone()));
            Ok(Place {
                slot: slot.checked(store.lag())?,
                journal: journal.unwrap_or_else(kept),
                store,
                probe: probe.clone(),
                turn: tokio::sync::Mutex::new(()),
                urgent: tokio::sync::Notify::new(),
            })
        };
        let slots = self.slots.into_iter().map(place).collect::<Result<_, RotateError>>()?;
        Ok(Rotator(Arc::new(Inner {
            management: match self.manager {
                Manager::Client(client) => Management::By(client),
                Manager::Store(store, connect) => {
                    Management::kept(store, Access::new(connect, self.clock.clone()))
                }
            },
            holder: self.holder,
            slots,
            settings: self.settings.checked(),
            time: SystemTimes::new(self.clock),
            hub: Arc::new(Hub::default()),
        })))
    }
}

impl fmt::Debug for RotatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatorBuilder").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// A call leaves the slot to one after a leak.
fn yielded() -> RotateError {
    RotateError::new(
        RotateErrorKind::LeaseLost,
        "a rotation after a leak takes the slot",
        "let it finish, and look at the status",
    )
}

/// A tag is unique, and no secret.
pub(crate) fn random() -> u128 {
    fastrand::u128(..)
}
