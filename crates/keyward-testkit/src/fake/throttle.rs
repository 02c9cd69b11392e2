//! A throttle as OpenAI's endpoints have been measured to have: a bucket of tokens each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Refuses what comes faster than its rate, apart for each operation.
#[derive(Debug)]
pub(super) struct Throttle {
    rate_per_second: f64,
    burst: f64,
    with_retry_after: bool,
    buckets: Mutex<HashMap<(String, String), Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Throttle {
    pub(super) fn new(rate_per_second: f64, burst: u32, with_retry_after: bool) -> Self {
        let burst = f64::from(burst);
        Self { rate_per_second, burst, with_retry_after, buckets: Mutex::default() }
    }

    /// Takes a token of an operation's bucket. The error is how long there will be none.
    pub(super) fn take(&self, method: &str, template: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry((method.to_owned(), template.to_owned()))
            .or_insert(Bucket { tokens: self.burst, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = self.burst.min(bucket.tokens + passed * self.rate_per_second);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.tokens) / self.rate_per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// The seconds of the `Retry-After` header, if there is to be one.
    pub(super) fn retry_after(&self, wait: Duration) -> Option<u64> {
        let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with_retry_after.then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_apart_from_others() {
        let throttle = Throttle::new(2.0, 3, true);
        let start = Instant::now();
        let taken = |path: &str, after: u64| {
            throttle.take("GET", path, start + Duration::from_millis(after)).is_ok()
        };
        assert_eq!(
            [taken("/a", 0), taken("/a", 0), taken("/a", 0), taken("/a", 0)],
            [true, true, true, false]
        );
        assert!(taken("/b", 0));
        assert!(!taken("/a", 400));
        assert!(taken("/a", 500));
        assert!(!taken("/a", 600));
        assert!([taken("/a", 60_000), taken("/a", 60_000), taken("/a", 60_000)].iter().all(|t| *t));
        assert!(!taken("/a", 60_000));
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds() {
        let throttle = Throttle::new(0.1, 1, true);
        let now = Instant::now();
        throttle.take("GET", "/a", now).unwrap();
        let wait = throttle.take("GET", "/a", now + Duration::from_millis(100)).unwrap_err();
        assert_eq!(throttle.retry_after(wait), Some(10));
        assert_eq!(Throttle::new(1.0, 1, false).retry_after(wait), None);
    }
}
