//! The table as `SECURITY.md` has it.

use std::fmt::Write as _;
use std::path::Path;

use super::Group;
use super::measure::{Measured, Outcome};

/// The group whose rows another test fills.
pub(super) const MEMORY: &str = "Memory";

/// Set, the table is written and not only compared.
const WRITE: &str = "KEYWARD_WRITE_LEAK_MATRIX";

const BEGIN: &str = "<!-- leak-matrix: written by tests/it/leak_matrix -->\n";
const END: &str = "<!-- leak-matrix: end -->\n";

/// Prints what was measured, and holds the published table to it.
#[allow(clippy::print_stdout, reason = "the table")]
pub(super) fn hold(groups: &[Group]) {
    let measured = table(groups);
    println!("{measured}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../SECURITY.md");
    let page = std::fs::read_to_string(&path).expect("SECURITY.md");
    let Some((before, published, after)) = cut(&page) else {
        panic!("SECURITY.md has no place for the table; put `{BEGIN}` and `{END}` there");
    };
    #[allow(clippy::disallowed_methods, reason = "tells a test to write")]
    if std::env::var_os(WRITE).is_some() {
        // What the other test has written stays.
        let memory =
            published.find(&heading(MEMORY)).map_or(memory_of(&measured), |at| &published[at..]);
        let table = format!("{before}{BEGIN}{}{memory}{END}{after}", without_memory(&measured));
        std::fs::write(path, table).expect("SECURITY.md");
        return;
    }
    let differ = without_memory(published)
        .lines()
        .zip(without_memory(&measured).lines())
        .find(|(published, measured)| published != measured);
    assert!(
        without_memory(published) == without_memory(&measured),
        "SECURITY.md has another table; look at the difference, and have it written with \
         {WRITE}=1\npublished, measured: {differ:#?}",
    );
}

fn cut(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (published, after) = rest.split_once(END)?;
    Some((before, published, after))
}

fn heading(name: &str) -> String {
    format!("| **{name}** |")
}

fn without_memory(table: &str) -> &str {
    table.find(&heading(MEMORY)).map_or(table, |at| &table[..at])
}

fn memory_of(table: &str) -> &str {
    &table[without_memory(table).len()..]
}

fn table(groups: &[Group]) -> String {
    let all: Vec<_> = groups.iter().flat_map(Group::measured).collect();
    let run = all.iter().filter(|row| !matches!(row.outcomes[0], Outcome::Elsewhere));
    let mut table = format!(
        "{} surfaces, with three types in the place where the key stands: with a `String` {} of \
         them leak, with\nsecrecy's `SecretString` {}, with keyward's {}. \"No such call\" does not \
         compile. Where a type alone cannot\nhelp, the last column says what keyward has for it; \
         who does it otherwise leaks as the others do. `→` is\ntested where the last column \
         says.\n\n",
        run.count(),
        leaks(&all, 0),
        leaks(&all, 1),
        leaks(&all, 2),
    );
    table += "| surface | `String` | `SecretString` | keyward | keyward's way, or a test |\n";
    table += "|---|---|---|---|---|\n";
    for group in groups {
        let rows: Vec<_> = group.measured().iter().collect();
        let count = |contender| match group.name == MEMORY {
            true => String::new(),
            false => format!("**{} of {}**", leaks(&rows, contender), rows.len()),
        };
        let [string, secrecy, keyward] = [count(0), count(1), count(2)];
        let heading = heading(group.name);
        writeln!(table, "{heading} {string} | {secrecy} | {keyward} | |").expect("a text");
        for row in rows {
            let [string, secrecy, keyward] = row.outcomes.each_ref().map(Outcome::word);
            let way = row.way.map(|way| format!(" {way}")).unwrap_or_default();
            let surface = row.surface;
            writeln!(table, "| {surface} | {string} | {secrecy} | {keyward} |{way} |")
                .expect("a text");
        }
    }
    table
}

fn leaks(rows: &[&Measured], contender: usize) -> usize {
    rows.iter().filter(|row| row.outcomes[contender].is_leak()).count()
}
