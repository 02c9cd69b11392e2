//! Loads a key through a chain of sources, and tells where it came from. Never the key.
//!
//! ```sh
//! cargo run --example load -- --from env:OPENAI_API_KEY,mount:/run/secrets/openai
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use keyward::{
    EnvLoader, FileLoader, KeyLoader, KeyPolicy, KeySource, LoadError, LoadedKey, LoaderChain,
};

#[derive(Parser)]
#[command(about = "Loads a key and tells where it came from. Never the key.")]
struct Args {
    /// Where to look, in this order: `env:NAME`, `file:PATH` (its owner's alone), `mount:PATH` (a
    /// secret of Kubernetes or Docker), `systemd:NAME` (a credential).
    #[arg(long, required = true, value_delimiter = ',')]
    from: Vec<String>,
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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let parsed: Result<Vec<_>, _> = Args::parse().from.iter().map(|s| Source::parse(s)).collect();
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
    match chain.load().await {
        Ok(loaded) => {
            show(&loaded);
            ExitCode::SUCCESS
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
