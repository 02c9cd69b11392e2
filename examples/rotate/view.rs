//! What is shown: on a terminal a live view of the step and of what is waited for, otherwise lines
//! with tabs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyward_rotate::{
    Event, EventKind, Events, Fate, Outcome, Plan, RotateError, Status, SweepReport,
};

const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

pub(crate) struct View {
    events: Events,
    is_live: bool,
    /// Whether nobody else tells of what failed.
    tells_failures: bool,
    bar: ProgressBar,
    /// What was waited for when it was told last: told once, not at each look.
    waits_for: String,
}

impl View {
    pub(crate) fn of(events: Events) -> Self {
        let is_live = io::stdout().is_terminal() && io::stderr().is_terminal();
        let target =
            if is_live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Self { events, is_live, tells_failures: false, bar, waits_for: String::new() }
    }

    /// Shows what happens while something is done.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, RotateError>>,
    ) -> Result<T, RotateError> {
        self.bar.enable_steady_tick(Duration::from_millis(100));
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = self.events.next() => self.show(&event),
                result = &mut work => break result,
            }
        };
        while let Some(event) = self.events.try_next() {
            self.show(&event);
        }
        self.bar.finish_and_clear();
        result
    }

    /// Shows what happens, as long as anything can.
    pub(crate) async fn follow(&mut self) {
        self.tells_failures = true;
        self.bar.enable_steady_tick(Duration::from_millis(100));
        while let Some(event) = self.events.next().await {
            self.show(&event);
        }
    }

    fn show(&mut self, event: &Event) {
        let Event { slot, .. } = event;
        let rotation = event.rotation.as_deref().unwrap_or("-");
        if let EventKind::Waiting { why, pause, .. } = &event.what {
            let waits_for = format!("{slot}\t{rotation}\t{why}");
            if waits_for != self.waits_for {
                self.bar.reset_elapsed();
                if !self.is_live {
                    println!("waiting\t{waits_for}");
                }
                self.waits_for = waits_for;
            }
            self.bar.set_message(format!("{slot}: waiting for {why}, looking every {pause:?};"));
            return;
        }
        self.waits_for.clear();
        self.bar.reset_elapsed();
        match &event.what {
            EventKind::Step { step, key } => {
                let key = key.as_deref().unwrap_or("-");
                self.bar.set_message(format!("{slot}: after `{step}`"));
                self.line(
                    format_args!("step\t{slot}\t{rotation}\t{step}\t{key}"),
                    format_args!("{GREEN}✓{GREEN:#} {slot:<16} {step:<10} {DIM}{key}{DIM:#}"),
                );
            }
            EventKind::DeletionRefused
            | EventKind::ExpiryRefused { .. }
            | EventKind::LeftAlone { .. }
            | EventKind::RolledBack { .. }
            | EventKind::SilenceUnknown { .. }
            | EventKind::Straggling(_) => {
                let text = event.to_string();
                let what = text.split_once(": ").map_or(text.as_str(), |(_, what)| what);
                self.line(
                    format_args!("warning\t{slot}\t{what}"),
                    format_args!("{YELLOW}!{YELLOW:#} {slot:<16} {what}"),
                );
            }
            // What a call ends with is told by whoever made the call; a daemon makes none.
            EventKind::Failed(error) if self.tells_failures => self.line(
                format_args!("warning\t{slot}\t{error}"),
                format_args!("{RED}✗{RED:#} {slot:<16} {error}"),
            ),
            _ => {}
        }
    }

    fn line(&self, plain: impl Display, live: impl Display) {
        if self.is_live {
            self.bar.suspend(|| println!("{live}"));
        } else {
            println!("{plain}");
        }
    }

    pub(crate) fn done(&self, outcome: &Outcome) {
        let text = outcome.to_string();
        let (slot, what) = text.split_once(": ").unwrap_or((&outcome.slot, &text));
        self.line(
            format_args!("done\t{slot}\t{what}"),
            format_args!("{GREEN}✓{GREEN:#} {slot:<16} {what}"),
        );
    }

    pub(crate) fn idle(&self, slot: &str, why: &str) {
        self.line(format_args!("idle\t{slot}\t{why}"), format_args!("  {slot:<16} {why}"));
    }

    pub(crate) fn plan(&self, plan: &Plan) {
        let slot = &plan.slot;
        if self.is_live {
            println!("{plan}");
            return;
        }
        let due = plan.due_at.map_or("now".to_owned(), |at| at.to_string());
        println!("due\t{slot}\t{due}");
        plan.steps.iter().for_each(|step| println!("plan\t{slot}\t{step}"));
        plan.obstacles.iter().for_each(|obstacle| println!("obstacle\t{slot}\t{obstacle}"));
    }

    pub(crate) fn status(&self, status: &Status) {
        if self.is_live {
            println!("{status}");
            return;
        }
        let slot = &status.slot;
        let key = status.current.as_ref();
        let fingerprint = key.map_or("-".to_owned(), |key| key.fingerprint.to_string());
        let id = key.and_then(|key| key.key_id.as_deref()).unwrap_or("-");
        let expires = key.and_then(|key| key.expires_at);
        let expires = expires.map_or("-".to_owned(), |at| at.to_string());
        let open = status.open.as_ref().map_or("-", |open| open.step);
        let done = status.done.as_ref().map_or("-".to_owned(), |(tag, _)| tag.to_string());
        println!("status\t{slot}\t{fingerprint}\t{id}\t{expires}\t{open}\t{done}");
        println!("due\t{slot}\t{}", status.due_at.map_or("now".to_owned(), |at| at.to_string()));
    }

    pub(crate) fn swept(&self, slot: &str, report: &SweepReport) {
        if self.is_live {
            println!("{slot}: {report}");
            return;
        }
        for orphan in &report.orphans {
            let id = orphan.key_id.as_deref().or(orphan.account.as_deref()).unwrap_or("-");
            let fate = fate(orphan.fate);
            println!("orphan\t{slot}\t{}\t{id}\t{fate}", orphan.tag);
        }
        let is_gone = |fate| matches!(fate, Fate::Deleted | Fate::Expired);
        let gone = report.orphans.iter().filter(|orphan| is_gone(orphan.fate)).count();
        println!("swept\t{slot}\t{}\t{}\t{gone}", report.listed, report.orphans.len());
    }
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Deleted => "deleted",
        Fate::Expired => "expired",
        Fate::InUse => "in_use",
        Fate::OtherAccount => "other_account",
        Fate::Reported => "reported",
        Fate::SlotInUse => "slot_in_use",
        Fate::Stayed => "stayed",
        Fate::TooYoung => "too_young",
        Fate::UnknownSlot => "unknown_slot",
        _ => "left",
    }
}

pub(crate) fn complain(error: &dyn Error) {
    eprintln!("{RED}✗{RED:#} {error}");
}
