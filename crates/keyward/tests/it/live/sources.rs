//! A handle over a chain: a withdrawn key does not give way to an old one.

use std::time::Duration;

use keyward::{
    KeyLoader as _, KeyPolicy, LiveErrorKind, LiveKey, LiveKeyBuilder, LoadErrorKind, LoaderChain,
};

use super::fixture::{Answer, Source, WallClock, in_use, pass, print_of, seconds, secret};

fn over(chain: LoaderChain) -> LiveKeyBuilder {
    LiveKey::project(chain, KeyPolicy::standard())
        .with_clock(WallClock::new().clock())
        .refresh_every(seconds(10))
}

fn nothing() -> Source {
    Source::new(Answer::Fails(LoadErrorKind::NotFound))
}

#[tokio::test(start_paused = true)]
async fn an_old_key_does_not_come_back_when_a_newer_one_is_withdrawn() {
    for (withdrawn, optional) in [
        (LoadErrorKind::NotFound, false),
        (LoadErrorKind::NotConfigured, false),
        // Somebody declared it optional at the start; that is not "take whatever is behind it".
        (LoadErrorKind::Unreadable, true),
        (LoadErrorKind::Insecure, true),
    ] {
        let (new, old) = (secret(), secret());
        let (first, second) = (Source::of(&new), Source::of(&old));
        let chain = LoaderChain::first("vault", first.clone());
        let chain = if optional { chain.optional() } else { chain };
        let live = over(chain.then("env", second.clone())).start().await.unwrap();
        assert_eq!(in_use(&live), Some(print_of(&new)));
        first.fails(withdrawn);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&new)));
        let (_, error) = live.health().last_error.unwrap();
        assert_eq!(error.kind(), LiveErrorKind::FallBack);
        assert!(error.to_string().contains("allow_fall_back"), "{error}");
        // Not for a 401 either.
        assert!(!live.rejected(&print_of(&new)).await);
        assert_eq!(in_use(&live), Some(print_of(&new)));
        // The first source has a key again.
        let newest = secret();
        first.has(&newest);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&newest)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_key_stays_away_until_the_bound_and_after_it() {
    let (new, old) = (secret(), secret());
    let (first, second) = (Source::of(&new), Source::of(&old));
    let chain = LoaderChain::first("vault", first.clone()).then("env", second);
    let live = over(chain).stale_for(seconds(600)).start().await.unwrap();
    first.fails(LoadErrorKind::NotFound);
    pass(590_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    pass(1_000_000).await;
    assert_eq!(in_use(&live), None);
}

#[tokio::test(start_paused = true)]
async fn a_source_of_a_chain_that_fails_gives_way_to_none() {
    let (new, old) = (secret(), secret());
    let (first, second) = (Source::of(&new), Source::of(&old));
    let chain = LoaderChain::first("vault", first.clone()).then("env", second.clone());
    // Also where falling back is allowed: a failure is not "nothing".
    let live = over(chain).allow_fall_back().start().await.unwrap();
    first.fails(LoadErrorKind::TimedOut);
    pass(61_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert_eq!(second.loads(), 0);
    let health = live.health();
    assert_eq!(health.attempts.len(), 1, "{:?}", health.attempts);
}

#[tokio::test(start_paused = true)]
async fn falling_back_is_told_where_it_is_allowed() {
    let (new, old) = (secret(), secret());
    let (first, second) = (Source::of(&new), Source::of(&old));
    let chain = LoaderChain::first("vault", first.clone()).then("env", second.clone());
    let live = over(chain).allow_fall_back().start().await.unwrap();
    assert!(!live.health().in_use.unwrap().is_fall_back);
    first.fails(LoadErrorKind::NotFound);
    pass(22_000).await;
    assert_eq!(in_use(&live), Some(print_of(&old)));
    let health = live.health();
    assert!(health.in_use.unwrap().is_fall_back);
    assert!(health.last_error.is_none());
    assert_eq!(health.attempts.len(), 2);

    // A key that was rejected does not come back by this door either.
    first.has(&new);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert!(live.rejected(&print_of(&old)).await, "a 401 that comes late");
    first.fails(LoadErrorKind::NotFound);
    pass(61_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    assert_eq!(live.health().last_error.unwrap().1.kind(), LiveErrorKind::Rejected);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_source_that_comes_to_have_a_key_wins_and_stays() {
    let (first, second) = (nothing(), Source::of(&secret()));
    let chain = LoaderChain::first("vault", first.clone()).then("env", second.clone());
    let live = over(chain).start().await.unwrap();
    let new = secret();
    // A replacement in the later source is one, as long as it is the one in use.
    second.has(&new);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
    let first_key = secret();
    first.has(&first_key);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&first_key)));
    first.fails(LoadErrorKind::NotFound);
    pass(61_000).await;
    assert_eq!(in_use(&live), Some(print_of(&first_key)));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_in_a_later_source_is_confirmed_there_but_makes_it_no_first() {
    for allowed in [false, true] {
        let key = secret();
        let (first, second) = (Source::of(&key), Source::of(&key));
        let chain = LoaderChain::first("vault", first.clone()).then("env", second.clone());
        let live = over(chain);
        let live = if allowed { live.allow_fall_back() } else { live };
        let live = live.start().await.unwrap();
        first.fails(LoadErrorKind::NotFound);
        pass(61_000).await;
        let health = live.health();
        assert!(health.last_error.is_none());
        let in_use_now = health.in_use.unwrap();
        assert!(in_use_now.confirmed <= seconds(10));
        assert!(!in_use_now.is_fall_back);
        // Another key there is a fall-back all the same.
        let old = secret();
        second.has(&old);
        pass(61_000).await;
        let health = live.health();
        if allowed {
            assert_eq!(in_use(&live), Some(print_of(&old)));
            assert!(health.in_use.unwrap().is_fall_back);
        } else {
            assert_eq!(in_use(&live), Some(print_of(&key)));
            assert_eq!(health.last_error.unwrap().1.kind(), LiveErrorKind::FallBack);
        }
        // The first source has one again.
        let newest = secret();
        first.has(&newest);
        pass(61_000).await;
        assert_eq!(in_use(&live), Some(print_of(&newest)));
    }
}

#[tokio::test(start_paused = true)]
async fn places_in_inner_chains_are_told_apart() {
    let (a, b, c) = (nothing(), Source::of(&secret()), Source::of(&secret()));
    let inner = LoaderChain::first("a", a.clone()).optional().then("b", b.clone());
    // The inner chain is one attempt when it is slow, and two when it is not.
    let chain = LoaderChain::first("inner", inner).optional().within(seconds(5));
    let chain = chain.then("c", c.clone());
    let live = over(chain).start().await.unwrap();
    let used = in_use(&live);
    b.takes(seconds(7));
    pass(100_000).await;
    assert_eq!(in_use(&live), used);
    assert_eq!(live.health().last_error.unwrap().1.kind(), LiveErrorKind::FallBack);
    b.takes(seconds(0));
    let new = secret();
    a.has(&new);
    pass(100_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
}

#[tokio::test(start_paused = true)]
async fn keys_behind_the_one_in_use_are_told_if_wanted() {
    let (first, second) = (Source::of(&secret()), Source::of(&secret()));
    let chain = LoaderChain::first("vault", first).then("env", second.clone()).report_shadowed();
    let live = over(chain).start().await.unwrap();
    let told = |live: &LiveKey| live.health().attempts.last().unwrap().to_string();
    assert!(told(&live).ends_with("has another key, which is not used"), "{}", told(&live));
    second.fails(LoadErrorKind::NotFound);
    pass(11_000).await;
    assert_eq!(live.health().attempts.len(), 1);
}

/// A mount behind the source in use is dead, from the start or from some time on.
#[tokio::test(start_paused = true)]
async fn a_later_source_that_hangs_holds_up_neither_the_start_nor_a_replacement() {
    for (hangs_from_the_start, is_inner) in
        [(true, false), (true, true), (false, false), (false, true)]
    {
        let (first, dead) = (Source::of(&secret()), Source::of(&secret()));
        first.looks(1);
        dead.looks(1);
        let hang = || dead.looks_for(seconds(1_000_000));
        if hangs_from_the_start {
            hang();
        }
        let chain = LoaderChain::first("vault", first.clone()).then("mount", dead.clone());
        let chain = if is_inner { LoaderChain::first("inner", chain) } else { chain };
        let begun = tokio::time::Instant::now();
        let live = over(chain).refresh_every(Duration::MAX).start().await.unwrap();
        assert!(begun.elapsed() <= seconds(2), "{:?}", begun.elapsed());
        pass(1_000).await;
        hang();
        pass(100_000).await;
        assert_eq!(first.loads(), 1, "nothing has changed");

        let new = secret();
        first.has(&new);
        first.looks(2);
        pass(10_000).await;
        assert_eq!((first.loads(), in_use(&live)), (2, Some(print_of(&new))));
        // When the mount is back, it is looked at.
        dead.looks_for(Duration::ZERO);
        pass(10_000).await;
        let before = first.loads();
        dead.looks(2);
        pass(1_000).await;
        assert_eq!(first.loads(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_chain_keeps_to_the_limits_of_the_chain() {
    let (quick, slow) = (Source::of(&secret()), Source::of(&secret()));
    quick.looks(1);
    slow.looks(1);
    slow.looks_for(seconds(1_000_000));
    let chain = || LoaderChain::first("quick", quick.clone()).then("slow", slow.clone());
    for (chain, limit) in [
        (chain(), 1_000),
        (chain().within(seconds(5)), 1_000),
        (chain().within(Duration::from_millis(300)), 300),
        (chain().deadline(Duration::from_millis(200)).within(seconds(5)), 200),
        (chain().then("another", slow.clone()), 1_000),
    ] {
        let begun = tokio::time::Instant::now();
        assert!(chain.signature().await.is_some());
        assert_eq!(begun.elapsed(), Duration::from_millis(limit));
    }
}
