//! The process's own memory and its dumps: counted by another test, which has a table of its own.

use super::row::{Probe, Row};

/// What these rows refer to.
const TEST: &str = "`memory_table`";

pub(super) fn rows() -> Vec<Row> {
    [
        "own memory while the key is held, 200 requests made",
        "own memory after everything is dropped",
        "own memory while requests are under way",
        "own memory after a panic and a backtrace",
        "own memory after a created key was read and dropped",
        "core dump while the key is held",
        "core dump after everything is dropped",
        "swapped-out pages",
    ]
    .into_iter()
    .map(|surface| Row::new(surface, Probe::Elsewhere, Probe::Elsewhere, Probe::Elsewhere).by(TEST))
    .collect()
}
