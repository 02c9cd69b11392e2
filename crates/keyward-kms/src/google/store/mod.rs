//! [`SecretManagerStore`]: a store of version aliases. The calls that read and move them live in
//! `aliases`, what is read by them in `look`, the lease and the journal in `state`.

use std::future::Future;
use std::time::Duration;

use keyward::store::{
    DocumentStore, Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoreErrorKind,
    StoredKey, Version,
};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadErrorKind, LoadedKey, Timestamp};

use self::aliases::{Aliases, Found};
use self::look::{Holding, is_ours, number};
use self::state::State;
use self::tries::Tries;
use super::client::Google;
use super::secret::SecretName;
use crate::{Error, deadline, stored};

mod aliases;
mod look;
mod state;
mod tries;

/// Keeps a key in a secret of Secret Manager, by aliases of its versions: the key in use is at
/// `current`, the pending one at `pending`, the one before at `previous`.
///
/// Other programs read the key in use as the field `api_key` of the JSON at
/// `projects/PROJECT/secrets/SECRET/versions/current`. The version `latest` is not for them: it may
/// be one that is staged only.
///
/// ```no_run
/// use keyward_kms::google::{Google, SecretManagerStore};
///
/// let store = SecretManagerStore::new(&Google::from_env(), "billing-prod/openai");
/// # let _ = store;
/// ```
///
/// # How it compares
///
/// Versions of a secret never change, and adding one changes nothing that a store reads. All that
/// does change are the secret's aliases and annotations, which are written together, and with the
/// entity tag that they were read with: Google refuses the write with `FAILED_PRECONDITION` when
/// the [tag is another one by then](https://cloud.google.com/secret-manager/docs/etags). So each
/// change is one write, which takes place as a whole or not at all, and no two can win:
///
/// | change | before the write | the write |
/// |---|---|---|
/// | stage | a version is added | `pending` is the new version |
/// | promote | | `previous` is `current`, `current` is `pending`, and `pending` is gone |
/// | discard | | `pending` or `previous` is gone |
///
/// A process that dies before its write has changed nothing. What it may leave is a version without
/// an alias.
///
/// # A secret that was there before
///
/// Where no version is `current`, the latest one is, be it the bare key or JSON with the field
/// `api_key`, unless the store itself has added it. The first stage gives it the alias. From then
/// on the alias counts: who replaces a key by hand adds a version and moves the alias to it, by
/// `gcloud secrets update SECRET --update-version-aliases=current=NUMBER`.
///
/// That a key was current is noted in the annotation `keyward-promoted`. Where it stands and the
/// alias `current` is gone, because somebody wrote the secret's aliases anew, nothing is loaded and
/// nothing staged until the alias is put back: the store is not taken for an empty one, which would
/// send a chain on to an older key. A load asks for the annotation only where there is no alias and
/// the store has added the latest version, and stops if it may not ask.
///
/// # What is read may be old
///
/// Of Google's reads only that of a version by its number is consistent, once the version was added.
/// Which version an alias is on, which is `latest`, and what a secret's aliases and annotations are
/// comes to every reader within minutes as a rule, and may take a few hours, as Google's page
/// ["Resource consistency"](https://cloud.google.com/secret-manager/docs/reference/consistency) says.
/// The store tells ten minutes as its [lag](KeyStore::lag), or [another](Self::with_lag). For that long
///
/// - a load may give the key that was replaced: keep it valid for longer than that, as keyward-rotate
///   does, and when OpenAI rejects a key load again some minutes later;
/// - a snapshot may show what was there before. A change that is decided by it fails, because it is
///   written with an entity tag that is old. To discard what is not there is a write for this too;
/// - a store that was empty may look so after its first key was promoted, and a chain then goes on.
///   Where another tool's key was there before, a load stops instead.
///
/// A version that was destroyed, or disabled, may be read for as long.
///
/// # Lease and journal
///
/// They stand in the secret's annotation `keyward-state`, in which there is no key. Google has room
/// for 16 KiB of annotations; 12 KiB of them are for this one.
///
/// A secret that does not exist is made when it is first written to, if the policy allows
/// `secretmanager.secrets.create`.
///
/// # Security
///
/// A version of the store's own that was discarded, or that lost a race, is destroyed if another key
/// is current and the policy allows `secretmanager.versions.destroy`. Else it stays, enabled and
/// paid for, until somebody destroys it; the rotation revokes such a key at OpenAI. A key that was
/// promoted and is neither current nor previous any more stays in its version.
#[derive(Debug)]
pub struct SecretManagerStore {
    google: Google,
    secret: SecretName,
    state: DocumentStore<State>,
    deadline: Duration,
    lag: Duration,
}

impl SecretManagerStore {
    /// The secret `PROJECT/SECRET`, which nothing else writes.
    #[must_use]
    pub fn new(google: &Google, secret: impl Into<String>) -> Self {
        let secret = SecretName::new(secret);
        let state = State::new(google, secret.clone());
        Self {
            google: google.clone(),
            secret,
            state: DocumentStore::new(state),
            deadline: deadline::OF_STORES,
            lag: LAG,
        }
    }

    /// Sets how long one operation may take, which is up to 12 calls where no other process is in
    /// the way; 30 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long a change may take to come to every reader, which is the store's
    /// [lag](KeyStore::lag); ten minutes unless set. Google names no bound. The longer it is, the
    /// longer a key that was replaced is kept valid for readers who are told of it late.
    #[must_use]
    pub fn with_lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    fn timed<T, F>(&self, work: F) -> impl Future<Output = Result<T, StoreError>> + use<T, F>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        deadline::within_store(self.deadline, self.source(), work)
    }

    fn told(&self, error: Error) -> StoreError {
        error.in_store(self.source())
    }

    fn conflict(&self, what: impl Into<String>, fix: &'static str) -> StoreError {
        StoreError::new(StoreErrorKind::Conflict, self.source(), what.into(), fix)
    }

    async fn found(&self) -> Result<Option<Found>, StoreError> {
        aliases::find(&self.google, &self.secret).await.map_err(|error| self.told(error))
    }

    /// What the secret holds, which is made if there is none, with an alias on what is current.
    async fn look_or_create(&self) -> Result<Holding, StoreError> {
        let mut tries = Tries::new();
        loop {
            let Some(mut holding) = self.look().await? else {
                let made = aliases::create(&self.google, &self.secret).await;
                made.map_err(|error| self.told(error))?;
                tries.lost("", self.source()).await?;
                continue;
            };
            let Some(mut version) = holding.adopted else { return Ok(holding) };
            let etag = holding.found.etag().to_owned();
            loop {
                let aliases = Aliases { current: Some(version), ..holding.found.aliases };
                let Some(found) = self.set(&holding.found, aliases).await? else { break };
                holding = self.hold(found).await?;
                // Who replaced the key meanwhile saw no alias to move.
                let latest = self.latest().await?;
                match latest.and_then(|key| number(&key.version)).filter(|at| *at > version) {
                    Some(newer) => version = newer,
                    None => return Ok(holding),
                }
            }
            tries.lost(&etag, self.source()).await?;
        }
    }

    /// Moves the aliases if nobody has changed the secret since, and answers what it is by then.
    async fn set(&self, found: &Found, aliases: Aliases) -> Result<Option<Found>, StoreError> {
        let set = aliases::set(&self.google, &self.secret, found, aliases).await;
        set.map_err(|error| self.told(error))
    }

    async fn stage_now(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        note.check(key, self.source())?;
        let text = stored::write(key, note, now);
        let mut added = None;
        let answer = self.stage_text(key, text, &mut added).await;
        match (&answer, added) {
            (Ok(version), Some(added)) if number(version) == Some(added) => {}
            // Another was faster.
            (Ok(_), Some(added)) => self.forget(added).await,
            (Err(error), Some(added))
                if error.is_conflict() || error.kind() == StoreErrorKind::Refused =>
            {
                self.forget(added).await;
            }
            // What came of it is not known.
            _ => {}
        }
        answer
    }

    async fn stage_text(
        &self,
        key: &ApiKey,
        text: zeroize::Zeroizing<Vec<u8>>,
        added: &mut Option<i64>,
    ) -> Result<Version, StoreError> {
        let mut text = Some(text);
        let mut tries = Tries::new();
        loop {
            let holding = self.look_or_create().await?;
            let known = [&holding.pending, &holding.current].into_iter().flatten();
            if let Some(known) = known.into_iter().find(|known| known.key == *key) {
                return Ok(known.version.clone());
            }
            if let Some(pending) = &holding.pending {
                return Err(self.conflict(
                    format!("another key is pending, as version {}", pending.version),
                    "promote or discard it first",
                ));
            }
            if let Some(text) = text.take() {
                let version = aliases::add(&self.google, &self.secret, text).await;
                *added = Some(version.map_err(|error| self.told(error))?);
            }
            let pending = *added;
            let aliases = Aliases { pending, ..holding.found.aliases };
            if self.set(&holding.found, aliases).await?.is_some() {
                return Ok(Version::from(pending.unwrap_or_default().to_string()));
            }
            tries.lost(holding.found.etag(), self.source()).await?;
        }
    }

    async fn promote_now(&self, version: &Version) -> Result<(), StoreError> {
        let mut tries = Tries::new();
        loop {
            let holding = self.look().await?;
            let is = |key: &Option<StoredKey>| key.as_ref().is_some_and(|k| k.version == *version);
            let Some(Holding { found, adopted, .. }) = (match &holding {
                Some(holding) if is(&holding.current) => return Ok(()),
                Some(holding) if is(&holding.pending) => Some(holding),
                _ => None,
            }) else {
                return Err(self.conflict(
                    "the version is not the pending one",
                    "look at what the store holds, and stage the key again",
                ));
            };
            let aliases = Aliases {
                current: found.aliases.pending,
                pending: None,
                previous: found.aliases.current.or(*adopted),
            };
            if self.set(found, aliases).await?.is_some() {
                return Ok(());
            }
            tries.lost(found.etag(), self.source()).await?;
        }
    }

    /// Also of a version that cannot be read: nothing else takes such a one out of the way.
    async fn discard_now(&self, version: &Version) -> Result<(), StoreError> {
        let Some(version) = number(version) else { return Ok(()) };
        let is_current =
            || self.conflict("the version is the current one", "promote another key first");
        let mut tries = Tries::new();
        loop {
            let Some(found) = self.found().await? else { return Ok(()) };
            let mut aliases = found.aliases;
            if aliases.current == Some(version) {
                return Err(is_current());
            }
            let forgets = [&mut aliases.pending, &mut aliases.previous]
                .into_iter()
                .filter_map(|alias| alias.take_if(|at| *at == version))
                .count();
            if forgets == 0 {
                // What is current without an alias.
                let latest = match aliases.current {
                    Some(_) => None,
                    None => self.latest().await.ok().flatten(),
                };
                let is_latest = latest.is_some_and(|key| number(&key.version) == Some(version));
                if is_latest {
                    return Err(is_current());
                }
                // What was read may be old: that it says so is written only if it is not.
            }
            if let Some(found) = self.set(&found, aliases).await? {
                if forgets > 0 {
                    self.forget_by(&found, version).await;
                }
                return Ok(());
            }
            tries.lost(found.etag(), self.source()).await?;
        }
    }

    /// Destroys a version that no alias is on any more, if it is one of ours and the policy lets
    /// us. What was asked for is done without it, so whatever goes wrong is not told.
    async fn forget(&self, version: i64) {
        if let Ok(Some(found)) = self.found().await {
            self.forget_by(&found, version).await;
        }
    }

    async fn forget_by(&self, found: &Found, version: i64) {
        // While nothing is current the latest version is looked at, and must be seen to be ours.
        // An alias of others is on what they read.
        if found.aliases.current.is_none() || found.has_alias_on(version) {
            return;
        }
        if self.key_at(version).await.is_ok_and(|key| is_ours(&key)) {
            let _ = aliases::destroy(&self.google, &self.secret, version).await;
        }
    }
}

impl KeyLoader for SecretManagerStore {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let stored = self.timed(self.load_now()).await?.ok_or_else(|| {
            LoadError::new(
                LoadErrorKind::NotFound,
                self.source(),
                "no key is current",
                "store one there, or promote the one that is pending",
            )
        })?;
        Ok(stored.into_loaded(self.source()))
    }

    /// `gcp-sm:PROJECT/SECRET`.
    fn source(&self) -> KeySource {
        self.secret.source()
    }
}

impl KeyStore for SecretManagerStore {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.timed(self.stage_now(key, note, now)).await
    }

    /// When it became current is not kept: a version of a secret does not change.
    async fn promote(&self, version: &Version, _: Timestamp) -> Result<(), StoreError> {
        self.timed(self.promote_now(version)).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        self.timed(self.discard_now(version)).await
    }

    /// The keys as they were at one moment; the lease is read after them.
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.timed(async {
            let Some(holding) = self.look().await? else { return Ok(Snapshot::new()) };
            let state = self.state.snapshot().await?;
            Ok(Snapshot::new()
                .current(holding.current)
                .pending(holding.pending)
                .previous(holding.previous)
                .lease(state.lease))
        })
        .await
    }

    fn lag(&self) -> Duration {
        self.lag
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.timed(self.state.lease(holder, ttl, now)).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.timed(self.state.renew(lease, ttl, now)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.timed(self.state.release(lease)).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        self.timed(self.state.journal()).await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        self.timed(async {
            // The annotation has no keys to compare with.
            if let Some(Holding { current, pending, previous, .. }) = self.look().await? {
                let keys = [current, pending, previous];
                if keys.into_iter().flatten().any(|stored| stored.key.is_echoed_in(text)) {
                    return Err(StoreError::new(
                        StoreErrorKind::Invalid,
                        self.source(),
                        "the journal would repeat a piece of a key",
                        "note the key's id and its version",
                    ));
                }
            }
            self.state.write_journal(read, text).await
        })
        .await
    }
}

/// Google's "within minutes".
const LAG: Duration = Duration::from_secs(600);
