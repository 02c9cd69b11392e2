//! Listings of many projects at once: each project's items with the project, errors told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyward_admin::{ErrorKind, FanOut, ProjectApiKey, ProjectId};
use keyward_testkit::{FakeOpenAi, Fault, FaultAction, assert_no_leak};

use crate::fixture::{Organization, runtime, with_trace};

const KEYS: &str = "/organization/projects/{project_id}/api_keys";

/// Projects with as many keys as their number says, but for the first.
async fn with_keys(projects: usize, page: usize) -> (Organization, BTreeMap<ProjectId, usize>) {
    let fake = FakeOpenAi::builder().page_size_limit(page).start().await.expect("a fake");
    let org = Organization::of(fake);
    let mut expected = BTreeMap::from([(org.project.clone(), 0)]);
    for n in 1..projects {
        let project = org.fake.seed_project(&format!("project {n}"));
        let account = org.fake.seed_service_account(&project, "backend", "member");
        for _ in 0..n % 7 {
            org.fake.seed_service_account_key(&account);
        }
        expected.insert(project.into(), n % 7);
    }
    (org, expected)
}

fn keys(org: &Organization) -> FanOut<ProjectApiKey> {
    org.client().projects().each(|project| project.api_keys().list())
}

/// How many keys each project was told to have. Each comes once.
fn count(found: &[(ProjectId, ProjectApiKey)]) -> BTreeMap<ProjectId, usize> {
    let ids: BTreeSet<_> = found.iter().map(|(_, key)| &key.id).collect();
    assert_eq!(ids.len(), found.len(), "a key came twice");
    let mut counts = BTreeMap::new();
    for (project, _) in found {
        *counts.entry(project.clone()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn every_key_of_every_project_comes_once() {
    for (projects, page, in_flight) in [(1, 3, 8), (30, 3, 1), (30, 3, 8), (30, 100, 64)] {
        let (org, mut expected) = with_keys(projects, page).await;
        let found = keys(&org).in_flight(in_flight).all().await.expect("keys");
        let ids: Vec<_> = expected.keys().cloned().collect();
        expected.retain(|_, keys| *keys > 0);
        assert_eq!(count(&found), expected, "{projects} {page} {in_flight}");
        // In the server's order within a project.
        for id in ids {
            let listed = org.client().project(&id).api_keys().list().all().await.expect("keys");
            let of_it = found.iter().filter(|(project, _)| *project == id);
            assert!(of_it.map(|(_, key)| &key.id).eq(listed.iter().map(|key| &key.id)));
        }
    }
}

#[tokio::test]
async fn an_error_of_one_project_is_told_with_it_and_ends_no_other() {
    let (org, mut expected) = with_keys(12, 3).await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    let nowhere = ProjectId::from("proj_nowhere");
    let ids = expected.keys().cloned().chain([nowhere.clone()]);
    let mut all = client.projects().each_of(ids, |project| project.api_keys().list());
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    while let Some(item) = all.next().await {
        match item {
            Ok(item) => found.push(item),
            Err(error) => errors.push(error),
        }
    }
    expected.retain(|_, keys| *keys > 0);
    assert_eq!(count(&found), expected);
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(error.project(), Some(&nowhere));
    assert!(error.error().is_not_found() && error.to_string().starts_with("proj_nowhere: "));

    let ids = [nowhere];
    let error = client.projects().each_of(ids, |project| project.api_keys().list()).all().await;
    assert!(error.expect_err("no such project").into_error().is_not_found());
}

#[tokio::test]
async fn a_second_page_that_fails_is_an_error_after_the_first() {
    let (org, _) = with_keys(7, 2).await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    let ids: Vec<_> = client.projects().list().all().await.expect("projects");
    // It has six keys, on three pages.
    let last = ids.into_iter().find(|p| p.name.as_deref() == Some("project 6")).expect("it").id;
    org.fake.fault(Fault::on("GET", KEYS).after(1).then(FaultAction::StatusBefore { code: 500 }));
    let mut keys = client.projects().each_of([&last], |project| project.api_keys().list());
    for _ in 0..2 {
        assert_eq!(keys.next().await.expect("a key").expect("a key").0, last);
    }
    let error = keys.next().await.expect("an error").expect_err("an error");
    assert_eq!((error.project(), error.error().kind()), (Some(&last), ErrorKind::Server));
    assert!(keys.next().await.is_none());
}

#[tokio::test]
async fn projects_that_cannot_be_listed_are_an_error_of_none() {
    let (org, expected) = with_keys(9, 3).await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    let fault = Fault::on("GET", "/organization/projects").after(1);
    org.fake.fault(fault.then(FaultAction::StatusBefore { code: 500 }));
    let mut keys = client.projects().each(|project| project.api_keys().list());
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    while let Some(item) = keys.next().await {
        match item {
            Ok(item) => found.push(item),
            Err(error) => errors.push(error),
        }
    }
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.project().is_none() && error.error().kind() == ErrorKind::Server, "{error}");
    let counts = count(&found);
    assert!(counts.len() < 3, "the first page has three projects");
    assert!(counts.iter().all(|(project, keys)| expected[project] == *keys));
}

#[tokio::test]
async fn nothing_is_sent_before_an_item_is_asked_for_and_little_ahead() {
    let (org, _) = with_keys(40, 5).await;
    let mut keys = keys(&org).in_flight(4);
    assert!(org.fake.requests().is_empty());
    keys.next().await.expect("a key").expect("a key");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(org.fake.count("GET", KEYS) < 20, "{}", org.fake.count("GET", KEYS));
}

#[tokio::test]
async fn fewer_at_once_are_tried_where_many_come_too_late() {
    // At 20 a second the last of 64 would have to wait for three.
    let fake = FakeOpenAi::builder().throttle(20.0, 1, false).start().await.expect("a fake");
    let org = Organization::of(fake);
    let mut expected = BTreeMap::new();
    for n in 0..90 {
        let project = org.fake.seed_project(&format!("project {n}"));
        let account = org.fake.seed_service_account(&project, "backend", "member");
        org.fake.seed_service_account_key(&account);
        expected.insert(ProjectId::from(project), 1);
    }
    let client = org.builder().deadline(Duration::from_secs(2)).build().expect("a client");
    let ids: Vec<_> = expected.keys().cloned().collect();
    let keys = client.projects().each_of(ids, |project| project.api_keys().list());
    assert_eq!(count(&keys.in_flight(64).all().await.expect("keys")), expected);
}

#[tokio::test]
async fn a_listing_that_is_alone_and_too_late_is_an_error() {
    let (org, _) = with_keys(1, 3).await;
    let code = "rate_limit_exceeded".to_owned();
    let slow = FaultAction::Throttle { retry_after: Some(60), code };
    org.fake.fault(Fault::on("GET", KEYS).always().then(slow));
    let keys = org.client().projects().each_of([&org.project], |project| project.api_keys().list());
    let error = keys.all().await.expect_err("too late").into_error();
    assert_eq!((error.kind(), org.fake.count("GET", KEYS)), (ErrorKind::Throttled, 1));
}

#[test]
fn a_project_asked_for_on_a_runtime_that_ended_is_an_error() {
    let servers = runtime();
    let (org, _) = servers.block_on(with_keys(1, 3));
    let hang = FaultAction::Hang { duration: Duration::from_secs(60), after_effect: false };
    org.fails("GET", KEYS, hang);
    let client = org.client();
    let mut keys = client.projects().each_of([&org.project], |project| project.api_keys().list());
    let first = runtime();
    let begun = async { tokio::time::timeout(Duration::from_millis(200), keys.next()).await };
    assert!(first.block_on(begun).is_err(), "the server answers late");
    drop(first);
    let error = runtime().block_on(keys.all()).expect_err("no project is left out");
    assert_eq!(error.project(), Some(&org.project));
    assert_eq!(error.error().kind(), ErrorKind::Transport);
}

#[test]
fn a_fan_out_shows_no_key() {
    let ((shown, secret), logs) = with_trace(async {
        let (org, _) = with_keys(4, 3).await;
        let secret = org.fake.admin_key();
        // A key in the place of an id, and a server that repeats keys.
        let echo = FaultAction::EchoAuthorization { place: keyward_testkit::EchoPlace::Body };
        org.fails("GET", KEYS, echo);
        let ids = [org.project.clone(), ProjectId::from(secret.as_str())];
        let client = org.client();
        let mut keys = client.projects().each_of(ids, |project| project.api_keys().list());
        let mut shown = format!("{keys:?}");
        while let Some(item) = keys.next().await {
            shown += &format!("{item:?}");
            if let Err(error) = item {
                shown += &error.to_string();
            }
        }
        (shown, secret)
    });
    assert!(shown.contains("a key cannot be the project_id"), "{shown}");
    assert_no_leak!(&secret, [("shown", &shown), ("logs", &logs)]);
}
