//! [`Task`]: what keeps a key fresh in the background, and takes it out of use in time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::race::{Either, caught, race};
use super::shared::{Shared, count};
use super::{LiveError, LiveErrorKind, NarrowedKey};
use crate::loader::AnyLoader;
use crate::{LoadError, LoadErrorKind, LoadedKey, SourceSignature};

/// How often a source is looked at that can tell a change.
const LOOK: Duration = Duration::from_millis(250);

/// How long a source may go on changing before a load that is due is made all the same.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// How often a source is read that changes while it is read, where somebody waits for it, and how
/// long it is left alone in between.
pub(super) const TRIES: u32 = 10;
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How often the wall clock is read at the least: it can be set, and it goes on while a machine
/// sleeps.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Keeps one key. It is over when no handle is left, or with its runtime.
pub(super) struct Task<K: NarrowedKey> {
    shared: Arc<Shared<K>>,
    loader: Box<dyn AnyLoader>,
    changes: watch::Sender<u64>,
    loads: watch::Sender<u64>,
    next_load: Instant,
    next_look: Option<Instant>,
    /// How the source looked at the last load.
    seen: Option<SourceSignature>,
    /// How it looks now, if it has not been quiet yet, and since when it has not.
    unsettled: Option<(SourceSignature, Instant)>,
}

/// No handle is left.
struct Abandoned;

impl<K: NarrowedKey> Task<K> {
    pub(super) fn new(
        shared: Arc<Shared<K>>,
        loader: Box<dyn AnyLoader>,
        changes: watch::Sender<u64>,
        loads: watch::Sender<u64>,
        seen: Option<SourceSignature>,
    ) -> Self {
        let now = Instant::now();
        let next_look = seen.map(|_| now + LOOK);
        let mut task = Self {
            shared,
            loader,
            changes,
            loads,
            next_load: now,
            next_look,
            seen,
            unsettled: None,
        };
        task.schedule();
        task
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.step().await {}
    }

    async fn step(&mut self) -> Result<(), Abandoned> {
        if self.retire() {
            self.next_load = Instant::now();
        }
        let is_due = self.next_load <= Instant::now() || self.shared.keeper().is_awaited();
        let waits = self.unsettled.is_some_and(|(_, since)| since.elapsed() < SETTLES_WITHIN);
        if is_due && !waits {
            return self.load().await;
        }
        let next = match self.next_look {
            // A load that waits for the source to settle is not what it waits for.
            Some(look) if waits => look,
            Some(look) => look.min(self.next_load),
            None => self.next_load,
        };
        let wake = race(sleep_until(next.min(self.next_check())), self.shared.wake.notified());
        if let Either::Second(()) = race(wake, self.changes.closed()).await {
            return Err(Abandoned);
        }
        match self.next_look {
            Some(at) if at <= Instant::now() => self.look().await,
            _ => Ok(()),
        }
    }

    /// Loads, decides, and tells those who wait.
    async fn load(&mut self) -> Result<(), Abandoned> {
        let mut tries = 1;
        let (number, loaded, signature) = loop {
            let number = self.shared.keeper().begin();
            let load = load(&*self.loader, &self.shared);
            let (loaded, signature) = self.guarded(load).await?;
            let is_unsettled =
                matches!(&loaded, Err(error) if error.kind() == LiveErrorKind::Unsettled);
            // "No" would hold for a whole window, and the key may be there a moment later: a store
            // forgets the old key just after the new one has come.
            if !is_unsettled || tries == TRIES || !self.shared.keeper().is_asked() {
                break (number, loaded, signature);
            }
            tries += 1;
            self.guarded(sleep(PAUSE)).await?;
        };
        if signature.is_some() {
            self.seen = signature;
        }
        if let Ok(true) = self.shared.finish(loaded) {
            count(&self.changes);
        }
        self.loads.send_replace(number);
        self.schedule();
        Ok(())
    }

    /// Looks whether the source has changed, and has been quiet since the last look.
    async fn look(&mut self) -> Result<(), Abandoned> {
        let had_one = self.shared.keeper().has_one();
        let limit = self.shared.settings.load_within;
        // Asked for within, because that may panic too.
        let look = async { timeout(limit, self.loader.signature_any()).await };
        let signature = self.guarded(caught(look)).await?.and_then(Result::ok).flatten();
        if had_one && !self.shared.keeper().has_one() {
            // It went out of use meanwhile.
            self.next_load = Instant::now();
        }
        self.next_look = Some(Instant::now() + LOOK);
        match (signature, self.unsettled) {
            (None, _) => self.unsettled = None,
            (Some(now), _) if self.seen == Some(now) => self.unsettled = None,
            (Some(now), Some((before, _))) if now == before => {
                self.unsettled = None;
                // Whatever comes of the load: the same file is not read again and again.
                self.seen = signature;
                self.next_load = Instant::now();
            }
            (Some(now), before) => {
                self.unsettled = Some((now, before.map_or_else(Instant::now, |(_, since)| since)));
            }
        }
        Ok(())
    }

    /// Does something that may take long, while the key is still taken out of use in time.
    async fn guarded<T>(&self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        let mut work = pin!(work);
        loop {
            let check = sleep_until(self.next_check());
            match race(race(work.as_mut(), check), self.changes.closed()).await {
                Either::First(Either::First(done)) => return Ok(done),
                Either::First(Either::Second(())) => {
                    self.retire();
                }
                Either::Second(()) => return Err(Abandoned),
            }
        }
    }

    fn retire(&self) -> bool {
        let is_over = self.shared.retire();
        if is_over {
            count(&self.changes);
        }
        is_over
    }

    fn schedule(&mut self) {
        let settings = &self.shared.settings;
        let random = fastrand::f64();
        self.next_load = self.shared.keeper().next_load(settings, settings.now(), random);
    }

    fn next_check(&self) -> Instant {
        let settings = &self.shared.settings;
        let now = settings.now();
        let check = now.instant + CLOCK_CHECK;
        self.shared.keeper().next_end(settings, now).map_or(check, |end| end.min(check))
    }
}

/// The task is over, and perhaps with its runtime: nothing would take the key out of use in time.
impl<K: NarrowedKey> Drop for Task<K> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Loads once, within the limit, and tells how the source looked.
pub(super) async fn load<K>(
    loader: &dyn AnyLoader,
    shared: &Shared<K>,
) -> (Result<LoadedKey, LiveError>, Option<SourceSignature>) {
    let Shared { settings, source, .. } = shared;
    let looked = async {
        let before = if settings.watch { loader.signature_any().await } else { None };
        let loaded = loader.load_any().await.map_err(LiveError::load);
        // What was replaced while it was read may be half of each.
        if before.is_some() && loader.signature_any().await != before {
            return (Err(LiveError::unsettled(source.clone())), None);
        }
        (loaded, before)
    };
    match timeout(settings.load_within, caught(looked)).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => {
            let fix = "mend the loader; the panic's message tells where";
            let kind = LoadErrorKind::Unreadable;
            let error = LoadError::new(kind, source.clone(), "it panicked", fix);
            (Err(LiveError::load(error)), None)
        }
        Err(_) => {
            let error = LoadError::timed_out(source.clone(), settings.load_within);
            (Err(LiveError::load(error)), None)
        }
    }
}
