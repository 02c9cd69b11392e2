//! [`Sweep`]: the keys that keyward made and that nobody knows any more. They are told, and deleted
//! only when that is asked for.

use std::fmt;
use std::time::Duration;

use keyward::Timestamp;
use keyward::store::{KeyStore, Snapshot};

use crate::driver::{Held, Outside};
use crate::journal::{Journal, OldKey};
use crate::machine::{Ledger, is_listed};
use crate::outside::{Deletion, Expiry, ListedKey, Listing, Organization, Time};
use crate::probe::Probe;
use crate::status::before;
use crate::tag::Tag;
use crate::{RotateError, Slot};

/// What to sweep, and whether anything is deleted: a dry run unless said otherwise.
///
/// ```
/// use keyward_rotate::Sweep;
///
/// let look = Sweep::report();
/// let act = Sweep::report().of_the_whole_project().deleting();
/// # let _ = (look, act);
/// ```
#[derive(Clone, Debug)]
#[must_use = "pass it to `Rotator::sweep`"]
pub struct Sweep {
    pub(crate) deletes: bool,
    pub(crate) whole_project: bool,
    pub(crate) unknown_slots: bool,
    pub(crate) used: bool,
    pub(crate) min_age: Duration,
}

impl Sweep {
    /// Looks for the keys of one slot, and deletes nothing.
    pub fn report() -> Self {
        Self {
            deletes: false,
            whole_project: false,
            unknown_slots: false,
            used: false,
            min_age: Duration::from_secs(3600),
        }
    }

    /// Deletes what is found, but for what is protected.
    pub fn deleting(mut self) -> Self {
        self.deletes = true;
        self
    }

    /// Looks at every slot of the rotator in the same project, and tells of tags of others.
    pub fn of_the_whole_project(mut self) -> Self {
        self.whole_project = true;
        self
    }

    /// Deletes also what carries the tag of a slot that this rotator does not have. Another
    /// rotator may have it: its journal and store are not asked.
    pub fn including_unknown_slots(mut self) -> Self {
        self.whole_project = true;
        self.unknown_slots = true;
        self
    }

    /// Deletes also what was used lately, within the age of [`older_than`](Self::older_than):
    /// somebody has it.
    pub fn including_used(mut self) -> Self {
        self.used = true;
        self
    }

    /// How old a key must be by this machine's clock to be no part of a rotation under way, and for
    /// how long it must not have been used: an hour unless said otherwise.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.min_age = age;
        self
    }
}

/// What a sweep found. `Display` is a line for each orphan, and a last one with the sum.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// How many keys were listed.
    pub listed: usize,
    /// The orphans: what keyward made, and neither a journal nor a store knows. What has expired by
    /// this machine's clock is none.
    pub orphans: Vec<Orphan>,
}

/// Something that keyward made and nobody knows any more.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Orphan {
    /// The tag under which it was made.
    pub tag: Tag,
    /// The id of the key; none for an account of a key's own that has no key.
    pub key_id: Option<String>,
    /// The account that was made for the key alone, if one was.
    pub account: Option<String>,
    /// When it was made, by the organization's clock.
    pub created_at: Option<Timestamp>,
    /// When it expires, by the organization's clock.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, by the organization's clock: if that is recent, somebody has it.
    pub last_used_at: Option<Timestamp>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an [`Orphan`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// It was deleted, or was gone.
    Deleted,
    /// It could not be deleted, so it was let expire.
    Expired,
    /// It was not touched: it was used lately.
    InUse,
    /// It was not touched: it belongs to an account that is not the slot's, as where another
    /// deployment has a slot of the same name.
    OtherAccount,
    /// Nothing was done, because that was not asked for.
    Reported,
    /// It was not touched: another rotator holds the slot's lease.
    SlotInUse,
    /// It could be neither deleted nor let expire.
    Stayed,
    /// It was not touched: it is too young.
    TooYoung,
    /// It was not touched: this rotator does not have its slot.
    UnknownSlot,
}

impl SweepReport {
    /// Whether nothing is left that nobody knows.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.orphans.iter().all(|orphan| matches!(orphan.fate, Fate::Deleted | Fate::Expired))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.listed = self.listed.max(other.listed);
        self.orphans.extend(other.orphans);
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.orphans.iter().try_for_each(|orphan| writeln!(f, "{orphan}"))?;
        let dead = |o: &&Orphan| matches!(o.fate, Fate::Deleted | Fate::Expired);
        let gone = self.orphans.iter().filter(dead).count();
        write!(f, "{} keys listed, {} orphans, {gone} removed", self.listed, self.orphans.len())
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.key_id.as_ref().or(self.account.as_ref());
        write!(f, "{} {}", id.map_or("-", String::as_str), self.tag)?;
        if let Some(at) = self.created_at {
            write!(f, ", made {at}")?;
        }
        match self.last_used_at {
            Some(at) => write!(f, ", last used {at}: ")?,
            None => f.write_str(", never used: ")?,
        }
        f.write_str(match self.fate {
            Fate::Deleted => "deleted",
            Fate::Expired => "let expire",
            Fate::InUse => "left, as somebody uses it",
            Fate::OtherAccount => "left, as it is of another account than the slot's",
            Fate::Reported => "left, as this is a dry run",
            Fate::SlotInUse => "left, as another rotator has the slot",
            Fate::Stayed => "could not be deleted",
            Fate::TooYoung => "left, as it is young",
            Fate::UnknownSlot => "left, as this rotator does not have the slot",
        })
    }
}

/// What a slot knows of its keys.
pub(crate) struct Known<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) ledger: &'a Ledger,
    pub(crate) snapshot: &'a Snapshot,
}

impl Known<'_> {
    /// Whether somebody may need it. Whatever may be a stored key is one: what stands in a store was
    /// perhaps put there by hand, with nothing noted.
    fn has(&self, tag: &Tag, key: Option<&ListedKey>) -> bool {
        let Snapshot { current, pending, previous, .. } = self.snapshot;
        let stored = [current, pending, previous].into_iter().flatten().any(|stored| {
            stored.note.tag.as_deref() == Some(tag.as_str())
                || key.is_some_and(|key| is_listed(stored, key))
        });
        let is_old = |old: &OldKey| key.is_some_and(|key| key.id == old.key);
        let open = self.ledger.open.as_ref();
        let open = open.is_some_and(|open| open.tag == *tag || open.old.iter().any(is_old));
        stored || open || self.ledger.carried.iter().any(is_old)
    }
}

/// What of a listing carries a tag of the slot, or of a slot that nobody has, and is not known.
pub(crate) fn orphans(
    listing: &Listing,
    known: &Known<'_>,
    all_slots: &[&str],
    sweep: &Sweep,
    now: Timestamp,
) -> Vec<Orphan> {
    let youngest = before(now, sweep.min_age);
    let fate = |tag: &Tag, made: Option<Timestamp>| {
        if tag.slot() != known.slot.name() && !sweep.unknown_slots {
            Fate::UnknownSlot
        } else if made.map_or(!sweep.min_age.is_zero(), |at| at > youngest) {
            Fate::TooYoung
        } else {
            Fate::Reported
        }
    };
    let is_wanted = |tag: &Tag| {
        let is_foreign = sweep.whole_project && !all_slots.contains(&tag.slot());
        tag.slot() == known.slot.name() || is_foreign
    };
    let mut found: Vec<_> = listing
        .keys
        .iter()
        .filter_map(|key| {
            let is_orphan = |tag: &Tag| is_wanted(tag) && !known.has(tag, Some(key));
            let tag = key.tag().filter(|tag| is_orphan(tag) && !key.has_expired(now))?;
            let is_own = tag.slot() == known.slot.name();
            let account = key.account.as_deref();
            let is_ours = account == Some(known.slot.service_account().as_str())
                || key.account_name.as_deref() == Some(tag.as_str());
            let is_used = key.last_used_at.is_some_and(|at| at > youngest);
            let fate = match fate(&tag, key.created_at) {
                Fate::Reported if is_own && !is_ours => Fate::OtherAccount,
                Fate::Reported if is_used && !sweep.used => Fate::InUse,
                fate => fate,
            };
            Some(orphan(key, tag, fate))
        })
        .collect();
    for account in &listing.accounts {
        let Ok(tag) = account.name.parse::<Tag>() else { continue };
        let id = &account.id;
        let is_in = |key: &&ListedKey| key.account.as_ref() == Some(id) && !key.has_expired(now);
        let has_key = listing.keys.iter().any(|key| is_in(&key));
        if has_key || !is_wanted(&tag) || known.has(&tag, None) {
            continue;
        }
        found.push(Orphan {
            // A key may be about to be made for it.
            fate: fate(&tag, account.created_at),
            tag,
            key_id: None,
            account: Some(id.clone()),
            created_at: account.created_at,
            expires_at: None,
            last_used_at: None,
        });
    }
    found
}

fn orphan(key: &ListedKey, tag: Tag, fate: Fate) -> Orphan {
    let is_own = key.account_name.as_deref() == Some(tag.as_str());
    Orphan {
        tag,
        key_id: Some(key.id.clone()),
        account: key.account.clone().filter(|_| is_own),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
        fate,
    }
}

/// Sweeps one slot, under its lease when something may be deleted.
pub(crate) async fn sweep_slot<O, S, J, P, T>(
    outside: &Outside<'_, O, S, J, P, T>,
    all_slots: &[&str],
    sweep: &Sweep,
) -> Result<SweepReport, RotateError>
where
    O: Organization,
    S: KeyStore,
    J: Journal,
    P: Probe,
    T: Time,
{
    let now = outside.time.wall();
    let since = outside.time.running();
    let mut held = if sweep.deletes {
        match outside.store.lease(outside.holder, outside.settings.lease, now).await {
            Ok(lease) => Some(Held { lease, since }),
            Err(error) if error.lease().is_some() => None,
            Err(error) => return Err(RotateError::of_store(&error)),
        }
    } else {
        None
    };
    let result = sweep_under(outside, held.as_mut(), all_slots, sweep).await;
    if let Some(held) = held {
        let _ = outside.store.release(&held.lease).await;
    }
    result.map_err(|error| error.in_slot(outside.slot.name()))
}

async fn sweep_under<O, S, J, P, T>(
    outside: &Outside<'_, O, S, J, P, T>,
    mut held: Option<&mut Held>,
    all_slots: &[&str],
    sweep: &Sweep,
) -> Result<SweepReport, RotateError>
where
    O: Organization,
    S: KeyStore,
    J: Journal,
    P: Probe,
    T: Time,
{
    let ttl = outside.settings.lease;
    // The organization first: what is made after that is not in the list, and what was known
    // before that may be known no more.
    let listing = outside.organization.list(true);
    let listing = match &mut held {
        Some(held) => held.during(outside, listing).await?,
        None => listing.await,
    }?;
    let snapshot = outside.store.snapshot().await.map_err(|e| RotateError::of_store(&e))?;
    let ledger = Ledger::of(&outside.journal.read(outside.slot.name()).await?.records()?);
    if let Some(current) = &snapshot.current {
        outside.organization.take_over(&current.key)?;
    }
    let now = outside.time.wall();
    let known = Known { slot: outside.slot, ledger: &ledger, snapshot: &snapshot };
    let mut orphans = orphans(&listing, &known, all_slots, sweep, now);
    let is_others = snapshot
        .lease
        .as_ref()
        .is_some_and(|lease| lease.holder != outside.holder && !lease.is_over(now));
    for orphan in orphans.iter_mut().filter(|orphan| orphan.fate == Fate::Reported) {
        let is_own = orphan.tag.slot() == outside.slot.name();
        // A lease that was not got is another's, whatever the store shows of it.
        let is_barred = sweep.deletes && held.is_none();
        if is_barred || (is_own && is_others) {
            orphan.fate = Fate::SlotInUse;
        } else if let Some(held) = &mut held {
            if orphan.key_id.is_none() {
                // One may have been made since.
                let keys = held.during(outside, outside.organization.list(false)).await??.keys;
                let is_in = |key: &ListedKey| key.account == orphan.account;
                if keys.iter().any(|key| is_in(key) && !key.has_expired(now)) {
                    orphan.fate = Fate::InUse;
                    continue;
                }
            }
            // Directly before something is destroyed, however long the listing took.
            if held.is_old(ttl, outside.time.running()) {
                held.renew(outside).await?;
            }
            orphan.fate = remove(outside.organization, orphan).await?;
        }
    }
    Ok(SweepReport { listed: listing.keys.len(), orphans })
}

async fn remove<O: Organization>(organization: &O, orphan: &Orphan) -> Result<Fate, RotateError> {
    if let Some(account) = &orphan.account {
        match organization.delete_account(account).await? {
            Deletion::Deleted | Deletion::Gone => return Ok(Fate::Deleted),
            Deletion::Forbidden | Deletion::Refused => {}
        }
    }
    let Some(key) = &orphan.key_id else { return Ok(Fate::Stayed) };
    match organization.delete_key(key).await? {
        Deletion::Deleted | Deletion::Gone => Ok(Fate::Deleted),
        Deletion::Forbidden | Deletion::Refused => {
            match organization.expire(key, Duration::from_secs(1)).await? {
                Expiry::Set(_) => Ok(Fate::Expired),
                Expiry::Gone => Ok(Fate::Deleted),
                Expiry::Refused => Ok(Fate::Stayed),
            }
        }
    }
}
