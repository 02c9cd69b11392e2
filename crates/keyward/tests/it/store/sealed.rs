//! Sealed files: what opens them, what does not, and that the `age` tool agrees.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keyward::store::{KeyNote, KeyStore as _, SealedFile, StoreErrorKind, Unlock};
use keyward::{ApiKey, EnvLoader, Environment, FileLoader, KeyLoader as _};
use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{assert_no_leak, leak};

use super::disk::identity;
use crate::fixture::{NOW, assert_loads, load, ready, secret, write};

fn put(store: &SealedFile, text: &str) {
    let key = ApiKey::parse(text.to_owned()).unwrap();
    let version = ready(store.stage(&key, &KeyNote::new(), NOW)).unwrap();
    ready(store.promote(&version, NOW)).unwrap();
}

/// The line of an identity file that is the identity.
fn secret_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
}

#[test]
fn no_file_of_its_directory_shows_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedFile::new(directory.path().join("key"), identity(directory.path()));
    let keys = [secret(), secret(), secret()];
    for key in &keys {
        put(&store, key);
    }
    let detector = LeakDetector::of_all(&keys);
    detector.assert_sees();
    let mut sizes = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(detector.find(&bytes).is_empty());
        sizes.push(bytes.len());
    }
    assert_eq!(sizes.len(), 3);
    let printed = format!("{store:?} {store:#?}");
    assert!(printed.contains("identity from file:"), "{printed}");
    assert_no_leak!(secret_line(&directory.path().join("identity.txt")), printed);
}

#[test]
fn its_size_does_not_tell_how_many_keys_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let store = SealedFile::new(&path, identity(directory.path()));
    let mut sizes = Vec::new();
    for _ in 0..3 {
        put(&store, &secret());
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    let journal = ready(store.journal()).unwrap();
    ready(store.write_journal(&journal, &"long ".repeat(2_000))).unwrap();
    sizes.push(fs::metadata(&path).unwrap().len());
    // age itself adds a few bytes of no meaning, and not always as many.
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(most - least < 400, "{sizes:?}");
    assert!(*least > 2 * 64 * 1024, "{sizes:?}");
}

#[test]
fn what_opens_it_can_lie_wherever_a_loader_looks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let file = directory.path().join("identity.txt");
    let text = secret();
    put(&SealedFile::new(&path, identity(directory.path())), &text);

    let line = secret_line(&file);
    let alone = write(directory.path().join("alone"), format!("{line}\n"));
    let environment = Environment::fixed([("AGE", line.as_str())]);
    let source = format!("sealed:{}", path.display());
    for unlock in [
        Unlock::identity_file(&file),
        Unlock::identity_file(&alone),
        Unlock::identity_from(FileLoader::new(&alone)),
        Unlock::identity_from(EnvLoader::new("AGE").with_environment(environment)),
    ] {
        let store = SealedFile::new(&path, unlock);
        assert_loads(load(&store), &text, &source);
        assert_no_leak!(line, format!("{store:?}"));
    }
    let in_env = Unlock::identity_from(EnvLoader::new("AGE"));
    let variables = SealedFile::new(&path, in_env).variables();
    assert!(variables.contains(&"AGE".into()), "a child must not inherit it");
}

#[test]
fn a_passphrase_opens_what_it_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let text = secret();
    let words = "correct horse battery staple";
    let typed = || Unlock::passphrase(words.to_owned());
    put(&SealedFile::new(&path, typed()).with_work_factor(1), &text);
    let header = fs::read(&path).unwrap()[..80].to_vec();
    let header = String::from_utf8_lossy(&header).into_owned();
    assert!(header.lines().nth(1).unwrap().ends_with(" 15"), "no less than 2^15: {header}");
    let source = format!("sealed:{}", path.display());
    assert_loads(load(&SealedFile::new(&path, typed())), &text, &source);
    assert_no_leak!(words, format!("{:?}", SealedFile::new(&path, typed())));

    let long = secret();
    let from = Unlock::passphrase_from(FileLoader::new(write(directory.path().join("p"), &long)));
    let path = directory.path().join("other");
    let store = SealedFile::new(&path, from).with_work_factor(15);
    put(&store, &text);
    assert_loads(load(&store), &text, &format!("sealed:{}", path.display()));
}

#[test]
fn what_does_not_open_it_is_told_and_shown_to_nobody() {
    use StoreErrorKind::{Damaged, Insecure, Invalid, Refused, Undecryptable};
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let key = secret();
    let mine = identity(root);
    let sealed = root.join("sealed");
    put(&SealedFile::new(&sealed, mine.clone()), &key);
    let by_passphrase = root.join("by-passphrase");
    let words = || Unlock::passphrase("right one and no other".to_owned());
    put(&SealedFile::new(&by_passphrase, words()).with_work_factor(15), &key);

    let line = secret_line(&root.join("identity.txt"));
    let other = ready(Unlock::create_identity_file(root.join("other.txt"))).unwrap();
    let two = write(root.join("two"), format!("{line}\n{line}\n"));
    let readable = write(root.join("readable"), &line);
    #[cfg(unix)]
    crate::fixture::chmod(&readable, 0o644);
    let whole = fs::read(&sealed).unwrap();
    let damaged = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        write(root.join(name), bytes)
    };
    let cut = damaged("cut", &|bytes| bytes.truncate(70_000));
    let turned = damaged("turned", &|bytes| bytes[100_000] ^= 1);
    let armored = write(root.join("armored"), "-----BEGIN AGE ENCRYPTED FILE-----\n");
    let plain = write(root.join("plain"), &key);

    let cases = [
        (&sealed, other, Undecryptable, "it is sealed for another identity; give the one"),
        (&sealed, words(), Undecryptable, "sealed for an identity, and a passphrase is given"),
        (&by_passphrase, mine.clone(), Undecryptable, "sealed with a passphrase, and an identity"),
        (
            &by_passphrase,
            Unlock::passphrase("a wrong one altogether".to_owned()),
            Undecryptable,
            "it is sealed with another passphrase; give the one",
        ),
        (&sealed, Unlock::identity_file(&two), Invalid, "holds no identity of age, or several"),
        (&sealed, Unlock::identity_file(&plain), Invalid, "holds no identity of age, or several"),
        (&sealed, Unlock::identity_file(root.join("absent")), Refused, "absent: no such file"),
        (
            &sealed,
            Unlock::identity_from(FileLoader::new(root.join("absent"))),
            Refused,
            "what opens it is not to be had: file:",
        ),
        (&sealed, Unlock::identity_from(FileLoader::new(&plain)), Invalid, "holds no identity"),
        #[cfg(unix)]
        (&sealed, Unlock::identity_from(FileLoader::new(&readable)), Insecure, "its mode 0644"),
        #[cfg(unix)]
        (&sealed, Unlock::identity_file(&readable), Insecure, "its mode 0644"),
        (&cut, mine.clone(), Damaged, "it is not what age wrote; restore it"),
        (&turned, mine.clone(), Damaged, "it is not what age wrote; restore it"),
        (&armored, mine.clone(), Damaged, "it is sealed as text; seal it anew"),
        (&plain, mine.clone(), Damaged, "it is not what age wrote"),
    ];
    for (path, unlock, kind, says) in cases {
        let before = fs::read(path).unwrap();
        let store = SealedFile::new(path, unlock);
        let staged = ready(store.stage(&ApiKey::parse(secret()).unwrap(), &KeyNote::new(), NOW));
        let error = staged.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{says:?} is missing in {error}");
        let loaded = load(&store).unwrap_err();
        assert!(!loaded.is_not_found(), "{loaded}");
        // What every identity begins with is in the advice.
        for secret in [&key, &line["AGE-SECRET-KEY-1".len()..]] {
            assert_no_leak!(secret, leak::error_surfaces(&error));
            assert_no_leak!(secret, leak::error_surfaces(&loaded));
        }
        assert_eq!(fs::read(path).unwrap(), before);
    }
}

#[test]
fn an_identity_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity.txt");
    ready(Unlock::create_identity_file(&path)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = ready(Unlock::create_identity_file(&path)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert!(error.to_string().contains("it is there already; use it"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// The `age` tool, if it is there.
fn age(arguments: &[&str], stdin: &[u8]) -> Option<Vec<u8>> {
    let mut child = match Command::new("age")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(_) => {
            println!("skipped: the `age` tool is not there; `apt-get install age`");
            #[allow(clippy::disallowed_methods, reason = "CI demands what it installs")]
            let is_demanded = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some();
            assert!(!is_demanded, "the `age` tool must be there");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "age {arguments:?}");
    Some(output.stdout)
}

#[test]
fn the_age_tool_opens_what_is_sealed_here() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let text = secret();
    put(&SealedFile::new(&path, identity(directory.path())), &text);
    let file = directory.path().join("identity.txt");
    let arguments = ["--decrypt", "-i", file.to_str().unwrap(), path.to_str().unwrap()];
    let Some(plain) = age(&arguments, b"") else { return };
    let document: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(document["current"]["key"], text.as_str());
}

#[test]
fn what_the_age_tool_seals_is_opened_here() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let file = directory.path().join("identity.txt");
    let text = secret();
    let unlock = identity(directory.path());
    let document = serde_json::json!({
        "keyward_store": 1,
        "versions": 7,
        "current": { "version": "7", "key": text, "expires_at": NOW.as_unix_seconds() },
    });
    let arguments = ["--encrypt", "-i", file.to_str().unwrap()];
    let Some(sealed) = age(&arguments, document.to_string().as_bytes()) else { return };
    write(&path, sealed);
    let store = SealedFile::new(&path, unlock);
    let loaded = assert_loads(load(&store), &text, &format!("sealed:{}", path.display()));
    assert_eq!((loaded.version.as_deref(), loaded.expires_at), (Some("7"), Some(NOW)));
    put(&store, &secret());
    assert_eq!(ready(store.current()).unwrap().unwrap().version.as_str(), "8");
}
