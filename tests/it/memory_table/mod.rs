//! What is left of a key in memory: of one that is held and sent as people do it, and as keyward
//! does. Printed as the table of SECURITY.md.
//!
//! Each contender is a process of its own, this test binary again, which stops at agreed moments to
//! be looked at from outside; so is the server. No process that is looked at searches, and none
//! that searches is looked at.

#![allow(
    clippy::print_stdout,
    reason = "tests: the table that they are for, and what is taken in by its path"
)]

use std::fmt::Write as _;
use std::fs;

use self::contender::{Contender, Http};
use self::process::{Job, Keys, Plan, Running, Trouble};
use crate::search::{Copies, Image};

mod child;
mod contender;
mod hostile;
mod process;
#[path = "../../../crates/keyward/tests/it/wire/server.rs"]
mod server;

const REQUESTS: usize = 200;
const AT_ONCE: usize = 8;

/// What was found of a contender's key.
#[derive(Debug, Default)]
struct Row {
    loaded: Option<Copies>,
    used: Copies,
    /// Of the key that was replaced, while the service goes on.
    replaced: Option<Copies>,
    /// Of both keys.
    dropped: Copies,
    /// Of both keys in core dumps, in use and dropped.
    dumps: Option<[Copies; 2]>,
    flight: Option<Flight>,
    /// After a backtrace and after a panic, each the first of its process and then a later one.
    troubles: Option<[Copies; 4]>,
}

/// What was found at moments of no choice.
#[derive(Debug, Default)]
struct Flight {
    stops: usize,
    /// Stops at which there was more than the one copy that is held.
    more: usize,
    whole: usize,
    others: usize,
}

#[test]
fn the_table_of_copies() {
    let server = Running::server();
    let mut rows = Vec::new();
    let best = Running::protection();
    for contender in Contender::ALL {
        if contender == Contender::LateSecret && best != "secret" {
            // A kernel of Linux 5.14 or later can have it; the ordinary ones of 6.5 or later do.
            println!("skipped: the row of memfd_secret: a key is {best} here at best");
            assert_eq!(process::number("KEYWARD_REQUIRE_SERVERS", 0), 0, "it is {best} at best");
            continue;
        }
        for http in Http::BOTH {
            let mut row = match contender.is_minted() {
                true => of_a_minted_key(contender, http, &server),
                false => of_requests(contender, http, &server),
            };
            if !contender.is_minted() {
                row.flight = Some(in_flight(contender, http, &server));
                if http == Http::One {
                    row.troubles = Some(Trouble::ALL.map(|it| after(it, contender, &server)));
                }
            }
            println!("{}", markdown(contender, http, &row));
            rows.push((contender, http, row));
        }
    }
    println!("\n{HEAD}");
    for (contender, http, row) in &rows {
        println!("{}", markdown(*contender, *http, row));
    }
    for (contender, http, row) in &rows {
        check(*contender, *http, row);
    }
}

/// What is claimed of keyward holds, and there is something to compare it with.
fn check(contender: Contender, http: Http, row: &Row) {
    let what = format!("{contender:?}, {http:?}: {row:?}");
    let once = Copies { whole: contender.readable(), ..Copies::default() };
    assert!(row.used.whole >= once.whole, "the search is blind: {what}");
    assert!(row.loaded.is_none_or(|it| it.whole >= once.whole), "the search is blind: {what}");
    match contender {
        Contender::Late | Contender::LateSecret | Contender::MintedCaught => {
            assert_eq!(row.used, once, "{what}");
            assert!(row.dropped.is_none(), "{what}");
            assert!(row.loaded.is_none_or(|it| it == once), "{what}");
            assert!(row.replaced.is_none_or(Copies::is_none), "{what}");
            // The feature `locked` is on.
            assert!(row.dumps.is_none_or(|dumps| dumps.iter().all(|it| it.is_none())), "{what}");
            if let Some(flight) = &row.flight {
                assert!(flight.more * 10 <= flight.stops, "{what}");
            }
            if let Some([_, backtrace, _, panic]) = row.troubles {
                assert_eq!((backtrace, panic), (once, once), "after the first: {what}");
            }
        }
        // As `wire` says of it.
        Contender::Header => {
            assert_eq!(row.loaded, Some(once), "{what}");
            assert!(row.dropped.of_all_forms() <= 12, "{what}");
        }
        Contender::AsyncOpenai | Contender::Minted | Contender::Secrecy | Contender::Text => {
            assert!(row.used.of_all_forms() > 1, "nothing to compare with: {what}");
            assert!(!row.dropped.is_none(), "nothing to compare with: {what}");
            assert!(row.dumps.is_none_or(|[used, _]| !used.is_none()), "no dump: {what}");
        }
    }
}

const HEAD: &str = "\
| who holds the key | HTTP | loaded | in use | replaced | dropped | dump in use | dump, dropped \
| in flight: mean, stops with more than one | first backtrace | later | first panic | later |
|---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn markdown(contender: Contender, http: Http, row: &Row) -> String {
    let cell = |copies: Option<Copies>| copies.map_or("–".to_owned(), |it| it.to_string());
    let mut line = format!("| {} | {} |", contender.name(), http.name());
    let mut add = |cell: String| write!(line, " {cell} |").unwrap();
    for copies in [row.loaded, Some(row.used), row.replaced, Some(row.dropped)] {
        add(cell(copies));
    }
    for at in 0..2 {
        add(cell(row.dumps.map(|dumps| dumps[at])));
    }
    add(row.flight.as_ref().map_or("–".to_owned(), |it| {
        let mean = |sum: usize| sum as f64 / it.stops as f64;
        let (whole, others) = (mean(it.whole), mean(it.others));
        format!("{whole:.1}+{others:.1}, {} of {}", it.more, it.stops)
    }));
    for at in 0..4 {
        add(cell(row.troubles.map(|troubles| troubles[at])));
    }
    line
}

fn of_requests(contender: Contender, http: Http, server: &Running) -> Row {
    let keys = Keys::new();
    let mut child = Running::start(&Job { contender, http, plan: Plan::Requests }, server, &keys);
    let image = child.image();
    child.wait_for("loaded");
    let loaded = Some(keys.old.traces_in(&image));
    child.go_on();
    child.wait_for("used");
    let used = keys.new.traces_in(&image);
    let replaced = Some(keys.old.traces_in(&image));
    let dump = child.dump(&keys);
    child.go_on();
    child.wait_for("dropped");
    let dropped = keys.both_in(&image);
    let dumps = dump.zip(child.dump(&keys)).map(<[Copies; 2]>::from);
    Row { loaded, used, replaced, dropped, dumps, ..Row::default() }
}

fn of_a_minted_key(contender: Contender, http: Http, server: &Running) -> Row {
    let keys = Keys::new();
    let mut child = Running::start(&Job { contender, http, plan: Plan::Mint }, server, &keys);
    let image = child.image();
    child.wait_for("used");
    let used = keys.new.traces_in(&image);
    let dump = child.dump(&keys);
    child.go_on();
    child.wait_for("dropped");
    let dropped = keys.new.traces_in(&image);
    let dumps = dump.zip(child.dump(&keys)).map(<[Copies; 2]>::from);
    Row { used, dropped, dumps, ..Row::default() }
}

/// How often each is stopped: 50 times, or what `KEYWARD_STOPS` says.
fn in_flight(contender: Contender, http: Http, server: &Running) -> Flight {
    let keys = Keys::new();
    let mut child = Running::start(&Job { contender, http, plan: Plan::Flight }, server, &keys);
    child.wait_for("flying");
    child.go_on();
    let mut flight = Flight { stops: process::number("KEYWARD_STOPS", 50), ..Flight::default() };
    for _ in 0..flight.stops {
        std::thread::sleep(std::time::Duration::from_micros(fastrand::u64(2_000..20_000)));
        let found = child.stopped(|image| keys.old.traces_in(image));
        assert!(found.whole >= contender.readable(), "it is held: {contender:?}, {http:?}");
        let all = found.of_all_forms() + found.pieces;
        flight.more += usize::from(all > contender.readable());
        flight.whole += found.whole;
        flight.others += all - found.whole;
    }
    flight
}

fn after(trouble: Trouble, contender: Contender, server: &Running) -> Copies {
    let keys = Keys::new();
    let job = Job { contender, http: Http::One, plan: Plan::Trouble(trouble) };
    let mut child = Running::start(&job, server, &keys);
    child.wait_for("after");
    keys.old.traces_in(&child.image())
}

/// What the processes of these tests do. By itself it is nothing.
#[test]
fn child() {
    child::run();
}

/// A dump is searched as memory is.
#[test]
fn a_key_that_is_held_is_found_in_a_dump() {
    let keys = Keys::new();
    let server = Running::server();
    let job = Job { contender: Contender::Text, http: Http::One, plan: Plan::Requests };
    let mut child = Running::start(&job, &server, &keys);
    child.wait_for("loaded");
    let Some(path) = child.dump_to(&keys) else { return };
    let of_child = keys.old.traces_in(&child.image());
    assert!(of_child.whole >= 1);
    assert_eq!(keys.old.traces_in(&Image::File(path.clone())), of_child);
    assert!(keys.new.traces_in(&Image::File(path.clone())).is_none());
    fs::remove_file(path).unwrap();
}
