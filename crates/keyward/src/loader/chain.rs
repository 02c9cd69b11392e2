//! [`LoaderChain`]: several loaders in an order that the application writes down.

use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyward_core::KeySource;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{AnyLoader, Attempt, KeyLoader, LoadError, LoadErrorKind, LoadedKey, SourceSignature};
use crate::live::race::all;

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
///
/// # Security
///
/// A chain that goes on past a source which fails can bring an old key back: whoever makes the
/// first source fail chooses the second. So it does that only for a source that is
/// [`optional`](Self::optional), and a [`LiveKey`](crate::LiveKey) over a chain keeps to the source
/// that its key came from unless
/// [told otherwise](crate::LiveKeyBuilder::allow_fall_back).
#[derive(Debug)]
pub struct LoaderChain {
    links: Vec<Link>,
    deadline: Option<Duration>,
    report_shadowed: bool,
}

struct Link {
    name: String,
    loader: Box<dyn AnyLoader>,
    optional: bool,
    limit: Option<Duration>,
    /// What it looked like when it last told in time.
    looked: Mutex<Option<SourceSignature>>,
}

impl LoaderChain {
    /// A chain of one loader. The name is what attempts are told by.
    #[must_use]
    pub fn first(name: impl Into<String>, loader: impl KeyLoader + 'static) -> Self {
        let links = Vec::with_capacity(1);
        Self { links, deadline: None, report_shadowed: false }.then(name, loader)
    }

    /// Adds a loader that is tried when those before it have nothing.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>, loader: impl KeyLoader + 'static) -> Self {
        self.links.push(Link {
            name: name.into(),
            loader: Box::new(loader),
            optional: false,
            limit: None,
            looked: Mutex::default(),
        });
        self
    }

    /// Goes on past the loader that was just added also when it fails, not only when it has
    /// nothing. The attempts tell that it failed.
    ///
    /// If no other has a key, the chain's error is of the kind of the failure, and not "not found".
    ///
    /// ```
    /// # use keyward::{EnvLoader, FileLoader, LoaderChain};
    /// let chain = LoaderChain::first("cache", FileLoader::new("/var/cache/openai.key"))
    ///     .optional()
    ///     .then("env", EnvLoader::new("OPENAI_API_KEY"));
    /// # let _ = chain;
    /// ```
    #[must_use]
    pub fn optional(mut self) -> Self {
        if let Some(link) = self.links.last_mut() {
            link.optional = true;
        }
        self
    }

    /// Gives the loader that was just added so much time. After that it has failed:
    /// [`LoadErrorKind::TimedOut`].
    ///
    /// Without a limit, a loader has the time that it gives itself. Limits need a tokio runtime
    /// with its timer on; without a runtime the load fails, and one whose timer is off panics, as
    /// all of tokio's timers do.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        if let Some(link) = self.links.last_mut() {
            link.limit = Some(limit);
        }
        self
    }

    /// Gives the whole chain so much time. The loader that it ends in has failed, also one that is
    /// [`optional`](Self::optional), and none is tried after it. See [`within`](Self::within).
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Tells of each source behind the one in use that has a key too: a stale one there would come
    /// back on the day that the first is missing. Such a key is loaded, told in the attempts
    /// ([`AttemptOutcome::Shadowed`](crate::AttemptOutcome::Shadowed)), and wiped at once.
    ///
    /// Every load then asks every source. One behind the key that fails, or takes longer than
    /// 2 seconds, is passed over in silence. In a runtime, that takes a timer: see
    /// [`within`](Self::within).
    #[must_use]
    pub fn report_shadowed(mut self) -> Self {
        self.report_shadowed = true;
        self
    }

    /// Takes out of a child's environment every variable that a loader of the chain
    /// [tells of](KeyLoader::variables).
    ///
    /// A loader of keyward tells of each that holds a key, holds what opens or fetches one, or says
    /// where that is. What the SDK of a cloud reads by itself (`AWS_SECRET_ACCESS_KEY`,
    /// `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_FEDERATED_TOKEN_FILE`) nobody tells of: take that out
    /// by name, or start the child with an empty environment.
    pub fn scrub_child_env(&self, child: &mut Command) {
        for variable in self.variables() {
            child.env_remove(variable);
        }
    }

    /// The attempts at the sources behind the one that had the key.
    async fn shadowed(&self, used: &LoadedKey, after: usize, ends: &Limit) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for (at, link) in self.links.iter().enumerate().skip(after + 1) {
            let probe = link.limit.map_or(PROBE_LIMIT, |limit| limit.min(PROBE_LIMIT));
            // Without a runtime there is nothing that could wait, and no timer.
            let probe = Handle::try_current().is_ok().then_some(probe);
            if let Ok(loaded) = load(link, Limit::of(probe).sooner(ends)).await {
                attempts.push(Attempt::shadowed(at, &link.name, &loaded, used));
            }
        }
        attempts
    }
}

impl KeyLoader for LoaderChain {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let ends = Limit::of(self.deadline);
        let mut attempts = Vec::new();
        let mut tolerated = None;
        for (at, link) in self.links.iter().enumerate() {
            match load(link, Limit::of(link.limit).sooner(&ends)).await {
                Ok(mut loaded) => {
                    attempts.extend(Attempt::of_key(at, &link.name, &loaded));
                    if self.report_shadowed {
                        attempts.extend(self.shadowed(&loaded, at, &ends).await);
                    }
                    // A variable that an earlier source made irrelevant is inherited all the same.
                    loaded.variables.extend(self.variables());
                    loaded.attempts = attempts;
                    return Ok(loaded);
                }
                Err(error) => {
                    let tried = Attempt::of_error(at, &link.name, &error);
                    let goes_on = error.is_not_found();
                    if !goes_on && (!link.optional || ends.is_over()) {
                        attempts.extend(tried);
                        return Err(error.with_attempts(attempts));
                    }
                    attempts.extend(tried.into_iter().map(Attempt::tolerated));
                    if !goes_on {
                        tolerated.get_or_insert(error);
                    }
                }
            }
        }
        Err(match tolerated {
            None => LoadError::all_not_found(self.source(), attempts),
            Some(error) => error.of_tolerated(self.source(), attempts),
        })
    }

    /// `chain:` and the names of its loaders.
    fn source(&self) -> KeySource {
        let names: Vec<_> = self.links.iter().map(|link| link.name.as_str()).collect();
        KeySource::new("chain", names.join(","))
    }

    fn variables(&self) -> Vec<OsString> {
        self.links.iter().flat_map(|link| link.loader.variables_any()).collect()
    }

    /// What all of its sources look like that can tell. They are asked at once, and one that takes
    /// longer than a second, or than its limit, looks as it did before: a load may not need it.
    ///
    /// In a runtime, that takes a timer: see [`within`](Self::within).
    async fn signature(&self) -> Option<SourceSignature> {
        let known = all(self.links.iter().map(|link| link.look(self.deadline))).await;
        known.iter().any(Option::is_some).then(|| SourceSignature::of(known))
    }
}

impl Link {
    async fn look(&self, deadline: Option<Duration>) -> Option<SourceSignature> {
        let look = self.loader.signature_any();
        // Without a runtime there is nothing that could wait, and no timer.
        if Handle::try_current().is_err() {
            return look.await;
        }
        let limits = [Some(LOOK_LIMIT), self.limit, deadline];
        let limit = limits.into_iter().flatten().min().unwrap_or(LOOK_LIMIT);
        let told = tokio::time::timeout(limit, look).await;
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = told {
            *looked = now;
        }
        *looked
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("source", &self.loader.source_any())
            .field("optional", &self.optional)
            .field("limit", &self.limit)
            .finish()
    }
}

/// How long a source is asked that is not needed.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// How long a source is looked at. A local one takes microseconds.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// How long a load may take, and when that is over.
#[derive(Clone, Copy)]
struct Limit(Option<(Duration, Instant)>);

impl Limit {
    /// From now on. What is too far away to be told is no limit.
    fn of(limit: Option<Duration>) -> Self {
        Self(limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?))))
    }

    fn sooner(self, other: &Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(if a.1 <= b.1 { a } else { b })),
            (a, b) => Self(a.or(b)),
        }
    }

    fn is_over(&self) -> bool {
        self.0.is_some_and(|(_, end)| end <= Instant::now())
    }
}

async fn load(link: &Link, limit: Limit) -> Result<LoadedKey, LoadError> {
    let Some((limit, end)) = limit.0 else {
        return link.loader.load_any().await;
    };
    if Handle::try_current().is_err() {
        return Err(LoadError::new(
            LoadErrorKind::Unreadable,
            link.loader.source_any(),
            "its time is limited, and there is no tokio runtime to tell it",
            "load within a tokio runtime, or set no limit",
        ));
    }
    tokio::time::timeout_at(end, link.loader.load_any())
        .await
        .unwrap_or_else(|_| Err(LoadError::timed_out(link.loader.source_any(), limit)))
}
