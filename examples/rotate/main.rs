//! Replaces the keys of slots without downtime, and goes on where it was killed.
//!
//! ```sh
//! rotate --slot keyward.toml#billing --plan     # what would be done, and what is in the way
//! rotate --slot keyward.toml#billing            # does it
//! rotate --slot keyward.toml#billing --if-due   # does it when it is time, or when one is open
//! rotate --slot keyward.toml#billing --resume   # ends what was begun, and begins nothing
//! rotate --slot keyward.toml#billing --now      # after a leak: the old key is deleted at once
//! rotate --slot keyward.toml#billing --sweep    # what is left over; --yes deletes it
//! rotate --slot keyward.toml --watch            # a daemon: every slot of the file, when it is due
//! ```
//!
//! Slots are written down as [`keyward_rotate::SlotFile`] tells. A slot's `store` is a reference
//! such as `file:PATH`; with the feature `sealed`, `sealed:PATH#identity-file=PATH`; with the
//! feature `clouds`, `aws-sm:NAME` and `vault:MOUNT/PATH`. A table `[policy]` in the same file says
//! which keys may go where, as everywhere in keyward.
//!
//! On a terminal it shows which step it is at, and what it waits for. Otherwise each line of stdout
//! is one thing, with tabs between its columns:
//!
//! | line | columns |
//! |---|---|
//! | `step` | slot, rotation, name of the step, key id or `-` |
//! | `waiting` | slot, rotation or `-`, for what |
//! | `warning` | slot, what |
//! | `done` | slot, what came of it |
//! | `idle` | slot, why nothing was done |
//! | `plan` | slot, a step that would be done |
//! | `obstacle` | slot, what is in the way |
//! | `due` | slot, when, or `now` |
//! | `status` | slot, fingerprint, key id, expiry, open step, last rotation that was done; `-` for none |
//! | `orphan` | slot, tag, key or account id, what became of it |
//! | `swept` | slot, keys listed, orphans, how many of them are gone |
//!
//! Errors are on stderr. The exit code is the first of these that fits:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or nothing was to be done |
//! | 4 | another rotator holds the slot's lease |
//! | 3 | something did not answer; run it again, or with `--resume`, later |
//! | 1 | failed, and will fail again: somebody has to look |
//! | 5 | `--plan`: something is in the way; `--sweep`: something is left over |
//! | 2 | the command line is wrong |
//!
//! The admin key comes from `OPENAI_ADMIN_KEY` or a file.

mod slots;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use keyward_rotate::{RotateError, Rotator, Sweep};

use self::slots::Selected;
use self::view::View;

#[derive(Parser)]
#[command(about = "Replaces keys without downtime, and goes on where it was killed.")]
#[command(group = ArgGroup::new("action").args(["plan", "status", "resume", "now", "sweep", "watch"]))]
struct Args {
    /// The slot: a file and the slot's name in it. Without a name, every slot of the file. May be
    /// given several times.
    #[arg(long, required = true, value_name = "FILE[#NAME]")]
    slot: Vec<String>,
    /// Tells what would be done and what is in the way. Changes nothing.
    #[arg(long)]
    plan: bool,
    /// Tells where each slot is. Asks the store and the journal alone.
    #[arg(long)]
    status: bool,
    /// Rotates only when that is due, or when a rotation is open.
    #[arg(long, conflicts_with = "action")]
    if_due: bool,
    /// Ends what was begun, and begins nothing.
    #[arg(long)]
    resume: bool,
    /// The key has leaked: the old one is deleted as soon as the new one is in use.
    #[arg(long)]
    now: bool,
    /// Tells of keys that carry the slot's tag and that nobody knows any more.
    #[arg(long)]
    sweep: bool,
    /// Deletes what `--sweep` finds.
    #[arg(long, requires = "sweep")]
    yes: bool,
    /// How many seconds old a key must be to be swept; what is younger may be in another's hand.
    #[arg(long, requires = "sweep", value_name = "SECONDS", default_value_t = 3600)]
    older_than: u64,
    /// Deletes also what somebody has used lately.
    #[arg(long, requires = "yes")]
    including_used: bool,
    /// Goes on for ever, and rotates each slot when it is due.
    #[arg(long)]
    watch: bool,
    /// Where the API answers.
    #[arg(long, default_value = "https://api.openai.com/v1")]
    base_url: String,
    /// A file with the admin key, readable by you alone; without it, `OPENAI_ADMIN_KEY`.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// The name of this replica, under which it holds leases: the same after a restart, and no
    /// other's that runs at the same time. The name of this machine, unless it is given.
    #[arg(long)]
    holder: Option<String>,
    /// A directory for the journals, where the whole history is kept; without it, they are in the
    /// stores, where every replica finds them.
    #[arg(long, value_name = "DIRECTORY")]
    journal: Option<PathBuf>,
    /// For how many seconds what does not answer is asked again.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    #[cfg(feature = "clouds")]
    #[command(flatten)]
    clouds: slots::Clouds,
}

fn main() -> ExitCode {
    // `RUST_LOG=trace` shows what every library says, and no key in it.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    // One thread for files is enough, and keeps what is done to them in one order.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&args)),
        Err(error) => {
            view::complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> ExitCode {
    let Selected { rotator, names } = match slots::open(args).await {
        Ok(selected) => selected,
        Err(error) => {
            view::complain(error.as_ref());
            return ExitCode::FAILURE;
        }
    };
    let mut view = View::of(rotator.events());
    if args.watch {
        tokio::select! {
            () = rotator.run() => {}
            () = view.follow() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return ExitCode::SUCCESS;
    }
    let mut exit = Exit::Done;
    for name in &names {
        let done = act(args, &rotator, name, &mut view).await.unwrap_or_else(|error| {
            view::complain(&error);
            Exit::of(&error)
        });
        exit = exit.max(done);
    }
    exit.code()
}

/// Does to one slot what was asked for.
async fn act(
    args: &Args,
    rotator: &Rotator,
    slot: &str,
    view: &mut View,
) -> Result<Exit, RotateError> {
    if args.plan {
        let plan = rotator.plan(slot).await?;
        view.plan(&plan);
        return Ok(if plan.is_possible() { Exit::Done } else { Exit::LeftOver });
    }
    if args.status {
        view.status(&rotator.status(slot).await?);
        return Ok(Exit::Done);
    }
    if args.sweep {
        let mut sweep = Sweep::report().older_than(Duration::from_secs(args.older_than));
        if args.yes {
            sweep = sweep.deleting();
        }
        if args.including_used {
            sweep = sweep.including_used();
        }
        let report = rotator.sweep(slot, sweep).await?;
        view.swept(slot, &report);
        return Ok(if report.is_clean() { Exit::Done } else { Exit::LeftOver });
    }
    if args.resume {
        match view.during(rotator.resume(slot)).await? {
            Some(outcome) => view.done(&outcome),
            None => view.idle(slot, "nothing was open, or what was begun is given up"),
        }
    } else if args.now {
        let outcome = view.during(rotator.rotate_now(slot)).await?;
        view.done(&outcome);
    } else {
        if args.if_due {
            let status = rotator.status(slot).await?;
            if !status.is_due(slots::now()) {
                view.idle(slot, "it is not due");
                return Ok(Exit::Done);
            }
        }
        let outcome = view.during(rotator.rotate(slot)).await?;
        view.done(&outcome);
    }
    Ok(Exit::Done)
}

/// How it ended; of several slots, the worst.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Exit {
    Done,
    LeftOver,
    Later,
    LeaseHeld,
    Failed,
}

impl Exit {
    fn of(error: &RotateError) -> Self {
        match error {
            error if error.is_lease_held() => Self::LeaseHeld,
            error if error.is_retryable() => Self::Later,
            _ => Self::Failed,
        }
    }

    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Later => 3,
            Self::LeaseHeld => 4,
            Self::LeftOver => 5,
        })
    }
}
