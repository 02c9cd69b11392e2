//! Finds the servers that `tests/servers/up` started. A file that test binaries of several crates
//! take in by its path, so that no crate is made for it.

#![allow(clippy::disallowed_methods, reason = "these variables are for the tests themselves")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where a server is and what it asks for, by the names that `tests/servers/up` gives them.
pub(crate) struct Server {
    name: &'static str,
    said: BTreeMap<String, String>,
}

impl Server {
    /// The server whose variables begin with `KEYWARD_` and its name; none, said to whoever runs
    /// the tests, where it is not up.
    ///
    /// # Panics
    ///
    /// Where `KEYWARD_REQUIRE_SERVERS` is 1, as in CI, and the server is not up.
    pub(crate) fn find(name: &'static str) -> Option<Self> {
        let file = file();
        let said: BTreeMap<_, _> = std::fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let prefix = format!("KEYWARD_{}", name.to_uppercase().replace('-', "_"));
        if said.keys().any(|name| name.starts_with(&prefix)) {
            return Some(Self { name, said });
        }
        assert!(
            std::env::var_os("KEYWARD_REQUIRE_SERVERS").is_none_or(|require| require != "1"),
            "{name} is required and is not in {}; run tests/servers/up {name}",
            file.display(),
        );
        // Not `eprintln!`, which the test harness keeps to itself where a test passes.
        let test = std::thread::current();
        let test = test.name().unwrap_or("a test");
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test}: no {name} here, run tests/servers/up {name}"
        );
        None
    }

    /// A variable that `tests/servers/up` wrote.
    pub(crate) fn get(&self, variable: &str) -> &str {
        self.said.get(variable).unwrap_or_else(|| {
            panic!("tests/servers/up {} writes no {variable}", self.name);
        })
    }
}

/// The file that `tests/servers/up` writes.
fn file() -> PathBuf {
    if let Some(directory) = std::env::var_os("KEYWARD_SERVERS") {
        return Path::new(&directory).join("env");
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|directory| directory.join("tests/servers/up").exists())
        .expect("the root of the project")
        .join("target/servers/env")
}
