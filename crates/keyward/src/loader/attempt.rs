//! [`Attempt`]: what a chain tried, and what came of it.

use std::borrow::Cow;
use std::fmt;

use keyward_core::KeySource;

use super::{LoadError, LoadErrorKind, LoadedKey};

/// One loader that a chain tried.
///
/// `Display` is one line: the name, the source, and what came of it. No attempt holds anything of
/// what was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    name: String,
    source: KeySource,
    outcome: AttemptOutcome,
    detail: Cow<'static, str>,
}

impl Attempt {
    /// The name that the chain gives the loader; for a chain within the chain, both names with a
    /// `/` between.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it looked.
    #[must_use]
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(&self) -> AttemptOutcome {
        self.outcome
    }

    /// A load that failed; all of its attempts, if it was a chain.
    pub(super) fn of_error(name: &str, error: &LoadError) -> Vec<Self> {
        if !error.attempts().is_empty() {
            return Self::within(name, error.attempts());
        }
        vec![Self {
            name: name.to_owned(),
            source: error.key_source().clone(),
            outcome: match error.kind() {
                LoadErrorKind::NotConfigured => AttemptOutcome::NotConfigured,
                LoadErrorKind::AllNotFound | LoadErrorKind::NotFound => AttemptOutcome::NotFound,
                kind => AttemptOutcome::Failed(kind),
            },
            detail: error.what().clone(),
        }]
    }

    /// A load that succeeded; all of its attempts, if it was a chain.
    pub(super) fn of_key(name: &str, loaded: &LoadedKey) -> Vec<Self> {
        if !loaded.attempts().is_empty() {
            return Self::within(name, loaded.attempts());
        }
        vec![Self {
            name: name.to_owned(),
            source: loaded.source.clone(),
            outcome: AttemptOutcome::Loaded,
            detail: "loaded".into(),
        }]
    }

    fn within(outer: &str, attempts: &[Self]) -> Vec<Self> {
        attempts
            .iter()
            .map(|attempt| Self { name: format!("{outer}/{}", attempt.name), ..attempt.clone() })
            .collect()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}", self.name, self.source, self.detail)
    }
}

/// What came of an [`Attempt`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It failed, and the chain stopped there.
    Failed(LoadErrorKind),
    /// It had the key.
    Loaded,
    /// Nothing says where the key would be.
    NotConfigured,
    /// There is nothing where it looked.
    NotFound,
}
