//! What is left of a key in the process's memory: the writable memory is read and searched.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::Duration;

use keyward::{
    CommandLoader, EnvLoader, Environment, FileLoader, KeyLoader, LiveKey, LoadErrorKind,
    LoaderChain, Protection,
};

pub(crate) use self::search::Masked;
use crate::fixture::{load, ready};

mod copies;
mod fingerprint;
pub(crate) mod freed;
#[cfg(feature = "wire")]
mod hardening;
#[cfg(feature = "memfd-secret")]
mod protection;
mod redact;
#[path = "../../../../tests/memory/search.rs"]
mod search;
#[cfg(feature = "sealed")]
mod store;
#[path = "../../../../tests/memory/freed.rs"]
pub(crate) mod watch;
#[cfg(feature = "workload-identity")]
mod workload_identity;

/// Writes the key, byte by byte.
fn write(key: &Masked, path: &Path, end: &[u8]) {
    let mut file = File::create(path).unwrap();
    crate::fixture::chmod(path, 0o600);
    key.bytes().for_each(|byte| file.write_all(&[byte]).unwrap());
    file.write_all(end).unwrap();
}

/// Loads, proves that the search sees the key while it is held, and that it is gone with it.
fn assert_gone_after(key: &Masked, loader: &impl KeyLoader) {
    for run in [load, ready_load] {
        let loaded = run(loader).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
        drop(loaded);
    }
}

fn ready_load<L: KeyLoader>(loader: &L) -> Result<keyward::LoadedKey, keyward::LoadError> {
    ready(loader.load())
}

#[test]
fn a_file_leaves_nothing() {
    let key = Masked::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    for end in ["", "\n"] {
        write(&key, &path, end.as_bytes());
        assert_gone_after(&key, &FileLoader::new(&path));
        assert!(!key.is_in_memory(), "left behind, with the end {end:?}");
    }
}

#[test]
fn a_file_that_is_refused_leaves_nothing() {
    let key = Masked::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    for (end, kind) in [
        ("\"".to_owned(), LoadErrorKind::Invalid),
        ("\n".repeat(64 * 1024 - 120), LoadErrorKind::TooLarge),
    ] {
        write(&key, &path, end.as_bytes());
        for run in [load, ready_load] {
            assert_eq!(run(&FileLoader::new(&path)).unwrap_err().kind(), kind);
        }
        assert!(!key.is_in_memory(), "left behind: {kind:?}");
    }
}

#[test]
fn an_injected_variable_leaves_nothing() {
    let key = Masked::new();
    let value = std::ffi::OsString::from_vec(key.to_bytes());
    let loader = EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", value)]));
    assert_gone_after(&key, &loader);
    assert!(key.is_in_memory(), "the injected environment holds it as long as it lives");
    drop(loader);
    assert!(!key.is_in_memory());
}

#[test]
fn a_program_leaves_nothing() {
    let key = Masked::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    for (end, first_line) in [("", false), ("\n", false), ("\nurl: x\n", true)] {
        write(&key, &path, end.as_bytes());
        let loader = CommandLoader::new("cat").arg(&path).within(Duration::from_secs(60));
        let loader = if first_line { loader.first_line() } else { loader };
        let loaded = load(&loader).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
        drop(loaded);
        assert!(!key.is_in_memory(), "left behind, with the end {end:?}");
    }
    let failing = CommandLoader::new("sh").args(["-c", "cat \"$0\"; exit 1"]).arg(&path);
    assert_eq!(load(&failing).unwrap_err().kind(), LoadErrorKind::Unreadable);
    write(&key, &path, b"\"");
    let loader = CommandLoader::new("cat").arg(&path).within(Duration::from_secs(60));
    assert_eq!(load(&loader).unwrap_err().kind(), LoadErrorKind::Invalid);
    assert!(!key.is_in_memory(), "left behind by a program that is refused");
}

#[test]
fn a_chain_leaves_nothing() {
    let (used, shadowed) = (Masked::new(), Masked::new());
    let directory = tempfile::tempdir().unwrap();
    let paths = ["used", "shadowed"].map(|name| directory.path().join(name));
    write(&used, &paths[0], b"\n");
    write(&shadowed, &paths[1], b"\n");
    let [first, second] = paths.map(FileLoader::new);
    let chain = LoaderChain::first("first", first)
        .within(Duration::from_secs(60))
        .then("second", second)
        .report_shadowed();
    let loaded = load(&chain).unwrap();
    assert_eq!(loaded.attempts().len(), 2, "the second was read");
    assert!(used.is_in_memory(), "the search is blind");
    assert!(!shadowed.is_in_memory(), "a key that is only told of is wiped at once");
    drop(loaded);
    assert!(!used.is_in_memory());
}

#[test]
fn a_handle_leaves_nothing_of_a_key_that_was_replaced() {
    let (old, new) = (Masked::new(), Masked::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    write(&old, &path, b"\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let live = LiveKey::project(FileLoader::new(&path), keyward::KeyPolicy::production());
    let mut live = runtime.block_on(live.start()).unwrap();
    assert!(old.is_in_memory() && live.current().is_ok(), "the search is blind");
    let protection = live.health().in_use.unwrap().protection;
    assert_eq!(protection != Protection::Wiped, cfg!(feature = "locked"), "{protection}");
    let beside = directory.path().join("new");
    write(&new, &beside, b"\n");
    fs::rename(beside, &path).unwrap();
    runtime.block_on(live.changed()).unwrap();
    assert!(new.is_in_memory() && live.current().is_ok());
    assert!(!old.is_in_memory(), "the one that was replaced is left behind");

    // One that is refused replaces none, and is gone at once.
    let refused = Masked::new();
    write(&refused, &path, b"\"");
    runtime.block_on(async {
        while live.health().last_error.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(new.is_in_memory() && !refused.is_in_memory());
    let clone = live.clone();
    drop(live);
    assert!(new.is_in_memory());
    // With the last handle the task ends, as soon as its runtime runs.
    drop(clone);
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    assert!(!new.is_in_memory());
}

#[cfg(feature = "http")]
#[test]
fn a_header_leaves_nothing() {
    let key = Masked::new();
    let policy = keyward::KeyPolicy::production();
    let authorizer = keyward::authorize::Authorizer::new(policy.clone());
    let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
    {
        let admitted = keyward::ApiKey::parse(key.to_bytes()).unwrap();
        let context = keyward::AdmitContext::at(crate::fixture::NOW);
        let admitted = policy.admit(&admitted, &context).unwrap();
        let admitted = admitted.into_project_key().unwrap();
        authorizer.authorize(&admitted, &mut request).unwrap();
    }
    let headers = request.headers().clone();
    drop(request);
    assert!(key.is_in_memory(), "the search is blind");
    drop(headers);
    assert!(!key.is_in_memory());
}

#[test]
fn the_search_finds_a_block_that_was_freed_unwiped() {
    let key = Masked::new();
    assert!(!key.is_in_memory());
    let block = |_| {
        let mut block = vec![0; 9_000];
        for (to, byte) in block[4_000..].iter_mut().zip(key.bytes()) {
            *to = byte;
        }
        block
    };
    // Every other block stays, so that the allocator cannot join the freed ones and give them
    // back; there are many, because others may get one of them at once.
    let mut kept: Vec<Vec<u8>> = (0..128).map(block).collect();
    let mut freed = 0;
    kept.retain_mut(|block| {
        freed += 1;
        if freed % 2 == 0 {
            block.fill(0);
        }
        freed % 2 == 0
    });
    assert!(key.is_in_memory());
    drop(kept);
}
