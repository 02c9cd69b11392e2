//! [`World`]: what is outside of all processes, and the invariants that hold at every moment.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use keyward::store::{KeyStore as _, MemoryStore, Snapshot, StoredKey, Version};
use keyward::{ApiKey, Timestamp};

use super::organization::Books;

/// What may go wrong with one operation of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    CrashAfter,
    CrashBefore,
    /// What is asked, the organization or the store, fails all from now on for so many seconds.
    Down(u32),
    /// It fails without an effect.
    Fails,
    /// The clock of the machine jumps by so many seconds.
    Jump(i64),
    /// It takes effect so many operations later, and nobody hears of it.
    Late(u32),
    /// It takes effect and its answer is lost.
    Lost,
    /// A look at the store shows what the look before it did.
    Old,
    /// It takes so many seconds, and the process does other things meanwhile.
    Slow(u32),
    /// The process sleeps for so many seconds, and all that it does.
    Stall(u32),
    /// What is asked lets nothing through from now on for so many seconds.
    Storm(u32),
    Throttled,
}

/// Whom an operation asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    Organization,
    Store,
}

/// What befalls which operation of which process, counted from 1.
pub(super) type Faults = BTreeMap<(usize, u32), Fault>;

pub(super) const EPOCH: i64 = 1_790_000_000;
/// How often the service looks whether there is another key, unless it is slow.
pub(super) const RELOAD: Duration = Duration::from_secs(5);

pub(super) struct World {
    pub(super) state: Mutex<State>,
    pub(super) store: MemoryStore,
}

pub(super) struct State {
    pub(super) now: Duration,
    pub(super) books: Books,
    pub(super) faults: Faults,
    pub(super) processes: Vec<Process>,
    /// The key that the service uses, and when it looked last.
    pub(super) service: Option<(ApiKey, Duration)>,
    pub(super) reload: Duration,
    /// Who never looks whether there is another key.
    pub(super) stuck: Vec<ApiKey>,
    /// Whether an expiry may be put off.
    pub(super) may_put_off: bool,
    /// Whether a promotion that is killed is done by half, as in stores of several writes; and the
    /// version of which one is.
    pub(super) halves: bool,
    pub(super) half: Option<Version>,
    /// How long a listing takes, of many keys.
    pub(super) listing_takes: Duration,
    /// How often a lease was held on.
    pub(super) renewals: u32,
    /// Whether a key may die under the service, because it leaked; the next one must live.
    pub(super) is_leaked: bool,
    /// Whether the journal says so, and no rotation for it has come to its end.
    pub(super) is_leak_known: bool,
    /// The ids of the slot's keys that there were when it began to say so.
    pub(super) leaked: Vec<String>,
    pub(super) violation: Option<String>,
    /// Who does not answer, until when, and whether it says to wait.
    pub(super) outage: Option<(Asked, Duration, bool)>,
    /// What the last look at the store showed.
    pub(super) shown: Option<Snapshot>,
    /// How late the store shows each change to readers, whether to rotators too, and what it held
    /// since when.
    pub(super) lag: Duration,
    pub(super) is_late_for_all: bool,
    pub(super) held: Vec<(Duration, Snapshot)>,
    /// Which process took the lease last.
    pub(super) last_taker: Option<usize>,
    /// What was minted and will appear later: after how many operations, and how.
    pub(super) late: Vec<(u32, super::organization::Late)>,
    random: u64,
}

#[derive(Default)]
pub(super) struct Process {
    pub(super) ops: u32,
    pub(super) is_dead: bool,
    pub(super) jumped: i64,
    pub(super) began: Duration,
    /// Until when it does nothing at all.
    asleep_until: Duration,
    /// What it waits for, each until a moment.
    timers: BTreeMap<u64, Duration>,
    /// When it last did something.
    went_on_at: Option<Duration>,
    pub(super) holder: String,
    /// The admin key that it has, where the organization's keys are such.
    pub(super) manages_with: Option<ApiKey>,
    /// Which of its operations changed something.
    pub(super) effects: Vec<u32>,
    /// What it did after another had taken the lease.
    pub(super) late_effects: u32,
}

impl Process {
    /// When it goes on. What it was let go on for and left alone, it is not let go on for again: it
    /// comes to that when it has done what it waits for now.
    fn wakes_at(&self) -> Duration {
        let next =
            self.timers.values().filter(|until| self.went_on_at.is_none_or(|at| **until > at));
        next.min().copied().unwrap_or_default().max(self.asleep_until)
    }
}

impl World {
    pub(super) fn new(books: Books) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new("simulated"),
            state: Mutex::new(State {
                now: Duration::from_secs(1000),
                books,
                faults: Faults::new(),
                processes: Vec::new(),
                service: None,
                reload: RELOAD,
                stuck: Vec::new(),
                may_put_off: false,
                halves: false,
                half: None,
                listing_takes: Duration::ZERO,
                renewals: 0,
                is_leaked: false,
                is_leak_known: false,
                leaked: Vec::new(),
                violation: None,
                outage: None,
                shown: None,
                lag: Duration::ZERO,
                is_late_for_all: false,
                held: Vec::new(),
                last_taker: None,
                late: Vec::new(),
                random: 0,
            }),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    /// A process, which may be another life of one that died.
    pub(super) fn process(self: &Arc<Self>, holder: &str) -> Handle {
        let mut state = self.lock();
        let began = state.now;
        let holder = holder.to_owned();
        state.processes.push(Process { began, holder, ..Process::default() });
        Handle { world: self.clone(), process: state.processes.len() - 1 }
    }

    /// Runs lives until each has ended or died; which one goes next is told by `choose`.
    pub(super) fn run<T>(
        &self,
        lives: Vec<Life<'_, T>>,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Vec<Option<T>> {
        let mut results: Vec<_> = lives.iter().map(|_| None).collect();
        let mut running: Vec<_> = lives.into_iter().enumerate().collect();
        let mut context = Context::from_waker(Waker::noop());
        while !running.is_empty() {
            let ready: Vec<usize> = {
                let mut state = self.lock();
                let wakes: Vec<_> = running
                    .iter()
                    .map(|(_, life)| state.processes[life.process].wakes_at())
                    .collect();
                let first = wakes.iter().min().copied().unwrap_or_default();
                let by = first.saturating_sub(state.now);
                state.advance(by, &self.store);
                (0..running.len()).filter(|at| wakes[*at] <= state.now).collect()
            };
            let at = ready[choose(ready.len()) % ready.len()];
            let (index, life) = &mut running[at];
            {
                let mut state = self.lock();
                state.processes[life.process].went_on_at = Some(state.now);
            }
            let polled = life.future.as_mut().poll(&mut context);
            let is_dead = self.lock().processes[life.process].is_dead;
            if let Poll::Ready(result) = polled {
                results[*index] = Some(result);
                drop(running.swap_remove(at));
            } else if is_dead {
                drop(running.swap_remove(at));
            }
        }
        results
    }
}

/// What a process does until it ends or dies.
pub(super) struct Life<'a, T> {
    process: usize,
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
}

impl<'a, T> Life<'a, T> {
    pub(super) fn new(process: usize, future: impl Future<Output = T> + 'a) -> Self {
        Self { process, future: Box::pin(future) }
    }
}

/// Ends a future that has nothing to wait for.
pub(super) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits for something"),
    }
}

impl State {
    pub(super) fn violate(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert(what.into());
    }

    pub(super) fn random(&mut self) -> u64 {
        // SplitMix64: the same in each run.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Time passes, in which the service goes on.
    pub(super) fn advance(&mut self, by: Duration, store: &MemoryStore) {
        if by.is_zero() {
            return;
        }
        let first = by.min(self.reload);
        self.now += first;
        self.serve(store);
        if by > first {
            self.now += by - first;
            self.serve(store);
        }
    }

    /// What a reader is shown of the store, which may be late.
    pub(super) fn look(&mut self, store: &MemoryStore) -> Snapshot {
        let holds = now_or_never(store.snapshot()).expect("a memory");
        let since = |snapshot: &Snapshot| {
            let keys = [&snapshot.current, &snapshot.pending, &snapshot.previous];
            keys.map(|stored| stored.as_ref().map(|stored: &StoredKey| stored.version.clone()))
        };
        if self.held.last().is_none_or(|(_, held)| since(held) != since(&holds)) {
            self.held.push((self.now, holds.clone()));
        }
        let mut held = self.held.iter();
        let shown = held.rfind(|(since, _)| *since + self.lag <= self.now).or(self.held.first());
        let shown = shown.map(|(_, held)| held.clone()).unwrap_or_default();
        // Leases are compared with what is.
        shown.lease(holds.lease)
    }

    /// The service uses its key, and looks for another when it is time to: I1.
    pub(super) fn serve(&mut self, store: &MemoryStore) {
        let current = now_or_never(store.current()).expect("a memory").map(|stored| stored.key);
        let now = self.now;
        if current.is_some_and(|current| !self.books.accepts(&current, now)) {
            self.violate("I1: the store's current key is not accepted");
        }
        let current = self.look(store).current.map(|stored| stored.key);
        let Some(current) = current else { return };
        let (held, looked_at) = self.service.get_or_insert((current.clone(), now));
        if now >= *looked_at + self.reload {
            (*held, *looked_at) = (current.clone(), now);
        }
        let held = held.clone();
        if self.books.accepts(&held, now) {
            self.books.used(&held, now);
        } else if !self.is_leaked {
            self.violate("I1: the service was left with a dead key");
        }
        for stuck in self.stuck.clone() {
            if self.books.accepts(&stuck, now) {
                self.books.used(&stuck, now);
            } else {
                self.violate("I1: a key that was held is dead");
            }
        }
    }
}

/// A process, as it sees the world.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
}

/// What an operation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// It changes the organization or the store's keys.
    Effect,
    /// It changes nothing, or failed, or only holds the lease on.
    Look,
    /// It writes the journal or takes the lease, which compares.
    Note,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    CrashesAfter,
    Fails,
    Goes,
    Late(u32),
    Loses,
    Old,
    Throttled,
}

impl Handle {
    /// Before each operation: others may go first, and something may happen.
    pub(super) async fn before(&self, asked: Asked) -> Fate {
        // A little time, so that others can come in between.
        self.sleep_for(Duration::from_millis(100)).await;
        let (fate, slow) = {
            let mut state = self.world.lock();
            let process = &mut state.processes[self.process];
            process.ops += 1;
            let at = (self.process, process.ops);
            let now = state.now;
            let fault = state.faults.remove(&at);
            if let Some(Fault::Down(seconds) | Fault::Storm(seconds)) = fault {
                let until = now + Duration::from_secs(seconds.into());
                state.outage = Some((asked, until, matches!(fault, Some(Fault::Storm(_)))));
            }
            let outage = state.outage.filter(|(who, until, _)| *who == asked && now < *until);
            match fault {
                None | Some(Fault::Down(_) | Fault::Storm(_)) => match outage {
                    Some((_, _, true)) => (Fate::Throttled, 0),
                    Some(_) => (Fate::Fails, 0),
                    None => (Fate::Goes, 0),
                },
                Some(Fault::CrashAfter) => (Fate::CrashesAfter, 0),
                Some(Fault::CrashBefore) => {
                    state.processes[self.process].is_dead = true;
                    (Fate::Fails, 0)
                }
                Some(Fault::Fails) => (Fate::Fails, 0),
                Some(Fault::Jump(seconds)) => {
                    state.processes[self.process].jumped += seconds;
                    (Fate::Goes, 0)
                }
                Some(Fault::Late(ops)) => (Fate::Late(ops), 0),
                Some(Fault::Lost) => (Fate::Loses, 0),
                Some(Fault::Old) => (Fate::Old, 0),
                Some(Fault::Slow(seconds)) => (Fate::Goes, seconds),
                Some(Fault::Stall(seconds)) => {
                    let until = now + Duration::from_secs(seconds.into());
                    state.processes[self.process].asleep_until = until;
                    (Fate::Goes, seconds)
                }
                Some(Fault::Throttled) => (Fate::Throttled, 0),
            }
        };
        if self.is_dead() {
            return std::future::pending().await;
        }
        if slow > 0 {
            self.sleep_for(Duration::from_secs(slow.into())).await;
        }
        fate
    }

    /// After each operation: the invariants, and perhaps the end.
    pub(super) async fn after(&self, fate: Fate, what: What) {
        {
            let mut state = self.world.lock();
            state.appear();
            let process = &mut state.processes[self.process];
            if what != What::Look {
                process.effects.push(process.ops);
            }
            if what == What::Effect {
                let is_late = state.last_taker != Some(self.process);
                let process = &mut state.processes[self.process];
                process.late_effects += u32::from(is_late);
                // What it had begun; and if that was a key, its deletion.
                if process.late_effects > 2 {
                    state.violate("I5: it went on after another had taken the lease");
                }
                state.books.check().unwrap_or_else(|what| state.violate(what));
                state.serve(&self.world.store);
            }
            if fate == Fate::CrashesAfter {
                state.processes[self.process].is_dead = true;
            }
        }
        if fate == Fate::CrashesAfter {
            std::future::pending::<()>().await;
        }
    }

    fn is_dead(&self) -> bool {
        self.world.lock().processes[self.process].is_dead
    }

    pub(super) async fn sleep_for(&self, pause: Duration) {
        let timer = Timer::of(self, pause);
        std::future::poll_fn(|_| {
            if self.world.lock().now >= timer.until { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(super) fn wall_of(&self) -> Timestamp {
        let state = self.world.lock();
        stamp(state.now, state.processes[self.process].jumped)
    }
}

/// Something that a process waits for; it waits no more when this is gone.
struct Timer<'a> {
    handle: &'a Handle,
    id: u64,
    until: Duration,
}

impl<'a> Timer<'a> {
    fn of(handle: &'a Handle, pause: Duration) -> Self {
        let mut state = handle.world.lock();
        let until = state.now + pause;
        let timers = &mut state.processes[handle.process].timers;
        let id = timers.last_key_value().map_or(0, |(last, _)| last + 1);
        timers.insert(id, until);
        Self { handle, id, until }
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.handle.world.state.lock() {
            state.processes[self.handle.process].timers.remove(&self.id);
        }
    }
}

pub(super) fn stamp(now: Duration, jumped: i64) -> Timestamp {
    let seconds = i64::try_from(now.as_secs()).expect("it does not run so long");
    Timestamp::from_unix_seconds(EPOCH + seconds + jumped)
}
