//! The road of a key, and what may lie on it.

use std::time::Duration;

use keyward::KeyPolicy;
use keyward::store::{FileStore, KeyStore};
use keyward_admin::{Scope, Scopes};
use keyward_rotate::{
    EventKind, FileJournal, HttpProbe, Journal, PlannedStep, Retirement, RotateError,
    RotateErrorKind, Rotator, Slot, Stragglers,
};
use keyward_testkit::{FakeOpenAi, FaultAction};

use crate::fixture::{KEY, MINT, World, short_silence};

#[tokio::test]
async fn a_first_key_and_its_replacement() {
    let world = World::start().await;
    let rotator = world.rotator();
    let mut events = rotator.events();

    let first = rotator.rotate("billing").await.unwrap();
    assert_eq!(first.retired, []);
    assert_eq!(world.live(), 1);
    let first_id = world.current().await;

    let second = rotator.rotate("billing").await.unwrap();
    assert_eq!(second.retired, [(first_id, Retirement::Deleted)]);
    assert_eq!(Some(world.current().await), second.key_id);
    assert_eq!(world.live(), 1);
    assert!(world.store.previous().await.unwrap().is_none(), "the dead key is forgotten");
    assert!(second.expires_at.is_some());

    let mut steps = Vec::new();
    while let Some(event) = events.try_next() {
        if let EventKind::Step { step, .. } = event.what {
            steps.push(step);
        }
    }
    let road = ["intent", "minted", "staged", "verified", "promoted"];
    let end = ["draining", "retired", "done"];
    let expected: Vec<_> = [&road[..], &["done"], &road, &end].concat();
    assert_eq!(steps, expected);

    let status = rotator.status("billing").await.unwrap();
    assert_eq!(status.done.map(|(tag, _)| tag), Some(second.tag));
    assert!(status.open.is_none() && status.due_at.is_some());
    assert!(status.lease.is_none(), "it is given back");
}

#[tokio::test]
async fn in_files_with_the_journal_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("key"));
    let world = World::with_store(FakeOpenAi::builder(), store).await;
    let journal = FileJournal::new(directory.path());
    let rotator = world
        .builder()
        .slot_with_journal(world.slot(), world.store.clone(), journal.clone())
        .build()
        .unwrap();
    for _ in 0..3 {
        rotator.rotate("billing").await.unwrap();
    }
    world.current().await;
    assert_eq!(world.live(), 1);
    let records = journal.read("billing").await.unwrap().records().unwrap();
    assert_eq!(records.iter().filter(|record| record.step() == "done").count(), 3);
}

#[tokio::test]
async fn a_plan_changes_nothing_and_tells_what_would_be_done() {
    let world = World::start().await;
    let by_hand = world.put_by_hand(false).await;
    let rotator = world.rotator();
    let before = world.fake.requests().len();
    let plan = rotator.plan("billing").await.unwrap();
    assert!(plan.is_possible(), "{plan}");
    assert!(plan.due_at.is_none(), "a key that keyward did not make is due");
    assert!(plan.steps.contains(&PlannedStep::LeaveAlone { key: Some(by_hand.clone()) }), "{plan}");
    assert!(plan.to_string().contains("api.responses.write"), "{plan}");
    let asked = world.fake.requests();
    assert!(asked[before..].iter().all(|request| request.method == "GET"));

    // Named, it would be retired.
    let plan = world.rotator_of(world.slot().retiring(by_hand)).plan("billing").await.unwrap();
    assert!(matches!(plan.steps.last(), Some(PlannedStep::Retire { .. })), "{plan}");
}

#[tokio::test]
async fn a_key_that_keyward_did_not_make_is_left_alone_unless_it_is_named() {
    for with_id in [false, true] {
        let world = World::start().await;
        let by_hand = world.put_by_hand(with_id).await;
        let other = world.fake.seed_service_account_key(&world.account);
        let outcome = world.rotator().rotate("billing").await.unwrap();
        assert_eq!(outcome.left_alone, [Some(by_hand.clone())]);
        assert_eq!(world.live(), 3, "both are there");
        assert!(world.store.previous().await.unwrap().is_some(), "for a way back");

        let outcome = world.rotator_of(world.slot().retiring(by_hand.clone()));
        let outcome = outcome.rotate("billing").await.unwrap();
        assert_eq!(outcome.retired.len(), 2, "and the one of the first rotation");
        assert!(outcome.retired.contains(&(by_hand, Retirement::Deleted)));
        assert!(world.fake.key_is_live(&other));
        assert_eq!(world.live(), 2);
    }
}

#[tokio::test]
async fn what_cannot_work_is_told_before_anything_is_made() {
    let archived = World::start().await;
    archived.client().project(archived.project.as_str()).archive().await.unwrap();
    let powerless = World::start().await;
    let none = powerless.fake.seed_service_account(&powerless.project, "none", "none");
    let scopes = powerless.slot().scopes().clone();
    let slot =
        |project: &str, account: &str| Slot::new("billing", project, account, scopes.clone());
    let cases = [
        (&archived, archived.slot(), RotateErrorKind::ProjectUnusable),
        (&powerless, slot(&powerless.project, &none).unwrap(), RotateErrorKind::AccountUnusable),
        (&powerless, slot(&powerless.project, "svc_x").unwrap(), RotateErrorKind::AccountUnusable),
        (&powerless, slot("proj_x", &none).unwrap(), RotateErrorKind::ProjectUnusable),
    ];
    for (world, slot, kind) in cases {
        let rotator = world.rotator_of(slot);
        let plan = rotator.plan("billing").await.unwrap();
        assert_eq!(
            plan.obstacles.iter().map(RotateError::kind).collect::<Vec<_>>(),
            [kind],
            "{plan}"
        );
        let error = rotator.rotate("billing").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.is_refused() && error.needs_a_person());
        assert_eq!(world.fake.count("POST", MINT), 0);
    }
}

#[tokio::test]
async fn a_policy_that_caps_the_lifetime_is_told_and_nothing_is_left() {
    let fake = FakeOpenAi::builder().max_key_lifetime(Some(Duration::from_secs(3600)));
    let world = World::of(fake).await;
    let error = world.rotator().rotate("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::Refused, "{error}");
    assert_eq!(world.live(), 0);
    assert_eq!(world.fake.count("POST", MINT), 1);
    let slot = world.slot().with_ttl(Duration::from_secs(1800)).unwrap();
    world.rotator_of(slot).rotate("billing").await.unwrap();
    assert_eq!(world.live(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_no_key_behind() {
    let actions = [
        FaultAction::AnswerLost,
        FaultAction::StatusAfter { code: 500 },
        FaultAction::StatusBefore { code: 500 },
        FaultAction::ConnectionReset,
        FaultAction::NotJson { code: 502 },
    ];
    for action in actions {
        let world = World::start().await;
        let rotator = world.rotator();
        rotator.rotate("billing").await.unwrap();
        world.fails("POST", MINT, action.clone());
        let outcome = rotator.rotate("billing").await.unwrap();
        assert_eq!(outcome.retired.len(), 1);
        assert_eq!(Some(world.current().await), outcome.key_id);
        assert_eq!(world.live(), 1, "{action:?}");
        assert_eq!(
            world.fake.count("POST", MINT),
            3,
            "{action:?}: it is not sent twice by one name"
        );
    }
}

#[tokio::test]
async fn a_key_is_waited_for_until_it_is_accepted() {
    let world = World::of(FakeOpenAi::builder().auth_cache(Duration::from_millis(1500))).await;
    world.rotator().rotate("billing").await.unwrap();
    world.current().await;
    let asked = world.fake.count("GET", "/models");
    assert!((2..8).contains(&asked), "asked {asked} times");
}

#[tokio::test]
async fn a_key_that_is_never_accepted_is_deleted_and_the_old_one_stays() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let before = world.current().await;
    let mut verification = world.slot().verification().clone();
    verification.patience = Duration::from_secs(1);
    let impatient = world.rotator_of(world.slot().with_verification(verification));
    for _ in 0..9 {
        world.fails("GET", "/models", FaultAction::StatusBefore { code: 401 });
    }
    let error = impatient.rotate("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::NotAccepted, "{error}");
    assert_eq!(world.current().await, before);
    assert_eq!(world.live(), 1);
    assert!(world.store.pending().await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_of_which_nothing_is_known_stays_staged_and_is_gone_on_with() {
    let world = World::start().await;
    let mut verification = world.slot().verification().clone();
    verification.patience = Duration::from_secs(1);
    let impatient = world.rotator_of(world.slot().with_verification(verification));
    for _ in 0..9 {
        world.fails("GET", "/models", FaultAction::StatusBefore { code: 500 });
    }
    let error = impatient.rotate("billing").await.unwrap_err();
    assert_eq!(error.kind(), RotateErrorKind::NotProved, "{error}");
    assert!(error.is_retryable());
    assert!(impatient.status("billing").await.unwrap().open.is_some());
    world.fake.clear_faults();
    let outcome = world.rotator().resume("billing").await.unwrap().unwrap();
    assert!(outcome.was_resumed);
    assert_eq!(world.fake.count("POST", MINT), 1);
    assert!(world.rotator().resume("billing").await.unwrap().is_none());
}

#[tokio::test]
async fn where_single_keys_cannot_be_deleted_each_gets_an_account() {
    let fake = FakeOpenAi::builder().refuse_service_account_key_deletion(true);
    let world = World::of(fake).await;
    let rotator = world.rotator();
    let mut events = rotator.events();
    rotator.rotate("billing").await.unwrap();
    let second = rotator.rotate("billing").await.unwrap();
    assert_eq!(second.retired[0].1, Retirement::Expired);
    assert!(!second.has_own_account, "it was not known yet");
    let told = std::iter::from_fn(|| events.try_next())
        .any(|event| event.what == EventKind::DeletionRefused);
    assert!(told);
    let third = rotator.rotate("billing").await.unwrap();
    assert!(third.has_own_account);
    let fourth = rotator.rotate("billing").await.unwrap();
    assert_eq!(fourth.retired[0].1, Retirement::AccountDeleted);
    world.current().await;
    // What was let expire has one more second to live.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(world.live(), 1);
    let accounts = world.client().project(world.project.as_str()).service_accounts().list();
    assert_eq!(accounts.all().await.unwrap().len(), 2, "the slot's own, and that of the key");
}

#[tokio::test]
async fn a_policy_is_asked_as_a_service_asks_it() {
    let world = World::start().await;
    let policy = || KeyPolicy::production().with_host("127.0.0.1").unwrap();
    let rotator = |policy: KeyPolicy| {
        let probe = HttpProbe::new(world.fake.base_url(), policy).unwrap();
        let builder = Rotator::builder(world.client(), "test").probe(probe);
        builder.slot(world.slot(), world.store.clone()).build().unwrap()
    };
    // What the store knows of the key is enough for it.
    let strict = policy().require_expiry().with_sources(["memory"]).unwrap();
    rotator(strict).rotate("billing").await.unwrap();
    let minted = world.fake.count("POST", MINT);

    // And what it refuses is told beforehand, and at once.
    let day = Duration::from_secs(86_400);
    for policy in [policy().with_sources(["vault"]).unwrap(), policy().with_max_lifetime(day)] {
        let rotator = rotator(policy);
        let plan = rotator.plan("billing").await.unwrap();
        let kinds: Vec<_> = plan.obstacles.iter().map(RotateError::kind).collect();
        assert_eq!(kinds, [RotateErrorKind::PolicyRefused], "{plan}");
        let began = std::time::Instant::now();
        let error = rotator.rotate("billing").await.unwrap_err();
        assert_eq!(error.kind(), RotateErrorKind::PolicyRefused, "{error}");
        assert!(error.needs_a_person());
        assert!(began.elapsed() < Duration::from_secs(8), "nothing is asked again");
        assert_eq!(world.live(), 1, "the old one");
    }
    assert_eq!(world.fake.count("POST", MINT), minted, "no key was made only to be refused");
}

#[tokio::test]
async fn a_key_that_is_still_used_is_told_and_held_or_deleted() {
    let world = World::start().await;
    let slot = |stragglers| {
        world
            .slot()
            .with_grace(Duration::from_secs(4))
            .with_short_silence(short_silence(Duration::from_secs(2)))
            .with_stragglers(stragglers)
    };
    let rotator = world.rotator_of(slot(Stragglers::Warn));
    rotator.rotate("billing").await.unwrap();
    let old = world.store.current().await.unwrap().unwrap();
    // Somebody does not notice the new key.
    let used = async {
        while world.use_key(&old.key).await {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let (outcome, ()) = tokio::join!(rotator.rotate("billing"), used);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.stragglers.len(), 1, "{outcome}");
    assert!(outcome.stragglers[0].last_used_at.is_some());
    assert_eq!(world.live(), 1);

    // One that nobody uses is silent, whatever becomes of it.
    let outcome = rotator.rotate("billing").await.unwrap();
    assert!(outcome.stragglers.is_empty(), "{outcome}");

    let rotator = world.rotator_of(slot(Stragglers::Hold));
    let old = world.store.current().await.unwrap().unwrap();
    let used = async {
        loop {
            world.use_key(&old.key).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let both = async { tokio::join!(rotator.rotate("billing"), used) };
    let held = tokio::time::timeout(Duration::from_secs(7), both).await;
    assert!(held.is_err(), "it waits");
    assert_eq!(world.live(), 2, "and the old key lives on, past its grace");
}

#[tokio::test]
async fn where_it_is_not_told_when_a_key_was_used_its_grace_is_waited_for() {
    let world = World::start().await;
    // Its proof is no use of it in this organization: it may not read models.
    let scopes = Scopes::only(Scope::RESPONSES_WRITE);
    let slot = Slot::new("billing", world.project.as_str(), world.account.as_str(), scopes);
    let slot = slot
        .unwrap()
        .with_grace(Duration::from_secs(3))
        .with_short_silence(short_silence(Duration::ZERO));
    let rotator = world.rotator_of(slot);
    let first = rotator.rotate("billing").await.unwrap();
    let mut events = rotator.events();
    let began = std::time::Instant::now();
    let outcome = rotator.rotate("billing").await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert!(outcome.stragglers.is_empty(), "nobody was seen to use it");
    let key = first.key_id.unwrap();
    let told = std::iter::from_fn(|| events.try_next())
        .any(|event| event.what == EventKind::SilenceUnknown { key: key.clone() });
    assert!(told);
    assert_eq!(world.live(), 1);
}

#[tokio::test]
async fn a_refusal_that_is_no_rule_gives_no_key_an_account() {
    for (code, is_believed) in [(403, false), (400, true)] {
        let world = World::start().await;
        let rotator = world.rotator();
        rotator.rotate("billing").await.unwrap();
        world.fails("DELETE", KEY, FaultAction::StatusBefore { code });
        let second = rotator.rotate("billing").await.unwrap();
        assert_eq!(second.retired[0].1, Retirement::Expired, "{code}");
        let third = rotator.rotate("billing").await.unwrap();
        assert_eq!(third.has_own_account, is_believed, "{code}");
        // A deletion has worked since, and is believed.
        let fourth = rotator.rotate("billing").await.unwrap();
        assert!(!fourth.has_own_account, "{code}");
        world.current().await;
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(world.live(), 1, "{code}");
        let accounts = world.client().project(world.project.as_str()).service_accounts().list();
        assert_eq!(accounts.all().await.unwrap().len(), 1, "{code}: only the slot's own");
    }
}

#[tokio::test]
async fn of_two_rotators_one_leaves() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let slot = world.slot().with_short_silence(short_silence(Duration::from_secs(2)));
    let one = world.rotator_of(slot.clone());
    let two = Rotator::builder(world.client(), "other")
        .probe(world.probe())
        .slot(slot, world.store.clone())
        .build()
        .unwrap();
    let (a, b) = tokio::join!(one.rotate("billing"), two.rotate("billing"));
    assert!(a.is_ok() != b.is_ok());
    let error = a.err().or(b.err()).unwrap();
    assert!(error.is_lease_held() && error.is_retryable(), "{error}");
    assert_eq!(world.live(), 1);
}

#[tokio::test]
async fn a_dropped_call_is_gone_on_with() {
    let world = World::start().await;
    world.rotator().rotate("billing").await.unwrap();
    let slow = world.rotator_of(world.slow_slot());
    let dropped = tokio::time::timeout(Duration::from_secs(2), slow.rotate("billing")).await;
    assert!(dropped.is_err());
    let status = slow.status("billing").await.unwrap();
    assert_eq!(status.open.map(|open| open.step), Some("promoted"), "and drains");
    let outcome = world.rotator().rotate("billing").await.unwrap();
    assert!(outcome.was_resumed);
    assert_eq!(world.live(), 1);
}

/// Every call of a rotation, in every way in which it can fail once.
#[tokio::test(flavor = "multi_thread")]
async fn each_call_may_fail_once() {
    let project = "/organization/projects/{project_id}";
    let calls = [
        ("GET", project.to_owned()),
        ("GET", format!("{project}/service_accounts/{{service_account_id}}")),
        ("GET", format!("{project}/api_keys")),
        ("POST", MINT.to_owned()),
        ("GET", "/models".to_owned()),
        ("POST", KEY.to_owned()),
        ("GET", KEY.to_owned()),
        ("DELETE", KEY.to_owned()),
    ];
    let throttle = |retry_after| {
        let code = "rate_limit_exceeded".to_owned();
        FaultAction::Throttle { retry_after, code }
    };
    let actions = [
        FaultAction::AnswerLost,
        FaultAction::ConnectionReset,
        FaultAction::StatusAfter { code: 500 },
        FaultAction::StatusBefore { code: 503 },
        throttle(Some(1)),
        throttle(None),
    ];
    let mut runs = tokio::task::JoinSet::new();
    for (method, path) in calls {
        for action in actions.clone() {
            let path = path.clone();
            runs.spawn(async move {
                let world = World::start().await;
                world.rotator().rotate("billing").await.unwrap();
                world.fails(method, &path, action.clone());
                let outcome = world.rotator().rotate("billing").await;
                let outcome = match outcome {
                    Err(error) => panic!("{method} {path}, {action:?}: {error}"),
                    Ok(outcome) => outcome,
                };
                assert_eq!(Some(world.current().await), outcome.key_id);
                assert_eq!(world.live(), 1, "{method} {path}, {action:?}");
            });
        }
    }
    let all = runs.join_all().await;
    assert_eq!(all.len(), 48);
}

#[tokio::test]
async fn slots_do_not_share_a_store() {
    let world = World::start().await;
    let other = Slot::new("other", "p", "s", world.slot().scopes().clone());
    let built = world
        .builder()
        .slot(world.slot(), world.store.clone())
        .slot(other.unwrap(), world.store.clone())
        .build();
    let error = built.unwrap_err();
    assert!(error.to_string().contains("same store"), "{error}");
    let error = world.rotator().plan("nothing").await.unwrap_err();
    assert!(error.to_string().contains("billing"), "it names those that there are: {error}");
}

#[tokio::test]
async fn a_slot_whose_drain_cannot_be_makes_no_rotator() {
    let world = World::start().await;
    let minute = Duration::from_secs(60);
    let build = |slot| world.builder().slot(slot, world.store.clone()).build();
    for (slot, says) in [
        (world.slot().with_silence(minute / 2), "shorter than a minute"),
        (world.slot().with_silence(minute), "longer than half of `grace`"),
        (world.slot().with_grace(minute * 60 * 24 * 11), "`grace` is longer"),
    ] {
        let error = build(slot).unwrap_err();
        assert_eq!(error.kind(), RotateErrorKind::Configuration, "{error}");
        assert!(error.slot() == Some("billing") && error.to_string().contains(says), "{error}");
    }
    assert!(build(world.slot().with_grace(2 * minute).with_silence(minute)).is_ok());
}
