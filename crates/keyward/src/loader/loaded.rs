//! [`LoadedKey`]: a key with what its loader knows of it.

use std::ffi::OsString;
use std::process::Command;

use keyward_core::{AdmitContext, Admitted, ApiKey, KeyPolicy, KeySource, Refusal, Timestamp};

use super::Attempt;

/// A key as a loader yields it: with where it came from, and what is known of it there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedKey {
    /// The key. No policy has admitted it yet.
    pub key: ApiKey,
    /// Where it was kept.
    pub source: KeySource,
    /// Its version there, if the source counts versions.
    pub version: Option<String>,
    /// When it expires, if the source knows.
    pub expires_at: Option<Timestamp>,
    /// When the source would have it loaded anew, if it says. A [`LiveKey`](crate::LiveKey) goes by
    /// that.
    pub refresh_at: Option<Timestamp>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) variables: Vec<OsString>,
}

impl LoadedKey {
    /// A key and where it was kept.
    #[must_use]
    pub fn new(key: ApiKey, source: KeySource) -> Self {
        Self {
            key,
            source,
            version: None,
            expires_at: None,
            refresh_at: None,
            attempts: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Sets the version that the key has at its source.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets when the key expires.
    #[must_use]
    pub fn expires_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.expires_at = at.into();
        self
    }

    /// Sets when the key is to be loaded anew, for a source whose keys differ with each load, such
    /// as an issuer of tokens.
    #[must_use]
    pub fn refresh_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.refresh_at = at.into();
        self
    }

    /// Sets the environment variables that hold the key or lead to it.
    #[must_use]
    pub fn variables<N: Into<OsString>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.variables = names.into_iter().map(Into::into).collect();
        self
    }

    /// What a chain tried, in its order, up to the loader that had the key; empty when the key
    /// comes from no chain.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Asks a policy whether the key may be used, telling it the source and the expiry.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]: which rule refuses the key, why, and how to mend it.
    pub fn admit(&self, policy: &KeyPolicy, now: Timestamp) -> Result<Admitted, Refusal> {
        let context = AdmitContext::at(now).source(&self.source).expires_at(self.expires_at);
        policy.admit(&self.key, &context)
    }

    /// Takes out of a child's environment every variable that this key could be found by: those
    /// that its loader, or any loader of its chain, looks at.
    ///
    /// ```no_run
    /// # fn example(loaded: &keyward::LoadedKey) -> std::io::Result<()> {
    /// let mut child = std::process::Command::new("convert");
    /// loaded.scrub_child_env(&mut child);
    /// child.spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn scrub_child_env(&self, child: &mut Command) {
        for variable in &self.variables {
            child.env_remove(variable);
        }
    }
}
