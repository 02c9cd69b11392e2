//! The example programs, as processes: what they print, their exit codes, and no key in any of it.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use keyward_admin::{
    NewProject, NewServiceAccount, NewServiceAccountKey, OPERATIONS, Scope, Scopes,
    ServiceAccountRole, ServiceAccountUpdate,
};
use keyward_core::ApiKey;
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{CANARY, Canary, FakeOpenAi, Fault, FaultAction, assert_no_leak};

use crate::fixture::admin_key;

#[tokio::test]
async fn quickstart_does_the_main_job_and_shows_no_key() {
    const SEED: u64 = 20_261_120;

    let output =
        run(example("quickstart").args(["--seed", &SEED.to_string()]).env("RUST_LOG", "trace"));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("0 failed"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "colour where there is no terminal");

    // The same organization, so that its keys are known here.
    let org = FakeOpenAi::builder().seed(SEED).start().await.expect("a fake");
    let client = keyward_admin::Client::builder(admin_key(org.admin_key()))
        .base_url(org.base_url())
        .allow_loopback()
        .build()
        .expect("a client");
    let legacy = org.seed_legacy_user_key();
    let project = client.projects().create(NewProject::new("checkout")).await.expect("a project");
    let project = client.project(project.id);
    let new = NewServiceAccount::without_key("api");
    let account = project.service_accounts().create(new).await.expect("an account");
    let account = project.service_account(account.id.expect("an id"));
    account.update(ServiceAccountUpdate::role(ServiceAccountRole::Member)).await.expect("a role");
    for name in ["api-1", "api-2"] {
        let new = NewServiceAccountKey::new(name, Scopes::only(Scope::RESPONSES_WRITE));
        account.create_key(new).await.expect("a key");
    }
    let secrets = org.live_key_values();
    assert_eq!(secrets.len(), 4);
    // The positive control: these are the keys that the program had.
    for secret in secrets.iter().filter(|secret| **secret != legacy) {
        let fingerprint = ApiKey::parse(secret.clone()).expect("a key").fingerprint().to_string();
        assert!(stdout.contains(&fingerprint), "{stdout}");
    }
    assert!(stderr.contains("TRACE") && stderr.contains("hyper"), "nothing was logged");

    let detector = LeakDetector::of_all(secrets.iter().map(String::as_str));
    detector.assert_sees();
    detector.assert_absent(&"stdout", &output.stdout);
    detector.assert_absent(&"stderr", &output.stderr);
}

#[test]
fn redact_masks_keys_and_passes_everything_else() {
    let mut input = b"\xff\x00 begin\n".to_vec();
    for canary in Canary::all() {
        input.extend_from_slice(format!("key={}, ok\n", canary.text()).as_bytes());
    }
    input.extend_from_slice(b"no end of a line");
    let output = run_with(&mut example("redact"), &input);
    assert!(output.status.success() && output.stderr.is_empty());
    let mut expected = b"\xff\x00 begin\n".to_vec();
    for canary in Canary::all() {
        let key = ApiKey::parse(canary.text().to_owned()).expect("a key");
        let kind = canary.kind().replace('_', "-");
        let line = format!("key=[openai {kind} key {}], ok\n", key.fingerprint());
        expected.extend_from_slice(line.as_bytes());
        assert_no_leak!(canary.text(), &output.stdout);
    }
    expected.extend_from_slice(b"no end of a line");
    assert_eq!(output.stdout, expected);
}

#[test]
fn classify_answers_one_line_for_each_and_is_right_about_all() {
    let mut rng = KeyRng::seeded(9);
    let lines: Vec<_> =
        keys::shapes().iter().map(|shape| (shape, shape.generate(&mut rng))).collect();
    let input: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();

    for (policy, admitted) in [
        ("standard", &["project", "service_account"][..]),
        ("production", &["service_account"]),
        ("admin", &["admin"]),
    ] {
        let output = run_with(example("classify").args(["--policy", policy]), input.as_bytes());
        assert!(output.status.success());
        let stdout = text(&output.stdout);
        let answers: Vec<_> = stdout.lines().collect();
        assert_eq!(answers.len(), lines.len());
        for (number, ((shape, line), answer)) in lines.iter().zip(answers).enumerate() {
            let columns: Vec<_> = answer.split('\t').collect();
            let [n, kind, verdict, rule, fix] = columns[..] else { panic!("{answer}") };
            assert_eq!(n, (number + 1).to_string());
            let expected = shape.expected_kind();
            // Some of what is no known key is refused as no key at all, which is right too.
            assert!(
                kind == expected || (expected == "unknown" && kind == "not_a_key"),
                "{}: {kind}",
                shape.id()
            );
            let is_admitted = admitted.contains(&expected);
            assert_eq!(verdict, if is_admitted { "admitted" } else { "refused" }, "{}", shape.id());
            assert_eq!(rule == "-" && fix == "-", is_admitted, "{answer}");
            if line.len() >= LeakDetector::MIN_SECRET
                && shape.expected_kind() != "not_a_key"
                && shape.family() != keys::Family::Lookalike
            {
                assert_no_leak!(line, [(shape.id(), answer)]);
            }
        }
    }
}

#[test]
fn classify_takes_any_bytes_and_a_policy_of_ones_own() {
    let output = run_with(&mut example("classify"), b"\xff\xfe\0\n\n\r\nlast line without an end");
    let stdout = text(&output.stdout);
    let rules: Vec<_> = stdout.lines().map(|line| line.split('\t').nth(3).unwrap_or("")).collect();
    assert_eq!(rules, ["non_ascii", "empty", "empty", "space"]);

    let dir = tempfile::tempdir().expect("a directory");
    let policy = dir.path().join("policy.toml");
    std::fs::write(&policy, "kinds = [\"project\"]\nexpiry_required = true\n").expect("a file");
    let key = CANARY.text();
    let output = run_with(example("classify").arg("--policy").arg(&policy), key.as_bytes());
    assert!(text(&output.stdout).starts_with("1\tproject\trefused\texpiry_missing\t"));

    let json = dir.path().join("policy.json");
    std::fs::write(&json, r#"{"kinds": ["project"]}"#).expect("a file");
    let output = run_with(example("classify").arg("--policy").arg(&json), key.as_bytes());
    assert!(text(&output.stdout).starts_with("1\tproject\tadmitted\t"));

    for wrong in [
        "kinds = [\"nobody\"]".to_owned(),
        "not toml".to_owned(),
        key.to_owned(),
        format!("kinds = [\"{key}\"]"),
        format!("preset = \"{key}\""),
        format!("\"{key}\" = 1"),
        format!("expiry_required = \"{key}\""),
        format!("hosts = [\"https://user:{key}@x\"]"),
    ] {
        for file in [&policy, &json] {
            std::fs::write(file, &wrong).expect("a file");
            let output = run_with(example("classify").arg("--policy").arg(file), b"");
            assert!(!output.status.success(), "a policy that is none");
            assert_no_leak!(key, [("stderr", output.stderr), ("stdout", output.stdout)]);
        }
    }
    let output = run_with(example("classify").args(["--policy", key]), b"");
    assert!(!output.status.success());
    assert_no_leak!(key, [("a key for a policy", output.stderr)]);
    let output = run_with(example("classify").args(["--policy", "prodution"]), b"");
    assert!(text(&output.stderr).contains("production"), "the presets are named");
}

#[test]
fn load_tells_every_attempt_and_never_the_key() {
    let key = Canary::of_kind("service_account").text();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    std::fs::write(&file, key).expect("a file");
    private(&file);
    let at_file = format!("env:NOT_SET_HERE,file:{}", file.display());

    let found = run(example("load").args(["--from", &at_file]));
    let stdout = text(&found.stdout);
    assert!(found.status.success(), "{stdout}");
    let fingerprint = ApiKey::parse(key.to_owned()).expect("a key").fingerprint().to_string();
    for line in [
        "attempt\t`env` (env:NOT_SET_HERE): not set",
        "kind\tservice_account",
        &format!("fingerprint\t{fingerprint}"),
        "production\tadmitted",
    ] {
        assert!(stdout.lines().any(|l| l == line), "{line}\n{stdout}");
    }
    let from_env = run(example("load").args(["--from", "env:KEY_HERE"]).env("KEY_HERE", key));
    assert!(text(&from_env.stdout).contains("source\tenv:KEY_HERE"));

    let nowhere = run(example("load").args(["--from", "env:NOT_SET_HERE,file:/nowhere"]));
    assert!(!nowhere.status.success());
    // A key where a source belongs, and a key that is none.
    let misused = run(example("load").args(["--from", key]));
    assert!(!misused.status.success());
    let misplaced = run(example("load").args(["--from", &format!("env:{key}")]));
    let quoted =
        run(example("load").args(["--from", "env:KEY_HERE"]).env("KEY_HERE", format!("'{key}'")));
    for (label, output) in [
        ("found", found),
        ("from_env", from_env),
        ("nowhere", nowhere),
        ("misused", misused),
        ("misplaced", misplaced),
        ("quoted", quoted),
    ] {
        assert_no_leak!(key, [(label, output.stdout), (label, output.stderr)]);
    }
}

#[tokio::test]
async fn admin_tour_calls_every_operation_and_nothing_else() {
    let org = FakeOpenAi::start().await.expect("a fake");
    org.seed_user("keyward-tour guest");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("admin-key");
    std::fs::write(&file, org.admin_key()).expect("a file");
    private(&file);
    let tour = |args: &[&str]| {
        let mut command = example("admin_tour");
        command.args(["--base-url", &org.base_url(), "--key-file"]).arg(&file).args(args);
        run(command.env("RUST_LOG", "trace"))
    };

    let looked = tour(&["--read-only"]);
    assert!(org.requests().iter().all(|request| request.method == "GET"), "nothing is changed");
    assert!(text(&looked.stdout).lines().all(|line| line.starts_with("GET\t")));
    let before = org.requests().len();

    let output = tour(&[]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    let lines: BTreeSet<(&str, &str)> = stdout
        .lines()
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let [method, path, "ok"] = columns[..] else { panic!("{line}") };
            (method, path)
        })
        .collect();
    let table: BTreeSet<_> = OPERATIONS.iter().map(|o| (o.method, &*o.path)).collect();
    assert_eq!(table.len(), OPERATIONS.len(), "a row stands twice");
    assert_eq!(table.len(), 143, "as of 2026-11");
    assert_eq!(lines, table);
    let requests = org.requests().split_off(before);
    let called: BTreeSet<_> =
        requests.iter().map(|r| (r.method.as_str(), r.template.as_str())).collect();
    assert_eq!(called, table);
    for secret in org.live_key_values() {
        assert_no_leak!(&secret, [("stdout", &output.stdout), ("stderr", &output.stderr)]);
    }
}

#[tokio::test]
async fn export_audit_log_writes_every_event_once_however_often_it_is_killed() {
    const START: u64 = 1_790_000_000;

    // Slow enough that it can be killed in the middle.
    let org = FakeOpenAi::builder().page_size_limit(5).latency(Duration::from_millis(60));
    let org = org.start().await.expect("a fake");
    let times: Vec<_> = (0..450).map(|n| START + n * 7 / 3).collect();
    let expected = org.seed_audit_events_at("api_key.created", &times);
    let dir = tempfile::tempdir().expect("a directory");
    let (key_file, log) = (dir.path().join("admin-key"), dir.path().join("audit.jsonl"));
    let cursor = dir.path().join("cursor");
    std::fs::write(&key_file, org.admin_key()).expect("a file");
    private(&key_file);
    std::fs::write(&log, "{\"id\":\"of an earlier month\"}\n").expect("a file");
    let export = || {
        let mut command = example("export_audit_log");
        command.args(["--base-url", &org.base_url(), "--windows", "2", "--key-file"]);
        command.arg(&key_file).arg("--cursor-file").arg(&cursor).env("RUST_LOG", "trace");
        command.args(["--since", "2026-09-21T00:00:00Z", "--until", "2026-09-22T00:00:00Z"]);
        command
    };
    // How much is in the log, and how much of that the cursor file knows of.
    let length = || std::fs::metadata(&log).expect("the log").len();
    let noted = || {
        let text = std::fs::read_to_string(&cursor).unwrap_or_default();
        let note: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        note["written"].as_u64().unwrap_or(0)
    };

    let mut killed = 0;
    for n in 0..5 {
        let mut command = export();
        command.arg("--output").arg(&log).stdout(Stdio::null()).stderr(Stdio::null());
        let (length_before, noted_before) = (length(), noted());
        let mut running = Running(command.spawn().expect("a program"));
        // Not at a moment that it could choose: when something was written, or noted too.
        for _ in 0..2_000 {
            let is_due = if n % 2 == 0 { length() > length_before } else { noted() > noted_before };
            if is_due || running.0.try_wait().expect("a state").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        running.0.kill().expect("a kill");
        killed += usize::from(!running.0.wait().expect("an end").success());
    }
    assert!(killed > 0 && noted() > 100, "it was never killed at work");
    let last = run(export().arg("--output").arg(&log));
    assert!(last.status.success(), "{}", text(&last.stderr));
    assert!(last.stdout.is_empty());

    let lines = std::fs::read_to_string(&log).expect("the log");
    let events: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(events[0]["id"], "of an earlier month", "what is there is kept");
    let ids: Vec<_> =
        events[1..].iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, expected);
    assert_eq!(events[1]["type"], "api_key.created");
    assert_eq!(events[1]["effective_at"], START);
    assert_eq!(events[1]["payload"]["data"]["scopes"][0], "api.all.read");
    assert_eq!(events[1]["actor"]["type"], "session");

    // Nothing is left to be told.
    let nothing = run(&mut export());
    assert!(nothing.status.success() && nothing.stdout.is_empty(), "{}", text(&nothing.stderr));
    // A cursor file that is none is told, and not written over.
    std::fs::write(&cursor, org.admin_key()).expect("a file");
    let broken = run(&mut export());
    assert!(!broken.status.success() && text(&broken.stderr).contains("not a cursor"));
    std::fs::remove_file(&cursor).expect("a file");
    let again = run(&mut export());
    assert_eq!(text(&again.stdout).lines().count(), expected.len());
    let cursor = std::fs::read(&cursor).expect("a cursor");
    for (label, output) in [("last", &last), ("broken", &broken), ("again", &again)] {
        assert_no_leak!(&org.admin_key(), [(label, &output.stdout), (label, &output.stderr)]);
    }
    assert_no_leak!(&org.admin_key(), [("the log", &lines), ("the cursor", &cursor)]);
}

#[tokio::test]
async fn export_audit_log_tells_what_is_missing() {
    let org = FakeOpenAi::builder().page_size_limit(5).start().await.expect("a fake");
    org.seed_audit_events_at("login.succeeded", &[1_790_000_000; 7]);
    let dir = tempfile::tempdir().expect("a directory");
    let key_file = dir.path().join("admin-key");
    std::fs::write(&key_file, org.admin_key()).expect("a file");
    private(&key_file);
    let export = |args: &[&str]| {
        let mut command = example("export_audit_log");
        command.args(["--base-url", &org.base_url(), "--key-file"]).arg(&key_file);
        run(command.args(["--until", "2027-01-01"]).args(args))
    };
    let of = |action: FaultAction| {
        org.clear_faults();
        org.fault(Fault::on("GET", "/organization/audit_logs").always().then(action));
    };

    assert!(text(&export(&[]).stderr).contains("--since"));
    of(FaultAction::MissingFields { fields: vec!["id".to_owned()] });
    let unreadable = export(&["--since", "2026-01-01"]);
    assert!(!unreadable.status.success());
    assert!(text(&unreadable.stderr).contains("7 events could not be read"));
    let lines = text(&unreadable.stdout);
    assert_eq!(lines.lines().filter(|line| line.starts_with("{\"unreadable\":")).count(), 7);
    of(FaultAction::StatusBefore { code: 403 });
    let refused = export(&["--since", "2026-01-01"]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    assert!(text(&refused.stderr).contains("not permitted"), "{}", text(&refused.stderr));
    for output in [unreadable, refused] {
        assert_no_leak!(&org.admin_key(), [("stdout", output.stdout), ("stderr", output.stderr)]);
    }
}

/// The published specification is not part of the project, so this looks where it is told to.
#[test]
#[allow(clippy::print_stdout, reason = "tells that it was skipped")]
fn the_table_is_the_specification() {
    #[allow(clippy::disallowed_methods, reason = "tells a test where the facts are")]
    let Some(facts) = std::env::var_os("KEYWARD_FACTS").map(PathBuf::from) else {
        println!(
            "skipped: set KEYWARD_FACTS to a directory with admin-operations.tsv and its delta, to \
             hold the table to OpenAI's specification"
        );
        return;
    };
    let mut specified = BTreeSet::new();
    for name in ["admin-operations.tsv", "admin-operations-delta-2026-11.tsv"] {
        let table = std::fs::read_to_string(facts.join(name)).expect(name);
        for row in table.lines().skip(1) {
            let mut columns = row.split('\t');
            let (method, path) = (columns.next().expect("method"), columns.next().expect("path"));
            specified.insert((method.to_owned(), path.to_owned()));
        }
    }
    let table: BTreeSet<_> =
        OPERATIONS.iter().map(|o| (o.method.to_owned(), o.path.to_string())).collect();
    assert_eq!(table, specified);
}

#[tokio::test]
async fn fake_openai_serves_with_faults_from_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let faults = dir.path().join("faults.json");
    let fault = r#"[{"method": "GET", "path": "/organization/users", "action": {"kind": "status_before", "code": 418}}]"#;
    std::fs::write(&faults, fault).expect("a file");
    let mut server = example("fake_openai");
    server.args(["--port", "0", "--faults"]).arg(&faults).stdout(Stdio::piped());
    let mut server = Running(server.stderr(Stdio::null()).spawn().expect("a server"));
    let mut said = HashMap::new();
    let mut lines = BufReader::new(server.0.stdout.take().expect("stdout")).lines();
    while said.len() < 3 {
        let line = lines.next().expect("a line").expect("text");
        let (name, value) = line.split_once('\t').expect("two columns");
        said.insert(name.to_owned(), value.to_owned());
    }
    let client = keyward_admin::Client::builder(admin_key(said["admin_key"].clone()))
        .base_url(&said["base_url"])
        .allow_loopback()
        .build()
        .expect("a client");
    let fault = client.users().list().all().await.expect_err("the fault");
    assert_eq!(fault.status(), Some(418));
    assert_eq!(client.users().list().all().await.expect("users").len(), 2);
    let project = client.project(said["project"].as_str()).get().await.expect("a project");
    assert_eq!(project.name.as_deref(), Some("example"));
}

/// A program that ends with the test, however that ends.
pub(crate) struct Running(pub(crate) std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn example(name: &str) -> Command {
    let mut command = Command::new(&built()[name]);
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

/// Where the examples are. Cargo is asked, which builds them first if that is not done yet.
fn built() -> &'static HashMap<String, PathBuf> {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        // What was built for the tests is there for the examples too.
        let features: &[&str] = match (cfg!(feature = "sealed"), cfg!(feature = "frameworks")) {
            _ if cfg!(feature = "clouds") => &["--workspace", "--all-features"],
            (true, true) => &["--features", "keyward-examples/sealed,keyward-examples/frameworks"],
            (true, false) => &["--features", "keyward-examples/sealed"],
            (false, true) => &["--features", "keyward-examples/frameworks"],
            (false, false) => &[],
        };
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells a test of its package would have it build again, since some dependency
        // looks at that.
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            .for_each(|name| {
                cargo.env_remove(name);
            });
        let cargo = cargo
            .args(["build", "--examples", "--message-format=json", "--quiet"])
            .args(features)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(cargo.status.success(), "the examples cannot be built");
        text(&cargo.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|message| {
                let name = message["target"]["name"].as_str()?.to_owned();
                Some((name, PathBuf::from(message["executable"].as_str()?)))
            })
            .collect()
    })
}

fn run(command: &mut Command) -> Output {
    command.output().expect("a program")
}

fn run_with(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that ends early does not read it all.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("a writer");
    output
}

pub(crate) fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    #[cfg(not(unix))]
    let _ = path;
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
