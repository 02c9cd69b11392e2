//! What the terminal shows: steps with ticks, a table, a bar where something takes time. Without a
//! terminal there is neither colour nor bar.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

pub(crate) struct Steps {
    number: usize,
}

impl Steps {
    pub(crate) fn begin(title: &str) -> Self {
        println!("{BOLD}keyward quickstart{BOLD:#}  {title}\n");
        Self { number: 0 }
    }

    /// A step that went as told.
    pub(crate) fn done(&mut self, what: &str, how: impl Display) {
        self.number += 1;
        println!("{DIM}{:>2}{DIM:#} {GREEN}✓{GREEN:#} {what:<24} {how}", self.number);
    }

    /// One more line about the last step.
    pub(crate) fn detail(&self, detail: impl Display) {
        println!("     {DIM}{detail}{DIM:#}");
    }

    /// A spinner for something that takes time. It is not drawn without a terminal.
    pub(crate) fn progress(&self, what: &'static str) -> ProgressBar {
        let style = ProgressStyle::with_template("     {spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    pub(crate) fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].len()]).max().unwrap_or_default()
        };
        let line = |cells: [&str; N]| {
            let mut line = String::new();
            for (column, cell) in cells.iter().enumerate() {
                line.push_str(&format!("{cell:<width$}  ", width = width(column)));
            }
            line.trim_end().to_owned()
        };
        println!("     {BOLD}{}{BOLD:#}", line(head));
        for row in rows {
            println!("     {}", line(row.each_ref().map(String::as_str)));
        }
    }

    pub(crate) fn end(self, what: &str) {
        println!("\n{GREEN}{what}{GREEN:#}");
    }
}

/// The step that did not go as told.
pub(crate) fn failed(error: &dyn Error) {
    eprintln!("{RED}✗{RED:#} {error}");
}
