//! The traits of the outside, for a process of the simulation.

use std::time::Duration;

use keyward::store::{
    Journal, KeyNote, KeyStore, Lease, Snapshot, StoreError, StoreErrorKind, Version,
};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadedKey, Timestamp};

use super::organization::{ACCOUNT, Late};
use super::world::{Asked, Fate, Fault, Handle, What, stamp};
use crate::machine::Ledger;
use crate::outside::{
    Deletion, Expiry, ListedAccount, ListedKey, Listing, Minted, NotMade, Organization, Time,
};
use crate::probe::{Probe, ProbeAnswer};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot};

impl Time for Handle {
    fn wall(&self) -> Timestamp {
        self.wall_of()
    }

    fn running(&self) -> Duration {
        let state = self.world.lock();
        state.now - state.processes[self.process].began
    }

    async fn sleep(&self, pause: Duration) {
        self.sleep_for(pause).await;
    }
}

impl Probe for Handle {
    async fn probe(&self, key: &LoadedKey, _slot: &Slot) -> ProbeAnswer {
        let key = &key.key;
        let fate = self.before(Asked::Organization).await;
        let answer = {
            let mut state = self.world.lock();
            let now = state.now;
            match fate {
                Fate::Goes | Fate::CrashesAfter | Fate::Old if state.books.accepts(key, now) => {
                    state.books.used(key, now);
                    ProbeAnswer::Live
                }
                Fate::Goes | Fate::CrashesAfter | Fate::Old => ProbeAnswer::Dead,
                _ => ProbeAnswer::Unknown,
            }
        };
        self.after(fate, What::Look).await;
        answer
    }
}

fn unavailable() -> RotateError {
    let kind = RotateErrorKind::OrganizationUnavailable;
    RotateError::new(kind, "it does not answer", "wait")
}

fn refused(kind: RotateErrorKind) -> RotateError {
    RotateError::new(kind, "it does not allow that", "mend it")
}

impl Handle {
    /// Uses the admin key with which the organization is managed, if that is one of its keys.
    fn manages(&self, state: &mut super::world::State) -> Result<(), RotateError> {
        if !state.books.are_admin {
            return Ok(());
        }
        let (now, key) = (state.now, state.processes[self.process].manages_with.clone());
        match key.filter(|key| state.books.accepts(key, now)) {
            Some(key) => {
                state.books.used(&key, now);
                Ok(())
            }
            None => Err(refused(RotateErrorKind::Refused)),
        }
    }

    /// An operation of the organization that can be asked for again.
    async fn ask<T>(
        &self,
        what: What,
        effect: impl FnOnce(&mut super::world::State) -> Result<T, RotateError>,
    ) -> Result<T, RotateError> {
        let fate = self.before(Asked::Organization).await;
        let effect = |state: &mut super::world::State| {
            self.manages(state)?;
            effect(state)
        };
        let done = match fate {
            Fate::Fails | Fate::Late(_) => Err(unavailable()),
            Fate::Throttled => Err(unavailable().after(Some(Duration::from_secs(7)))),
            Fate::Goes | Fate::CrashesAfter | Fate::Old => effect(&mut self.world.lock()),
            Fate::Loses => {
                let done = effect(&mut self.world.lock());
                done.and_then(|_| Err(unavailable()))
            }
        };
        let has_effect = matches!(fate, Fate::CrashesAfter | Fate::Goes | Fate::Loses | Fate::Old);
        self.after(fate, if has_effect { what } else { What::Look }).await;
        done
    }
}

impl Organization for Handle {
    async fn check(&self) -> Result<(), RotateError> {
        self.ask(What::Look, |state| {
            if state.books.is_archived {
                Err(refused(RotateErrorKind::ProjectUnusable))
            } else if state.books.role_none {
                Err(refused(RotateErrorKind::AccountUnusable))
            } else {
                Ok(())
            }
        })
        .await
    }

    async fn list(&self, with_accounts: bool) -> Result<Listing, RotateError> {
        let takes = self.world.lock().listing_takes;
        self.sleep_for(takes).await;
        self.ask(What::Look, |state| {
            let books = &state.books;
            let keys = books.keys.iter().filter(|key| !key.is_deleted);
            let accounts = books.accounts.iter().filter(|a| with_accounts && !a.is_deleted);
            Ok(Listing {
                keys: keys.map(|key| books.listed(key)).collect(),
                accounts: accounts
                    .map(|account| ListedAccount {
                        id: account.id.clone(),
                        name: account.name.clone(),
                        created_at: None,
                    })
                    .collect(),
            })
        })
        .await
    }

    async fn make_account(&self, tag: &Tag) -> Result<String, NotMade> {
        let fate = self.before(Asked::Organization).await;
        let made = match fate {
            Fate::Fails => Err(NotMade::Unknown),
            Fate::Late(ops) => {
                self.world.lock().late.push((ops.max(1), Late::Account(tag.clone())));
                Err(NotMade::Unknown)
            }
            Fate::Throttled => Err(NotMade::Later(unavailable())),
            Fate::Goes | Fate::CrashesAfter | Fate::Loses | Fate::Old => {
                let id = self.world.lock().books.make_account(tag.as_str());
                if fate == Fate::Loses { Err(NotMade::Unknown) } else { Ok(id) }
            }
        };
        self.after(fate, if made.is_ok() { What::Effect } else { What::Look }).await;
        made
    }

    async fn mint(&self, account: Option<&str>, tag: &Tag) -> Result<Minted, NotMade> {
        let fate = self.before(Asked::Organization).await;
        let ttl = Duration::from_secs(30 * 86_400);
        let account = account.unwrap_or(ACCOUNT).to_owned();
        let made = {
            let mut state = self.world.lock();
            let now = state.now;
            let managed = self.manages(&mut state);
            match fate {
                Fate::Goes | Fate::CrashesAfter | Fate::Loses | Fate::Old | Fate::Late(_)
                    if managed.is_err() =>
                {
                    Err(NotMade::Never(refused(RotateErrorKind::Refused)))
                }
                _ if state.books.max_ttl.is_some_and(|max| ttl > max) => {
                    Err(NotMade::Never(refused(RotateErrorKind::Refused)))
                }
                Fate::Fails => Err(NotMade::Unknown),
                Fate::Throttled => Err(NotMade::Later(unavailable())),
                Fate::Late(ops) => {
                    let late = Late::Key { tag: tag.clone(), account, ttl };
                    state.late.push((ops.max(1), late));
                    Err(NotMade::Unknown)
                }
                Fate::Goes | Fate::CrashesAfter | Fate::Loses | Fate::Old => {
                    if state.books.keys.iter().any(|key| key.name == tag.as_str()) {
                        state.violate("a key was made twice by one name");
                    }
                    let key = state.books.mint(tag.as_str(), &account, Some(ttl), now);
                    if fate == Fate::Loses {
                        Err(NotMade::Unknown)
                    } else {
                        Ok(Minted {
                            id: Some(key.id),
                            key: key.value,
                            created_at: Some(stamp(now, 0)),
                            expires_at: Some(stamp(now + ttl, 0)),
                        })
                    }
                }
            }
        };
        self.after(fate, if made.is_ok() { What::Effect } else { What::Look }).await;
        made
    }

    async fn expire(&self, key: &str, after: Duration) -> Result<Expiry, RotateError> {
        self.ask(What::Effect, |state| {
            let now = state.now;
            let is_expired =
                |key: &super::organization::Key| key.expires_at.is_some_and(|at| now >= at);
            if state.books.are_admin {
                return Ok(Expiry::Refused);
            }
            match state.books.find(key) {
                None => Ok(Expiry::Gone),
                Some(key) if is_expired(key) => Ok(Expiry::Refused),
                Some(found) => {
                    // A call that is repeated comes a little later.
                    let latest = found.expires_at.map(|at| at + Duration::from_secs(30));
                    let is_put_off =
                        found.is_let_expire && latest.is_some_and(|at| now + after > at);
                    let is_right = state.processes.iter().all(|process| process.jumped == 0);
                    // One call may be late.
                    let is_late = state.last_taker != Some(self.process);
                    if is_put_off && is_right && !is_late && !state.may_put_off {
                        state.violate("I6: an expiry that was set was put off");
                    }
                    if state.is_leak_known && !is_late && after > Duration::from_secs(1) {
                        state.violate("I7: a key that leaked was given time");
                    }
                    state.books.touch(key, |key| {
                        key.expires_at = Some(now + after);
                        key.is_let_expire = true;
                    });
                    Ok(Expiry::Set(Some(stamp(now + after, 0))))
                }
            }
        })
        .await
    }

    async fn look(&self, key: &str) -> Result<Option<ListedKey>, RotateError> {
        self.ask(What::Look, |state| {
            let found = state.books.find(key).cloned();
            Ok(found.map(|key| state.books.listed(&key)))
        })
        .await
    }

    async fn delete_key(&self, key: &str) -> Result<Deletion, RotateError> {
        self.ask(What::Effect, |state| match state.books.find(key).is_some() {
            false => Ok(Deletion::Gone),
            true if state.books.refuses_deletion => Ok(Deletion::Refused),
            true => {
                state.books.touch(key, |key| key.is_deleted = true);
                Ok(Deletion::Deleted)
            }
        })
        .await
    }

    async fn delete_account(&self, account: &str) -> Result<Deletion, RotateError> {
        self.ask(What::Effect, |state| {
            if account == ACCOUNT {
                state.violate("I4: the slot's own account was deleted");
            }
            state.books.delete_account(account);
            Ok(Deletion::Deleted)
        })
        .await
    }

    fn can_expire(&self) -> bool {
        !self.world.lock().books.are_admin
    }

    fn take_over(&self, key: &ApiKey) -> Result<(), RotateError> {
        self.world.lock().processes[self.process].manages_with = Some(key.clone());
        Ok(())
    }
}

/// The real memory store, behind what may go wrong.
#[derive(Clone)]
pub(super) struct Store(pub(super) Handle);

impl Store {
    async fn ask<T>(
        &self,
        what: What,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fate = self.0.before(Asked::Store).await;
        let failed = |kind| Err(StoreError::new(kind, self.source(), "it does not answer", "wait"));
        let done = match fate {
            Fate::Goes | Fate::CrashesAfter | Fate::Old => effect.await,
            Fate::Fails | Fate::Late(_) => failed(StoreErrorKind::Unreachable),
            Fate::Throttled => failed(StoreErrorKind::Throttled),
            Fate::Loses => match effect.await {
                Ok(_) => failed(StoreErrorKind::TimedOut),
                Err(error) => Err(error),
            },
        };
        let is_done = done.is_ok() || fate == Fate::Loses;
        self.0.after(fate, if is_done { what } else { What::Look }).await;
        done
    }
}

impl KeyLoader for Store {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        self.0.world.store.load().await
    }

    fn source(&self) -> KeySource {
        self.0.world.store.source()
    }
}

impl KeyStore for Store {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        self.ask(What::Effect, self.0.world.store.stage(key, note, now)).await
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        let is_half = {
            let state = self.0.world.lock();
            let process = &state.processes[self.0.process];
            let next = (self.0.process, process.ops + 1);
            state.halves && state.faults.get(&next) == Some(&Fault::CrashAfter)
        };
        let promoted = async {
            self.0.world.lock().half = is_half.then(|| version.clone());
            if is_half { Ok(()) } else { self.0.world.store.promote(version, now).await }
        };
        self.ask(What::Effect, promoted).await
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        let is_half = self.0.world.lock().half.as_ref() == Some(version);
        let discarded = async {
            if is_half {
                let (what, fix) = ("the version is being promoted", "promote it");
                return Err(StoreError::new(StoreErrorKind::Conflict, self.source(), what, fix));
            }
            self.0.world.store.discard(version).await
        };
        self.ask(What::Effect, discarded).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let before = self.0.world.lock().shown.clone();
        let fate = self.0.before(Asked::Store).await;
        let shown = match (fate, before) {
            (Fate::Old, Some(before)) => Ok(before),
            (Fate::Fails | Fate::Late(_) | Fate::Loses | Fate::Throttled, _) => {
                let kind = StoreErrorKind::Unreachable;
                Err(StoreError::new(kind, self.source(), "it does not answer", "wait"))
            }
            _ if self.0.world.lock().is_late_for_all => {
                Ok(self.0.world.lock().look(&self.0.world.store))
            }
            _ => self.0.world.store.snapshot().await,
        };
        if let Ok(shown) = &shown {
            self.0.world.lock().shown = Some(shown.clone());
        }
        self.0.after(fate, What::Look).await;
        shown
    }

    fn lag(&self) -> Duration {
        self.0.world.lock().lag
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let taken = async {
            let lease = self.0.world.store.lease(holder, ttl, now).await?;
            self.0.world.lock().last_taker = Some(self.0.process);
            Ok(lease)
        };
        self.ask(What::Note, taken).await
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.0.world.lock().renewals += 1;
        self.ask(What::Look, self.0.world.store.renew(lease, ttl, now)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.ask(What::Note, self.0.world.store.release(lease)).await
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        self.ask(What::Look, self.0.world.store.journal()).await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        let written = async {
            let journal = self.0.world.store.write_journal(read, text).await?;
            let mut state = self.0.world.lock();
            if state.is_leaked {
                let records = crate::journal::record::read(text).expect("records");
                let ledger = Ledger::of(&records);
                let is_open = ledger.open.as_ref();
                let was_known = state.is_leak_known;
                state.is_leak_known |= ledger.is_urgent || is_open.is_some_and(|open| open.now);
                state.is_leak_known &= ledger.is_urgent || is_open.is_some();
                if state.is_leak_known && !was_known {
                    let ours: Vec<_> = state.books.ours(state.now);
                    let ours: Vec<_> = ours.into_iter().map(|key| key.id.clone()).collect();
                    state.leaked.extend(ours);
                }
            }
            Ok(journal)
        };
        self.ask(What::Note, written).await
    }
}
