//! A second witness that the fake speaks Key Vault's protocol: Azure's own client for Python.

use std::process::Command;

use keyward_testkit::assert_no_leak;

use super::fake::Fake;
use crate::fixture::stores::on_threads;
use crate::fixture::{secret, server};

#[test]
fn azures_client_for_python_works_with_the_fake() {
    let Some(python) = server("KEYWARD_AZURE_PYTHON") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/azure/witness.py");
    let (secret, dir) = (secret(), tempfile::tempdir().unwrap());
    on_threads(async {
        let fake = Fake::start().await;
        let trusted = dir.path().join("trusted.pem");
        std::fs::write(&trusted, &fake.pem).unwrap();
        let output = tokio::task::block_in_place(|| {
            Command::new(python)
                .args([script, &fake.address().to_string()])
                .arg(trusted)
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
        assert!(said.contains("ok: 11 steps"), "{said}");
        assert!(fake.asked().len() >= 11);
    });
}
