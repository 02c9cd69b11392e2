//! Keys in variables, and in files that variables name.

use std::ffi::OsString;
use std::process::Command;

use keyward::{EnvLoader, Environment, FileRule, KeyLoader as _, LoadErrorKind, ParseReason};
use keyward_testkit::assert_no_leak;

use crate::fixture::{assert_fails, assert_loads, load, load_everywhere, secret, write};

#[test]
fn takes_the_variable_or_says_what_is_wrong_with_it() {
    use LoadErrorKind::{Invalid, NotConfigured};
    let key = secret();
    let cases: [(_, Option<String>, Result<(), _>); 13] = [
        ("plain", Some(key.clone()), Ok(())),
        ("with a line end", Some(format!("{key}\n")), Ok(())),
        ("with a byte order mark", Some(format!("\u{feff}{key}")), Ok(())),
        ("absent", None, Err((NotConfigured, "env:KEY: not set; set it"))),
        ("empty", Some(String::new()), Err((NotConfigured, "env:KEY: set but empty; set it"))),
        ("blank", Some(" \n".into()), Err((Invalid, "it is empty"))),
        ("quoted", Some(format!("\"{key}\"")), Err((Invalid, "remove the quotes"))),
        ("bearer", Some(format!("Bearer {key}")), Err((Invalid, "without the header's scheme"))),
        ("assigned", Some(format!("API_KEY={key}")), Err((Invalid, "behind the `=`"))),
        ("two lines", Some(format!("{key}\n{key}")), Err((Invalid, "one key and nothing else"))),
        ("two words", Some(format!("{key} {key}")), Err((Invalid, "a space in it"))),
        ("not ASCII", Some(format!("{key}é")), Err((Invalid, "outside of ASCII"))),
        ("huge", Some(key.repeat(100)), Err((Invalid, "far longer than any key"))),
    ];
    for (case, value, expected) in cases {
        let environment = Environment::fixed(value.map(|value| ("KEY", value)));
        let loader = EnvLoader::new("KEY").with_environment(environment.clone());
        assert_no_leak!(key, [(case, format!("{loader:?}")), (case, format!("{environment:#?}")),]);
        for (runtime, result) in load_everywhere(&loader) {
            println!("{case}, runtime: {runtime}");
            match expected {
                Ok(()) => drop(assert_loads(result, &key, "env:KEY")),
                Err((kind, says)) => {
                    let error = assert_fails(result, &key, kind, &["env:KEY: ", says]);
                    assert_eq!(error.parse_error().is_some(), kind == Invalid);
                    assert_eq!(error.is_not_found(), kind == NotConfigured);
                }
            }
        }
    }
}

#[test]
fn the_reason_is_there_for_programs() {
    let environment = Environment::fixed([("KEY", format!("'{}'", secret()))]);
    let loader = EnvLoader::new("KEY").with_environment(environment);
    let error = load(&loader).unwrap_err();
    assert!(error.is_invalid() && !error.is_insecure());
    let parse_error = error.parse_error().unwrap();
    assert_eq!(parse_error.reason(), ParseReason::Quoted);
    assert_eq!(error.to_string(), format!("env:KEY: {parse_error}"));
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_unicode_are_refused_unseen() {
    use std::os::unix::ffi::OsStringExt as _;
    let key = secret();
    let value = OsString::from_vec([key.as_bytes(), b"\xff\xfe"].concat());
    let environment = Environment::fixed([("KEY", value)]);
    assert_no_leak!(key, format!("{environment:?}"));
    let loader = EnvLoader::new("KEY").with_environment(environment);
    assert_fails(load(&loader), &key, LoadErrorKind::Invalid, &["outside of ASCII"]);
}

#[test]
fn the_variable_with_file_behind_its_name_gives_a_path() {
    use LoadErrorKind::{Conflict, Invalid, Unreadable};
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), &key);
    let path = path.to_str().unwrap();
    let absent = format!("{path}.absent");
    let source = format!("file:{path}");
    let both = [("KEY", key.as_str()), ("KEY_FILE", path)];
    for (variables, expected) in [
        ([("KEY", ""), ("KEY_FILE", path)], Ok(source.as_str())),
        ([("OTHER", ""), ("KEY_FILE", path)], Ok(source.as_str())),
        ([("KEY", key.as_str()), ("KEY_FILE", "")], Ok("env:KEY")),
        (both, Err((Conflict, "env:KEY: both KEY and KEY_FILE are set; unset one of them"))),
        (
            [("KEY", ""), ("KEY_FILE", absent.as_str())],
            Err((
                Unreadable,
                "no such file, though KEY_FILE names it; create it, or unset KEY_FILE",
            )),
        ),
        // The key itself, in the place of the path.
        (
            [("KEY", ""), ("KEY_FILE", key.as_str())],
            Err((Invalid, "env:KEY_FILE: not an absolute path; ")),
        ),
        ([("KEY", ""), ("KEY_FILE", "key")], Err((Invalid, "not an absolute path; "))),
    ] {
        let loader = EnvLoader::new("KEY").with_environment(Environment::fixed(variables));
        for (_, result) in load_everywhere(&loader) {
            match expected {
                Ok(source) => drop(assert_loads(result, &key, source)),
                Err((kind, says)) => {
                    let error = assert_fails(result, &key, kind, &[says]);
                    assert!(!error.is_not_found(), "a chain must not go on: {error}");
                }
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_held_to_a_rule() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), &key);
    crate::fixture::chmod(&path, 0o444);
    let environment = Environment::fixed([("KEY_FILE", &path)]);
    let loader = EnvLoader::new("KEY").with_environment(environment);
    let says = ["mode 0444", "FileRule::MountedSecret"];
    assert_fails(load(&loader), &key, LoadErrorKind::Insecure, &says);
    let loader = loader.with_file_rule(FileRule::MountedSecret);
    assert_loads(load(&loader), &key, &format!("file:{}", path.display()));
}

#[test]
fn a_key_in_the_place_of_a_name_is_not_shown() {
    let key = secret();
    let loader = EnvLoader::new(&key).with_environment(Environment::fixed([("A", "b")]));
    assert_no_leak!(key, format!("{loader:?} {:?}", loader.source()));
    assert_fails(load(&loader), &key, LoadErrorKind::NotConfigured, &["not set"]);
}

#[test]
fn a_child_does_not_inherit_what_was_looked_at() {
    let removed = |child: &Command| {
        let mut names: Vec<OsString> = child
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    };
    let loader = EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", secret())]));

    let mut child = Command::new("true");
    loader.scrub_child_env(&mut child);
    assert_eq!(removed(&child), ["KEY", "KEY_FILE"]);

    let mut child = Command::new("true");
    load(&loader).unwrap().scrub_child_env(&mut child);
    assert_eq!(removed(&child), ["KEY", "KEY_FILE"]);
}

/// The one test of the process's own environment, which it does not edit: cargo sets this.
#[test]
fn the_process_is_the_default() {
    let loader = EnvLoader::new("CARGO_PKG_NAME");
    let error = load(&loader).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    let loader = loader.with_environment(Environment::default());
    assert!(load(&loader).unwrap_err().is_invalid());
}

#[test]
fn the_last_of_one_name_counts() {
    let key = secret();
    let environment = Environment::fixed([("KEY", secret()), ("KEY", key.clone())]);
    let loader = EnvLoader::new("KEY").with_environment(environment);
    assert_loads(load(&loader), &key, "env:KEY");
}
