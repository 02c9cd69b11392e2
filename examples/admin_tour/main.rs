//! Calls every operation of the Admin API once, and tells of each whether it worked.
//!
//! ```sh
//! cargo run --example fake_openai -- --port 8080 --key-file /tmp/admin-key &
//! cargo run --example admin_tour -- --base-url http://127.0.0.1:8080/v1 --key-file /tmp/admin-key
//! ```
//!
//! One line for each call, with tabs between: the method, the path's template, `ok` or the error.
//! The exit code is 1 when any failed. **It makes, changes and deletes things**: what it made, it
//! deletes in the end, but for projects, which can only be archived. Of the users it changes one
//! who is called `keyward-tour guest`, and deletes that one; it fails where there is none. With `--read-only` nothing is
//! changed. The key comes from `OPENAI_ADMIN_KEY` or a file.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod clouds;
mod keys;
mod limits;
mod people;
mod usage;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use keyward::{EnvLoader, FileLoader, KeyLoader as _, KeyPolicy, Timestamp};
use keyward_admin::{Client, OPERATIONS};

#[derive(Parser)]
#[command(
    about = "Calls every operation of the Admin API once. It makes, changes and deletes things."
)]
struct Args {
    /// Where the API answers, such as <http://127.0.0.1:8080/v1>.
    #[arg(long)]
    base_url: String,
    /// A file with the admin key, readable by you alone; without it, `OPENAI_ADMIN_KEY`.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// Changes nothing.
    #[arg(long)]
    read_only: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match tour(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn tour(args: Args) -> Result<bool, Box<dyn Error>> {
    let loaded = match args.key_file {
        Some(path) => FileLoader::new(path).load().await?,
        None => EnvLoader::new("OPENAI_ADMIN_KEY").load().await?,
    };
    let key = loaded.admit(&KeyPolicy::admin(), now())?.into_admin_key()?;
    let client = Client::builder(key).base_url(args.base_url).allow_loopback().build()?;
    let mut tour = Tour { client, read_only: args.read_only, calls: 0, failures: 0 };
    keys::tour(&mut tour).await;
    usage::tour(&mut tour).await;
    eprintln!("{} of {} calls failed", tour.failures, tour.calls);
    Ok(tour.failures == 0)
}

/// The way through the API, and what was met on it.
struct Tour {
    client: Client,
    read_only: bool,
    calls: usize,
    failures: usize,
}

/// What stands in for an id where there is none to be had, because an earlier call failed or
/// nothing is changed.
const NONE: &str = "none";

impl Tour {
    /// Makes a call that reads, and tells how it went.
    async fn read<T>(
        &mut self,
        path: &str,
        call: impl Future<Output = Result<T, keyward_admin::Error>>,
    ) -> Option<T> {
        self.tell("GET", path, call).await
    }

    /// Makes a call that changes something, unless nothing is to be changed.
    async fn write<T>(
        &mut self,
        method: &str,
        path: &str,
        call: impl Future<Output = Result<T, keyward_admin::Error>>,
    ) -> Option<T> {
        if self.read_only {
            return None;
        }
        self.tell(method, path, call).await
    }

    async fn tell<T>(
        &mut self,
        method: &str,
        path: &str,
        call: impl Future<Output = Result<T, keyward_admin::Error>>,
    ) -> Option<T> {
        debug_assert!(OPERATIONS.iter().any(|o| o.method == method && o.path == path), "{path}");
        self.calls += 1;
        match call.await {
            Ok(answer) => {
                println!("{method}\t{path}\tok");
                Some(answer)
            }
            Err(error) => {
                self.failures += 1;
                println!("{method}\t{path}\t{error}");
                None
            }
        }
    }
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    SystemTime::now().into()
}
