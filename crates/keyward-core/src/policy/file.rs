//! The form of a policy in TOML or JSON. A setting that is misspelt is an error, not a default.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::refusal::Span;
use super::{KeyPolicy, PolicyError, danger};
use crate::{KeyKind, Timestamp};

impl<'de> Deserialize<'de> for KeyPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PolicyFile::deserialize(deserializer)?.into_policy().map_err(serde::de::Error::custom)
    }
}

impl Serialize for KeyPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PolicyFile::from_policy(self).serialize(serializer)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preset: Option<Preset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<KeyKind>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry_required: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_lifetime: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_remaining_life: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    danger: Option<Danger>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Admin,
    Production,
    Standard,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Danger {
    allow_legacy_user_key: LegacyException,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LegacyException {
    reason: String,
    until: String,
}

impl PolicyFile {
    fn into_policy(self) -> Result<KeyPolicy, PolicyError> {
        let mut policy = match self.preset {
            Some(Preset::Admin) => KeyPolicy::admin(),
            Some(Preset::Production) => KeyPolicy::production(),
            Some(Preset::Standard) | None => KeyPolicy::standard(),
        };
        if let Some(name) = self.name {
            policy = policy.named(name);
        }
        if let Some(kinds) = self.kinds {
            policy = policy.with_kinds(kinds)?;
        }
        if let Some(hosts) = self.hosts {
            policy = policy.with_hosts(hosts)?;
        }
        if let Some(sources) = self.sources {
            policy = policy.with_sources(sources)?;
        }
        if self.expiry_required == Some(true) {
            policy = policy.require_expiry();
        }
        if let Some(text) = self.max_lifetime {
            policy = policy.with_max_lifetime(duration("max_lifetime", &text)?);
        }
        if let Some(text) = self.min_remaining_life {
            policy = policy.with_min_remaining_life(duration("min_remaining_life", &text)?);
        }
        if let Some(Danger { allow_legacy_user_key: LegacyException { reason, until } }) =
            self.danger
        {
            let until: Timestamp = until.parse().map_err(|_| PolicyError::Setting {
                name: "until",
                expected: "a date such as \"2026-12-31\"",
            })?;
            policy = policy.allow_legacy_user_key(danger::AllowLegacyUserKey::new(reason, until)?);
        }
        let contradiction = |name, expected| Err(PolicyError::Setting { name, expected });
        match (policy.max_lifetime, policy.min_remaining_life) {
            (Some(Duration::ZERO), _) => {
                return contradiction("max_lifetime", "a duration that is not zero");
            }
            (Some(max), Some(min)) if min > max => {
                return contradiction("min_remaining_life", "a duration within `max_lifetime`");
            }
            _ => {}
        }
        if policy.legacy.is_some() && policy.kinds == [KeyKind::Admin] {
            return contradiction(
                "danger.allow_legacy_user_key",
                "a policy for model requests, not one for the Admin API",
            );
        }
        Ok(policy)
    }

    /// Everything is written out: a file that was written must not change with a later preset.
    fn from_policy(policy: &KeyPolicy) -> Self {
        let span = |duration: Option<Duration>| duration.map(|d| format!("{}", Span(d)));
        Self {
            name: Some(policy.name.clone()),
            preset: None,
            kinds: Some(policy.kinds.clone()),
            hosts: Some(policy.hosts.clone()),
            sources: policy.sources.clone(),
            expiry_required: Some(policy.expiry_required),
            max_lifetime: span(policy.max_lifetime),
            min_remaining_life: span(policy.min_remaining_life),
            danger: policy.legacy.as_ref().map(|exception| Danger {
                allow_legacy_user_key: LegacyException {
                    reason: exception.reason().to_owned(),
                    until: exception.until().to_string(),
                },
            }),
        }
    }
}

/// `90d`, `1h 30m`, `2 weeks`: days have 24 hours.
fn duration(name: &'static str, text: &str) -> Result<Duration, PolicyError> {
    let error = PolicyError::Setting {
        name,
        expected: "a duration such as \"90d\", \"12h\" or \"1h 30m\"",
    };
    text.parse::<jiff::Span>()
        .ok()
        .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|signed| Duration::try_from(signed).ok())
        .ok_or(error)
}
