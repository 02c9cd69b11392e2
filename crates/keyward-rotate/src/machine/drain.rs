//! The end of a rotation: old keys are watched until nobody uses them, and retired.

use std::time::Duration;

#[cfg(test)]
use super::Mutant;
use super::{Attempt, Goal, Next, SHORTEST, Step, View, tag_of};
use crate::Stragglers;
use crate::event::Wait;
use crate::journal::{Entry, OldKey};

/// The new key is current: the old ones are retired, and the rotation ends.
pub(super) fn end(view: &View<'_>, open: &Attempt) -> Next {
    if open.step < Step::Promoted {
        return Next::Note(Entry::Promoted);
    }
    let current = view.snapshot.current.as_ref().and_then(|key| key.note.key_id.as_deref());
    // Whatever was written down, the key in use is not touched.
    let left = |old: &&OldKey| !open.is_retired(&old.key) && Some(old.key.as_str()) != current;
    let left = open.old.iter().filter(left);
    if let Some(old) = left.clone().next() {
        let is_urgent = view.ledger.is_urgent;
        #[cfg(test)]
        let is_urgent = is_urgent && view.mutant != Some(Mutant::ForgetNow);
        let at_once = open.now || view.grace().is_zero() || is_urgent;
        if at_once {
            return Next::Retire { old: old.clone(), straggling: false };
        }
        #[cfg(test)]
        if view.mutant == Some(Mutant::DrainInTurn) {
            return drain(view, open, old);
        }
        // All beside each other: each has its expiry, and one that is held must not meet it while
        // another is watched.
        let next = left.map(|old| drain(view, open, old)).min_by_key(after_others);
        return next.unwrap_or(Next::List);
    }
    if let Some(previous) = &view.snapshot.previous {
        let id = previous.note.key_id.as_deref();
        let is_retired = id.is_some_and(|id| open.is_retired(id));
        let is_given_up = tag_of(previous).is_some_and(|tag| view.ledger.has_abandoned(&tag));
        if is_retired || is_given_up {
            return Next::Discard(previous.version.clone());
        }
    }
    Next::Note(Entry::Done)
}

/// What is done for one old key, after what is done for others.
fn after_others(next: &Next) -> u8 {
    match next {
        Next::Wait { .. } => 2,
        // With all of them, when each has its time.
        Next::Note(Entry::HandedOn { .. }) => 1,
        _ => 0,
    }
}

/// One old key is watched until nobody uses it.
fn drain(view: &View<'_>, open: &Attempt, old: &OldKey) -> Next {
    let (grace, silence) = (view.grace(), view.slot.silence());
    let is_held = view.slot.stragglers() == Stragglers::Hold;
    let watch = view.hand.watches.get(&old.key).copied();
    let Some((watch, looked_at)) = watch.and_then(|watch| Some((watch, watch.looked_at?))) else {
        return Next::Watch(old.key.clone());
    };
    let expires = Next::Expire { key: old.key.clone(), within: grace };
    #[cfg(test)]
    if view.mutant == Some(Mutant::RestartExpiry) && watch.put_off_at.is_none() {
        return expires;
    }
    if view.can_expire && watch.put_off_at.is_none() {
        // An expiry that was set by an earlier process stays: it is the bound of all of them. Only
        // a key that is held has it put off.
        let is_set = !watch.outlives_grace || open.draining.contains(&old.key);
        if is_held || !is_set {
            return expires;
        }
    }
    if !open.draining.contains(&old.key) {
        return Next::Note(Entry::Draining { key: old.key.clone() });
    }
    // One that was in use has been used: if that is not told, its silence is not either. As long as
    // a reader may still get it, its silence says nothing.
    let is_told = watch.last_used_at.is_some();
    let quiet_since = watch.quiet_since.max(watch.since.saturating_add(view.settling()));
    if is_told && looked_at >= quiet_since.saturating_add(silence) {
        return Next::Retire { old: old.clone(), straggling: false };
    }
    let watched = view.running.saturating_sub(watch.since);
    if watched >= grace {
        if !is_held {
            return Next::Retire { old: old.clone(), straggling: true };
        }
        if !watch.is_told {
            return Next::Tell(old.key.clone());
        }
    }
    if is_held {
        let since_put_off =
            watch.put_off_at.map_or(Duration::MAX, |at| view.running.saturating_sub(at));
        // The next rotation goes on with it, and it lives until that does: so it must be due for
        // whoever comes, however early that one goes.
        let ends = view.is_due && view.has_rested && view.goal != Goal::Resume;
        // Held: it must not expire under those who use it.
        if view.can_expire && since_put_off >= if ends { grace / 8 } else { grace / 2 } {
            return expires;
        }
        if ends {
            let left = open.old.iter().filter(|old| !open.is_retired(&old.key));
            return Next::Note(Entry::HandedOn { old: left.cloned().collect() });
        }
    }
    // Often enough that a key that is held is put off in time.
    let pause = (silence / 4).min(grace / 4).clamp(SHORTEST, Duration::from_secs(60));
    if view.running.saturating_sub(looked_at) >= pause {
        return Next::Watch(old.key.clone());
    }
    Next::Wait { why: Wait::Silence, pause, waited: watched }
}
