//! `rotate --watch` as a process: it rotates when that is due, is killed and started again, and ends
//! when it is told to.

use super::gate::Kill;
use super::kill::one_in;
use super::place::Kind;
use super::world::{Reader, World};
use crate::fixture::Organization;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_killed_and_started_again_and_ends_when_it_is_told_to() {
    let mut world = World::new(Kind::File, Organization::start().await).await;
    // A rotation every few seconds.
    let often = "rotate_after = \"4s\"\ngrace = \"2s\"";
    world.write_slot_of("1s", "1m", often);
    // The first key, and then it rests.
    let first = world.run_until(&["--watch"], "the next rotation to be due", 1).await;
    assert_eq!(first.code, Some(0), "it is told to end: {first}");
    assert!(first.stdout.contains("\tpromoted\t"), "{first}");
    let reader = Reader::of(&world);

    // Where somebody waits for the tests, once is enough.
    let is_brief = one_in(1) > 1;
    let again = world.run_until(&["--watch"], "\tdone\t", if is_brief { 1 } else { 3 }).await;
    assert_eq!(again.code, Some(0), "{again}");
    // Wherever a daemon dies, the next one goes on.
    let kills =
        [Kill::Before(5), Kill::After(6), Kill::After(9), Kill::Before(12), Kill::After(20)];
    for kill in kills.into_iter().step_by(one_in(1)) {
        let killed = world.run(&["--watch"], Some(kill)).await;
        assert_eq!(killed.code, None, "{kill:?}: {killed}");
    }
    let last = world.run_until(&["--watch"], "\tdone\t", if is_brief { 1 } else { 2 }).await;
    assert_eq!(last.code, Some(0), "{last}");

    for arguments in [&["--resume"][..], &["--sweep", "--yes", "--older-than", "0"]] {
        let ran = world.run(arguments, None).await;
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    let (uses, dead) = reader.end().await;
    assert!(uses > 0 && dead.is_empty(), "{dead:?}");
    world.assert_whole("daemons").await;
}
