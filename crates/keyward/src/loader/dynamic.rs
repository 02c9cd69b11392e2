//! [`DynKeyLoader`]: a loader of any type.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use keyward_core::KeySource;

use super::{AnyLoader, KeyLoader, LoadError, LoadedKey, SourceSignature};

/// A [`KeyLoader`] whose type is not known at compile time: of a configuration, or one of several.
///
/// A clone is the same loader.
///
/// ```
/// use keyward::{DynKeyLoader, EnvLoader, FileLoader};
///
/// let loaders = [
///     DynKeyLoader::new(EnvLoader::new("OPENAI_API_KEY")),
///     DynKeyLoader::new(FileLoader::mounted_secret("/run/secrets/openai")),
/// ];
/// # let _ = loaders;
/// ```
#[derive(Clone)]
pub struct DynKeyLoader(Arc<dyn AnyLoader>);

impl DynKeyLoader {
    /// A loader of any type.
    #[must_use]
    pub fn new(loader: impl KeyLoader + 'static) -> Self {
        Self(Arc::new(loader))
    }
}

impl KeyLoader for DynKeyLoader {
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
        self.0.load_any()
    }

    fn source(&self) -> KeySource {
        self.0.source_any()
    }

    fn variables(&self) -> Vec<OsString> {
        self.0.variables_any()
    }

    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        self.0.signature_any()
    }
}

impl fmt::Debug for DynKeyLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynKeyLoader").field(&self.source().to_string()).finish()
    }
}
