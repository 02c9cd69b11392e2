//! The example programs that hold a key for as long as they run, while it is replaced under them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use keyward_core::{ApiKey, KeyFingerprint};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{FakeOpenAi, assert_no_leak};

use crate::examples::{Running, example, private, text};
use crate::fixture::admin_key;
use crate::under_load::{Load, PATIENCE};

fn print_of(key: &str) -> KeyFingerprint {
    ApiKey::parse(key.to_owned()).expect("a key").fingerprint()
}

/// Writes a key beside its place, and moves it there in one step.
fn replace(path: &Path, key: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, key).expect("a file");
    private(&beside);
    fs::rename(beside, path).expect("a rename");
}

/// As Kubernetes does it: a new directory, and a link that is swapped.
#[cfg(unix)]
fn publish(mount: &Path, day: &str, key: &str) {
    use std::os::unix::fs::symlink;

    let at = |name: &str| mount.join(name);
    fs::create_dir(at(day)).expect("a directory");
    fs::write(at(day).join("key"), key).expect("a file");
    symlink(day, at("..data_tmp")).expect("a link");
    let before = fs::read_link(at("..data"));
    fs::rename(at("..data_tmp"), at("..data")).expect("a rename");
    if let Ok(before) = before {
        fs::remove_dir_all(mount.join(before)).expect("the old directory");
    } else {
        symlink("..data/key", at("key")).expect("a link");
    }
}

fn started(command: &mut Command) -> (Running, BufReader<ChildStdout>) {
    let mut program =
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program"));
    let stdout = program.0.stdout.take().expect("stdout");
    (program, BufReader::new(stdout))
}

fn line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

#[cfg(feature = "frameworks")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_hold_no_key_and_ask_all_the_same() {
    let org = FakeOpenAi::start().await.expect("a fake");
    let project = org.seed_project("checkout");
    let account = org.seed_service_account(&project, "api", "member");
    let key = org.seed_service_account_key(&account);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    replace(&file, &key);
    let run = || {
        let output = example("clients")
            .args(["--base-url", &org.base_url(), "--key", &format!("file:{}", file.display())])
            // What async-openai would take for its own.
            .env("OPENAI_API_KEY", "none")
            .output()
            .expect("a program");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        assert_no_leak!(key, [("stdout", said.clone()), ("stderr", text(&output.stderr))]);
        said
    };
    assert_eq!(run(), "reqwest\t200\nasync-openai\t2 models\n");

    let admin = keyward_admin::Client::builder(admin_key(org.admin_key()))
        .base_url(org.base_url())
        .allow_loopback()
        .build()
        .expect("a client");
    let id = org.key_id(&key).expect("an id");
    admin.project(project.as_str()).api_key(id.as_str()).delete().await.expect("deleted");
    let said = run();
    let refused = "reqwest\terror\tOpenAI does not accept the key (401); store one that has not";
    assert!(said.starts_with(refused) && said.contains("async-openai\terror\t"), "{said}");
}

/// Requests to the service, and what came of them.
fn load_on(url: &str) -> Load {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{url}/ask");
    Load::of(move || {
        let request = http.post(&url);
        async move {
            match request.send().await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                Ok(answer) => Err(answer.text().await.expect("a text")),
                Err(error) => Err(error.to_string()),
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_survives_rotations_under_load() {
    let org = FakeOpenAi::start().await.expect("a fake");
    let project = org.seed_project("checkout");
    let account = org.seed_service_account(&project, "api", "member");
    let admin = keyward_admin::Client::builder(admin_key(org.admin_key()))
        .base_url(org.base_url())
        .allow_loopback()
        .build()
        .expect("a client");
    let mint = || org.seed_service_account_key(&account);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    let mut secrets = vec![mint()];

    #[cfg(unix)]
    let mounts = [false, true];
    #[cfg(not(unix))]
    let mounts = [false];
    for is_mount in mounts {
        let mount = dir.path().join("mount");
        let place = |n: usize, key: &str| {
            #[cfg(unix)]
            if is_mount {
                fs::create_dir_all(&mount).expect("a directory");
                return publish(&mount, &format!("..2026_11_{n}"), key);
            }
            let _ = n;
            replace(&file, key);
        };
        place(0, secrets.last().expect("a key"));
        let mut command = example("service");
        command.args(["--port", "0", "--base-url", &org.base_url()]).env("RUST_LOG", "trace");
        let key = if is_mount {
            format!("mount:{},env:KEY_THAT_IS_NOT_SET", mount.join("key").display())
        } else {
            format!("file:{}", file.display())
        };
        command.args(["--key", &key]);
        let (mut service, mut stdout) = started(&mut command);
        let mut stderr = service.0.stderr.take().expect("stderr");
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).expect("a log");
            log
        });
        let said = line(&mut stdout);
        let url = said.strip_prefix("listening\t").expect("where it listens").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let ready = || async {
            let answer = http.get(format!("{url}/ready")).send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a text"))
        };
        let load = load_on(&url);
        let mut pages = String::new();
        // The old key is deleted once the service has moved over; and at once, so that the service
        // learns of it by a 401.
        for (n, patient) in [(1, true), (2, false), (3, false)] {
            load.answers(100).await;
            let (old, new) = (secrets.last().expect("a key").clone(), mint());
            secrets.push(new.clone());
            place(n, &new);
            let moved = || async {
                let begun = Instant::now();
                loop {
                    let (status, page) = ready().await;
                    assert_eq!(status, 200, "{page}");
                    if page.contains(&format!("fingerprint\t{}\n", print_of(&new))) {
                        return page;
                    }
                    assert!(begun.elapsed() < PATIENCE, "{page}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            if patient {
                pages += &moved().await;
            }
            let id = org.key_id(&old).expect("an id");
            admin.project(project.as_str()).api_key(id.as_str()).delete().await.expect("deleted");
            pages += &moved().await;
            assert!(!org.key_is_live(&old));
        }
        load.answers(100).await;
        let (answered, failures) = load.end().await;
        assert!(failures.is_empty(), "of {answered}, {}: {failures:?}", failures.len());
        assert!(answered >= 400);

        drop(service);
        let log = log.join().expect("a log");
        assert!(text(&log).contains("a key is in use") && text(&log).contains("hyper"));
        let detector = LeakDetector::of_all(secrets.iter().map(String::as_str));
        detector.assert_sees();
        detector.assert_absent(&"stderr", &log);
        detector.assert_absent(&"/ready", pages.as_bytes());
    }
}

#[test]
fn service_without_a_key_does_not_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("key");
    let legacy = keys::legacy_user_key(&mut KeyRng::from_entropy());
    for (content, says) in [(None, "no source has a key"), (Some(&legacy), "legacy user key")] {
        if let Some(content) = content {
            replace(&file, content);
        }
        let mut command = example("service");
        command.args(["--key", &format!("file:{}", file.display())]);
        let output = command.output().expect("a program");
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
        assert_no_leak!(legacy, [("stdout", output.stdout), ("stderr", output.stderr)]);
    }
}

#[test]
fn load_watches_a_key_being_replaced() {
    let mut rng = KeyRng::from_entropy();
    for make in [keys::service_account_key, keys::admin_key] {
        let (old, new) = (make(&mut rng), make(&mut rng));
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key");
        replace(&file, &old);
        let mut command = example("load");
        let from = format!("file:{}", file.display());
        let (_program, mut stdout) = started(command.args(["--watch", "--from", &from]));
        let mut said = String::new();
        let mut until = |start: &str| loop {
            let line = line(&mut stdout);
            assert!(!line.is_empty(), "it ended: {said}");
            said += &line;
            said += "\n";
            if line.starts_with(start) {
                return line;
            }
        };
        assert_eq!(until("watching\t"), format!("watching\t{}", print_of(&old)));
        replace(&file, &new);
        assert!(until("changed\t").starts_with(&format!("changed\t{}\t", print_of(&new))));
        replace(&file, &format!("'{new}'"));
        assert!(until("error\t").contains("not an API key"));
        assert_no_leak!(old, said);
        assert_no_leak!(new, said);
    }
}
