//! [`EnvelopeLoader`]: loads a [`SealedKey`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use keyward::{KeyLoader, KeySource, LoadError, LoadedKey, SourceSignature};

use super::opener::Opener;
use super::{Decrypt, SealContext, SealedKey};

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
pub struct EnvelopeLoader<D>(Opener<D>);

impl<D: Decrypt> EnvelopeLoader<D> {
    /// An envelope in a file, which is read at each load.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>, kms: D, context: SealContext) -> Self {
        Self(Opener::of_file(path.into(), kms, context))
    }

    /// An envelope as bytes or text.
    #[must_use]
    pub fn from_bytes(sealed: impl Into<Vec<u8>>, kms: D, context: SealContext) -> Self {
        Self(Opener::of_bytes(sealed.into(), kms, context))
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.0.deadline = deadline;
        self
    }
}

impl<D: Decrypt> KeyLoader for EnvelopeLoader<D> {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let Opener { origin, kms, context, .. } = &self.0;
        let opened = async {
            let sealed = SealedKey::parse(&origin.read().await?)?;
            sealed.open(kms, context).await
        };
        let loaded = self.0.load(self.source(), opened).await?;
        Ok(loaded.variables(self.variables()))
    }

    /// `envelope:PATH`.
    fn source(&self) -> KeySource {
        KeySource::new("envelope", self.0.origin.place())
    }

    /// Those of the KMS.
    fn variables(&self) -> Vec<OsString> {
        self.0.kms.variables()
    }

    /// That of the file. What the KMS does with its key is not seen in it.
    async fn signature(&self) -> Option<SourceSignature> {
        self.0.origin.signature().await
    }
}

impl<D> fmt::Debug for EnvelopeLoader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("EnvelopeLoader", f)
    }
}
