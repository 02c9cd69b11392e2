//! [`Scopes`]: what a key may do.

use std::borrow::Cow;
use std::fmt;

use crate::wire::Lenient;

/// What a key may do.
///
/// On the wire an empty list means *everything*. Here everything is said by its name, and a list
/// has at least one scope, so that dropping the last scope of a list cannot grant all.
///
/// ```
/// use keyward_admin::{Scope, Scopes};
///
/// let scopes = Scopes::only(Scope::RESPONSES_WRITE).and(Scope::MODEL_REQUEST);
/// assert_eq!(scopes.to_string(), "api.responses.write, api.model.request");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Scopes {
    /// Everything that the owner of the key may do.
    All,
    /// These, of which there is at least one.
    Only(ScopeList),
}

/// One scope or more. It comes from [`Scopes::only`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeList(Vec<Scope>);

/// One scope, such as `api.responses.write`.
///
/// OpenAI publishes no complete list, so any text can be a scope; the constants are those seen as
/// of 2026-11.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Scope(Cow<'static, str>);

impl Scopes {
    /// This scope alone; add others with [`and`](Self::and).
    pub fn only(scope: impl Into<Scope>) -> Self {
        Self::Only(ScopeList(vec![scope.into()]))
    }

    /// Reading everything and changing nothing.
    #[must_use]
    pub fn read_only() -> Self {
        Self::only(Scope::ALL_READ)
    }

    /// This scope too. All and one more is still all.
    #[must_use]
    pub fn and(self, scope: impl Into<Scope>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Only(ScopeList(mut scopes)) => {
                let scope = scope.into();
                if !scopes.contains(&scope) {
                    scopes.push(scope);
                }
                Self::Only(ScopeList(scopes))
            }
        }
    }

    /// The list as an update sends it, in which nothing stands for everything.
    pub(crate) fn on_the_wire(&self) -> Vec<&str> {
        match self {
            Self::All => Vec::new(),
            Self::Only(list) => list.iter().map(Scope::as_str).collect(),
        }
    }
}

impl ScopeList {
    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl Scope {
    /// Reading everything.
    pub const ALL_READ: Self = Self(Cow::Borrowed("api.all.read"));
    /// Reading files.
    pub const FILES_READ: Self = Self(Cow::Borrowed("api.files.read"));
    /// Requests to models.
    pub const MODEL_REQUEST: Self = Self(Cow::Borrowed("api.model.request"));
    /// Creating responses.
    pub const RESPONSES_WRITE: Self = Self(Cow::Borrowed("api.responses.write"));
    /// Reading usage.
    pub const USAGE_READ: Self = Self(Cow::Borrowed("api.usage.read"));

    /// The scope as the API writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Scope {
    fn from(scope: &str) -> Self {
        Self(Cow::Owned(scope.to_owned()))
    }
}

impl From<String> for Scope {
    fn from(scope: String) -> Self {
        Self(Cow::Owned(scope))
    }
}

impl Lenient for Scope {
    fn from_text(scope: &str) -> Option<Self> {
        Some(Self::from(scope))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(list) => {
                for (n, scope) in list.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{scope}")?;
                }
                Ok(())
            }
        }
    }
}
