//! The machine: from what the journal, the store and the organization say, and from what this
//! process alone knows, the one next thing to do. It is pure: nothing here reads, writes or waits.

use std::collections::BTreeMap;
use std::time::Duration;

use keyward::Timestamp;
use keyward::store::{Snapshot, StoredKey, Version};

use crate::event::Wait;
use crate::journal::{Entry, OldKey};
use crate::outside::{ListedKey, Listing};
use crate::probe::ProbeAnswer;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot};

mod drain;
pub(crate) mod ledger;
mod old;

use self::drain::end;
pub(crate) use self::ledger::{Attempt, Ledger, Step};
pub(crate) use self::old::{is_listed, to_retire};

/// What a call is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Goal {
    /// To end what is open, or else to replace the key if that is due, which it is so much early, and
    /// not before this process has been going for so long.
    Due { early: Duration, not_before: Duration },
    /// To replace the key because it leaked.
    Now,
    /// To end what is open, and to begin nothing. After a leak a rotation is open until another key
    /// is in use.
    Resume,
    /// To end what is open, or else to replace the key.
    Rotate,
}

impl Goal {
    /// By how much the next rotation is due early.
    pub(crate) fn early(self) -> Duration {
        match self {
            Self::Due { early, .. } => early,
            _ => Duration::ZERO,
        }
    }
}

/// All that a decision depends on.
pub(crate) struct View<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) goal: Goal,
    pub(crate) ledger: &'a Ledger,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) hand: &'a Hand,
    pub(crate) can_expire: bool,
    /// Whether the key in use is itself to be replaced.
    pub(crate) is_due: bool,
    /// The same as early as the goal has it.
    pub(crate) is_nearly_due: bool,
    /// Whether this process has made no key for so long that it may make the next, whatever the dates
    /// say.
    pub(crate) has_rested: bool,
    /// How long this process has been going.
    pub(crate) running: Duration,
    /// How long after a promotion a reader may still get the key before it.
    pub(crate) lag: Duration,
    #[cfg(test)]
    pub(crate) mutant: Option<Mutant>,
}

impl View<'_> {
    /// How long an old key lives at the most. The slot's grace begins when every reader gets the new
    /// one.
    pub(crate) fn grace(&self) -> Duration {
        self.slot.grace().saturating_add(self.settling())
    }

    /// How long it takes until every reader gets the key that was promoted.
    fn settling(&self) -> Duration {
        #[cfg(test)]
        if self.mutant == Some(Mutant::RetireWithinLag) {
            return Duration::ZERO;
        }
        self.lag
    }
}

/// What this process knows and a later one would not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hand {
    /// What the organization listed; none when that may have changed since.
    pub(crate) listing: Option<Listing>,
    /// Whether a key could be used if it was made.
    pub(crate) is_checked: bool,
    /// The attempt that this process began itself.
    pub(crate) began: Option<Tag>,
    /// Whether nothing was sent yet for the open attempt, which therefore has made nothing.
    pub(crate) is_fresh: bool,
    /// Whether the value of the key that was made is at hand.
    pub(crate) has_key: bool,
    pub(crate) attempts: u32,
    pub(crate) proof: Option<Proof>,
    /// Whether this process wrote down that the key works.
    pub(crate) is_verified: bool,
    /// The old keys that are watched.
    pub(crate) watches: BTreeMap<String, Watch>,
    /// How often the store was looked at again, because an old key stands in the new one's place.
    pub(crate) rollback_looks: u32,
    /// Whether that old key was given its life back.
    pub(crate) is_put_off: bool,
    /// Keys that nothing more can be done about.
    pub(crate) given_up: Vec<String>,
    /// Whether a rotation came to its end, as the goal wants it.
    pub(crate) is_finished: bool,
    /// When this process last staged or promoted the open attempt's key, as long as it had been
    /// going, or found that another may just have: for a while, a store may show what it held before.
    pub(crate) stored_at: Option<Duration>,
    /// Whether that was a promotion, which need not be asked for again.
    pub(crate) is_promoted: bool,
    /// When this process last wrote down that a key is in use, as long as it had been going.
    pub(crate) promoted_at: Option<Duration>,
    /// What this process discarded from the store.
    pub(crate) discarded: Vec<Version>,
    /// With what the call ends when what was begun is cleaned up.
    pub(crate) failed: Option<RotateError>,
}

/// How far the proof of a new key is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    pub(crate) since: Duration,
    pub(crate) asked_at: Duration,
    pub(crate) answer: ProbeAnswer,
    pub(crate) times: u32,
}

/// What is known of an old key by watching it. All durations are how long this process had been
/// going; when the key was used is compared by the organization's clock alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) since: Duration,
    pub(crate) quiet_since: Duration,
    pub(crate) looked_at: Option<Duration>,
    /// When this process asked for an expiry, if it did.
    pub(crate) put_off_at: Option<Duration>,
    pub(crate) last_used_at: Option<Timestamp>,
    /// Whether it expires later than the grace allows.
    pub(crate) outlives_grace: bool,
    /// Whether it was seen to be used while it was watched.
    pub(crate) was_used: bool,
    pub(crate) is_told: bool,
}

/// The next thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// The attempt is given up, and the call with it if there is an error.
    Abandon {
        why: &'static str,
        error: Option<RotateError>,
    },
    /// An attempt begins, with a new tag.
    Begin {
        old: Vec<OldKey>,
        left_alone: Vec<Option<String>>,
    },
    Check,
    DeleteAccount(String),
    Discard(Version),
    Expire {
        key: String,
        within: Duration,
    },
    Finished,
    List,
    /// An old key stands in the new one's place: it is made sure that this is no stale read.
    LookAgain,
    MakeAccount,
    Mint,
    Note(Entry),
    Probe,
    Promote(Version),
    /// An old key that is in use again lives on.
    PutOff(String),
    /// An old key of the open attempt dies.
    Retire {
        old: OldKey,
        straggling: bool,
    },
    Stage,
    Stop(RotateError),
    /// A key of an attempt that was given up dies.
    Sweep(ListedKey),
    /// What an earlier process staged, of which the journal does not know, is gone on with.
    TakeUp {
        tag: Tag,
        old: Vec<OldKey>,
    },
    /// The key is still used at the end of its grace.
    Tell(String),
    Wait {
        why: Wait,
        pause: Duration,
        waited: Duration,
    },
    Watch(String),
}

/// A machine that is broken in one way, so that the tests are seen to notice.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutant {
    DrainInTurn,
    ForgetAbandoned,
    ForgetNow,
    ForgetOthers,
    ForgetRollback,
    IgnoreUse,
    KeepUnverified,
    LeaveLeaked,
    LetLeaseGo,
    MintAgain,
    RestartExpiry,
    RetireAny,
    RetireStaged,
    RetireWithinLag,
    SkipIntent,
    TrustLateLooks,
    TrustOldLooks,
}

/// How long after a write a store is taken to show what it held before, beyond the lag that it tells:
/// Secrets Manager is documented to be consistent in the end, and not when.
const LAG: Duration = Duration::from_secs(15);

/// How many attempts to make a key one call begins.
pub(crate) const ATTEMPTS: u32 = 3;

/// Decides.
pub(crate) fn decide(view: &View<'_>) -> Next {
    let Some(open) = &view.ledger.open else {
        return begin(view);
    };
    let is_mine = view.hand.began.as_ref() == Some(&open.tag);
    // Written down first, so that whoever goes on with it knows.
    if view.goal == Goal::Now && !is_mine && !open.now && !view.ledger.is_urgent {
        return Next::Note(Entry::Urgent);
    }
    let Snapshot { current, pending, .. } = view.snapshot;
    if is_of(current.as_ref(), &open.tag) {
        return end(view, open);
    }
    let lagging = lagging(view);
    if open.step >= Step::Promoted {
        return lagging.unwrap_or_else(|| superseded(view, open));
    }
    if let Some(wait) = lagging.clone().filter(|_| view.hand.is_promoted) {
        return wait;
    }
    if view.goal == Goal::Now && !is_mine {
        // Its promotion may have begun, so it is ended: then what it replaces can be deleted.
        if open.step >= Step::Verified {
            if let Some(pending) = pending.as_ref().filter(|key| is_of(Some(key), &open.tag)) {
                return Next::Promote(pending.version.clone());
            }
            // What is late is not lost: the key may be the one in use.
            if let Some(wait) = lagging {
                return wait;
            }
        }
        return Next::Abandon { why: "a key that cannot have leaked is made instead", error: None };
    }
    if let Some(pending) = pending {
        return if is_of(Some(pending), &open.tag) {
            prove(view, open, pending)
        } else if tag_of(pending).is_some_and(|tag| view.ledger.has_abandoned(&tag)) {
            Next::Discard(pending.version.clone())
        } else {
            Next::Abandon { why: "another key is pending", error: Some(foreign_pending()) }
        };
    }
    #[cfg(test)]
    if view.mutant == Some(Mutant::MintAgain) && !view.hand.has_key {
        return Next::Mint;
    }
    if view.hand.has_key {
        Next::Stage
    } else if let Some(wait) = lagging {
        wait
    } else if !view.hand.is_fresh {
        // It may have been made, or may still be: its value is lost either way.
        Next::Abandon { why: "its value was lost on the way to the store", error: None }
    } else if open.own_account && open.account.is_none() {
        Next::MakeAccount
    } else {
        Next::Mint
    }
}

/// Waits, as long as the store may show what it held before this process last wrote to it.
fn lagging(view: &View<'_>) -> Option<Next> {
    let waited = view.running.saturating_sub(view.hand.stored_at?);
    let lag = view.lag.saturating_add(LAG);
    #[cfg(test)]
    let lag = match view.mutant {
        Some(Mutant::TrustLateLooks) => LAG,
        Some(Mutant::TrustOldLooks) => Duration::ZERO,
        _ => lag,
    };
    let pause = (waited / 8).clamp(SHORTEST, Duration::from_secs(15));
    (waited < lag).then_some(Next::Wait { why: Wait::Recovery, pause, waited })
}

/// Another key stands in the place of the one that was promoted. If that is an old one of the same
/// rotation, somebody went back to it, and it must not die.
fn superseded(view: &View<'_>, open: &Attempt) -> Next {
    #[cfg(test)]
    if view.mutant == Some(Mutant::ForgetRollback) {
        return Next::Note(Entry::Superseded);
    }
    let Some(current) = &view.snapshot.current else {
        return Next::Note(Entry::Superseded);
    };
    // What leaked is not given its life back.
    if open.now || view.ledger.is_urgent || !view.can_expire {
        return Next::Note(Entry::Superseded);
    }
    if view.hand.rollback_looks < LOOKS {
        return Next::LookAgain;
    }
    let Some(listing) = &view.hand.listing else {
        return Next::List;
    };
    let in_use =
        |old: &&OldKey| listing.keys.iter().any(|key| key.id == old.key && is_listed(current, key));
    match open.old.iter().find(in_use) {
        Some(old) if !view.hand.is_put_off => Next::PutOff(old.key.clone()),
        _ => Next::Note(Entry::Superseded),
    }
}

/// Nothing is open: what was given up is cleaned up, and then an attempt begins, if one is wanted.
fn begin(view: &View<'_>) -> Next {
    let View { ledger, snapshot, hand, .. } = view;
    let pending_tag = snapshot.pending.as_ref().and_then(tag_of);
    if let (Some(pending), Some(tag)) = (&snapshot.pending, &pending_tag)
        && ledger.has_abandoned(tag)
    {
        return Next::Discard(pending.version.clone());
    }
    let is_wanted = match view.goal {
        Goal::Due { .. } => view.is_nearly_due && view.has_rested,
        Goal::Now | Goal::Rotate => true,
        Goal::Resume => false,
    };
    // A leak is not over before another key is in use, whatever this call is for.
    let is_urgent = ledger.is_urgent;
    #[cfg(test)]
    let is_urgent = is_urgent && view.mutant != Some(Mutant::LeaveLeaked);
    let is_wanted = (is_wanted || is_urgent) && !hand.is_finished && hand.failed.is_none();
    let takes_up = pending_tag.filter(|tag| tag.slot() == view.slot.name());
    if is_wanted && takes_up.is_none() && !hand.is_checked {
        return Next::Check;
    }
    if !ledger.abandoned.is_empty() || is_wanted || (takes_up.is_some() && hand.failed.is_none()) {
        let Some(listing) = &hand.listing else {
            return Next::List;
        };
        if let Some(stray) = stray(view, listing) {
            return stray;
        }
    }
    if let Some(error) = &hand.failed {
        return Next::Stop(error.clone());
    }
    if let Some(tag) = takes_up {
        let (old, _) = to_retire(view);
        return Next::TakeUp { tag, old };
    }
    if !is_wanted {
        return Next::Finished;
    }
    if snapshot.pending.is_some() {
        return Next::Stop(foreign_pending());
    }
    if hand.attempts >= ATTEMPTS {
        return Next::Stop(RotateError::new(
            RotateErrorKind::GaveUp,
            format!("{ATTEMPTS} attempts to make a key had no known outcome"),
            "look at the organization's status, and rotate later; what was made is cleaned up then",
        ));
    }
    let (old, left_alone) = to_retire(view);
    Next::Begin { old, left_alone }
}

/// Something that an attempt left behind that was given up, if there is any.
fn stray(view: &View<'_>, listing: &Listing) -> Option<Next> {
    #[cfg(test)]
    if view.mutant == Some(Mutant::ForgetAbandoned) {
        return None;
    }
    let Snapshot { current, pending, previous, .. } = view.snapshot;
    let is_stored = |key: &ListedKey| {
        [current, pending, previous].into_iter().flatten().any(|stored| is_listed(stored, key))
    };
    let is_open_to = |id: &String| !view.hand.given_up.contains(id);
    let key = listing.keys.iter().find(|key| {
        key.tag().is_some_and(|tag| view.ledger.has_abandoned(&tag))
            && !is_stored(key)
            && is_open_to(&key.id)
    });
    if let Some(key) = key {
        return Some(Next::Sweep(key.clone()));
    }
    let account = listing.accounts.iter().find(|account| {
        let (id, tag) = (&account.id, account.name.parse().ok());
        let is_in_use = [current, pending, previous]
            .into_iter()
            .flatten()
            .any(|stored| tag.is_some() && tag_of(stored) == tag);
        tag.is_some_and(|tag| view.ledger.has_abandoned(&tag)) && !is_in_use && is_open_to(id)
    });
    account.map(|account| Next::DeleteAccount(account.id.clone()))
}

/// The new key is staged: it is used once before anybody depends on it.
fn prove(view: &View<'_>, open: &Attempt, pending: &StoredKey) -> Next {
    if open.step < Step::Staged {
        return Next::Note(Entry::Staged { version: pending.version.to_string() });
    }
    #[cfg(test)]
    match view.mutant {
        Some(Mutant::KeepUnverified) => return Next::Promote(pending.version.clone()),
        Some(Mutant::RetireStaged) => {
            if let Some(old) = open.old.iter().find(|old| !open.is_retired(&old.key)) {
                return Next::Retire { old: old.clone(), straggling: false };
            }
        }
        _ => {}
    }
    let Some(proof) = view.hand.proof else {
        return Next::Probe;
    };
    let waited = view.running.saturating_sub(proof.since);
    let patience = view.slot.verification().patience;
    let is_accepted = proof.answer == ProbeAnswer::Live
        || (proof.answer == ProbeAnswer::UnderScoped && view.slot.accepts_under_scoped());
    match proof.answer {
        _ if is_accepted => {
            // Also where the journal says so already: that it is written by this process now is
            // what keeps another from giving the key up at the same time.
            if !view.hand.is_verified {
                return Next::Note(Entry::Verified);
            }
            Next::Promote(pending.version.clone())
        }
        // Of scopes too the edge learns only after a while.
        _ if waited < patience => {
            let pause = back_off(proof.times).min(patience - waited).max(SHORTEST);
            if view.running.saturating_sub(proof.asked_at) >= pause {
                return Next::Probe;
            }
            Next::Wait { why: Wait::Acceptance, pause, waited }
        }
        ProbeAnswer::Live | ProbeAnswer::UnderScoped => Next::Abandon {
            why: "it may do less than it is for",
            error: Some(RotateError::new(
                RotateErrorKind::NotAccepted,
                "the new key is live and may not do what it was asked to prove itself by",
                "mend the slot's scopes, its `verification.path`, or the role of its account",
            )),
        },
        ProbeAnswer::Dead => Next::Abandon {
            why: "it was not accepted in time",
            error: Some(RotateError::new(
                RotateErrorKind::NotAccepted,
                format!("the new key was still not accepted after {waited:?}"),
                "raise `verification.patience`, or look at the account's role and the project",
            )),
        },
        ProbeAnswer::Unknown => Next::Stop(RotateError::new(
            RotateErrorKind::NotProved,
            format!("whether the new key works could not be told within {waited:?}"),
            "see that the API can be reached from here, and resume: the key is staged",
        )),
    }
}

/// How often the store is looked at again before a rollback is believed.
const LOOKS: u32 = 3;

const SHORTEST: Duration = Duration::from_secs(1);

/// 1, 2, 4, 8, 15, 15 … seconds.
pub(crate) fn back_off(times: u32) -> Duration {
    Duration::from_secs(1 << times.saturating_sub(1).min(4)).min(Duration::from_secs(15))
}

fn is_of(stored: Option<&StoredKey>, tag: &Tag) -> bool {
    stored.is_some_and(|key| key.note.tag.as_deref() == Some(tag.as_str()))
}

pub(crate) fn tag_of(stored: &StoredKey) -> Option<Tag> {
    stored.note.tag.as_deref()?.parse().ok()
}

pub(crate) fn foreign_pending() -> RotateError {
    RotateError::new(
        RotateErrorKind::ForeignPending,
        "a key that no rotation of this slot staged is pending in the store",
        "promote or discard it by hand, then rotate",
    )
}
