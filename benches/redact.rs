//! The promise: looking for keys costs about what the search for one literal costs, so nobody has a
//! reason to log without it. A report, not a timing by criterion: all contenders take turns in one
//! run, and time is the processor's, so that their ratios hold on a machine that others use too.
//!
//! Goals: (a) over 1 GiB of text, at least 0.85 of the rate of memmem for the marker; (b) for a log
//! line of 100 bytes without a key, at most 1.25 of memmem's time. The peer that answers the same
//! question is a regular expression of the same rules, which finds no key in base64, UTF-16 or
//! escapes.

#![allow(clippy::print_stdout, reason = "a report")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use keyward::redact::Redactor;
use keyward_core::find::KeyFinder;
use keyward_testkit::keys::{self, KeyRng, MARKER};
use memchr::memmem;
use regex::bytes::Regex;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    let (size, rounds) = if short { (1 << 20, 1) } else { (1 << 30, 7) };
    let contenders = Contenders::new();
    rates("log lines", &repeated(&logs(1 << 20), size), &contenders, rounds);
    rates("source code", &repeated(&source(), size), &contenders, rounds);
    lines(&contenders, if short { 1_000 } else { 2_000_000 }, rounds);
}

struct Contenders {
    finder: KeyFinder,
    marker: memmem::Finder<'static>,
    regex: Regex,
}

impl Contenders {
    fn new() -> Self {
        let pattern = format!(
            "sk-[A-Za-z0-9_-]{{20,120}}{MARKER}[A-Za-z0-9_-]{{20,120}}|sess-[A-Za-z0-9]{{40}}|ek_[0-9a-f]{{32}}"
        );
        Self {
            finder: KeyFinder::new(),
            marker: memmem::Finder::new(MARKER).into_owned(),
            regex: Regex::new(&pattern).expect("a pattern"),
        }
    }
}

/// How many GB each goes over in a second, in the same text, and what share of memmem's rate that is.
fn rates(name: &str, text: &[u8], contenders: &Contenders, rounds: usize) {
    let Contenders { finder, marker, regex } = contenders;
    let mut redactor = Redactor::new();
    let mut out = Vec::with_capacity(1 << 20);
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..rounds {
        times[0].push(timed(|| marker.find_iter(black_box(text)).count()));
        times[1].push(timed(|| finder.find_iter(black_box(text)).count()));
        times[2].push(timed(|| regex.find_iter(black_box(text)).count()));
        times[3].push(timed(|| {
            for piece in black_box(text).chunks(64 * 1024) {
                redactor.push(piece, &mut out);
                out.clear();
            }
        }));
        times[4].push(timed(|| {
            for piece in black_box(text).chunks(64 * 1024) {
                out.extend_from_slice(black_box(piece));
                out.clear();
            }
        }));
    }
    println!("{name}, {} MiB", text.len() >> 20);
    let names = [
        "memmem for the marker",
        "keyward, find",
        "regex",
        "keyward, redact to a copy",
        "a copy alone",
    ];
    let base = median(&mut times[0].clone());
    for (name, times) in names.iter().zip(&mut times) {
        let time = median(times);
        let rate = text.len() as f64 / time.as_secs_f64() / 1e9;
        println!("  {name:<28} {rate:>6.2} GB/s {:>6.2}", base.as_secs_f64() / time.as_secs_f64());
    }
}

/// How many nanoseconds a short line takes.
fn lines(contenders: &Contenders, times: u32, rounds: usize) {
    let Contenders { finder, marker, regex } = contenders;
    let key = keys::project_key(&mut KeyRng::seeded(1));
    let clean = "2026-11-29T22:37:54.123Z  INFO service::ask: answered model=fake-model took=12ms status=200 tries=1\n";
    let request = "0d9f6c1e-7a35-4c0b-9d0e-5a4f1f2b3c4d GET https://api.example.com/v1/projects/shop/keys?limit=20 200 3\n";
    let keyed =
        format!("2026-11-29T22:37:54.123Z ERROR service::ask: refused key={key} status=401\n");
    println!("one line, ns                        memmem  keyward   ratio    regex  redact");
    for (name, line) in [("clean", clean), ("clean, uuid and url", request), ("with a key", &keyed)]
    {
        let line = line.as_bytes();
        let mut redactor = Redactor::new();
        let mut out = Vec::with_capacity(1024);
        let mut all = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            all[0].push(each(times, || marker.find(black_box(line)).is_some()));
            all[1].push(each(times, || finder.find(black_box(line)).is_some()));
            all[2].push(each(times, || regex.find(black_box(line)).is_some()));
            all[3].push(each(times, || {
                redactor.push(black_box(line), &mut out);
                out.clear();
                true
            }));
        }
        let [memmem, keyward, regex, redact] = all.each_mut().map(|times| median(times));
        let ns = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(times);
        let ratio = ns(keyward) / ns(memmem);
        println!(
            "  {name:<22} {:>4} bytes {:>7.1} {:>8.1} {ratio:>7.2} {:>8.1} {:>7.1}",
            line.len(),
            ns(memmem),
            ns(keyward),
            ns(regex),
            ns(redact)
        );
    }
}

fn each(times: u32, mut run: impl FnMut() -> bool) -> Duration {
    timed(|| (0..times).filter(|_| run()).count())
}

fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let start = processor_time();
    black_box(run());
    processor_time() - start
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn repeated(text: &[u8], size: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(size);
    while all.len() < size {
        all.extend_from_slice(&text[..text.len().min(size - all.len())]);
    }
    all
}

/// Log lines of a service: times, words, ids, paths, JSON; no key.
fn logs(size: usize) -> Vec<u8> {
    let rng = &mut KeyRng::seeded(1);
    let words =
        ["answered", "retrying", "loaded", "queue depth", "connection closed", "cache miss"];
    let mut out = String::with_capacity(size + 512);
    while out.len() < size {
        let (word, n) = (words[rng.below(words.len())], rng.below(10_000));
        let id = rng.alphanumeric(12);
        out.push_str(&match rng.below(4) {
            0 => format!("2026-11-29T22:37:{:02}.{n:04}Z  INFO service::ask: {word} took={n}us status=200\n", n % 60),
            1 => format!("{{\"level\":\"warn\",\"msg\":\"{word}\",\"request_id\":\"req_{id}\",\"tries\":{n}}}\n"),
            2 => format!("10.0.{}.7 - - \"GET /v1/projects/proj_{id}/keys?limit={n} HTTP/1.1\" 200 {n}\n", n % 256),
            _ => format!("2026-11-29 22:37 DEBUG hyper::proto: {word}, {n} bytes left in the buffer of {id}\n"),
        });
    }
    out.into_bytes()
}

/// The sources of the crates themselves.
fn source() -> Vec<u8> {
    let mut out = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.extend(std::fs::read(path).expect("a file"));
            }
        }
    }
    out
}
