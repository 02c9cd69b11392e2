//! Tells what each line of standard input is, and whether a policy admits it. Never the line.
//!
//! ```sh
//! printenv OPENAI_API_KEY | cargo run --example classify -- --policy production
//! ```
//!
//! One line comes out for each that goes in, with tabs between: its number, its kind (or
//! `not_a_key`), `admitted` or `refused`, the rule, the fix.

#![allow(clippy::print_stderr, reason = "a program")]

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use keyward::{AdmitContext, ApiKey, KeyKind, KeyPolicy, SecretText, Timestamp, find};

#[derive(Parser)]
#[command(about = "Tells what each line of standard input is. Never the line.")]
struct Args {
    /// `standard`, `production`, `admin`, or a policy in a file: JSON if it ends in `.json`, else
    /// TOML.
    #[arg(long, default_value = "standard")]
    policy: String,
}

fn main() -> ExitCode {
    let done = policy(&Args::parse().policy).and_then(|policy| classify(&policy));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The policy of this name or in this file. What is wrong with it is told with keys masked: who
/// mixes up two files may name the one with the key in it.
fn policy(name: &str) -> Result<KeyPolicy, String> {
    match name {
        "standard" => return Ok(KeyPolicy::standard()),
        "production" => return Ok(KeyPolicy::production()),
        "admin" => return Ok(KeyPolicy::admin()),
        _ => {}
    }
    let shown = find::scrub(name);
    let text = std::fs::read_to_string(name).map_err(|error| {
        let presets = "write standard, production, admin or the path of a policy file";
        format!("--policy {shown}: {}; {presets}", error.kind())
    })?;
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).map_err(|error| {
            format!("{shown}, line {}: {}", error.line(), find::scrub(&error.to_string()))
        });
    }
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        format!("{shown}, line {line}: {}", find::scrub(error.message()))
    })
}

fn classify(policy: &KeyPolicy) -> Result<(), String> {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    let now = Timestamp::from(SystemTime::now());
    let mut out = io::stdout().lock();
    let mut input = io::stdin().lock();
    for number in 1.. {
        // Each line is read into text that is wiped, and whatever bytes it has are one line.
        let mut line = Vec::with_capacity(1024);
        let read = input.read_until(b'\n', &mut line).map_err(|e| e.kind().to_string())?;
        if read == 0 {
            break;
        }
        match writeln!(out, "{number}\t{}", verdict(policy, line.into(), now)) {
            // Nobody reads on: `classify | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written.map_err(|e| e.kind().to_string())?,
        }
    }
    Ok(())
}

fn verdict(policy: &KeyPolicy, line: SecretText, now: Timestamp) -> String {
    let key = match ApiKey::parse(line) {
        Ok(key) => key,
        Err(error) => return format!("not_a_key\trefused\t{}\t{}", error.reason(), error.fix()),
    };
    let kind = key.kind();
    match policy.admit(&key, &AdmitContext::at(now)) {
        Ok(_) => format!("{kind}\tadmitted\t-\t-"),
        Err(refusal) => {
            let whose = match kind {
                KeyKind::OtherVendor(vendor) => format!("it is a key of {vendor}: "),
                _ => String::new(),
            };
            format!("{kind}\trefused\t{}\t{whose}{}", refusal.rule(), refusal.fix())
        }
    }
}
