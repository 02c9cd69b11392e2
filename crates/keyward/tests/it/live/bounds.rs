//! When a key goes out of use: whatever the source does, whatever the clock does.

use std::time::Duration;

use keyward::{KeyPolicy, KeyUnavailable, LiveErrorKind, LiveKey, LoadErrorKind, danger};
use keyward_testkit::keys::{self, KeyRng};

use super::fixture::{Source, WallClock, after, in_use, pass, print_of, project, seconds, secret};

#[tokio::test(start_paused = true)]
async fn not_a_moment_after_its_expiry() {
    for (life, delay) in [(1, 0), (7, 0), (3_600, 0), (20, 1_000), (3_600, 1_000)] {
        let key = secret();
        let source = Source::of("");
        source.has_until(&key, life);
        let clock = WallClock::new();
        let live = LiveKey::project(source.clone(), KeyPolicy::standard())
            .with_clock(clock.clock())
            .load_within(Duration::MAX);
        let mut live = live.start().await.unwrap();
        // Also while a load is under way that does not end.
        source.takes(seconds(delay));
        let end = std::time::SystemTime::UNIX_EPOCH
            + seconds(u64::try_from(after(life).as_unix_seconds()).unwrap());
        live.changed().await.unwrap();
        assert_eq!(live.current().unwrap_err(), KeyUnavailable::Expired);
        let left = end.duration_since(clock.now()).expect("in time");
        assert!(left <= Duration::from_millis(501), "too early: {left:?}");
        let health = live.health();
        assert!(!health.is_ready());
        assert_eq!(health.in_use.unwrap_err(), KeyUnavailable::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn not_longer_without_news_than_the_bound() {
    let key = secret();
    let source = Source::of(&key);
    let live = project(&source).refresh_every(seconds(60)).stale_for(seconds(600));
    let mut live = live.start().await.unwrap();
    pass(3_000_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)), "the source confirms it");
    let confirmed = live.health().in_use.unwrap().confirmed;
    source.fails(LoadErrorKind::TimedOut);
    pass(590_000 - u64::try_from(confirmed.as_millis()).unwrap()).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
    pass(11_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Stale);
    live.changed().await.unwrap();
    // The same key is a key again once the source says so.
    source.has(&key);
    live.changed().await.unwrap();
    assert_eq!(in_use(&live), Some(print_of(&key)));
}

#[tokio::test(start_paused = true)]
async fn an_exception_that_closes_takes_its_key_out_of_use() {
    let legacy = keys::legacy_user_key(&mut KeyRng::from_entropy());
    let source = Source::of(&legacy);
    let exception = danger::AllowLegacyUserKey::new("a test", after(5_000)).unwrap();
    let policy = KeyPolicy::standard().allow_legacy_user_key(exception);
    let clock = WallClock::new();
    let live = LiveKey::project(source.clone(), policy).with_clock(clock.clock());
    let live = live.start().await.unwrap();
    pass(4_999_000).await;
    assert_eq!(in_use(&live), Some(print_of(&legacy)));
    pass(1_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::ExceptionClosed);
    pass(1_000_000).await;
    assert!(in_use(&live).is_none(), "it is refused from then on");
    // Another is admitted, and has no end.
    let new = secret();
    source.has(&new);
    pass(60_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert_eq!(live.health().in_use.unwrap().expires_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_noticed_within_a_minute() {
    let key = secret();
    let source = Source::of("");
    source.has_until(&key, 86_400);
    let clock = WallClock::new();
    let start = || {
        LiveKey::project(source.clone(), KeyPolicy::standard())
            .with_clock(clock.clock())
            .refresh_every(Duration::MAX)
            .stale_for(Duration::MAX)
            .start()
    };
    let live = start().await.unwrap();
    pass(100_000).await;
    clock.jump(86_400);
    pass(60_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Expired);

    // One that is set back does not prolong a life: the time that has passed counts too.
    let source = Source::of("");
    source.has_until(&key, 1_000);
    let clock = WallClock::new();
    let live = LiveKey::project(source.clone(), KeyPolicy::standard()).with_clock(clock.clock());
    let live = live.start().await.unwrap();
    source.fails(LoadErrorKind::Unreadable);
    clock.jump(-500_000);
    pass(999_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
    pass(1_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_gives_no_second_life_to_a_key_that_is_confirmed() {
    let legacy = keys::legacy_user_key(&mut KeyRng::from_entropy());
    let exception = danger::AllowLegacyUserKey::new("a test", after(1_000)).unwrap();
    let allows = KeyPolicy::standard().allow_legacy_user_key(exception);
    let expires = Source::of("");
    expires.has_until(&secret(), 1_000);
    for (source, policy, why) in [
        (expires, KeyPolicy::standard(), KeyUnavailable::Expired),
        (Source::of(&legacy), allows, KeyUnavailable::ExceptionClosed),
    ] {
        let clock = WallClock::new();
        let live = LiveKey::project(source.clone(), policy).with_clock(clock.clock());
        let live = live.refresh_every(seconds(10)).start().await.unwrap();
        let first = in_use(&live);
        pass(500_000).await;
        clock.jump(-500_000);
        pass(499_000).await;
        assert_eq!(in_use(&live), first, "{why:?}");
        pass(1_000).await;
        assert_eq!(live.current().unwrap_err(), why);
        // The source goes on saying that it has it.
        let loads = source.loads();
        pass(400_000).await;
        assert!(source.loads() > loads);
        assert_eq!(live.current().unwrap_err(), why);
        // One that was prolonged is another matter.
        let new = secret();
        source.has_until(&new, 3_000);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&new)));
        source.has_until(&new, 4_000);
        pass(3_000_000).await;
        assert_eq!(in_use(&live), Some(print_of(&new)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_confirmed_is_not_stale_though_the_policy_would_not_take_it_anew() {
    let key = secret();
    let source = Source::of("");
    source.has_until(&key, 20_000);
    let policy = KeyPolicy::standard().with_min_remaining_life(seconds(10_000));
    let live = LiveKey::project(source.clone(), policy).with_clock(WallClock::new().clock());
    let live = live.stale_for(seconds(600)).start().await.unwrap();
    pass(19_000_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
    let health = live.health();
    assert_eq!(health.last_error.unwrap().1.kind(), LiveErrorKind::Refused);
    assert!(health.in_use.unwrap().confirmed < seconds(600));
    // Nobody confirms it any more.
    source.fails(LoadErrorKind::Unreadable);
    pass(661_000).await;
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_while_its_source_is_looked_at_is_asked_for_again() {
    let key = secret();
    let source = Source::of(&key);
    source.looks(1);
    let live = project(&source).refresh_every(Duration::MAX).stale_for(seconds(600));
    let mut live = live.start().await.unwrap();
    source.looks_for(seconds(20));
    live.changed().await.unwrap();
    assert_eq!(live.current().unwrap_err(), KeyUnavailable::Stale);
    source.looks_for(Duration::ZERO);
    pass(30_000).await;
    assert_eq!(in_use(&live), Some(print_of(&key)));
}
