//! A connection that outlives a runtime of tokio, and a login that failed. Credentials are found by
//! the environment, which a test does not edit, so it runs in a process of its own.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::google::{Google, SecretManagerLoader};
use serde_json::json;

use super::fake::Fake;
use crate::fixture::server::{Answer, Server};
use crate::fixture::stores::on_threads;
use crate::fixture::{assert_loads, secret};

#[test]
fn a_connection_is_made_anew_on_another_runtime_and_after_a_failed_login() {
    on_threads(async {
        let fake = Fake::start().await;
        let text = secret();
        fake.add("p/openai", text.clone());
        let (asked, token) = (AtomicUsize::new(0), fake.token.clone());
        let tokens = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            // What the SDK takes for an error that stays.
            0 => Answer::new(400, r#"{"error":"invalid_grant"}"#),
            _ => {
                let token = json!({
                    "access_token": token, "expires_in": 1, "token_type": "Bearer",
                });
                Answer::new(200, token.to_string()).header("content-type", "application/json")
            }
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials.json");
        let credentials = json!({
            "type": "authorized_user", "client_id": "client", "client_secret": "of the test",
            "refresh_token": "of the test", "token_uri": tokens.url(),
        });
        std::fs::write(&file, credentials.to_string()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "google::runtimes::loads_on_two", "--ignored", "--nocapture"])
            .env("GOOGLE_APPLICATION_CREDENTIALS", file)
            .env(TOLD, format!("{} {text}", fake.url()));
        let output = tokio::task::block_in_place(|| child.output()).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    });
}

#[test]
#[ignore = "run by another test, with credentials of its own"]
fn loads_on_two() {
    #[allow(clippy::disallowed_methods, reason = "what the parent told this process")]
    let told = std::env::var_os(TOLD).expect("this is run by another test");
    let told = told.into_string().unwrap();
    let (url, text) = told.split_once(' ').unwrap();
    let google = Google::from_env().with_secret_manager_endpoint(url);
    let loader = SecretManagerLoader::new(&google, "p/openai");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let refused = first.block_on(loader.load()).unwrap_err();
    assert_eq!(refused.kind(), LoadErrorKind::Denied, "{refused}");
    assert_loads(first.block_on(loader.load()), text, "gcp-sm:p/openai");
    drop(first);
    // Until the token has expired.
    std::thread::sleep(Duration::from_millis(1500));
    assert_loads(runtime().block_on(loader.load()), text, "gcp-sm:p/openai");
}

const TOLD: &str = "KEYWARD_TEST_GOOGLE_RUNTIMES";
