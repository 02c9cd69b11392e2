//! [`DirectLoader`]: loads a key that a KMS key has sealed without an envelope.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use keyward::{KeyLoader, KeySource, LoadError, LoadedKey, SourceSignature};

use super::opener::Opener;
use super::{Decrypt, SealContext};
use crate::Error;

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
pub struct DirectLoader<D>(Opener<D>);

impl<D: Decrypt> DirectLoader<D> {
    /// A sealed key in a file, which is read at each load.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>, kms: D, context: SealContext) -> Self {
        Self(Opener::of_file(path.into(), kms, context))
    }

    /// A sealed key as bytes or base64.
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

impl<D: Decrypt> KeyLoader for DirectLoader<D> {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let Opener { origin, kms, context, .. } = &self.0;
        let opened = async {
            context.check()?;
            let sealed = origin.read().await?;
            let decoded = decoded(&sealed);
            let sealed = decoded.as_deref().unwrap_or(&sealed);
            let opened = kms.decrypt(sealed, context).await;
            Ok(opened.map_err(Error::of_opening)?.into_bytes())
        };
        let loaded = self.0.load(self.source(), opened).await?;
        Ok(loaded.variables(self.variables()))
    }

    /// The KMS and the path: `aws-kms:PATH`.
    fn source(&self) -> KeySource {
        KeySource::new(self.0.kms.scheme(), self.0.origin.place())
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

impl<D> fmt::Debug for DirectLoader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("DirectLoader", f)
    }
}

/// What base64 says, where it is that and nothing else. No KMS's own bytes are.
fn decoded(sealed: &[u8]) -> Option<Vec<u8>> {
    Base64::decode_vec(str::from_utf8(sealed.trim_ascii()).ok()?).ok()
}
