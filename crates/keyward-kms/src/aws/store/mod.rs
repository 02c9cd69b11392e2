//! [`SecretsManagerStore`]: a store of staging labels. What a version holds lives in `version`, the
//! calls that move labels in `labels`, the lease and the journal in `state`.

use std::future::Future;
use std::time::Duration;

use aws_sdk_secretsmanager::primitives::Blob;
use keyward::store::{
    DocumentStore, Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoreErrorKind,
    StoredKey, Version,
};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadErrorKind, LoadedKey, Timestamp};
use zeroize::Zeroizing;

use self::labels::{Labels, create, move_label, put};
use self::state::State;
use self::version::Content;
use super::client::Aws;
use super::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::stored;
use crate::{Error, ErrorKind, deadline};

mod labels;
mod state;
mod version;

/// Keeps a key in a secret of AWS Secrets Manager, by its staging labels: the current key is
/// `AWSCURRENT`, the pending one `AWSPENDING`, the previous one `AWSPREVIOUS`.
///
/// Other programs read the key in use as they are used to: the field `api_key` of the secret's
/// JSON, at `AWSCURRENT`.
///
/// ```no_run
/// use keyward_kms::aws::{Aws, SecretsManagerStore};
///
/// let store = SecretsManagerStore::new(&Aws::from_env(), "prod/openai");
/// # let _ = store;
/// ```
///
/// # How it compares
///
/// Labels are moved with the version that they are moved from, and AWS refuses the move when they
/// are not there any more. Whoever moves `AWSPENDING` away from a version has decided what becomes
/// of it:
///
/// | change | `AWSPENDING` moves | then |
/// |---|---|---|
/// | stage | from where it rests to the new version | |
/// | discard | from the version to one without a key, where it rests | |
/// | promote | from the version to a note that says which one is promoted, and in place of which | `AWSCURRENT` moves there, and `AWSPENDING` rests on the note |
///
/// A process that dies in the middle of a promotion leaves the note, and whoever comes next goes
/// on from it, unless somebody else has moved `AWSCURRENT` meanwhile, as a `put-secret-value` does:
/// then the promotion is over, and what they put there stays.
///
/// # Lease and journal
///
/// They stand in a second secret, `NAME/keyward-state`, in which there is no key. A secret that
/// does not exist is made when it is first written to, if the policy allows
/// `secretsmanager:CreateSecret`.
///
/// AWS keeps each version of a secret for at least a day, and about a hundred: a rotation that
/// renews its lease and writes its journal ten times each makes twenty of the second secret and
/// two of the first, so rotate a key at most four times a day.
///
/// # Security
///
/// A version whose label was taken is kept by AWS until it is cleaned up, and can be read by its
/// id. The rotation revokes such a key at OpenAI.
#[derive(Debug)]
pub struct SecretsManagerStore {
    aws: Aws,
    id: Name,
    kms_key: Option<Name>,
    state: DocumentStore<State>,
    deadline: Duration,
}

impl SecretsManagerStore {
    /// The secret of this name, which nothing else writes.
    #[must_use]
    pub fn new(aws: &Aws, name: impl Into<String>) -> Self {
        let id = Name::new(name);
        let state = State::new(aws, Name::new(format!("{}/keyward-state", id.as_str())));
        Self {
            aws: aws.clone(),
            id,
            kms_key: None,
            state: DocumentStore::new(state),
            deadline: deadline::OF_STORES,
        }
    }

    /// Sets the name of the secret for lease and journal.
    #[must_use]
    pub fn with_state_secret(mut self, name: impl Into<String>) -> Self {
        let kms_key = self.kms_key.clone();
        self.state =
            DocumentStore::new(State::new(&self.aws, Name::new(name)).with_kms_key(kms_key));
        self
    }

    /// Sets the KMS key for secrets that are made; AWS's own for Secrets Manager unless set.
    #[must_use]
    pub fn with_kms_key(mut self, id: impl Into<String>) -> Self {
        self.kms_key = Some(Name::new(id));
        let state = self.state.place().clone().with_kms_key(self.kms_key.clone());
        self.state = DocumentStore::new(state);
        self
    }

    /// Sets how long one operation may take, which is up to 16 calls where no other process is in
    /// the way; 30 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
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

    fn contended(&self) -> StoreError {
        self.conflict("others change it all the time", "take the lease, and try again")
    }

    /// What the labels are on and what that is, at one moment. `None` if there is no secret.
    async fn look(&self) -> Result<Option<Holding>, StoreError> {
        let Some(labels) = self.labels().await.map_err(|error| self.told(error))? else {
            return Ok(None);
        };
        // Versions never change, so it does not matter that they are read one after the other.
        let current = self.content(labels.current.as_deref()).await?.into_stored();
        let rests = labels.pending == labels.current || labels.pending == labels.previous;
        let resting = labels.pending.as_deref().filter(|_| !rests);
        let (pending, promoting, over) = match self.content(resting).await? {
            Content::Promoting(note) if note.is_open(&labels) => {
                (self.content(Some(&note.version)).await?.into_stored(), true, None)
            }
            Content::Promoting(note) => (None, false, Some(note.version)),
            content => (content.into_stored(), false, None),
        };
        let previous = match self.content(labels.previous.as_deref()).await {
            // What a hand has put right since is in nobody's way.
            Err(error) if error.kind() == StoreErrorKind::Damaged => None,
            content => content?.into_stored(),
        };
        Ok(Some(Holding { labels, current, pending, promoting, over, previous }))
    }

    /// The same, with `AWSPENDING` somewhere, so that it can be moved.
    async fn look_or_create(&self) -> Result<Holding, StoreError> {
        for _ in 0..TRIES {
            match self.look().await? {
                Some(holding) if holding.labels.pending.is_some() => return Ok(holding),
                found => self
                    .prepare(found.is_some_and(|holding| holding.labels.has_anchor))
                    .await
                    .map_err(|error| self.told(error))?,
            }
        }
        Err(self.contended())
    }

    async fn content(&self, id: Option<&str>) -> Result<Content, StoreError> {
        let Some(id) = id else {
            return Ok(Content::Nothing);
        };
        let text = self.value(id).await.map_err(|error| self.told(error))?;
        version::read(&text, id, &self.source())
    }

    async fn value(&self, id: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let get = self.aws.secrets_manager().await?.get_secret_value();
        let get = get.secret_id(self.id.checked()?).version_id(id);
        let answer = quietly(get.send()).await.map_err(|error| of_sdk(&error))?;
        let text = answer.secret_string.map(String::into_bytes);
        let text = text.or_else(|| answer.secret_binary.map(Blob::into_inner));
        Ok(Zeroizing::new(text.ok_or_else(incomplete)?))
    }

    async fn labels(&self) -> Result<Option<Labels>, Error> {
        if self.id.as_str().starts_with("arn:") {
            return Err(Error::new(
                ErrorKind::Invalid,
                "an ARN, from which no second secret's name can be made",
                "give the secret's name",
            ));
        }
        let client = self.aws.secrets_manager().await?;
        let describe = client.describe_secret().secret_id(self.id.checked()?);
        let answer = match quietly(describe.send()).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = of_sdk(&error);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        if answer.deleted_date.is_some() {
            return Err(Error::new(
                ErrorKind::Withdrawn,
                "the secret waits for its deletion",
                "restore it",
            ));
        }
        Ok(Some(Labels::of(answer.version_ids_to_stages.unwrap_or_default())))
    }

    /// Makes the secret if it is not there, and puts `AWSPENDING` somewhere.
    async fn prepare(&self, has_anchor: bool) -> Result<(), Error> {
        let client = self.aws.secrets_manager().await?;
        if has_anchor {
            // Somebody has taken the label away altogether.
            self.move_label(PENDING, None, Some(ANCHOR)).await?;
            return Ok(());
        }
        // The same version whoever makes it: AWS does not make one of one id twice.
        let put = client
            .put_secret_value()
            .secret_id(self.id.checked()?)
            .client_request_token(ANCHOR)
            .secret_string(version::NOTHING)
            .version_stages(PENDING);
        let error = match quietly(put.send()).await {
            Ok(_) => return Ok(()),
            Err(error) => of_sdk(&error),
        };
        match error.kind() {
            ErrorKind::NotFound => create(&self.aws, &self.id, self.kms_key.as_ref()).await,
            ErrorKind::Conflict => Ok(()),
            _ => Err(error),
        }
    }

    /// Writes a version that has no meaning before `AWSPENDING` is moved to it.
    async fn put(&self, text: &Zeroizing<Vec<u8>>) -> Result<String, Error> {
        put(&self.aws, &self.id, text).await
    }

    /// Moves a label if it is where it was. `false` if it is not.
    async fn move_label(
        &self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<bool, Error> {
        move_label(&self.aws, &self.id, label, from, to).await
    }

    async fn stage_now(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        note.check(key, self.source())?;
        let text = stored::write(key, note, now);
        let mut put = None;
        for _ in 0..TRIES {
            let holding = self.look_or_create().await?;
            let known = [&holding.pending, &holding.current].into_iter().flatten();
            if let Some(known) = known.into_iter().find(|known| known.key == *key) {
                return Ok(known.version.clone());
            }
            if let Some(pending) = &holding.pending {
                if holding.promoting {
                    let version = pending.version.clone();
                    self.finish(&holding, &version).await?;
                    continue;
                }
                return Err(self.conflict(
                    format!("another key is pending, as version {}", pending.version),
                    "promote or discard it first",
                ));
            }
            let id = match &put {
                Some(id) => id,
                None => put.insert(self.put(&text).await.map_err(|error| self.told(error))?),
            };
            let from = holding.labels.pending.as_deref();
            let moved = self.move_label(PENDING, from, Some(id)).await;
            if moved.map_err(|error| self.told(error))? {
                return Ok(Version::from(id.clone()));
            }
        }
        Err(self.contended())
    }

    async fn promote_now(&self, version: &Version) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let holding = self.look().await?.unwrap_or_default();
            if holding.current.as_ref().is_some_and(|key| key.version == *version) {
                return Ok(());
            }
            if !holding.pending.as_ref().is_some_and(|key| key.version == *version) {
                return Err(self.conflict(
                    "the version is not the pending one",
                    "look at what the store holds, and stage the key again",
                ));
            }
            if !holding.promoting {
                let note = version::promoting(version, holding.labels.current.as_deref());
                let id = self.put(&note).await.map_err(|error| self.told(error))?;
                let moved = self.move_label(PENDING, Some(version.as_str()), Some(&id)).await;
                moved.map_err(|error| self.told(error))?;
                continue;
            }
            self.finish(&holding, version).await?;
        }
        Err(self.contended())
    }

    /// Goes on with a promotion that was decided. `AWSPENDING` stays on the note of it, which is
    /// over by that.
    async fn finish(&self, holding: &Holding, version: &Version) -> Result<(), StoreError> {
        let from = holding.labels.current.as_deref();
        let moved = self.move_label(CURRENT, from, Some(version.as_str())).await;
        moved.map(drop).map_err(|error| self.told(error))
    }

    /// Moves `AWSPENDING` from a version to one without a key.
    async fn rest(&self, from: Option<&str>) -> Result<(), Error> {
        let id = put(&self.aws, &self.id, version::NOTHING.as_bytes()).await?;
        self.move_label(PENDING, from, Some(&id)).await.map(drop)
    }

    async fn discard_now(&self, version: &Version) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let holding = self.look().await?.unwrap_or_default();
            let is =
                |key: &Option<StoredKey>| key.as_ref().is_some_and(|key| key.version == *version);
            let id = Some(version.as_str());
            let moved = if is(&holding.current) {
                return Err(
                    self.conflict("the version is the current one", "promote another key first")
                );
            } else if is(&holding.pending) && holding.promoting {
                return Err(self.conflict("the version is being promoted", "promote it"));
            } else if is(&holding.pending) {
                self.rest(id).await
            } else if id == holding.over.as_deref() {
                // Its promotion must not be taken for an open one when labels move again.
                self.rest(holding.labels.pending.as_deref()).await
            } else if is(&holding.previous) {
                self.move_label(PREVIOUS, id, None).await.map(drop)
            } else {
                return Ok(());
            };
            moved.map_err(|error| self.told(error))?;
        }
        Err(self.contended())
    }
}

impl KeyLoader for SecretsManagerStore {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let load = async {
            let read = async {
                let client = self.aws.secrets_manager().await?;
                let get =
                    client.get_secret_value().secret_id(self.id.checked()?).version_stage(CURRENT);
                match quietly(get.send()).await.map_err(|error| of_sdk(&error)) {
                    Ok(answer) => {
                        let id = answer.version_id.ok_or_else(incomplete)?;
                        let text = answer.secret_string.map(String::into_bytes);
                        let text = text.or_else(|| answer.secret_binary.map(Blob::into_inner));
                        Ok(Some((id, Zeroizing::new(text.ok_or_else(incomplete)?))))
                    }
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error),
                }
            };
            match read.await.map_err(|error| self.told(error))? {
                Some((id, text)) => version::read(&text, &id, &self.source()),
                None => Ok(Content::Nothing),
            }
        };
        let stored = self.timed(load).await?.into_stored().ok_or_else(|| {
            LoadError::new(
                LoadErrorKind::NotFound,
                self.source(),
                "no key is current",
                "store one there, or promote the one that is pending",
            )
        })?;
        Ok(stored.into_loaded(self.source()))
    }

    /// `aws-sm:NAME`.
    fn source(&self) -> KeySource {
        KeySource::new("aws-sm", self.id.to_string())
    }
}

impl KeyStore for SecretsManagerStore {
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
            let holding = self.look().await?.unwrap_or_default();
            let state = self.state.snapshot().await?;
            Ok(Snapshot::new()
                .current(holding.current)
                .pending(holding.pending)
                .previous(holding.previous)
                .lease(state.lease))
        })
        .await
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
            // The second secret has no keys to compare with.
            let holding = self.look().await?.unwrap_or_default();
            let keys = [holding.current, holding.pending, holding.previous];
            if keys.into_iter().flatten().any(|stored| stored.key.is_echoed_in(text)) {
                return Err(StoreError::new(
                    StoreErrorKind::Invalid,
                    self.source(),
                    "the journal would repeat a piece of a key",
                    "note the key's id and its version",
                ));
            }
            self.state.write_journal(read, text).await
        })
        .await
    }
}

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";
/// The version that `AWSPENDING` rests on at first.
const ANCHOR: &str = "keyward-00000000-nothing-is-pending";
/// How often a change is tried when others change it at the same time.
const TRIES: usize = 16;

/// What the secret holds, at one moment.
#[derive(Default)]
struct Holding {
    labels: Labels,
    current: Option<StoredKey>,
    pending: Option<StoredKey>,
    /// Whether it was decided that the pending one becomes current.
    promoting: bool,
    /// The version whose promotion is over, if its note is still there.
    over: Option<String>,
    previous: Option<StoredKey>,
}
