//! [`Slot`]: one place where a key is kept and replaced, and the rules for it.

use std::fmt;
use std::time::Duration;

use keyward::find;
use keyward_admin::{ProjectId, Scope, Scopes, ServiceAccountId};

use crate::tag::is_slot_name;
use crate::{RotateError, RotateErrorKind};

pub mod danger;
#[cfg(feature = "toml")]
mod file;

#[cfg(feature = "toml")]
pub use self::file::SlotFile;

/// One key that is replaced from time to time: whose it is, what it may do, how long it lives.
///
/// ```
/// use std::time::Duration;
///
/// use keyward_admin::{Scope, Scopes};
/// use keyward_rotate::{Slot, Stragglers};
///
/// let day = Duration::from_secs(86_400);
/// let scopes = Scopes::only(Scope::RESPONSES_WRITE);
/// let slot = Slot::new("billing", "proj_abc", "svc_acct_abc", scopes)?
///     .with_ttl(30 * day)?
///     .with_grace(day)
///     .with_stragglers(Stragglers::Hold);
/// assert_eq!(slot.rotate_after(), 20 * day);
/// # Ok::<(), keyward_rotate::RotateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Slot {
    name: String,
    project: ProjectId,
    service_account: ServiceAccountId,
    scopes: Scopes,
    ttl: Duration,
    rotate_after: Option<Duration>,
    grace: Duration,
    silence: Duration,
    short_silence: Option<danger::ShortSilence>,
    stragglers: Stragglers,
    verification: Verification,
    adopted: Vec<KeyId>,
    role_elsewhere: bool,
    store: Option<Reference>,
}

/// The id of a key. `Debug` masks what is a key in its place.
#[derive(Clone, Eq, PartialEq)]
struct KeyId(String);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&find::scrub(&self.0), f)
    }
}

/// Where a key is kept. `Debug` does not repeat it: it may be a key in the wrong place.
#[derive(Clone)]
struct Reference(String);

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// What happens when the old key is still used at the end of the grace.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stragglers {
    /// The old key is deleted; that somebody used it is told with the outcome alone.
    GoOn,
    /// The old key lives as long as it is used: its expiry is put off, and who waits is told.
    Hold,
    /// The old key is deleted, with a warning.
    #[default]
    Warn,
}

/// How a new key is proved before anybody depends on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verification {
    /// What is asked of the API, below its base address, with `GET`. `/models` unless said
    /// otherwise.
    pub path: String,
    /// Whether "live, and may not do this" is enough. Unless said, it is enough for a key whose
    /// scopes do not let it read models, as far as scopes are known.
    pub accept_under_scoped: Option<bool>,
    /// For how long a key that is not accepted yet is asked again: the authentication cache of the
    /// API has to learn of it. Two minutes unless said otherwise.
    pub patience: Duration,
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            path: "/models".to_owned(),
            accept_under_scoped: None,
            patience: Duration::from_secs(120),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const MIN_TTL: Duration = Duration::from_secs(60);
const MAX_TTL: Duration = Duration::from_secs(31_536_000);

/// OpenAI does not document how soon or how exactly `last_used_at` follows a use.
const MIN_SILENCE: Duration = Duration::from_secs(60);

impl Slot {
    /// A slot whose keys live 30 days and are replaced after 20, with a grace of an hour for the
    /// old one and ten minutes of silence before it is deleted.
    ///
    /// The name is part of the name of each key: 1 to 32 of `a-z`, `0-9` and `-`.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] for a name that is none.
    pub fn new(
        name: impl Into<String>,
        project: impl Into<ProjectId>,
        service_account: impl Into<ServiceAccountId>,
        scopes: Scopes,
    ) -> Result<Self, RotateError> {
        let name = name.into();
        if !is_slot_name(&name) {
            return Err(RotateError::new(
                RotateErrorKind::Configuration,
                "a slot's name is 1 to 32 of `a-z`, `0-9` and `-`, and no key",
                "rename the slot",
            ));
        }
        Ok(Self {
            name,
            project: project.into(),
            service_account: service_account.into(),
            scopes,
            ttl: 30 * DAY,
            rotate_after: None,
            grace: Duration::from_secs(3600),
            silence: Duration::from_secs(600),
            short_silence: None,
            stragglers: Stragglers::default(),
            verification: Verification::default(),
            adopted: Vec::new(),
            role_elsewhere: false,
            store: None,
        })
    }

    /// How long a key lives: from a minute to a year, which is the API's bound
    /// ([reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/subresources/api_keys/methods/create)).
    ///
    /// Below three hours [`with_grace`](Self::with_grace) must be given too: at most a third of this,
    /// which is what a key has left when it is replaced, unless `rotate_after` is set. Below one hour
    /// so must [`with_silence`](Self::with_silence), at most half of the grace; and below six minutes
    /// no silence of a minute fits, so a grace of zero is left.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] for another duration.
    pub fn with_ttl(mut self, ttl: Duration) -> Result<Self, RotateError> {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(self.misset("`ttl` is from a minute to a year", "set another duration"));
        }
        self.ttl = ttl;
        self.check_rotate_after()
    }

    /// After how long a key is replaced: shorter than it lives, and two thirds of that unless set.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] when it is zero or not shorter than the ttl.
    pub fn with_rotate_after(mut self, age: Duration) -> Result<Self, RotateError> {
        self.rotate_after = Some(age);
        self.check_rotate_after()
    }

    /// How long the old key lives on at the most once the new one is in use: the expiry that the
    /// organization is told. Zero deletes it at once.
    ///
    /// What a store that shows changes late tells of that ([`KeyStore::lag`]) comes on top. With such
    /// a store and a grace of zero the old key is watched for as long as the lag, and still used
    /// then, it is a straggler. Only after a leak is it deleted at once there too.
    ///
    /// [`KeyStore::lag`]: keyward::store::KeyStore::lag
    ///
    /// It is at most what a key has left when it is replaced (`ttl` less `rotate_after`), because it
    /// dies then whatever was promised, and at most `rotate_after`, because the next rotation is due
    /// then. A rotator is not made of a slot where it is longer, or where it and the lag are longer
    /// than what a key has left.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// For how long the old key must not have been used before it is deleted. Choose it longer than
    /// services take to notice a new key. It is counted from the first look at the old key. Where it
    /// is not told when a key was used at all, the whole grace is waited for.
    ///
    /// It is a minute at the least, because OpenAI does not document how soon or how exactly
    /// `last_used_at` follows a use; and half of the grace at the most, because a key is not silent
    /// when it was not watched for so long. A rotator is not made of a slot where it is another. Where
    /// the grace is zero, it is not checked, and nothing is watched unless the store has a lag.
    #[must_use]
    pub fn with_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self.short_silence = None;
        self
    }

    /// What happens when the old key is still used at the end of the grace.
    #[must_use]
    pub fn with_stragglers(mut self, stragglers: Stragglers) -> Self {
        self.stragglers = stragglers;
        self
    }

    /// How a new key is proved.
    #[must_use]
    pub fn with_verification(mut self, verification: Verification) -> Self {
        self.verification = verification;
        self
    }

    /// Lets a key be deleted that keyward did not make, by its id, once the new one is in use: the
    /// one that the service had until now. No other such key is ever touched.
    #[must_use]
    pub fn retiring(mut self, key_id: impl Into<String>) -> Self {
        self.adopted.push(KeyId(key_id.into()));
        self
    }

    /// Says that the account has no role of its own, and gets its permissions by a group that has a
    /// custom role in the project, as OpenAI's
    /// [guide for Terraform](https://developers.openai.com/api/docs/guides/terraform/service-accounts)
    /// sets it up. Without this a role of `none` is refused before a key is made; with it, whether
    /// the key may do anything is found when it is proved.
    #[must_use]
    pub fn with_role_elsewhere(mut self) -> Self {
        self.role_elsewhere = true;
        self
    }

    /// Where the key is kept, as a [reference](mod@keyward::reference) that the application
    /// resolves. This crate does not look at it.
    #[must_use]
    pub fn with_store_reference(mut self, reference: impl Into<String>) -> Self {
        self.store = Some(Reference(reference.into()));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// The service account, which stays the same.
    #[must_use]
    pub fn service_account(&self) -> &ServiceAccountId {
        &self.service_account
    }

    /// What a key may do.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// How long a key lives.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// After how long a key is replaced.
    #[must_use]
    pub fn rotate_after(&self) -> Duration {
        self.rotate_after.unwrap_or(self.ttl / 3 * 2)
    }

    /// How long the old key lives on at the most.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// For how long the old key must not have been used before it is deleted.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// What happens when the old key is still used at the end of the grace.
    #[must_use]
    pub fn stragglers(&self) -> Stragglers {
        self.stragglers
    }

    /// How a new key is proved.
    #[must_use]
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The ids of the keys that keyward did not make and may delete.
    pub fn retired_by_id(&self) -> impl Iterator<Item = &str> {
        self.adopted.iter().map(|KeyId(id)| id.as_str())
    }

    /// Whether the account gets its permissions by a group.
    #[must_use]
    pub fn has_role_elsewhere(&self) -> bool {
        self.role_elsewhere
    }

    /// Where the key is kept, if it was written down.
    #[must_use]
    pub fn store_reference(&self) -> Option<&str> {
        self.store.as_ref().map(|Reference(text)| text.as_str())
    }

    /// Whether a key that is live and may not do what was asked is good.
    pub(crate) fn accepts_under_scoped(&self) -> bool {
        self.verification.accept_under_scoped.unwrap_or_else(|| match &self.scopes {
            Scopes::Only(list) => {
                !list.iter().any(|s| [Scope::MODEL_REQUEST, Scope::ALL_READ].contains(s))
            }
            _ => false,
        })
    }

    /// What one setting alone does not tell: whether grace and silence fit the others, in a store
    /// with this lag.
    pub(crate) fn checked(self, lag: Duration) -> Result<Self, RotateError> {
        let Self { grace, silence, .. } = self;
        let left = self.ttl.saturating_sub(self.rotate_after());
        // An old key that expires while readers are still given it takes the service down.
        if !lag.is_zero() && grace.saturating_add(lag) > left {
            return Err(self.misset(
                "`grace` and the store's lag are longer than a replaced key lives",
                "set `grace` and `rotate_after` so that both fit into `ttl` less `rotate_after`",
            ));
        }
        if grace > left.min(self.rotate_after()) {
            return Err(self.misset(
                "`grace` is longer than a replaced key lives or than the next rotation is away",
                "set it to at most `ttl` less `rotate_after`, and at most `rotate_after`",
            ));
        }
        if grace.is_zero() {
            return Ok(self);
        }
        if silence < MIN_SILENCE && self.short_silence.is_none() {
            return Err(self.misset(
                "`silence` is shorter than a minute",
                "lengthen it, or set `grace` to zero if nobody is waited for",
            ));
        }
        if silence > grace / 2 {
            return Err(self.misset(
                "`silence` is longer than half of `grace`",
                "lengthen `grace`, so that silence can be seen before it ends",
            ));
        }
        Ok(self)
    }

    fn check_rotate_after(self) -> Result<Self, RotateError> {
        match self.rotate_after {
            Some(age) if age.is_zero() || age >= self.ttl => {
                Err(self.misset("`rotate_after` is shorter than `ttl`, and not zero", "mend one"))
            }
            _ => Ok(self),
        }
    }

    fn misset(&self, what: &'static str, fix: &'static str) -> RotateError {
        RotateError::new(RotateErrorKind::Configuration, what, fix).in_slot(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_and_silence_fit_the_others() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let minutes = |n: u64| Duration::from_secs(n * 60);
        // Keys live 30 hours and are replaced after 20.
        let slot = |grace, silence| {
            let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
            let slot = slot.with_ttl(hours(30)).unwrap().with_grace(grace).with_silence(silence);
            slot.checked(Duration::ZERO).map(|slot| slot.grace())
        };
        for grace in [hours(10), minutes(2), Duration::ZERO] {
            assert_eq!(slot(grace, minutes(1)).unwrap(), grace);
        }
        assert!(slot(Duration::ZERO, Duration::ZERO).is_ok(), "nothing is watched");
        for (grace, silence, says) in [
            (hours(10) + minutes(1), minutes(1), "`grace` is longer"),
            (hours(1), Duration::from_secs(59), "shorter than a minute"),
            (hours(1), Duration::ZERO, "shorter than a minute"),
            (hours(1), minutes(31), "longer than half of `grace`"),
        ] {
            let error = slot(grace, silence).unwrap_err();
            assert_eq!(error.kind(), RotateErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
        }
        // A store that is late takes its part of the ten hours.
        let late = |grace, lag| {
            let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
            slot.with_ttl(hours(30)).unwrap().with_grace(grace).checked(lag)
        };
        assert!(late(hours(9), hours(1)).is_ok() && late(Duration::ZERO, hours(10)).is_ok());
        for (grace, lag) in [(hours(9), minutes(61)), (Duration::ZERO, hours(11))] {
            let error = late(grace, lag).unwrap_err();
            assert!(error.to_string().contains("the store's lag"), "{error}");
        }
        // The next rotation is due before so long a drain is over.
        let soon = Slot::new("billing", "p", "s", Scopes::All).unwrap();
        let soon = soon.with_rotate_after(hours(2)).unwrap().with_grace(hours(3));
        assert!(
            soon.checked(Duration::ZERO).unwrap_err().to_string().contains("`grace` is longer")
        );
    }

    #[test]
    fn a_short_silence_has_a_reason() {
        let second = Duration::from_secs(1);
        let slot = Slot::new("billing", "p", "s", Scopes::All).unwrap();
        assert!(danger::ShortSilence::new(second, " ").is_err());
        let exception = danger::ShortSilence::new(second, "a test").unwrap();
        let slot = slot.with_short_silence(exception).checked(Duration::ZERO).unwrap();
        assert_eq!(slot.silence(), second);
        assert!(
            slot.with_silence(second).checked(Duration::ZERO).is_err(),
            "it is said for each anew"
        );
    }
}
