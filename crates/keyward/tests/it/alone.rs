//! A test in a process of its own, for what is of a whole process: this binary once more, running
//! that test and no other.

use std::process::{Command, Stdio};

const VARIABLE: &str = "KEYWARD_TEST_ALONE";

/// Does the work in a process of its own, which `prepare` may change before it is started. What it
/// prints is printed.
///
/// `test` is the path of the test that calls this.
pub(crate) fn alone(test: &str, prepare: impl FnOnce(&mut Command), work: impl FnOnce()) {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    if std::env::var_os(VARIABLE).is_some() {
        // The harness has begun a line.
        println!();
        return work();
    }
    let mut child = this(test);
    prepare(&mut child);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}: {said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    // The harness has its own lines.
    let harness = ["running ", "test ", "ok"];
    let ours = said.lines().filter(|line| !harness.iter().any(|it| line.starts_with(it)));
    ours.filter(|line| !line.is_empty()).for_each(|line| println!("{line}"));
}

/// This binary, to run that test and no other.
pub(crate) fn this(test: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, "1")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    child
}

/// Says that a test cannot run here, and why; fails where each must.
pub(crate) fn skipped(test: &str, why: &str) {
    #[allow(clippy::disallowed_methods, reason = "a variable for the tests themselves")]
    let must = std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_some_and(|require| require == "1");
    assert!(!must, "{test}: {why}");
    println!("skipped: {test}: {why}");
}
