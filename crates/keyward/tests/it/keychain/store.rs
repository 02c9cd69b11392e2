//! Stores in the keychains: each is held to the contract, and processes that race to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use keyward::reference::References;
use keyward::store::conformance::{Subject, check};
use keyward::store::{
    Document, DocumentStore, KeyNote, KeyStore as _, KeychainPlace, Place as _, StoreError,
    StoreErrorKind,
};
use keyward::{ApiKey, Environment, Keychain, LoadErrorKind};
use keyward_testkit::assert_no_leak;
use keyward_testkit::keys::KeyRng;

use super::{PATIENCE, child, keyutils, load, secret_service, tool};
use crate::fixture::{NOW, assert_fails, assert_loads, secret};
use crate::memory::freed::copies_left;
use crate::memory::{Masked, watch};

type Store = DocumentStore<KeychainPlace>;

/// A place that no other test has.
fn place(keychain: Keychain) -> (KeychainPlace, String) {
    let service = format!("store-{}", KeyRng::from_entropy().alphanumeric(12));
    (place_of(keychain, &service), service)
}

fn place_of(keychain: Keychain, service: &str) -> KeychainPlace {
    let place = KeychainPlace::new(service, "openai").in_keychain(keychain);
    let locks = std::env::temp_dir().join(format!("keyward-locks-{service}"));
    place.with_time_out(PATIENCE).with_lock_directory(locks)
}

/// Forgets an entry, and the directory of its lock.
fn forget(keychain: Keychain, service: &str) {
    let _ = fs::remove_dir_all(std::env::temp_dir().join(format!("keyward-locks-{service}")));
    if keychain == Keychain::Keyutils {
        tool("keyctl", &["purge", "user", &format!("keyring:openai@{service}")], []);
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(future)
}

/// A keychain, and which services were made up for it.
struct InKeychain(Keychain, Mutex<Vec<String>>);

impl Subject for InKeychain {
    type Store = Store;

    async fn fresh(&self) -> Store {
        let (place, service) = place(self.0);
        self.1.lock().unwrap().push(service);
        DocumentStore::new(place)
    }

    async fn again(&self, store: &Store) -> Store {
        DocumentStore::new(store.place().clone())
    }
}

fn keeps_the_contract(keychain: Keychain) {
    let began = Instant::now();
    let subject = InKeychain(keychain, Mutex::default());
    let report = run(check(&subject));
    println!("{report}in {} ms", began.elapsed().as_millis());
    assert!(report.is_held(), "{report}");
    assert_eq!(report.skipped().collect::<Vec<_>>(), ["an_unreachable_place_is_told"]);
    subject.1.lock().unwrap().iter().for_each(|service| forget(keychain, service));
}

/// How many have joined the session's bus since it began, this look at it included.
fn connections() -> u32 {
    let bus = "--dest=org.freedesktop.DBus";
    let said = ["--session", "--print-reply", bus, "/", "org.freedesktop.DBus.GetId"];
    let said = tool("dbus-send", &said, []);
    let (_, number) = said.split_once("destination=:1.").expect("who asked");
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap();
    number[..end].parse().unwrap()
}

/// gnome-keyring aborts now and then when clients come and go. That it is not locked is asked
/// apart, because the library that keeps entries does not let others use what it has opened.
#[test]
fn a_process_opens_the_secret_service_twice_and_no_more() {
    let test = concat!(module_path!(), "::a_process_opens_the_secret_service_twice_and_no_more");
    if !secret_service::is_in("unlocked", test) {
        return;
    }
    let (place, _) = place(Keychain::SecretService);
    let before = connections();
    run(async {
        let (document, version) = (Document::from(b"{}".to_vec()), None);
        place.write_if(version, &document).await.unwrap();
    });
    let written = connections();
    assert_eq!(written - before - 1, 2, "a write reads, compares and writes");
    for _ in 0..3 {
        assert!(run(place.read()).unwrap().is_some());
    }
    assert_eq!(connections() - written - 1, 0, "reads");
}

/// What a process has opened leads nowhere when the service was started again.
#[test]
fn a_service_that_was_started_again_is_found_again() {
    let test = concat!(module_path!(), "::a_service_that_was_started_again_is_found_again");
    if !secret_service::is_in("unlocked", test) {
        return;
    }
    let (place, _) = place(Keychain::SecretService);
    let document = Document::from(b"{}".to_vec());
    run(place.write_if(None, &document)).unwrap();
    let again = "
        bus='dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus'
        owner() { $bus.GetConnectionUnixProcessID string:org.freedesktop.secrets; }
        kill $(owner | sed -n 's/.*uint32 //p')
        while owner >/dev/null 2>&1; do sleep 0.05; done
        printf open | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
        until owner >/dev/null 2>&1; do sleep 0.05; done";
    tool("sh", &["-c", again], []);
    assert!(run(place.read()).unwrap().is_some(), "what was written before");
}

#[test]
fn a_store_in_the_secret_service_keeps_the_contract() {
    let test = concat!(module_path!(), "::a_store_in_the_secret_service_keeps_the_contract");
    if secret_service::is_in("unlocked", test) {
        keeps_the_contract(Keychain::SecretService);
    }
}

#[test]
fn a_store_in_the_kernels_keyring_keeps_the_contract() {
    if keyutils::is_in_session(concat!(
        module_path!(),
        "::a_store_in_the_kernels_keyring_keeps_the_contract"
    )) {
        keeps_the_contract(Keychain::Keyutils);
    }
}

const ROUNDS: usize = 10;
const PROCESSES: usize = 3;
const RACER: &str = "KEYWARD_TEST_RACER";

/// Processes that stage a key of their own at the same moment, again and again: one wins each time.
fn of_processes_that_stage_one_wins(keychain: Keychain, test: &str) {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    if let Ok(racer) = std::env::var(RACER) {
        let (service, directory) = racer.split_once('=').unwrap();
        return race(&DocumentStore::new(place_of(keychain, service)), Path::new(directory));
    }
    let (place, service) = place(keychain);
    let store = DocumentStore::new(place);
    for round in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let racers: Vec<_> = (0..PROCESSES)
            .map(|_| {
                child(&[], test)
                    .env(RACER, format!("{service}={}", directory.path().display()))
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let began = Instant::now();
        while fs::read_dir(directory.path()).unwrap().count() < PROCESSES {
            assert!(began.elapsed() < PATIENCE, "they do not come to the start");
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::write(directory.path().join("go"), "").unwrap();
        let said: Vec<_> = racers
            .into_iter()
            .map(|racer| {
                let output = racer.wait_with_output().unwrap();
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap()
            })
            .collect();
        let count = |word: &str| said.iter().filter(|said| said.contains(word)).count();
        assert_eq!((count("it won"), count("it lost")), (1, PROCESSES - 1), "{said:#?}");
        let pending = run(store.pending()).unwrap().expect("the winner's key");
        let version = format!("it won with {};", pending.version);
        assert!(said.iter().any(|said| said.contains(&version)), "{version} {said:#?}");
        run(store.discard(&pending.version)).unwrap();
        println!("round {round}: one of {PROCESSES} won, {version}");
    }
    forget(keychain, &service);
}

fn race(store: &Store, directory: &Path) {
    let key = ApiKey::issued(secret()).unwrap();
    fs::write(directory.join(std::process::id().to_string()), "").unwrap();
    let began = Instant::now();
    while !directory.join("go").exists() {
        assert!(began.elapsed() < PATIENCE, "nobody starts it");
        std::hint::spin_loop();
    }
    match run(store.stage(&key, &KeyNote::new(), NOW)) {
        Ok(version) => println!("it won with {version};"),
        Err(error) if error.kind() == StoreErrorKind::Conflict => println!("it lost: {error}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn of_processes_one_wins_in_the_secret_service() {
    let test = concat!(module_path!(), "::of_processes_one_wins_in_the_secret_service");
    if secret_service::is_in("unlocked", test) {
        of_processes_that_stage_one_wins(Keychain::SecretService, test);
    }
}

#[test]
fn of_processes_one_wins_in_the_kernels_keyring() {
    let test = concat!(module_path!(), "::of_processes_one_wins_in_the_kernels_keyring");
    if keyutils::is_in_session(test) {
        of_processes_that_stage_one_wins(Keychain::Keyutils, test);
    }
}

#[test]
fn a_store_that_is_locked_or_absent_is_told() {
    let test = concat!(module_path!(), "::a_store_that_is_locked_or_absent_is_told");
    if !super::is_child() {
        secret_service::is_in("locked", test);
        secret_service::is_in("absent", test);
        return;
    }
    let is_locked = Command::new("secret-tool").args(["lookup", "a", "b"]).output().unwrap();
    let is_locked = !String::from_utf8(is_locked.stderr).unwrap().contains("not provided");
    let expected = if is_locked {
        (StoreErrorKind::Refused, LoadErrorKind::Denied, "is locked; unlock it")
    } else {
        (StoreErrorKind::Unreachable, LoadErrorKind::Unreachable, "no Secret Service is at work")
    };
    println!("{expected:?}");
    let text = secret();
    let key = ApiKey::issued(text.clone()).unwrap();
    let store = DocumentStore::new(place(Keychain::SecretService).0);
    let error = run(store.stage(&key, &KeyNote::new(), NOW)).unwrap_err();
    assert_eq!(error.kind(), expected.0, "{error}");
    assert_no_leak!(&text, keyward_testkit::leak::error_surfaces(&error));
    assert_fails(load(&store), &text, expected.1, &[expected.2]);
}

#[test]
fn a_reference_and_a_loader_find_the_current_key() {
    let test = concat!(module_path!(), "::a_reference_and_a_loader_find_the_current_key");
    if !keyutils::is_in_session(test) {
        return;
    }
    let service = format!("store-{}/sub", KeyRng::from_entropy().alphanumeric(12));
    let source = format!("keyutils:{service}/openai");
    let (references, home) = (References::new(), tempfile::tempdir().unwrap());
    let references = references.with_environment(Environment::fixed([("HOME", home.path())]));
    let (store, loader) = (references.store(&source).unwrap(), references.loader(&source).unwrap());
    assert!(load(&loader).unwrap_err().is_not_found());
    for _ in 0..2 {
        let text = secret();
        let key = ApiKey::issued(text.clone()).unwrap();
        let version = run(store.stage(&key, &KeyNote::new().key_id("key_1"), NOW)).unwrap();
        run(store.promote(&version, NOW)).unwrap();
        let loaded = assert_loads(load(&loader), &text, &source);
        assert_eq!(loaded.version, Some(version.to_string()));
        assert_loads(load(&store), &text, &source);
    }
    for malformed in ["keychain:billing", "keychain:/openai", "keyutils:billing/"] {
        let error = references.loader(malformed).unwrap_err();
        assert!(error.to_string().contains("write `keychain:SERVICE/USER`"), "{error}");
        references.store(malformed).unwrap_err();
    }
    forget(Keychain::Keyutils, &service);
}

#[test]
fn without_a_session_nothing_is_written() {
    let test = concat!(module_path!(), "::without_a_session_nothing_is_written");
    if !keyutils::is_without_session(test) {
        return;
    }
    let (place, service) = place(Keychain::Keyutils);
    let text = secret();
    let key = ApiKey::issued(text.clone()).unwrap();
    let error = run(DocumentStore::new(place).stage(&key, &KeyNote::new(), NOW)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("has joined no session"), "{error}");
    assert_no_leak!(&text, keyward_testkit::leak::error_surfaces(&error));
    let name = format!("keyring:openai@{service}");
    let kept = fs::read_to_string("/proc/keys").unwrap();
    assert!(!kept.contains(&name), "it is there all the same");
    forget(Keychain::Keyutils, &service);
}

#[test]
fn the_lock_is_a_file_of_the_user_alone_at_home_or_where_it_is_said() {
    let test = concat!(
        module_path!(),
        "::the_lock_is_a_file_of_the_user_alone_at_home_or_where_it_is_said"
    );
    if !keyutils::is_in_session(test) {
        return;
    }
    let key = ApiKey::issued(secret()).unwrap();
    let service = format!("store-{}", KeyRng::from_entropy().alphanumeric(12));
    let place = KeychainPlace::new(&service, "openai").in_keychain(Keychain::Keyutils);
    let place = place.with_time_out(PATIENCE);
    let stage = |place: &KeychainPlace| {
        let store = DocumentStore::new(place.clone());
        run(store.stage(&key, &KeyNote::new(), NOW))
    };
    for home in [None, Some(""), Some("relative")] {
        let environment = Environment::fixed(home.map(|home| ("HOME", home)));
        let error = stage(&place.clone().with_environment(environment)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert!(error.to_string().contains("; set it, or give a directory with"), "{error}");
    }
    let home = tempfile::tempdir().unwrap();
    let at_home = place.clone().with_environment(Environment::fixed([("HOME", home.path())]));
    let version = stage(&at_home).unwrap();
    let lock = home.path().join(".local/state/keyward/keyutils.lock");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&lock), mode(lock.parent().unwrap())), (0o600, 0o700));

    // Who holds the lock keeps others out, for as long as they wait.
    let elsewhere = tempfile::tempdir().unwrap();
    let directory = elsewhere.path().join("below");
    let place = place.with_lock_directory(&directory);
    assert_eq!(stage(&place).unwrap(), version, "it is the same entry");
    let store = DocumentStore::new(place.clone().with_time_out(Duration::from_millis(300)));
    let held = fs::File::open(directory.join("keyutils.lock"));
    let held = held.unwrap_or_else(|_| {
        // Nothing had to be written, so nothing was locked.
        fs::create_dir(&directory).unwrap();
        fs::File::create(directory.join("keyutils.lock")).unwrap()
    });
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = run(store.promote(&version, NOW)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TimedOut, "{error}");
    drop(held);
    run(DocumentStore::new(place.clone()).promote(&version, NOW)).unwrap();

    // No file can be made here.
    let error = stage_new(&place.with_lock_directory("/proc/nowhere"));
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains("cannot be locked: "), "{error}");
    forget(Keychain::Keyutils, &service);
}

fn stage_new(place: &KeychainPlace) -> StoreError {
    let key = ApiKey::issued(secret()).unwrap();
    run(DocumentStore::new(place.clone()).stage(&key, &KeyNote::new(), NOW)).unwrap_err()
}

#[test]
fn nothing_is_left_in_memory() {
    let test = concat!(module_path!(), "::nothing_is_left_in_memory");
    if !keyutils::is_in_session(test) {
        return;
    }
    let (place, service) = place(Keychain::Keyutils);
    let masked = Masked::new();
    let store = DocumentStore::new(place);
    {
        let key = ApiKey::issued(masked.to_bytes()).unwrap();
        let version = run(store.stage(&key, &KeyNote::new(), NOW)).unwrap();
        run(store.promote(&version, NOW)).unwrap();
        assert!(masked.is_in_memory(), "the search is blind");
    }
    assert!(!masked.is_in_memory(), "left behind by a write");
    drop(load(&store).unwrap());
    assert!(!masked.is_in_memory(), "left behind by a read");
    forget(Keychain::Keyutils, &service);
}

/// Takes a key through a store, which reads and writes it several times.
fn no_block_that_a_store_frees_holds_a_copy(keychain: Keychain) {
    watch::begin();
    let (place, service) = place(keychain);
    let masked = Masked::new();
    let store = DocumentStore::new(place);
    let name = format!("KeychainPlace, {keychain:?}, written and loaded");
    let copies = copies_left(&name, &masked, || {
        let key = ApiKey::issued(masked.to_bytes()).unwrap();
        let version = run(store.stage(&key, &KeyNote::new(), NOW)).unwrap();
        run(store.promote(&version, NOW)).unwrap();
        drop(key);
        drop(load(&store).unwrap());
    });
    forget(keychain, &service);
    assert_eq!(copies, 0);
    watch::end();
}

#[test]
fn no_block_that_a_store_in_the_secret_service_frees_holds_a_copy() {
    let test =
        concat!(module_path!(), "::no_block_that_a_store_in_the_secret_service_frees_holds_a_copy");
    if secret_service::is_in("unlocked", test) {
        no_block_that_a_store_frees_holds_a_copy(Keychain::SecretService);
    }
}

#[test]
fn no_block_that_a_store_in_the_kernels_keyring_frees_holds_a_copy() {
    let test = concat!(
        module_path!(),
        "::no_block_that_a_store_in_the_kernels_keyring_frees_holds_a_copy"
    );
    if keyutils::is_in_session(test) {
        no_block_that_a_store_frees_holds_a_copy(Keychain::Keyutils);
    }
}
