//! Keys behind the one in use, and what a source looks like from outside.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyward::{
    ApiKey, AttemptOutcome, EnvLoader, Environment, FileLoader, KeyLoader, KeySource, LoadError,
    LoadErrorKind, LoadedKey, LoaderChain, SourceSignature,
};
use keyward_testkit::assert_no_leak;

use crate::fixture::{assert_loads, load, load_everywhere, ready, secret, write};

/// A loader that counts how often it is asked.
struct Counted(Arc<AtomicUsize>, Option<String>);

impl KeyLoader for Counted {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match &self.1 {
            Some(text) => Ok(LoadedKey::new(ApiKey::parse(text.clone()).unwrap(), self.source())),
            None => {
                let kind = LoadErrorKind::NotFound;
                Err(LoadError::new(kind, self.source(), "nothing", "something"))
            }
        }
    }

    fn source(&self) -> KeySource {
        KeySource::new("counted", "x")
    }
}

fn env(key: &str) -> EnvLoader {
    EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", key)]))
}

#[test]
fn tells_of_each_key_behind_the_one_in_use() {
    let (used, old) = (secret(), secret());
    let directory = tempfile::tempdir().unwrap();
    let same = write(directory.path().join("same"), &used);
    let another = write(directory.path().join("another"), &old);
    let chain = LoaderChain::first("nothing", Counted(Arc::default(), None))
        .then("env", env(&used))
        .then("same", FileLoader::new(&same))
        .then("absent", FileLoader::new(directory.path().join("absent")))
        .then("broken", FileLoader::new(directory.path()))
        .then("another", FileLoader::new(&another))
        .report_shadowed();
    for (_, result) in load_everywhere(&chain) {
        let loaded = assert_loads(result, &used, "env:KEY");
        let outcomes: Vec<_> = loaded.attempts().iter().map(|a| (a.name(), a.outcome())).collect();
        assert_eq!(
            outcomes,
            [
                ("nothing", AttemptOutcome::NotFound),
                ("env", AttemptOutcome::Loaded),
                ("same", AttemptOutcome::Shadowed),
                ("another", AttemptOutcome::Shadowed),
            ]
        );
        let told: Vec<_> = loaded.attempts()[2..].iter().map(ToString::to_string).collect();
        assert!(told[0].ends_with("has the same key"), "{told:?}");
        assert!(told[1].ends_with("has another key, which is not used"), "{told:?}");
        assert_no_leak!(old, format!("{loaded:?} {told:?}"));
    }
}

#[test]
fn asks_nobody_before_a_key_is_there_and_nobody_behind_it_unless_told() {
    for (report, expected) in [(false, 0), (true, 1)] {
        let (key, behind) = (secret(), Arc::new(AtomicUsize::new(0)));
        let chain = LoaderChain::first("env", env(&key))
            .then("behind", Counted(Arc::clone(&behind), Some(secret())));
        let chain = if report { chain.report_shadowed() } else { chain };
        let loaded = assert_loads(load(&chain), &key, "env:KEY");
        assert_eq!(behind.load(Ordering::Relaxed), expected);
        assert_eq!(loaded.attempts().len(), 1 + expected);
    }
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_for_those_behind() {
    struct Stuck;

    impl KeyLoader for Stuck {
        async fn load(&self) -> Result<LoadedKey, LoadError> {
            std::future::pending().await
        }

        fn source(&self) -> KeySource {
            KeySource::new("stuck", "x")
        }
    }

    let key = secret();
    let chain = LoaderChain::first("env", env(&key)).then("stuck", Stuck).report_shadowed();
    let begun = tokio::time::Instant::now();
    let loaded = assert_loads(chain.load().await, &key, "env:KEY");
    assert_eq!((begun.elapsed(), loaded.attempts().len()), (Duration::from_secs(2), 1));
}

fn looks(loader: &impl KeyLoader) -> SourceSignature {
    ready(loader.signature()).unwrap()
}

#[test]
fn a_file_looks_otherwise_after_every_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let loader = FileLoader::new(&path);
    let mut seen = vec![looks(&loader)];
    let mut look = || {
        let now = looks(&loader);
        assert_eq!(now, looks(&loader), "nothing has changed");
        assert!(!seen.contains(&now), "after {} changes", seen.len());
        seen.push(now);
    };
    write(&path, secret());
    look();
    // The clock of a file system ticks every few milliseconds.
    let tick = || std::thread::sleep(Duration::from_millis(30));
    tick();
    write(&path, secret());
    look();
    let other = write(directory.path().join("other"), secret());
    fs::rename(other, &path).unwrap();
    look();
    fs::write(&path, "").unwrap();
    look();
    #[cfg(unix)]
    {
        tick();
        crate::fixture::chmod(&path, 0o644);
        look();
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(looks(&loader), seen[0], "there is nothing, as before");
}

#[cfg(unix)]
#[test]
fn a_mount_looks_otherwise_when_its_links_are_swapped() {
    use std::os::unix::fs::symlink;

    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    for day in ["..2026_11_20", "..2026_11_21"] {
        fs::create_dir(at(day)).unwrap();
        fs::write(at(day).join("key"), secret()).unwrap();
    }
    symlink("..2026_11_20", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    let loader = FileLoader::mounted_secret(at("key"));
    let before = looks(&loader);
    symlink("..2026_11_21", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert_ne!(looks(&loader), before);
}

#[test]
fn a_variable_looks_like_the_file_that_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), secret());
    let named = Environment::fixed([("KEY_FILE", path.as_os_str())]);
    let named = EnvLoader::new("KEY").with_environment(named);
    assert_eq!(looks(&named), looks(&FileLoader::new(&path)));
    assert!(ready(env(&secret()).signature()).is_none());
}

#[test]
fn a_chain_looks_like_its_sources() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let chain = LoaderChain::first("env", env(&secret())).then("file", FileLoader::new(&path));
    let absent = looks(&chain);
    write(&path, secret());
    assert_ne!(looks(&chain), absent);
    let blind = LoaderChain::first("env", env(&secret()));
    assert!(ready(blind.signature()).is_none());
    assert!(ready(Arc::new(blind).signature()).is_none());
}
