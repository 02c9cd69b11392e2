//! Keys that a person types: at a real pseudo-terminal, which `script` opens and this test types at.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyward::{EnvLoader, Environment, KeyLoader as _, LoaderChain, PromptLoader};
use keyward_testkit::assert_no_leak;
use rustix::termios::{LocalModes, tcgetattr};

use crate::fixture::secret;
use crate::live::print_of;

const MODE: &str = "KEYWARD_PROMPT_CHILD";
const PROMPT: &str = "Which key? ";

/// What runs at the terminal: this test again, as a program of its own.
#[test]
fn child() {
    #[allow(clippy::disallowed_methods, reason = "a test tells its own child what to do")]
    let Some(mode) = std::env::var_os(MODE) else { return };
    let chain = LoaderChain::first("prompt", PromptLoader::new(PROMPT));
    let chain = match mode.to_str().unwrap() {
        "impatient" => chain.within(Duration::from_millis(300)).optional(),
        _ => chain,
    };
    let nothing = EnvLoader::new("A").with_environment(Environment::fixed([("A", "")]));
    let chain = chain.then("next", nothing);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match runtime.block_on(chain.load()) {
        Ok(loaded) => println!("loaded {} from {}", loaded.key.fingerprint(), loaded.source),
        Err(error) => println!("failed: {error}"),
    }
    if let Ok(terminal) = File::open("/dev/tty") {
        let shows = tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);
        println!("{}", if shows { "it shows what is typed" } else { "it still shows nothing" });
    }
}

fn run_child(program: &str, arguments: &[&str], mode: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    let command = format!("'{}' --exact prompt::child --nocapture", this.display());
    let mut child = Command::new(program);
    child.args(arguments);
    if program == "script" {
        child.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    } else {
        child.args(["sh", "-c", &command]);
    }
    child.env(MODE, mode).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    child.spawn().unwrap()
}

/// Runs the child at a terminal, types once it asks, and yields all that the terminal shows.
fn at_a_terminal(mode: &str, typed: &str) -> String {
    let mut child = run_child("script", &[], mode);
    let (mut shown, mut stdin) = (Vec::new(), child.stdin.take().unwrap());
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = [0; 1024];
    let mut has_typed = false;
    loop {
        let read = stdout.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        shown.extend_from_slice(&buffer[..read]);
        if !has_typed && shown.windows(PROMPT.len()).any(|seen| seen == PROMPT.as_bytes()) {
            has_typed = true;
            stdin.write_all(typed.as_bytes()).unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(has_typed, "it did not ask");
    String::from_utf8(shown).unwrap()
}

#[test]
fn loads_what_is_typed_and_does_not_show_it() {
    let key = secret();
    for typed in [format!("{key}\n"), format!("  {key} \n"), format!("x\u{15}{key}\n")] {
        let shown = at_a_terminal("patient", &typed);
        let says = format!("loaded {} from prompt:terminal", print_of(&key));
        assert!(shown.contains(&says), "{shown}");
        assert!(shown.contains("it shows what is typed"), "{shown}");
        assert_no_leak!(key, shown);
    }
}

#[test]
fn what_cannot_be_a_key_is_told_and_not_shown() {
    let key = secret();
    let shown = at_a_terminal("patient", &format!("'{key}'\n"));
    assert!(shown.contains("failed: `prompt` (prompt:terminal): not an API key"), "{shown}");
    assert_no_leak!(key, shown);
    // Nothing typed is nothing there: a chain goes on.
    for nothing in ["\n", "  \n", "\u{4}"] {
        let shown = at_a_terminal("patient", nothing);
        assert!(shown.contains("`prompt` (prompt:terminal): nothing was typed; `next`"), "{shown}");
    }
}

#[test]
fn nobody_who_answers_is_waited_for_no_longer_than_a_chain_says() {
    let shown = at_a_terminal("impatient", "");
    assert!(shown.contains("no answer within 300ms, which is tolerated"), "{shown}");
    assert!(shown.contains("`next` (env:A): set but empty"), "{shown}");
    assert!(shown.contains("it shows what is typed"), "the terminal is as it was: {shown}");
}

#[test]
fn without_a_terminal_a_chain_goes_on() {
    // A session of its own has no terminal; what is on standard input is none.
    let mut child = run_child("setsid", &["--wait"], "patient");
    let key = secret();
    // A child that does not read its input may be gone.
    let _ = child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("there is no terminal to ask at; `next` (env:A)"), "{shown}");
    assert!(!shown.contains(PROMPT), "{shown}");
}
