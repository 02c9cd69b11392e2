//! [`EnvLoader`]: a key in an environment variable, or in a file that a variable names.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

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
/// children are started. Where it must be a variable, and the system is Linux, see
/// [`wiping_environment`](Self::wiping_environment).
#[derive(Clone, Debug)]
pub struct EnvLoader {
    name: Place,
    file_name: Place,
    rule: FileRule,
    environment: Environment,
    /// Where the variable is wiped: the key that it held.
    taken: Option<Arc<Mutex<Option<ApiKey>>>>,
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
            taken: None,
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

    /// Wipes the variable's value in the process's environment block as soon as the key is loaded.
    ///
    /// From then on `/proc/PID/environ` does not show the key, and no child inherits it: to them,
    /// and to whoever else asks this process for the variable, it is empty. The loader and its
    /// clones keep the key, and yield it again at each load.
    ///
    /// A load fails with [`Insecure`](LoadErrorKind::Insecure) where the value cannot be wiped: the
    /// system is not Linux, `/proc` is not there or is not the process's own to write (see
    /// [`forbid_dumps`](crate::hardening::forbid_dumps)), or the variable was set within the
    /// process, as libraries that read `.env` files do.
    ///
    /// ```no_run
    /// use keyward::EnvLoader;
    ///
    /// let loader = EnvLoader::new("OPENAI_API_KEY").wiping_environment();
    /// # let _ = loader;
    /// ```
    ///
    /// # Security
    ///
    /// It is for the program's own start. What started it (a shell, a supervisor, a container's
    /// description) has the key too. Code of others that looks at the same variable in the moment
    /// of the wiping may see a part of it.
    #[must_use]
    pub fn wiping_environment(mut self) -> Self {
        self.taken = Some(Arc::default());
        self
    }

    /// Takes both variables out of a child's environment.
    pub fn scrub_child_env(&self, child: &mut Command) {
        child.env_remove(self.name.as_os_str());
        child.env_remove(self.file_name.as_os_str());
    }

    fn key(&self, text: Vec<u8>, taken: Option<&mut Option<ApiKey>>) -> Result<ApiKey, LoadError> {
        let key = ApiKey::parse(text).map_err(|error| LoadError::invalid(self.source(), error))?;
        let Some(taken) = taken else { return Ok(key) };
        self.environment.wipe(self.name.as_os_str()).map_err(|why| {
            LoadError::new(
                LoadErrorKind::Insecure,
                self.source(),
                format!("its value in the environment block cannot be wiped: {why}"),
                format!("set {} to the path of a file that holds it", self.file_name),
            )
        })?;
        Ok(taken.insert(key).clone())
    }

    /// The key of the variable, or that which stood in it before it was wiped; none if it holds
    /// none, or another variable names a file.
    fn own(&self, has_file: bool) -> Own {
        // Nobody reads it while it is wiped.
        let mut taken =
            self.taken.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        let value = self.environment.secret(self.name.as_os_str());
        let is_set = value.is_some();
        let key = match value.filter(|value| !value.is_empty()) {
            Some(_) if has_file => Some(Err(LoadError::new(
                LoadErrorKind::Conflict,
                self.source(),
                format!("both {} and {} are set", self.name, self.file_name),
                "unset one of them",
            ))),
            Some(mut value) => Some(self.key(std::mem::take(&mut *value), taken.as_deref_mut())),
            None if has_file => None,
            None => taken.as_deref().cloned().flatten().map(Ok),
        };
        Own { key, is_set }
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

/// What the variable itself holds.
struct Own {
    key: Option<Result<ApiKey, LoadError>>,
    is_set: bool,
}

impl KeyLoader for EnvLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let Self { file_name, .. } = self;
        let path = self.environment.path(file_name.as_os_str());
        let path = path.filter(|path| !path.as_os_str().is_empty());
        let own = self.own(path.is_some());
        let loaded = match (own.key, path) {
            (Some(key), _) => key.map(|key| LoadedKey::new(key, self.source())),
            (None, Some(path)) => self.load_file(Place::new(path)).await,
            (None, None) => Err(LoadError::new(
                LoadErrorKind::NotConfigured,
                self.source(),
                if own.is_set { "set but empty" } else { "not set" },
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
