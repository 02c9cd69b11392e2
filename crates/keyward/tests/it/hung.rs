//! A file system that hangs: a FUSE mount that nobody serves, in which every look waits for ever.
//!
//! The mount belongs to a namespace of its own, in which the test runs itself once more.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward::{
    EnvLoader, Environment, FileLoader, KeyLoader, KeyPolicy, LiveKey, LoadErrorKind, LoaderChain,
};
use rustix::process::{Signal, getppid, kill_process};

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
    let test = test.strip_prefix("it::").unwrap_or(test);
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SESSION, "sh"])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(MOUNT, directory.path())
        .stdin(Stdio::null())
        .output();
    let said = match output {
        Ok(output) if output.status.code() != Some(75) => {
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr)
        }
        none => {
            let why = format!("no FUSE mount can be made here: {none:?}");
            #[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
            let must = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some_and(|one| one == "1");
            assert!(!must, "{why}");
            let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
            return false;
        }
    };
    // The shell is killed by the test, so it tells nothing.
    assert!(said.contains("it is over"), "{said}");
    false
}

/// The threads of this process that nothing can wake.
fn hanging() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status"));
    tasks.filter_map(|task| status(task).ok()).filter(|said| said.contains("State:\tD")).count()
}

const TICK: Duration = Duration::from_millis(20);

/// Looks and loads, again and again, and gives up each time.
async fn ask(loader: &(impl KeyLoader + Clone + 'static)) {
    for _ in 0..10 {
        // Each has a clone of it, as the handles of a service have.
        let (looks, loads) = (loader.clone(), loader.clone());
        let looked = tokio::time::timeout(TICK, looks.signature()).await;
        assert!(looked.is_err(), "the mount answers");
        let loaded = LoaderChain::first("it", loads).within(TICK).load().await;
        assert_eq!(loaded.unwrap_err().kind(), LoadErrorKind::TimedOut);
    }
}

#[test]
fn a_dead_mount_keeps_four_threads_and_no_more() {
    let test = concat!(module_path!(), "::a_dead_mount_keeps_four_threads_and_no_more");
    if !is_within(test) {
        return;
    }
    let path = Path::new(&mount().unwrap()).join("key");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let file = FileLoader::new(&path);
    runtime.block_on(ask(&file));
    assert_eq!(hanging(), 4, "a file");
    let variable = Environment::fixed([("KEY_FILE", &path)]);
    runtime.block_on(ask(&EnvLoader::new("KEY").with_environment(variable)));
    assert_eq!(hanging(), 8, "a file that a variable names");
    #[cfg(feature = "store")]
    {
        let store = keyward::store::FileStore::new(&path);
        runtime.block_on(ask(&store));
        assert_eq!(hanging(), 12, "a store");
    }

    #[cfg(feature = "workload-identity")]
    {
        let before = hanging();
        let variables = Environment::fixed([
            ("OPENAI_IDENTITY_PROVIDER_ID", "idp_1".as_ref()),
            ("OPENAI_SERVICE_ACCOUNT_ID", "svc_acct_2".as_ref()),
            ("OPENAI_IDENTITY_TOKEN_FILE", path.as_os_str()),
        ]);
        let identity = keyward::WorkloadIdentity::from_environment(variables).within(TICK);
        for _ in 0..10 {
            // Within its own limit.
            let error = runtime.block_on(identity.clone().load()).unwrap_err();
            assert_eq!(error.kind(), LoadErrorKind::TimedOut, "{error}");
        }
        assert_eq!(hanging() - before, 4, "a subject token");
    }

    let started = LiveKey::project(file.clone(), KeyPolicy::production()).load_within(TICK);
    let error = runtime.block_on(started.start()).unwrap_err();
    assert_eq!(error.load_error().unwrap().kind(), LoadErrorKind::TimedOut);

    // The mount dies with the shell that holds it, and whoever waits gets an answer.
    kill_process(getppid().unwrap(), Signal::KILL).unwrap();
    let begun = Instant::now();
    while hanging() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "they hang on");
        std::thread::sleep(TICK);
    }
    let kind = runtime.block_on(file.load()).unwrap_err().kind();
    assert_eq!(kind, LoadErrorKind::Unreadable, "it is asked again");
    println!("it is over");
}
