//! [`EnvLoader`]: a key in an environment variable, or in a file that a variable names.

use std::ffi::OsString;
use std::process::Command;

use keyward_core::{ApiKey, KeySource};

use super::file::{self, FileRule};
use super::place::Place;
use super::{KeyLoader, LoadError, LoadErrorKind, LoadedKey, SourceSignature, Threads};
use crate::Environment;

/// Loads a key from an environment variable, or from the file that the variable with `_FILE`
/// behind its name gives the path of.
///
/// | `NAME` | `NAME_FILE` | |
/// |---|---|---|
/// | not set or empty | not set or empty | [`NotConfigured`](LoadErrorKind::NotConfigured) |
/// | set | not set or empty | the value is the key |
/// | not set or empty | set | the file holds the key; it must exist |
/// | set | set | [`Conflict`](LoadErrorKind::Conflict): nobody knows which was meant |
///
/// The path must be absolute, and the file is held to [`FileRule::Strict`] unless
/// [`with_file_rule`](Self::with_file_rule) says otherwise. A key from a file has that file as its
/// source.
///
/// ```
/// use keyward::{EnvLoader, FileRule};
///
/// let loader = EnvLoader::new("OPENAI_API_KEY").with_file_rule(FileRule::MountedSecret);
/// # let _ = loader;
/// ```
///
/// # Security
///
/// The process's environment block keeps a value for as long as the process lives, and every
/// child inherits it: see [`Environment`]. Prefer `NAME_FILE`, or a
/// [`FileLoader`](crate::FileLoader), and [`scrub_child_env`](Self::scrub_child_env) where
/// children are started.
#[derive(Clone, Debug)]
pub struct EnvLoader {
    name: Place,
    file_name: Place,
    rule: FileRule,
    environment: Environment,
    threads: Threads,
}

impl EnvLoader {
    /// A loader that looks at the variable `name`, and at `name` with `_FILE` behind it.
    #[must_use]
    pub fn new(name: impl Into<OsString>) -> Self {
        let name = name.into();
        let mut file_name = name.clone();
        file_name.push("_FILE");
        Self {
            name: Place::new(name),
            file_name: Place::new(file_name),
            rule: FileRule::Strict,
            environment: Environment::process(),
            threads: Threads::default(),
        }
    }

    /// Looks at these variables instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Holds the file that `NAME_FILE` names to this rule.
    #[must_use]
    pub fn with_file_rule(mut self, rule: FileRule) -> Self {
        self.rule = rule;
        self
    }

    /// Takes both variables out of a child's environment.
    pub fn scrub_child_env(&self, child: &mut Command) {
        child.env_remove(self.name.as_os_str());
        child.env_remove(self.file_name.as_os_str());
    }

    async fn load_file(&self, path: Place) -> Result<LoadedKey, LoadError> {
        let file_name = &self.file_name;
        if !path.as_path().is_absolute() {
            // The value is not shown: it may be the key itself.
            return Err(LoadError::new(
                LoadErrorKind::Invalid,
                file_name.source("env"),
                "not an absolute path",
                format!("set it to the whole path of a file; a key belongs in {}", self.name),
            ));
        }
        let error = match file::load(path, self.rule, &self.threads).await {
            Err(error) if error.kind() == LoadErrorKind::NotFound => error,
            loaded => return loaded,
        };
        // Somebody said that the key is there, so a chain must not go on to another.
        Err(LoadError::new(
            LoadErrorKind::Unreadable,
            error.key_source().clone(),
            format!("no such file, though {file_name} names it"),
            format!("create it, or unset {file_name}"),
        ))
    }
}

impl KeyLoader for EnvLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let Self { name, file_name, .. } = self;
        let value = self.environment.secret(name.as_os_str());
        let path = self.environment.path(file_name.as_os_str());
        let is_set = value.is_some();
        let value = value.filter(|value| !value.is_empty());
        let path = path.filter(|path| !path.as_os_str().is_empty());
        let loaded = match (value, path) {
            (Some(_), Some(_)) => Err(LoadError::new(
                LoadErrorKind::Conflict,
                self.source(),
                format!("both {name} and {file_name} are set"),
                "unset one of them",
            )),
            (Some(mut value), None) => ApiKey::parse(std::mem::take(&mut *value))
                .map(|key| LoadedKey::new(key, self.source()))
                .map_err(|error| LoadError::invalid(self.source(), error)),
            (None, Some(path)) => self.load_file(Place::new(path)).await,
            (None, None) => Err(LoadError::new(
                LoadErrorKind::NotConfigured,
                self.source(),
                if is_set { "set but empty" } else { "not set" },
                format!("set it to the key, or {file_name} to the path of a file that holds it"),
            )),
        }?;
        Ok(loaded.variables(self.variables()))
    }

    /// `env:NAME`.
    fn source(&self) -> KeySource {
        self.name.source("env")
    }

    /// That of the file that `NAME_FILE` names. A variable that changes within the process is
    /// noticed at the next load.
    async fn signature(&self) -> Option<SourceSignature> {
        let path = self.environment.path(self.file_name.as_os_str())?;
        file::signature(Place::new(path), &self.threads).await
    }

    fn variables(&self) -> Vec<OsString> {
        vec![self.name.as_os_str().to_owned(), self.file_name.as_os_str().to_owned()]
    }
}
