//! The processes that are looked at: how they are started, stopped, dumped and told to go on.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::contender::{Contender, Http};
use super::server;
use crate::search::{Copies, Image, MASK, Masked};
use crate::servers::Server;

/// What a process does.
pub(super) struct Job {
    pub(super) contender: Contender,
    pub(super) http: Http,
    pub(super) plan: Plan,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plan {
    Flight,
    Hostile,
    Mint,
    Requests,
    Trouble(Trouble),
}

/// What can copy a key out of the processor's registers, where copying it has left it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    FirstBacktrace,
    LaterBacktrace,
    FirstPanic,
    LaterPanic,
}

impl Trouble {
    pub(super) const ALL: [Self; 4] =
        [Self::FirstBacktrace, Self::LaterBacktrace, Self::FirstPanic, Self::LaterPanic];
}

impl Plan {
    pub(super) fn parse(text: &str) -> Self {
        let troubles = Trouble::ALL.map(Self::Trouble);
        let mut all =
            [Self::Flight, Self::Hostile, Self::Mint, Self::Requests].into_iter().chain(troubles);
        all.find(|it| format!("{it:?}") == text).unwrap()
    }
}

/// Two keys, and a directory where they are files; a minted one is the new one.
pub(super) struct Keys {
    pub(super) old: Masked,
    pub(super) new: Masked,
    pub(super) directory: tempfile::TempDir,
}

impl Keys {
    pub(super) fn new() -> Self {
        let [old, new] = [Masked::new(), Masked::new()];
        let directory = tempfile::tempdir().unwrap();
        for (key, name) in [(&old, "key"), (&new, "new")] {
            let path = directory.path().join(name);
            let mut file = File::create(&path).unwrap();
            let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, owner).unwrap();
            key.bytes().for_each(|byte| file.write_all(&[byte]).unwrap());
        }
        Self { old, new, directory }
    }

    /// The new one as the server's `/mint` takes it.
    fn for_mint(&self) -> String {
        let digits = |byte: &u8| format!("{:02x}", byte ^ MASK ^ server::MASK);
        self.new.masked().iter().map(digits).collect()
    }

    /// What there is of either.
    pub(super) fn both_in(&self, image: &Image) -> Copies {
        let [old, new] = [&self.old, &self.new].map(|key| key.traces_in(image));
        Copies {
            whole: old.whole + new.whole,
            pieces: old.pieces + new.pieces,
            coded: old.coded + new.coded,
            base64: old.base64 + new.base64,
            utf16: old.utf16 + new.utf16,
            percent: old.percent + new.percent,
        }
    }
}

/// A process that ends with this.
pub(super) struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// Where the server is, if it is that.
    place: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in front of what a child tells: the test harness writes lines too.
const TOLD: &str = "told ";

impl Running {
    pub(super) fn server() -> Self {
        let mut server = Self::spawn("server", &[]);
        server.place = server.next();
        server
    }

    /// The best protection of memory that a key can have here.
    pub(super) fn protection() -> String {
        Self::spawn("protection", &[]).next()
    }

    pub(super) fn start(job: &Job, server: &Self, keys: &Keys) -> Self {
        let mint = if job.plan == Plan::Mint { keys.for_mint() } else { String::new() };
        Self::start_with(job, server, keys, &mint)
    }

    /// One that is told something more.
    pub(super) fn start_with(job: &Job, server: &Self, keys: &Keys, more: &str) -> Self {
        Self::spawn(
            &format!("{:?}/{:?}/{:?}", job.contender, job.http, job.plan),
            &[
                ("KEYWARD_TEST_PLACE", &server.place),
                ("KEYWARD_TEST_KEYS", keys.directory.path().to_str().unwrap()),
                ("KEYWARD_TEST_MORE", more),
            ],
        )
    }

    fn spawn(job: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory_table::child", "--nocapture", "--quiet"])
            .env("KEYWARD_TEST_JOB", job)
            .envs(variables.iter().copied())
            .env_remove("OPENAI_API_KEY")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take().unwrap();
        Self { child, stdin, lines, place: String::new() }
    }

    fn next(&mut self) -> String {
        for line in self.lines.by_ref() {
            if let Some(told) = line.unwrap().strip_prefix(TOLD) {
                return told.to_owned();
            }
        }
        let mut said = String::new();
        let stderr = self.child.stderr.take().map(BufReader::new);
        stderr.into_iter().flat_map(|it| it.lines().map_while(Result::ok)).for_each(|line| {
            said.push_str(&line);
            said.push('\n');
        });
        panic!("the process ended: {said}");
    }

    /// Waits until it is at this moment, where it waits in turn.
    pub(super) fn wait_for(&mut self, moment: &str) {
        assert_eq!(self.next(), moment);
    }

    pub(super) fn go_on(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    pub(super) fn image(&self) -> Image {
        Image::Process(self.child.id())
    }

    /// Stops it wherever it is, looks, and lets it go on.
    pub(super) fn stopped<T>(&self, look: impl FnOnce(&Image) -> T) -> T {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::STOP).unwrap();
        while !self.threads_are_stopped() {
            std::thread::yield_now();
        }
        let seen = look(&self.image());
        kill_process(id, Signal::CONT).unwrap();
        seen
    }

    fn threads_are_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // Its name may have spaces and parentheses.
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// What of both keys a core dump of it holds; none where none can be had.
    pub(super) fn dump(&self, keys: &Keys) -> Option<Copies> {
        let path = self.dump_to(keys)?;
        let found = keys.both_in(&Image::File(path.clone()));
        fs::remove_file(path).unwrap();
        Some(found)
    }

    pub(super) fn dump_to(&self, keys: &Keys) -> Option<PathBuf> {
        let gdb = Server::find("gdb")?;
        let path = keys.directory.path().join("core");
        let output = Command::new(gdb.get("KEYWARD_GDB_GCORE"))
            .arg("-o")
            .arg(&path)
            .arg(self.child.id().to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let path = path.with_extension(self.child.id().to_string());
        assert!(path.exists(), "no dump: {}", String::from_utf8_lossy(&output.stderr));
        Some(path)
    }
}

/// A number that whoever runs the tests may set.
pub(super) fn number(variable: &str, otherwise: usize) -> usize {
    #[allow(clippy::disallowed_methods, reason = "for the tests themselves")]
    let value = std::env::var(variable).ok();
    value.map_or(otherwise, |value| value.parse().unwrap())
}

/// What the parent told this process.
pub(super) fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
    std::env::var(name).ok()
}

/// In a child: tells the parent where it is, and waits until it has looked.
pub(super) fn pause(moment: &str) {
    tell(moment);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

pub(super) fn tell(what: &str) {
    println!("\n{TOLD}{what}");
}
