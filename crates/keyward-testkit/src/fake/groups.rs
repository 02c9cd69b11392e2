//! `/organization/groups`: here for its envelope, the one with `next`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use serde_json::json;

use super::answer::{ApiError, Json};
use super::page::{self, Entry, Limits, Parameters};
use super::state::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/organization/groups", get(list))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    query: Query<Vec<(String, String)>>,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let entries = organization
        .groups
        .iter()
        .map(|group| Entry {
            id: group.id.clone(),
            shown: Some(json!({
                "id": group.id,
                "name": group.name,
                "created_at": group.created_at,
                "is_scim_managed": false,
                "group_type": "group",
            })),
        })
        .collect();
    let cap = shared.options.page_size_limit;
    let limits = Limits { min: 0, default: 100, max: 1000, cap };
    page::by_next(entries, &Parameters::new(query), limits)
}
