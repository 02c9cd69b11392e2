//! When a key is loaded anew, and what replaces what.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyward::{
    AdmitContext, ApiKey, KeyFingerprint, KeyLoader, KeyPolicy, KeySource, KeyUnavailable,
    LiveErrorKind, LiveKey, LoadError, LoadErrorKind, LoadedKey, Refusal, Timestamp,
};
use keyward_testkit::keys::{self, KeyRng};
use tokio::time::Instant;

use super::fixture::{
    Answer, NOW, Source, WallClock, in_use, pass, print_of, project, seconds, secret,
};

#[tokio::test(start_paused = true)]
async fn nothing_is_loaded_before_the_start() {
    let key = secret();
    let source = Source::of(&key);
    let builder = project(&source);
    pass(1_000_000).await;
    assert_eq!(source.loads(), 0);
    let start = builder.start();
    pass(1_000_000).await;
    assert_eq!(source.loads(), 0, "a future does nothing until it is polled");
    let live = start.await.unwrap();
    assert_eq!((source.loads(), in_use(&live)), (1, Some(print_of(&key))));
    let health = live.health();
    assert!(health.is_ready() && health.last_error.is_none());
    let key = health.in_use.unwrap();
    assert_eq!(key.source.to_string(), "scripted:source");
    assert_eq!((key.age, key.expires_at, key.is_rejected), (Duration::ZERO, None, false));
}

#[tokio::test(start_paused = true)]
async fn a_start_without_a_key_tells_why() {
    let key = secret();
    let source = Source::new(Answer::Fails(LoadErrorKind::NotFound));
    let error = project(&source).start().await.unwrap_err();
    assert_eq!(error.kind(), LiveErrorKind::Load(LoadErrorKind::NotFound));
    assert!(error.load_error().is_some());
    assert_eq!(error.to_string(), "scripted:source: it failed; mend it");

    source.has_until(&key, -1);
    let error = project(&source).start().await.unwrap_err();
    assert_eq!(error.kind(), LiveErrorKind::Refused);
    assert!(matches!(error.refusal(), Some(Refusal::Expired { .. })), "{error}");

    source.has(&keys::admin_key(&mut KeyRng::from_entropy()));
    let error = project(&source).start().await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::Kind { .. })), "{error}");

    source.takes(seconds(40));
    let begun = Instant::now();
    let error = project(&source).load_within(seconds(3)).start().await.unwrap_err();
    assert_eq!(error.kind(), LiveErrorKind::Load(LoadErrorKind::TimedOut));
    assert_eq!(begun.elapsed(), seconds(3));
    assert!(!source.is_held());
}

#[test]
fn a_start_without_a_runtime_is_told() {
    let source = Source::of(&secret());
    let policy = KeyPolicy::standard();
    let start = LiveKey::project(source.clone(), policy).start();
    let error = crate::fixture::ready(start).unwrap_err();
    assert_eq!((error.kind(), source.loads()), (LiveErrorKind::NoRuntime, 0));
}

#[tokio::test(start_paused = true)]
async fn an_admin_key_has_a_handle_of_its_own() {
    let text = keys::admin_key(&mut KeyRng::from_entropy());
    let source = Source::of(&text);
    let live = LiveKey::admin(source.clone(), KeyPolicy::admin()).start().await.unwrap();
    // The type is the Admin API client's.
    let key: keyward::AdminKey = live.current().unwrap().clone();
    assert_eq!(key.fingerprint(), print_of(&text));
    source.has(&secret());
    let error = LiveKey::admin(source, KeyPolicy::admin()).start().await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::Kind { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn is_loaded_anew_at_an_interval() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = project(&source).refresh_every(seconds(100)).start().await.unwrap();
    pass(89_000).await;
    assert_eq!(source.loads(), 1);
    source.has(&new);
    pass(12_000).await;
    assert_eq!((source.loads(), in_use(&live)), (2, Some(print_of(&new))));
    pass(1_000_000).await;
    let loads = source.loads();
    assert!((12..=14).contains(&loads), "{loads}");

    let source = Source::of(&old);
    let _live =
        project(&source).refresh_every(Duration::MAX).stale_for(Duration::MAX).start().await;
    pass(100_000_000).await;
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn is_loaded_anew_ahead_of_its_expiry() {
    // The life, how long ahead, and when the load may be, in thousandths of a second.
    let cases = [
        (3_600, 300, 2_969_000, 3_300_000),
        (3_600, 60, 3_185_000, 3_540_000),
        // Not before four fifths of its life are over, which ends half a second before its expiry.
        (1_800, 300, 1_439_600, 1_500_000),
        (100, 300, 79_600, 81_600),
        (5, 300, 3_600, 3_700),
    ];
    for (life, ahead, earliest, latest) in cases.into_iter().flat_map(|case| [case; 10]) {
        let source = Source::of("");
        source.has_until(&secret(), life);
        let builder = project(&source).refresh_every(Duration::MAX);
        let mut live = builder.refresh_ahead(seconds(ahead)).start().await.unwrap();
        let (begun, new) = (Instant::now(), secret());
        source.has_until(&new, 2 * life);
        live.changed().await.unwrap();
        let at = begun.elapsed();
        assert!((earliest..=latest).contains(&at.as_millis()), "{life}: {at:?}");
        assert_eq!(in_use(&live), Some(print_of(&new)));
        assert_eq!(source.loads(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_does_not_ask_at_once() {
    for life in [3_600, 100] {
        let mut moments = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let source = Source::of("");
            source.has_until(&secret(), life);
            let mut live = project(&source).start().await.unwrap();
            let begun = Instant::now();
            source.has(&secret());
            live.changed().await.unwrap();
            moments.insert(begun.elapsed().as_millis());
        }
        assert!(moments.len() > 10, "{life}: {moments:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_replaced_in_time_is_asked_for_again_but_not_all_the_time() {
    let source = Source::of("");
    let key = secret();
    source.has_until(&key, 3_600);
    let live = project(&source).refresh_every(Duration::MAX).start().await.unwrap();
    pass(3_590_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
    let loads = source.loads();
    assert!((4..=30).contains(&loads), "{loads}");
    pass(11_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Expired);
    // It recovers by itself.
    let new = secret();
    source.has_until(&new, 10_000);
    pass(60_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert!(live.health().last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_is_asked_less_and_less() {
    let key = secret();
    let source = Source::of(&key);
    let live = project(&source).refresh_every(seconds(300)).start().await.unwrap();
    source.fails(LoadErrorKind::Unreadable);
    pass(301_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)), "an outage of the source is none of ours");
    let health = live.health();
    assert_eq!(health.failures, u32::try_from(source.loads() - 1).unwrap());
    let (at, error) = health.last_error.unwrap();
    assert_eq!(error.kind(), LiveErrorKind::Load(LoadErrorKind::Unreadable));
    assert!(at > NOW);
    let before = source.loads();
    pass(3_600_000).await;
    let loads = source.loads() - before;
    assert!((60..=85).contains(&loads), "{loads} in an hour: once a minute, up to a fifth sooner");

    let new = secret();
    source.has(&new);
    pass(60_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert_eq!(live.health().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_policy_refuses_does_not_replace_one_that_it_admits() {
    let key = secret();
    let source = Source::of(&key);
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    let mut rng = KeyRng::from_entropy();
    for wrong in [keys::admin_key(&mut rng), keys::legacy_user_key(&mut rng)] {
        source.has(&wrong);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&key)));
        let (_, error) = live.health().last_error.unwrap();
        assert_eq!(error.kind(), LiveErrorKind::Refused);
        assert!(error.to_string().contains(&print_of(&wrong).to_string()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_little_life_is_told_and_the_key_used_to_its_end() {
    let key = secret();
    let source = Source::of("");
    source.has_until(&key, 3_600);
    let policy = KeyPolicy::standard().with_min_remaining_life(seconds(1_800));
    let clock = WallClock::new();
    let live = LiveKey::project(source.clone(), policy).with_clock(clock.clock());
    let live = live.start().await.unwrap();
    pass(3_000_000).await;
    let (_, error) = live.health().last_error.unwrap();
    assert!(matches!(error.refusal(), Some(Refusal::TooLittleLife { .. })), "{error}");
    assert_eq!(in_use(&live), Some(print_of(&key)));
    pass(600_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Expired);
}

#[tokio::test(start_paused = true)]
async fn no_change_between_two_calls_is_missed() {
    let source = Source::of(&secret());
    let mut live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    let mut other = live.clone();
    for _ in 0..3 {
        let new = secret();
        source.has(&new);
        // It happens while nobody waits.
        pass(11_000).await;
        live.changed().await.unwrap();
        assert_eq!(in_use(&live), Some(print_of(&new)));
    }
    other.changed().await.unwrap();
    let nothing = tokio::time::timeout(seconds(1_000), other.changed()).await;
    assert!(nothing.is_err(), "the same key again is no change");
}

#[tokio::test(start_paused = true)]
async fn a_guard_outlives_the_key_s_use() {
    let key = secret();
    let source = Source::of(&key);
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    let guard = live.current().unwrap();
    source.has(&secret());
    pass(11_000).await;
    assert_ne!(in_use(&live), Some(print_of(&key)));
    assert_eq!(guard.fingerprint(), print_of(&key));
    let admitted = ApiKey::parse(key).unwrap();
    let admitted = KeyPolicy::standard().admit(&admitted, &AdmitContext::at(NOW)).unwrap();
    assert_eq!(*guard, admitted.into_project_key().unwrap());
}

/// A source whose every load yields another token, or the same one for ever.
struct Issuer {
    tokens: Vec<String>,
    loads: AtomicUsize,
    clock: WallClock,
}

impl KeyLoader for &'static Issuer {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let n = self.loads.fetch_add(1, Ordering::SeqCst).min(self.tokens.len() - 1);
        let now = Timestamp::from(self.clock.now());
        let key = ApiKey::access_token(self.tokens[n].clone()).unwrap();
        Ok(LoadedKey::new(key, self.source())
            .expires_at(now.saturating_add(seconds(3600)))
            .refresh_at(now.saturating_add(seconds(2400))))
    }

    fn source(&self) -> KeySource {
        KeySource::new("issuer", "tokens")
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_when_is_asked_then() {
    let mut rng = KeyRng::from_entropy();
    let tokens = (0..3).map(|_| rng.alphanumeric(120)).collect();
    let issuer = Issuer { tokens, loads: AtomicUsize::new(0), clock: WallClock::new() };
    let issuer: &'static Issuer = Box::leak(Box::new(issuer));
    let live = LiveKey::project(issuer, KeyPolicy::production()).with_clock(issuer.clock.clock());
    let live = live.start().await.unwrap();
    let loads = || issuer.loads.load(Ordering::SeqCst);
    // Neither every five minutes nor five minutes ahead, and up to a tenth sooner.
    pass(2_159_000).await;
    assert_eq!((loads(), in_use(&live)), (1, Some(print_of_token(&issuer.tokens[0]))));
    pass(242_000).await;
    assert_eq!((loads(), in_use(&live)), (2, Some(print_of_token(&issuer.tokens[1]))));
    // A 401 brings another at once.
    assert!(live.rejected(&print_of_token(&issuer.tokens[1])).await);
    assert_eq!((loads(), in_use(&live)), (3, Some(print_of_token(&issuer.tokens[2]))));
    assert!(live.health().is_ready());
}

fn print_of_token(token: &str) -> KeyFingerprint {
    ApiKey::access_token(token.to_owned()).unwrap().fingerprint()
}
