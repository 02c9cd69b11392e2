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
/// as long as the process lives, where no wiping reaches; whoever may read `/proc/PID/environ`
/// reads it; crash reporters send it; and every child inherits it, unless it is
/// [taken out](crate::LoadedKey::scrub_child_env). Prefer a file
/// ([`FileLoader`](crate::FileLoader)), which is read once and lies under permissions.
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
