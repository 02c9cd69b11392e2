//! Chains that go on past failures, and that do not wait for ever: `optional`, `within`, `deadline`.

use std::time::Duration;

use keyward::{
    ApiKey, AttemptOutcome, EnvLoader, Environment, KeyLoader, KeySource, LoadError, LoadErrorKind,
    LoadedKey, LoaderChain,
};

use crate::fixture::{assert_fails, assert_loads, load, load_everywhere, ready, secret};

/// A loader that does as it is told, after a while.
struct Slow(&'static str, u64, Result<String, LoadErrorKind>);

impl KeyLoader for Slow {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        if self.1 > 0 {
            tokio::time::sleep(Duration::from_millis(self.1)).await;
        }
        match &self.2 {
            Ok(text) => Ok(LoadedKey::new(ApiKey::parse(text.clone()).unwrap(), self.source())),
            Err(kind) => Err(LoadError::new(*kind, self.source(), "it failed", "mend it")),
        }
    }

    fn source(&self) -> KeySource {
        KeySource::new("slow", self.0)
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn outcomes(attempts: &[keyward::Attempt]) -> Vec<(&str, AttemptOutcome)> {
    attempts.iter().map(|a| (a.name(), a.outcome())).collect()
}

#[test]
fn an_optional_source_may_fail_and_is_told() {
    let key = secret();
    for kind in [LoadErrorKind::Insecure, LoadErrorKind::Invalid, LoadErrorKind::Unreadable] {
        let chain = || {
            LoaderChain::first("a", Slow("A", 0, Err(LoadErrorKind::NotFound)))
                .then("b", Slow("B", 0, Err(kind)))
                .optional()
        };
        for (_, result) in load_everywhere(&chain().then("c", Slow("C", 0, Ok(key.clone())))) {
            let loaded = assert_loads(result, &key, "slow:C");
            assert_eq!(
                outcomes(loaded.attempts()),
                [
                    ("a", AttemptOutcome::NotFound),
                    ("b", AttemptOutcome::Tolerated(kind)),
                    ("c", AttemptOutcome::Loaded),
                ]
            );
            let told = loaded.attempts()[1].to_string();
            assert_eq!(told, "`b` (slow:B): it failed, which is tolerated");
        }

        // Nobody knows whether there is a key, so an outer chain must not go on.
        let none = chain().then("c", Slow("C", 0, Err(LoadErrorKind::NotConfigured)));
        let error = assert_fails(load(&none), &key, kind, &[]);
        assert!(!error.is_not_found());
        assert_eq!(
            error.to_string(),
            "no source has a key: `a` (slow:A): it failed; `b` (slow:B): it failed, which is \
             tolerated; `c` (slow:C): it failed; mend it, or set another of them",
        );
        let outer = LoaderChain::first("inner", none).then("d", Slow("D", 0, Ok(key.clone())));
        let error = assert_fails(load(&outer), &key, kind, &[]);
        assert_eq!(error.attempts().len(), 3);

        // The one before the optional one is not.
        let strict = LoaderChain::first("a", Slow("A", 0, Err(kind)))
            .then("b", Slow("B", 0, Err(kind)))
            .optional()
            .then("c", Slow("C", 0, Ok(key.clone())));
        assert_eq!(load(&strict).unwrap_err().attempts().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_ends_in_its_own_time() {
    let key = secret();
    let slow = || LoaderChain::first("slow", Slow("S", 5_000, Ok(key.clone()))).within(SECOND);
    let begun = tokio::time::Instant::now();
    let error = slow().then("b", Slow("B", 0, Ok(key.clone()))).load().await;
    let error = assert_fails(error, &key, LoadErrorKind::TimedOut, &["no answer within 1s"]);
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(
        outcomes(error.attempts()),
        [("slow", AttemptOutcome::Failed(LoadErrorKind::TimedOut))]
    );

    let loaded = slow().optional().then("b", Slow("B", 0, Ok(key.clone()))).load().await;
    let loaded = assert_loads(loaded, &key, "slow:B");
    assert_eq!(loaded.attempts()[0].outcome(), AttemptOutcome::Tolerated(LoadErrorKind::TimedOut));

    let patient = LoaderChain::first("slow", Slow("S", 5_000, Ok(key.clone())));
    for limit in [Duration::from_secs(6), Duration::MAX] {
        let chain = LoaderChain::first("inner", slow().optional())
            .then("p", Slow("P", 5_000, Ok(key.clone())))
            .within(limit);
        // The inner chain has no key, and says so as what it is.
        assert_eq!(chain.load().await.unwrap_err().kind(), LoadErrorKind::TimedOut);
        assert_loads(patient.load().await, &key, "slow:S");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_ends_in_its_time_whatever_is_optional() {
    let key = secret();
    let chain = LoaderChain::first("a", Slow("A", 700, Err(LoadErrorKind::NotFound)))
        .then("b", Slow("B", 700, Err(LoadErrorKind::Unreadable)))
        .optional()
        .within(Duration::from_secs(60))
        .then("c", Slow("C", 0, Ok(key.clone())))
        .deadline(SECOND);
    let begun = tokio::time::Instant::now();
    let error = assert_fails(chain.load().await, &key, LoadErrorKind::TimedOut, &[]);
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(error.attempts().len(), 2, "`c` is not tried: {error}");

    // The sooner of the two counts, for each source anew.
    let chain = LoaderChain::first("a", Slow("A", 700, Err(LoadErrorKind::NotFound)))
        .within(Duration::from_millis(800))
        .then("b", Slow("B", 700, Ok(key.clone())))
        .within(Duration::from_millis(800))
        .deadline(2 * SECOND);
    assert_loads(chain.load().await, &key, "slow:B");
}

#[test]
fn a_limit_without_a_runtime_is_told() {
    let key = secret();
    let env = EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", key.clone())]));
    let chain = LoaderChain::first("env", env).deadline(SECOND);
    assert_fails(
        ready(chain.load()),
        &key,
        LoadErrorKind::Unreadable,
        &["no tokio runtime", "load within a tokio runtime"],
    );
}
