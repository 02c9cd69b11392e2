//! What goes wrong while a key is replaced, with the example `rotate` as a process: the exit code,
//! what it says, and what lives afterwards.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keyward::store::{KeyStore as _, StoredKey};
use keyward_admin::{NewServiceAccountKey, Scope, Scopes};
use keyward_testkit::{FakeOpenAi, FakeOpenAiBuilder, Fault, FaultAction};

use super::place::Kind;
use super::world::{Reader, World};
use crate::fixture::{MINT, Organization};
use crate::under_load::PATIENCE;

/// Something that the organization does, through which a rotation comes to its end.
struct Survived {
    what: &'static str,
    organization: fn(FakeOpenAiBuilder) -> FakeOpenAiBuilder,
    fails: Vec<(&'static str, &'static str, FaultAction)>,
}

const KEYS: &str = "/organization/projects/{project_id}/api_keys";
const KEY: &str = "/organization/projects/{project_id}/api_keys/{api_key_id}";
const SAME: fn(FakeOpenAiBuilder) -> FakeOpenAiBuilder = |organization| organization;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rotation_survives() {
    let code = "rate_limit_exceeded".to_owned();
    let throttle = FaultAction::Throttle { retry_after: Some(1), code };
    let cases = [
        Survived {
            what: "the answer to the call that makes a key is lost",
            organization: SAME,
            fails: vec![("POST", MINT, FaultAction::AnswerLost)],
        },
        Survived {
            what: "a 500 after the key was made",
            organization: SAME,
            fails: vec![("POST", MINT, FaultAction::StatusAfter { code: 500 })],
        },
        Survived {
            what: "answers to deletions and updates are lost",
            organization: SAME,
            fails: vec![
                ("DELETE", KEY, FaultAction::AnswerLost),
                ("POST", KEY, FaultAction::AnswerLost),
            ],
        },
        Survived {
            what: "too many requests, everywhere",
            organization: SAME,
            fails: vec![
                ("GET", KEYS, throttle.clone()),
                ("POST", MINT, throttle.clone()),
                ("POST", KEY, throttle.clone()),
                ("DELETE", KEY, throttle.clone()),
            ],
        },
        Survived {
            what: "a new key is not accepted for a while, and a deleted one still is",
            organization: |organization| organization.auth_cache(Duration::from_secs(3)),
            fails: vec![],
        },
        Survived {
            what: "a policy that allows what the slot asks for",
            organization: |organization| {
                organization.max_key_lifetime(Some(Duration::from_secs(86_400)))
            },
            fails: vec![],
        },
    ];
    let survived = cases.map(async |case| {
        let fake = (case.organization)(FakeOpenAi::builder()).start().await.expect("a fake");
        let world = World::settled(Kind::File, Organization::of(fake)).await;
        let mut world = world.without_a_gate();
        for (method, path, action) in case.fails {
            world.org.fails(method, path, action);
        }
        let reader = Reader::of(&world);
        let ran = world.run(&[], None).await;
        assert_eq!(ran.code, Some(0), "{}: {ran}", case.what);
        assert!(ran.stdout.contains("\ndone\tbilling\t"), "{}: {ran}", case.what);
        world.assert_whole(case.what).await;
        let (uses, dead) = reader.end().await;
        assert!(uses > 0 && dead.is_empty(), "{}: {dead:?}", case.what);
    });
    join_all(survived).await;
}

/// Something by which a rotation is stopped before there is another key.
struct Stopped {
    what: &'static str,
    /// The account's.
    role: &'static str,
    /// The longest life of a key, in seconds.
    cap: Option<u64>,
    then: Then,
    code: i32,
    says: &'static str,
    is_planned: bool,
}

/// What happens after the first rotation.
#[derive(PartialEq)]
enum Then {
    /// There was none.
    First,
    Archived,
    Silent,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_a_rotation_changes_nothing() {
    for case in [
        Stopped {
            what: "an account whose role is none",
            role: "none",
            cap: None,
            then: Then::First,
            code: 1,
            says: "role `none`",
            is_planned: true,
        },
        Stopped {
            what: "an archived project",
            role: "member",
            cap: None,
            then: Then::Archived,
            code: 1,
            says: "archived",
            is_planned: true,
        },
        Stopped {
            what: "a policy that caps the lifetime",
            role: "member",
            cap: Some(3600),
            then: Then::First,
            code: 1,
            says: "slot `billing`",
            is_planned: false,
        },
        Stopped {
            what: "an organization that does not answer",
            role: "member",
            cap: None,
            then: Then::Silent,
            code: 3,
            says: "slot `billing`",
            is_planned: false,
        },
    ] {
        let what = case.what;
        let fake = FakeOpenAi::builder().max_key_lifetime(case.cap.map(Duration::from_secs));
        let mut org = Organization::of(fake.start().await.expect("a fake"));
        let account = org.fake.seed_service_account(org.project.as_str(), "other", case.role);
        org.account = account.into();
        let mut world = World::new(Kind::File, org).await.without_a_gate();
        if case.then != Then::First {
            let first = world.run(&[], None).await;
            assert_eq!(first.code, Some(0), "{what}: {first}");
        }
        match case.then {
            Then::First => {}
            Then::Archived => {
                let project = world.org.client().project(world.org.project.clone());
                project.archive().await.expect("archived");
            }
            Then::Silent => {
                let reset = Fault::on("GET", KEYS).always().then(FaultAction::ConnectionReset);
                world.org.fake.fault(reset);
            }
        }
        let stored = world.place.store.snapshot().await.expect("a store").current;
        let lived = world.org.minted();
        if case.is_planned {
            let plan = world.run(&["--plan"], None).await;
            assert_eq!(plan.code, Some(5), "{what}: {plan}");
            let is_told =
                |line: &str| line.starts_with("obstacle\tbilling\t") && line.contains(case.says);
            assert!(plan.stdout.lines().any(is_told), "{what}: {plan}");
        }
        let ran = world.run(&["--patience", "2"], None).await;
        assert_eq!(ran.code, Some(case.code), "{what}: {ran}");
        assert!(ran.stderr.contains(case.says), "{what}: {ran}");
        let after = world.place.store.snapshot().await.expect("a store");
        let print = |key: Option<StoredKey>| key.map(|key| key.key.fingerprint());
        assert_eq!(print(stored), print(after.current), "{what}");
        assert!(after.pending.is_none(), "{what}");
        assert_eq!(lived, world.org.minted(), "{what}: something was made or deleted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_reached_costs_no_key() {
    let mut world = World::settled(Kind::File, Organization::start().await).await;
    let (here, away) = (world.path("store"), world.path("away"));
    fs::rename(&here, &away).expect("it goes away");
    let before = world.org.minted();
    for arguments in [&["--patience", "1"][..], &["--patience", "1", "--resume"], &["--status"]] {
        let ran = world.run_without_a_store(arguments).await;
        assert!(matches!(ran.code, Some(1 | 3)), "{arguments:?}: {ran}");
        assert!(ran.stderr.contains("slot `billing`"), "{ran}");
    }
    assert_eq!(before, world.org.minted());
    fs::rename(&away, &here).expect("it comes back");
    let ran = world.run(&[], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    world.assert_whole("the store has come back").await;
}

/// As before 2026-10: the old key is let expire, and each further key has an account of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_keys_cannot_be_deleted_they_expire_and_go_with_their_accounts() {
    let fake = FakeOpenAi::builder().refuse_service_account_key_deletion(true);
    let org = Organization::of(fake.start().await.expect("a fake"));
    let mut world = World::settled(Kind::File, org).await;
    for n in 0..3 {
        let reader = Reader::of(&world);
        let ran = world.run(&[], None).await;
        assert_eq!(ran.code, Some(0), "{n}: {ran}");
        let says = "deletes no single key";
        assert_eq!(ran.stdout.contains(says), n == 0, "it is told when it is noticed: {ran}");
        let begun = Instant::now();
        // The foreign key, and the current one.
        while world.org.minted().len() > 2 {
            assert!(begun.elapsed() < PATIENCE, "{n}: an old key does not expire");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        world.assert_whole(says).await;
        let (_, dead) = reader.end().await;
        assert!(dead.is_empty(), "{n}: {dead:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rotators_at_once_one_works_and_the_other_leaves() {
    let mut world = World::settled(Kind::File, Organization::start().await).await;
    let reader = Reader::of(&world);
    // While the first waits for silence, there is time for a second.
    world.write_slot_with_silence("3s");
    for (holder, first_code, second_code) in [
        ("another", &[0][..], &[4][..]),
        // Under the same name the second is taken for the first, started again. Whoever finds out
        // that another has written stops; what is left open is gone on with.
        ("harness", &[0, 4], &[0, 4]),
    ] {
        let (first, second) = world.run_two("step\t", &["--holder", holder]).await;
        assert!(first_code.contains(&first.code.expect("no kill")), "{holder}: {first}\n{second}");
        assert!(
            second_code.contains(&second.code.expect("no kill")),
            "{holder}: {second}\n{first}"
        );
        if holder == "another" {
            assert!(second.stderr.contains("harness"), "it tells who holds the lease: {second}");
        }
        let resumed = world.run(&["--resume"], None).await;
        assert_eq!(resumed.code, Some(0), "{resumed}");
        let swept = world.run(&["--sweep", "--yes", "--older-than", "0"], None).await;
        assert_eq!(swept.code, Some(0), "{swept}");
        world.assert_whole("two rotators").await;
    }
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
}

/// The legacy key of a person is retired where its id is named, and never otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keyward_did_not_make_is_retired_only_by_name() {
    let mut world = World::settled(Kind::File, Organization::start().await).await;
    let person = world.org.fake.seed_user_project_key(world.org.project.as_str());
    let id = world.org.fake.key_id(&person).expect("an id");
    let ran = world.run(&[], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(world.org.fake.key_is_live(&person));
    world.write_slot(&format!("retire = [\"{id}\"]"));
    let ran = world.run(&[], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains(&format!("\tretired\t{id}")), "{ran}");
    assert!(!world.org.fake.key_is_live(&person));
    world.assert_whole("a person's key was retired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_every_day() {
    let mut world = World::settled(Kind::File, Organization::start().await).await;
    let lines =
        |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();

    let ran = world.run(&["--if-due"], None).await;
    assert_eq!((ran.code, lines(&ran.stdout, "idle\tbilling\t")), (Some(0), 1), "{ran}");
    let ran = world.run(&["--resume"], None).await;
    assert_eq!((ran.code, lines(&ran.stdout, "idle\tbilling\t")), (Some(0), 1), "{ran}");
    let ran = world.run(&["--plan"], None).await;
    assert_eq!((ran.code, lines(&ran.stdout, "plan\tbilling\t")), (Some(0), 4), "{ran}");
    let before = world.org.minted();
    let ran = world.run(&["--now"], None).await;
    assert_eq!((ran.code, lines(&ran.stdout, "waiting\t")), (Some(0), 0), "{ran}");
    assert!(!before.iter().any(|key| world.org.minted().contains(key) && !world.is_foreign(key)));
    let ran = world.run(&["--status"], None).await;
    let current = world.place.store.current().await.expect("a store").expect("a key");
    let line = format!("status\tbilling\t{}\t", current.key.fingerprint());
    assert_eq!((ran.code, lines(&ran.stdout, &line)), (Some(0), 1), "{ran}");

    // An orphan: a key with the slot's tag that nobody knows.
    let account = world.org.client().project(world.org.project.clone());
    let account = account.service_account(&world.org.account);
    let scopes = Scopes::only(Scope::RESPONSES_WRITE);
    let tag = "keyward/billing/0123456789abc";
    let new = NewServiceAccountKey::new(tag, scopes);
    account.create_key(new).await.expect("a key");
    for (arguments, fate, code) in [
        (&["--sweep"][..], "too_young", 5),
        (&["--sweep", "--older-than", "0"], "reported", 5),
        (&["--sweep", "--older-than", "0", "--yes"], "deleted", 0),
    ] {
        let ran = world.run(arguments, None).await;
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran}");
        let is_told = |line: &str| {
            line.starts_with(&format!("orphan\tbilling\t{tag}\tkey_"))
                && line.ends_with(&format!("\t{fate}"))
        };
        assert!(ran.stdout.lines().any(is_told), "{ran}");
    }
    world.assert_whole("a sweep").await;
    let ran = world.run(&["--yes"], None).await;
    assert_eq!(ran.code, Some(2), "--yes is for --sweep: {ran}");
}

/// The admin key as systemd and platforms mount it: readable by a group too.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_key_is_where_a_platform_mounts_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut world = World::settled(Kind::File, Organization::start().await).await;
    let mounted = world.path("secret/admin-key");
    fs::set_permissions(&mounted, fs::Permissions::from_mode(0o440)).expect("a mode");
    let ran = world.run(&["--if-due"], None).await;
    assert_eq!(ran.code, Some(1), "--key-file is a file of one's own: {ran}");
    let reference = format!("mount:{}", mounted.display());
    let ran = world.run(&["--key", &reference], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    world.assert_whole("a mounted admin key").await;
}

/// One of them would be proved by the policy of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_different_policies_are_refused() {
    let mut world = World::new(Kind::File, Organization::start().await).await;
    for (policy, code) in [("", 0), ("[policy]\npreset = \"standard\"\n", 1)] {
        let other = "[slot.search]\nproject = \"proj_1\"\nservice_account = \"svc_acct_1\"\n\
                     scopes = [\"api.responses.write\"]\nstore = \"file:other\"\n";
        fs::write(world.path("work/other.toml"), format!("{policy}{other}")).expect("a file");
        let ran = world.run(&["--status", "--slot", "other.toml"], None).await;
        assert_eq!(ran.code, Some(code), "{policy}: {ran}");
        assert_eq!(ran.stderr.contains("differ in their `[policy]`"), code == 1, "{ran}");
    }
}
