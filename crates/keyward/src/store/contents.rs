//! [`Contents`]: what a store holds and how it changes, with no place and no clock in it. Stores
//! that can write their whole content at once are built on it.

use std::time::Duration;

use keyward_core::{ApiKey, KeySource, Timestamp};

use super::{Journal, KeyNote, Lease, Snapshot, StoreError, StoreErrorKind, StoredKey, Version};

/// The whole content of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// How many versions there have been.
    pub(crate) versions: u64,
    /// How many leases there have been.
    pub(crate) fences: u64,
    pub(crate) current: Option<StoredKey>,
    pub(crate) pending: Option<StoredKey>,
    pub(crate) previous: Option<StoredKey>,
    pub(crate) lease: Option<Lease>,
    pub(crate) journal: String,
    /// How often the journal was written.
    pub(crate) writings: u64,
}

/// What comes of a change: the answer, and whether there is anything to write.
pub(crate) struct Change<T> {
    pub(crate) answer: T,
    pub(crate) is_changed: bool,
}

impl<T> Change<T> {
    fn changed(answer: T) -> Self {
        Self { answer, is_changed: true }
    }

    pub(crate) fn nothing(answer: T) -> Self {
        Self { answer, is_changed: false }
    }
}

impl Contents {
    pub(crate) fn stage(
        &mut self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
        source: &KeySource,
    ) -> Result<Change<Version>, StoreError> {
        note.check(key, source.clone())?;
        let known = [&self.pending, &self.current].into_iter().flatten();
        if let Some(known) = known.into_iter().find(|known| known.key == *key) {
            return Ok(Change::nothing(known.version.clone()));
        }
        if let Some(pending) = &self.pending {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                source.clone(),
                format!("another key is pending, as version {}", pending.version),
                "promote or discard it first",
            ));
        }
        let version = self.next_version();
        let stored = StoredKey::new(key.clone(), version.clone()).note(note.clone());
        self.pending = Some(stored.staged_at(now));
        Ok(Change::changed(version))
    }

    pub(crate) fn promote(
        &mut self,
        version: &Version,
        now: Timestamp,
        source: &KeySource,
    ) -> Result<Change<()>, StoreError> {
        if self.current.as_ref().is_some_and(|key| key.version == *version) {
            return Ok(Change::nothing(()));
        }
        let Some(pending) = self.pending.take_if(|key| key.version == *version) else {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                source.clone(),
                "the version is not the pending one",
                "look at what the store holds, and stage the key again",
            ));
        };
        self.previous = self.current.replace(pending.promoted_at(now));
        Ok(Change::changed(()))
    }

    pub(crate) fn discard(
        &mut self,
        version: &Version,
        source: &KeySource,
    ) -> Result<Change<()>, StoreError> {
        if self.current.as_ref().is_some_and(|key| key.version == *version) {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                source.clone(),
                "the version is the current one",
                "promote another key first",
            ));
        }
        let dropped = [&mut self.pending, &mut self.previous]
            .into_iter()
            .filter_map(|key| key.take_if(|key| key.version == *version))
            .count();
        Ok(Change { answer: (), is_changed: dropped > 0 })
    }

    pub(crate) fn lease(
        &mut self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
        source: &KeySource,
    ) -> Result<Change<Lease>, StoreError> {
        let held = self.lease.as_ref().filter(|held| held.holder != holder && !held.is_over(now));
        if let Some(held) = held {
            return Err(StoreError::lease_held(source.clone(), held.clone()));
        }
        self.fences += 1;
        let lease = Lease::new(holder, self.fences, now.saturating_add(ttl));
        self.lease = Some(lease.clone());
        Ok(Change::changed(lease))
    }

    pub(crate) fn renew(
        &mut self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
        source: &KeySource,
    ) -> Result<Change<Lease>, StoreError> {
        let held = self.lease.as_mut().filter(|held| held.fence == lease.fence);
        let held = held.ok_or_else(|| StoreError::lease_lost(source.clone()))?;
        held.expires_at = now.saturating_add(ttl);
        Ok(Change::changed(held.clone()))
    }

    pub(crate) fn release(&mut self, lease: &Lease) -> Change<()> {
        let released = self.lease.take_if(|held| held.fence == lease.fence);
        Change { answer: (), is_changed: released.is_some() }
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::new(self.journal.clone(), self.writings.to_string())
    }

    pub(crate) fn write_journal(
        &mut self,
        read: &Journal,
        text: &str,
        source: &KeySource,
    ) -> Result<Change<Journal>, StoreError> {
        if self.journal == text {
            return Ok(Change::nothing(self.journal()));
        }
        if self.journal().revision() != read.revision() {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                source.clone(),
                "the journal was written since it was read",
                "read it again, and decide anew",
            ));
        }
        let keys = [&self.current, &self.pending, &self.previous];
        if keys.into_iter().flatten().any(|stored| stored.key.is_echoed_in(text)) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                source.clone(),
                "the journal would repeat a piece of a key",
                "note the key's id and its version",
            ));
        }
        text.clone_into(&mut self.journal);
        self.writings += 1;
        Ok(Change::changed(self.journal()))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new()
            .current(self.current.clone())
            .pending(self.pending.clone())
            .previous(self.previous.clone())
            .lease(self.lease.clone())
    }

    fn next_version(&mut self) -> Version {
        self.versions += 1;
        Version::from(self.versions.to_string())
    }
}
