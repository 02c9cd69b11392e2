//! The admin key is replaced by `rotate --admin` as a process, killed at its requests (at all of them
//! with `KEYWARD_KILL_EVERY=1`); and who manages the organization with the store's key goes over to the new one.

use std::fs;

use keyward::ApiKey;
use keyward::reference::References;
use keyward::store::{DynKeyStore, KeyStore as _};

use super::gate::Kill;
use super::kill::one_in;
use super::place::Kind;
use super::world::{Ran, World};
use crate::examples::private;
use crate::fixture::Organization;

/// A world in which the admin key lies in a plain file, as the one of its first owner does.
struct Admin {
    world: World,
    reference: String,
    store: DynKeyStore,
    first: String,
}

impl Admin {
    async fn start() -> Self {
        let world = World::settled(Kind::File, Organization::start().await).await;
        let first = world.org.fake.admin_key();
        let directory = world.path("store/admin");
        fs::create_dir(&directory).expect("a directory");
        let path = directory.join("key");
        fs::write(&path, &first).expect("a file");
        private(&path);
        let reference = format!("file:{}", path.display());
        let store = References::new().store(&reference).expect("a store");
        Self { world, reference, store, first }
    }

    /// Runs `rotate --admin`, with more arguments, and kills it at a point.
    async fn run(&mut self, more: &[&str], kill: Option<Kill>) -> Ran {
        let reference = self.reference.clone();
        let drain =
            ["--admin-grace", "6", "--admin-silence", "1", "--short-silence-because", "a fake"];
        let arguments = [&["--admin", "--admin-store", &reference][..], &drain, more].concat();
        self.world.run(&arguments, kill).await
    }

    /// One admin key lives, and the store has it.
    async fn assert_whole(&self, after: &str) {
        let snapshot = self.store.snapshot().await.expect("a store");
        assert!(snapshot.pending.is_none(), "{after}: a key is pending");
        let current = snapshot.current.expect("a key").key.fingerprint();
        let live = self.world.org.fake.live_key_values();
        let live: Vec<_> = live.iter().filter(|key| key.starts_with("sk-admin-")).collect();
        let [live] = &live[..] else { panic!("{after}: {} admin keys live", live.len()) };
        let live = ApiKey::parse((*live).clone()).expect("a key").fingerprint();
        assert_eq!(current, live, "{after}: the store has a dead key");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_key_is_replaced_wherever_it_is_killed() {
    let mut admin = Admin::start().await;
    let id = admin.world.org.fake.key_id(&admin.first).expect("an id");
    // The one that was made by hand is left alone unless it is named.
    let ran = admin.run(&["--now"], None).await;
    assert_eq!(ran.code, Some(5), "a leaked key lives on, and another one is in use: {ran}");
    assert!(ran.stderr.contains(&id), "{ran}");
    assert!(admin.world.org.fake.key_is_live(&admin.first));

    let counted = admin.run(&["--admin-retire", &id], None).await;
    assert_eq!(counted.code, Some(0), "{counted}");
    assert!(!admin.world.org.fake.key_is_live(&admin.first));
    admin.assert_whole("a run that was not killed").await;

    let points = (1..=counted.requests.len()).flat_map(|n| [Kill::Before(n), Kill::After(n)]);
    let (every, mut outcomes) = (one_in(3), [0, 0, 0]);
    for kill in points.step_by(every) {
        let killed = admin.run(&[], Some(kill)).await;
        let after = format!("{kill:?}, {:?}", killed.killed_at);
        let resumed = admin.run(&["--resume"], None).await;
        assert_eq!(resumed.code, Some(0), "{after}: {resumed}");
        let which = if resumed.stdout.contains("done\tadmin\t") {
            0
        } else if resumed.stdout.contains("\tabandoned\t") {
            1
        } else {
            2
        };
        outcomes[which] += 1;
        let swept = admin.run(&["--sweep", "--yes", "--older-than", "0"], None).await;
        assert_eq!(swept.code, Some(0), "{after}: {swept}");
        admin.assert_whole(&after).await;
    }
    // A few points may miss the short time in which an attempt can be given up.
    assert!(outcomes[0] > 0 && outcomes[2] > 0, "carried on, nothing open: {outcomes:?}");
    assert!(every > 1 || outcomes[1] > 0, "given up: {outcomes:?}");

    // Whoever manages slots with the store's key is not locked out.
    let reference = admin.reference.clone();
    let ran = admin.world.run(&["--admin-store", &reference], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    // And who has the first one by value is.
    let ran = admin.world.run(&["--patience", "1"], None).await;
    assert_eq!(ran.code, Some(1), "the positive control: {ran}");
}

/// A daemon goes over to the new admin key between two rotations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_goes_on_while_its_admin_key_is_replaced() {
    let mut admin = Admin::start().await;
    admin.world.write_slot_of("1s", "1m", "rotate_after = \"4s\"\ngrace = \"2s\"");
    let id = admin.world.org.fake.key_id(&admin.first).expect("an id");
    let reference = admin.reference.clone();
    let mut daemon = admin
        .world
        .start(&["--watch", "--admin-store", &reference, "--holder", "daemon"], "daemon");
    daemon.says("\tdone\t", 1).await;
    let ran = admin.run(&["--admin-retire", &id], None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!admin.world.org.fake.key_is_live(&admin.first));
    let done = daemon.said().matches("\tdone\t").count();
    daemon.says("\tdone\t", done + 2).await;
    drop(daemon);
    let resume = ["--resume", "--admin-store", &reference, "--holder", "daemon"];
    let ran = admin.world.run(&resume, None).await;
    assert_eq!(ran.code, Some(0), "{ran}");
    admin.assert_whole("a daemon beside it").await;
}
