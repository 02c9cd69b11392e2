//! `…/spend_limit`, of the organization and of a project: how much may be spent in a month. It is
//! told when a limit is reached; no call is refused for it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json};
use super::query::Ids;
use super::state::{Organization, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    let scopes = ["/v1/organization", "/v1/organization/projects/{project_id}"];
    scopes.into_iter().fold(Router::new(), |router, scope| {
        router.route(&format!("{scope}/spend_limit"), get(retrieve).post(update).delete(delete))
    })
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    shown(&shared.organization(), &ids, shared.clock.now()).map(Json)
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["threshold_amount", "currency", "interval"])?;
    let cents = fields.required_integer("threshold_amount", 1)?;
    fields.required_choice("currency", &["USD"])?;
    fields.required_choice("interval", &["month"])?;
    let mut organization = shared.organization();
    organization.estate_mut(ids.project())?.spend_limit = Some(cents);
    shown(&organization, &ids, shared.clock.now()).map(Json)
}

async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let mut organization = shared.organization();
    let limit = &mut organization.estate_mut(ids.project())?.spend_limit;
    limit.take().ok_or_else(|| missing(&ids))?;
    // Without an id.
    Ok(Json(json!({ "object": format!("{}.deleted", object(&ids)), "deleted": true })))
}

fn shown(organization: &Organization, ids: &Ids, now: u64) -> Result<Value, ApiError> {
    let limit = organization.estate(ids.project())?.spend_limit.ok_or_else(|| missing(ids))?;
    let since = start_of_month(now);
    let spent: f64 = organization
        .spending
        .iter()
        .filter(|spent| (since..=now).contains(&spent.at))
        .filter(|spent| ids.project().is_none() || spent.project.as_deref() == ids.project())
        .map(|spent| spent.amount)
        .sum();
    let is_reached = spent * 100.0 >= limit as f64;
    Ok(json!({
        "object": object(ids),
        // In cents.
        "threshold_amount": limit,
        "currency": "USD",
        "interval": "month",
        "enforcement": { "status": if is_reached { "enforcing" } else { "inactive" } },
    }))
}

fn object(ids: &Ids) -> &'static str {
    if ids.project().is_some() { "project.spend_limit" } else { "organization.spend_limit" }
}

fn missing(ids: &Ids) -> ApiError {
    ApiError::not_found("spend limit", ids.project().unwrap_or("of the organization"))
}

/// When the month of a time began, in UTC.
fn start_of_month(unix_seconds: u64) -> u64 {
    let today = unix_seconds / 86_400;
    let (mut day, mut year) = (0, 1970);
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if is_leap { 29 } else { 28 };
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if today < day + days {
                return day * 86_400;
            }
            day += days;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::start_of_month;

    #[test]
    fn months_begin_on_their_first_day() {
        let cases = [
            (0, 0),
            (2_678_399, 0),
            (2_678_400, 2_678_400),
            // 2024-02-29 and 2024-03-01.
            (1_709_251_199, 1_706_745_600),
            (1_709_251_200, 1_709_251_200),
            // 2026-09-21.
            (1_790_000_000, 1_788_220_800),
        ];
        for (time, start) in cases {
            assert_eq!(start_of_month(time), start, "{time}");
        }
    }
}
