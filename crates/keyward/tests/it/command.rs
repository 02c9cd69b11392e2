//! Keys that another program prints: real programs, well-behaved and not.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward::{CommandLoader, KeyLoader as _, LoadErrorKind, LoaderChain};
use keyward_testkit::assert_no_leak;
use rustix::process::{Pid, test_kill_process};

use crate::fixture::{assert_fails, assert_loads, chmod, load, secret};

/// A shell that has the key in its environment, where the test is about what it does.
fn shell(key: &str, script: &str) -> CommandLoader {
    CommandLoader::new("/bin/sh")
        .args(["-c", script])
        .env("KEY", key)
        .within(Duration::from_secs(60))
}

const SOURCE: &str = "cmd:/bin/sh";

#[test]
fn loads_what_a_program_prints() {
    let key = secret();
    for (script, first_line) in [
        (r#"printf %s "$KEY""#, false),
        (r#"printf "%s\r\n" "$KEY""#, false),
        (r#"printf %s "$KEY"; exec >&-; sleep 0.1"#, false),
        // In pieces, with pauses.
        (r#"printf %.20s "$KEY"; sleep 0.1; printf %s "${KEY#????????????????????}""#, false),
        (r#"printf "%s\nlogin: me\n" "$KEY""#, true),
        (r#"printf "%s" "$KEY""#, true),
    ] {
        let loader = shell(&key, script);
        let loader = if first_line { loader.first_line() } else { loader };
        assert_no_leak!(key, format!("{loader:?}"));
        assert_loads(load(&loader), &key, SOURCE);
    }
    // A runtime of the other kind, whose timer is off.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let loaded = runtime.block_on(shell(&key, r#"echo "$KEY""#).load());
    assert_loads(loaded, &key, SOURCE);
}

#[test]
fn what_fails_is_told_without_what_was_said() {
    use LoadErrorKind::{Invalid, NotFound, TooLarge, Unreadable};

    let key = secret();
    for (script, kind, says) in [
        (r#"echo "$KEY" >&2; exit 3"#, Unreadable, "it failed (exit status: 3)"),
        (r#"echo "$KEY"; exit 1"#, Unreadable, "it failed (exit status: 1)"),
        (r#"echo "$KEY"; kill -9 $$"#, Unreadable, "it failed (signal: 9"),
        ("exit 44", NotFound, "it has no such key (exit status: 44)"),
        ("true", Invalid, "not an API key"),
        // Nothing to read from, so nothing to wait for.
        ("cat", Invalid, "not an API key"),
        (r#"echo "'$KEY'""#, Invalid, "not an API key"),
        (r#"echo "$KEY"; echo "$KEY""#, Invalid, "not an API key"),
        (r#"while :; do echo "$KEY"; done"#, TooLarge, "more than 64 KiB"),
        (r#"printf '%65537d' 1"#, TooLarge, "more than 64 KiB"),
    ] {
        let loader = shell(&key, script).not_found_status(44);
        let error = assert_fails(load(&loader), &key, kind, &[says, SOURCE]);
        assert_eq!(error.is_not_found(), kind == NotFound);
    }
    for (program, says) in [
        ("/nowhere/keyward-no-such-program", "no such program"),
        ("keyward-no-such-program", "no such program"),
        ("/", "cannot be started"),
    ] {
        let error = load(&CommandLoader::new(program).arg(&key));
        let error = assert_fails(error, &key, Unreadable, &[says]);
        assert!(!error.is_not_found(), "a program that is hidden is no absent key");
    }
    // A key that stands where the program belongs.
    let misplaced = CommandLoader::new(&key).args([&key]).env(&key, &key).env_remove(&key);
    assert_no_leak!(key, format!("{misplaced:?}"));
    assert_fails(load(&misplaced), &key, Unreadable, &[]);
}

#[test]
fn a_chain_goes_on_past_the_status_that_says_so() {
    let key = secret();
    let chain = |status: i32| {
        LoaderChain::first("first", shell(&key, &format!("exit {status}")).not_found_status(1))
            .then("second", shell(&key, r#"echo "$KEY""#))
    };
    assert_loads(load(&chain(1)), &key, SOURCE);
    assert_fails(load(&chain(2)), &key, LoadErrorKind::Unreadable, &["`first`"]);
}

#[test]
fn arguments_and_environment_are_as_told() {
    let key = secret();
    let printed = |loader: CommandLoader| load(&loader);
    // No shell is between.
    let literal = CommandLoader::new("printf").args(["%s", "$HOME"]);
    let error = printed(literal).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Invalid, "{error}");

    let script = r#"[ -z "$HOME$PATH_OF_TEST" ] && printf %s "$KEY""#;
    let bare = CommandLoader::new("/bin/sh").args(["-c", script]);
    let cleared = bare.clone().env("KEY", "x").env_clear().env("KEY", &key);
    assert_loads(printed(cleared), &key, SOURCE);
    let cleared_last = bare.env("KEY", &key).env_clear();
    assert!(printed(cleared_last).unwrap_err().is_invalid());
    let removed = shell(&key, r#"printf %s "$KEY""#).env_remove("KEY");
    assert!(printed(removed).unwrap_err().is_invalid());
}

/// Waits for a script to tell the ids of processes, one a line.
fn ids(file: &Path, count: usize) -> Vec<Pid> {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() == count {
            return text.lines().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that is gone, or dead and not reaped by whoever has inherited it.
fn is_over(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_pid())).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    test_kill_process(id).is_err() || state == Some('Z')
}

fn until_over(id: Pid) {
    let begun = Instant::now();
    while !is_over(id) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{id:?} lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_with_all_it_started() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    for (n, script) in [
        // It does not listen, and its child keeps the pipe open.
        r#"trap "" TERM INT HUP; sleep 1000 & echo $$ >>ids; echo $! >>ids; printf %s "$KEY"; while :; do wait; done"#,
        // It has closed its output and goes on.
        r#"exec >&-; sleep 1000 & echo $$ >>ids; echo $! >>ids; wait"#,
        // It prints for ever, slowly.
        r#"sleep 1000 & echo $$ >>ids; echo $! >>ids; while :; do echo; sleep 0.1; done"#,
    ]
    .into_iter()
    .enumerate()
    {
        let file = directory.path().join(n.to_string());
        let script = script.replace("ids", file.to_str().unwrap());
        let loader = shell(&key, &script).within(Duration::from_millis(500));
        let begun = Instant::now();
        let says = ["no answer within 500ms", "give it more time"];
        assert_fails(load(&loader), &key, LoadErrorKind::TimedOut, &says);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let ids = ids(&file, 2);
        let path = format!("/proc/{}", ids[0].as_raw_pid());
        assert!(!Path::new(&path).exists(), "it is reaped by the time that the load is over");
        until_over(ids[1]);
    }
}

#[test]
fn a_load_that_is_dropped_takes_its_program_with_it() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ids");
    let script = format!("trap '' TERM; echo $$ >{}; sleep 1000", file.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let chain = LoaderChain::first("slow", shell(&key, &script))
        .within(Duration::from_millis(700))
        .optional()
        .then("next", shell(&key, r#"echo "$KEY""#));
    assert_loads(runtime.block_on(chain.load()), &key, SOURCE);
    until_over(ids(&file, 1)[0]);
}

#[test]
fn what_a_program_leaves_running_is_let_alone_and_not_waited_for() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ids");
    let script = format!("sleep 1000 & echo $! >{}; printf %s \"$KEY\"", file.display());
    let begun = Instant::now();
    assert_loads(load(&shell(&key, &script)), &key, SOURCE);
    assert!(begun.elapsed() < Duration::from_secs(50));
    let agent = ids(&file, 1)[0];
    assert!(!is_over(agent));
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn reads_as_one_password_does() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let op = directory.path().join("op");
    let script = "#!/bin/sh\n[ \"$*\" = 'read --no-newline op://production/openai/key' ] || exit 1\n\
                  [ -n \"$OP_SERVICE_ACCOUNT_TOKEN\" ] || exit 2\nprintf %s \"$KEY\"\n";
    fs::write(&op, script).unwrap();
    chmod(&op, 0o700);
    let read = |reference: &str| {
        CommandLoader::new(op.as_os_str())
            .args(["read", "--no-newline", reference])
            .env("KEY", &key)
    };
    let source = format!("cmd:{}", op.display());
    let token = "OP_SERVICE_ACCOUNT_TOKEN";
    let loader = read("op://production/openai/key").env(token, "x");
    assert_loads(load(&loader), &key, &source);
    let wrong = read("op://production/openai/nothing").env(token, "x");
    assert_fails(load(&wrong), &key, LoadErrorKind::Unreadable, &["exit status: 1"]);
}

#[test]
fn reads_from_a_real_password_store() {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !has("pass") || !has("gpg") {
        println!("skipped: `apt-get install pass gnupg`, to read from a real password store");
        return;
    }
    let key = secret();
    // Short, because the agent's socket lies in it.
    let home = tempfile::Builder::new().prefix("kw").tempdir().unwrap();
    chmod(home.path(), 0o700);
    let store = home.path().join("store");
    let with_home = |program: &str| {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", home.path()).env("PASSWORD_STORE_DIR", &store);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let gpg = [
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        "keyward",
        "default",
        "default",
        "never",
    ];
    assert!(with_home("gpg").args(gpg).status().unwrap().success());
    assert!(with_home("pass").args(["init", "keyward"]).status().unwrap().success());
    let mut insert = with_home("pass")
        .args(["insert", "--multiline", "openai/production"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("{key}\nurl: platform\n");
    std::io::Write::write_all(insert.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    drop(insert.stdin.take());
    assert!(insert.wait().unwrap().success());

    let pass = |entry: &str| {
        CommandLoader::new("pass")
            .args(["show", entry])
            .env("GNUPGHOME", home.path())
            .env("PASSWORD_STORE_DIR", &store)
            .within(Duration::from_secs(60))
            .first_line()
    };
    assert_loads(load(&pass("openai/production")), &key, "cmd:pass");
    let absent = load(&pass("openai/absent"));
    assert_fails(absent, &key, LoadErrorKind::Unreadable, &["it failed (exit status: 1)"]);
    let _ = with_home("gpgconf").args(["--kill", "gpg-agent"]).status();
}
