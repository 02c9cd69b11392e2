//! What a load leaves in the blocks that it frees: nothing, but where the documentation tells.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::Duration;

use keyward::{
    CommandLoader, EnvLoader, Environment, FileLoader, KeyLoader, KeyPolicy, LiveKey, LoaderChain,
};

use super::watch::{self, left_by};
use super::{Masked, write};
use crate::fixture::{load, ready};

/// Loads on a runtime and on none, and drops what was loaded.
fn load_and_drop(loader: &impl KeyLoader) {
    load(loader).unwrap();
    ready(loader.load()).unwrap();
}

/// What the parent has put into the environment of the child.
const VARIABLE: &str = "KEYWARD_TEST_FREED_KEY";
const SEED: u64 = 0x00f4_eed0;

/// Does it with a key, and prints how many copies of that are left.
pub(crate) fn copies_left(name: &str, key: &Masked, work: impl FnOnce()) -> usize {
    let [left] = left_by([key.needle()], work);
    println!("{left} {name}");
    left.copies
}

#[test]
fn no_block_that_a_load_frees_holds_a_copy() {
    let test = concat!(module_path!(), "::no_block_that_a_load_frees_holds_a_copy");
    let is_alone = watch::is_alone(test, |child| {
        let key = std::ffi::OsString::from_vec(Masked::seeded(SEED).to_bytes());
        child.env(VARIABLE, key);
    });
    if !is_alone {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    watch::begin();
    watch::assert_seen("fs::read_to_string and trim", |key| {
        write(key, &path, b"\n");
        drop(fs::read_to_string(&path).unwrap().trim().to_owned());
    });
    for (name, work) in LOADERS {
        let key = Masked::new();
        assert_eq!(copies_left(name, &key, || work(&key, &path)), 0, "{name}");
        drop(fs::remove_file(&path));
    }
    #[cfg(feature = "sealed")]
    {
        let (name, key) = ("SealedFile, opened twice: age's, one for each", Masked::new());
        let copies = copies_left(name, &key, || open_twice(&key, &path));
        assert_eq!(copies, 2, "not what the documentation of `SealedFile` tells");
        drop(fs::remove_file(&path));
    }
    let (name, key) = ("EnvLoader, the process's environment", Masked::seeded(SEED));
    assert_eq!(copies_left(name, &key, || load_and_drop(&EnvLoader::new(VARIABLE))), 0);
    watch::end();
}

type Work = fn(&Masked, &Path);

static LOADERS: &[(&str, Work)] = &[
    ("EnvLoader, an injected environment", |key, _| {
        let value = std::ffi::OsString::from_vec(key.to_bytes());
        let environment = Environment::fixed([("KEY", value)]);
        load_and_drop(&EnvLoader::new("KEY").with_environment(environment));
    }),
    ("EnvLoader, a file", |key, path| {
        write(key, path, b"\n");
        let environment = Environment::fixed([("KEY_FILE", path)]);
        load_and_drop(&EnvLoader::new("KEY").with_environment(environment));
    }),
    ("FileLoader", |key, path| {
        for end in ["", "\n", "\r\n"] {
            write(key, path, end.as_bytes());
            load_and_drop(&FileLoader::new(path));
        }
    }),
    ("FileLoader, what is refused", |key, path| {
        write(key, path, b"\"");
        load(&FileLoader::new(path)).unwrap_err();
    }),
    ("CommandLoader", |key, path| {
        for (end, first_line) in [("", false), ("\nurl: x\n", true)] {
            write(key, path, end.as_bytes());
            let loader = CommandLoader::new("cat").arg(path).within(Duration::from_secs(60));
            load(&if first_line { loader.first_line() } else { loader }).unwrap();
        }
    }),
    ("LoaderChain, a key and one that it shadows", |key, path| {
        write(key, path, b"\n");
        let chain = LoaderChain::first("first", FileLoader::new(path))
            .then("second", FileLoader::new(path))
            .report_shadowed();
        load_and_drop(&chain);
    }),
    ("LiveKey", |key, path| {
        write(key, path, b"\n");
        let live = LiveKey::project(FileLoader::new(path), KeyPolicy::production());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.unwrap();
        let live = runtime.block_on(live.start()).unwrap();
        drop((live, runtime));
    }),
    #[cfg(feature = "store")]
    ("FileStore", |key, path| {
        write(key, path, b"\n");
        load_and_drop(&keyward::store::FileStore::new(path));
    }),
    #[cfg(feature = "http")]
    ("Authorizer, a request's header", |key, path| {
        write(key, path, b"\n");
        let loaded = load(&FileLoader::new(path)).unwrap();
        let policy = KeyPolicy::production();
        let admitted = loaded.admit(&policy, crate::fixture::NOW).unwrap();
        let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
        let authorizer = keyward::authorize::Authorizer::new(policy);
        authorizer.authorize(&admitted.into_project_key().unwrap(), &mut request).unwrap();
        drop(request.headers().clone());
    }),
];

/// age decrypts into a buffer that has room for the tag too, and shrinks it: here, and with some
/// allocators, by moving it. glibc's leaves it where it is, and then age wipes it.
#[cfg(feature = "sealed")]
fn open_twice(key: &Masked, path: &Path) {
    use keyward::store::{KeyNote, KeyStore as _, SealedFile, Unlock};

    let identity = Unlock::create_identity_file(path.with_extension("identity"));
    let store = SealedFile::new(path, ready(identity).unwrap());
    let api_key = keyward::ApiKey::parse(key.to_bytes()).unwrap();
    // Nothing is there yet, so nothing is opened.
    let staged = ready(store.stage(&api_key, &KeyNote::new(), crate::fixture::NOW)).unwrap();
    drop(api_key);
    ready(store.promote(&staged, crate::fixture::NOW)).unwrap();
    ready(store.load()).unwrap();
}
