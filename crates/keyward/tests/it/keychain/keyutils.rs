//! The keyring of the kernel.

use std::io::Write as _;

use keyward::{KeyLoader as _, Keychain, KeychainLoader, LoadErrorKind};
use keyward_testkit::keys::KeyRng;

use super::{PATIENCE, Server, assert_passes, child, is_child, load, load_everywhere, tool};
use crate::fixture::{assert_fails, assert_loads, secret};
use crate::memory::freed::copies_left;
use crate::memory::{Masked, watch};

/// Runs the test in a session of its own; whether this is that session.
pub(super) fn is_in_session(test: &str) -> bool {
    if is_child() {
        return true;
    }
    if let Some(server) = Server::find("keyutils") {
        let keyctl = server.get("KEYWARD_KEYUTILS");
        assert_passes(child(&[keyctl, "session", "keyward-test"], test));
    }
    false
}

/// Runs the test where no session was joined; whether this is there.
pub(super) fn is_without_session(test: &str) -> bool {
    if is_child() {
        return true;
    }
    let Some(server) = Server::find("keyutils") else { return false };
    let session = tool(server.get("KEYWARD_KEYUTILS"), &["describe", "@s"], []);
    if session.contains("_uid_ses") {
        assert_passes(child(&[], test));
    } else {
        // Nobody can leave a session; a login gives one, a container or a timer does not.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test}: this is in a session ({session}); run it where none is"
        );
    }
    false
}

/// A service that no other test has: the user's keyring is one for all sessions.
fn service() -> String {
    format!("billing-{}", KeyRng::from_entropy().alphanumeric(12))
}

fn loader(service: &str) -> KeychainLoader {
    KeychainLoader::new(service, "openai").in_keychain(Keychain::Keyutils).with_time_out(PATIENCE)
}

/// Writes an entry with the tool that people use; the number that the kernel gives it.
fn write(service: &str, secret: impl IntoIterator<Item = u8>) -> String {
    tool("keyctl", &["padd", "user", &format!("keyring:openai@{service}"), "@s"], secret)
}

#[test]
fn a_session_yields_what_was_written_or_says_what_is_wrong() {
    use LoadErrorKind::{Invalid, NotFound};
    if !is_in_session(concat!(
        module_path!(),
        "::a_session_yields_what_was_written_or_says_what_is_wrong"
    )) {
        return;
    }
    let (key, service) = (secret(), service());
    let source = format!("keyutils:{service}/openai");
    assert_eq!(loader(&service).source().to_string(), source);
    let not_found = |case: &str| {
        for (runtime, result) in load_everywhere(&loader(&service)) {
            println!("{case}, runtime: {runtime}");
            let fix = format!("write it with `keyctl padd user 'keyring:openai@{service}' @s`");
            let error = assert_fails(result, &key, NotFound, &[&source, "no such entry; ", &fix]);
            assert!(error.is_not_found());
        }
    };
    not_found("nothing there");
    let mut number = String::new();
    for (case, content, expected) in [
        ("a key", key.clone().into_bytes(), None),
        ("with a line end", format!("{key}\n").into_bytes(), None),
        ("not UTF-8", [key.as_bytes(), b"\xff\xfe"].concat(), Some("outside of ASCII")),
        ("two keys", format!("{key}\n{key}").into_bytes(), Some("one key and nothing else")),
    ] {
        number = write(&service, content);
        for (runtime, result) in load_everywhere(&loader(&service)) {
            println!("{case}, runtime: {runtime}");
            match expected {
                None => drop(assert_loads(result, &key, &source)),
                Some(says) => drop(assert_fails(result, &key, Invalid, &[&source, says])),
            }
        }
    }
    tool("keyctl", &["revoke", &number], []);
    not_found("revoked");
}

#[test]
fn without_a_session_it_is_absent_and_not_not_found() {
    let test = concat!(module_path!(), "::without_a_session_it_is_absent_and_not_not_found");
    if !is_without_session(test) {
        return;
    }
    let says = ["has joined no session", "; run it with `keyctl session - COMMAND`"];
    let error = load(&loader(&service()));
    assert_fails(error, &secret(), LoadErrorKind::Unreachable, &says);
}

#[test]
fn nothing_is_left_in_memory() {
    if !is_in_session(concat!(module_path!(), "::nothing_is_left_in_memory")) {
        return;
    }
    let (key, service) = (Masked::new(), service());
    let number = write(&service, key.bytes());
    for _ in 0..3 {
        let loaded = load(&loader(&service)).unwrap();
        assert!(key.is_in_memory(), "the search is blind");
        drop(loaded);
        assert!(!key.is_in_memory(), "left behind");
    }
    tool("keyctl", &["invalidate", &number], []);
}

#[test]
fn no_block_that_a_load_frees_holds_a_copy() {
    let test = concat!(module_path!(), "::no_block_that_a_load_frees_holds_a_copy");
    if !is_in_session(test) {
        return;
    }
    watch::begin();
    let (key, service) = (Masked::new(), service());
    let number = write(&service, key.bytes());
    let copies = copies_left("KeychainLoader, the kernel's keyring", &key, || {
        for (_, loaded) in load_everywhere(&loader(&service)) {
            loaded.unwrap();
        }
    });
    tool("keyctl", &["invalidate", &number], []);
    assert_eq!(copies, 0);
    watch::end();
}
