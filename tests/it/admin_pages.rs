//! Listings: whole or an error, page by page, and never without an end.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use keyward_admin::{ErrorKind, Event, NewProject, Pacing};
use keyward_testkit::{FakeOpenAi, Fault, FaultAction};

use crate::fixture::{Organization, runtime};

const PROJECTS: &str = "/organization/projects";

async fn with_projects(n: usize, page: usize) -> Organization {
    let fake = FakeOpenAi::builder().page_size_limit(page).start().await.expect("a fake");
    let org = Organization::of(fake);
    for n in 1..n {
        org.fake.seed_project(&format!("project {n}"));
    }
    org
}

#[tokio::test]
async fn a_listing_has_every_item_once() {
    for (n, page, requests) in [(1, 10, 1), (10, 10, 1), (11, 10, 2), (57, 10, 6)] {
        let org = with_projects(n, page).await;
        let all = org.client().projects().list().all().await.expect("a listing");
        let ids: BTreeSet<_> = all.iter().map(|p| p.id.clone()).collect();
        assert_eq!((all.len(), ids.len()), (n, n));
        assert_eq!(org.fake.count("GET", PROJECTS), requests, "{n} by {page}");
    }
}

#[tokio::test]
async fn a_listing_is_a_stream_that_fetches_as_it_is_read() {
    let org = with_projects(50, 10).await;
    let client = org.client();
    let pages = client.projects().list();
    assert!(org.fake.requests().is_empty(), "nothing is sent before an item is asked for");
    let first: Vec<_> = pin!(pages).take(15).collect().await;
    assert_eq!(first.into_iter().filter(Result::is_ok).count(), 15);
    assert_eq!(org.fake.count("GET", PROJECTS), 2);
}

#[tokio::test]
async fn a_cursor_that_comes_again_ends_the_listing_with_an_error() {
    let org = with_projects(50, 10).await;
    org.fake.fault(Fault::on("GET", PROJECTS).always().then(FaultAction::RepeatedCursor));
    let mut pages = org.client().projects().list();
    let mut items = 0;
    let error = loop {
        match pages.next().await.expect("an error comes before the end") {
            Ok(_) => items += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Paging, "{error}");
    assert!(items >= 10, "what came before the error is not lost");
    assert!(pages.next().await.is_none());
    assert!(org.fake.count("GET", PROJECTS) <= 3);
}

#[tokio::test]
async fn half_a_listing_is_an_error() {
    let org = with_projects(30, 10).await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    org.fake
        .fault(Fault::on("GET", PROJECTS).after(1).then(FaultAction::StatusBefore { code: 500 }));
    assert_eq!(client.projects().list().all().await.expect_err("half").kind(), ErrorKind::Server);
}

#[tokio::test]
async fn what_was_made_is_listed() {
    let org = with_projects(1, 10).await;
    let client = org.client();
    let made = client.projects().create(NewProject::new("made")).await.expect("a project");
    let found = client.projects().reconcile("made").await.expect("a listing");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, made.id);
}

#[tokio::test]
async fn a_listing_can_be_read_by_pages() {
    let org = with_projects(25, 10).await;
    let mut pages = org.client().projects().list();
    let mut seen = Vec::new();
    while let Some(page) = pages.next_page().await {
        let page = page.expect("a page");
        seen.push((page.items.len(), page.has_more));
    }
    assert_eq!(seen, [(10, true), (10, true), (5, false)]);
}

#[tokio::test]
async fn prefetching_is_one_page_ahead_and_no_more() {
    let org = with_projects(50, 10).await;
    let mut pages = org.client().projects().list().prefetch();
    let mut items = 0;
    for (read, fetched) in [(1, 1), (2, 2), (9, 2), (11, 2), (12, 3), (50, 5)] {
        while items < read {
            pages.next().await.expect("an item").expect("a project");
            items += 1;
        }
        // What was asked for ahead arrives when it arrives.
        for _ in 0..200 {
            if org.fake.count("GET", PROJECTS) >= fetched {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(org.fake.count("GET", PROJECTS), fetched, "after {read} items");
    }
    assert!(pages.next().await.is_none());
}

#[tokio::test]
async fn a_page_fetched_ahead_holds_up_no_other() {
    let org = with_projects(40, 10).await;
    let pacing = Pacing::new().max_in_flight(1);
    let client = org.builder().pacing(pacing).build().expect("a client");
    let mut one = client.projects().list().prefetch();
    let mut other = client.projects().list().prefetch();
    let in_turn = async {
        for _ in 0..40 {
            one.next().await.expect("an item").expect("a project");
            other.next().await.expect("an item").expect("a project");
        }
        assert!(one.next().await.is_none() && other.next().await.is_none());
    };
    tokio::time::timeout(Duration::from_secs(60), in_turn).await.expect("neither waits for ever");
}

#[tokio::test]
async fn a_page_fetched_ahead_is_in_time_however_long_the_caller_works() {
    let org = with_projects(20, 10).await;
    let timeout = Duration::from_secs(2);
    let client = org.builder().max_attempts(1).timeout(timeout).build().expect("a client");
    let mut projects = client.projects().list().prefetch();
    for _ in 0..2 {
        projects.next().await.expect("an item").expect("a project");
    }
    tokio::time::sleep(timeout + Duration::from_millis(500)).await;
    assert_eq!(projects.all().await.expect("the rest").len(), 18);
}

#[test]
fn a_page_fetched_ahead_on_a_runtime_that_ended_is_an_error() {
    let servers = runtime();
    let org = servers.block_on(with_projects(20, 10));
    let hang = FaultAction::Hang { duration: Duration::from_secs(60), after_effect: false };
    org.fake.fault(Fault::on("GET", PROJECTS).after(1).then(hang));
    let mut projects = org.client().projects().list().prefetch();
    let first = runtime();
    for _ in 0..2 {
        first.block_on(projects.next()).expect("an item").expect("a project");
    }
    drop(first);
    let rest = runtime().block_on(projects.all());
    assert_eq!(rest.expect_err("half a listing").kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn an_error_comes_after_what_was_read_before_it() {
    let org = with_projects(30, 10).await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    for prefetch in [false, true] {
        org.fake.clear_faults();
        org.fake.fault(
            Fault::on("GET", PROJECTS).after(1).then(FaultAction::StatusBefore { code: 500 }),
        );
        let mut pages = client.projects().list();
        if prefetch {
            pages = pages.prefetch();
        }
        for _ in 0..10 {
            pages.next().await.expect("an item").expect("a project");
        }
        assert_eq!(
            pages.next().await.expect("an error").expect_err("it").kind(),
            ErrorKind::Server
        );
        assert!(pages.next().await.is_none());
    }
}

#[tokio::test]
async fn a_listing_has_as_many_pages_as_are_allowed() {
    let org = with_projects(30, 10).await;
    let client = org.client();
    assert_eq!(client.projects().list().max_pages(3).all().await.expect("three pages").len(), 30);
    let error = client.projects().list().max_pages(2).all().await.expect_err("three pages");
    assert_eq!(error.kind(), ErrorKind::Paging, "{error}");
}

#[tokio::test]
async fn one_observer_is_told_the_pages_and_the_waits() {
    let org = with_projects(25, 10).await;
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let pacing =
        Pacing::new().observer(move |event| seen.lock().expect("a lock").push(event.to_string()));
    let client = org.builder().pacing(pacing).build().expect("a client");
    let code = "rate_limit_exceeded".to_owned();
    let throttle = FaultAction::Throttle { retry_after: Some(1), code };
    org.fake.fault(Fault::on("GET", PROJECTS).after(1).then(throttle));
    client.projects().list().all().await.expect("a listing");
    let keys = client.project(&org.project).api_keys().list();
    keys.all().await.expect("a listing");
    let events = events.lock().expect("a lock").clone();
    let told = |line: &str| events.iter().position(|event| event.starts_with(line));
    let order = [
        told("/organization/projects: page 1, 10 items so far"),
        told("GET /organization/projects: waiting 1.0 s, as the server asks"),
        told("/organization/projects: page 2, 20 items so far"),
        told("/organization/projects: page 3, 25 items so far"),
        told(&format!("/organization/projects/{}/api_keys: page 1, 0 items so far", org.project)),
    ];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?} of {events:?}");
}

#[tokio::test]
async fn an_observer_can_count() {
    let org = with_projects(25, 10).await;
    let events = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let pacing = Pacing::new().observer(move |event| {
        if let Event::Page { operation, page, items, has_more, .. } = event {
            let seen = &mut seen.lock().expect("a lock");
            seen.push((operation.path.to_string(), *page, *items, *has_more));
        }
    });
    let client = org.builder().pacing(pacing).build().expect("a client");
    client.projects().list().prefetch().all().await.expect("a listing");
    let path = || PROJECTS.to_owned();
    let expected = [(path(), 1, 10, true), (path(), 2, 20, true), (path(), 3, 25, false)];
    assert_eq!(*events.lock().expect("a lock"), expected);
}
