//! [`LoaderChain`]: several loaders in an order that the application writes down.

use std::ffi::OsString;
use std::fmt;
use std::process::Command;

use keyward_core::KeySource;

use super::{AnyLoader, Attempt, KeyLoader, LoadError, LoadedKey};

/// Loaders that are tried in order until one has a key.
///
/// There is no default chain: an application writes down where its key may be. A chain goes on
/// only past a loader that has [nothing at all](LoadError::is_not_found). A file with the wrong
/// permissions, a variable with half a key or a source that cannot be reached stops it, so that a
/// broken source never silently gives way to an older key. Every attempt is told, in the error
/// and beside the key.
///
/// A chain is a loader, and can stand in a chain.
///
/// ```
/// use keyward::{EnvLoader, Environment, FileLoader, KeyLoader as _, LoaderChain};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// # let nothing_set = Environment::fixed([("A", "")]);
/// let env = EnvLoader::new("OPENAI_API_KEY").with_environment(nothing_set);
/// let file = FileLoader::mounted_secret("/run/secrets/no-such-secret");
/// let error = LoaderChain::first("env", env).then("file", file).load().await.unwrap_err();
///
/// assert!(error.is_not_found());
/// assert_eq!(
///     error.to_string(),
///     "no source has a key: `env` (env:OPENAI_API_KEY): not set; \
///      `file` (file:/run/secrets/no-such-secret): no such file; set one of them",
/// );
/// # });
/// ```
#[derive(Debug)]
pub struct LoaderChain {
    links: Vec<Link>,
}

struct Link {
    name: String,
    loader: Box<dyn AnyLoader>,
}

impl LoaderChain {
    /// A chain of one loader. The name is what attempts are told by.
    #[must_use]
    pub fn first(name: impl Into<String>, loader: impl KeyLoader + 'static) -> Self {
        Self { links: Vec::new() }.then(name, loader)
    }

    /// Adds a loader that is tried when those before it have nothing.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>, loader: impl KeyLoader + 'static) -> Self {
        self.links.push(Link { name: name.into(), loader: Box::new(loader) });
        self
    }

    /// Takes out of a child's environment every variable that a loader of the chain looks at.
    pub fn scrub_child_env(&self, child: &mut Command) {
        for variable in self.variables() {
            child.env_remove(variable);
        }
    }
}

impl KeyLoader for LoaderChain {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let mut attempts = Vec::new();
        for Link { name, loader } in &self.links {
            match loader.load_any().await {
                Ok(loaded) => {
                    attempts.extend(Attempt::of_key(name, &loaded));
                    // A variable that an earlier source made irrelevant is inherited all the same.
                    let mut loaded = loaded;
                    loaded.variables.extend(self.variables());
                    loaded.attempts = attempts;
                    return Ok(loaded);
                }
                Err(error) => {
                    attempts.extend(Attempt::of_error(name, &error));
                    if !error.is_not_found() {
                        return Err(error.with_attempts(attempts));
                    }
                }
            }
        }
        Err(LoadError::all_not_found(self.source(), attempts))
    }

    /// `chain:` and the names of its loaders.
    fn source(&self) -> KeySource {
        let names: Vec<_> = self.links.iter().map(|link| link.name.as_str()).collect();
        KeySource::new("chain", names.join(","))
    }

    fn variables(&self) -> Vec<OsString> {
        self.links.iter().flat_map(|link| link.loader.variables_any()).collect()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("source", &self.loader.source_any())
            .finish()
    }
}
