//! Tells what each line of standard input is, and whether a policy admits it. Never the line.
//!
//! ```sh
//! printenv OPENAI_API_KEY | cargo run --example classify -- --policy production
//! ```
//!
//! One line comes out for each that goes in, with tabs between: its number, its kind (or
//! `not_a_key`), `admitted` or `refused`, the rule, the fix.

#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use clap::Parser;
use keyward::{AdmitContext, ApiKey, KeyPolicy, SecretText, Timestamp};

#[derive(Parser)]
#[command(about = "Tells what each line of standard input is. Never the line.")]
struct Args {
    /// `standard`, `production`, `admin`, or a policy in a TOML file.
    #[arg(long, default_value = "standard")]
    policy: Policy,
}

#[derive(Clone)]
enum Policy {
    Preset(KeyPolicy),
    File(PathBuf),
}

impl FromStr for Policy {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "standard" => Self::Preset(KeyPolicy::standard()),
            "production" => Self::Preset(KeyPolicy::production()),
            "admin" => Self::Preset(KeyPolicy::admin()),
            file => Self::File(file.into()),
        })
    }
}

impl Policy {
    fn read(self) -> Result<KeyPolicy, Box<dyn Error>> {
        match self {
            Self::Preset(policy) => Ok(policy),
            Self::File(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| format!("{}: {}", path.display(), e.kind()))?;
                Ok(toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?)
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Args::parse().policy.read()?;
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    let now = Timestamp::from(SystemTime::now());
    let mut out = io::stdout().lock();
    let mut input = io::stdin().lock();
    for number in 1.. {
        // Each line is read into text that is wiped, and whatever bytes it has are one line.
        let mut line = Vec::with_capacity(1024);
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        writeln!(out, "{number}\t{}", verdict(&policy, line.into(), now))?;
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
        Err(refusal) => format!("{kind}\trefused\t{}\t{}", refusal.rule(), refusal.fix()),
    }
}
