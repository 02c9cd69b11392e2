//! Rate limits of a project, one for each model.

use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, required_id};
use crate::{Client, Error, Pages, ProjectId, RateLimitId, decode, operations};

/// How much a project may ask of a model.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RateLimit {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: RateLimitId,
    /// The model.
    #[serde(default, deserialize_with = "lenient")]
    pub model: Option<String>,
    /// The most requests a minute.
    #[serde(default, deserialize_with = "lenient")]
    pub max_requests_per_1_minute: Option<u64>,
    /// The most tokens a minute.
    #[serde(default, deserialize_with = "lenient")]
    pub max_tokens_per_1_minute: Option<u64>,
    /// The most images a minute; none where the model makes none.
    #[serde(default, deserialize_with = "lenient")]
    pub max_images_per_1_minute: Option<u64>,
    /// The most megabytes of audio a minute; none where the model takes none.
    #[serde(default, deserialize_with = "lenient")]
    pub max_audio_megabytes_per_1_minute: Option<u64>,
    /// The most requests a day; none where they are not counted by day.
    #[serde(default, deserialize_with = "lenient")]
    pub max_requests_per_1_day: Option<u64>,
    /// The most input tokens of batches a day; none where the model takes no batches.
    #[serde(default, deserialize_with = "lenient")]
    pub batch_1_day_max_input_tokens: Option<u64>,
}

impl Listed for RateLimit {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// What to change of a rate limit. What is not said stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct RateLimitUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_requests_per_1_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_1_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_images_per_1_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_audio_megabytes_per_1_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_requests_per_1_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_1_day_max_input_tokens: Option<u64>,
}

impl RateLimitUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most requests a minute.
    pub fn requests_per_minute(mut self, most: u64) -> Self {
        self.max_requests_per_1_minute = Some(most);
        self
    }

    /// The most tokens a minute.
    pub fn tokens_per_minute(mut self, most: u64) -> Self {
        self.max_tokens_per_1_minute = Some(most);
        self
    }

    /// The most images a minute.
    pub fn images_per_minute(mut self, most: u64) -> Self {
        self.max_images_per_1_minute = Some(most);
        self
    }

    /// The most megabytes of audio a minute.
    pub fn audio_megabytes_per_minute(mut self, most: u64) -> Self {
        self.max_audio_megabytes_per_1_minute = Some(most);
        self
    }

    /// The most requests a day.
    pub fn requests_per_day(mut self, most: u64) -> Self {
        self.max_requests_per_1_day = Some(most);
        self
    }

    /// The most input tokens of batches a day.
    pub fn batch_input_tokens_per_day(mut self, most: u64) -> Self {
        self.batch_1_day_max_input_tokens = Some(most);
        self
    }
}

/// The rate limits of a project. It comes from
/// [`ProjectHandle::rate_limits`](crate::ProjectHandle::rate_limits).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::RateLimitUpdate;
///
/// let limits = client.project("proj_abc").rate_limits();
/// for limit in limits.list().all().await? {
///     limits.update(limit.id, RateLimitUpdate::new().requests_per_minute(60)).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimits {
    client: Client,
    project: ProjectId,
}

impl RateLimits {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists the project's rate limits, a line a model.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/rate_limits/methods/list_rate_limits)
    pub fn list(&self) -> Pages<RateLimit> {
        Pages::new(self.client.clone(), self.listing())
    }

    /// Lists those before this one, in the server's order.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/rate_limits/methods/list_rate_limits)
    pub fn list_before(&self, id: impl Into<RateLimitId>) -> Pages<RateLimit> {
        Pages::new(self.client.clone(), self.listing().query("before", id.into()))
    }

    /// Changes one.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/rate_limits/methods/update_rate_limit)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn update(
        &self,
        id: impl Into<RateLimitId>,
        update: RateLimitUpdate,
    ) -> Result<RateLimit, Error> {
        let id = id.into();
        let path = [self.project.as_str(), id.as_str()];
        let call = Call::new(operations::RATE_LIMIT_UPDATE, path).json(&update);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    fn listing(&self) -> Call {
        Call::new(operations::RATE_LIMITS_LIST, [self.project.as_str()]).query("limit", PAGE)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{RateLimit, RateLimitUpdate};
    use crate::resources::shapes;

    #[test]
    fn a_limit_is_read_whatever_it_has() {
        let full = json!({
            "object": "project.rate_limit", "id": "rl-7", "model": "gpt-x",
            "max_requests_per_1_minute": 101, "max_tokens_per_1_minute": 102,
            "max_images_per_1_minute": 103, "max_audio_megabytes_per_1_minute": 104,
            "max_requests_per_1_day": 105, "batch_1_day_max_input_tokens": 106,
        });
        shapes::check::<RateLimit>(&["id"], &full);
    }

    #[test]
    fn an_update_says_what_it_changes_alone() {
        for (update, expected) in [
            (RateLimitUpdate::new(), json!({})),
            (
                RateLimitUpdate::new().requests_per_minute(1).tokens_per_minute(2),
                json!({"max_requests_per_1_minute": 1, "max_tokens_per_1_minute": 2}),
            ),
            (
                RateLimitUpdate::new().images_per_minute(3).audio_megabytes_per_minute(4),
                json!({"max_images_per_1_minute": 3, "max_audio_megabytes_per_1_minute": 4}),
            ),
            (
                RateLimitUpdate::new().requests_per_day(5).batch_input_tokens_per_day(6),
                json!({"max_requests_per_1_day": 5, "batch_1_day_max_input_tokens": 6}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&update).unwrap(), expected);
        }
    }
}
