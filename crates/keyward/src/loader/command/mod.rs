//! [`CommandLoader`]: a key that another program prints: `op read …`, `pass show …`.

use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use keyward_core::{ApiKey, KeySource};
use zeroize::Zeroizing;

use self::platform::Output;
use super::detached::{Awaited, Limit, OneOverdue, Overdue, detached_within};
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
///
/// What cannot be killed, because it runs as another user (`sudo`) or sleeps on a dead mount, is
/// waited for about a second more, and the load is over all the same
/// ([`TimedOut`](LoadErrorKind::TimedOut)). Its output is closed, and it is reaped when it ends.
/// While four such programs of one loader and its clones are there, or four that hang in their
/// start, no other is started: the load is [`TimedOut`](LoadErrorKind::TimedOut) at once.
#[derive(Clone, Debug)]
pub struct CommandLoader {
    program: Place,
    arguments: Arguments,
    environment: Vec<Change>,
    limit: Duration,
    not_found: Option<i32>,
    first_line: bool,
    overdue: Overdue,
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
            overdue: Overdue::default(),
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

    /// Runs the program on a thread of its own. The answer comes in time also when the thread
    /// hangs: in starting a program that lies on a dead mount, for one.
    async fn ran(&self, kill: fn(&mut Child)) -> Ran {
        if self.overdue.is_full() {
            return Err(Problem::Crowded);
        }
        let this = self.clone();
        let time = self.limit.saturating_add(DIES_WITHIN + SLACK);
        let limit = Limit { time, overdue: &self.overdue };
        let late = Err(Problem::TimedOut);
        detached_within("keyward-command", limit, late, move |awaited| this.run(awaited, kill))
            .await
            .unwrap_or(Err(Problem::Start(io::ErrorKind::OutOfMemory)))
    }

    /// Runs the program to its end. It is killed and reaped whenever this returns before that, if
    /// it can be killed.
    fn run(&self, awaited: &Awaited<Ran>, kill: fn(&mut Child)) -> Ran {
        let end = Instant::now().checked_add(self.limit);
        let child = self.command().spawn().map_err(|e| Problem::Start(e.kind()))?;
        let overdue = self.overdue.clone();
        let mut running = Running { child: Some(child), output: None, kill, overdue };
        let child = running.child.as_mut().ok_or(Problem::Start(io::ErrorKind::NotFound))?;
        let output = child.stdout.take().ok_or(Problem::Start(io::ErrorKind::BrokenPipe))?;
        let output = running.output.insert(Output::new(output, MAX_OUTPUT_LEN + 1));
        loop {
            if awaited.is_given_up() || end.is_some_and(|end| end <= Instant::now()) {
                return Err(Problem::TimedOut);
            }
            let is_whole = output.read(TURN).map_err(|e| Problem::Read(e.kind()))?;
            if output.text().len() > MAX_OUTPUT_LEN {
                return Err(Problem::TooLarge);
            }
            if let Some(status) = child.try_wait().map_err(|e| Problem::Read(e.kind()))? {
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
            Problem::Crowded => (
                LoadErrorKind::TimedOut,
                format!("{} earlier runs of it hang, and cannot be killed", Overdue::MOST),
                "find out what they wait for, and end them",
            ),
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
        let ran = self.ran(platform::kill).await;
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
    /// Too many earlier runs go on.
    Crowded,
    Read(io::ErrorKind),
    Start(io::ErrorKind),
    Status(ExitStatus),
    TimedOut,
    TooLarge,
}

/// How long a program that was killed is waited for.
const DIES_WITHIN: Duration = Duration::from_secs(1);

/// How much later than that the answer comes when the thread itself hangs.
const SLACK: Duration = Duration::from_millis(500);

/// A program that does not outlive this, if it can be killed.
struct Running {
    /// There until this is dropped.
    child: Option<Child>,
    /// Closed after the program was killed: one that printed would die of that by itself, be taken
    /// for one that has ended, and leave behind what it started.
    output: Option<Output>,
    kill: fn(&mut Child),
    overdue: Overdue,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // Once it is reaped its id is free for another, so that is asked first.
        let Ok(None) = child.try_wait() else {
            return;
        };
        (self.kill)(&mut child);
        let killed = Instant::now();
        while killed.elapsed() < DIES_WITHIN {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(TURN);
        }
        // It runs as another user, or sleeps where nothing wakes it. Nobody waits for that, but it
        // is reaped when it ends.
        let reaper = std::thread::Builder::new().name("keyward-reaper".into());
        let overdue = self.overdue.one();
        drop(reaper.spawn(move || reap(child, overdue)));
    }
}

fn reap(mut child: Child, _until_then: OneOverdue) {
    let _ = child.wait();
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

#[cfg(all(unix, test))]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI32, Ordering};

    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    use super::*;

    /// Root kills whatever there is, so here nobody tries.
    fn in_vain(child: &mut Child) {
        SPARED.store(i32::try_from(child.id()).expect("a process id"), Ordering::Release);
    }

    static SPARED: AtomicI32 = AtomicI32::new(0);

    fn also_in_vain(child: &mut Child) {
        LEFT.lock()
            .expect("nothing panics under it")
            .push(i32::try_from(child.id()).expect("a process id"));
    }

    static LEFT: Mutex<Vec<i32>> = Mutex::new(Vec::new());

    #[test]
    fn programs_that_cannot_be_killed_do_not_pile_up() {
        let loader = CommandLoader::new("/bin/sleep").arg("600").within(TURN);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..Overdue::MOST {
            let ran = runtime.block_on(loader.clone().ran(also_in_vain));
            assert!(matches!(ran, Err(Problem::TimedOut)));
        }
        let error = runtime.block_on(loader.load()).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "cmd:/bin/sleep: 4 earlier runs of it hang, and cannot be killed; find out what they \
             wait for, and end them"
        );
        let left = std::mem::take(&mut *LEFT.lock().expect("nothing panics under it"));
        assert_eq!(left.len(), Overdue::MOST, "another was started");
        for pid in left {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).expect("it lives on");
        }
        let begun = Instant::now();
        while loader.overdue.is_full() {
            assert!(begun.elapsed() < Duration::from_secs(120), "they stay counted");
            std::thread::sleep(TURN);
        }
        assert!(matches!(runtime.block_on(loader.ran(platform::kill)), Err(Problem::TimedOut)));
    }

    #[test]
    fn a_program_that_cannot_be_killed_is_not_waited_for_but_reaped() {
        let begun = Instant::now();
        let loader = CommandLoader::new("/bin/sleep").arg("600").within(TURN);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ran = runtime.block_on(loader.ran(in_vain));
        assert!(matches!(ran, Err(Problem::TimedOut)));
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        drop(runtime);
        let spared = Pid::from_raw(SPARED.load(Ordering::Acquire)).unwrap();
        kill_process(spared, Signal::KILL).expect("it lives on");
        while test_kill_process(spared).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(120), "nobody reaps it");
            std::thread::sleep(TURN);
        }
    }
}
