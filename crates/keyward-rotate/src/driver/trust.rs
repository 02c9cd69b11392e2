//! What a [`Driver`] does not believe the journal: whoever can write it must not choose what is let
//! expire and deleted.

use keyward::store::KeyStore;

use super::{Driver, persist};
use crate::event::EventKind;
use crate::journal::{Journal, OldKey};
use crate::machine::is_listed;
use crate::outside::{Deletion, Expiry, ListedKey, Organization, Time};
use crate::probe::Probe;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind};

impl<O, S, J, P, T> Driver<'_, O, S, J, P, T>
where
    O: Organization,
    S: KeyStore,
    J: Journal,
    P: Probe,
    T: Time,
{
    /// An old key is one that keyward made for the slot, or that it was told of by id; and it is not
    /// the one in use.
    pub(super) fn must_be_ours(&self, listed: &ListedKey) -> Result<(), RotateError> {
        if !self.is_ours(listed) {
            return Err(RotateError::new(
                RotateErrorKind::JournalRefused,
                format!("the journal says to delete {}, which keyward did not make", listed.id),
                "see who writes the journal; if it is right, name the id in the slot's `retire`",
            ));
        }
        let is_in_use = self.is_in_use(listed);
        // What the machine does wrong is to be seen, not what keeps it from the worst.
        #[cfg(test)]
        let is_in_use =
            is_in_use && self.outside.mutant != Some(crate::machine::Mutant::RetireStaged);
        if is_in_use {
            return Err(in_use(&listed.id));
        }
        Ok(())
    }

    fn is_ours(&self, listed: &ListedKey) -> bool {
        let slot = self.outside.slot;
        #[cfg(test)]
        if self.outside.mutant == Some(crate::machine::Mutant::RetireAny) {
            return true;
        }
        Tag::is_of(listed.name.as_deref(), slot.name())
            || slot.retired_by_id().any(|id| id == listed.id)
    }

    /// An old key is in use again. If it would expire soon, it gets its life back, and if it is not
    /// keyward's, nothing: it is the one key that nothing else may be done to.
    pub(super) async fn put_off(&mut self, key: String) -> Result<(), RotateError> {
        let ttl = self.outside.slot.ttl();
        let listed = persist!(self, self.outside.organization.look(&key))?;
        let latest = self.outside.time.wall().saturating_add(ttl);
        // Whatever this machine's clock says of an expiry that was set by this rotation.
        let is_drained = self.ledger.open.as_ref().is_some_and(|open| open.draining.contains(&key));
        let is_far = |at| at >= latest && !is_drained;
        let lives_on = match listed {
            None => false,
            Some(listed) if listed.expires_at.is_none_or(is_far) => true,
            Some(listed) if !self.is_ours(&listed) => false,
            Some(_) => {
                let set = persist!(self, self.outside.organization.expire(&key, ttl))?;
                matches!(set, Expiry::Set(_))
            }
        };
        self.hand.is_put_off = true;
        if lives_on {
            self.tell(EventKind::RolledBack { key });
        } else {
            self.doomed = Some(key);
        }
        Ok(())
    }

    /// Deletes the account that keyward made for an old key, if it did, and tells whether it is gone.
    pub(super) async fn delete_account_of(&mut self, old: &OldKey) -> Result<bool, RotateError> {
        let Some(account) = &old.account else { return Ok(false) };
        let listing = self.list(true).await?;
        let listed = listing.accounts.into_iter().find(|listed| listed.id == *account);
        let name = listed.map(|account| account.name);
        if !Tag::is_of(name.as_deref(), self.outside.slot.name()) {
            return Ok(name.is_none());
        }
        let current = self.snapshot.current.as_ref();
        let is_of_current = current.is_some_and(|current| current.note.tag == name);
        if is_of_current {
            return Err(in_use(account));
        }
        let is_its = |key: &&ListedKey| key.account.as_ref() == Some(account);
        if listing.keys.iter().filter(is_its).any(|key| self.is_in_use(key)) {
            return Err(in_use(account));
        }
        self.renew().await?;
        let deleted = persist!(self, self.outside.organization.delete_account(account))?;
        Ok(matches!(deleted, Deletion::Deleted | Deletion::Gone))
    }

    /// Whether it is the store's current key. What is shown of a key goes only where nothing tells
    /// the two apart: some keys look like others.
    fn is_in_use(&self, listed: &ListedKey) -> bool {
        let Some(current) = &self.snapshot.current else { return false };
        if current.note.key_id.as_ref() == Some(&listed.id) {
            return true;
        }
        match (&current.note.tag, &listed.name) {
            (Some(tag), Some(name)) => tag == name,
            _ => is_listed(current, listed),
        }
    }
}

fn in_use(id: &str) -> RotateError {
    RotateError::new(
        RotateErrorKind::JournalRefused,
        format!("the journal says to delete {id}, which the key in use needs"),
        "see who writes the journal, and mend it by hand",
    )
}
