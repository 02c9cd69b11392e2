//! [`Scenario`]: how a world is when a rotation begins, the rotation with its lives, and what must
//! be true in the end.

use std::time::Duration;

use keyward::store::{DynKeyStore, KeyNote, KeyStore as _};
use keyward_admin::Scopes;

use super::organization::{ACCOUNT, Books, SLOT};
use super::outside::Store;
use super::world::{Faults, Handle, Life, RELOAD, World, now_or_never, stamp};
use crate::driver::{Driver, Outside, Settings};
use crate::event::Hub;
use crate::journal::{Entry, Journal as _, OldKey, Record, StoreJournal};
use crate::machine::{Goal, Ledger, Mutant};
use crate::outcome::Outcome;
use crate::outside::Organization as _;
use crate::sweep::{Sweep, SweepReport, sweep_slot};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot, Stragglers};

/// What is current in the store at the beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Start {
    Adopted,
    /// One of keyward's, and the one before it, which was handed on.
    Carried,
    Empty,
    Foreign,
    Ours,
    OursOnItsOwnAccount,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) start: Start,
    pub(super) goal: Goal,
    pub(super) refuses_deletion: bool,
    /// Whether the key is an admin key, with which the organization is managed.
    pub(super) is_admin: bool,
    pub(super) is_archived: bool,
    pub(super) role_none: bool,
    pub(super) capped: bool,
    pub(super) stragglers: Stragglers,
    /// What the second life is for; and the lives after it, if that is another thing.
    pub(super) later: Goal,
    pub(super) last: Option<Goal>,
    /// Whether a promotion that is killed is done by half.
    pub(super) halves: bool,
    /// How often the service looks whether there is another key.
    pub(super) reload: Duration,
    /// How late the store shows each change to readers, as it tells; and whether to rotators too.
    pub(super) lag: Duration,
    pub(super) is_late_for_all: bool,
    /// How long the silence is: longer than the grace if the old key is always used.
    pub(super) silence: Duration,
}

pub(super) const PLAIN: Scenario = Scenario {
    name: "a key is replaced",
    start: Start::Ours,
    goal: Goal::Rotate,
    refuses_deletion: false,
    is_admin: false,
    is_archived: false,
    role_none: false,
    capped: false,
    stragglers: Stragglers::Warn,
    later: Goal::Rotate,
    last: None,
    halves: false,
    reload: RELOAD,
    lag: Duration::ZERO,
    is_late_for_all: false,
    silence: Duration::from_secs(20),
};

/// For longer than the grace.
pub(super) const LATE_FOR_READERS: Scenario =
    Scenario { name: "a store late for readers", lag: Duration::from_secs(200), ..PLAIN };

pub(super) const LATE_FOR_ALL: Scenario =
    Scenario { name: "a store late for all", is_late_for_all: true, ..LATE_FOR_READERS };

pub(super) const SCENARIOS: [Scenario; 28] = [
    PLAIN,
    Scenario { name: "a first key", start: Start::Empty, ..PLAIN },
    Scenario { name: "a key made by hand", start: Start::Foreign, ..PLAIN },
    Scenario { name: "a key made by hand that is named", start: Start::Adopted, ..PLAIN },
    Scenario { name: "a leak", goal: Goal::Now, later: Goal::Now, ..PLAIN },
    Scenario { name: "a leak that others end", goal: Goal::Now, ..PLAIN },
    Scenario { name: "a leak in the middle", later: Goal::Now, ..PLAIN },
    Scenario { name: "a leak that is resumed", goal: Goal::Now, later: Goal::Resume, ..PLAIN },
    Scenario {
        name: "a leak in the middle that others end",
        later: Goal::Now,
        last: Some(Goal::Rotate),
        ..PLAIN
    },
    Scenario {
        name: "a leak in the middle that is resumed",
        later: Goal::Now,
        last: Some(Goal::Resume),
        ..PLAIN
    },
    Scenario { name: "two old keys", start: Start::Carried, ..PLAIN },
    Scenario { name: "a leak over half a promotion", later: Goal::Now, halves: true, ..PLAIN },
    LATE_FOR_READERS,
    LATE_FOR_ALL,
    Scenario { name: "a leak with a store late for all", later: Goal::Now, ..LATE_FOR_ALL },
    Scenario { name: "a slow service", reload: Duration::from_secs(60), ..PLAIN },
    Scenario {
        name: "two old keys that are held",
        start: Start::Carried,
        stragglers: Stragglers::Hold,
        ..PLAIN
    },
    Scenario { name: "held", stragglers: Stragglers::Hold, ..PLAIN },
    Scenario { name: "deletion is refused", refuses_deletion: true, ..PLAIN },
    Scenario {
        name: "an account for each key",
        start: Start::OursOnItsOwnAccount,
        refuses_deletion: true,
        ..PLAIN
    },
    Scenario { name: "an admin key", is_admin: true, ..PLAIN },
    Scenario { name: "an admin key that is named", is_admin: true, start: Start::Adopted, ..PLAIN },
    Scenario {
        name: "an admin key that leaks",
        is_admin: true,
        goal: Goal::Now,
        later: Goal::Now,
        ..PLAIN
    },
    Scenario { name: "an archived project", is_archived: true, ..PLAIN },
    Scenario { name: "a role of none", role_none: true, ..PLAIN },
    Scenario { name: "a capped lifetime", capped: true, ..PLAIN },
    Scenario { name: "stragglers are warned", silence: Duration::from_secs(600), ..PLAIN },
    Scenario { name: "a resume of nothing", goal: Goal::Resume, later: Goal::Resume, ..PLAIN },
];

/// What a run came to.
#[derive(Debug)]
pub(super) struct Report {
    /// How many operations the first life had.
    pub(super) ops: u32,
    /// Which operations of each life changed something.
    pub(super) effects: Vec<Vec<u32>>,
    /// How many rotations came to their end before all was well again.
    pub(super) outcomes: usize,
    /// How many keys there ever were.
    pub(super) keys: usize,
    pub(super) errors: Vec<RotateError>,
    pub(super) swept: usize,
}

/// How a scenario is run.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) faults: Faults,
    /// Whether two rotators begin at once.
    pub(super) two: bool,
    /// Who of several goes next: all of it follows from this number.
    pub(super) seed: u64,
    pub(super) mutant: Option<Mutant>,
}

const LIVES: usize = 4;
const LEASE: Duration = Duration::from_secs(300);

/// Runs a scenario, with as many lives as it takes, and holds it to the invariants.
pub(super) fn run(scenario: &Scenario, run: &Run) -> Result<Report, String> {
    let (world, slot) = begin(scenario);
    {
        let mut state = world.lock();
        state.faults = run.faults.clone();
        state.serve(&world.store);
    }
    let mut chance = run.seed;
    let mut choose = |ready: usize| {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(chance >> 33).unwrap_or_default() % ready
    };
    let mut report =
        Report { ops: 0, effects: Vec::new(), outcomes: 0, keys: 0, errors: Vec::new(), swept: 0 };
    let mut holders = if run.two { vec!["a", "b"] } else { vec!["a"] };
    for round in 0..LIVES {
        let goal = match round {
            0 => scenario.goal,
            1 => scenario.later,
            _ => scenario.last.unwrap_or(scenario.later),
        };
        if goal == Goal::Now {
            world.lock().is_leaked = true;
        }
        let lives: Vec<_> = holders
            .iter()
            .map(|holder| {
                let handle = world.process(holder);
                Life::new(handle.process, life(handle, slot.clone(), goal, run.mutant))
            })
            .collect();
        let is_first = world.lock().processes.len() == holders.len();
        let results = world.run(lives, &mut choose);
        if is_first {
            report.ops = world.lock().processes[0].ops;
        }
        let mut died = Vec::new();
        for (holder, result) in holders.into_iter().zip(results) {
            match result {
                None => died.push(holder),
                Some(Ok(outcome)) => report.outcomes += usize::from(outcome.is_some()),
                Some(Err(error)) => report.errors.push(error),
            }
        }
        holders = died;
        if holders.is_empty() {
            break;
        }
    }
    report.effects = world.lock().processes.iter().map(|life| life.effects.clone()).collect();
    settle(&world, &slot, run.mutant, &mut report)?;
    report.keys = world.lock().books.keys.len();
    Ok(report)
}

/// The world and the slot, before anything happens.
pub(super) fn begin(scenario: &Scenario) -> (std::sync::Arc<World>, Slot) {
    let mut books = Books {
        cache: Duration::from_secs(30),
        refuses_deletion: scenario.refuses_deletion,
        are_admin: scenario.is_admin,
        is_archived: scenario.is_archived,
        role_none: scenario.role_none,
        max_ttl: scenario.capped.then(|| Duration::from_secs(3600)),
        ..Books::default()
    };
    books.accounts.push(super::organization::Account {
        id: ACCOUNT.to_owned(),
        name: "made by a person".to_owned(),
        is_deleted: false,
    });
    let bystander = books.mint("somebody's", ACCOUNT, None, Duration::ZERO);
    // Of another slot, and no business of this one.
    books.mint(Tag::new("search", 7).as_str(), ACCOUNT, None, Duration::ZERO);
    let tag = Tag::new(SLOT, 1);
    let month = Some(Duration::from_secs(30 * 86_400));
    let current = match scenario.start {
        Start::Empty => None,
        Start::Ours | Start::Carried => {
            Some(books.mint(tag.as_str(), ACCOUNT, month, Duration::ZERO))
        }
        Start::Foreign | Start::Adopted => Some(bystander),
        Start::OursOnItsOwnAccount => {
            let account = books.make_account(tag.as_str());
            Some(books.mint(tag.as_str(), &account, month, Duration::ZERO))
        }
    };
    let mut slot = Slot::new(SLOT, "proj_1", ACCOUNT, Scopes::All)
        .expect("a slot")
        .with_grace(Duration::from_secs(120))
        .with_silence(scenario.silence)
        .with_stragglers(scenario.stragglers);
    if let (Start::Adopted, Some(key)) = (scenario.start, &current) {
        slot = slot.retiring(&key.id);
        books.adopted.push(key.id.clone());
    }
    let world = World::new(books);
    {
        let mut state = world.lock();
        state.reload = scenario.reload;
        state.halves = scenario.halves;
        state.lag = scenario.lag;
        state.is_late_for_all = scenario.is_late_for_all;
        state.may_put_off = scenario.stragglers == Stragglers::Hold;
    }
    if let Some(key) = current {
        let mut note = KeyNote::new().key_id(&key.id);
        if scenario.start != Start::Foreign && scenario.start != Start::Adopted {
            note = note.tag(tag.as_str());
        }
        let at = stamp(Duration::ZERO, 0);
        let version = now_or_never(world.store.stage(&key.value, &note, at)).expect("a memory");
        now_or_never(world.store.promote(&version, at)).expect("a memory");
    }
    let entry = match scenario.start {
        Start::OursOnItsOwnAccount => Some(Entry::DeletionRefused),
        Start::Carried => {
            let name = Tag::new(SLOT, 2);
            let mut state = world.lock();
            // It was put off when it was handed on, to the end of its grace.
            let left = Some(state.now + slot.grace());
            let key = state.books.mint(name.as_str(), ACCOUNT, left, Duration::ZERO);
            // Its user is gone.
            let now = state.now;
            state.books.used(&key.value, now);
            let key = key.id;
            Some(Entry::HandedOn { old: vec![OldKey { key, account: None }] })
        }
        _ => None,
    };
    if let Some(entry) = entry {
        let at = stamp(Duration::ZERO, 0);
        let record = Record { at, tag, entry };
        let journal = StoreJournal::new(DynKeyStore::new(world.store.clone()));
        let empty = now_or_never(journal.read(SLOT)).expect("a memory");
        now_or_never(journal.append(SLOT, &empty, &record.to_line())).expect("a memory");
    }
    (world, slot)
}

/// One life of a rotator. Where there are two, one that finds the slot taken tries again.
pub(super) async fn life(
    handle: Handle,
    slot: Slot,
    goal: Goal,
    mutant: Option<Mutant>,
) -> Result<Option<Outcome>, RotateError> {
    let mut tries = 0;
    loop {
        let run = async |outside: Simulated<'_>| Driver::run(outside, goal).await;
        match with_outside(&handle, &slot, mutant, run).await {
            Err(error) if error.kind() == RotateErrorKind::LeaseHeld && tries < 10 => {
                tries += 1;
                handle.sleep_for(Duration::from_secs(60)).await;
            }
            result => return result,
        }
    }
}

type Simulated<'a> = Outside<'a, Handle, Store, StoreJournal<Store>, Handle, Handle>;

async fn with_outside<T>(
    handle: &Handle,
    slot: &Slot,
    mutant: Option<Mutant>,
    act: impl AsyncFnOnce(Simulated<'_>) -> T,
) -> T {
    let store = Store(handle.clone());
    let journal = StoreJournal::new(store.clone());
    let hub = Hub::default();
    // As a rotator of the admin key begins.
    if let Some(current) = now_or_never(handle.world.store.current()).expect("a memory") {
        handle.take_over(&current.key).expect("it takes any");
    }
    let settings = Settings { lease: LEASE, ..Settings::default() };
    let holder = handle.world.lock().processes[handle.process].holder.clone();
    let random = || {
        let mut state = handle.world.lock();
        u128::from(state.random()) << 64 | u128::from(state.random())
    };
    let outside = Outside {
        slot,
        organization: handle,
        store: &store,
        journal: &journal,
        probe: handle,
        time: handle,
        hub: &hub,
        holder: &holder,
        settings: &settings,
        random: &random,
        promoted: &|_| (),
        mutant,
    };
    act(outside).await
}

/// Nothing goes wrong any more: somebody resumes and sweeps, and then all must be well.
fn settle(
    world: &std::sync::Arc<World>,
    slot: &Slot,
    mutant: Option<Mutant>,
    report: &mut Report,
) -> Result<(), String> {
    {
        let mut state = world.lock();
        state.faults.clear();
        state.outage = None;
        for (left, _) in &mut state.late {
            *left = 1;
        }
        state.appear();
        // Until no lease is held, also by a clock that is a day ahead.
        state.advance(Duration::from_secs(2 * 86_400), &world.store);
    }
    let resume = || {
        let handle = world.process("z");
        let life = Life::new(handle.process, life(handle, slot.clone(), Goal::Resume, mutant));
        let results = world.run(vec![life], |_| 0);
        results.into_iter().next().flatten().expect("nothing crashes any more")
    };
    match resume() {
        Ok(outcome) => report.outcomes += usize::from(outcome.is_some()),
        // It told somebody, and then the next one goes on.
        Err(error) => {
            report.errors.push(error);
            resume().map_err(|error| format!("it cannot be resumed: {error}"))?;
        }
    }
    // What was let expire at once has expired.
    world.lock().advance(Duration::from_secs(2), &world.store);
    let handle = world.process("z");
    let sweep = swept(&handle, slot, None);
    let swept = world.run(vec![Life::new(handle.process, sweep)], |_| 0);
    let swept = swept.into_iter().next().flatten().expect("nothing crashes any more");
    report.swept = swept.map_err(|error| error.to_string())?.orphans.len();
    world.lock().advance(Duration::from_secs(60), &world.store);
    check(world)
}

/// Deletes what nobody knows any more.
pub(super) async fn swept(
    handle: &Handle,
    slot: &Slot,
    mutant: Option<Mutant>,
) -> Result<SweepReport, RotateError> {
    let everything = Sweep::report().older_than(Duration::ZERO).deleting();
    with_outside(handle, slot, mutant, async |outside| {
        sweep_slot(&outside, &[SLOT, "search"], &everything).await
    })
    .await
}

/// What must be true in the end: I2, I3, and that nothing is left in between.
fn check(world: &World) -> Result<(), String> {
    let snapshot = now_or_never(world.store.snapshot()).expect("a memory");
    let journal = now_or_never(world.store.journal()).expect("a memory");
    let records = crate::journal::record::read(journal.text()).map_err(|e| e.to_string())?;
    let state = world.lock();
    if let Some(violation) = &state.violation {
        return Err(violation.clone());
    }
    state.books.check()?;
    if snapshot.pending.is_some() {
        return Err("a key is pending".to_owned());
    }
    if let Some(open) = Ledger::of(&records).open {
        return Err(format!("a rotation is open at {:?}", open.step));
    }
    if snapshot.lease.is_some() {
        return Err("the lease is held".to_owned());
    }
    let live = state.books.ours(state.now);
    let current = snapshot.current.as_ref();
    let is_ours = current.is_some_and(|key| key.note.tag.is_some());
    if live.len() != usize::from(is_ours) {
        return Err(format!("I2: {} live keys of the slot", live.len()));
    }
    if live.iter().any(|key| current.is_none_or(|current| current.key != key.value)) {
        return Err("I2: another key than the current one lives".to_owned());
    }
    let is_leaked = |key: &&&super::organization::Key| state.leaked.contains(&key.id);
    if let Some(key) = live.iter().find(is_leaked) {
        return Err(format!("I9: {} lives, which leaked", key.id));
    }
    let is_left = |account: &&super::organization::Account| {
        let mut keys = state.books.keys.iter().filter(|key| key.account == account.id);
        !account.is_deleted
            && Tag::is_of(Some(&account.name), SLOT)
            && !keys.any(|key| state.books.is_live(key, state.now))
    };
    if let Some(account) = state.books.accounts.iter().find(is_left) {
        return Err(format!("I8: the account {} is left behind", account.name));
    }
    let leaks = |key: &&super::organization::Key| key.value.is_echoed_in(journal.text());
    match state.books.keys.iter().find(leaks) {
        Some(key) => Err(format!("I3: {} stands in the journal", key.id)),
        None => Ok(()),
    }
}
