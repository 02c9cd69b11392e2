//! [`EnvelopeLoader`]: loads a [`SealedKey`].

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadedKey, SourceSignature};

use super::origin::Origin;
use super::{Decrypt, SealContext, SealedKey};
use crate::deadline;

/// Loads a key from an envelope: a [`SealedKey`], which whoever can ask its KMS key can open.
///
/// ```no_run
/// use keyward_kms::{Decrypt, EnvelopeLoader, SealContext};
///
/// fn loader(kms: impl Decrypt) -> impl keyward::KeyLoader {
///     let context = SealContext::new("billing/openai", "proj_abc");
///     EnvelopeLoader::from_file("/etc/billing/openai.sealed", kms, context)
/// }
/// ```
///
/// # Security
///
/// The data key and the key's text stand in buffers that are wiped.
#[derive(Clone)]
pub struct EnvelopeLoader<D> {
    origin: Origin,
    kms: D,
    context: SealContext,
    deadline: Duration,
}

impl<D: Decrypt> EnvelopeLoader<D> {
    /// An envelope in a file, which is read at each load.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>, kms: D, context: SealContext) -> Self {
        Self::at(Origin::File(path.into()), kms, context)
    }

    /// An envelope as bytes or text.
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

impl<D: Decrypt> KeyLoader for EnvelopeLoader<D> {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let mut text = deadline::within(self.deadline, async {
            let sealed = SealedKey::parse(&self.origin.read().await?)?;
            sealed.open(&self.kms, &self.context).await
        })
        .await
        .map_err(|error| error.at(self.source()))?;
        // EXPOSE: the door for keys in envelopes. The buffer goes into the key as it is.
        let key = ApiKey::parse(std::mem::take(&mut *text))
            .map_err(|error| LoadError::invalid(self.source(), error))?;
        Ok(LoadedKey::new(key, self.source()))
    }

    /// `envelope:PATH`.
    fn source(&self) -> KeySource {
        KeySource::new("envelope", self.origin.place())
    }

    /// That of the file. What the KMS does with its key is not seen in it.
    async fn signature(&self) -> Option<SourceSignature> {
        self.origin.signature().await
    }
}

impl<D> fmt::Debug for EnvelopeLoader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeLoader")
            .field("origin", &self.origin.place())
            .field("context", &self.context)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
