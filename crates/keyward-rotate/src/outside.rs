//! What the machine acts on, one small trait for each thing outside: the organization, time. The
//! store, the journal and the probe have traits of their own, which are public.

use std::future::Future;
use std::time::Duration;

use keyward::{ApiKey, Clock, Timestamp};

use crate::RotateError;
use crate::tag::Tag;

/// A key as the organization lists it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ListedKey {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) account_name: Option<String>,
    pub(crate) redacted: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
}

impl ListedKey {
    pub(crate) fn tag(&self) -> Option<Tag> {
        self.name.as_deref()?.parse().ok()
    }

    /// Whether it has expired, by a clock that need not be the organization's.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }
}

/// What the organization lists of where the slot's keys are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Listing {
    pub(crate) keys: Vec<ListedKey>,
    /// Filled only where they are asked for, because each key has an account of its own.
    pub(crate) accounts: Vec<ListedAccount>,
}

/// A service account that has a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListedAccount {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: Option<Timestamp>,
}

/// A key that was just made, with what the organization says of it.
#[derive(Clone, Debug)]
pub(crate) struct Minted {
    pub(crate) key: ApiKey,
    pub(crate) id: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// How a call that makes something can fail.
#[derive(Clone, Debug)]
pub(crate) enum NotMade {
    /// Nothing was made, and nothing will be: it may be asked for again.
    Later(RotateError),
    /// Nothing was made, and asking again will not help.
    Never(RotateError),
    /// Nobody knows whether it was made.
    Unknown,
}

/// What came of deleting something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deletion {
    Deleted,
    /// The admin key may not do it, or something else is amiss.
    Forbidden,
    Gone,
    /// The organization does not delete such things.
    Refused,
}

/// What came of giving a key an expiry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Expiry {
    Gone,
    Refused,
    Set(Option<Timestamp>),
}

/// The organization, as far as one slot goes.
pub(crate) trait Organization: Send + Sync {
    /// Whether a key that is made now could be used: the project, the account, its role.
    fn check(&self) -> impl Future<Output = Result<(), RotateError>> + Send;

    /// Lists all keys, and the accounts if they are asked for.
    fn list(
        &self,
        with_accounts: bool,
    ) -> impl Future<Output = Result<Listing, RotateError>> + Send;

    /// Makes an account for one key and tells its id.
    fn make_account(&self, tag: &Tag) -> impl Future<Output = Result<String, NotMade>> + Send;

    /// Makes a key, on the slot's account or on another.
    fn mint(
        &self,
        account: Option<&str>,
        tag: &Tag,
    ) -> impl Future<Output = Result<Minted, NotMade>> + Send;

    /// Lets a key expire so much later.
    fn expire(
        &self,
        key: &str,
        after: Duration,
    ) -> impl Future<Output = Result<Expiry, RotateError>> + Send;

    /// Looks at one key; none when it is gone.
    fn look(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<ListedKey>, RotateError>> + Send;

    fn delete_key(&self, key: &str) -> impl Future<Output = Result<Deletion, RotateError>> + Send;

    fn delete_account(
        &self,
        account: &str,
    ) -> impl Future<Output = Result<Deletion, RotateError>> + Send;

    /// How many requests a key made since a moment of the organization's clock, as far as usage is
    /// told: completions and responses, some minutes late. None when that is not told.
    fn requests_since(
        &self,
        _key: &str,
        _since: Timestamp,
    ) -> impl Future<Output = Option<u64>> + Send {
        async { None }
    }

    /// Whether a key can be let expire after it was made.
    fn can_expire(&self) -> bool {
        true
    }

    /// The store's key is this one from now on: who manages the organization with it goes over.
    fn take_over(&self, _key: &ApiKey) -> Result<(), RotateError> {
        Ok(())
    }
}

/// Time, and waiting.
pub(crate) trait Time: Send + Sync {
    /// What time of the day it is. It may jump, and nothing but leases and dates depends on it.
    fn wall(&self) -> Timestamp;

    /// How long it has been going. It never jumps.
    fn running(&self) -> Duration;

    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// The clock for dates, and tokio's timer for waiting.
pub(crate) struct SystemTimes {
    clock: Clock,
    began: tokio::time::Instant,
}

impl SystemTimes {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, began: tokio::time::Instant::now() }
    }
}

impl Time for SystemTimes {
    fn wall(&self) -> Timestamp {
        self.clock.now().into()
    }

    fn running(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
