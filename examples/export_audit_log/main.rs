//! Exports the audit log as JSON lines, the oldest event first, and goes on where it stopped.
//!
//! ```sh
//! export_audit_log --since 2026-11-01 --output audit.jsonl --cursor-file audit.cursor
//! ```
//!
//! One line for each event; [`line`] says what is on it. The time runs from `--since`, or from where
//! the cursor file says, to `--until` or now. The exit code is 1 when anything was missing: a page
//! that could not be fetched, or an event that could not be read, which leaves a line with its
//! error in its place.
//!
//! It may be stopped at any moment, and killed. What was exported is noted in the cursor file about
//! once a second, after it was written. Run again, it leaves nothing out. With `--output` nothing
//! comes twice either: what was written after the last note is cut off again. On stdout that cannot
//! be, so there the events of about the last second come again.
//!
//! An event that could not be read is the exception: it has no id by which it would be known, so
//! each run tells it again that looks back to where it is (`--look-back`).
//!
//! The key comes from `OPENAI_ADMIN_KEY` or a file.

#![allow(clippy::print_stderr, reason = "a program")]

mod line;
mod sink;

use std::error::Error;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyward::{EnvLoader, FileLoader, KeyLoader as _, KeyPolicy, Timestamp};
use keyward_admin::{AuditExport, AuditLogQuery, Client};

use sink::Sink;

#[derive(Parser)]
#[command(about = "Exports the audit log as JSON lines, and goes on where it stopped.")]
struct Args {
    /// From this moment on, such as 2026-11-01 or 2026-11-01T12:00:00Z. Not needed where there is a
    /// cursor file already.
    #[arg(long)]
    since: Option<Timestamp>,
    /// Up to before this moment; now, unless it is given.
    #[arg(long)]
    until: Option<Timestamp>,
    /// Where to write; stdout, unless it is given. What is there is kept.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Where to note how far it has come.
    #[arg(long)]
    cursor_file: Option<PathBuf>,
    /// How many windows of time are listed at once.
    #[arg(long, default_value_t = 32)]
    windows: usize,
    /// How many seconds before the last event the next run looks for events that came late.
    #[arg(long, default_value_t = 300)]
    look_back: u64,
    /// The tenant's events, instead of the organization's.
    #[arg(long)]
    tenant_only: bool,
    /// Where the API answers.
    #[arg(long, default_value = "https://api.openai.com/v1")]
    base_url: String,
    /// A file with the admin key, readable by you alone; without it, `OPENAI_ADMIN_KEY`.
    #[arg(long)]
    key_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match export(Args::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(unreadable) => {
            eprintln!("{unreadable} events could not be read");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Exports, and tells how many events could not be read.
async fn export(args: Args) -> Result<u64, Box<dyn Error>> {
    let (mut sink, cursor) = Sink::open(args.output.as_deref(), args.cursor_file.as_deref())?;
    let since = match (&cursor, args.since) {
        (Some(cursor), _) => cursor.since(),
        (None, Some(since)) => since,
        (None, None) => return Err("say from when with --since".into()),
    };
    let until = args.until.unwrap_or_else(now);
    let client = client(&args).await?;
    let mut query = AuditLogQuery::new();
    if args.tenant_only {
        query = query.tenant_only();
    }
    let mut export = client
        .audit_logs()
        .export(&query, since..until)
        .in_flight(args.windows)
        .look_back(Duration::from_secs(args.look_back));
    if let Some(cursor) = &cursor {
        export = export.resume(cursor);
    }
    // Also before the first event, so that what a killed run wrote is known to be of no run.
    sink.note(&export.cursor())?;
    let result = write(&mut export, &mut sink, &Progress::new(since, until)).await;
    // What was written before an error of the export counts. After one of the sink, the cursor is
    // past what the sink did not take.
    if result.is_ok() || export.is_broken_off() {
        sink.note(&export.cursor())?;
    }
    result
}

async fn write(
    export: &mut AuditExport,
    sink: &mut Sink,
    progress: &Progress,
) -> Result<u64, Box<dyn Error>> {
    const EVERY: Duration = Duration::from_secs(1);

    let (mut unreadable, mut noted) = (0, Instant::now());
    while let Some(event) = export.next().await {
        match event {
            Ok(event) => sink.line(&line::of(&event))?,
            Err(error) if !export.is_broken_off() => {
                unreadable += 1;
                sink.line(&line::unreadable(&error))?;
            }
            Err(error) => return Err(error.into()),
        }
        if noted.elapsed() >= EVERY {
            sink.note(&export.cursor())?;
            progress.at(export.position());
            noted = Instant::now();
        }
    }
    progress.done();
    Ok(unreadable)
}

async fn client(args: &Args) -> Result<Client, Box<dyn Error>> {
    let loaded = match &args.key_file {
        Some(path) => FileLoader::new(path).load().await?,
        None => EnvLoader::new("OPENAI_ADMIN_KEY").load().await?,
    };
    let key = loaded.admit(&KeyPolicy::admin(), now())?.into_admin_key()?;
    Ok(Client::builder(key).base_url(&args.base_url).allow_loopback().build()?)
}

/// A bar on stderr, where that is a terminal.
struct Progress {
    bar: ProgressBar,
    since: Timestamp,
}

impl Progress {
    fn new(since: Timestamp, until: Timestamp) -> Self {
        let length = until.saturating_since(since).as_secs();
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg} ({eta})") {
            bar.set_style(style);
        }
        Self { bar, since }
    }

    fn at(&self, position: Timestamp) {
        self.bar.set_position(position.saturating_since(self.since).as_secs());
        self.bar.set_message(position.to_string());
    }

    fn done(&self) {
        self.bar.finish_and_clear();
    }
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    SystemTime::now().into()
}
