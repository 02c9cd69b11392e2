//! A second witness that the fake speaks Google's protocol: Google's own client for Python.

use std::process::Command;

use keyward_testkit::assert_no_leak;

use super::KEY;
use super::fake::Fake;
use crate::fixture::stores::on_threads;
use crate::fixture::{secret, server};

#[test]
fn googles_client_for_python_works_with_the_fake() {
    let Some(python) = server("KEYWARD_GOOGLE_PYTHON") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/google/witness.py");
    let secret = secret();
    on_threads(async {
        let fake = Fake::start().await;
        fake.make_key(KEY);
        let output = tokio::task::block_in_place(|| {
            Command::new(python)
                .args([script, fake.url().strip_prefix("http://").unwrap(), KEY])
                .env("KEYWARD_TEST_TOKEN", &fake.token)
                .env("KEYWARD_TEST_SECRET", &secret)
                .output()
                .unwrap()
        });
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_no_leak!(secret, said);
        println!("{said}");
        assert!(output.status.success(), "{said}");
        // It has asked the fake and nobody else.
        assert!(said.contains("ok: 20 steps"), "{said}");
        assert!(fake.asked().len() >= 20);
    });
}
