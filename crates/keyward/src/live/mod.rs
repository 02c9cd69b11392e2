//! [`LiveKey`]: the handle that a service holds for its whole life. What it does in the background
//! is in `task`, what it decides in `keeper`.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::Guard;
use keyward_core::{AdminKey, KeyFingerprint, KeyPolicy, ProjectKey};
use tokio::sync::watch;

pub use self::builder::LiveKeyBuilder;
pub use self::error::{KeyUnavailable, LiveError, LiveErrorKind};
pub use self::health::{Health, KeyInUse};
pub use self::narrowed::NarrowedKey;
use self::shared::{Rejection, Shared, Slot};
use crate::KeyLoader;

mod builder;
mod error;
mod health;
mod keeper;
mod narrowed;
pub(crate) mod race;
mod shared;
mod task;
mod telemetry;

/// The key of a service, for as long as the service lives: loaded, admitted by a policy, loaded
/// anew before it expires and when its source changes, and never handed out past its end.
///
/// It is cheap to clone; all clones share one key and one task. The last to be dropped ends the
/// task, also in the middle of a load, and the key is wiped.
///
/// ```no_run
/// use keyward::{EnvLoader, FileLoader, KeyPolicy, LiveKey, LoaderChain};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let chain = LoaderChain::first("mount", FileLoader::mounted_secret("/run/secrets/openai"))
///     .then("env", EnvLoader::new("OPENAI_API_KEY"));
/// let key = LiveKey::project(chain, KeyPolicy::production()).start().await?;
///
/// // For each request: no waiting, no allocation, no lock.
/// let in_use = key.current()?;
/// println!("{}", in_use.fingerprint());
///
/// // After a 401: is there another key by now?
/// let again = key.rejected(&in_use.fingerprint()).await;
/// # let _ = again;
/// # Ok(())
/// # }
/// ```
///
/// # When a key is loaded
///
/// - At the start, once; [`start`](LiveKeyBuilder::start) fails if there is none that the policy
///   admits. Nothing is read or spawned before it.
/// - Ahead of its expiry, if that is known
///   ([`refresh_ahead`](LiveKeyBuilder::refresh_ahead)), and at an interval
///   ([`refresh_every`](LiveKeyBuilder::refresh_every)), both earlier by a random part, so that a
///   fleet does not ask at once; or when the source says so, which one that issues tokens does.
/// - Within a second of a change, where the source can tell
///   ([`KeyLoader::signature`]): files and mounts do, also when the links of a Kubernetes mount are
///   swapped. Four times a second the file is looked at, which is one `stat`; a change counts once
///   it has been quiet until the next look, so that a file that is being written is left alone. (A
///   notification of the kernel would be quicker by some 100 ms, and is not to be had on network
///   file systems and for links that are replaced somewhere above.)
/// - After [`rejected`](Self::rejected).
///
/// One load is under way at a time, and it has [a limit](LiveKeyBuilder::load_within). After a
/// failure the next comes after a second, then two, then four, up to a minute.
///
/// # When there is no key
///
/// While loads fail, the key that is there stays in use: an outage of the source is not one of the
/// service. That ends, and [`current`](Self::current) says so,
///
/// - just before the key expires, by the wall clock or by the time that has passed, whichever is
///   first. A clock that jumps is noticed within half a minute;
/// - when the policy's exception for legacy user keys closes;
/// - when no load has confirmed it for [`stale_for`](LiveKeyBuilder::stale_for), a day unless set
///   otherwise;
/// - when the runtime that the task runs on ends: nothing would notice its expiry any more.
///
/// # What is never taken
///
/// A key that the policy refuses, a key that was [rejected](Self::rejected), and the key of a later
/// source of a [`LoaderChain`](crate::LoaderChain) than the one in use, which is most likely an
/// old one ([`allow_fall_back`](LiveKeyBuilder::allow_fall_back)). The one in use stays, and
/// [`health`](Self::health) tells why. A later source that has the same key confirms it, and does
/// not come first by that: another key there is still an old one.
pub struct LiveKey<K: NarrowedKey = ProjectKey> {
    shared: Arc<Shared<K>>,
    /// Counts what [`changed`](Self::changed) tells. The task ends when nobody listens.
    changes: watch::Receiver<u64>,
    /// Counts the loads that are done.
    loads: watch::Receiver<u64>,
}

impl LiveKey<ProjectKey> {
    /// A handle for the key that authorizes model requests. Reads and starts nothing:
    /// [`start`](LiveKeyBuilder::start) does.
    pub fn project(loader: impl KeyLoader + 'static, policy: KeyPolicy) -> LiveKeyBuilder {
        LiveKeyBuilder::new(Box::new(loader), policy)
    }
}

impl LiveKey<AdminKey> {
    /// A handle for the key of the Admin API. Reads and starts nothing:
    /// [`start`](LiveKeyBuilder::start) does.
    pub fn admin(loader: impl KeyLoader + 'static, policy: KeyPolicy) -> LiveKeyBuilder<AdminKey> {
        LiveKeyBuilder::new(Box::new(loader), policy)
    }
}

impl<K: NarrowedKey> LiveKey<K> {
    /// The key in use. It never waits and never allocates, whatever is going on in the background.
    ///
    /// Take it anew for each request. A guard that is kept keeps its key in memory and in use.
    ///
    /// # Errors
    ///
    /// [`KeyUnavailable`]: there was a key, and it must not be used any more.
    pub fn current(&self) -> Result<KeyGuard<K>, KeyUnavailable> {
        let slot = self.shared.slot.load();
        match &**slot {
            Slot::Key(_) => Ok(KeyGuard(slot)),
            Slot::None(why) => Err(*why),
        }
    }

    /// Waits until another key is in use, or none is any more, or one is again.
    ///
    /// No change is missed between two calls on one handle; several changes may be told as one. A
    /// clone knows what the handle that it is made from knows.
    ///
    /// # Errors
    ///
    /// [`KeyUnavailable::Ended`] when nothing can change any more, because the runtime of the task
    /// has ended.
    pub async fn changed(&mut self) -> Result<(), KeyUnavailable> {
        self.changes.changed().await.map_err(|_| KeyUnavailable::Ended)
    }

    /// Tells that OpenAI has answered 401 to a request with this key, and asks whether another key
    /// is in use now, so that the request is worth another try.
    ///
    /// If the key is still the one in use, the source is asked once, for all who call, and for one
    /// key at most once in [`reject_window`](LiveKeyBuilder::reject_window); after that it is asked
    /// again in the background, less and less often. A source that changes while it is read, as a
    /// store does that forgets the old key, is read again for about a second. Where there is no
    /// other key, the rejected one stays in use, because a 401 can be a mistake; once another has
    /// taken its place, it never comes back in this process, whatever the source says.
    ///
    /// Dropping the future leaves the load to the others who wait for it.
    pub async fn rejected(&self, fingerprint: &KeyFingerprint) -> bool {
        let mut loads = self.loads.clone();
        let awaited = match self.shared.reject(fingerprint) {
            Rejection::Answered(another) => return another,
            Rejection::Awaits(load) => load,
        };
        while *loads.borrow_and_update() < awaited && !self.shared.has_another(fingerprint) {
            if loads.changed().await.is_err() {
                break;
            }
        }
        self.shared.has_another(fingerprint)
    }

    /// Tells of a rejection, and waits for nothing.
    #[cfg(any(feature = "client-secret", feature = "reqwest-middleware", feature = "tower"))]
    pub(crate) fn note_rejected(&self, fingerprint: &KeyFingerprint) {
        self.shared.reject(fingerprint);
    }

    /// What is in use, since when, and what went wrong last: for a readiness endpoint.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }
}

impl<K: NarrowedKey> Clone for LiveKey<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            changes: self.changes.clone(),
            loads: self.loads.clone(),
        }
    }
}

/// The fingerprint of the key in use, or why there is none.
impl<K: NarrowedKey> fmt::Debug for LiveKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.current() {
            Ok(key) => f.debug_tuple("LiveKey").field(&key.as_api_key().fingerprint()).finish(),
            Err(why) => f.debug_tuple("LiveKey").field(&why).finish(),
        }
    }
}

/// The key in use, as [`LiveKey::current`] hands it out. Keep it no longer than a request takes to
/// be put together; to keep the key, clone it out of the guard.
pub struct KeyGuard<K: NarrowedKey = ProjectKey>(Guard<Arc<Slot<K>>>);

impl<K: NarrowedKey> Deref for KeyGuard<K> {
    type Target = K;

    fn deref(&self) -> &K {
        match &**self.0 {
            Slot::Key(key) => key,
            Slot::None(_) => unreachable!("a guard is made of a slot with a key in it"),
        }
    }
}

impl<K: NarrowedKey> fmt::Debug for KeyGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyGuard").field(&**self).finish()
    }
}
