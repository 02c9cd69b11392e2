//! `/organization/costs`: what calls to models cost, by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::page::{self, Limits, Parameters};
use super::state::{Shared, Spending};

const DAY: u64 = 86_400;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/organization/costs", get(costs))
}

async fn costs(
    State(shared): State<Arc<Shared>>,
    query: Query<Vec<(String, String)>>,
) -> Result<Json, ApiError> {
    let query = Parameters::new(query);
    let missing = "Missing required parameter: 'start_time'.";
    let start = query
        .seconds("start_time")?
        .ok_or_else(|| ApiError::bad_request(missing).param("start_time"))?;
    // An end that is far off would be that many days to list.
    let now = shared.clock.now();
    let end = query.seconds("end_time")?.unwrap_or(now + 1).min(now + DAY);
    query.choice("bucket_width", &["1d"])?;
    let grouping = Grouping::of(&query)?;
    let (projects, keys) = (query.all("project_ids"), query.all("api_key_ids"));
    let wanted = |id: &Option<String>, ids: &[&str]| {
        ids.is_empty() || id.as_deref().is_some_and(|id| ids.contains(&id))
    };
    let organization = shared.organization();
    let spent: Vec<&Spending> = organization
        .spending
        .iter()
        .filter(|spent| wanted(&spent.project, &projects) && wanted(&spent.key, &keys))
        .collect();
    let starts: Vec<u64> = (start / DAY..end.div_ceil(DAY)).map(|day| day * DAY).collect();
    let limits = Limits { min: 1, default: 7, max: 180, cap: shared.options.page_size_limit };
    page::buckets(&starts, &query, limits, |from| {
        let until = from + DAY;
        let results = grouping
            .results(spent.iter().filter(|spent| (*from..until).contains(&spent.at)).copied());
        json!({ "object": "bucket", "start_time": from, "end_time": until, "results": results })
    })
}

/// What costs are added up by.
struct Grouping {
    by_project: bool,
    by_key: bool,
    by_line_item: bool,
}

impl Grouping {
    fn of(query: &Parameters) -> Result<Self, ApiError> {
        let fields = query.all("group_by");
        let known = ["project_id", "line_item", "api_key_id"];
        if fields.iter().any(|field| !known.contains(field)) {
            let message = "Invalid value for 'group_by'.";
            return Err(ApiError::bad_request(message).param("group_by"));
        }
        Ok(Self {
            by_project: fields.contains(&"project_id"),
            by_key: fields.contains(&"api_key_id"),
            by_line_item: fields.contains(&"line_item"),
        })
    }

    fn results<'a>(&self, spent: impl Iterator<Item = &'a Spending>) -> Vec<Value> {
        let mut sums = BTreeMap::<_, f64>::new();
        for spent in spent {
            let project = self.by_project.then(|| spent.project.clone()).flatten();
            let key = self.by_key.then(|| spent.key.clone()).flatten();
            *sums.entry((project, key)).or_default() += spent.amount;
        }
        sums.into_iter()
            .map(|((project, key), sum)| {
                json!({
                    "object": "organization.costs.result",
                    "amount": { "value": sum, "currency": "usd" },
                    "line_item": self.by_line_item.then_some("Text tokens"),
                    "project_id": project,
                    "api_key_id": key,
                    "quantity": null,
                    "quantity_unit": null,
                })
            })
            .collect()
    }
}
