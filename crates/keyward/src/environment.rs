//! [`Environment`]: the variables that a loader looks at, given from outside.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The environment variables that a loader looks at.
///
/// It is the process's own unless a test gives others, so that no test needs to edit the
/// process. Nothing is read until a loader loads. `Debug` shows names at the most, never a value.
///
/// ```
/// use keyward::{EnvLoader, Environment};
///
/// let nothing_set = Environment::fixed([("OPENAI_API_KEY", "")]);
/// let loader = EnvLoader::new("OPENAI_API_KEY").with_environment(nothing_set);
/// # let _ = loader;
/// ```
///
/// # Security
///
/// A key in the environment is the easiest to lose: the process's environment block keeps it for
/// as long as the process lives, also after `remove_var`; whoever may read `/proc/PID/environ`
/// reads it; crash reporters send it; and every child inherits it, unless it is
/// [taken out](crate::LoadedKey::scrub_child_env). On Linux
/// [`EnvLoader::wiping_environment`](crate::EnvLoader::wiping_environment) ends all of that once
/// the key is loaded. Prefer a file ([`FileLoader`](crate::FileLoader)), which is read once and lies
/// under permissions.
#[derive(Clone, Debug, Default)]
pub struct Environment(Variables);

impl Environment {
    /// The environment of this process, as it is when a loader loads.
    #[must_use]
    pub fn process() -> Self {
        Self(Variables::Process)
    }

    /// These variables and no others. The last of one name counts.
    #[must_use]
    pub fn fixed<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        Self(Variables::Fixed(
            variables.into_iter().map(|(name, value)| (name.into(), Value(value.into()))).collect(),
        ))
    }

    /// A variable's value as the bytes of a secret, in the one allocation that the system's answer
    /// was put in.
    pub(crate) fn secret(&self, name: &OsStr) -> Option<Zeroizing<Vec<u8>>> {
        self.get(name).map(|value| Zeroizing::new(value.into_encoded_bytes()))
    }

    pub(crate) fn path(&self, name: &OsStr) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// Wipes a variable's value where the process got it; what is injected is not the process's.
    pub(crate) fn wipe(&self, name: &OsStr) -> Result<(), Unwiped> {
        if let Variables::Fixed(_) = self.0 {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        crate::hardening::environment_block::wipe(name)
            .map_err(|error| Unwiped::Io(error.kind()))?;
        #[cfg(not(target_os = "linux"))]
        return Err(Unwiped::Io(std::io::ErrorKind::Unsupported));
        #[cfg(target_os = "linux")]
        match self.secret(name) {
            Some(value) if !value.is_empty() => Err(Unwiped::Elsewhere),
            _ => Ok(()),
        }
    }

    fn get(&self, name: &OsStr) -> Option<OsString> {
        match &self.0 {
            // EXPOSE: the door for keys that stand in the environment. `var` is not used, because
            // its error prints a value that is not UTF-8.
            #[allow(clippy::disallowed_methods, reason = "the one read of the process")]
            Variables::Process => std::env::var_os(name),
            Variables::Fixed(variables) => {
                variables.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.0.clone())
            }
        }
    }
}

/// Why a variable's value is still there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unwiped {
    /// It was set within the process, and stands in memory of the C library's.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is looked for"))]
    Elsewhere,
    Io(std::io::ErrorKind),
}

impl fmt::Display for Unwiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere => f.write_str("it was set within the process"),
            Self::Io(kind) => fmt::Display::fmt(kind, f),
        }
    }
}

#[derive(Clone, Debug, Default)]
enum Variables {
    Fixed(Arc<[(OsString, Value)]>),
    #[default]
    Process,
}

/// A variable's value: wiped on drop, never printed.
struct Value(OsString);

impl Drop for Value {
    fn drop(&mut self) {
        drop(Zeroizing::new(std::mem::take(&mut self.0).into_encoded_bytes()));
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}
