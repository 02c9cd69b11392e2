//! The three envelopes of OpenAI's lists: cursor by id, cursor by `next`, and buckets of time.

use axum::extract::Query;
use serde_json::{Value, json};

use super::answer::{ApiError, Json};

/// One thing that a list may show.
///
/// A hidden thing keeps its place: a cursor to a key that was deleted since still works.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) shown: Option<Value>,
}

/// The parameters of a query, in order; a name may come several times.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn new(Query(pairs): Query<Vec<(String, String)>>) -> Self {
        Self(pairs)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of an array parameter, spelled `name[]=a` or `name=a`.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key.strip_suffix("[]").unwrap_or(key) == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<u64>, ApiError> {
        self.get(name)
            .map(|value| value.parse().map_err(|_| refused(name, "unix seconds")))
            .transpose()
    }

    /// One of `allowed`, the first of which is the default.
    pub(super) fn choice<'a>(
        &'a self,
        name: &'static str,
        allowed: &[&'a str],
    ) -> Result<&'a str, ApiError> {
        match self.get(name) {
            None => Ok(allowed[0]),
            Some(value) if allowed.contains(&value) => Ok(value),
            Some(_) => Err(refused(name, &format!("one of {}", allowed.join(", ")))),
        }
    }

    pub(super) fn limit(&self, limits: Limits) -> Result<usize, ApiError> {
        let Limits { min, default, max, cap } = limits;
        let limit = match self.get("limit") {
            None => default,
            Some(value) => value
                .parse()
                .ok()
                .filter(|limit| (min..=max).contains(limit))
                .ok_or_else(|| refused("limit", &format!("an integer from {min} to {max}")))?,
        };
        Ok(cap.map_or(limit, |cap| limit.min(cap)))
    }
}

/// How many entries a page holds.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) min: usize,
    pub(super) default: usize,
    pub(super) max: usize,
    /// The fake's own cap, so that few entries fill many pages.
    pub(super) cap: Option<usize>,
}

impl Limits {
    /// Those of most lists: 1 to 100, 20 by default.
    pub(super) fn usual(cap: Option<usize>) -> Self {
        Self { min: 1, default: 20, max: 100, cap }
    }
}

/// The envelope with `first_id` and `last_id`.
pub(super) fn by_id(
    entries: Vec<Entry>,
    query: &Parameters,
    limits: Limits,
) -> Result<Json, ApiError> {
    let page = Page::cut(entries, query, limits)?;
    Ok(Json(json!({
        "object": "list",
        "first_id": page.entries.first().map(|(id, _)| id),
        "last_id": page.last(),
        "has_more": page.has_more,
        "data": page.data(),
    })))
}

/// The envelope with `next`.
pub(super) fn by_next(
    entries: Vec<Entry>,
    query: &Parameters,
    limits: Limits,
) -> Result<Json, ApiError> {
    let page = Page::cut(entries, query, limits)?;
    Ok(Json(json!({
        "object": "list",
        "next": page.last().filter(|_| page.has_more),
        "has_more": page.has_more,
        "data": page.data(),
    })))
}

/// The envelope of buckets: `starts` are those of the whole range, `bucket` makes one.
pub(super) fn buckets(
    starts: &[u64],
    query: &Parameters,
    limits: Limits,
    bucket: impl FnMut(&u64) -> Value,
) -> Result<Json, ApiError> {
    let limit = query.limit(limits)?;
    let from = match query.get("page") {
        None => 0,
        Some(page) => page
            .strip_prefix("page_")
            .and_then(|start| start.parse().ok())
            .and_then(|start| starts.binary_search(&start).ok())
            .ok_or_else(|| refused("page", "the `next_page` of an earlier answer"))?,
    };
    let to = (from + limit).min(starts.len());
    Ok(Json(json!({
        "object": "page",
        "has_more": to < starts.len(),
        "next_page": starts.get(to).map(|start| format!("page_{start}")),
        "data": starts[from..to].iter().map(bucket).collect::<Vec<_>>(),
    })))
}

struct Page {
    entries: Vec<(String, Value)>,
    has_more: bool,
}

impl Page {
    fn cut(entries: Vec<Entry>, query: &Parameters, limits: Limits) -> Result<Self, ApiError> {
        let limit = query.limit(limits)?;
        let mut entries = entries;
        if query.choice("order", &["asc", "desc"])? == "desc" {
            entries.reverse();
        }
        let from = match query.get("after") {
            None => 0,
            Some(after) => entries
                .iter()
                .position(|entry| entry.id == after)
                .map(|at| at + 1)
                .ok_or_else(|| refused("after", "the id of an object in the list"))?,
        };
        let mut shown: Vec<_> = entries
            .into_iter()
            .skip(from)
            .filter_map(|entry| Some((entry.id, entry.shown?)))
            .collect();
        let has_more = shown.len() > limit;
        shown.truncate(limit);
        Ok(Self { entries: shown, has_more })
    }

    fn last(&self) -> Option<&String> {
        self.entries.last().map(|(id, _)| id)
    }

    fn data(&self) -> Vec<&Value> {
        self.entries.iter().map(|(_, shown)| shown).collect()
    }
}

fn refused(name: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value for '{name}': expected {wanted}."))
        .param(name)
        .code("invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn entries(hidden: &[usize]) -> Vec<Entry> {
        (0..5)
            .map(|n| Entry {
                id: format!("id_{n}"),
                shown: (!hidden.contains(&n)).then(|| json!({ "id": format!("id_{n}") })),
            })
            .collect()
    }

    #[test]
    fn a_cursor_to_a_hidden_entry_still_works() {
        let Json(page) =
            by_id(entries(&[1]), &query(&[("after", "id_1"), ("limit", "2")]), Limits::usual(None))
                .unwrap();
        assert_eq!(page["first_id"], "id_2");
        assert_eq!(page["last_id"], "id_3");
        assert_eq!(page["has_more"], true);
    }

    #[test]
    fn next_is_null_on_the_last_page() {
        let limits = Limits::usual(Some(3));
        let Json(page) = by_next(entries(&[]), &query(&[]), limits).unwrap();
        assert_eq!(page["next"], "id_2");
        let Json(page) = by_next(entries(&[]), &query(&[("after", "id_2")]), limits).unwrap();
        assert_eq!((&page["next"], &page["has_more"]), (&Value::Null, &json!(false)));
    }

    #[test]
    fn limits_outside_the_range_and_unknown_cursors_are_refused() {
        for (name, value) in [("limit", "0"), ("limit", "101"), ("limit", "x"), ("after", "id_9")] {
            assert!(by_id(entries(&[]), &query(&[(name, value)]), Limits::usual(None)).is_err());
        }
    }
}
