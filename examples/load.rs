//! Loads a key through a chain of sources, and tells where it came from. Never the key.
//!
//! ```sh
//! cargo run --example load -- --from env:OPENAI_API_KEY,mount:/run/secrets/openai
//! ```
//!
//! With `--watch` it goes on, and tells when the key is replaced.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use keyward::{
    EnvLoader, FileLoader, KeyKind, KeyLoader, KeyPolicy, KeySource, LiveError, LiveKey,
    LiveKeyBuilder, LoadError, LoadedKey, LoaderChain, NarrowedKey, SourceSignature,
};

#[derive(Parser)]
#[command(about = "Loads a key and tells where it came from. Never the key.")]
struct Args {
    /// Where to look, in this order: `env:NAME`, `file:PATH` (its owner's alone), `mount:PATH` (a
    /// secret of Kubernetes or Docker), `systemd:NAME` (a credential).
    #[arg(long, required = true, value_delimiter = ',')]
    from: Vec<String>,
    /// Goes on, and tells when the key is replaced, until it is interrupted.
    #[arg(long)]
    watch: bool,
}

#[derive(Clone)]
enum Source {
    Env(EnvLoader),
    File(FileLoader),
}

impl Source {
    /// Not clap's to parse: it would repeat what it refuses, which may be a key.
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(EnvLoader::new(name))),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(FileLoader::new(path))),
            Some(("mount", path)) if !path.is_empty() => {
                Ok(Self::File(FileLoader::mounted_secret(path)))
            }
            Some(("systemd", name)) if !name.is_empty() => {
                Ok(Self::File(FileLoader::systemd_credential(name)))
            }
            _ => Err("--from takes env:NAME, file:PATH, mount:PATH or systemd:NAME, with commas"),
        }
    }

    fn name(&self) -> String {
        self.source().scheme().to_owned()
    }
}

impl KeyLoader for Source {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        match self {
            Self::Env(loader) => loader.load().await,
            Self::File(loader) => loader.load().await,
        }
    }

    fn source(&self) -> KeySource {
        match self {
            Self::Env(loader) => loader.source(),
            Self::File(loader) => loader.source(),
        }
    }

    fn variables(&self) -> Vec<OsString> {
        match self {
            Self::Env(loader) => loader.variables(),
            Self::File(loader) => loader.variables(),
        }
    }

    async fn signature(&self) -> Option<SourceSignature> {
        match self {
            Self::Env(loader) => loader.signature().await,
            Self::File(loader) => loader.signature().await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let parsed: Result<Vec<_>, _> = args.from.iter().map(|s| Source::parse(s)).collect();
    let mut sources = match parsed {
        Ok(sources) => sources.into_iter(),
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::FAILURE;
        }
    };
    let Some(first) = sources.next() else { return ExitCode::FAILURE };
    let mut chain = LoaderChain::first(first.name(), first);
    for source in sources {
        chain = chain.then(source.name(), source);
    }
    let chain = Arc::new(chain);
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
