//! A file system that hangs: a FUSE mount that nobody serves, in which every look waits for ever.
//!
//! The mount belongs to a namespace of its own, in which the test runs itself once more.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::EnvelopeLoader;

use crate::seal::{Turning, context};

/// The mount, in the process that runs within it.
const MOUNT: &str = "KEYWARD_TEST_HUNG";

/// Who mounts also holds the mount: it ends with this shell, which does not die of the program.
const SESSION: &str = r#"
    exec 3<>/dev/fuse || exit 75
    mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none "$1" || exit 75
    "$2" --exact "$3" --nocapture --test-threads=1 3>&- &
    wait $!
"#;

fn mount() -> Option<std::ffi::OsString> {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    std::env::var_os(MOUNT)
}

/// Runs the test within a mount that hangs, and tells whether this is there.
#[track_caller]
fn is_within(test: &str) -> bool {
    if mount().is_some() {
        return true;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SESSION, "sh"])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test.strip_prefix("it::").unwrap_or(test))
        .env(MOUNT, directory.path())
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.code() != Some(75) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            // The shell is killed by the test, so it tells nothing.
            assert!(said.contains("it is over"), "{said}");
        }
        none => {
            let why = format!("no FUSE mount can be made here: {none:?}");
            #[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
            let must = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some_and(|one| one == "1");
            assert!(!must, "{why}");
            let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
        }
    }
    false
}

/// The threads of this process that nothing can wake.
fn hanging() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status"));
    tasks.filter_map(|task| status(task).ok()).filter(|said| said.contains("State:\tD")).count()
}

const TICK: Duration = Duration::from_millis(20);

#[test]
fn a_dead_mount_keeps_four_threads_that_look_and_four_that_read() {
    let test =
        concat!(module_path!(), "::a_dead_mount_keeps_four_threads_that_look_and_four_that_read");
    if !is_within(test) {
        return;
    }
    let path = Path::new(&mount().unwrap()).join("openai.sealed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let loader = EnvelopeLoader::from_file(&path, Turning, context()).with_deadline(TICK);
    for (expected, reads) in [(4, false), (8, true)] {
        for _ in 0..10 {
            // Each has a clone of it, as the handles of a service have.
            let loader = loader.clone();
            runtime.block_on(async {
                if reads {
                    let kind = loader.load().await.unwrap_err().kind();
                    assert_eq!(kind, LoadErrorKind::TimedOut);
                } else {
                    let looked = tokio::time::timeout(TICK, loader.signature()).await;
                    assert!(looked.is_err(), "the mount answers");
                }
            });
        }
        assert_eq!(hanging(), expected);
    }

    // The mount dies with the shell that holds it, and whoever waits gets an answer.
    let killed = Command::new("kill").args(["-9", &parent_id().to_string()]).status();
    assert!(killed.unwrap().success());
    let begun = Instant::now();
    while hanging() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "they hang on");
        std::thread::sleep(TICK);
    }
    println!("it is over");
}
