//! Asking at the console, by `rpassword`: where there is no Unix terminal.

use zeroize::Zeroizing;

use super::super::detached::Awaited;
use super::{Asked, Problem};

/// The console.
#[derive(Clone, Default)]
pub(super) struct Terminal;

impl Terminal {
    /// Asks, and waits for a line. It cannot be given up: the thread waits on.
    pub(super) fn ask(&self, prompt: &str, _: &Awaited<Asked>) -> Asked {
        if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return Err(Problem::NoTerminal);
        }
        rpassword::prompt_password(prompt)
            .map(|line| Zeroizing::new(line.into_bytes()))
            .map_err(|_| Problem::Unreadable)
    }

    pub(super) fn restore(&self) {}
}
