//! The contract of [`KeyStore`], as a suite that every store can be held to. The checks live in
//! `keys`, `leases` and `races`; a store's lag is waited for in `settled`.
//!
//! A store of your own, in its tests:
//!
//! ```
//! use keyward::store::MemoryStore;
//! use keyward::store::conformance::{Subject, check};
//!
//! struct InMemory;
//!
//! impl Subject for InMemory {
//!     type Store = MemoryStore;
//!
//!     async fn fresh(&self) -> MemoryStore {
//!         MemoryStore::new("conformance")
//!     }
//!
//!     async fn again(&self, store: &MemoryStore) -> MemoryStore {
//!         store.clone() // for a file: another store with the same path
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
//! # runtime.block_on(async {
//! let report = check(&InMemory).await;
//! println!("{report}");
//! assert!(report.is_held());
//! # });
//! ```
//!
//! Keys are made up at run time, and never leave the stores that the subject makes.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};

use keyward_core::{ApiKey, Timestamp};

use self::settled::Settled;
use super::{KeyStore, StoreError, StoreErrorKind};

mod keys;
mod leases;
mod races;
mod settled;

/// A kind of store under test: how to make an empty one, and a second one at the same place.
pub trait Subject: Send + Sync {
    /// The store.
    type Store: KeyStore + fmt::Debug + 'static;

    /// A store that is empty, at a place that no check has used before.
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send;

    /// Another store at the same place, as another process would make it.
    fn again(&self, store: &Self::Store) -> impl Future<Output = Self::Store> + Send;

    /// A store whose place cannot be reached, if that can be had.
    fn unreachable(&self) -> impl Future<Output = Option<Self::Store>> + Send {
        async { None }
    }
}

/// Holds a store to the contract, on tokio's runtime, and tells of each check what came of it.
///
/// The races are such only on a runtime of several threads. A store that tells of a
/// [lag](KeyStore::lag) is waited for as long after each change, of which there are some hundred: give
/// it a short one, and the runtime its timers.
pub async fn check<S: Subject>(subject: &S) -> Report {
    let subject = &Settled(subject);
    let mut report = Report { checks: Vec::new() };
    macro_rules! run {
        ($($module:ident::$check:ident)*) => {$(
            let outcome = match $module::$check(subject).await {
                Ok(()) => Outcome::Held,
                Err(Stop::Failed(why)) => Outcome::Failed(why),
                Err(Stop::Skipped(why)) => Outcome::Skipped(why),
            };
            report.checks.push(Check { name: stringify!($check), outcome });
        )*};
    }
    run! {
        keys::an_empty_store_has_nothing
        keys::what_is_staged_is_pending_and_not_loaded
        keys::what_is_promoted_is_loaded
        keys::the_key_before_is_previous
        keys::what_is_noted_is_kept
        keys::another_instance_sees_the_same
        keys::keys_of_every_format_are_kept_byte_for_byte
        keys::nothing_prints_a_key
        keys::staging_another_key_conflicts
        keys::staging_what_is_there_yields_its_version
        keys::promoting_what_is_current_changes_nothing
        keys::promoting_what_is_not_pending_conflicts
        keys::discarding_forgets_all_but_the_current_key
        keys::a_version_is_never_used_twice
        keys::a_note_that_repeats_the_key_is_refused
        keys::an_unreachable_place_is_told
        leases::a_lease_keeps_others_out_until_it_runs_out
        leases::a_lease_that_was_taken_over_is_lost
        leases::a_lease_is_renewed_and_released
        leases::a_holder_takes_its_own_lease_again
        leases::a_journal_is_compared_before_it_is_set
        leases::a_journal_is_kept_letter_by_letter
        leases::a_journal_that_repeats_a_key_is_refused
        leases::keys_leases_and_journal_are_kept_apart
        races::of_tasks_that_stage_one_wins
        races::of_promoting_and_discarding_one_wins
        races::of_tasks_that_take_the_lease_one_wins
        races::no_two_leases_have_one_fence
        races::of_tasks_that_write_the_journal_one_wins
        races::whoever_loads_meanwhile_never_finds_nothing
    }
    report
}

/// What came of each check, in order. `Display` is a table.
#[derive(Clone, Debug)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// Whether no check failed. Some may have been [skipped](Self::skipped).
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Each check.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.named(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// The names of the checks that this store cannot be held to.
    pub fn skipped(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.named(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    fn named(&self, is: fn(&Outcome) -> bool) -> impl Iterator<Item = &'static str> + '_ {
        self.checks.iter().filter(move |check| is(&check.outcome)).map(|check| check.name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, outcome } in &self.checks {
            match outcome {
                Outcome::Held => writeln!(f, "held     {name}")?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {name}: {why}")?,
                Outcome::Failed(why) => writeln!(f, "FAILED   {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// One check and what came of it.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    outcome: Outcome,
}

impl Check {
    /// Its name, which says what must hold.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// What came of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The store does something else, and what.
    Failed(String),
    /// The store does what it must.
    Held,
    /// The store cannot be held to it, and why.
    Skipped(String),
}

/// Why a check ends early.
enum Stop {
    Failed(String),
    Skipped(String),
}

impl Stop {
    fn failed<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Failed(why.into()))
    }
}

/// An error where there must be none; what a place cannot do is no failure.
impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        if error.kind() == StoreErrorKind::Unsupported {
            return Self::Skipped(error.to_string());
        }
        Self::Failed(format!("it answers: {error}"))
    }
}

/// Fails the check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return $crate::store::conformance::Stop::failed(format!($($why)+));
        }
    };
}

use ensure;

/// The kind of the error that there must be.
fn refused<T>(result: Result<T, StoreError>, what: &str) -> Result<StoreError, Stop> {
    match result {
        Ok(_) => Stop::failed(format!("it does {what}")),
        Err(error) if error.kind() == StoreErrorKind::Unsupported => Err(error.into()),
        Err(error) => Ok(error),
    }
}

fn refused_with<T>(
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
    what: &str,
) -> Result<StoreError, Stop> {
    let error = refused(result, what)?;
    ensure!(error.kind() == kind, "{what}: {:?} instead of {kind:?}: {error}", error.kind());
    Ok(error)
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

/// The moment so many seconds after the check began.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.as_unix_seconds() + seconds)
}

/// A key that nobody has seen before.
fn new_key() -> ApiKey {
    key_like("sk-svcacct-", 130, "")
}

/// A made-up key: a prefix, random letters and digits, and an end.
fn key_like(prefix: &str, random: usize, end: &str) -> ApiKey {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    let mut text = Vec::with_capacity(prefix.len() + random + end.len());
    text.extend(prefix.as_bytes());
    text.extend((0..random).map(|_| {
        // The standard library's source of entropy: each state hashes nothing to another number.
        let number = RandomState::new().build_hasher().finish();
        ALPHABET[usize::try_from(number % 62).unwrap_or_default()]
    }));
    text.extend(end.as_bytes());
    #[allow(clippy::expect_used, reason = "every character is visible ASCII")]
    ApiKey::issued(text).expect("a text of visible ASCII can be a key")
}
