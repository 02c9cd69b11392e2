//! Stores with one flaw each: the suite must see every one, by name.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use keyward::store::conformance::{Outcome, Subject};
use keyward::store::{
    Journal, KeyNote, KeyStore, Lease, MemoryStore, Snapshot, StoreError, StoreErrorKind, Version,
};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadErrorKind, LoadedKey, Timestamp};

use super::report;
use crate::fixture::ready;

/// What a broken store does otherwise than it must.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaw {
    AnyoneReleases,
    ComparesNoJournal,
    CurrentIsDiscarded,
    EmptyIsAnError,
    FencesDoNotGrow,
    ForgetsExpiry,
    ForgetsNote,
    ForgetsPrevious,
    IsAwayWhilePromoting,
    JournalIsTrimmed,
    JournalLooksBeforeItWrites,
    KeepsDiscarded,
    KeysAreCut,
    LeaseIsForAll,
    LeaseLooksBeforeItWrites,
    LeaseNeverEnds,
    LoadsPending,
    None,
    PrintsKeyInDebug,
    PrintsKeyInError,
    PromotesAnything,
    RefusesToRepeat,
    ReplacesPending,
    StageLooksBeforeItWrites,
    TakesAnyNote,
    TellsConflictAsDamage,
    UnreachableIsEmpty,
    Unsupported,
    VersionsRepeat,
}

/// Each flaw, and a check that must fail because of it.
const SEEN_BY: &[(Flaw, &str)] = &[
    (Flaw::AnyoneReleases, "a_lease_that_was_taken_over_is_lost"),
    (Flaw::ComparesNoJournal, "a_journal_is_compared_before_it_is_set"),
    (Flaw::CurrentIsDiscarded, "discarding_forgets_all_but_the_current_key"),
    (Flaw::EmptyIsAnError, "an_empty_store_has_nothing"),
    (Flaw::FencesDoNotGrow, "a_holder_takes_its_own_lease_again"),
    (Flaw::FencesDoNotGrow, "no_two_leases_have_one_fence"),
    (Flaw::ForgetsExpiry, "what_is_noted_is_kept"),
    (Flaw::ForgetsNote, "what_is_noted_is_kept"),
    (Flaw::ForgetsPrevious, "the_key_before_is_previous"),
    (Flaw::ForgetsPrevious, "another_instance_sees_the_same"),
    (Flaw::IsAwayWhilePromoting, "whoever_loads_meanwhile_never_finds_nothing"),
    (Flaw::JournalIsTrimmed, "a_journal_is_kept_letter_by_letter"),
    (Flaw::JournalLooksBeforeItWrites, "of_tasks_that_write_the_journal_one_wins"),
    (Flaw::KeepsDiscarded, "discarding_forgets_all_but_the_current_key"),
    (Flaw::KeepsDiscarded, "of_promoting_and_discarding_one_wins"),
    (Flaw::KeysAreCut, "keys_of_every_format_are_kept_byte_for_byte"),
    (Flaw::LeaseIsForAll, "a_lease_keeps_others_out_until_it_runs_out"),
    (Flaw::LeaseIsForAll, "of_tasks_that_take_the_lease_one_wins"),
    (Flaw::LeaseLooksBeforeItWrites, "of_tasks_that_take_the_lease_one_wins"),
    (Flaw::LeaseNeverEnds, "a_lease_keeps_others_out_until_it_runs_out"),
    (Flaw::LoadsPending, "what_is_staged_is_pending_and_not_loaded"),
    (Flaw::LoadsPending, "what_is_promoted_is_loaded"),
    (Flaw::PrintsKeyInDebug, "nothing_prints_a_key"),
    (Flaw::PrintsKeyInError, "nothing_prints_a_key"),
    (Flaw::PromotesAnything, "promoting_what_is_not_pending_conflicts"),
    (Flaw::RefusesToRepeat, "promoting_what_is_current_changes_nothing"),
    (Flaw::RefusesToRepeat, "staging_what_is_there_yields_its_version"),
    (Flaw::ReplacesPending, "staging_another_key_conflicts"),
    (Flaw::StageLooksBeforeItWrites, "of_tasks_that_stage_one_wins"),
    (Flaw::TakesAnyNote, "a_note_that_repeats_the_key_is_refused"),
    (Flaw::TellsConflictAsDamage, "staging_another_key_conflicts"),
    (Flaw::UnreachableIsEmpty, "an_unreachable_place_is_told"),
    (Flaw::VersionsRepeat, "a_version_is_never_used_twice"),
];

#[test]
fn the_suite_sees_every_flaw() {
    for (flaw, check) in SEEN_BY {
        let report = report(&Subjected(*flaw));
        let failed: Vec<_> = report.failed().collect();
        println!("{flaw:?}: {failed:?}");
        assert!(failed.contains(check), "{flaw:?} is not seen by {check}:\n{report}");
        assert!(report.to_string().contains(&format!("FAILED   {check}: ")), "{report}");
    }
}

/// Without a flaw, the same wrapper keeps the contract: what was seen above was the flaw.
#[test]
fn the_suite_finds_nothing_where_there_is_no_flaw() {
    let report = report(&Subjected(Flaw::None));
    assert!(report.is_held(), "{report}");
    assert!(report.checks().len() >= 25);
}

#[test]
fn what_a_place_cannot_do_is_skipped_and_told() {
    let report = report(&Subjected(Flaw::Unsupported));
    assert!(report.is_held(), "{report}");
    let skipped: Vec<_> = report.skipped().collect();
    for name in ["a_lease_is_renewed_and_released", "of_tasks_that_write_the_journal_one_wins"] {
        assert!(skipped.contains(&name), "{report}");
        let check = report.checks().iter().find(|check| check.name() == name).unwrap();
        assert!(matches!(check.outcome(), Outcome::Skipped(why) if why.contains("cannot")));
    }
    assert_eq!(skipped.len(), 12, "{report}");
}

struct Subjected(Flaw);

impl Subject for Subjected {
    type Store = Broken;

    async fn fresh(&self) -> Broken {
        let store = MemoryStore::new("broken");
        Broken { store, flaw: self.0, is_away: Arc::default() }
    }

    async fn again(&self, store: &Broken) -> Broken {
        store.clone()
    }

    async fn unreachable(&self) -> Option<Broken> {
        if self.0 == Flaw::UnreachableIsEmpty { Some(self.fresh().await) } else { None }
    }
}

#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    flaw: Flaw,
    is_away: Arc<AtomicBool>,
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn error(&self, kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind, self.source(), "it cannot", "use another")
    }

    async fn clear(&self) -> Result<(), StoreError> {
        match self.store.pending().await? {
            Some(pending) => self.store.discard(&pending.version).await,
            None => Ok(()),
        }
    }

    /// Time for others to come in between.
    fn dawdle() {
        thread::sleep(Duration::from_millis(3));
    }
}

impl KeyLoader for Broken {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        if self.is_away.load(Ordering::SeqCst) {
            let kind = LoadErrorKind::NotFound;
            return Err(LoadError::new(kind, self.source(), "away", "wait"));
        }
        let pending = self.store.pending().await?;
        if let Some(stored) = pending.filter(|_| self.has(Flaw::LoadsPending)) {
            return Ok(stored.into_loaded(self.source()));
        }
        match self.store.load().await {
            Err(_) if self.has(Flaw::EmptyIsAnError) => {
                Err(self.error(StoreErrorKind::Refused).into())
            }
            Ok(loaded) if self.has(Flaw::ForgetsExpiry) => Ok(loaded.expires_at(None)),
            loaded => loaded,
        }
    }

    fn source(&self) -> KeySource {
        self.store.source()
    }
}

impl KeyStore for Broken {
    async fn stage(
        &self,
        key: &ApiKey,
        note: &KeyNote,
        now: Timestamp,
    ) -> Result<Version, StoreError> {
        let mut key = key.clone();
        let mut note = note.clone();
        match self.flaw {
            Flaw::ForgetsNote => note = KeyNote::new(),
            Flaw::KeysAreCut => key = cut(&key),
            Flaw::ReplacesPending => self.clear().await?,
            Flaw::StageLooksBeforeItWrites => {
                if self.store.pending().await?.is_some_and(|pending| pending.key != key) {
                    return Err(self.error(StoreErrorKind::Conflict));
                }
                Self::dawdle();
                self.clear().await?;
            }
            Flaw::RefusesToRepeat => {
                let snapshot = self.store.snapshot().await?;
                let known = [snapshot.pending, snapshot.current].into_iter().flatten();
                if known.into_iter().any(|stored| stored.key == key) {
                    return Err(self.error(StoreErrorKind::Conflict));
                }
            }
            _ => {}
        }
        if self.has(Flaw::TakesAnyNote) && note.check(&key, self.source()).is_err() {
            note = KeyNote::new();
        }
        let staged = self.store.stage(&key, &note, now).await;
        match (self.flaw, staged) {
            (Flaw::PrintsKeyInError, Err(error)) => {
                Err(StoreError::new(error.kind(), self.source(), text(&key), "look"))
            }
            (Flaw::TellsConflictAsDamage, Err(_)) => Err(self.error(StoreErrorKind::Damaged)),
            (Flaw::VersionsRepeat, Ok(_)) => Ok("1".into()),
            (_, staged) => staged,
        }
    }

    async fn promote(&self, version: &Version, now: Timestamp) -> Result<(), StoreError> {
        let before = self.store.snapshot().await?;
        let is = |stored: &Option<keyward::store::StoredKey>| {
            stored.as_ref().is_some_and(|stored| stored.version == *version)
        };
        if self.has(Flaw::RefusesToRepeat) && is(&before.current) {
            return Err(self.error(StoreErrorKind::Conflict));
        }
        if self.has(Flaw::IsAwayWhilePromoting) {
            self.is_away.store(true, Ordering::SeqCst);
            Self::dawdle();
        }
        let promoted = self.store.promote(version, now).await;
        self.is_away.store(false, Ordering::SeqCst);
        if let (true, Some(previous)) = (self.has(Flaw::ForgetsPrevious), before.current) {
            drop(self.store.discard(&previous.version).await);
        }
        if self.has(Flaw::PromotesAnything) { Ok(()) } else { promoted }
    }

    async fn discard(&self, version: &Version) -> Result<(), StoreError> {
        match self.flaw {
            Flaw::KeepsDiscarded => Ok(()),
            Flaw::CurrentIsDiscarded => {
                drop(self.store.discard(version).await);
                Ok(())
            }
            _ => self.store.discard(version).await,
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.store.snapshot().await
    }

    async fn lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let mut ttl = ttl;
        let held = self.store.snapshot().await?.lease;
        match self.flaw {
            Flaw::Unsupported => return Err(self.error(StoreErrorKind::Unsupported)),
            Flaw::LeaseNeverEnds => ttl = Duration::from_secs(1 << 40),
            Flaw::LeaseLooksBeforeItWrites => {
                if let Some(held) = held.filter(|held| !held.is_over(now)) {
                    return Err(StoreError::lease_held(self.source(), held));
                }
                Self::dawdle();
                if let Some(held) = self.store.snapshot().await?.lease {
                    self.store.release(&held).await?;
                }
            }
            Flaw::LeaseIsForAll => {
                if let Some(held) = held {
                    self.store.release(&held).await?;
                }
            }
            _ => {}
        }
        let mut lease = self.store.lease(holder, ttl, now).await?;
        if self.has(Flaw::FencesDoNotGrow) {
            lease.fence = 1;
        }
        Ok(lease)
    }

    async fn renew(
        &self,
        lease: &Lease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.store.renew(lease, ttl, now).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        match self.store.snapshot().await?.lease {
            Some(held) if self.has(Flaw::AnyoneReleases) => self.store.release(&held).await,
            _ => self.store.release(lease).await,
        }
    }

    async fn journal(&self) -> Result<Journal, StoreError> {
        if self.has(Flaw::Unsupported) {
            return Err(self.error(StoreErrorKind::Unsupported));
        }
        self.store.journal().await
    }

    async fn write_journal(&self, read: &Journal, text: &str) -> Result<Journal, StoreError> {
        let now = self.journal().await?;
        match self.flaw {
            Flaw::ComparesNoJournal => self.store.write_journal(&now, text).await,
            Flaw::JournalIsTrimmed => self.store.write_journal(read, text.trim()).await,
            Flaw::JournalLooksBeforeItWrites => {
                if now != *read {
                    return Err(self.error(StoreErrorKind::Conflict));
                }
                Self::dawdle();
                let now = self.store.journal().await?;
                self.store.write_journal(&now, text).await
            }
            _ => self.store.write_journal(read, text).await,
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")?;
        match ready(self.store.current()) {
            Ok(Some(stored)) if self.has(Flaw::PrintsKeyInDebug) => f.write_str(text(&stored.key)),
            _ => Ok(()),
        }
    }
}

fn cut(key: &ApiKey) -> ApiKey {
    let text = text(key);
    ApiKey::issued(text[..text.len().min(128)].to_owned()).unwrap()
}

fn text(key: &ApiKey) -> &'static str {
    // EXPOSE: a broken store of a test does what none may.
    #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
    key.expose_secret().to_owned().leak()
}
