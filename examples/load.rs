//! Loads a key through a chain of sources, and tells where it came from. Never the key.
//!
//! ```sh
//! cargo run --example load -- --from env:OPENAI_API_KEY,mount:/run/secrets/openai
//! ```
//!
//! A source is written down as a [reference](keyward::reference). With `--watch` the program goes
//! on, and tells when the key is replaced.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use keyward::reference::References;
use keyward::{
    KeyKind, KeyLoader as _, KeyPolicy, LiveError, LiveKey, LiveKeyBuilder, LoadedKey, NarrowedKey,
};

#[derive(Parser)]
#[command(about = "Loads a key and tells where it came from. Never the key.")]
struct Args {
    /// Where to look, in this order: `env:NAME`, `file:PATH` (its owner's alone), `mount:PATH` (a
    /// secret of Kubernetes or Docker), `systemd:NAME` (a credential), `cmd:PROGRAM ARGUMENT…`
    /// (prints the key); with the feature `sealed`, `sealed:PATH#identity-file=PATH`.
    #[arg(long, required = true, value_delimiter = ',')]
    from: Vec<String>,
    /// Goes on, and tells when the key is replaced, until it is interrupted.
    #[arg(long)]
    watch: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    // Not clap's to parse: it would repeat what it refuses, which may be a key.
    let chain = match References::new().chain(&args.from) {
        Ok(chain) => Arc::new(chain),
        Err(error) => {
            eprintln!("--from: {error}");
            return ExitCode::FAILURE;
        }
    };
    match chain.load().await {
        Ok(loaded) => {
            show(&loaded);
            if !args.watch {
                return ExitCode::SUCCESS;
            }
            let watched = match loaded.key.kind() {
                KeyKind::Admin => watch(LiveKey::admin(chain, KeyPolicy::admin())).await,
                _ => watch(LiveKey::project(chain, KeyPolicy::standard())).await,
            };
            match watched {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            for attempt in error.attempts() {
                println!("attempt\t{attempt}");
            }
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells of each change, and of each load that changes nothing and should have.
async fn watch<K: NarrowedKey>(live: LiveKeyBuilder<K>) -> Result<(), LiveError> {
    let mut live = live.start().await?;
    if let Ok(key) = live.health().in_use {
        println!("watching\t{}", key.fingerprint);
    }
    let mut told = None;
    loop {
        tokio::select! {
            changed = live.changed() => {
                let Ok(()) = changed else { return Ok(()) };
                match live.health().in_use {
                    Ok(key) => println!("changed\t{}\t{}\t{}", key.fingerprint, key.kind, key.source),
                    Err(why) => println!("unavailable\t{why}"),
                }
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                let error = live.health().last_error.map(|(_, error)| error.to_string());
                if error != told
                    && let Some(error) = &error
                {
                    println!("error\t{error}");
                }
                told = error;
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn show(loaded: &LoadedKey) {
    for attempt in loaded.attempts() {
        println!("attempt\t{attempt}");
    }
    println!("source\t{}", loaded.source);
    println!("kind\t{}", loaded.key.kind());
    println!("fingerprint\t{}", loaded.key.fingerprint());
    match loaded.expires_at {
        Some(at) => println!("expires\t{at}"),
        None => println!("expires\tnot known"),
    }
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    let now = SystemTime::now().into();
    for policy in [KeyPolicy::standard(), KeyPolicy::production(), KeyPolicy::admin()] {
        match loaded.admit(&policy, now) {
            Ok(_) => println!("{}\tadmitted", policy.name()),
            Err(refusal) => println!("{}\trefused: {refusal}", policy.name()),
        }
    }
}
