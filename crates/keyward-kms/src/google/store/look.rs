//! What a secret holds: the keys at its aliases, and the current one where there is no alias.

use keyward::KeyLoader as _;
use keyward::store::{StoreError, StoreErrorKind, StoredKey, Version};

use super::SecretManagerStore;
use super::aliases::{self, Aliases, Found};
use super::tries::Tries;
use crate::google::secret::{LATEST, access};
use crate::{Error, ErrorKind, stored};

impl SecretManagerStore {
    pub(super) async fn key_at(&self, version: i64) -> Result<StoredKey, StoreError> {
        let read = access(&self.google, &self.secret, &version.to_string()).await;
        self.key_of(read)
    }

    fn key_of(&self, read: Result<aliases::Read, Error>) -> Result<StoredKey, StoreError> {
        let (text, version) = read.map_err(|error| match error.kind() {
            // The alias is on it, so it was there.
            ErrorKind::NotFound => self.told(destroyed()),
            _ => self.told(error),
        })?;
        stored::read(&text, &version, &self.source())?
            .ok_or_else(|| stored::without_a_key(&self.source()))
    }

    /// What the secret holds. `None` if there is no secret.
    pub(super) async fn look(&self) -> Result<Option<Holding>, StoreError> {
        let mut tries = Tries::new();
        loop {
            let Some(found) = self.found().await? else { return Ok(None) };
            let etag = found.etag().to_owned();
            let holding = self.hold(found).await;
            let may_have_changed = match &holding {
                // The alias may have been set since, and the latest version added after that.
                Ok(holding) => holding.current.is_none(),
                // Who discards a key meanwhile destroys its version.
                Err(error) => {
                    matches!(error.kind(), StoreErrorKind::Refused | StoreErrorKind::NotFound)
                }
            };
            if !may_have_changed {
                return holding.map(Some);
            }
            let now = self.found().await?;
            if now.is_some_and(|now| now.etag() == etag) {
                return holding.map(Some);
            }
            tries.lost(&etag, self.source()).await?;
        }
    }

    pub(super) async fn hold(&self, found: Found) -> Result<Holding, StoreError> {
        let Aliases { current, pending, previous } = found.aliases;
        // Versions never change, so it does not matter that they are read one after the other.
        let (current, adopted) = match current {
            Some(version) => (Some(self.key_at(version).await?), None),
            None => {
                let latest = self.latest().await?;
                if latest.is_none() && found.was_promoted() {
                    return Err(aliases::bereft(self.source()));
                }
                let version = latest.as_ref().and_then(|key| number(&key.version));
                (latest, version)
            }
        };
        let pending = match pending {
            Some(version) => Some(self.key_at(version).await?),
            None => None,
        };
        let previous = match previous {
            Some(version) => self.previous_at(version).await?,
            None => None,
        };
        Ok(Holding { found, adopted, current, pending, previous })
    }

    /// What a hand has put right or taken away since is in nobody's way.
    async fn previous_at(&self, version: i64) -> Result<Option<StoredKey>, StoreError> {
        let read = access(&self.google, &self.secret, &version.to_string()).await;
        let is_gone =
            |error: &Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Withdrawn);
        if read.as_ref().is_err_and(is_gone) {
            return Ok(None);
        }
        match self.key_of(read) {
            Err(error) if error.kind() == StoreErrorKind::Damaged => Ok(None),
            key => key.map(Some),
        }
    }

    /// The key of the latest version, if another tool has put it there.
    pub(super) async fn latest(&self) -> Result<Option<StoredKey>, StoreError> {
        match access(&self.google, &self.secret, LATEST).await {
            Err(error) if error.is_not_found() => Ok(None),
            // As the docs tell to destroy what was discarded. What is disabled may be enabled.
            Err(error)
                if error.kind() == ErrorKind::Withdrawn
                    && aliases::latest_is_destroyed(&self.google, &self.secret)
                        .await
                        .unwrap_or(false) =>
            {
                Ok(None)
            }
            read => Ok(Some(self.key_of(read)?).filter(|key| !is_ours(key))),
        }
    }

    pub(super) async fn load_now(&self) -> Result<Option<StoredKey>, StoreError> {
        // One call, and no right but to access versions, where an alias is there.
        match access(&self.google, &self.secret, aliases::CURRENT).await {
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {}
            read => return self.key_of(read).map(Some),
        }
        let latest = match access(&self.google, &self.secret, LATEST).await {
            Err(error) if error.is_not_found() => return Ok(None),
            read => self.key_of(read)?,
        };
        if !is_ours(&latest) {
            return Ok(Some(latest));
        }
        // The latest one is of a store, which gives what was there before its alias first. So it is
        // staged only, or there is an alias by now that was not seen, or there was one.
        match self.found().await {
            Ok(Some(found)) => {
                if let Some(version) = found.aliases.current {
                    return self.key_at(version).await.map(Some);
                }
                if found.was_promoted() {
                    return Err(aliases::bereft(self.source()));
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == StoreErrorKind::Refused => {
                return Err(aliases::untold(self.source()));
            }
            Err(error) => return Err(error),
        }
        if self.had_another(&latest.version).await? {
            Err(aliases::untold(self.source()))
        } else {
            Ok(None)
        }
    }

    /// Whether another tool had put a key there before this version was added: then the store gave
    /// it an alias, and who does not see one was given the secret as it was before. Versions are
    /// read by their numbers, which is consistent.
    async fn had_another(&self, version: &Version) -> Result<bool, StoreError> {
        let before = number(version).unwrap_or_default();
        for version in (1..before).rev().take(LOOKS_BACK) {
            match self.key_at(version).await {
                Ok(key) if is_ours(&key) => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == StoreErrorKind::Refused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Whether the store has added it, and no other tool.
pub(super) fn is_ours(key: &StoredKey) -> bool {
    key.staged_at.is_some()
}

pub(super) fn number(version: &Version) -> Option<i64> {
    version.as_str().parse().ok()
}

fn destroyed() -> Error {
    Error::new(
        ErrorKind::Withdrawn,
        "the version that an alias is on is not there",
        "move the alias to one that is",
    )
}

/// How many versions before the latest one are looked at for a key of another tool.
const LOOKS_BACK: usize = 8;

/// What the secret holds, at one moment.
pub(super) struct Holding {
    pub(super) found: Found,
    /// The current version, where no alias is on it yet.
    pub(super) adopted: Option<i64>,
    pub(super) current: Option<StoredKey>,
    pub(super) pending: Option<StoredKey>,
    pub(super) previous: Option<StoredKey>,
}
