//! [`CommandLoader`]: a key that another program prints: `op read …`, `pass show …`.

use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use keyward_core::{ApiKey, KeySource};
use zeroize::Zeroizing;

use self::platform::Output;
use super::detached::{Awaited, detached};
use super::place::Place;
use super::{KeyLoader, LoadError, LoadErrorKind, LoadedKey};

#[cfg_attr(not(unix), path = "other.rs")]
#[cfg_attr(unix, path = "unix.rs")]
mod platform;

/// Loads the key that a program prints on its standard output.
///
/// The program is started directly, by name and arguments: there is no shell in between, and
/// nothing is expanded or split. It has no standard input, nobody reads what it says on standard
/// error, and it has [10 seconds](Self::within).
///
/// | what happens | |
/// |---|---|
/// | it prints the key, and ends with status 0 | the key |
/// | it ends with the status told by [`not_found_status`](Self::not_found_status) | [`NotFound`](LoadErrorKind::NotFound) |
/// | it cannot be started, or ends in any other way | [`Unreadable`](LoadErrorKind::Unreadable): a chain stops |
/// | it prints nothing, or what cannot be a key | [`Invalid`](LoadErrorKind::Invalid) |
/// | it prints more than 64 KiB | [`TooLarge`](LoadErrorKind::TooLarge) |
/// | its time is over | [`TimedOut`](LoadErrorKind::TimedOut) |
///
/// A program that is not installed is no absent key: whoever can hide the program could bring an
/// old key back. Say [`optional`](crate::LoaderChain::optional) where it may be missing.
///
/// ```
/// use std::time::Duration;
///
/// use keyward::CommandLoader;
///
/// let one_password = CommandLoader::new("op")
///     .args(["read", "--no-newline", "op://production/openai/key"])
///     .within(Duration::from_secs(20));
/// let pass = CommandLoader::new("pass").args(["show", "openai/production"]).first_line();
/// let keychain = CommandLoader::new("/usr/bin/security")
///     .args(["find-generic-password", "-w", "-s", "openai"])
///     .not_found_status(44);
/// # let _ = (one_password, pass, keychain);
/// ```
///
/// # Security
///
/// What the program prints is read into one buffer, which is wiped; the kernel's pipe is beyond
/// reach. What it says on standard error is not shown and not kept, because some programs print
/// there what they were given. Its arguments are visible to every user of the machine: put no
/// secret in them. It is found by the process's `PATH` unless a whole path is given.
///
/// When its time is over, or the load is dropped, the program is killed without asking, with
/// everything it has started that did not leave its process group (on Unix; elsewhere the program
/// alone), and reaped. What it left running in the background when it ended by itself, such as an
/// agent, is let alone. It is not in the terminal's foreground group, so it cannot ask there.
#[derive(Clone, Debug)]
pub struct CommandLoader {
    program: Place,
    arguments: Arguments,
    environment: Vec<Change>,
    limit: Duration,
    not_found: Option<i32>,
    first_line: bool,
}

/// Shown by their number alone: some are a secret, though none should be.
#[derive(Clone, Default)]
struct Arguments(Vec<OsString>);

/// A change to what the program inherits. Values are not shown.
#[derive(Clone)]
enum Change {
    Clear,
    Remove(OsString),
    Set(OsString, OsString),
}

impl CommandLoader {
    /// A program, by its name or its whole path.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: Place::new(program),
            arguments: Arguments::default(),
            environment: Vec::new(),
            limit: Duration::from_secs(10),
            not_found: None,
            first_line: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.0.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.0.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Gives the program a variable. Without such calls it inherits the process's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push(Change::Set(name.into(), value.into()));
        self
    }

    /// Takes a variable from the program.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push(Change::Remove(name.into()));
        self
    }

    /// Lets the program inherit nothing but what is [given](Self::env) after this.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.environment.push(Change::Clear);
        self
    }

    /// Gives the program so much time. 10 seconds unless set.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Takes this exit status for "there is no such key", at which a chain goes on. Give only one
    /// that the program ends with for nothing else: `pass` and `op` have none.
    #[must_use]
    pub fn not_found_status(mut self, status: i32) -> Self {
        self.not_found = Some(status);
        self
    }

    /// Takes the first line for the key, and drops what follows, as is the custom of `pass`.
    #[must_use]
    pub fn first_line(mut self) -> Self {
        self.first_line = true;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program.as_os_str());
        command.args(&self.arguments.0);
        for change in &self.environment {
            match change {
                Change::Clear => command.env_clear(),
                Change::Remove(name) => command.env_remove(name),
                Change::Set(name, value) => command.env(name, value),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        platform::in_a_group_of_its_own(&mut command);
        command
    }

    /// Runs the program to its end. It is killed and reaped whenever this returns before that.
    fn run(&self, awaited: &Awaited<Ran>) -> Ran {
        let end = Instant::now().checked_add(self.limit);
        let mut child = Running(self.command().spawn().map_err(|e| Problem::Start(e.kind()))?);
        let output = child.0.stdout.take().ok_or(Problem::Start(io::ErrorKind::BrokenPipe))?;
        let mut output = Output::new(output, MAX_OUTPUT_LEN + 1);
        loop {
            if awaited.is_given_up() || end.is_some_and(|end| end <= Instant::now()) {
                return Err(Problem::TimedOut);
            }
            let is_whole = output.read(TURN).map_err(|e| Problem::Read(e.kind()))?;
            if output.text().len() > MAX_OUTPUT_LEN {
                return Err(Problem::TooLarge);
            }
            if let Some(status) = child.0.try_wait().map_err(|e| Problem::Read(e.kind()))? {
                if !status.success() {
                    return Err(Problem::Status(status));
                }
                // What it left running may keep the pipe open. What is in it is all there is.
                output.drain().map_err(|e| Problem::Read(e.kind()))?;
                if output.text().len() > MAX_OUTPUT_LEN {
                    return Err(Problem::TooLarge);
                }
                return Ok(std::mem::take(output.text()));
            }
            if is_whole {
                // It has closed its output and goes on.
                std::thread::sleep(TURN);
            }
        }
    }

    fn error(&self, problem: Problem) -> LoadError {
        let by_hand = "run it by hand to see what it says";
        let (kind, what, fix): (_, String, _) = match problem {
            Problem::Start(io::ErrorKind::NotFound) => {
                let fix = "install it, or give its whole path";
                (LoadErrorKind::Unreadable, "no such program".into(), fix)
            }
            Problem::Start(kind) => {
                (LoadErrorKind::Unreadable, format!("it cannot be started: {kind}"), by_hand)
            }
            Problem::Read(kind) => {
                (LoadErrorKind::Unreadable, format!("its output cannot be read: {kind}"), by_hand)
            }
            Problem::Status(status) if status.code().is_some_and(|n| self.not_found == Some(n)) => {
                let what = format!("it has no such key ({status})");
                (LoadErrorKind::NotFound, what, "store the key there, or correct the arguments")
            }
            Problem::Status(status) => {
                (LoadErrorKind::Unreadable, format!("it failed ({status})"), by_hand)
            }
            Problem::TimedOut => {
                return LoadError::timed_out(self.source(), self.limit);
            }
            Problem::TooLarge => (
                LoadErrorKind::TooLarge,
                format!("it prints more than {} KiB", MAX_OUTPUT_LEN / 1024),
                "have it print the key and nothing else",
            ),
        };
        LoadError::new(kind, self.source(), what, fix)
    }
}

impl KeyLoader for CommandLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let this = self.clone();
        let ran = detached("keyward-command", move |awaited| this.run(awaited)).await;
        let ran = ran.unwrap_or(Err(Problem::Start(io::ErrorKind::OutOfMemory)));
        let mut text = ran.map_err(|problem| self.error(problem))?;
        if self.first_line
            && let Some(end) = text.iter().position(|byte| *byte == b'\n')
        {
            text.truncate(end);
        }
        // EXPOSE: the door for keys that programs print. The buffer goes into the key as it is.
        ApiKey::parse(std::mem::take(&mut *text))
            .map(|key| LoadedKey::new(key, self.source()))
            .map_err(|error| LoadError::invalid(self.source(), error))
    }

    /// `cmd:PROGRAM`, without its arguments.
    fn source(&self) -> KeySource {
        self.program.source("cmd")
    }
}

/// The most that is read: well above the longest key.
const MAX_OUTPUT_LEN: usize = 64 * 1024;

/// How long one look at the program takes.
const TURN: Duration = Duration::from_millis(10);

type Ran = Result<Zeroizing<Vec<u8>>, Problem>;

/// What went wrong, before it is told of which program.
#[derive(Clone, Copy)]
enum Problem {
    Read(io::ErrorKind),
    Start(io::ErrorKind),
    Status(ExitStatus),
    TimedOut,
    TooLarge,
}

/// A program that does not outlive this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Once it is reaped its id is free for another, so that is asked first.
        if let Ok(None) = self.0.try_wait() {
            platform::kill(&mut self.0);
            let _ = self.0.wait();
        }
    }
}

impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of them", self.0.len())
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clear => f.write_str("Clear"),
            Self::Remove(name) => f.debug_tuple("Remove").field(&Place::new(name)).finish(),
            Self::Set(name, _) => f.debug_tuple("Set").field(&Place::new(name)).finish(),
        }
    }
}
