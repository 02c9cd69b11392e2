//! What a process shows of itself: its environment, its arguments, and those of its children.

#![allow(clippy::print_stdout, reason = "what comes out of a child")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use keyward::{CommandLoader, EnvLoader, FileLoader, KeyLoader as _};
use secrecy::SecretString;

use super::child;
use super::place::{VARIABLE, debug, exposed, file, run, string};
use super::row::{Row, around, here};

const FILE: &str = "a file, by `OPENAI_API_KEY_FILE`";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = environments();
    rows.extend(children());
    rows
}

fn environments() -> Vec<Row> {
    vec![
        Row::new(
            "`/proc/PID/environ`",
            around(|command| environ(with_key(command)), || hold(variable())),
            around(|command| environ(with_key(command)), || hold(SecretString::from(variable()))),
            around(
                |command| {
                    let file = file(string());
                    environ(with_file(command, file.path()))
                },
                || {
                    hold(run(EnvLoader::new(VARIABLE).load()).expect("a key"));
                },
            ),
        )
        .by(FILE),
        Row::new(
            "`/proc/PID/environ` after the variable was removed",
            here(|| unset(with_key(Command::new("sh")))),
            here(|| unset(with_key(Command::new("sh")))),
            here(|| {
                let file = file(string());
                unset(with_file(Command::new("sh"), file.path()))
            }),
        )
        .by(FILE),
        Row::new(
            "a child inherits the variable",
            around(
                |command| child::output(with_key(command)),
                || {
                    let _key = variable();
                    print_variables(&mut Command::new("env"));
                },
            ),
            around(
                |command| child::output(with_key(command)),
                || {
                    let _key = SecretString::from(variable());
                    print_variables(&mut Command::new("env"));
                },
            ),
            around(
                |command| child::output(with_key(command)),
                || {
                    let loaded = run(EnvLoader::new(VARIABLE).load()).expect("a key");
                    let mut env = Command::new("env");
                    loaded.scrub_child_env(&mut env);
                    print_variables(&mut env);
                },
            ),
        )
        .by("`LoadedKey::scrub_child_env`"),
    ]
}

fn children() -> Vec<Row> {
    vec![
        Row::new(
            "`Debug` of a `Command` with the key in a variable",
            here(|| debug(Command::new("convert").env(VARIABLE, string()))),
            here(|| debug(Command::new("convert").env(VARIABLE, exposed()))),
            here(|| debug(&with_file(Command::new("convert"), file(string()).path()))),
        )
        .by("the child gets the path of a file"),
        Row::new(
            "`Debug` of a `Command` with the key for an argument",
            here(|| debug(Command::new("curl").args(["--oauth2-bearer", &string()]))),
            here(|| debug(Command::new("curl").args(["--oauth2-bearer", &exposed()]))),
            here(|| {
                debug(Command::new("load").arg("--from").arg(reference(file(string()).path())))
            }),
        )
        .by("the child gets a reference"),
        Row::new(
            "`/proc/PID/cmdline`",
            here(|| command_line(&string())),
            here(|| command_line(&exposed())),
            here(|| command_line(&reference(file(string()).path()))),
        )
        .by("the child gets a reference"),
        Row::new(
            "`Debug` of the `Output` of a program that prints the key",
            here(|| debug(&printed())),
            here(|| debug(&printed())),
            here(|| {
                let file = file(string());
                let loader = CommandLoader::new("cat").arg(file.path());
                debug(&(run(loader.load()).expect("a key"), loader))
            }),
        )
        .by("`CommandLoader`"),
        Row::new(
            "`Debug` of a file's content that was read",
            here(|| debug(&std::fs::read(file(string()).path()).expect("a file"))),
            here(|| debug(&std::fs::read(file(exposed()).path()).expect("a file"))),
            here(|| {
                let file = file(string());
                debug(&run(FileLoader::new(file.path()).load()).expect("a key"))
            }),
        )
        .by("`FileLoader`"),
    ]
}

#[allow(clippy::disallowed_methods, reason = "what others do")]
fn variable() -> String {
    std::env::var(VARIABLE).expect("a key")
}

fn with_key(mut command: Command) -> Command {
    command.env(VARIABLE, string());
    command
}

fn with_file(mut command: Command, file: &Path) -> Command {
    command.env_remove(VARIABLE).env(format!("{VARIABLE}_FILE"), file);
    command
}

fn reference(file: &Path) -> String {
    format!("file:{}", file.display())
}

const HELD: &str = "the key is held";

/// Holds the key until the parent has seen enough.
fn hold<K>(key: K) {
    println!("{HELD}");
    let _ = std::io::stdin().read(&mut [0]);
    drop(key);
}

/// The environment of a process that holds its key.
fn environ(mut command: Command) -> String {
    let mut process = command.stdin(Stdio::piped()).spawn().expect("a process");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains(HELD)), "it holds no key");
    let environ = std::fs::read(format!("/proc/{}/environ", process.id())).expect("a process");
    drop(process.stdin.take());
    for _ in lines {}
    assert!(process.wait().expect("an end").success());
    String::from_utf8_lossy(&environ).into_owned()
}

/// What stays of it when a process unsets it.
fn unset(mut shell: Command) -> String {
    let script = format!("unset {VARIABLE}; [ -z \"${VARIABLE}\" ] && cat /proc/$$/environ");
    let output = shell.args(["-c", &script]).output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn print_variables(env: &mut Command) {
    let output = env.output().expect("a program");
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

fn command_line(argument: &str) -> String {
    let script = "tr '\\0' ' ' < /proc/$$/cmdline";
    let output = Command::new("sh").args(["-c", script, "sh", argument]).output();
    String::from_utf8_lossy(&output.expect("a shell").stdout).into_owned()
}

fn printed() -> std::process::Output {
    Command::new("cat").arg(file(string()).path()).output().expect("a program")
}
