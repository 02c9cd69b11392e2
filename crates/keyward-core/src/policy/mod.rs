//! [`KeyPolicy`]: which keys may be used, where, and for how long.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

pub use self::host::Endpoint;
pub use self::refusal::Refusal;
use crate::{AdminKey, ApiKey, KeyKind, KeySource, ProjectKey, Timestamp};

pub mod danger;
#[cfg(feature = "serde")]
mod file;
mod host;
mod refusal;

/// What may be used where: the kinds of key, the hosts they may be sent to, the places they may
/// come from, and how long they may live.
///
/// | preset | admits |
/// |---|---|
/// | [`standard`](Self::standard) (the default) | project keys, service-account keys, access tokens |
/// | [`production`](Self::production) | service-account keys and access tokens: machines are not people |
/// | [`admin`](Self::admin) | admin keys, for the Admin API client |
///
/// Every preset sends keys to `api.openai.com` and its regional names alone. No preset admits a
/// legacy user key; see [`danger`].
///
/// With the feature `serde` a policy is read from TOML or JSON, so that a security team can own
/// one file:
///
/// ```toml
/// preset = "production"
/// sources = ["env", "file"]
/// min_remaining_life = "1h"
/// ```
///
/// `expiry_required = true` and `max_lifetime = "90d"` refuse keys whose expiry is not known. An
/// environment variable and a file do not tell it; whoever minted the key knows, and can say it
/// (`LoadedKey::expires_at` in the crate `keyward`).
///
/// # Example
///
/// ```
/// use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Refusal, Timestamp};
///
/// # let text = keyward_testkit::keys::legacy_user_key(
/// #     &mut keyward_testkit::keys::KeyRng::seeded(1));
/// let legacy = ApiKey::parse(text)?;
/// let now = Timestamp::from_unix_seconds(1_790_000_000);
///
/// let refusal = KeyPolicy::standard().admit(&legacy, &AdmitContext::at(now)).unwrap_err();
/// assert!(matches!(refusal, Refusal::Kind { .. }));
/// assert!(refusal.fix().contains("service account"));
/// # Ok::<(), keyward_core::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPolicy {
    name: String,
    kinds: Vec<KeyKind>,
    hosts: Vec<String>,
    sources: Option<Vec<String>>,
    expiry_required: bool,
    max_lifetime: Option<Duration>,
    min_remaining_life: Option<Duration>,
    legacy: Option<danger::AllowLegacyUserKey>,
}

/// Where OpenAI's API answers: the global host and the regional ones (`eu.api.openai.com`).
///
/// Source: OpenAI's data residency documentation, as of 2026-11.
const OPENAI_HOSTS: [&str; 2] = ["api.openai.com", "*.api.openai.com"];

impl KeyPolicy {
    /// Admits project keys, service-account keys and access tokens.
    #[must_use]
    pub fn standard() -> Self {
        Self::preset("standard", &[KeyKind::AccessToken, KeyKind::Project, KeyKind::ServiceAccount])
    }

    /// Admits service-account keys and access tokens: a production service is not a person.
    #[must_use]
    pub fn production() -> Self {
        Self::preset("production", &[KeyKind::AccessToken, KeyKind::ServiceAccount])
    }

    /// Admits admin keys alone, for the Admin API client.
    #[must_use]
    pub fn admin() -> Self {
        Self::preset("admin", &[KeyKind::Admin])
    }

    fn preset(name: &str, kinds: &[KeyKind]) -> Self {
        Self {
            name: name.to_owned(),
            kinds: kinds.to_vec(),
            hosts: OPENAI_HOSTS.map(String::from).to_vec(),
            sources: None,
            expiry_required: false,
            max_lifetime: None,
            min_remaining_life: None,
            legacy: None,
        }
    }

    /// Gives the policy a name, which its refusals tell.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Admits these kinds instead of the preset's.
    ///
    /// Think twice about [`KeyKind::Unknown`], which no preset admits: user keys of before 2023
    /// have no mark of any kind, and neither have the keys of many gateways.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] for a kind that no policy can admit: legacy user keys (see [`danger`]),
    /// session tokens, other vendors' keys; and for no kind at all.
    pub fn with_kinds(
        mut self,
        kinds: impl IntoIterator<Item = KeyKind>,
    ) -> Result<Self, PolicyError> {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        if let Some(kind) = kinds.iter().find(|kind| never_admitted(**kind)) {
            return Err(PolicyError::KindNeverAdmitted(*kind));
        }
        if kinds.is_empty() {
            return Err(PolicyError::NoKind);
        }
        kinds.sort_unstable();
        kinds.dedup();
        self.kinds = kinds;
        Ok(self)
    }

    /// Lets keys be sent to these hosts instead of OpenAI's: names, or `*.` and a name for
    /// everything below it.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Host`] for what is not a host: a URL, a port, a lone `*`; and
    /// [`PolicyError::NoHost`] for none at all.
    pub fn with_hosts<H: Into<String>>(
        mut self,
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, PolicyError> {
        self.hosts = Vec::new();
        let policy = hosts.into_iter().try_fold(self, Self::with_host)?;
        if policy.hosts.is_empty() {
            return Err(PolicyError::NoHost);
        }
        Ok(policy)
    }

    /// Lets keys be sent to one more host. See [`with_hosts`](Self::with_hosts).
    ///
    /// # Errors
    ///
    /// [`PolicyError::Host`] for what is not a host.
    pub fn with_host(mut self, host: impl Into<String>) -> Result<Self, PolicyError> {
        let mut host = host.into();
        host.make_ascii_lowercase();
        if !host::is_pattern(&host) {
            return Err(PolicyError::Host);
        }
        self.hosts.push(host);
        Ok(self)
    }

    /// Admits keys from these sources alone: a scheme (`file`) or a scheme and a place
    /// (`env:OPENAI_API_KEY`). Without this rule any source will do.
    ///
    /// The schemes of keyward's own loaders are `env` and `file` (also of mounts and systemd
    /// credentials); a loader of your own has the scheme that you give it.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Source`] for no source at all, and for one without a scheme or with an empty
    /// place.
    pub fn with_sources<S: Into<String>>(
        mut self,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Self, PolicyError> {
        let sources: Vec<String> = sources.into_iter().map(Into::into).collect();
        let is_rule = |rule: &String| {
            let (scheme, place) = rule.split_once(':').unwrap_or((rule, "any"));
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !scheme.is_empty() && scheme.bytes().all(is_word) && !place.is_empty()
        };
        if sources.is_empty() || !sources.iter().all(is_rule) {
            return Err(PolicyError::Source);
        }
        self.sources = Some(sources);
        Ok(self)
    }

    /// Refuses keys whose expiry is not known.
    #[must_use]
    pub fn require_expiry(mut self) -> Self {
        self.expiry_required = true;
        self
    }

    /// Refuses keys that, from the moment of the look on, live for longer than this; it requires an
    /// expiry too.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Refuses keys that live on for less than this. A key without an expiry passes.
    #[must_use]
    pub fn with_min_remaining_life(mut self, life: Duration) -> Self {
        self.min_remaining_life = Some(life);
        self
    }

    /// The policy's name, as its refusals tell it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kinds that are admitted, in a fixed order.
    #[must_use]
    pub fn kinds(&self) -> &[KeyKind] {
        &self.kinds
    }

    /// The hosts that keys may be sent to.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// Admits a key, or says which rule refuses it and how to mend that.
    ///
    /// What the context does not tell is not checked, but for what a rule demands: a policy that
    /// names sources refuses a key whose source is not told, and one that requires an expiry
    /// refuses a key whose expiry is not told.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]: the first rule that the key breaks, the kind before all others.
    pub fn admit(&self, key: &ApiKey, context: &AdmitContext<'_>) -> Result<Admitted, Refusal> {
        self.admit_kind(key.kind(), context.now)?;
        self.admit_source(context.source)?;
        self.admit_expiry(context)?;
        if let Some(endpoint) = &context.endpoint {
            self.admit_endpoint(endpoint)?;
        }
        Ok(Admitted { key: key.clone(), expires_at: context.expires_at })
    }

    /// Whether a key of this kind may be used at all; for legacy user keys, whether there is an
    /// exception, open or closed.
    ///
    /// It is for places that see a key again which a policy has admitted before.
    #[must_use]
    pub fn knows(&self, kind: KeyKind) -> bool {
        self.kinds.contains(&kind) || (kind == KeyKind::LegacyUser && self.legacy.is_some())
    }

    /// The same, as a refusal.
    ///
    /// # Errors
    ///
    /// [`Refusal::Kind`].
    pub fn check_kind(&self, kind: KeyKind) -> Result<(), Refusal> {
        if self.knows(kind) {
            return Ok(());
        }
        Err(Refusal::Kind { kind, wanted: self.wanted(), policy: self.name.clone() })
    }

    /// Whether a key may be sent there: https to one of the policy's hosts, or http to one of them
    /// that is on this machine.
    ///
    /// # Errors
    ///
    /// [`Refusal::Host`] or [`Refusal::InsecureTransport`].
    pub fn admit_endpoint(&self, endpoint: &Endpoint<'_>) -> Result<(), Refusal> {
        if !self.hosts.iter().any(|pattern| host::matches(pattern, endpoint.host())) {
            return Err(Refusal::Host {
                host: endpoint.host().to_owned(),
                policy: self.name.clone(),
            });
        }
        if !endpoint.is_confidential() {
            return Err(Refusal::InsecureTransport { host: endpoint.host().to_owned() });
        }
        Ok(())
    }

    fn admit_kind(&self, kind: KeyKind, now: Timestamp) -> Result<(), Refusal> {
        if self.kinds.contains(&kind) {
            return Ok(());
        }
        match &self.legacy {
            Some(allowed) if kind == KeyKind::LegacyUser => {
                if now < allowed.until() {
                    return Ok(());
                }
                Err(Refusal::LegacyWindowClosed { until: allowed.until() })
            }
            _ => Err(Refusal::Kind { kind, wanted: self.wanted(), policy: self.name.clone() }),
        }
    }

    /// The kind that a refusal advises to make: the one for machines, where there is a choice.
    fn wanted(&self) -> KeyKind {
        [KeyKind::ServiceAccount, KeyKind::AccessToken, KeyKind::Project, KeyKind::Admin]
            .into_iter()
            .find(|kind| self.kinds.contains(kind))
            .unwrap_or(KeyKind::Unknown)
    }

    fn admit_source(&self, source: Option<&KeySource>) -> Result<(), Refusal> {
        let Some(allowed) = &self.sources else {
            return Ok(());
        };
        if source.is_some_and(|s| allowed.iter().any(|rule| s.is_named_by(rule))) {
            return Ok(());
        }
        Err(Refusal::Source { source: source.cloned(), allowed: allowed.join(", ") })
    }

    fn admit_expiry(&self, context: &AdmitContext<'_>) -> Result<(), Refusal> {
        let Some(at) = context.expires_at else {
            if self.expiry_required || self.max_lifetime.is_some() {
                return Err(Refusal::ExpiryMissing { policy: self.name.clone() });
            }
            return Ok(());
        };
        if at <= context.now {
            return Err(Refusal::Expired { at });
        }
        let left = at.saturating_since(context.now);
        if let Some(max) = self.max_lifetime.filter(|max| left > *max) {
            return Err(Refusal::ExpiryTooFar { at, max });
        }
        if let Some(min) = self.min_remaining_life.filter(|min| left < *min) {
            return Err(Refusal::TooLittleLife { at, min });
        }
        Ok(())
    }
}

/// [`KeyPolicy::standard`].
impl Default for KeyPolicy {
    fn default() -> Self {
        Self::standard()
    }
}

/// What is known of a key beside its text, when a policy is asked.
///
/// The moment is given from outside, so that a test can move it.
///
/// ```
/// use keyward_core::{AdmitContext, KeySource, Timestamp};
///
/// let source = KeySource::new("env", "OPENAI_API_KEY");
/// let context = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000))
///     .source(&source)
///     .expires_at(Timestamp::from_unix_seconds(1_797_000_000));
/// # let _ = context;
/// ```
#[derive(Clone, Debug)]
pub struct AdmitContext<'a> {
    now: Timestamp,
    source: Option<&'a KeySource>,
    endpoint: Option<Endpoint<'a>>,
    expires_at: Option<Timestamp>,
}

impl<'a> AdmitContext<'a> {
    /// A key looked at in this moment, with nothing else known of it.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, source: None, endpoint: None, expires_at: None }
    }

    /// Where the key came from.
    #[must_use]
    pub fn source(mut self, source: &'a KeySource) -> Self {
        self.source = Some(source);
        self
    }

    /// Where the key is about to be sent.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint<'a>) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// When the key expires.
    #[must_use]
    pub fn expires_at(mut self, at: impl Into<Option<Timestamp>>) -> Self {
        self.expires_at = at.into();
        self
    }
}

/// A key that a policy has admitted, not yet narrowed to a purpose.
#[derive(Clone, Debug)]
#[must_use = "narrow it with `into_project_key` or `into_admin_key`"]
pub struct Admitted {
    key: ApiKey,
    expires_at: Option<Timestamp>,
}

impl Admitted {
    /// The key for the Admin API.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongUse`] unless it is an admin key.
    pub fn into_admin_key(self) -> Result<AdminKey, Refusal> {
        match self.key.kind() {
            KeyKind::Admin => Ok(AdminKey::new(self.key)),
            kind => Err(Refusal::WrongUse { kind }),
        }
    }

    /// The key for model requests: whatever the policy admitted, but for an admin key.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongUse`] for an admin key.
    pub fn into_project_key(self) -> Result<ProjectKey, Refusal> {
        match self.key.kind() {
            kind @ KeyKind::Admin => Err(Refusal::WrongUse { kind }),
            _ => Ok(ProjectKey::new(self.key, self.expires_at)),
        }
    }

    /// The key as it was admitted.
    #[must_use]
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// When it expires, as far as the context told.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// A policy that cannot be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PolicyError {
    /// A pattern that is not a host. It is not repeated: a URL may have a password in it.
    Host,
    /// A kind that no policy can admit.
    KindNeverAdmitted(KeyKind),
    /// Keys may be sent nowhere.
    NoHost,
    /// No kind is admitted at all.
    NoKind,
    /// The exception for legacy user keys gives no reason.
    ReasonMissing,
    /// A setting of the file form that cannot be read.
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A source that no key can come from.
    Source,
}

impl core::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str(
                "a host of the policy is none; write a name such as `api.openai.com`, without a \
                 scheme or a port",
            ),
            Self::NoHost => f.write_str(
                "the policy lets keys be sent nowhere; name a host or leave `hosts` out",
            ),
            Self::Source => f.write_str(
                "a source of the policy is none; write a scheme such as `file`, or a scheme and a \
                 place such as `env:OPENAI_API_KEY`, or leave `sources` out",
            ),
            Self::KindNeverAdmitted(KeyKind::LegacyUser) => f.write_str(
                "no policy admits legacy user keys; the only door is \
                 `danger.allow_legacy_user_key` with a reason and a date",
            ),
            Self::KindNeverAdmitted(kind) => {
                write!(f, "no policy admits the kind `{kind}`; remove it from the kinds")
            }
            Self::NoKind => f.write_str("the policy admits no kind of key; name at least one"),
            Self::ReasonMissing => f.write_str(
                "an exception for legacy user keys needs a reason; say why and who answers for it",
            ),
            Self::Setting { name, expected } => {
                write!(f, "`{name}` cannot be read; it takes {expected}")
            }
        }
    }
}

fn never_admitted(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::LegacyUser | KeyKind::OtherVendor(_) | KeyKind::Session)
}
