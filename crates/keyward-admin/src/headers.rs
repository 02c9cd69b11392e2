//! What an answer says in its headers, as far as a call goes by it.

use std::time::{Duration, SystemTime};

use keyward_core::{AdminKey, find};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::gate::Remaining;

/// `Retry-After` in seconds, or as a date, which is read against the answer's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let until = date(text)?;
    let now: SystemTime = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// How many requests the server says it still takes; of two limits, the smaller one.
pub(crate) fn requests_left(headers: &HeaderMap) -> Option<Remaining> {
    ["x-ratelimit-remaining-requests", "x-ratelimit-remaining", "ratelimit-remaining"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse().ok())
        .min()
        .map(Remaining)
}

/// Ids are for support tickets and logs; what has the shape of a key is none.
pub(crate) fn request_id(headers: &HeaderMap, key: &AdminKey) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let is_word = |text: &str| {
        (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let is_id = (is_uuid || id.strip_prefix("req_").is_some_and(is_word))
        && !find::contains_key(id)
        && !key.as_api_key().is_echoed_in(id);
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

    use super::retry_after;

    #[test]
    fn reads_retry_after_in_both_forms() {
        let date = "Fri, 20 Nov 2026 12:00:00 GMT";
        for (text, expected) in [
            ("7", Some(7_000)),
            (" 0 ", Some(0)),
            ("1.5", Some(1_500)),
            ("Fri, 20 Nov 2026 12:00:30 GMT", Some(30_000)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static(date));
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_millis), "{text}");
        }
    }
}
