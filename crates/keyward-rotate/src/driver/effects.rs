//! The effects of a [`Driver`], one function each.

use std::time::Duration;

use keyward::store::{KeyNote, KeyStore, StoreErrorKind, Version};

use super::{Driver, persist};
use crate::event::{EventKind, Straggler};
use crate::journal::record::is_time;
use crate::journal::{Entry, Journal, OldKey, Retirement};
use crate::machine::{Next, Proof, Watch};
use crate::outside::{Deletion, Expiry, ListedKey, Listing, NotMade, Organization, Time};
use crate::probe::Probe;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind};

/// How long a store gets between looks to tell of its last change.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// The shortest expiry that there is: what cannot be deleted is dead a second later.
const AT_ONCE: Duration = Duration::from_secs(1);

impl<O, S, J, P, T> Driver<'_, O, S, J, P, T>
where
    O: Organization,
    S: KeyStore,
    J: Journal,
    P: Probe,
    T: Time,
{
    pub(super) async fn perform(&mut self, next: Next) -> Result<(), RotateError> {
        match next {
            Next::Finished | Next::Stop(_) => {}
            Next::Abandon { why, error } => self.abandon(why, error).await?,
            Next::Begin { old, left_alone } => {
                for key in &left_alone {
                    self.tell(EventKind::LeftAlone { key: key.clone() });
                }
                self.left_alone = left_alone;
                self.begin(old).await?;
            }
            Next::Check => {
                let store = self.outside.store.source();
                self.outside.probe.foresee(&store, self.outside.slot.ttl())?;
                persist!(self, self.outside.organization.check())?;
                self.hand.is_checked = true;
            }
            Next::DeleteAccount(account) => self.delete_stray_account(account).await?,
            Next::Discard(version) => {
                self.discard(version).await?;
            }
            Next::Expire { key, within } => self.expire(key, within).await?,
            Next::List => {
                let with_accounts = self.ledger.own_accounts;
                self.hand.listing = Some(self.list(with_accounts).await?);
            }
            Next::LookAgain => {
                self.hand.rollback_looks += 1;
                self.outside.time.sleep(BETWEEN_LOOKS).await;
                self.renew().await?;
                self.is_stale = true;
            }
            Next::MakeAccount => self.make_account().await?,
            Next::Mint => self.mint().await?,
            Next::Note(entry) => self.note_of_open(entry).await?,
            Next::Probe => self.probe().await?,
            Next::PutOff(key) => self.put_off(key).await?,
            Next::Promote(version) => self.promote(version).await?,
            Next::Retire { old, straggling } => self.retire(old, straggling).await?,
            Next::Stage => self.stage().await?,
            Next::Sweep(key) => self.sweep(&key).await?,
            Next::TakeUp { tag, old } => {
                let project = Some(self.outside.slot.project().to_string());
                let entry = Entry::Intent { project, old, own_account: false, now: false };
                self.note(&tag, entry).await?;
            }
            Next::Tell(key) => {
                self.tell_of_use(&key).await;
                if let Some(watch) = self.hand.watches.get_mut(&key) {
                    watch.is_told = true;
                }
            }
            Next::Wait { why, pause, waited } => {
                let pause = pause.min(self.outside.settings.lease / 3);
                self.tell(EventKind::Waiting { why, pause, waited });
                self.outside.time.sleep(pause).await;
                self.renew().await?;
                self.is_stale = true;
            }
            Next::Watch(key) => self.watch(key).await?,
        }
        Ok(())
    }

    /// Lists, which takes as long as there are keys, and holds the lease on meanwhile.
    pub(super) async fn list(&mut self, with_accounts: bool) -> Result<Listing, RotateError> {
        let mut held = self.held.clone();
        let listing = async { persist!(self, self.outside.organization.list(with_accounts)) };
        let listing = held.during(&self.outside, listing).await;
        self.is_stale |= held.since != self.held.since;
        self.held = held;
        listing?
    }

    async fn discard(&mut self, version: Version) -> Result<(), RotateError> {
        let mut is_conflict = false;
        let discarded = persist!(self, async {
            self.outside.store.discard(&version).await.map_err(|error| {
                is_conflict = error.kind() == StoreErrorKind::Conflict;
                RotateError::of_store(&error)
            })
        });
        self.is_stale = true;
        if discarded.is_ok() {
            self.hand.discarded.push(version);
            return Ok(());
        }
        if !is_conflict {
            return discarded;
        }
        // Its promotion was begun, and cannot be taken back: it is ended, and what is current then
        // is looked at.
        self.read_store().await?;
        if self.snapshot.pending.as_ref().is_some_and(|pending| pending.version == version) {
            return self.promote(version).await;
        }
        discarded
    }

    async fn promote(&mut self, version: Version) -> Result<(), RotateError> {
        let promoted = persist!(self, async {
            let now = self.outside.time.wall();
            let promoted = self.outside.store.promote(&version, now).await;
            promoted.map_err(|error| RotateError::of_store(&error))
        });
        self.is_stale = true;
        promoted?;
        self.hand.stored_at = Some(self.outside.time.running());
        self.hand.is_promoted = true;
        Ok(())
    }

    fn open_tag(&self) -> Option<Tag> {
        self.ledger.open.as_ref().map(|open| open.tag.clone())
    }

    async fn begin(&mut self, old: Vec<OldKey>) -> Result<(), RotateError> {
        let tag = Tag::new(self.outside.slot.name(), (self.outside.random)());
        let is_urgent = self.ledger.is_urgent;
        #[cfg(test)]
        let is_urgent = is_urgent && self.outside.mutant != Some(crate::machine::Mutant::ForgetNow);
        let now = self.goal == crate::machine::Goal::Now || is_urgent;
        let project = Some(self.outside.slot.project().to_string());
        let own_account = self.ledger.own_accounts;
        let entry = Entry::Intent { project, old, own_account, now };
        #[cfg(test)]
        if self.outside.mutant == Some(crate::machine::Mutant::SkipIntent) {
            let at = self.outside.time.wall();
            self.ledger.add(&crate::Record { at, tag: tag.clone(), entry });
            self.hand.is_fresh = true;
            self.hand.began = Some(tag);
            return Ok(());
        }
        self.note(&tag, entry).await?;
        self.hand.began = Some(tag);
        self.hand.is_fresh = true;
        self.hand.is_promoted = false;
        self.hand.attempts += 1;
        self.hand.proof = None;
        self.hand.is_verified = false;
        self.hand.watches.clear();
        Ok(())
    }

    async fn abandon(
        &mut self,
        why: &'static str,
        error: Option<RotateError>,
    ) -> Result<(), RotateError> {
        let Some(tag) = self.open_tag() else { return Ok(()) };
        self.note(&tag, Entry::Abandoned { why: why.to_owned() }).await?;
        self.minted = None;
        self.hand.has_key = false;
        self.hand.stored_at = None;
        self.hand.is_promoted = false;
        self.hand.is_fresh = false;
        self.hand.proof = None;
        self.hand.is_verified = false;
        self.hand.listing = None;
        self.is_stale = true;
        if error.is_some() {
            self.hand.failed = error;
        }
        Ok(())
    }

    async fn note_of_open(&mut self, entry: Entry) -> Result<(), RotateError> {
        let Some(tag) = self.open_tag() else { return Ok(()) };
        match entry {
            Entry::Done => self.finish(&[]),
            Entry::HandedOn { ref old } => self.finish(old),
            Entry::Superseded => {
                let dies =
                    self.doomed.take().map(|key| format!(": {key}, which is gone or soon is"));
                let dies = dies.unwrap_or_default();
                self.hand.failed = Some(RotateError::new(
                    RotateErrorKind::StoreChanged,
                    format!("another key stands in the place of the one made as `{tag}`{dies}"),
                    "if that is meant, sweep what is left over and rotate again",
                ));
            }
            _ => {}
        }
        let is_verified = entry == Entry::Verified;
        self.note(&tag, entry).await?;
        self.hand.is_verified |= is_verified;
        Ok(())
    }

    /// An account for one key. Whatever is not surely nothing is given up and looked for.
    async fn make_account(&mut self) -> Result<(), RotateError> {
        let Some(tag) = self.open_tag() else { return Ok(()) };
        let since = self.outside.time.running();
        let mut times = 0;
        loop {
            match self.outside.organization.make_account(&tag).await {
                Ok(account) => {
                    self.hand.listing = None;
                    return self.note(&tag, Entry::AccountMade { account }).await;
                }
                Err(NotMade::Later(error)) => {
                    times += 1;
                    if !self.pauses_after(&error, since, times).await {
                        return self.abandon("no account could be made", Some(error)).await;
                    }
                }
                Err(NotMade::Never(error)) => {
                    return self.abandon("no account may be made", Some(error)).await;
                }
                Err(NotMade::Unknown) => {
                    return self.abandon("whether an account was made is not known", None).await;
                }
            }
        }
    }

    async fn mint(&mut self) -> Result<(), RotateError> {
        let Some(open) = self.ledger.open.clone() else { return Ok(()) };
        let since = self.outside.time.running();
        let mut times = 0;
        self.hand.is_fresh = false;
        self.hand.listing = None;
        let mut minted = loop {
            let account = open.account.as_deref();
            match self.outside.organization.mint(account, &open.tag).await {
                Ok(minted) => break minted,
                Err(NotMade::Later(error)) => {
                    times += 1;
                    if !self.pauses_after(&error, since, times).await {
                        return self.abandon("no key could be made", Some(error)).await;
                    }
                }
                Err(NotMade::Never(error)) => {
                    return self.abandon("the organization makes no such key", Some(error)).await;
                }
                Err(NotMade::Unknown) => {
                    #[cfg(test)]
                    if self.outside.mutant == Some(crate::machine::Mutant::MintAgain) {
                        continue;
                    }
                    return self.abandon("whether a key was made is not known", None).await;
                }
            }
        };
        // Neither the store nor the journal is given a time that is none.
        minted.created_at = minted.created_at.filter(is_time);
        minted.expires_at = minted.expires_at.filter(is_time);
        if minted.id.is_none() {
            // It is needed to retire it one day, and found by its name.
            let listing = match self.list(false).await {
                // It is found by its name, by whoever has the lease.
                Err(error) if error.is_lease_held() => return Err(error),
                listing => listing.unwrap_or_default(),
            };
            let name = Some(open.tag.as_str());
            let listed = listing.keys.into_iter().find(|key| key.name.as_deref() == name);
            minted.id = listed.map(|key| key.id);
        }
        if minted.expires_at.is_none()
            && let Some(id) = &minted.id
        {
            // It was asked for, and not told. What does not expire by itself is no key to forget.
            let ttl = self.outside.slot.ttl();
            match self.outside.organization.expire(id, ttl).await {
                Ok(Expiry::Set(at)) => minted.expires_at = at.filter(is_time),
                _ => self.tell(EventKind::ExpiryRefused { key: id.clone() }),
            }
        }
        let entry = Entry::Minted {
            key: minted.id.clone(),
            created_at: minted.created_at,
            expires_at: minted.expires_at,
        };
        let id = minted.id.clone();
        self.minted = Some(minted);
        self.hand.has_key = true;
        let noted = self.note(&open.tag, entry).await;
        if let (Err(_), Some(id)) = (&noted, id) {
            // Nobody else has it, and nobody will: it must not be left behind.
            let _ = self.outside.organization.delete_key(&id).await;
        }
        noted
    }

    async fn stage(&mut self) -> Result<(), RotateError> {
        let (Some(minted), Some(tag)) = (self.minted.clone(), self.open_tag()) else {
            self.hand.has_key = false;
            return Ok(());
        };
        let mut note = KeyNote::new()
            .tag(tag.as_str())
            .created_at(minted.created_at)
            .expires_at(minted.expires_at);
        if let Some(id) = &minted.id {
            note = note.key_id(id);
        }
        let mut is_conflict = false;
        let staged = persist!(self, async {
            let now = self.outside.time.wall();
            let staged = self.outside.store.stage(&minted.key, &note, now).await;
            staged.map_err(|error| {
                is_conflict = error.kind() == StoreErrorKind::Conflict;
                RotateError::of_store(&error)
            })
        });
        self.is_stale = true;
        match staged {
            Ok(version) => {
                self.minted = None;
                self.hand.has_key = false;
                self.hand.stored_at = Some(self.outside.time.running());
                self.note(&tag, Entry::Staged { version: version.to_string() }).await
            }
            // What is pending there is looked at.
            Err(_) if is_conflict => {
                self.outside.time.sleep(BETWEEN_LOOKS).await;
                Ok(())
            }
            Err(error) if error.is_lease_held() => Err(error),
            Err(error) => self.abandon("the store did not take the key", Some(error)).await,
        }
    }

    async fn probe(&mut self) -> Result<(), RotateError> {
        let Some(pending) = self.snapshot.pending.clone() else {
            self.is_stale = true;
            return Ok(());
        };
        let key = pending.into_loaded(self.outside.store.source());
        if let Err(error) = self.outside.probe.check(&key) {
            return self.abandon("the policy refuses it", Some(error)).await;
        }
        let answer = self.outside.probe.probe(&key, self.outside.slot).await;
        let asked_at = self.outside.time.running();
        let before = self.hand.proof;
        self.hand.proof = Some(Proof {
            since: before.map_or(asked_at, |proof| proof.since),
            asked_at,
            answer,
            times: before.map_or(0, |proof| proof.times) + 1,
        });
        self.is_stale = true;
        Ok(())
    }

    /// The old key will die by itself from here on, whatever becomes of this process.
    async fn expire(&mut self, key: String, within: Duration) -> Result<(), RotateError> {
        let set = persist!(self, self.outside.organization.expire(&key, within))?;
        match set {
            Expiry::Gone => return self.gone(&key).await,
            // Without the expiry there still is the deletion.
            Expiry::Refused => self.tell(EventKind::ExpiryRefused { key: key.clone() }),
            Expiry::Set(_) => {}
        }
        let now = self.outside.time.running();
        self.hand.watches.entry(key).or_insert_with(|| begun(now)).put_off_at = Some(now);
        Ok(())
    }

    async fn watch(&mut self, key: String) -> Result<(), RotateError> {
        let Some(listed) = persist!(self, self.outside.organization.look(&key))? else {
            return self.gone(&key).await;
        };
        self.must_be_ours(&listed)?;
        let now = self.outside.time.running();
        let latest = self.outside.time.wall().saturating_add(self.view().grace());
        #[cfg(test)]
        let ignores_use = self.outside.mutant == Some(crate::machine::Mutant::IgnoreUse);
        #[cfg(not(test))]
        let ignores_use = false;
        let watch = self.hand.watches.entry(key).or_insert_with(|| begun(now));
        let is_first = watch.looked_at.is_none();
        let was_used = watch.last_used_at != listed.last_used_at && !ignores_use;
        // One look is no silence; it begins at the first.
        if is_first || was_used {
            watch.quiet_since = now;
        }
        watch.was_used |= was_used && !is_first;
        watch.outlives_grace = listed.expires_at.is_none_or(|at| at > latest);
        watch.last_used_at = listed.last_used_at;
        watch.looked_at = Some(now);
        Ok(())
    }

    async fn retire(&mut self, old: OldKey, straggling: bool) -> Result<(), RotateError> {
        if straggling {
            self.tell_of_use(&old.key).await;
        }
        let Some(listed) = persist!(self, self.outside.organization.look(&old.key))? else {
            return self.gone(&old.key).await;
        };
        self.must_be_ours(&listed)?;
        // Each call may have taken almost as long as the lease.
        self.renew().await?;
        match persist!(self, self.outside.organization.delete_key(&old.key))? {
            Deletion::Deleted => {
                self.allow_deletion().await?;
                self.delete_account_of(&old).await?;
                self.retired(&old.key, Retirement::Deleted).await
            }
            Deletion::Gone => {
                self.delete_account_of(&old).await?;
                self.retired(&old.key, Retirement::Gone).await
            }
            refusal @ (Deletion::Forbidden | Deletion::Refused) => {
                if self.delete_account_of(&old).await? {
                    return self.retired(&old.key, Retirement::AccountDeleted).await;
                }
                self.renew().await?;
                match persist!(self, self.outside.organization.expire(&old.key, AT_ONCE))? {
                    Expiry::Set(_) => {
                        if let Some(tag) = self.open_tag() {
                            self.refuse_deletion(refusal, &tag).await?;
                        }
                        self.retired(&old.key, Retirement::Expired).await
                    }
                    Expiry::Gone => self.retired(&old.key, Retirement::Gone).await,
                    Expiry::Refused => self.retire_expired(&old.key).await,
                }
            }
        }
    }

    /// An old key is not there any more; the account that was made for it may be.
    async fn gone(&mut self, key: &str) -> Result<(), RotateError> {
        let old = self.ledger.open.as_ref().and_then(|open| open.old.iter().find(|o| o.key == key));
        if let Some(old) = old.cloned() {
            self.delete_account_of(&old).await?;
        }
        self.retired(key, Retirement::Gone).await
    }

    /// Single keys cannot be deleted here. It is written down only where nothing else is amiss: a
    /// key could be let expire, the project and the account are in order, and what was said is not
    /// that it is forbidden, which is a permission that the admin key lacks.
    async fn refuse_deletion(&mut self, refusal: Deletion, tag: &Tag) -> Result<(), RotateError> {
        if refusal != Deletion::Refused || self.ledger.own_accounts {
            return Ok(());
        }
        match persist!(self, self.outside.organization.check()) {
            Ok(()) => self.note(tag, Entry::DeletionRefused).await,
            Err(_) => Ok(()),
        }
    }

    /// Single keys can be deleted, whatever was written down.
    async fn allow_deletion(&mut self) -> Result<(), RotateError> {
        match self.open_tag().filter(|_| self.ledger.own_accounts) {
            Some(tag) => self.note(&tag, Entry::DeletionAllowed).await,
            None => Ok(()),
        }
    }

    /// An old key that can be neither deleted nor let expire: perhaps it has expired already.
    async fn retire_expired(&mut self, key: &str) -> Result<(), RotateError> {
        let Some(listed) = persist!(self, self.outside.organization.look(key))? else {
            return self.retired(key, Retirement::Gone).await;
        };
        if listed.has_expired(self.outside.time.wall()) {
            return self.retired(key, Retirement::Expired).await;
        }
        Err(RotateError::new(
            RotateErrorKind::Refused,
            format!("{key} can be neither deleted nor let expire"),
            "delete it by hand, or wait until it has expired, then resume",
        ))
    }

    async fn retired(&mut self, key: &str, how: Retirement) -> Result<(), RotateError> {
        self.is_stale = true;
        let Some(tag) = self.open_tag() else { return Ok(()) };
        self.note(&tag, Entry::Retired { key: key.to_owned(), how }).await
    }

    /// A key of an attempt that was given up. That it stays does not stop a rotation.
    async fn sweep(&mut self, key: &ListedKey) -> Result<(), RotateError> {
        let deleted = persist!(self, self.outside.organization.delete_key(&key.id));
        if let Ok(refusal @ (Deletion::Forbidden | Deletion::Refused)) = deleted {
            self.renew().await?;
            let expired = persist!(self, self.outside.organization.expire(&key.id, AT_ONCE));
            if let (Ok(Expiry::Set(_)), Some(tag)) = (expired, key.tag()) {
                self.refuse_deletion(refusal, &tag).await?;
            }
        }
        self.is_stale = true;
        self.hand.given_up.push(key.id.clone());
        Ok(())
    }

    async fn delete_stray_account(&mut self, account: String) -> Result<(), RotateError> {
        let _ = persist!(self, self.outside.organization.delete_account(&account));
        self.is_stale = true;
        self.hand.given_up.push(account);
        Ok(())
    }

    /// Tells of a key at the end of its grace: that somebody still uses it, or that this cannot be
    /// told.
    async fn tell_of_use(&mut self, key: &str) {
        let Some(watch) = self.hand.watches.get(key).copied() else { return };
        if watch.last_used_at.is_none() {
            self.tell(EventKind::SilenceUnknown { key: key.to_owned() });
        } else if watch.was_used {
            let straggler = self.straggler(key).await;
            if self.outside.slot.stragglers() != crate::Stragglers::GoOn {
                self.tell(EventKind::Straggling(straggler.clone()));
            }
            self.stragglers.retain(|other| other.key != key);
            self.stragglers.push(straggler);
        }
    }

    /// Who still uses a key, as far as that is told.
    async fn straggler(&self, key: &str) -> Straggler {
        let current = self.snapshot.current.as_ref();
        let requests = match current.and_then(|current| current.note.created_at) {
            Some(since) => self.outside.organization.requests_since(key, since).await,
            None => None,
        };
        let watch = self.hand.watches.get(key);
        Straggler {
            key: key.to_owned(),
            last_used_at: watch.and_then(|watch| watch.last_used_at),
            watched: watch.map_or(Duration::ZERO, |watch| {
                self.outside.time.running().saturating_sub(watch.since)
            }),
            requests,
        }
    }
}

fn begun(now: Duration) -> Watch {
    Watch {
        since: now,
        quiet_since: now,
        looked_at: None,
        put_off_at: None,
        last_used_at: None,
        outlives_grace: true,
        was_used: false,
        is_told: false,
    }
}
