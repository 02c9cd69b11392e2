//! [`KeyLoader`]: how a key gets from where it is kept into the process; one file for each kind of
//! place.

use std::ffi::OsString;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use keyward_core::KeySource;

pub use self::attempt::{Attempt, AttemptOutcome};
#[cfg(feature = "store")]
pub(crate) use self::bounded::read_bounded;
pub use self::chain::LoaderChain;
pub use self::command::CommandLoader;
pub use self::dynamic::DynKeyLoader;
pub use self::env::EnvLoader;
pub use self::error::{LoadError, LoadErrorKind};
#[cfg(feature = "store")]
pub(crate) use self::file::signature as file_signature;
pub use self::file::{FileLoader, FileRule};
#[cfg(feature = "keychain")]
pub use self::keychain::{Keychain, KeychainLoader};
pub use self::loaded::LoadedKey;
pub(crate) use self::place::Place as ShownPath;
#[cfg(feature = "prompt")]
pub use self::prompt::PromptLoader;
pub use self::signature::SourceSignature;
pub(crate) use self::threads::Threads;
#[cfg(feature = "store")]
pub(crate) use self::threads::blocking;
#[cfg(feature = "workload-identity")]
pub use self::workload_identity::WorkloadIdentity;

mod attempt;
mod bounded;
mod chain;
mod command;
pub(crate) mod detached;
mod dynamic;
mod env;
mod error;
mod file;
#[cfg(feature = "keychain")]
pub(crate) mod keychain;
mod loaded;
mod place;
#[cfg(feature = "prompt")]
mod prompt;
mod signature;
mod threads;
#[cfg(feature = "workload-identity")]
pub(crate) mod workload_identity;

/// Loads a key from where it is kept. Other libraries call this a credential provider.
///
/// A loader is a description: making one reads nothing, and each [`load`](Self::load) reads anew.
/// A load does not block the thread that polls it, and dropping its future is safe at any point.
///
/// # Implementing
///
/// Take the text of the key by value into [`ApiKey::parse`](keyward_core::ApiKey::parse), and
/// answer [`LoadErrorKind::NotConfigured`] or [`LoadErrorKind::NotFound`] only when there is
/// nothing at all: after any other error a chain stops, so that a source that is broken is not
/// mistaken for one that is absent.
///
/// ```
/// use keyward::{ApiKey, KeyLoader, KeySource, LoadError, LoadErrorKind, LoadedKey};
///
/// struct Vault;
///
/// impl KeyLoader for Vault {
///     async fn load(&self) -> Result<LoadedKey, LoadError> {
///         let Some(text) = ask_the_vault().await else {
///             let (kind, fix) = (LoadErrorKind::NotFound, "write the key to `openai/prod`");
///             return Err(LoadError::new(kind, self.source(), "no such secret", fix));
///         };
///         let key = ApiKey::parse(text).map_err(|e| LoadError::invalid(self.source(), e))?;
///         Ok(LoadedKey::new(key, self.source()))
///     }
///
///     fn source(&self) -> KeySource {
///         KeySource::new("vault", "openai/prod")
///     }
/// }
/// # async fn ask_the_vault() -> Option<String> { None }
/// ```
pub trait KeyLoader: Send + Sync {
    /// Loads the key.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] with what happened, where, and the fix; never with what was read.
    fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send;

    /// Where it looks, for errors and logs. Where the key was in the end is told by
    /// [`LoadedKey::source`].
    fn source(&self) -> KeySource;

    /// The environment variables that hold the key or lead to it, which a child should not
    /// inherit. None unless the loader says so.
    fn variables(&self) -> Vec<OsString> {
        Vec::new()
    }

    /// What the source looks like from outside, told cheaply and without reading the key: equal as
    /// long as nothing has changed there. A [`LiveKey`](crate::LiveKey) asks several times a second
    /// and loads when it differs. `None`, as here, if the source cannot tell.
    fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
        std::future::ready(None)
    }
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        impl<L: KeyLoader> KeyLoader for $pointer<L> {
            fn load(&self) -> impl Future<Output = Result<LoadedKey, LoadError>> + Send {
                L::load(self)
            }

            fn source(&self) -> KeySource {
                L::source(self)
            }

            fn variables(&self) -> Vec<OsString> {
                L::variables(self)
            }

            fn signature(&self) -> impl Future<Output = Option<SourceSignature>> + Send {
                L::signature(self)
            }
        }
    )*};
}

forward! { Arc Box }

/// A [`KeyLoader`] of any type, so that loaders of several can stand in one list.
pub(crate) trait AnyLoader: Send + Sync {
    fn load_any(&self) -> Pin<Box<dyn Future<Output = Result<LoadedKey, LoadError>> + Send + '_>>;
    fn source_any(&self) -> KeySource;
    fn variables_any(&self) -> Vec<OsString>;
    fn signature_any(&self) -> Pin<Box<dyn Future<Output = Option<SourceSignature>> + Send + '_>>;
}

impl<L: KeyLoader> AnyLoader for L {
    fn load_any(&self) -> Pin<Box<dyn Future<Output = Result<LoadedKey, LoadError>> + Send + '_>> {
        Box::pin(self.load())
    }

    fn source_any(&self) -> KeySource {
        self.source()
    }

    fn variables_any(&self) -> Vec<OsString> {
        self.variables()
    }

    fn signature_any(&self) -> Pin<Box<dyn Future<Output = Option<SourceSignature>> + Send + '_>> {
        Box::pin(self.signature())
    }
}
