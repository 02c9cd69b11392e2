//! Service tiers: how fast, and how dearly, the calls of a project are served.

use serde::de::SeqAccess;
use serde::{Deserialize, Serialize, Serializer};

use crate::transport::Call;
use crate::wire::{Lenient, lenient, open_enum};
use crate::{Client, Error, ProjectId, decode, operations};

/// The service tiers of a project.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ServiceTierSettings {
    /// The tier of calls that name none.
    #[serde(default, deserialize_with = "lenient")]
    pub default: Option<DefaultServiceTier>,
    /// The tiers that calls can name.
    #[serde(default, deserialize_with = "lenient")]
    pub enabled_tiers: Option<EnabledServiceTiers>,
}

open_enum! {
    /// The tier of calls that name none.
    pub enum DefaultServiceTier {
        /// Faster.
        Fast = "fast",
        /// Capacity bought ahead.
        Scale = "scale",
        /// As usual.
        Standard = "standard",
    }
}

open_enum! {
    /// A tier that calls can name.
    pub enum ServiceTier {
        /// Faster.
        Fast = "fast",
        /// Cheaper, when there is room.
        Flex = "flex",
        /// Faster still.
        Ultrafast = "ultrafast",
    }
}

/// The tiers that calls can name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EnabledServiceTiers {
    /// All there are, and all there will be.
    All,
    /// These.
    Only(Vec<ServiceTier>),
    /// A word that this version does not know, as it was.
    Other(Box<str>),
}

impl EnabledServiceTiers {
    /// These.
    pub fn only(tiers: impl IntoIterator<Item = ServiceTier>) -> Self {
        Self::Only(tiers.into_iter().collect())
    }
}

impl Serialize for EnabledServiceTiers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(ALL),
            Self::Only(tiers) => tiers.serialize(serializer),
            Self::Other(word) => serializer.serialize_str(word),
        }
    }
}

impl Lenient for EnabledServiceTiers {
    fn from_text(word: &str) -> Option<Self> {
        Some(if word == ALL { Self::All } else { Self::Other(word.into()) })
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::from_seq(seq)?.map(Self::Only))
    }
}

const ALL: &str = "all";

/// What to change of the service tiers of a project. What is not said stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct ServiceTierUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<DefaultServiceTier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_tiers: Option<EnabledServiceTiers>,
}

impl ServiceTierUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tier of calls that name none.
    pub fn default_tier(mut self, tier: DefaultServiceTier) -> Self {
        self.default = Some(tier);
        self
    }

    /// The tiers that calls can name.
    pub fn enabled(mut self, tiers: EnabledServiceTiers) -> Self {
        self.enabled_tiers = Some(tiers);
        self
    }
}

/// The service tiers of a project. It comes from
/// [`ProjectHandle::service_tier_settings`](crate::ProjectHandle::service_tier_settings).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{EnabledServiceTiers, ServiceTier, ServiceTierUpdate};
///
/// let cheap = EnabledServiceTiers::only([ServiceTier::Flex]);
/// let tiers = client.project("proj_abc").service_tier_settings();
/// tiers.update(ServiceTierUpdate::new().enabled(cheap)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServiceTierSettingsHandle {
    client: Client,
    project: ProjectId,
}

impl ServiceTierSettingsHandle {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Describes them.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_tier_settings/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such project.
    pub async fn get(&self) -> Result<ServiceTierSettings, Error> {
        self.call(Call::new(operations::SERVICE_TIERS_GET, [self.project.as_str()])).await
    }

    /// Changes them.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_tier_settings/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a tier that the
    /// project cannot have, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no
    /// such project.
    pub async fn update(&self, update: ServiceTierUpdate) -> Result<ServiceTierSettings, Error> {
        let call = Call::new(operations::SERVICE_TIERS_UPDATE, [self.project.as_str()]);
        self.call(call.json(&update)).await
    }

    async fn call(&self, call: Call) -> Result<ServiceTierSettings, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        DefaultServiceTier, EnabledServiceTiers, ServiceTier, ServiceTierSettings,
        ServiceTierUpdate,
    };
    use crate::resources::shapes;

    #[test]
    fn settings_are_read_whatever_they_have() {
        let full = json!({
            "object": "project.service_tier_settings", "default": "leisurely",
            "enabled_tiers": ["sleepy", "weary"],
        });
        shapes::check::<ServiceTierSettings>(&[], &full);
        for (json, tiers) in [
            (json!("all"), Some(EnabledServiceTiers::All)),
            (json!("most"), Some(EnabledServiceTiers::Other("most".into()))),
            (json!([]), Some(EnabledServiceTiers::only([]))),
            (
                json!(["flex", null, "ultrafast"]),
                Some(EnabledServiceTiers::only([ServiceTier::Flex, ServiceTier::Ultrafast])),
            ),
            (json!(null), None),
            (json!({"flex": true}), None),
        ] {
            let json = json!({"default": "scale", "enabled_tiers": json});
            let read: ServiceTierSettings = serde_json::from_value(json).unwrap();
            assert_eq!(read.default, Some(DefaultServiceTier::Scale));
            assert_eq!(read.enabled_tiers, tiers);
        }
    }

    #[test]
    fn an_update_says_what_it_changes_alone() {
        let new = ServiceTierUpdate::new;
        for (update, expected) in [
            (new(), json!({})),
            (new().default_tier(DefaultServiceTier::Fast), json!({"default": "fast"})),
            (new().enabled(EnabledServiceTiers::All), json!({"enabled_tiers": "all"})),
            (
                new().enabled(EnabledServiceTiers::only([ServiceTier::Fast])),
                json!({"enabled_tiers": ["fast"]}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&update).unwrap(), expected);
        }
    }
}
