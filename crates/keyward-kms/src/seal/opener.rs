//! [`Opener`]: what the loaders of sealed keys have in common.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use keyward::{ApiKey, KeySource, LoadError, LoadedKey};
use zeroize::Zeroizing;

use super::SealContext;
use super::origin::Origin;
use crate::{Error, deadline};

/// A sealed text, and what opens it.
#[derive(Clone)]
pub(super) struct Opener<D> {
    pub(super) origin: Origin,
    pub(super) kms: D,
    pub(super) context: SealContext,
    pub(super) deadline: Duration,
}

impl<D> Opener<D> {
    pub(super) fn of_file(path: PathBuf, kms: D, context: SealContext) -> Self {
        Self { origin: Origin::file(path), kms, context, deadline: deadline::DEFAULT }
    }

    pub(super) fn of_bytes(sealed: Vec<u8>, kms: D, context: SealContext) -> Self {
        Self { origin: Origin::Bytes(sealed.into()), kms, context, deadline: deadline::DEFAULT }
    }

    /// Awaits the opened text until the deadline, and takes the key out of it.
    pub(super) async fn load(
        &self,
        source: KeySource,
        opened: impl Future<Output = Result<Zeroizing<Vec<u8>>, Error>>,
    ) -> Result<LoadedKey, LoadError> {
        let mut text = deadline::within(self.deadline, opened)
            .await
            .map_err(|error| error.at(source.clone()))?;
        // EXPOSE: the door for keys that a KMS has sealed. The buffer goes into the key as it is.
        let key = ApiKey::parse(std::mem::take(&mut *text))
            .map_err(|error| LoadError::invalid(source.clone(), error))?;
        Ok(LoadedKey::new(key, source))
    }

    /// As the loader of this name.
    pub(super) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("origin", &self.origin.place())
            .field("context", &self.context)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
