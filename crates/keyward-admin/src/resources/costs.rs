//! Costs: what was spent, by day.

use keyward_core::Timestamp;
use serde::Deserialize;

use crate::money::{Amount, Decimal};
use crate::page::{Cursor, Listed};
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum};
use crate::{ApiKeyId, Client, Pages, ProjectId, operations};

/// What was spent in one day.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct CostBucket {
    /// When the day begins.
    #[serde(default, deserialize_with = "lenient")]
    pub start_time: Option<Timestamp>,
    /// When it ends, which is no longer part of it.
    #[serde(default, deserialize_with = "lenient")]
    pub end_time: Option<Timestamp>,
    /// What was spent, in as many parts as were asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub results: Option<Vec<CostResult>>,
}

impl Listed for CostBucket {}

/// One part of what was spent.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct CostResult {
    /// How much.
    #[serde(default, deserialize_with = "lenient")]
    pub amount: Option<Amount>,
    /// What for, when grouped by [`LineItem`](CostGroup::LineItem).
    #[serde(default, deserialize_with = "lenient")]
    pub line_item: Option<String>,
    /// In which project, when grouped by [`Project`](CostGroup::Project).
    #[serde(default, deserialize_with = "lenient")]
    pub project_id: Option<ProjectId>,
    /// With which key, when grouped by [`ApiKey`](CostGroup::ApiKey).
    #[serde(default, deserialize_with = "lenient")]
    pub api_key_id: Option<ApiKeyId>,
    /// How many of its unit, when grouped by [`LineItem`](CostGroup::LineItem).
    #[serde(default, deserialize_with = "lenient")]
    pub quantity: Option<Decimal>,
    /// The unit of the quantity, such as `1000_tokens`.
    #[serde(default, deserialize_with = "lenient")]
    pub quantity_unit: Option<String>,
}

lenient_struct!(CostResult);

open_enum! {
    /// By what costs are told apart.
    pub enum CostGroup {
        /// By key.
        ApiKey = "api_key_id",
        /// By what they are for.
        LineItem = "line_item",
        /// By project.
        Project = "project_id",
    }
}

/// Which costs are asked for.
#[derive(Clone, Debug)]
#[must_use = "pass it to `list`"]
pub struct CostQuery {
    start: Timestamp,
    end: Option<Timestamp>,
    projects: Vec<ProjectId>,
    keys: Vec<ApiKeyId>,
    groups: Vec<CostGroup>,
}

impl CostQuery {
    /// Costs from this moment until now.
    pub fn since(start: Timestamp) -> Self {
        Self { start, end: None, projects: Vec::new(), keys: Vec::new(), groups: Vec::new() }
    }

    /// Costs before this moment.
    pub fn until(mut self, end: Timestamp) -> Self {
        self.end = Some(end);
        self
    }

    /// Costs of this project, and of others named so.
    pub fn of_project(mut self, project: impl Into<ProjectId>) -> Self {
        self.projects.push(project.into());
        self
    }

    /// Costs of this key, and of others named so.
    pub fn of_key(mut self, key: impl Into<ApiKeyId>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Tells them apart by this, and by others named so.
    pub fn by(mut self, group: CostGroup) -> Self {
        self.groups.push(group);
        self
    }
}

/// The organization's costs. It comes from [`Client::costs`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{CostGroup, CostQuery, Timestamp};
///
/// let november = Timestamp::from_unix_seconds(1_793_491_200);
/// let query = CostQuery::since(november).by(CostGroup::Project);
/// let mut days = client.costs().list(&query);
/// while let Some(day) = days.next().await {
///     for part in day?.results.unwrap_or_default() {
///         println!("{:?} spent {:?}", part.project_id, part.amount);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Costs {
    client: Client,
}

/// The largest page of days. Source: the published specification (2026-08-21).
const DAYS: u32 = 180;

impl Costs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the costs, a bucket a day. Recent days still change.
    ///
    /// In pages of 180 days; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.usage.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/usage/methods/costs)
    pub fn list(&self, query: &CostQuery) -> Pages<CostBucket> {
        let mut call = Call::new(operations::COSTS_LIST, [])
            .query("start_time", query.start.as_unix_seconds())
            .query("limit", DAYS);
        if let Some(end) = query.end {
            call = call.query("end_time", end.as_unix_seconds());
        }
        call = call
            .query_all("project_ids[]", &query.projects)
            .query_all("api_key_ids[]", &query.keys)
            .query_all("group_by[]", &query.groups);
        Pages::with_cursor(self.client.clone(), call, Cursor::Page)
    }
}
