//! Nothing that a handle shows or logs has a key in it.

use std::sync::Once;

use keyward::{KeyPolicy, LiveKey, LiveKeyBuilder, LoadErrorKind, NarrowedKey};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::leak::{CapturedLogs, error_surfaces};
use keyward_testkit::{CANARY, assert_no_leak};
use tracing::Level;

use super::fixture::{Source, pass, print_of, project, seconds, secret};

thread_local! {
    static LOGS: CapturedLogs = CapturedLogs::new();
}

/// Every line that every library logs on this thread from now on.
///
/// The subscriber is the process's: with one for each thread, a place in the code that another
/// thread comes to first may be switched off for all.
pub(crate) fn logs() -> CapturedLogs {
    static ALL: Once = Once::new();
    ALL.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(|| LOGS.with(CapturedLogs::writer))
            .init();
    });
    LOGS.with(Clone::clone)
}

#[tokio::test(start_paused = true)]
async fn not_in_what_is_shown_nor_in_the_log() {
    let logs = logs();
    let (key, new) = (CANARY.text().to_owned(), secret());
    let source = Source::of(&key);
    let builder = LiveKey::project(source.clone(), KeyPolicy::standard());
    let builder = builder.refresh_every(seconds(10)).stale_for(seconds(1_000));
    assert_no_leak!(key, format!("{builder:?}"));
    let live = builder.start().await.unwrap();
    let mut shown = String::new();
    let mut show = |live: &LiveKey| {
        shown += &format!("{live:?} {live:#?} {:?} {:#?} ", live.current(), live.health());
        if let Some((_, error)) = live.health().last_error {
            shown += &error_surfaces(&error);
        }
        if let Err(why) = live.current() {
            shown += &error_surfaces(&why);
        }
    };
    show(&live);
    source.fails(LoadErrorKind::Unreadable);
    pass(11_000).await;
    show(&live);
    source.has(&new);
    live.rejected(&print_of(&key)).await;
    source.has(&key);
    pass(61_000).await;
    show(&live);
    source.fails(LoadErrorKind::NotFound);
    pass(2_000_000).await;
    show(&live);

    let logged = logs.contents();
    for line in [
        "a key is in use",
        "no other key was taken, the one in use stays",
        "OpenAI has rejected a key",
        "the key is out of use",
        "no key is in use",
    ] {
        assert!(logged.contains(line), "{line:?} is missing");
    }
    for print in [print_of(&key), print_of(&new)] {
        assert!(logged.contains(&print.to_string()) && shown.contains(&print.to_string()));
    }
    assert!(logged.contains("scripted:source"));
    assert_no_leak!(key, [("logged", &logged), ("shown", &shown)]);
    assert_no_leak!(new, [("logged", &logged), ("shown", &shown)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_legacy_key_is_told_by_its_fingerprint() {
    let logs = logs();
    let legacy = keys::legacy_user_key(&mut KeyRng::from_entropy());
    let error = project(&Source::of(&legacy)).start().await.unwrap_err();
    let shown = error_surfaces(&error);
    assert!(shown.contains(&print_of(&legacy).to_string()));
    assert_no_leak!(legacy, [("shown", shown), ("logged", logs.contents())]);
}

/// The control: the detector sees what a careless loader logs.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "logged")]
async fn a_key_in_a_log_line_is_found() {
    let logs = logs();
    let key = secret();
    let _live = project(&Source::of(&key)).start().await.unwrap();
    tracing::debug!("{key}");
    assert_no_leak!(key, [("logged", logs.contents())]);
}

#[test]
fn handles_can_be_shared() {
    fn shareable<T: Send + Sync + 'static>() {}
    fn of_every_kind<K: NarrowedKey>() {
        shareable::<LiveKey<K>>();
        shareable::<LiveKeyBuilder<K>>();
        shareable::<keyward::KeyGuard<K>>();
    }
    of_every_kind::<keyward::ProjectKey>();
    of_every_kind::<keyward::AdminKey>();
    shareable::<keyward::LiveError>();
    shareable::<keyward::Health>();
}
