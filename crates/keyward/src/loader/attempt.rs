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
    /// Where the loader stands: its place in its chain, that chain's in the next, from the outside.
    position: Vec<usize>,
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

    /// Where the loader stands in the chain. An earlier loader's position is smaller.
    pub(crate) fn position(&self) -> &[usize] {
        &self.position
    }

    /// A load that failed; all of its attempts, if it was a chain.
    pub(super) fn of_error(at: usize, name: &str, error: &LoadError) -> Vec<Self> {
        if !error.attempts().is_empty() {
            return Self::within(at, name, error.attempts());
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
            position: vec![at],
        }]
    }

    /// A load that succeeded; all of its attempts, if it was a chain.
    pub(super) fn of_key(at: usize, name: &str, loaded: &LoadedKey) -> Vec<Self> {
        if !loaded.attempts().is_empty() {
            return Self::within(at, name, loaded.attempts());
        }
        vec![Self {
            name: name.to_owned(),
            source: loaded.source.clone(),
            outcome: AttemptOutcome::Loaded,
            detail: "loaded".into(),
            position: vec![at],
        }]
    }

    /// A load of a source behind the one whose key is used.
    pub(super) fn shadowed(at: usize, name: &str, loaded: &LoadedKey, used: &LoadedKey) -> Self {
        Self {
            name: name.to_owned(),
            source: loaded.source.clone(),
            outcome: AttemptOutcome::Shadowed,
            detail: if loaded.key.fingerprint() == used.key.fingerprint() {
                "has the same key".into()
            } else {
                "has another key, which is not used".into()
            },
            position: vec![at],
        }
    }

    /// This attempt as one that the chain went on past, though it failed.
    pub(super) fn tolerated(mut self) -> Self {
        if let AttemptOutcome::Failed(kind) = self.outcome {
            self.outcome = AttemptOutcome::Tolerated(kind);
            self.detail = format!("{}, which is tolerated", self.detail).into();
        }
        self
    }

    fn within(at: usize, outer: &str, attempts: &[Self]) -> Vec<Self> {
        attempts
            .iter()
            .map(|attempt| Self {
                name: format!("{outer}/{}", attempt.name),
                position: [&[at], &attempt.position[..]].concat(),
                ..attempt.clone()
            })
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
    /// It has a key too, and an earlier source's is used:
    /// [`report_shadowed`](crate::LoaderChain::report_shadowed).
    Shadowed,
    /// It failed, and the chain went on, because the application said so:
    /// [`optional`](crate::LoaderChain::optional).
    Tolerated(LoadErrorKind),
}
