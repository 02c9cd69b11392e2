//! Replaces the keys of slots without downtime, and goes on where it was killed.
//!
//! ```sh
//! rotate --slot keyward.toml#billing --plan     # what would be done, and what is in the way
//! rotate --slot keyward.toml#billing            # does it
//! rotate --slot keyward.toml#billing --if-due   # does it when it is time, or when one is open
//! rotate --slot keyward.toml#billing --resume   # ends what was begun, a leak included
//! rotate --slot keyward.toml#billing --now      # after a leak: the old key is deleted at once
//! rotate --slot keyward.toml#billing --sweep    # what is left over; --yes deletes it
//! rotate --slot keyward.toml --watch            # a daemon: every slot of the file, when it is due
//! rotate --admin --admin-store file:/etc/keyward/admin-key    # the admin key itself
//! ```
//!
//! Slots are written down as [`keyward_rotate::SlotFile`] tells. A slot's `store` is a reference
//! such as `file:PATH`; with the feature `sealed`, `sealed:PATH#identity-file=PATH`; with the
//! feature `clouds`, `aws-sm:NAME` and `vault:MOUNT/PATH`. A table `[policy]` in the same file says
//! which keys may go where, as everywhere in keyward; of several files each has the same.
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
//! Errors are on stderr. The exit code tells a scheduler what to do:
//!
//! | code | meaning | what to do |
//! |---|---|---|
//! | 0 | done, or nothing was to be done | nothing |
//! | 1 | failed, and will fail again | tell somebody; do not run it again |
//! | 2 | the command line is wrong | the same |
//! | 3 | something did not answer; what was begun is in the journal | run it again later; `--resume` goes on with what is in the journal alone |
//! | 4 | another rotator holds the lease, or has taken the slot meanwhile | the same; the other is at work |
//! | 5 | it is done, and something is left: `--now`, an old key lives on that keyward did not make; `--sweep`, what was not deleted; `--plan`, something is in the way | tell somebody; do not run it again |
//!
//! Of several slots the worst is told: 1, then 4, 3, 5, 0. `--now` makes another key each time that
//! it is run, so it is no order for a scheduler that tries again.
//!
//! `--watch` ends with 0 when it is told to, by Ctrl-C or SIGTERM; what is open then is gone on with
//! by the next.
//!
//! The admin key comes from `OPENAI_ADMIN_KEY`, from a file or from where a reference says; or from a
//! store, where it is read at each call, so that it can be replaced too, with `--admin`, while a daemon
//! runs. `file:PATH` is a store and a plain file: to begin, put the key there.

mod slots;
mod target;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use keyward_rotate::{RotateError, RotateErrorKind, Rotator, Sweep};

use self::target::Target;
use self::view::View;

#[derive(Parser)]
#[command(about = "Replaces keys without downtime, and goes on where it was killed.")]
#[command(group = ArgGroup::new("action").args(["plan", "status", "resume", "now", "sweep", "watch"]))]
struct Args {
    /// The slot: a file and the slot's name in it. Without a name, every slot of the file. May be
    /// given several times.
    #[arg(long, required_unless_present = "admin", value_name = "FILE[#NAME]")]
    slot: Vec<String>,
    /// Replaces the admin key itself, which is in `--admin-store`, instead of a slot's key.
    #[arg(long, requires = "admin_store", conflicts_with_all = ["slot", "plan", "watch"])]
    admin: bool,
    /// Tells what would be done and what is in the way. Changes nothing.
    #[arg(long)]
    plan: bool,
    /// Tells where each slot is. Asks the store and the journal alone.
    #[arg(long)]
    status: bool,
    /// Rotates only when that is due, or when a rotation is open. A key that was put back by hand is
    /// left for a day.
    #[arg(long, conflicts_with = "action")]
    if_due: bool,
    /// Ends what was begun, and begins nothing; after a leak it makes the key that `--now` was to make.
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
    /// Where the admin key is instead: `systemd:NAME`, `mount:PATH` and so on.
    #[arg(long, value_name = "REFERENCE", conflicts_with = "key_file")]
    key: Option<String>,
    /// The store of the admin key, such as `file:PATH`, instead: it is read at each call.
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["key", "key_file"])]
    admin_store: Option<String>,
    #[command(flatten)]
    drain: slots::AdminDrain,
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
    let opened = if args.admin {
        slots::open_admin(args).await.map(|rotator| vec![Target::Admin(rotator)])
    } else {
        match slots::open(args).await {
            Ok(selected) if args.watch => return watch(&selected.rotator).await,
            selected => selected.map(slots::Selected::into_targets),
        }
    };
    let targets = match opened {
        Ok(targets) => targets,
        Err(error) => {
            view::complain(error.as_ref());
            return ExitCode::FAILURE;
        }
    };
    let mut exit = Exit::Done;
    for target in &targets {
        let mut view = View::of(target.events());
        let done = act(args, target, &mut view).await.unwrap_or_else(|error| {
            view::complain(&error);
            Exit::of(&error)
        });
        exit = exit.max(done);
    }
    exit.code()
}

/// Rotates until it is told to end. Whatever is open then is in the journal.
async fn watch(rotator: &Rotator) -> ExitCode {
    let mut view = View::of(rotator.events());
    tokio::select! {
        () = rotator.run() => {}
        () = view.follow() => {}
        () = told_to_end() => {}
    }
    ExitCode::SUCCESS
}

/// Ctrl-C, or what systemd and Kubernetes send. The first process of a container is not ended by
/// that unless it listens.
async fn told_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Does to one key what was asked for.
async fn act(args: &Args, target: &Target, view: &mut View) -> Result<Exit, RotateError> {
    if args.plan {
        let Some(plan) = target.plan().await? else { return Ok(Exit::Done) };
        view.plan(&plan);
        return Ok(if plan.is_possible() { Exit::Done } else { Exit::LeftOver });
    }
    if args.status {
        view.status(&target.status().await?);
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
        let report = target.sweep(sweep).await?;
        view.swept(target.name(), &report);
        return Ok(if report.is_clean() { Exit::Done } else { Exit::LeftOver });
    }
    if args.resume {
        match view.during(target.resume()).await? {
            Some(outcome) => view.done(&outcome),
            None => view.idle(target.name(), "nothing was open, or what was begun is given up"),
        }
    } else if args.now {
        let outcome = view.during(target.rotate_now()).await?;
        view.done(&outcome);
    } else {
        if args.if_due && !target.is_due(slots::now()).await? {
            view.idle(target.name(), "it is not due");
            return Ok(Exit::Done);
        }
        let outcome = view.during(target.rotate()).await?;
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
            // The new key is in use: what is left is no reason to make another.
            error if error.kind() == RotateErrorKind::LeftAlone => Self::LeftOver,
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
