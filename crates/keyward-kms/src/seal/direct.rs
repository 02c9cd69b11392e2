//! [`DirectLoader`]: loads a key that a KMS key has sealed without an envelope.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadedKey, SourceSignature};

use super::origin::Origin;
use super::{Decrypt, SealContext};
use crate::{Error, deadline};

/// Loads a key that a KMS key has sealed directly, by [`seal_directly`](super::seal_directly) or
/// the KMS's own tool.
///
/// What is sealed may stand in a file or in memory, as bytes or as the base64 that
/// `aws kms encrypt` prints.
///
/// # Security
///
/// The key's text stands in buffers that are wiped, but for those of the KMS's SDK.
#[derive(Clone)]
pub struct DirectLoader<D> {
    origin: Origin,
    kms: D,
    context: SealContext,
    deadline: Duration,
}

impl<D: Decrypt> DirectLoader<D> {
    /// A sealed key in a file, which is read at each load.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>, kms: D, context: SealContext) -> Self {
        Self::at(Origin::File(path.into()), kms, context)
    }

    /// A sealed key as bytes or base64.
    #[must_use]
    pub fn from_bytes(sealed: impl Into<Vec<u8>>, kms: D, context: SealContext) -> Self {
        Self::at(Origin::Bytes(sealed.into().into()), kms, context)
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn at(origin: Origin, kms: D, context: SealContext) -> Self {
        Self { origin, kms, context, deadline: deadline::DEFAULT }
    }
}

impl<D: Decrypt> KeyLoader for DirectLoader<D> {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let mut text = deadline::within(self.deadline, async {
            self.context.check()?;
            let sealed = self.origin.read().await?;
            let decoded = decoded(&sealed);
            let sealed = decoded.as_deref().unwrap_or(&sealed);
            let opened = self.kms.decrypt(sealed, &self.context).await;
            Ok(opened.map_err(Error::of_opening)?.into_bytes())
        })
        .await
        .map_err(|error| error.at(self.source()))?;
        // EXPOSE: the door for keys that a KMS has sealed. The buffer goes into the key as it is.
        let key = ApiKey::parse(std::mem::take(&mut *text))
            .map_err(|error| LoadError::invalid(self.source(), error))?;
        Ok(LoadedKey::new(key, self.source()))
    }

    /// The KMS and the path: `aws-kms:PATH`.
    fn source(&self) -> KeySource {
        KeySource::new(self.kms.scheme(), self.origin.place())
    }

    /// That of the file. What the KMS does with its key is not seen in it.
    async fn signature(&self) -> Option<SourceSignature> {
        self.origin.signature().await
    }
}

impl<D> fmt::Debug for DirectLoader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectLoader")
            .field("origin", &self.origin.place())
            .field("context", &self.context)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What base64 says, where it is that and nothing else. No KMS's own bytes are.
fn decoded(sealed: &[u8]) -> Option<Vec<u8>> {
    Base64::decode_vec(str::from_utf8(sealed.trim_ascii()).ok()?).ok()
}
