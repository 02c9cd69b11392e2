//! The three envelopes of OpenAI's lists: cursor by id, cursor by `next`, and buckets of time. The
//! parameters that choose a page are `query`'s.

use serde_json::{Value, json};

use super::answer::{ApiError, Json};
use super::query::{Parameters, refused};

/// One thing that a list may show.
///
/// A hidden thing keeps its place: a cursor to a key that was deleted since still works.
pub(super) struct Entry<T = Value> {
    pub(super) id: String,
    pub(super) shown: Option<T>,
}

/// The envelope with `first_id` and `last_id`.
pub(super) fn by_id(entries: Vec<Entry>, query: &Parameters) -> Result<Json, ApiError> {
    by_id_as(entries, query, |shown| shown)
}

/// The same of things that are shown only if they are on the page: for lists of thousands.
pub(super) fn by_id_as<T>(
    entries: Vec<Entry<T>>,
    query: &Parameters,
    show: impl Fn(T) -> Value,
) -> Result<Json, ApiError> {
    let Page { entries, has_more } = Page::cut(entries, query)?;
    let entries = entries.into_iter().map(|(id, thing)| (id, show(thing))).collect();
    let page = Page { entries, has_more };
    Ok(Json(json!({
        "object": "list",
        "first_id": page.entries.first().map(|(id, _)| id),
        "last_id": page.last(),
        "has_more": page.has_more,
        "data": page.data(),
    })))
}

/// The envelope with `next`.
pub(super) fn by_next(entries: Vec<Entry>, query: &Parameters) -> Result<Json, ApiError> {
    let page = Page::cut(entries, query)?;
    Ok(Json(json!({
        "object": "list",
        "next": page.last().filter(|_| page.has_more),
        "has_more": page.has_more,
        "data": page.data(),
    })))
}

/// The envelope of buckets of `width` seconds, from the one that `start` is in to the one before
/// `end`; `results` are those of the bucket with that start.
pub(super) fn buckets(
    start: u64,
    end: u64,
    width: u64,
    query: &Parameters,
    results: impl Fn(u64) -> Vec<Value>,
) -> Result<Json, ApiError> {
    let (first, last) = (start / width, end.div_ceil(width));
    let from = match query.get("page") {
        None => first,
        Some(page) => page
            .strip_prefix("page_")
            .and_then(|start| start.parse::<u64>().ok())
            .map(|start| start / width)
            .filter(|bucket| (first..last).contains(bucket))
            .ok_or_else(|| refused("page", "the `next_page` of an earlier answer"))?,
    };
    let to = last.min(from.saturating_add(query.limit() as u64));
    let data: Vec<_> = (from..to)
        .map(|bucket| {
            let start = bucket * width;
            let end = start.saturating_add(width);
            json!({
                "object": "bucket",
                "start_time": start,
                "end_time": end,
                "results": results(start),
            })
        })
        .collect();
    Ok(Json(json!({
        "object": "page",
        "has_more": to < last,
        "next_page": (to < last).then(|| format!("page_{}", to * width)),
        "data": data,
    })))
}

struct Page<T = Value> {
    entries: Vec<(String, T)>,
    has_more: bool,
}

impl<T> Page<T> {
    fn cut(mut entries: Vec<Entry<T>>, query: &Parameters) -> Result<Self, ApiError> {
        let limit = query.limit();
        if query.allows("order") && query.choice("order") == "desc" {
            entries.reverse();
        }
        let place = |cursor: &'static str| {
            query
                .get(cursor)
                .map(|id| {
                    entries
                        .iter()
                        .position(|entry| entry.id == id)
                        .ok_or_else(|| refused(cursor, "the id of an object in the list"))
                })
                .transpose()
        };
        let from = place("after")?.map_or(0, |at| at + 1);
        let before = place("before")?;
        entries.truncate(before.unwrap_or(entries.len()));
        let mut shown: Vec<_> = entries
            .into_iter()
            .skip(from)
            .filter_map(|entry| Some((entry.id, entry.shown?)))
            .collect();
        let has_more = shown.len() > limit;
        if before.is_some() {
            // The page that ends before the cursor, not the first of all.
            shown.drain(..shown.len().saturating_sub(limit));
        }
        shown.truncate(limit);
        Ok(Self { entries: shown, has_more })
    }
}

impl Page {
    fn last(&self) -> Option<&String> {
        self.entries.last().map(|(id, _)| id)
    }

    fn data(&self) -> Vec<&Value> {
        self.entries.iter().map(|(_, shown)| shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::{Parameter, Rule};
    use super::*;

    const RULES: &[Parameter] = &[
        Parameter::new("after", Rule::Text),
        Parameter::new("before", Rule::Text),
        Parameter::new("limit", Rule::Limit { min: 1, default: 20, max: 100 }),
        Parameter::new("order", Rule::Choice(&["asc", "desc"])),
        Parameter::new("page", Rule::Text),
    ];

    fn query(pairs: &[(&str, &str)], cap: Option<usize>) -> Parameters {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Parameters::new(pairs, RULES, cap).unwrap()
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
        let query = query(&[("after", "id_1"), ("limit", "2")], None);
        let Json(page) = by_id(entries(&[1]), &query).unwrap();
        assert_eq!(page["first_id"], "id_2");
        assert_eq!(page["last_id"], "id_3");
        assert_eq!(page["has_more"], true);
    }

    #[test]
    fn the_page_before_a_cursor_ends_at_it() {
        let query = query(&[("before", "id_3"), ("limit", "2")], None);
        let Json(page) = by_id(entries(&[]), &query).unwrap();
        assert_eq!((&page["first_id"], &page["last_id"]), (&json!("id_1"), &json!("id_2")));
        assert_eq!(page["has_more"], true);
    }

    #[test]
    fn next_is_null_on_the_last_page() {
        let Json(page) = by_next(entries(&[]), &query(&[], Some(3))).unwrap();
        assert_eq!(page["next"], "id_2");
        let Json(page) = by_next(entries(&[]), &query(&[("after", "id_2")], Some(3))).unwrap();
        assert_eq!((&page["next"], &page["has_more"]), (&Value::Null, &json!(false)));
    }

    #[test]
    fn an_unknown_cursor_is_refused() {
        for cursor in ["after", "before"] {
            assert!(by_id(entries(&[]), &query(&[(cursor, "id_9")], None)).is_err());
        }
        for page in ["page_40", "page_x", "40"] {
            assert!(buckets(0, 40, 10, &query(&[("page", page)], None), |_| Vec::new()).is_err());
        }
    }

    #[test]
    fn buckets_are_cut_at_the_width() {
        let pages = ["page_0", "page_20"].map(|page| {
            let query = query(&[("page", page), ("limit", "2")], None);
            buckets(5, 31, 10, &query, |start| vec![json!(start)]).unwrap().0
        });
        assert_eq!(pages[0]["next_page"], "page_20");
        assert_eq!(pages[1]["data"][1]["results"], json!([30]));
        assert_eq!((&pages[1]["has_more"], &pages[1]["next_page"]), (&json!(false), &Value::Null));
    }
}
