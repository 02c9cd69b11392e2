//! [`LiveKeyBuilder`]: what an application decides before a handle starts.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{KeyPolicy, ProjectKey};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::keeper::Settings;
use super::shared::Shared;
use super::task::{self, Task};
use super::{LiveError, LiveErrorKind, LiveKey, NarrowedKey};
use crate::Clock;
use crate::loader::AnyLoader;

/// A [`LiveKey`] before it starts: where its key comes from, which policy admits it, and when it is
/// loaded anew. Nothing is read before [`start`](Self::start).
#[must_use = "nothing happens before `start`"]
pub struct LiveKeyBuilder<K: NarrowedKey = ProjectKey> {
    loader: Box<dyn AnyLoader>,
    settings: Settings,
    kind: PhantomData<fn() -> K>,
}

impl<K: NarrowedKey> LiveKeyBuilder<K> {
    pub(super) fn new(loader: Box<dyn AnyLoader>, policy: KeyPolicy) -> Self {
        Self {
            loader,
            settings: Settings {
                policy,
                clock: Clock::system(),
                refresh_every: Duration::from_secs(300),
                refresh_ahead: Duration::from_secs(300),
                stale_for: Duration::from_secs(86_400),
                load_within: Duration::from_secs(30),
                reject_window: Duration::from_secs(10),
                allow_fall_back: false,
                watch: true,
            },
            kind: PhantomData,
        }
    }

    /// Loads the key anew after so long, up to a tenth sooner. 5 minutes unless set;
    /// [`Duration::MAX`] for never. A source that says when
    /// ([`LoadedKey::refresh_at`](crate::LoadedKey::refresh_at)) goes before this and
    /// [`refresh_ahead`](Self::refresh_ahead).
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.settings.refresh_every = interval.max(Duration::from_millis(1));
        self
    }

    /// Loads a key that expires so long before it goes out of use, and up to a tenth of the time
    /// until then sooner; but not before four fifths of its life are over, and then up to a fiftieth
    /// of it later. 5 minutes unless set.
    pub fn refresh_ahead(mut self, time: Duration) -> Self {
        self.settings.refresh_ahead = time;
        self
    }

    /// Keeps a key in use for so long while no load confirms it. A day unless set;
    /// [`Duration::MAX`] for as long as it lives.
    pub fn stale_for(mut self, time: Duration) -> Self {
        self.settings.stale_for = time;
        self
    }

    /// Gives a load so much time; then it has failed. 30 seconds unless set. A
    /// [`LoaderChain`](crate::LoaderChain) can have a shorter [deadline](crate::LoaderChain::deadline).
    pub fn load_within(mut self, limit: Duration) -> Self {
        self.settings.load_within = limit;
        self
    }

    /// Asks the source for the sake of one [rejected](LiveKey::rejected) key once in this time. 10
    /// seconds unless set.
    pub fn reject_window(mut self, window: Duration) -> Self {
        self.settings.reject_window = window;
        self
    }

    /// Takes another key of a later source of the chain when the source in use has none any more.
    ///
    /// # Security
    ///
    /// What stands in a later source is most likely older, and may be the key that was just
    /// withdrawn. Whoever can make the first source come up empty chooses the second.
    pub fn allow_fall_back(mut self) -> Self {
        self.settings.allow_fall_back = true;
        self
    }

    /// Does not look several times a second whether the source has changed.
    pub fn without_watching(mut self) -> Self {
        self.settings.watch = false;
        self
    }

    /// Goes by this clock instead of the system's, for tests.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Loads the first key, and starts the task that keeps it fresh on the runtime that this is
    /// called in, which may be of either kind. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// A [`LiveError`]: no key could be loaded, or the policy refuses it, or there is no runtime.
    ///
    /// # Panics
    ///
    /// If the runtime's timer is off (`enable_time`), as every timer of tokio does.
    pub async fn start(self) -> Result<LiveKey<K>, LiveError> {
        let runtime = Handle::try_current().map_err(|_| LiveError::no_runtime())?;
        let shared = Arc::new(Shared::new(self.settings, self.loader.source_any()));
        let mut tries = 1;
        let signature = loop {
            shared.keeper().begin();
            let (loaded, signature) = task::load(&*self.loader, &shared).await;
            match shared.finish(loaded) {
                Ok(_) => break signature,
                Err(error) if error.kind() == LiveErrorKind::Unsettled && tries < task::TRIES => {
                    tries += 1;
                    tokio::time::sleep(task::PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        };
        let (changed, changes) = watch::channel(0);
        let (done, loads) = watch::channel(shared.health().loads);
        let task = Task::new(Arc::clone(&shared), self.loader, changed, done, signature);
        runtime.spawn(task.run());
        Ok(LiveKey { shared, changes, loads })
    }
}

impl<K: NarrowedKey> fmt::Debug for LiveKeyBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKeyBuilder")
            .field("source", &self.loader.source_any())
            .field("settings", &self.settings)
            .finish()
    }
}
