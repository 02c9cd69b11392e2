//! Runs a fake OpenAI organization on this machine, to try other programs against.
//!
//! ```sh
//! cargo run --example fake_openai -- --port 8080 --faults faults.json
//! ```
//!
//! It tells its address and an admin key, which is good for nothing else, and runs until it is
//! stopped with Ctrl-C. The format of the faults is told in the
//! documentation of `keyward_testkit::Fault`.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use keyward_testkit::{FakeOpenAi, Fault};

#[derive(Parser)]
#[command(about = "Runs a fake OpenAI organization on this machine.")]
struct Args {
    /// The port on 127.0.0.1; 0 is any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A JSON list of faults.
    #[arg(long)]
    faults: Option<PathBuf>,
    /// Makes ids and keys the same each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Where to write the admin key, readable by you alone. Without it, the key is printed: it is
    /// a made-up one.
    #[arg(long)]
    key_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let mut builder = FakeOpenAi::builder().port(args.port);
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    if let Some(path) = &args.faults {
        let json = std::fs::read_to_string(path)
            .map_err(|e| format!("{}: {}", path.display(), e.kind()))?;
        let faults =
            Fault::list_from_json(&json).map_err(|e| format!("{}: {e}", path.display()))?;
        for fault in faults {
            builder = builder.fault(fault);
        }
    }
    let fake = builder
        .start()
        .await
        .map_err(|e| format!("cannot listen on 127.0.0.1:{}: {e}", args.port))?;
    let project = fake.seed_project("example");
    // For `admin_tour`, which changes and deletes a user of this name and no other.
    fake.seed_user("keyward-tour guest");
    println!("base_url\t{}", fake.base_url());
    println!("project\t{project}");
    match args.key_file {
        Some(path) => {
            write_private(&path, &fake.admin_key())?;
            println!("admin_key_file\t{}", path.display());
        }
        None => println!("admin_key\t{}", fake.admin_key()),
    }
    tokio::signal::ctrl_c().await?;
    fake.shutdown().await;
    Ok(())
}

#[cfg(unix)]
fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}
