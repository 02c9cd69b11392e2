//! The leak matrix: every surface by which services print their key, with three types in the place
//! where the key stands: a `String`, secrecy's `SecretString`, and keyward's own.
//!
//! What a row does is in the file of its group; what comes out is searched by
//! [`LeakDetector`](keyward_testkit::leak::LeakDetector) for a canary, in every form that it knows.
//! The `String` of a row is its positive control: it must leak, or the row says why it does not, and
//! then the canary is planted in what came out and must be found there. keyward's must not leak.
//!
//! The table is published in `SECURITY.md`, and `the_published_table_is_what_was_measured` holds the
//! two together; `KEYWARD_WRITE_LEAK_MATRIX=1` lets it write the table instead.

use std::sync::OnceLock;

use keyward_testkit::leak::LeakDetector;
use keyward_testkit::{CANARY, Canary};

use self::measure::{Measured, measure};
use self::row::{Contender, Row};

mod arguments;
mod child;
mod doubles;
mod failures;
mod measure;
mod memory;
mod minting;
mod network;
mod panics;
mod place;
mod process;
mod publish;
mod row;
mod shown;
mod tls;
mod traces;

/// Surfaces that have something in common.
pub(crate) struct Group {
    name: &'static str,
    rows: fn() -> Vec<Row>,
    measured: OnceLock<Vec<Measured>>,
}

impl Group {
    const fn new(name: &'static str, rows: fn() -> Vec<Row>) -> Self {
        Self { name, rows, measured: OnceLock::new() }
    }

    /// What came of each row; measured once in a process.
    fn measured(&self) -> &[Measured] {
        self.measured.get_or_init(|| {
            let detector = detector();
            (self.rows)().iter().map(|row| measure(row, &detector)).collect()
        })
    }
}

static GROUPS: [Group; 9] = [
    Group::new("Debug, Display and Serialize", shown::rows),
    Group::new("Errors", failures::rows),
    Group::new("Panics", panics::rows),
    Group::new("Command lines (clap)", arguments::rows),
    Group::new("Logs and traces", traces::rows),
    Group::new("Test doubles", doubles::rows),
    Group::new("Processes", process::rows),
    Group::new("Network", network::rows),
    Group::new(publish::MEMORY, memory::rows),
];

/// Every secret that a row has: the key, and the admin key of those who mint it.
fn detector() -> LeakDetector {
    let detector = LeakDetector::of_all([CANARY.text(), Canary::of_kind("admin").text()]);
    detector.assert_sees();
    detector
}

/// Holds a group to what is claimed of it.
fn hold(group: &Group) {
    let faults: Vec<_> = group.measured().iter().flat_map(Measured::faults).collect();
    assert!(faults.is_empty(), "{}:\n- {}", group.name, faults.join("\n- "));
}

#[test]
fn what_is_shown() {
    hold(&GROUPS[0]);
}

#[test]
fn what_errors_tell() {
    hold(&GROUPS[1]);
}

#[test]
fn what_panics_tell() {
    hold(&GROUPS[2]);
}

#[test]
fn what_a_command_line_tells() {
    hold(&GROUPS[3]);
}

#[test]
fn what_logs_tell() {
    hold(&GROUPS[4]);
}

#[test]
fn what_test_doubles_tell() {
    hold(&GROUPS[5]);
}

#[test]
fn what_a_process_shows() {
    hold(&GROUPS[6]);
}

#[test]
fn what_others_are_sent() {
    hold(&GROUPS[7]);
}

#[test]
fn no_surface_stands_twice() {
    let mut surfaces: Vec<_> =
        GROUPS.iter().flat_map(|group| (group.rows)()).map(|row| row.surface).collect();
    let count = surfaces.len();
    surfaces.sort_unstable();
    surfaces.dedup();
    assert_eq!(surfaces.len(), count);
    assert!(count >= 108, "{count}");
}

#[test]
fn the_published_table_is_what_was_measured() {
    GROUPS.iter().for_each(hold);
    publish::hold(&GROUPS);
}

/// The row of a child process, and whose turn it is.
fn find(surface: &str, contender: Contender) -> row::Probe {
    let mut rows = GROUPS.iter().flat_map(|group| (group.rows)());
    let row = rows.find(|row| row.surface == surface).expect("a row");
    row.probes[contender as usize]
}
