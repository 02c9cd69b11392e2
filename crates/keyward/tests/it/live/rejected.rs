//! What a 401 leads to.

use std::time::Duration;

use keyward::{LiveErrorKind, LiveKey, LoadErrorKind};

use super::fixture::{Source, in_use, pass, print_of, project, seconds, secret};

async fn started(source: &Source) -> LiveKey {
    project(source).reject_window(seconds(10)).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_source_is_asked_once_for_all_who_call() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = started(&source).await;
    source.takes(seconds(1));
    source.has(&new);
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (live, old) = (live.clone(), print_of(&old));
            tokio::spawn(async move { live.rejected(&old).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!((source.loads(), in_use(&live)), (2, Some(print_of(&new))));
    // A straggler, whose request was sent with the old key.
    assert!(live.rejected(&print_of(&old)).await);
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_another_key_is_left_in_peace() {
    let key = secret();
    let source = Source::of(&key);
    let live = started(&source).await;
    for _ in 0..100 {
        assert!(!live.rejected(&print_of(&key)).await);
        pass(90).await;
    }
    assert_eq!(source.loads(), 2, "9 seconds");
    assert_eq!(in_use(&live), Some(print_of(&key)), "a 401 can be a mistake");
    let health = live.health();
    assert!(health.in_use.unwrap().is_rejected);
    assert_eq!(health.last_error.unwrap().1.kind(), LiveErrorKind::Rejected);
    pass(2_000).await;
    assert!(!live.rejected(&print_of(&key)).await);
    let loads = source.loads();
    assert!((3..=4).contains(&loads), "{loads}: the next window");
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_the_source_is_asked_waits_for_the_answer() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = started(&source).await;
    source.takes(seconds(3));
    source.has(&new);
    let mut calls = Vec::new();
    for _ in 0..10 {
        let (live, old) = (live.clone(), print_of(&old));
        calls.push(tokio::spawn(async move { live.rejected(&old).await }));
        pass(250).await;
    }
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_changes_while_it_is_asked_is_asked_again() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    source.looks(0);
    let live = started(&source).await;
    source.takes(Duration::from_millis(100));
    // The new key is there. While it is read, the store forgets the old one.
    source.has(&new);
    let call = tokio::spawn({
        let (live, old) = (live.clone(), print_of(&old));
        async move { live.rejected(&old).await }
    });
    pass(50).await;
    assert_eq!((source.loads(), source.loads_ended()), (2, 1));
    source.looks(1);
    assert!(call.await.unwrap());
    assert_eq!((source.loads(), in_use(&live)), (3, Some(print_of(&new))));

    // One that is never quiet does not keep anybody waiting for ever.
    let changes = tokio::spawn({
        let source = source.clone();
        async move {
            for change in 2.. {
                source.looks(change);
                pass(20).await;
            }
        }
    });
    assert!(!live.rejected(&print_of(&new)).await);
    assert!(source.loads() <= 3 + 10, "{}", source.loads());
    changes.abort();
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_window_of_its_own() {
    let source = Source::of(&secret());
    let live = started(&source).await;
    for n in 1..10 {
        let (old, new) = (in_use(&live).unwrap(), secret());
        source.has(&new);
        assert!(live.rejected(&old).await, "one rotation after the other");
        assert_eq!((source.loads(), in_use(&live)), (1 + n, Some(print_of(&new))));
    }
    let last = in_use(&live).unwrap();
    for _ in 0..10 {
        assert!(!live.rejected(&last).await);
    }
    assert_eq!(source.loads(), 11, "as many loads as keys that the source has had");
}

#[tokio::test(start_paused = true)]
async fn a_newer_key_is_taken_up_without_another_401() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = started(&source).await;
    assert!(!live.rejected(&print_of(&old)).await);
    source.has(&new);
    pass(11_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)), "sooner than at the interval");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_just_after_a_load_is_had_at_its_first_401() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = started(&source).await;
    source.has(&new);
    // No load for a rejection was made yet, so the window is not open.
    assert!(live.rejected(&print_of(&old)).await);
    assert_eq!(in_use(&live), Some(print_of(&new)));

    // A load that was under way when the 401 came may have read the source before.
    let source = Source::of(&old);
    let live = project(&source).refresh_every(seconds(100)).start().await.unwrap();
    source.takes(seconds(5));
    while source.loads() < 2 {
        pass(1_000).await;
    }
    assert_eq!(source.loads_ended(), 1, "one is under way");
    let call = tokio::spawn({
        let (live, old) = (live.clone(), print_of(&old));
        async move { live.rejected(&old).await }
    });
    pass(5_000).await;
    source.has(&new);
    assert!(call.await.unwrap());
    assert_eq!(source.loads(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_rejected_never_comes_back() {
    let (first, second) = (secret(), secret());
    let source = Source::of(&first);
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    source.has(&second);
    assert!(live.rejected(&print_of(&first)).await);
    source.has(&first);
    pass(1_000_000).await;
    assert_eq!(in_use(&live), Some(print_of(&second)));
    assert_eq!(live.health().last_error.unwrap().1.kind(), LiveErrorKind::Rejected);

    // Not even when there is nothing else.
    source.has_until(&second, 2_000);
    pass(61_000).await;
    source.has(&first);
    pass(1_000_000).await;
    assert_eq!(in_use(&live), None);

    // A 401 that comes late counts as well.
    let third = secret();
    source.has(&third);
    pass(61_000).await;
    assert_eq!(in_use(&live), Some(print_of(&third)));
    assert!(live.rejected(&print_of(&second)).await);
    source.has(&second);
    pass(61_000).await;
    assert_eq!(in_use(&live), Some(print_of(&third)));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_only_may_come_back() {
    let (first, second) = (secret(), secret());
    let source = Source::of(&first);
    let live = project(&source).refresh_every(seconds(10)).start().await.unwrap();
    for key in [&second, &first, &second] {
        source.has(key);
        pass(11_000).await;
        assert_eq!(in_use(&live), Some(print_of(key)), "an operator rolls back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_never_handed_out_costs_nothing() {
    let key = secret();
    let source = Source::of(&key);
    let live = started(&source).await;
    for _ in 0..1_000 {
        assert!(live.rejected(&print_of(&secret())).await, "another is in use");
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_answers_no() {
    let (key, new) = (secret(), secret());
    let source = Source::of(&key);
    let live = started(&source).await;
    source.fails(LoadErrorKind::Unreadable);
    assert!(!live.rejected(&print_of(&key)).await);
    assert_eq!(in_use(&live), Some(print_of(&key)));
    source.has(&new);
    pass(30_000).await;
    assert_eq!(in_use(&live), Some(print_of(&new)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_the_load_to_the_others() {
    let (old, new) = (secret(), secret());
    let source = Source::of(&old);
    let live = started(&source).await;
    source.takes(seconds(2));
    source.has(&new);
    let old = print_of(&old);
    let given_up = tokio::time::timeout(seconds(1), live.rejected(&old));
    let (given_up, patient) = tokio::join!(given_up, live.rejected(&old));
    assert!(given_up.is_err() && patient);
    assert_eq!(source.loads(), 2);
}
