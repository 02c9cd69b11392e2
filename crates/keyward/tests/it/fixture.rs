//! What the tests share: keys, runtimes, and what every error must hold to.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward::{KeyLoader, LoadError, LoadErrorKind, LoadedKey, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::{assert_no_leak, leak};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

pub(crate) fn secret() -> String {
    keys::service_account_key(&mut KeyRng::from_entropy())
}

pub(crate) fn load(loader: &impl KeyLoader) -> Result<LoadedKey, LoadError> {
    current_thread().block_on(loader.load())
}

/// Loads on each kind of runtime and on none; the results are in this order.
pub(crate) fn load_everywhere(
    loader: &impl KeyLoader,
) -> [(&'static str, Result<LoadedKey, LoadError>); 3] {
    let multi_thread = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    [
        ("current thread", load(loader)),
        ("multi thread", multi_thread.block_on(loader.load())),
        ("none", ready(loader.load())),
    ]
}

/// What a future yields that has nothing to wait for.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// Checks a failure in every way in which it can be printed. The secret was in the source.
#[track_caller]
pub(crate) fn assert_fails(
    result: Result<LoadedKey, LoadError>,
    secret: &str,
    kind: LoadErrorKind,
    says: &[&str],
) -> LoadError {
    let error = result.expect_err("it must not load");
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("; "), "no fix: {text}");
    assert!(!text.ends_with('.'), "{text}");
    assert_no_leak!(secret, leak::error_surfaces(&error));
    for attempt in error.attempts() {
        assert_no_leak!(secret, [("{}", attempt.to_string()), ("{:?}", format!("{attempt:?}"))]);
    }
    error
}

/// Checks a key, and that nothing prints it.
#[track_caller]
pub(crate) fn assert_loads(
    result: Result<LoadedKey, LoadError>,
    secret: &str,
    source: &str,
) -> LoadedKey {
    let loaded = result.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(text_of(&loaded), secret);
    assert_eq!(loaded.source.to_string(), source);
    assert_no_leak!(
        secret,
        [
            ("{:?}", format!("{loaded:?}")),
            ("{:#?}", format!("{loaded:#?}")),
            ("attempts", format!("{:?}", loaded.attempts())),
        ]
    );
    loaded
}

pub(crate) fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
    fs::write(&path, content).unwrap();
    #[cfg(unix)]
    chmod(&path, 0o600);
    path.as_ref().to_owned()
}

#[cfg(unix)]
pub(crate) fn chmod(path: impl AsRef<Path>, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn text_of(loaded: &LoadedKey) -> &str {
    // EXPOSE: the test compares it with what it wrote.
    #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
    loaded.key.expose_secret()
}
