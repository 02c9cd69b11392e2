//! `/organization/costs`: what calls to models cost, by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::page;
use super::query::Parameters;
use super::state::{Shared, Spending};

const DAY: u64 = 86_400;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/organization/costs", get(costs))
}

async fn costs(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    // An end that is far off would be that many days to list.
    let now = shared.clock.now();
    let start = query.seconds("start_time").unwrap_or_default();
    let end = query.seconds("end_time").unwrap_or(now + 1).min(now + DAY);
    let grouping = Grouping::of(&query);
    let organization = shared.organization();
    let spent: Vec<&Spending> = organization
        .spending
        .iter()
        .filter(|spent| {
            query.admits("project_ids", spent.project.as_deref())
                && query.admits("api_key_ids", spent.key.as_deref())
        })
        .collect();
    page::buckets(start, end, DAY, &query, |from| {
        let inside = from..from + DAY;
        grouping.results(spent.iter().filter(|spent| inside.contains(&spent.at)).copied())
    })
}

/// What costs are added up by.
struct Grouping {
    by_project: bool,
    by_key: bool,
    by_line_item: bool,
}

impl Grouping {
    fn of(query: &Parameters) -> Self {
        let fields = query.all("group_by");
        Self {
            by_project: fields.contains(&"project_id"),
            by_key: fields.contains(&"api_key_id"),
            by_line_item: fields.contains(&"line_item"),
        }
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
