//! [`AdminRotator`]: replaces the admin key itself, by the same machine over the organization's list
//! of admin keys.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward::store::{DynKeyStore, KeyStore};
use keyward::{AdminKey, ApiKey, Clock, KeyFingerprint, LoadedKey};
use keyward_admin::{AdminApiKey, Client, Error, ErrorKind, NewAdminKey, Scopes};

use crate::access::{Access, Connect, no_admin_key};
use crate::driver::{Driver, Outside, Settings};
use crate::event::{Events, Hub};
use crate::journal::{DynJournal, Journal, StoreJournal};
use crate::machine::{Goal, Ledger};
use crate::organization::{deletion, not_made, told};
use crate::outcome::{Outcome, ended};
use crate::outside::{
    Deletion, Expiry, ListedKey, Listing, Minted, NotMade, Organization, SystemTimes,
};
use crate::probe::{Probe, ProbeAnswer};
use crate::rotator::random;
use crate::slot::danger::ShortSilence;
use crate::status::Status;
use crate::sweep::{Sweep, SweepReport, sweep_slot};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot, Verification};

/// Replaces the admin key that is kept in a store.
///
/// The road is that of a [`Rotator`](crate::Rotator): the new key has an expiry, is staged, is proved
/// by listing the admin keys with it, and becomes the store's current key; then it is used to delete
/// the old one when that is silent. The API lets no admin key expire earlier than it was made to
/// ([reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/admin_api_keys)),
/// so the old key is deleted and not let expire: a rotation that is never resumed leaves it alive
/// until its own expiry. **Whoever holds the old key by value is locked out then**: make the
/// [`Rotator`](crate::Rotator) of the other slots with
/// [`Rotator::managed_with`](crate::Rotator::managed_with), which reads this store at each call. A key
/// that keyward did not make is left alone unless its id is named.
///
/// ```no_run
/// # async fn example(store: keyward::store::DynKeyStore) -> Result<(), keyward_rotate::RotateError> {
/// use keyward_admin::Client;
/// use keyward_rotate::AdminRotator;
///
/// // The store has an admin key, perhaps one that was made by hand.
/// let rotator = AdminRotator::builder("admin", store, Client::new, "rotator-0").build()?;
/// println!("{}", rotator.rotate().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AdminRotator(Arc<Inner>);

struct Inner {
    slot: Slot,
    store: DynKeyStore,
    journal: DynJournal,
    access: Access,
    holder: String,
    settings: Settings,
    time: SystemTimes,
    hub: Arc<Hub>,
}

impl AdminRotator {
    /// A rotator of the admin key in this store. Its name is part of the name of each key; `connect`
    /// makes the client of a key; the holder is as of [`Rotator::builder`](crate::Rotator::builder).
    pub fn builder(
        name: impl Into<String>,
        store: impl KeyStore + 'static,
        connect: impl Fn(AdminKey) -> Result<Client, Error> + Send + Sync + 'static,
        holder: impl Into<String>,
    ) -> AdminRotatorBuilder {
        AdminRotatorBuilder {
            name: name.into(),
            store: DynKeyStore::new(store),
            journal: None,
            connect: Arc::new(connect),
            holder: holder.into(),
            settings: Settings::default(),
            clock: Clock::system(),
            ttl: Duration::from_secs(90 * 86_400),
            grace: Duration::from_secs(3600),
            silence: Duration::from_secs(600),
            short_silence: None,
            patience: Duration::from_secs(120),
            retired: Vec::new(),
        }
    }

    /// What it does from now on, as a stream.
    #[must_use]
    pub fn events(&self) -> Events {
        self.0.hub.listen()
    }

    /// Replaces the key; or, if a rotation is open, brings that one to its end.
    ///
    /// # Errors
    ///
    /// See [`RotateErrorKind`]. Whatever it is, the store's current key is one that works, if it
    /// was before.
    pub async fn rotate(&self) -> Result<Outcome, RotateError> {
        self.must_end(Goal::Rotate).await
    }

    /// Replaces the key because it leaked: the old one is deleted at once when the new one is in
    /// use.
    ///
    /// # Errors
    ///
    /// As of [`rotate`](Self::rotate).
    pub async fn rotate_now(&self) -> Result<Outcome, RotateError> {
        self.must_end(Goal::Now).await
    }

    /// Brings the open rotation to its end, and begins none. None when nothing was open. One after a
    /// leak is open until a key that was made after it is in use.
    ///
    /// # Errors
    ///
    /// As of [`rotate`](Self::rotate).
    pub async fn resume(&self) -> Result<Option<Outcome>, RotateError> {
        self.drive(Goal::Resume).await
    }

    /// Where it is. The store and the journal are asked, and the organization is not.
    ///
    /// # Errors
    ///
    /// When the store or the journal does not answer.
    pub async fn status(&self) -> Result<Status, RotateError> {
        let look = async {
            let ledger = Ledger::of(&self.0.journal.read(self.0.slot.name()).await?.records()?);
            let snapshot = self.0.store.snapshot().await.map_err(|e| RotateError::of_store(&e))?;
            Ok(Status::of(&self.0.slot, &ledger, &snapshot, Duration::ZERO))
        };
        look.await.map_err(|error: RotateError| error.in_slot(self.0.slot.name()))
    }

    /// Looks for admin keys that this rotator made and nobody knows any more, and deletes them if
    /// that is asked for. What it did not make is never touched.
    ///
    /// # Errors
    ///
    /// When the organization, the store or the journal does not answer.
    pub async fn sweep(&self, sweep: Sweep) -> Result<SweepReport, RotateError> {
        let organization = self.connected().await?;
        let probe = AdminProbe(&self.0);
        let sweep = Sweep { whole_project: false, unknown_slots: false, ..sweep };
        sweep_slot(&self.outside(&organization, &probe), &[self.0.slot.name()], &sweep).await
    }

    async fn must_end(&self, goal: Goal) -> Result<Outcome, RotateError> {
        ended(self.drive(goal).await?, goal).map_err(|error| error.in_slot(self.0.slot.name()))
    }

    async fn drive(&self, goal: Goal) -> Result<Option<Outcome>, RotateError> {
        let organization = self.connected().await?;
        let probe = AdminProbe(&self.0);
        Driver::run(self.outside(&organization, &probe), goal).await
    }

    /// The organization, managed with the key that is in use.
    async fn connected(&self) -> Result<AdminKeys<'_>, RotateError> {
        let slot = self.0.slot.name();
        let current = self.0.store.current().await;
        let current = current.map_err(|error| RotateError::of_store(&error).in_slot(slot))?;
        let Some(current) = current else {
            return Err(no_admin_key().in_slot(slot));
        };
        let organization = AdminKeys { inner: &self.0, client: Mutex::new(None) };
        organization.take_over(&current.key).map_err(|error| error.in_slot(slot))?;
        Ok(organization)
    }

    fn outside<'a>(
        &'a self,
        organization: &'a AdminKeys<'a>,
        probe: &'a AdminProbe<'a>,
    ) -> Outside<'a, AdminKeys<'a>, DynKeyStore, DynJournal, AdminProbe<'a>, SystemTimes> {
        Outside {
            slot: &self.0.slot,
            organization,
            store: &self.0.store,
            journal: &self.0.journal,
            probe,
            time: &self.0.time,
            hub: &self.0.hub,
            holder: &self.0.holder,
            settings: &self.0.settings,
            random: &random,
            promoted: &|_| (),
            #[cfg(test)]
            mutant: None,
        }
    }
}

impl fmt::Debug for AdminRotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminRotator")
            .field("holder", &self.0.holder)
            .field("name", &self.0.slot.name())
            .finish_non_exhaustive()
    }
}

/// How an [`AdminRotator`] is set up. It comes from [`AdminRotator::builder`].
#[must_use = "nothing is made before `build`"]
pub struct AdminRotatorBuilder {
    name: String,
    store: DynKeyStore,
    journal: Option<DynJournal>,
    connect: Arc<Connect>,
    holder: String,
    settings: Settings,
    clock: Clock,
    ttl: Duration,
    grace: Duration,
    silence: Duration,
    short_silence: Option<ShortSilence>,
    patience: Duration,
    retired: Vec<String>,
}

impl AdminRotatorBuilder {
    /// How long a key lives: 90 days unless set; from a minute to a year. It is due for replacement
    /// after two thirds of that.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long the old key is watched at the most, an hour unless set; and for how long it must
    /// not have been used before it is deleted, ten minutes unless set. What fits is told by
    /// [`Slot::with_grace`] and [`Slot::with_silence`].
    pub fn drain(mut self, grace: Duration, silence: Duration) -> Self {
        (self.grace, self.silence, self.short_silence) = (grace, silence, None);
        self
    }

    /// As [`drain`](Self::drain), and a silence of less than a minute is no error.
    pub fn short_drain(mut self, grace: Duration, exception: ShortSilence) -> Self {
        (self.grace, self.short_silence) = (grace, Some(exception));
        self
    }

    /// For how long a new key that is not accepted yet is asked again: two minutes unless set.
    pub fn acceptance(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Lets an admin key be deleted that keyward did not make, by its id, once the new one is in
    /// use.
    pub fn retiring(mut self, key_id: impl Into<String>) -> Self {
        self.retired.push(key_id.into());
        self
    }

    /// Where the journal is kept: in the store unless set.
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(DynJournal::new(journal));
        self
    }

    /// What time it is. Waiting is by tokio's timer.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// As of [`RotatorBuilder::lease`](crate::RotatorBuilder::lease).
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// As of [`RotatorBuilder::patience`](crate::RotatorBuilder::patience).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Makes it. Nothing is read and nothing is started.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] for a name, a time to live or a drain that cannot be, or a
    /// holder without a name.
    pub fn build(self) -> Result<AdminRotator, RotateError> {
        if self.holder.trim().is_empty() {
            return Err(RotateError::new(
                RotateErrorKind::Configuration,
                "the holder has no name",
                "give each replica a name of its own",
            ));
        }
        // A key that may not list the admin keys cannot delete the old one.
        let verification = Verification {
            path: "/organization/admin_api_keys".to_owned(),
            accept_under_scoped: Some(false),
            patience: self.patience,
        };
        let mut slot = Slot::new(self.name, "-", "-", Scopes::All)?
            .with_ttl(self.ttl)?
            .with_grace(self.grace)
            .with_silence(self.silence)
            .with_verification(verification);
        if let Some(exception) = self.short_silence {
            slot = slot.with_short_silence(exception);
        }
        for id in self.retired {
            slot = slot.retiring(id);
        }
        let journal =
            self.journal.unwrap_or_else(|| DynJournal::new(StoreJournal::new(self.store.clone())));
        Ok(AdminRotator(Arc::new(Inner {
            slot: slot.checked(self.store.lag())?,
            store: self.store,
            journal,
            access: Access::new(self.connect, self.clock.clone()),
            holder: self.holder,
            settings: self.settings.checked(),
            time: SystemTimes::new(self.clock),
            hub: Arc::new(Hub::default()),
        })))
    }
}

impl fmt::Debug for AdminRotatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminRotatorBuilder")
            .field("holder", &self.holder)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The organization's admin keys, managed with the one that is in use.
struct AdminKeys<'a> {
    inner: &'a Inner,
    client: Mutex<Option<(KeyFingerprint, Client)>>,
}

impl AdminKeys<'_> {
    fn client(&self) -> Result<Client, RotateError> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.as_ref().map(|(_, client)| client.clone()).ok_or_else(|| {
            RotateError::new(
                RotateErrorKind::Configuration,
                "there is no admin key in use",
                "put one into the store",
            )
        })
    }
}

impl Organization for AdminKeys<'_> {
    async fn check(&self) -> Result<(), RotateError> {
        Ok(())
    }

    async fn list(&self, _with_accounts: bool) -> Result<Listing, RotateError> {
        let keys = self.client()?.admin_keys().list().all().await.map_err(|e| told(&e))?;
        Ok(Listing {
            keys: keys.iter().filter(|key| is_admin_key(key)).map(listed).collect(),
            accounts: Vec::new(),
        })
    }

    async fn make_account(&self, _tag: &Tag) -> Result<String, NotMade> {
        Err(NotMade::Never(RotateError::new(
            RotateErrorKind::Refused,
            "admin keys belong to no service account",
            "report it, with the journal",
        )))
    }

    async fn mint(&self, _account: Option<&str>, tag: &Tag) -> Result<Minted, NotMade> {
        let client = self.client().map_err(NotMade::Never)?;
        let new = NewAdminKey::new(tag.as_str()).expires_in(self.inner.slot.ttl());
        let minted = client.admin_keys().create(new).await.map_err(|error| not_made(&error))?;
        Ok(Minted {
            key: minted.key,
            id: minted.metadata.id.map(|id| id.to_string()),
            created_at: minted.metadata.created_at,
            expires_at: minted.metadata.expires_at,
        })
    }

    async fn expire(&self, _key: &str, _after: Duration) -> Result<Expiry, RotateError> {
        Ok(Expiry::Refused)
    }

    async fn look(&self, key: &str) -> Result<Option<ListedKey>, RotateError> {
        match self.client()?.admin_key(key).get().await {
            Ok(key) => Ok(Some(listed(&key))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    async fn delete_key(&self, key: &str) -> Result<Deletion, RotateError> {
        let deleted = self.client()?.admin_key(key).delete().await;
        match &deleted {
            // There is no other way to be rid of it.
            Err(error) if matches!(deletion_of(error), Some(Deletion::Refused)) => Err(told(error)),
            _ => deletion(deleted),
        }
    }

    async fn delete_account(&self, _account: &str) -> Result<Deletion, RotateError> {
        Ok(Deletion::Refused)
    }

    fn can_expire(&self) -> bool {
        false
    }

    fn take_over(&self, key: &ApiKey) -> Result<(), RotateError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = key.fingerprint();
        if client.as_ref().is_none_or(|(known, _)| *known != fingerprint) {
            *client = Some((fingerprint, self.inner.access.client_of(key)?));
        }
        Ok(())
    }
}

fn deletion_of(error: &Error) -> Option<Deletion> {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Permission)
        .then_some(Deletion::Refused)
}

/// The list has been seen to hold keys of projects too, labelled as admin keys.
fn is_admin_key(key: &AdminApiKey) -> bool {
    let shown = key.redacted_value.as_deref().unwrap_or_default();
    !["sk-proj", "sk-svc", "sk-None"].iter().any(|prefix| shown.starts_with(prefix))
}

fn listed(key: &AdminApiKey) -> ListedKey {
    ListedKey {
        id: key.id.to_string(),
        name: key.name.clone(),
        // As the slot says: it belongs to none.
        account: Some("-".to_owned()),
        account_name: None,
        redacted: key.redacted_value.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}

/// Lists the admin keys with the new one.
struct AdminProbe<'a>(&'a Inner);

impl Probe for AdminProbe<'_> {
    async fn probe(&self, key: &LoadedKey, _slot: &Slot) -> ProbeAnswer {
        let Ok(client) = self.0.access.client_of(&key.key) else { return ProbeAnswer::Unknown };
        match client.admin_keys().list().next().await {
            None | Some(Ok(_)) => ProbeAnswer::Live,
            Some(Err(error)) if error.is_unauthorized() => ProbeAnswer::Dead,
            Some(Err(error)) if error.is_forbidden() => ProbeAnswer::UnderScoped,
            Some(Err(_)) => ProbeAnswer::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward::store::MemoryStore;

    use super::*;

    #[test]
    fn patience_is_half_of_the_lease_at_the_most() {
        let builder = || AdminRotator::builder("admin", MemoryStore::new("a"), Client::new, "test");
        let seconds = Duration::from_secs;
        for (lease, patience, used) in [(600, 1000, 300), (600, 200, 200), (1, 1000, 30)] {
            let builder = builder().lease(seconds(lease)).patience(seconds(patience));
            let rotator = builder.build().expect("as it is set");
            assert_eq!(rotator.0.settings.patience, seconds(used), "{lease} {patience}");
        }
        let rotator = builder().patience(seconds(1000)).lease(seconds(60)).build();
        assert_eq!(rotator.expect("as it is set").0.settings.patience, seconds(30));
    }
}
