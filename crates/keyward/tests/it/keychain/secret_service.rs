//! The Secret Service: unlocked, locked, absent and silent.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use keyward::{KeyLoader as _, KeyPolicy, Keychain, KeychainLoader, LoadErrorKind};
use keyward_testkit::keys::{self, KeyRng};

use super::{PATIENCE, Server, assert_passes, child, is_child, load, load_everywhere, tool};
use crate::fixture::{NOW, assert_fails, assert_loads, secret};
use crate::memory::freed::copies_left;
use crate::memory::{Masked, watch};

const SOURCE: &str = "keychain:billing/openai";

/// Runs the test in a session whose Secret Service is so; whether this is that session.
pub(super) fn is_in(mode: &str, test: &str) -> bool {
    if is_child() {
        return true;
    }
    if let Some(server) = Server::find("secret-service") {
        assert_passes(child(&[server.get("KEYWARD_SECRET_SERVICE"), mode], test));
    }
    false
}

fn loader() -> KeychainLoader {
    KeychainLoader::new("billing", "openai").with_time_out(PATIENCE)
}

/// Writes an entry with the tool that people use.
fn write(secret: impl IntoIterator<Item = u8>, more: &[&str]) {
    let name = ["store", "--label=openai", "service", "billing", "username", "openai"];
    tool("secret-tool", &[&name[..], more].concat(), secret);
}

fn lock() {
    let secrets = "/org/freedesktop/secrets";
    tool(
        "dbus-send",
        &[
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
            secrets,
            "org.freedesktop.Secret.Service.Lock",
            &format!("array:objpath:{secrets}/collection/login"),
        ],
        [],
    );
}

#[test]
fn unlocked_yields_what_was_written_or_says_what_is_wrong() {
    use LoadErrorKind::{Conflict, Invalid, NotFound};
    if !is_in(
        "unlocked",
        concat!(module_path!(), "::unlocked_yields_what_was_written_or_says_what_is_wrong"),
    ) {
        return;
    }
    let key = secret();
    assert_eq!(loader().source().to_string(), SOURCE);
    for (runtime, result) in load_everywhere(&loader()) {
        println!("nothing there, runtime: {runtime}");
        let fix = "secret-tool store --label=openai service billing username openai";
        let error = assert_fails(result, &key, NotFound, &[SOURCE, "no such entry; ", fix]);
        assert!(error.is_not_found());
    }
    for (case, content, expected) in [
        ("a key", key.clone().into_bytes(), None),
        ("with a line end", format!("{key}\n").into_bytes(), None),
        ("empty", Vec::new(), Some("it is empty")),
        ("not UTF-8", [key.as_bytes(), b"\xff\xfe"].concat(), Some("outside of ASCII")),
        ("two keys", format!("{key}\n{key}").into_bytes(), Some("one key and nothing else")),
        ("a variable", b"$OPENAI_API_KEY".to_vec(), Some("; ")),
    ] {
        write(content, &[]);
        for (runtime, result) in load_everywhere(&loader()) {
            println!("{case}, runtime: {runtime}");
            match expected {
                None => drop(assert_loads(result, &key, SOURCE)),
                Some(says) => drop(assert_fails(result, &key, Invalid, &[SOURCE, says])),
            }
        }
    }
    let second = secret();
    write(second.bytes(), &[]);
    assert_loads(load(&loader()), &second, SOURCE);

    let legacy = keys::legacy_user_key(&mut KeyRng::from_entropy());
    write(legacy.bytes(), &[]);
    let loaded = assert_loads(load(&loader()), &legacy, SOURCE);
    loaded.admit(&KeyPolicy::standard(), NOW).unwrap_err();

    // An entry with one attribute more is another entry of the same service and user.
    write(key.bytes(), &["purpose", "other"]);
    assert_fails(load(&loader()), &key, Conflict, &["several entries", "; delete all but one"]);
}

#[test]
fn locked_is_told_and_nobody_is_asked() {
    if !is_in("unlocked", concat!(module_path!(), "::locked_is_told_and_nobody_is_asked")) {
        return;
    }
    let key = secret();
    write(key.bytes(), &[]);
    let nothing = KeychainLoader::new("no", "such").with_time_out(PATIENCE);
    assert!(load(&nothing).unwrap_err().is_not_found());
    lock();
    for (runtime, result) in load_everywhere(&loader()) {
        println!("runtime: {runtime}");
        let says = [SOURCE, "the Secret Service is locked; unlock it", "may_prompt"];
        let error = assert_fails(result, &key, LoadErrorKind::Locked, &says);
        assert!(!error.is_not_found(), "a chain must not go on");
    }
    // Of a locked keyring it cannot be said that it does not have it.
    assert_fails(load(&nothing), &key, LoadErrorKind::Locked, &["is locked"]);
    // Here is nobody who could be asked, and that is an error too.
    let error = load(&loader().may_prompt().with_time_out(Duration::from_secs(5))).unwrap_err();
    println!("with may_prompt: {error}");
    assert!(matches!(error.kind(), LoadErrorKind::Locked | LoadErrorKind::TimedOut), "{error}");
}

#[test]
fn a_keyring_that_nobody_opened_is_locked() {
    if !is_in("locked", concat!(module_path!(), "::a_keyring_that_nobody_opened_is_locked")) {
        return;
    }
    assert_fails(load(&loader()), &secret(), LoadErrorKind::Locked, &[SOURCE, "is locked; "]);
}

#[test]
fn absent_is_told_and_is_not_not_found() {
    let test = concat!(module_path!(), "::absent_is_told_and_is_not_not_found");
    if !is_in("absent", test) {
        // Nor is there a bus: not at the address that is given, or no address.
        if !is_child() && Server::find("secret-service").is_some() {
            for address in [None, Some("unix:path=/nonexistent/bus"), Some("nonsense")] {
                let mut child = child(&[], test);
                child.env_remove("DISPLAY").env_remove("XDG_RUNTIME_DIR");
                child.env_remove("DBUS_SESSION_BUS_ADDRESS");
                if let Some(address) = address {
                    child.env("DBUS_SESSION_BUS_ADDRESS", address);
                }
                assert_passes(child);
            }
        }
        return;
    }
    for (runtime, result) in load_everywhere(&loader()) {
        println!("runtime: {runtime}");
        let says = [SOURCE, "; start a keyring such as gnome-keyring"];
        let error = assert_fails(result, &secret(), LoadErrorKind::Unreachable, &says);
        println!("{error}");
        assert!(!error.is_not_found(), "a chain must not go on");
    }
}

#[test]
fn silent_ends_in_the_time_out_and_so_does_the_process() {
    const ENDED: &str = "the load has ended";
    let test = concat!(module_path!(), "::silent_ends_in_the_time_out_and_so_does_the_process");
    if is_child() {
        let time_out = Duration::from_millis(500);
        let loader = loader().with_time_out(time_out);
        // As in a program: a runtime with everything, dropped while its task has come to an end.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let began = Instant::now();
        let result = runtime.block_on(loader.load());
        let took = began.elapsed();
        drop(runtime);
        let says = ["the Secret Service did not answer within 0.5 s; see whether it waits"];
        assert_fails(result, &secret(), LoadErrorKind::TimedOut, &says);
        println!("{ENDED} after {} ms", took.as_millis());
        return;
    }
    let Some(server) = Server::find("secret-service") else { return };
    // The library waits for two seconds for an answer to one message, so a process that waited for
    // it would go on for a second and a half. A busy machine may need a second try.
    let mut longest = Vec::new();
    for _ in 0..5 {
        // The session's own end is not measured: the child is the process of the test.
        let mut command = child(&[server.get("KEYWARD_SECRET_SERVICE"), "silent"], test);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ended = None;
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line.contains(ENDED) {
                ended = Some(Instant::now());
            }
            said.push(line);
        }
        // Its standard output is closed when it has gone, and not before.
        let took = ended.map(|ended| ended.elapsed());
        assert!(child.wait().unwrap().success(), "{said:#?}");
        let took = took.unwrap_or_else(|| panic!("it did not load: {said:#?}"));
        println!("{said:?}; gone {} ms after", took.as_millis());
        if took < Duration::from_secs(1) {
            return;
        }
        longest.push(took);
    }
    panic!("the process goes on after the load: {longest:?}");
}

#[test]
fn nothing_is_left_in_memory() {
    if !is_in("unlocked", concat!(module_path!(), "::nothing_is_left_in_memory")) {
        return;
    }
    let key = Masked::new();
    write(key.bytes(), &[]);
    for _ in 0..3 {
        let loaded = load(&loader()).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
        drop(loaded);
        assert!(!key.is_in_memory(), "left behind");
    }
    write(key.bytes().chain([b'"']), &[]);
    assert_eq!(load(&loader()).unwrap_err().kind(), LoadErrorKind::Invalid);
    assert!(!key.is_in_memory(), "left behind by a refusal");
}

#[test]
fn no_block_that_a_load_frees_holds_a_copy() {
    let test = concat!(module_path!(), "::no_block_that_a_load_frees_holds_a_copy");
    if !is_in("unlocked", test) {
        return;
    }
    watch::begin();
    let key = Masked::new();
    write(key.bytes(), &[]);
    let copies = copies_left("KeychainLoader, the Secret Service", &key, || {
        for (_, loaded) in load_everywhere(&loader()) {
            loaded.unwrap();
        }
    });
    assert_eq!(copies, 0);
    watch::end();
}

#[test]
fn a_keychain_of_another_system_and_an_empty_name_are_told() {
    let key = secret();
    for (loader, says) in [
        (loader().in_keychain(Keychain::Apple), "the macOS keychain is not of this system; choose"),
        (
            loader().in_keychain(Keychain::Windows),
            "the Credential Manager is not of this system; choose",
        ),
        (KeychainLoader::new("", "openai"), "the service or the user is empty; "),
        (KeychainLoader::new("billing", ""), "the service or the user is empty; "),
    ] {
        for (_, result) in load_everywhere(&loader) {
            assert_fails(result, &key, LoadErrorKind::Invalid, &[says]);
        }
    }
    // A key in the place of a name is not shown.
    let misplaced = KeychainLoader::new(key.clone(), "openai").in_keychain(Keychain::Apple);
    let error = load(&misplaced);
    assert_fails(error, &key, LoadErrorKind::Invalid, &["keychain:[service account key]/openai"]);
    keyward_testkit::assert_no_leak!(&key, [("{:?}", format!("{misplaced:?}"))]);
}
