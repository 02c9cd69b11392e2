//! A row's probe in a process of its own: this test binary once more.

#![allow(clippy::print_stdout, reason = "what a child prints is what is searched")]

use std::process::{Command, Output, Stdio};

use super::row::{CONTENDERS, Contender, Probe};

/// What a child says before anything else.
pub(super) const BEGUN: &str = "the probe has begun";

/// Which probe a child is for: the contender, a blank, and the surface.
const PROBE: &str = "KEYWARD_LEAK_PROBE";

/// The process of a probe, not yet started.
pub(super) fn command(surface: &str, contender: Contender) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "leak_matrix::child::probe", "--nocapture"]);
    // Of this machine's variables none but the way to its programs: the others may be secret.
    command.env_clear();
    #[allow(clippy::disallowed_methods, reason = "where programs are")]
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env(PROBE, format!("{contender:?} {surface}"))
        .env("RUST_BACKTRACE", "full")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// All that a process wrote.
pub(super) fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}\n{err}")
}

/// Starts it, and tells what it wrote.
pub(super) fn output(mut command: Command) -> String {
    let output = command.output().expect("a process");
    let text = text(&output);
    assert!(output.status.success() && text.contains(BEGUN), "{}\n{text}", output.status);
    text
}

/// What a child runs. Where nobody asks for a probe, there is nothing to do.
#[test]
fn probe() {
    #[allow(clippy::disallowed_methods, reason = "tells a child which probe it is for")]
    let Ok(asked) = std::env::var(PROBE) else { return };
    let (name, surface) = asked.split_once(' ').expect("a contender and a surface");
    let contender = CONTENDERS.into_iter().find(|it| format!("{it:?}") == name);
    println!("{BEGUN}");
    match super::find(surface, contender.expect("a contender")) {
        Probe::Child { inside, .. } | Probe::Around { inside, .. } => inside(),
        _ => panic!("this row has no child"),
    }
}
