//! What a load leaves in the blocks that it frees: an allocator tells of each block, and what stands
//! in it is read.
//!
//! The allocator grows a buffer by moving it, always, so that what a buffer leaves behind when it
//! grows is seen whatever the system's allocator would have done. It says where a block was just
//! after it was freed; nothing has used it again then, but for the first bytes of it, because the
//! process does nothing else: the test runs itself once more, alone.

use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use keyward::{
    CommandLoader, EnvLoader, Environment, FileLoader, KeyLoader, KeyPolicy, LiveKey, LoaderChain,
};
use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker};

use super::{Masked, write};
use crate::fixture::{load, ready};

/// Reads each block that was freed.
struct Watch {
    memory: File,
    room: Mutex<Vec<u8>>,
    key: Mutex<Masked>,
    copies: AtomicUsize,
    blocks: AtomicUsize,
    /// Blocks that the system took back at once, or that are larger than the room.
    unread: AtomicUsize,
}

static WATCH: OnceLock<Watch> = OnceLock::new();

struct Tell;

impl AllocationTracker for Tell {
    fn allocated(&self, _: usize, _: usize, _: usize, _: AllocationGroupId) {}

    fn deallocated(
        &self,
        address: usize,
        len: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
        let Some(watch) = WATCH.get() else { return };
        let mut room = watch.room.lock().unwrap();
        let room = room.get_mut(..len);
        let read = room.and_then(|room| {
            watch.memory.read_exact_at(room, address as u64).ok()?;
            Some(watch.key.lock().unwrap().count_in(room))
        });
        watch.blocks.fetch_add(1, Ordering::Relaxed);
        match read {
            Some(copies) => watch.copies.fetch_add(copies, Ordering::Relaxed),
            None => watch.unread.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Does it with a key of its own, and tells how many copies of that the freed blocks held.
fn copies_left(work: impl FnOnce(&Masked)) -> usize {
    copies_of(Masked::new, work)
}

fn copies_of(key: impl Fn() -> Masked, work: impl FnOnce(&Masked)) -> usize {
    let watch = WATCH.get().unwrap();
    let key = key();
    // Dropped outside of the lock, which each block that is freed takes.
    let before = std::mem::replace(&mut *watch.key.lock().unwrap(), key.again());
    drop(before);
    watch.copies.store(0, Ordering::Relaxed);
    work(&key);
    watch.copies.load(Ordering::Relaxed)
}

/// Loads on a runtime and on none, and drops what was loaded.
fn load_and_drop(loader: &impl KeyLoader) {
    load(loader).unwrap();
    ready(loader.load()).unwrap();
}

const ALONE: &str = "KEYWARD_TEST_FREED";

/// What the parent has put into the environment of the child.
const VARIABLE: &str = "KEYWARD_TEST_FREED_KEY";
const SEED: u64 = 0x00f4_eed0;

#[test]
fn no_block_that_a_load_frees_holds_a_copy() {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    if std::env::var_os(ALONE).is_some() {
        return in_a_process_of_its_own();
    }
    let test = concat!(module_path!(), "::no_block_that_a_load_frees_holds_a_copy");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test.strip_prefix("it::").unwrap(), "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .env(VARIABLE, std::ffi::OsString::from_vec(Masked::seeded(SEED).to_bytes()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr),
    );
    print!("{said}");
}

fn in_a_process_of_its_own() {
    let watch = Watch {
        memory: File::open("/proc/self/mem").unwrap(),
        room: Mutex::new(vec![0; 1 << 20]),
        key: Mutex::new(Masked::new()),
        copies: AtomicUsize::new(0),
        blocks: AtomicUsize::new(0),
        unread: AtomicUsize::new(0),
    };
    assert!(WATCH.set(watch).is_ok());
    AllocationRegistry::set_global_tracker(Tell).unwrap();
    AllocationRegistry::enable_tracking();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    println!("{:>7} copies left in freed blocks, of", "");
    for (name, work) in CONTROLS {
        let copies = copies_left(|key| work(key, &path));
        println!("{copies:>7} {name}");
        assert!(copies > 0, "the allocator does not see what {name} leaves");
    }
    for (name, work) in LOADERS {
        let copies = copies_left(|key| work(key, &path));
        println!("{copies:>7} {name}");
        assert_eq!(copies, 0, "{name}");
        drop(fs::remove_file(&path));
    }
    #[cfg(feature = "sealed")]
    {
        let copies = copies_left(|key| open_twice(key, &path));
        println!("{copies:>7} SealedFile, opened twice: age's, one for each");
        assert_eq!(copies, 2, "not what the documentation of `SealedFile` tells");
        drop(fs::remove_file(&path));
    }
    let copies = copies_of(|| Masked::seeded(SEED), |_| load_and_drop(&EnvLoader::new(VARIABLE)));
    println!("{copies:>7} EnvLoader, the process's environment");
    assert_eq!(copies, 0);

    AllocationRegistry::disable_tracking();
    let watch = WATCH.get().unwrap();
    let unread = watch.unread.load(Ordering::Relaxed);
    let blocks = watch.blocks.load(Ordering::Relaxed);
    println!("{blocks} blocks, {unread} of them were gone before they could be read");
    assert!(blocks > 1_000 && unread * 20 < blocks, "it does not see enough");
}

type Work = fn(&Masked, &Path);

/// What is written where nobody thinks of it, and leaves copies.
static CONTROLS: &[(&str, Work)] = &[
    ("a String", |key, _| drop(String::from_utf8(key.to_bytes()).unwrap())),
    ("fs::read_to_string and trim", |key, path| {
        write(key, path, b"\n");
        drop(fs::read_to_string(path).unwrap().trim().to_owned());
    }),
    ("a buffer that grows", |key, _| {
        let mut text = zeroize::Zeroizing::new(Vec::new());
        key.bytes().for_each(|byte| text.push(byte));
    }),
];

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
