//! What the client makes of answers that are not as specified: it decodes them, or says that they
//! have drifted, and repeats nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use keyward_admin::{Client, Error, ErrorKind};
use keyward_core::Timestamp;
use keyward_testkit::leak::error_surfaces;
use serde_json::Value;

use super::calls::{self, Call, Seen};
use super::document::{Document, Operation};
use super::instances::{self, MARK};
use super::mutants::{self, Mutant};
use super::server::{Quiet, Server};
use crate::fixture::with_trace;

/// How many random combinations an operation gets. `KEYWARD_DRIFTS` says how many in a longer run,
/// in which every value is tried in every place too.
const DRIFTS: usize = 12;

#[test]
#[allow(clippy::print_stdout, reason = "tells what was tried")]
fn answers_that_drift_decode_or_say_so() {
    let Some(document) = Document::load() else { return };
    #[allow(clippy::disallowed_methods, reason = "asks a test for a longer run")]
    let drifts = std::env::var("KEYWARD_DRIFTS").ok().and_then(|n| n.parse().ok());
    let (all, drifts) = (drifts.is_some(), drifts.unwrap_or(DRIFTS));
    let server = Server::start();
    let (client, quiet) = (server.client(), Quiet::start());
    let mut counts = Counts::default();
    let mut unread = BTreeSet::new();
    let mut failed = Vec::new();
    let mut faults = Vec::new();
    for call in simplest() {
        let operation = document.operation(call.method, call.path).expect("specified");
        let trial = Trial { server: &server, client: &client, call: &call };
        let run = |json: &Value| quiet.run(trial.run(json));

        let full = instances::plain(operation);
        let seen = run(&full);
        let told = shown(&seen).unwrap_or_else(|| panic!("{}: {seen:?}", call.name()));
        let mut read = BTreeMap::new();
        for (at, texts) in leaves(&full) {
            match texts.into_iter().find(|text| told.contains(text)) {
                Some(text) => drop(read.insert(at, text)),
                None if is_kept(&call, &at) => {
                    unread.insert(format!("{} {} {at}", call.method, call.path));
                }
                None => {}
            }
        }
        counts.operations += 1;

        let variants = variants(operation);
        counts.valid += variants.len();
        for (_, _, variant) in &variants {
            let seen = run(variant);
            assert!(shown(&seen).is_some(), "{}: {seen:?} of {variant}", call.name());
        }

        let mut failures = Vec::new();
        let mut mutants = mutants::each(&full, "", all);
        for (at, is_alternative, variant) in &variants {
            if *is_alternative {
                mutants.extend(mutants::each(variant, at, all).into_iter().map(|mut mutant| {
                    // What was read where the first alternative stood says nothing of this one.
                    mutant.touched.push(at.clone());
                    mutant
                }));
            }
        }
        let seed = call.path.len() as u64 * 1_000_003 + u64::from(call.method.as_bytes()[0]);
        mutants.extend(mutants::several(&full, drifts, seed));
        for mutant in &mutants {
            let saying = Saying(&call, mutant);
            let seen = run(&mutant.json);
            counts.tell(&seen);
            faults.extend(judge(&call, mutant, &seen, &read));
            drop(saying);
            if let Some(word) = &mutant.word
                && is_kept(&call, &mutant.touched[0])
                && shown(&seen).is_some_and(|told| !told.contains(word))
            {
                faults.push(format!("{}: {}: the word is lost", call.name(), mutant.name));
            }
            if !errors(&seen).is_empty() {
                failures.push(mutant.json.clone());
            }
        }
        failed.push((call, failures));
    }
    println!("{counts}");
    println!("{} places of valid answers are not read: {unread:?}", unread.len());
    let most = faults.len().min(60);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..most].join("\n"));
    assert_eq!(counts.operations, 143);
    assert!(counts.decoded > 8_000 && counts.items > 100 && counts.drifts > 100, "{counts}");

    // Once more, with all that is logged.
    let ((), logs) = with_trace(async {
        let client = server.client();
        for (call, failures) in &failed {
            let trial = Trial { server: &server, client: &client, call };
            for json in failures.iter().take(LOGGED) {
                let seen = trial.run(json).await;
                assert!(!errors(&seen).is_empty(), "{}: {json}", call.name());
            }
        }
    });
    assert!(logs.contains("answered"), "nothing was logged");
    assert!(!logs.contains(MARK), "the logs repeat an answer");
}

/// How many failures of an operation are looked at in the logs.
const LOGGED: usize = 6;

/// The simplest call of each operation.
fn simplest() -> Vec<Call> {
    let mut known = BTreeSet::new();
    calls::all().into_iter().filter(|call| known.insert((call.method, call.path))).collect()
}

/// Whether a caller is to see what stands there: not of what only says that it is done, not what
/// kind of object it is, not a minted key, and of an audit event's payload its JSON alone, which
/// `Debug` does not show.
fn is_kept(call: &Call, at: &str) -> bool {
    let says_done = call.method == "DELETE"
        || (call.method == "POST" && call.path.ends_with("/roles") && at.matches('/').count() > 1);
    let is_cursor = ["/first_id", "/last_id", "/next", "/next_page"].contains(&at);
    let is_payload = at.contains('.');
    !(says_done || is_cursor || is_payload || at.ends_with("/object") || at.ends_with("/value"))
}

struct Trial<'a> {
    server: &'a Server,
    client: &'a Client,
    call: &'a Call,
}

impl Trial<'_> {
    async fn run(&self, json: &Value) -> Seen {
        self.server.answers([json.clone()]);
        let seen = self.call.run(self.client).await;
        self.server.requests();
        seen
    }
}

/// Valid answers with another alternative or word at one place each, and whether it is an
/// alternative.
fn variants(operation: &Operation) -> Vec<(String, bool, Value)> {
    let mut variants = Vec::new();
    let plain = instances::make(operation, &BTreeMap::new());
    for (at, count) in plain.choices {
        for n in 1..count {
            let json = instances::make(operation, &BTreeMap::from([(at.clone(), n)])).json;
            let is_alternative = plain.json.pointer(&at).is_some_and(|v| !v.is_string());
            variants.push((at.clone(), is_alternative, json));
        }
    }
    variants
}

/// What the caller saw, if it was no error.
fn shown(seen: &Seen) -> Option<String> {
    let items = seen.as_ref().ok()?;
    let texts: Option<Vec<_>> = items.iter().map(|item| item.as_ref().ok().cloned()).collect();
    Some(texts?.join("\n"))
}

fn errors(seen: &Seen) -> Vec<&Error> {
    match seen {
        Ok(items) => items.iter().filter_map(|item| item.as_ref().err()).collect(),
        Err(error) => vec![error],
    }
}

/// The texts and numbers of an answer, as `Debug` may show them, by where they stand. Words of a
/// set and minted keys are shown otherwise.
fn leaves(json: &Value) -> BTreeMap<String, Vec<String>> {
    let leaf = |(at, value): (String, &Value)| {
        let texts = match value {
            Value::String(text) if text.starts_with(MARK) => vec![text.clone()],
            Value::Number(number) => {
                let moment = number.as_i64().map(Timestamp::from_unix_seconds);
                moment.map(|m| format!("{m:?}")).into_iter().chain([number.to_string()]).collect()
            }
            _ => return None,
        };
        Some((at, texts))
    };
    mutants::pointers(json).into_iter().filter_map(leaf).collect()
}

/// Tells what was tried when something panics.
struct Saying<'a>(&'a Call, &'a Mutant);

impl Drop for Saying<'_> {
    #[allow(clippy::print_stderr, reason = "tells what was tried")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.0.name(), self.1.name);
        }
    }
}

/// What came of it that may not come of it.
fn judge(
    call: &Call,
    mutant: &Mutant,
    seen: &Seen,
    read: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{}: {}: {what}", call.name(), mutant.name));
    for error in errors(seen) {
        let said = error_surfaces(error);
        if said.contains(MARK) {
            fault(format!("an error repeats the answer: {said}"));
        }
        let demanded = match error.kind() {
            ErrorKind::Drift => DEMANDED,
            ErrorKind::OutcomeUnknown if call.method == "POST" => DEMANDED,
            ErrorKind::Paging => PAGING,
            _ => &[],
        };
        if !mutant.touched.iter().any(|at| demanded.contains(&at.as_str())) {
            fault(format!("it is not read: {error}"));
        }
    }
    let Some(shown) = shown(seen) else { return faults };
    for (at, text) in read {
        let is_touched = mutant.touched.iter().any(|touched| {
            // A key without its value is none.
            let touched = touched.strip_suffix("/value").unwrap_or(touched);
            at.strip_prefix(touched).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if !is_touched && !shown.contains(text) {
            fault(format!("{at} is lost"));
        }
    }
    faults
}

/// What must be as specified: that there is an answer with an id, a list in a page, and a key in
/// what is minted.
const DEMANDED: &[&str] = &[
    "",
    "/api_key",
    "/api_key/value",
    "/data",
    "/data/0",
    "/data/0/group_id",
    "/data/0/id",
    "/group_id",
    "/id",
    "/value",
];

/// What says where a listing goes on.
const PAGING: &[&str] = &["/has_more", "/next", "/next_page", "/last_id", "/data"];

/// What came of it all.
#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    valid: usize,
    mutants: usize,
    decoded: usize,
    items: usize,
    drifts: usize,
}

impl Counts {
    fn tell(&mut self, seen: &Seen) {
        self.mutants += 1;
        match seen {
            Ok(_) if errors(seen).is_empty() => self.decoded += 1,
            Ok(_) => self.items += 1,
            Err(_) => self.drifts += 1,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operations, valid, mutants, decoded, items, drifts } = self;
        write!(
            f,
            "{operations} operations, {valid} other valid answers, {mutants} mutants: {decoded} \
             decoded, {items} were errors in the place of an item, {drifts} were errors of a call"
        )
    }
}
