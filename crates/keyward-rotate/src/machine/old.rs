//! Which old keys a rotation replaces, and which of the listed keys a stored one is.

use keyward::store::StoredKey;

#[cfg(test)]
use super::Mutant;
use super::{View, tag_of};
use crate::Slot;
use crate::journal::OldKey;
use crate::outside::{ListedKey, Listing};
use crate::tag::Tag;

/// The keys that an attempt that begins now replaces: those that it may retire in the end, and the
/// ids of those that it leaves alone, as far as they can be told.
pub(crate) fn to_retire(view: &View<'_>) -> (Vec<OldKey>, Vec<Option<String>>) {
    let empty = Listing::default();
    let listing = view.hand.listing.as_ref().unwrap_or(&empty);
    let (mut old, mut left_alone) = (Vec::new(), Vec::new());
    let current_id = view.snapshot.current.as_ref().and_then(|key| key.note.key_id.as_ref());
    if let Some(current) = &view.snapshot.current {
        match listed(current, listing) {
            Some(key) if may_retire(view, key) => old.push(old_key(key, view.slot)),
            Some(key) => left_alone.push(Some(key.id.clone())),
            None if tag_of(current).is_some() && !is_shown(current, listing) => {}
            None => left_alone.push(None),
        }
    }
    for carried in &view.ledger.carried {
        let is_current = current_id.is_some_and(|id| *id == carried.key);
        if !is_current && old.iter().all(|old| old.key != carried.key) {
            old.push(carried.clone());
        }
    }
    for id in view.slot.retired_by_id() {
        let found = listing.keys.iter().find(|key| key.id == id);
        if let Some(key) = found.filter(|key| old.iter().all(|old| old.key != key.id)) {
            old.push(old_key(key, view.slot));
        }
    }
    (old, left_alone)
}

fn old_key(key: &ListedKey, slot: &Slot) -> OldKey {
    let is_own = Tag::is_of(key.account_name.as_deref(), slot.name())
        && key.account.as_deref() != Some(slot.service_account().as_str());
    OldKey { key: key.id.clone(), account: key.account.clone().filter(|_| is_own) }
}

/// Whether keyward made the key for this slot, or was told that it may delete it.
fn may_retire(view: &View<'_>, key: &ListedKey) -> bool {
    #[cfg(test)]
    if view.mutant == Some(Mutant::RetireAny) {
        return true;
    }
    Tag::is_of(key.name.as_deref(), view.slot.name())
        || view.slot.retired_by_id().any(|id| id == key.id)
}

/// Whether a key is listed that may be this one, by what is shown of it.
fn is_shown(stored: &StoredKey, listing: &Listing) -> bool {
    listing.keys.iter().any(|key| is_listed(stored, key))
}

/// Which of the listed keys a stored one is: by its id, by its name, or by what is shown of it if
/// that fits one alone.
fn listed<'a>(stored: &StoredKey, listing: &'a Listing) -> Option<&'a ListedKey> {
    let note = &stored.note;
    let by_id = |key: &&ListedKey| note.key_id.as_ref() == Some(&key.id);
    let by_name = |key: &&ListedKey| note.tag.is_some() && note.tag == key.name;
    let noted = listing.keys.iter().find(by_id).or_else(|| listing.keys.iter().find(by_name));
    if noted.is_some() {
        return noted;
    }
    let shows = |key: &&ListedKey| {
        key.redacted.as_deref().is_some_and(|shown| stored.key.matches_redacted(shown))
    };
    let mut fitting = listing.keys.iter().filter(shows);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// Whether a stored key may be this one: by its id, its name, or what is shown of it. A note can be
/// wrong or missing, so any of them is enough to leave a key alone.
pub(crate) fn is_listed(stored: &StoredKey, key: &ListedKey) -> bool {
    stored.note.key_id.as_ref() == Some(&key.id)
        || (stored.note.tag.is_some() && stored.note.tag == key.name)
        || key.redacted.as_deref().is_some_and(|shown| stored.key.matches_redacted(shown))
}
