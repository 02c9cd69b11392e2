//! [`World`]: an organization, a store, a slot, the program `rotate` as a process, and a service that
//! reads the store and uses the key meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::authorize::Authorizer;
use keyward::store::{DynKeyStore, KeyStore as _};
use keyward::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::leak::LeakDetector;

use super::clock::Wall;
use super::gate::{self, Gate, Kill};
use super::place::{Kind, Place};
use crate::examples::{Running, example, private, text};
use crate::fixture::Organization;

/// How long one run of the program may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

/// More keys than the runs between two looks make.
const LATEST: usize = 24;

pub(crate) struct World {
    pub(crate) org: Organization,
    pub(crate) place: Place,
    pub(crate) gate: Arc<Gate>,
    /// The clock of the programs, if it is not this machine's.
    pub(crate) wall: Option<Wall>,
    base_url: String,
    directory: tempfile::TempDir,
    /// A key of the same account that keyward did not make.
    foreign: String,
    /// Whether the search for keys was shown to find them here.
    sees: AtomicBool,
}

/// A program that runs beside others. It dies with this.
pub(crate) struct Beside {
    program: Running,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Beside {
    pub(crate) fn said(&self) -> String {
        text(&fs::read(&self.stdout).expect("a file"))
    }

    /// Waits until it has said something so many times.
    pub(crate) async fn says(&mut self, said: &str, times: usize) {
        let begun = Instant::now();
        while self.said().matches(said).count() < times {
            let goes_on = self.program.0.try_wait().expect("a state").is_none();
            assert!(goes_on && begun.elapsed() < PATIENCE, "{said}: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ends(mut self) -> Ran {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.program.0.try_wait().expect("a state") {
                break status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let stderr = text(&fs::read(&self.stderr).expect("a file"));
        Ran { code, stdout: self.said(), stderr, killed_at: None, requests: Vec::new() }
    }
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The request at which it was killed, if it was at one.
    pub(crate) killed_at: Option<String>,
    pub(crate) requests: Vec<String>,
}

/// What it said, without what only a search for keys needs.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_said = |line: &&str| !["TRACE", "DEBUG"].iter().any(|level| line.contains(level));
        let stderr: Vec<_> = self.stderr.lines().filter(is_said).collect();
        write!(f, "{:?}\n{}\n{}", self.code, self.stdout, stderr.join("\n"))
    }
}

impl World {
    /// One in which nothing has been rotated yet.
    pub(crate) async fn new(kind: Kind, org: Organization) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["store", "work", "work/journal", "out", "secret"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        let gate = Arc::new(Gate::default());
        let place = kind.make(&directory.path().join("store"), &gate).await;
        let server = org.fake.base_url();
        let server = server.strip_suffix("/v1").expect("a base address");
        let base_url = format!("{}/v1", gate::open(&gate, server).await);
        let foreign = org.fake.seed_service_account_key(org.account.as_str());
        let sees = AtomicBool::new(false);
        let world = Self { org, place, gate, wall: None, base_url, directory, foreign, sees };
        let admin_key = world.path("secret/admin-key");
        fs::write(&admin_key, world.org.fake.admin_key()).expect("a file");
        private(&admin_key);
        world.write_slot("");
        world
    }

    /// One in which the slot has a key that keyward made, and nothing is open.
    pub(crate) async fn settled(kind: Kind, org: Organization) -> Self {
        let mut world = Self::new(kind, org).await;
        let first = world.run(&[], None).await;
        assert_eq!(first.code, Some(0), "{first}");
        world
    }

    /// Lets requests go to the organization directly, so that what it does to connections is seen.
    pub(crate) fn without_a_gate(mut self) -> Self {
        self.base_url = self.org.fake.base_url();
        self
    }

    /// Writes the slot down, with more settings.
    pub(crate) fn write_slot(&self, more: &str) {
        self.write_slot_of("1s", "1d", more);
    }

    pub(crate) fn write_slot_with_silence(&self, silence: &str) {
        self.write_slot_of(silence, "1d", "");
    }

    pub(crate) fn write_slot_of(&self, silence: &str, ttl: &str, more: &str) {
        let (project, account) = (&self.org.project, &self.org.account);
        let grace = if more.contains("grace") { "" } else { "grace = \"10s\"" };
        let settings = format!(
            "[slot.billing]\nproject = \"{project}\"\nservice_account = \"{account}\"\n\
             scopes = [\"api.responses.write\", \"api.model.request\"]\nstore = \"{}\"\n{grace}\n\
             danger.short_silence = {{ silence = \"{silence}\", reason = \"a fake\" }}\n\
             ttl = \"{ttl}\"\n{more}\n",
            self.place.reference
        );
        fs::write(self.path("work/keyward.toml"), settings).expect("a file");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program as it is run here.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = example("rotate");
        self.set_up(&mut command, arguments);
        command
    }

    fn set_up(&self, command: &mut Command, arguments: &[&str]) {
        command.current_dir(self.path("work")).args(["--base-url", &self.base_url]);
        if !arguments.contains(&"--admin") {
            command.args(["--slot", "keyward.toml#billing"]);
        }
        if !["--admin-store", "--key"].iter().any(|other| arguments.contains(other)) {
            command.arg("--key-file").arg(self.path("secret/admin-key"));
        }
        command
            .args(&self.place.arguments)
            .args(arguments)
            .envs(self.place.environment.iter().map(|(name, value)| (name, value)))
            .envs(self.wall.iter().flat_map(Wall::environment))
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(File::create(self.path("out/stdout")).expect("a file"))
            .stderr(File::create(self.path("out/stderr")).expect("a file"));
        // A holder is given where two of them are told apart.
        if !arguments.contains(&"--holder") {
            command.args(["--holder", "harness"]);
        }
    }

    /// Runs it, and kills it at a point.
    pub(crate) async fn run(&mut self, arguments: &[&str], kill: Option<Kill>) -> Ran {
        let command = match kill {
            Some(Kill::Call(call, n)) => {
                let mut command = strace(call, Path::new("/dev/null"));
                command.args(["-e", &format!("inject={call}:signal=KILL:when={n}")]);
                command.arg(example("rotate").get_program());
                self.set_up(&mut command, arguments);
                command
            }
            _ => self.command(arguments),
        };
        self.run_command(command, kill).await
    }

    /// Runs it until it has said something so many times, and ends it as systemd and Kubernetes do.
    pub(crate) async fn run_until(&mut self, arguments: &[&str], said: &str, times: usize) -> Ran {
        let mut command = self.command(arguments);
        let mut id = 0;
        let start = || {
            let program = command.spawn().expect("a program");
            id = program.id();
            program
        };
        self.gate.watch(start, None);
        let begun = Instant::now();
        let read = |name| text(&fs::read(self.path(name)).expect("a file"));
        while read("out/stdout").matches(said).count() < times {
            let goes_on = begun.elapsed() < PATIENCE && self.gate.ended().is_none();
            assert!(goes_on, "{said}: {}\n{}", read("out/stdout"), read("out/stderr"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status();
        assert!(told.expect("a shell").success());
        let ran = self.ends(&command, None).await;
        self.assert_no_key_outside_the_store(&ran).await;
        ran
    }

    /// Runs it while the store is not where it was, so that nothing of that can be looked at.
    pub(crate) async fn run_without_a_store(&mut self, arguments: &[&str]) -> Ran {
        let command = self.command(arguments);
        self.run_to_its_end(command, None).await
    }

    /// Starts it beside others, and does not wait for its end.
    pub(crate) fn start(&self, arguments: &[&str], name: &str) -> Beside {
        let mut command = self.command(arguments);
        let program = Running(command.spawn().expect("a program"));
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| {
            let own = self.path(&format!("out/{stream}.{name}"));
            fs::rename(self.path(&format!("out/{stream}")), &own).expect("it is its own");
            own
        });
        Beside { program, stdout, stderr }
    }

    /// Runs it, and a second time with more arguments once the first has said something.
    pub(crate) async fn run_two(&mut self, said: &str, second: &[&str]) -> (Ran, Ran) {
        let mut first = self.start(&[], "first");
        first.says(said, 1).await;
        let second = self.run(second, None).await;
        let first = first.ends().await;
        self.assert_no_key_outside_the_store(&first).await;
        (first, second)
    }

    pub(crate) fn is_foreign(&self, key: &str) -> bool {
        key == self.foreign
    }

    /// Each time that a run makes something on a disk lasting. `strace` counts for each thread and
    /// each call, and one thread makes them all.
    pub(crate) async fn calls(&mut self) -> Vec<Kill> {
        let traced = self.path("out/calls");
        let mut command = strace(&CALLS.join(","), &traced);
        command.arg(example("rotate").get_program());
        self.set_up(&mut command, &[]);
        let ran = self.run_command(command, None).await;
        assert_eq!(ran.code, Some(0), "{ran}");
        let traced = fs::read_to_string(traced).expect("the calls");
        let threads: BTreeSet<_> =
            traced.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(threads.len(), 1, "what is done to files has no one order: {traced}");
        let mut counts = [0; CALLS.len()];
        let nth = |line: &str| {
            let made = line.split_whitespace().nth(1).and_then(|call| call.split('(').next());
            let n = CALLS.iter().position(|call| Some(*call) == made)?;
            counts[n] += 1;
            Some(Kill::Call(CALLS[n], counts[n]))
        };
        traced.lines().filter_map(nth).collect()
    }

    async fn run_command(&mut self, command: Command, kill: Option<Kill>) -> Ran {
        let ran = self.run_to_its_end(command, kill).await;
        self.assert_no_key_outside_the_store(&ran).await;
        ran
    }

    async fn run_to_its_end(&mut self, mut command: Command, kill: Option<Kill>) -> Ran {
        self.gate.watch(|| command.spawn().expect("a program"), kill);
        self.ends(&command, kill).await
    }

    async fn ends(&mut self, command: &Command, kill: Option<Kill>) -> Ran {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.gate.ended() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "{command:?} {kill:?} does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let (killed_at, requests) = self.gate.told();
        let read = |name| text(&fs::read(self.path(name)).expect("a file"));
        Ran {
            code: status.code(),
            stdout: read("out/stdout"),
            stderr: read("out/stderr"),
            killed_at,
            requests,
        }
    }

    /// What finds the keys that the last runs may have had. A key that died before them was looked
    /// for when it lived, and they never had it.
    fn detector(&self) -> LeakDetector {
        let keys = self.org.fake.every_key_value();
        let earlier = keys.len().saturating_sub(LATEST);
        let lives = |key: &&String| self.org.fake.key_is_live(key);
        LeakDetector::of_all(keys[..earlier].iter().filter(lives).chain(&keys[earlier..]))
    }

    /// No key in what was printed, in the working directory, in the journal.
    async fn assert_no_key_outside_the_store(&self, ran: &Ran) {
        let detector = self.detector();
        // Once in each world: for all keys after each run it would take longer than all else.
        if !self.sees.swap(true, Ordering::Relaxed) {
            detector.assert_sees();
        }
        detector.assert_absent(&"stdout", ran.stdout.as_bytes());
        detector.assert_absent(&"stderr", ran.stderr.as_bytes());
        let leaks = leaks_below(&self.path("work"), &detector);
        assert!(leaks.is_empty(), "a key in {leaks:?}");
        let journal = self.place.store.journal().await.expect("a journal");
        detector.assert_absent(&"the journal in the store", journal.text().as_bytes());
    }

    /// The search finds a key where there is one: the positive control of the above.
    pub(crate) fn assert_that_a_leak_is_found(&self) {
        let detector = self.detector();
        let planted = self.path("work/journal/planted");
        let key = self.org.fake.every_key_value().pop().expect("a key");
        fs::write(&planted, format!("{{\"step\":\"minted\",\"key\":\"{key}\"}}")).expect("a file");
        assert_eq!(leaks_below(&self.path("work"), &detector), std::slice::from_ref(&planted));
        fs::remove_file(planted).expect("it goes");
    }

    /// What must hold when everything was gone on with: the store's key is the only one that lives
    /// of those that keyward made, and what it did not make lives.
    pub(crate) async fn assert_whole(&self, after: &str) {
        let snapshot = self.place.store.snapshot().await.expect("a store");
        let current = snapshot.current.expect("a current key");
        let is_other = |key: &String| *key != self.org.fake.admin_key() && *key != self.foreign;
        let live: Vec<_> = self.org.fake.live_key_values().into_iter().filter(is_other).collect();
        let [live] = &live[..] else { panic!("{after}: {} keys live", live.len()) };
        assert!(self.org.fake.key_is_live(&self.foreign), "{after}: the key of others is dead");
        let print = |key: &str| ApiKey::issued(key.to_owned()).expect("a key").fingerprint();
        assert_eq!(current.key.fingerprint(), print(live), "{after}: the store has a dead key");
        assert!(snapshot.pending.is_none(), "{after}: a key is pending still");
        let tag = current.note.tag.as_deref().unwrap_or_default();
        assert!(tag.starts_with("keyward/billing/"), "{after}: {tag}");
        let id = self.org.fake.key_id(live);
        assert_eq!(current.note.key_id, id, "{after}");
    }
}

/// It is stopped before it makes what it wrote last, and where a name leads to.
const CALLS: [&str; 6] = ["fdatasync", "fsync", "ftruncate", "rename", "renameat", "renameat2"];

fn strace(calls: &str, output: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"]).arg(output);
    command
}

/// The files below a directory in which there is a key.
fn leaks_below(directory: &Path, detector: &LeakDetector) -> Vec<PathBuf> {
    let mut leaks = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            leaks.extend(leaks_below(&path, detector));
        } else if !detector.find(&fs::read(&path).expect("a file")).is_empty() {
            leaks.push(path);
        }
    }
    leaks
}

/// A service that reads the store, uses the key that it finds, and remembers nothing.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    uses: Arc<AtomicU64>,
    dead: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Reader {
    pub(crate) fn of(world: &World) -> Self {
        let (stop, uses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let dead = Arc::new(Mutex::new(Vec::new()));
        let (store, url) = (world.place.store.clone(), world.org.fake.base_url());
        let task = tokio::spawn({
            let (stop, uses, dead) = (Arc::clone(&stop), Arc::clone(&uses), Arc::clone(&dead));
            async move {
                let asker = Asker::new(&url);
                while !stop.load(Ordering::Relaxed) {
                    match asker.look(&store).await {
                        Ok(()) => _ = uses.fetch_add(1, Ordering::Relaxed),
                        Err(why) => dead.lock().expect("a list").push(why),
                    }
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            }
        });
        Self { stop, uses, dead, task }
    }

    /// Why a key could not be used, for each time; and how often one could.
    pub(crate) async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the reader");
        (self.uses.load(Ordering::Relaxed), self.dead.lock().expect("a list").clone())
    }
}

struct Asker {
    http: reqwest::Client,
    authorizer: Authorizer,
    policy: KeyPolicy,
    url: String,
}

impl Asker {
    fn new(base_url: &str) -> Self {
        let policy = KeyPolicy::production().with_host("127.0.0.1").expect("a host");
        Self {
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            authorizer: Authorizer::new(policy.clone()),
            policy,
            url: format!("{base_url}/responses"),
        }
    }

    /// Takes the current key and uses it. A key that was replaced between the two is taken again:
    /// dead is one that stands in the store still when it was refused.
    async fn look(&self, store: &DynKeyStore) -> Result<(), String> {
        let mut refused = None;
        loop {
            let current = store.current().await.map_err(|error| error.to_string())?;
            let key = current.ok_or("the store is empty")?.key;
            if refused == Some(key.fingerprint()) {
                return Err(format!("{} is in the store, and dead", key.fingerprint()));
            }
            match self.ask(&key).await? {
                200 => return Ok(()),
                401 => refused = Some(key.fingerprint()),
                status => return Err(format!("{status} for {}", key.fingerprint())),
            }
        }
    }

    async fn ask(&self, key: &ApiKey) -> Result<u16, String> {
        let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
        let admitted = self.policy.admit(key, &now).map_err(|refusal| refusal.to_string())?;
        let key = admitted.into_project_key().map_err(|error| error.to_string())?;
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5", "input": "ping"}"#)
            .expect("a request");
        let authorized = self.authorizer.authorize(&key, &mut request);
        authorized.map_err(|refusal| refusal.to_string())?;
        let request = request.try_into().expect("a request");
        let answer = self.http.execute(request).await.map_err(|error| error.to_string())?;
        Ok(answer.status().as_u16())
    }
}
