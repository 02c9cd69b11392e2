//! [`Shared`]: what the handles and their task have in common.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use keyward_core::{KeyFingerprint, KeySource};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(super) use super::keeper::Rejection;
use super::keeper::{Keeper, Settings, Verdict};
use super::{Health, KeyUnavailable, LiveError, NarrowedKey, telemetry};
use crate::LoadedKey;

/// What is handed out.
pub(super) enum Slot<K> {
    Key(K),
    None(KeyUnavailable),
}

/// What the handles and their task have in common. The slot alone is read on the hot path.
pub(super) struct Shared<K> {
    pub(super) slot: ArcSwap<Slot<K>>,
    pub(super) settings: Settings,
    /// Wakes the task for a rejection.
    pub(super) wake: Notify,
    keeper: Mutex<Keeper>,
    /// What the loader is called: it tells handles apart.
    pub(super) source: KeySource,
}

impl<K: NarrowedKey> Shared<K> {
    pub(super) fn new(settings: Settings, source: KeySource) -> Self {
        Self {
            slot: ArcSwap::from_pointee(Slot::None(KeyUnavailable::Stale)),
            settings,
            wake: Notify::new(),
            keeper: Mutex::new(Keeper::new()),
            source,
        }
    }

    pub(super) fn keeper(&self) -> MutexGuard<'_, Keeper> {
        // Nothing that panics runs under the lock.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on what was loaded; hands it out if it is the key to use. Tells whether it is another
    /// than before.
    pub(super) fn finish(&self, loaded: Result<LoadedKey, LiveError>) -> Result<bool, LiveError> {
        let now = self.settings.now();
        let mut keeper = self.keeper();
        let (key, verdict) = keeper.finish(loaded, &self.settings, now);
        if let Some(key) = key {
            self.slot.store(Slot::Key(key).into());
        }
        let health = keeper.health(now.instant);
        drop(keeper);
        telemetry::loaded(&self.source, &health, &verdict);
        verdict.map(|verdict| verdict == Verdict::Taken)
    }

    /// Takes the key out of use if it is over, and tells whether it was.
    pub(super) fn retire(&self) -> bool {
        let mut keeper = self.keeper();
        let Some(why) = keeper.retire(&self.settings, self.settings.now()) else {
            return false;
        };
        self.slot.store(Slot::None(why).into());
        drop(keeper);
        telemetry::retired(&self.source, why);
        true
    }

    /// Takes the key out of use for good.
    pub(super) fn end(&self) {
        self.keeper().end();
        self.slot.store(Slot::None(KeyUnavailable::Ended).into());
        telemetry::ended(&self.source);
    }

    pub(super) fn reject(&self, fingerprint: &KeyFingerprint) -> Rejection {
        let mut keeper = self.keeper();
        let is_first = keeper.note_rejection(fingerprint);
        let rejection = keeper.reject(fingerprint, &self.settings, Instant::now());
        drop(keeper);
        // One line, however many requests are answered with 401.
        if is_first {
            telemetry::rejected(&self.source, fingerprint);
        }
        if matches!(rejection, Rejection::Awaits(_)) {
            self.wake.notify_one();
        }
        rejection
    }

    pub(super) fn has_another(&self, fingerprint: &KeyFingerprint) -> bool {
        self.keeper().has_another(fingerprint)
    }

    pub(super) fn health(&self) -> Health {
        self.keeper().health(Instant::now())
    }
}

/// Counts one more of what is watched.
pub(super) fn count(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count += 1);
}
