//! [`Status`]: where a slot is. Only the store and the journal are asked for it.

use std::fmt;
use std::time::Duration;

use keyward::store::{Lease, Snapshot, StoredKey};
use keyward::{KeyFingerprint, Timestamp};

use crate::Slot;
use crate::machine::{Ledger, tag_of};
use crate::tag::Tag;

/// Where a slot is. `Display` is one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The slot.
    pub slot: String,
    /// The key in use.
    pub current: Option<KeyStatus>,
    /// The rotation that is open, if one is.
    pub open: Option<OpenRotation>,
    /// The last rotation that came to its end, and when.
    pub done: Option<(Tag, Timestamp)>,
    /// The lease that was taken last and not given back; it may have run out.
    pub lease: Option<Lease>,
    /// When the next rotation is due; none when it is due now, because no key that keyward made is
    /// in use, or one after a leak did not come to its end. Where somebody put another key in the new
    /// one's place, it is a day later at the earliest (or `rotate_after`, if that is shorter), so that
    /// what was put back stays.
    pub due_at: Option<Timestamp>,
    /// Whether a key leaked, and no key that was made after that is in use: the next call that changes
    /// something makes one.
    pub is_urgent: bool,
}

/// What is known of a key that is in use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyStatus {
    /// What may be shown of it.
    pub fingerprint: KeyFingerprint,
    /// Its id, if it was noted.
    pub key_id: Option<String>,
    /// The tag under which it was made, if keyward made it.
    pub tag: Option<Tag>,
    /// When it was made, if it was noted.
    pub created_at: Option<Timestamp>,
    /// When it expires, if it was noted.
    pub expires_at: Option<Timestamp>,
}

/// A rotation that is not over.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OpenRotation {
    /// The tag of its key.
    pub tag: Tag,
    /// How far it has come, as [`Record::step`](crate::Record::step) tells.
    pub step: &'static str,
    /// When it began, by the clock of who began it.
    pub begun_at: Timestamp,
}

impl Status {
    /// It is due so much early.
    pub(crate) fn of(slot: &Slot, ledger: &Ledger, snapshot: &Snapshot, early: Duration) -> Self {
        let current = snapshot.current.as_ref();
        Self {
            slot: slot.name().to_owned(),
            current: current.map(|stored| KeyStatus {
                fingerprint: stored.key.fingerprint(),
                key_id: stored.note.key_id.clone(),
                tag: tag_of(stored),
                created_at: stored.note.created_at,
                expires_at: stored.note.expires_at,
            }),
            open: ledger.open.as_ref().map(|open| OpenRotation {
                tag: open.tag.clone(),
                step: open.step.as_str(),
                begun_at: open.begun_at,
            }),
            done: ledger.done.clone(),
            lease: snapshot.lease.clone(),
            due_at: due_at(slot, ledger, current, early),
            is_urgent: ledger.is_urgent,
        }
    }

    /// As [`rest`].
    pub(crate) fn rest(&self, slot: &Slot) -> Duration {
        let dates = self.current.as_ref().map(|key| (key.created_at, key.expires_at));
        rest_by(slot, dates.unwrap_or_default())
    }

    /// Whether there is something to do at this moment: a rotation is open, or the next is due.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.open.is_some() || self.due_at.is_none_or(|at| now >= at)
    }
}

/// How long a key stays that somebody put in the place of another, where nobody asks for a rotation.
const PUT_BACK: Duration = Duration::from_secs(86_400);

/// A life that is shorter than that is no life: the organization's dates are wrong.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// When the key in use is to be replaced, which it is so much early; none for now.
pub(crate) fn due_at(
    slot: &Slot,
    ledger: &Ledger,
    current: Option<&StoredKey>,
    early: Duration,
) -> Option<Timestamp> {
    let current = current.filter(|_| !ledger.is_urgent)?;
    let by_dates = due_by_dates(slot, ledger, current).map(|at| before(at, early));
    let stays = PUT_BACK.min(slot.rotate_after());
    let put_back = ledger.superseded_at.map(|at| at.saturating_add(stays));
    by_dates.max(put_back)
}

/// At its age, and early enough before it expires, whichever is first. How early follows from how
/// long it really lives, which the organization may have cut short.
fn due_by_dates(slot: &Slot, ledger: &Ledger, current: &StoredKey) -> Option<Timestamp> {
    let tag = tag_of(current)?;
    let note = &current.note;
    let age = slot.rotate_after();
    let done = ledger.done.as_ref().filter(|(done, _)| *done == tag).map(|(_, at)| *at);
    let since = note.created_at.or(current.promoted_at).or(current.staged_at).or(done);
    let by_age = since.map(|at| at.saturating_add(age));
    let early = slot.ttl().saturating_sub(age);
    let life = since.zip(note.expires_at).map(|(since, end)| end.saturating_since(since));
    let early = life.map_or(early, |life| early.min(life / 3));
    let by_end = note.expires_at.map(|at| before(at, early));
    [by_age, by_end].into_iter().flatten().min()
}

/// For how long after a promotion nothing is begun by itself, whatever the dates say: half of the
/// time between two rotations, or of the key's life by the organization's clock if that is shorter.
pub(crate) fn rest(slot: &Slot, current: Option<&StoredKey>) -> Duration {
    let dates = current.map(|key| (key.note.created_at, key.note.expires_at));
    rest_by(slot, dates.unwrap_or_default())
}

fn rest_by(slot: &Slot, (since, end): (Option<Timestamp>, Option<Timestamp>)) -> Duration {
    let life = since.zip(end).map(|(since, end)| end.saturating_since(since));
    let life = life.filter(|life| *life >= SHORTEST_LIFE);
    slot.rotate_after().min(life.unwrap_or(Duration::MAX)) / 2
}

pub(crate) fn before(at: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix_seconds(at.as_unix_seconds().saturating_sub(by))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.slot)?;
        match &self.current {
            None => f.write_str("no key in use")?,
            Some(key) => {
                write!(f, "{} in use", key.fingerprint)?;
                if let Some(id) = &key.key_id {
                    write!(f, " ({id})")?;
                }
                if let Some(at) = key.expires_at {
                    write!(f, ", expires {at}")?;
                }
            }
        }
        if let Some(OpenRotation { tag, step, begun_at }) = &self.open {
            write!(f, "; {} has come to `{step}`, begun {begun_at}", tag.rotation())?;
        }
        match self.due_at {
            Some(at) => write!(f, "; due {at}"),
            None => f.write_str("; due now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward::ApiKey;
    use keyward::store::KeyNote;
    use keyward_admin::Scopes;

    use super::*;

    const DAY: u64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_790_000_000 + days * 86_400)
    }

    /// The slot's keys live 30 days and are replaced after 20.
    #[test]
    fn when_a_key_is_due() {
        let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
        let tag = Tag::new("billing", 1);
        let note = KeyNote::new().tag(tag.as_str());
        let stored = |note: KeyNote| {
            StoredKey::new(ApiKey::issued("0123456789abc".to_owned()).unwrap(), "1").note(note)
        };
        let ledger = Ledger { done: Some((tag.clone(), at(5))), ..Ledger::default() };
        let whole = note.clone().created_at(at(0)).expires_at(at(30));
        for (key, due, why) in [
            (stored(whole.clone()), Some(at(20)), "its age"),
            (stored(note.clone().created_at(at(0)).expires_at(at(3))), Some(at(2)), "cut short"),
            (stored(note.clone().expires_at(at(30))).staged_at(at(0)), Some(at(20)), "staged"),
            (stored(note.clone()).promoted_at(at(1)), Some(at(21)), "promoted"),
            (stored(note), Some(at(25)), "the journal's end"),
            (stored(KeyNote::new().created_at(at(0))), None, "not keyward's"),
        ] {
            assert_eq!(due_at(&slot, &ledger, Some(&key), Duration::ZERO), due, "{why}");
        }
        let urgent = Ledger { is_urgent: true, ..Ledger::default() };
        let whole = stored(whole);
        assert_eq!(due_at(&slot, &urgent, Some(&whole), Duration::ZERO), None, "after a leak");
        assert_eq!(slot.ttl(), Duration::from_secs(30 * DAY));
        let early = due_at(&slot, &ledger, Some(&whole), Duration::from_secs(DAY));
        assert_eq!(early, Some(at(19)), "early");
    }

    #[test]
    fn what_somebody_put_back_stays_for_a_day() {
        let day = Duration::from_secs(DAY);
        let ledger = Ledger { superseded_at: Some(at(40)), ..Ledger::default() };
        let key = |note| {
            StoredKey::new(ApiKey::issued("0123456789abc".to_owned()).unwrap(), "1").note(note)
        };
        let tagged = || KeyNote::new().tag(Tag::new("billing", 1).as_str());
        let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
        let short = slot.clone().with_rotate_after(day / 2).unwrap();
        let half = Timestamp::from_unix_seconds(at(40).as_unix_seconds() + 43_200);
        for (slot, note, due, why) in [
            (&slot, tagged().created_at(at(0)), at(41), "it is long due"),
            (&slot, tagged().created_at(at(30)), at(50), "it is not due"),
            (&slot, KeyNote::new(), at(41), "not keyward's"),
            (&short, tagged().created_at(at(0)), half, "it would be due again"),
        ] {
            // Not even early.
            let early = if why == "it is not due" { Duration::ZERO } else { day };
            assert_eq!(due_at(slot, &ledger, Some(&key(note)), early), Some(due), "{why}");
        }
        let urgent = Ledger { is_urgent: true, ..ledger.clone() };
        assert_eq!(due_at(&slot, &urgent, Some(&key(tagged())), Duration::ZERO), None, "a leak");
        assert_eq!(due_at(&slot, &ledger, None, Duration::ZERO), None, "no key is no key");
    }

    #[test]
    fn how_long_nothing_is_begun_after_a_promotion() {
        let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
        let days = |n: u64| Duration::from_secs(n * DAY);
        let second = Timestamp::from_unix_seconds(at(0).as_unix_seconds() + 1);
        for (dates, expected, why) in [
            ((Some(at(0)), Some(at(30))), days(10), "half of what is between two rotations"),
            ((Some(at(0)), Some(at(6))), days(3), "a life that was cut short"),
            ((None, Some(at(6))), days(10), "it is not known since when"),
            ((None, None), days(10), "no dates"),
            ((Some(at(6)), Some(at(0))), days(10), "dates that cannot be"),
            ((Some(at(0)), Some(second)), days(10), "nor these"),
        ] {
            assert_eq!(rest_by(&slot, dates), expected, "{why}");
        }
    }
}
