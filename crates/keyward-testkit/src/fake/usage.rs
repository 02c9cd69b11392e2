//! `/organization/usage/…`: what was called, by minute, hour or day. What it cost is in `costs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::page;
use super::query::Parameters;
use super::state::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    KINDS.iter().fold(Router::new(), |router, kind| {
        let path = format!("/v1/organization/usage/{}", kind.name);
        router.route(&path, get(move |shared, query| list(kind, shared, query)))
    })
}

/// A kind of usage: what is counted, and how much of it one request makes.
pub(super) struct Kind {
    pub(super) name: &'static str,
    object: &'static str,
    quantities: &'static [(&'static str, u64)],
}

/// The quantities of a call to a model.
const TOKENS: &[(&str, u64)] = &[
    ("input_tokens", 1),
    ("input_cached_tokens", 0),
    ("input_uncached_tokens", 1),
    ("input_text_tokens", 1),
    ("input_audio_tokens", 0),
    ("output_tokens", 4),
    ("output_text_tokens", 4),
    ("output_audio_tokens", 0),
    ("num_model_requests", 1),
];
const INPUT: &[(&str, u64)] = &[("input_tokens", 8), ("num_model_requests", 1)];

static KINDS: [Kind; 11] = [
    Kind {
        name: "audio_speeches",
        object: "audio_speeches",
        quantities: &[("characters", 40), ("num_model_requests", 1)],
    },
    Kind {
        name: "audio_transcriptions",
        object: "audio_transcriptions",
        quantities: &[("seconds", 30), ("num_model_requests", 1)],
    },
    Kind {
        name: "code_interpreter_sessions",
        object: "code_interpreter_sessions",
        quantities: &[("num_sessions", 1)],
    },
    Kind { name: "completions", object: "completions", quantities: TOKENS },
    Kind { name: "decisions", object: "decisions", quantities: TOKENS },
    Kind { name: "embeddings", object: "embeddings", quantities: INPUT },
    // The path and the object disagree here, and with the search of the web.
    Kind { name: "file_search_calls", object: "file_searches", quantities: &[("num_requests", 1)] },
    Kind {
        name: "images",
        object: "images",
        quantities: &[("images", 2), ("num_model_requests", 1)],
    },
    Kind { name: "moderations", object: "moderations", quantities: INPUT },
    Kind { name: "vector_stores", object: "vector_stores", quantities: &[("usage_bytes", 4096)] },
    Kind {
        name: "web_search_calls",
        object: "web_searches",
        quantities: &[("num_model_requests", 1), ("num_requests", 3)],
    },
];

/// The kind with this name, as in its path.
pub(super) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Requests of one kind, alike in everything.
pub(super) struct Use {
    pub(super) kind: &'static str,
    pub(super) at: u64,
    pub(super) requests: u64,
    /// What it can be grouped and chosen by; what is not there is null.
    pub(super) dimensions: BTreeMap<&'static str, Value>,
}

/// Each dimension that a query may choose by, and the name of its parameter.
static FILTERS: [(&str, &str); 9] = [
    ("api_key_id", "api_key_ids"),
    ("batch", "batch"),
    ("context_level", "context_levels"),
    ("model", "models"),
    ("project_id", "project_ids"),
    ("size", "sizes"),
    ("source", "sources"),
    ("user_id", "user_ids"),
    ("vector_store_id", "vector_store_ids"),
];

async fn list(
    kind: &'static Kind,
    State(shared): State<Arc<Shared>>,
    query: Parameters,
) -> Result<Json, ApiError> {
    let width = match query.choice("bucket_width") {
        "1m" => 60,
        "1h" => 3600,
        _ => 86_400,
    };
    let start = query.seconds("start_time").unwrap_or_default();
    let end = query.seconds("end_time").unwrap_or_else(|| shared.clock.now() + 1);
    let organization = shared.organization();
    let uses: Vec<&Use> = organization
        .uses
        .iter()
        .filter(|used| used.kind == kind.name && is_wanted(used, &query))
        .collect();
    let grouping = query.all("group_by");
    page::buckets(start, end, width, &query, |from| {
        let inside = (from.max(start), (from + width).min(end));
        let mut sums = BTreeMap::<Vec<String>, (u64, &Use)>::new();
        for used in uses.iter().filter(|used| (inside.0..inside.1).contains(&used.at)) {
            let group = grouping.iter().map(|name| used.dimension(name).to_string()).collect();
            sums.entry(group).or_insert((0, used)).0 += used.requests;
        }
        sums.values().map(|(requests, used)| result(kind, *requests, used, &query)).collect()
    })
}

impl Use {
    fn dimension(&self, name: &str) -> &Value {
        self.dimensions.get(name).unwrap_or(&Value::Null)
    }
}

fn is_wanted(used: &Use, query: &Parameters) -> bool {
    FILTERS.iter().all(|(dimension, parameter)| {
        let value = match used.dimension(dimension) {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        query.admits(parameter, value.as_deref())
    })
}

/// The sum of a group, with the dimensions that it was grouped by; the others are null.
fn result(kind: &Kind, requests: u64, used: &Use, query: &Parameters) -> Value {
    let mut result = json!({ "object": format!("organization.usage.{}.result", kind.object) });
    for (name, each) in kind.quantities {
        result[*name] = (each * requests).into();
    }
    let grouping = query.all("group_by");
    for dimension in query.choices("group_by") {
        let is_grouped = grouping.contains(dimension);
        result[*dimension] =
            if is_grouped { used.dimension(dimension).clone() } else { Value::Null };
    }
    result
}
