//! [`KeySource`]: where a key came from, as it is told in errors, logs and policies.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

/// Where a key is kept: a scheme and a place, shown as `scheme:place`.
///
/// It travels with the key and with every error about it. It names the place only: a path, the
/// name of a variable, a service; never a value.
///
/// ```
/// use keyward_core::KeySource;
///
/// let source = KeySource::new("env", "OPENAI_API_KEY");
/// assert_eq!(source.to_string(), "env:OPENAI_API_KEY");
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeySource {
    scheme: Cow<'static, str>,
    place: String,
}

impl KeySource {
    /// A source with a scheme such as `env`, `file` or `keychain`, and the place in it.
    #[must_use]
    pub fn new(scheme: impl Into<Cow<'static, str>>, place: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), place: place.into() }
    }

    /// The scheme: `env`, `file`, …
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The place within the scheme: a variable's name, a path, …
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether a rule of a policy names this source: its scheme, or scheme and place.
    pub(crate) fn is_named_by(&self, rule: &str) -> bool {
        match rule.split_once(':') {
            None => rule == self.scheme,
            Some((scheme, place)) => scheme == self.scheme && place == self.place,
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.place)
    }
}
