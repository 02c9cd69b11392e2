//! Asking at the controlling terminal: on Unix.
//!
//! `rpassword` is not used here: the text that it gathers moves as it grows, which leaves pieces of
//! it unwiped, and its read cannot be given up, which leaves a terminal that shows nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use zeroize::Zeroizing;

use super::super::detached::Awaited;
use super::{Asked, Problem};

/// The terminal while it is asked at. Whoever gives up brings it back to what it was, because the
/// process may end at once.
#[derive(Clone, Default)]
pub(super) struct Terminal(Arc<Mutex<Option<Silent>>>);

impl Terminal {
    /// Asks, and waits for a line as long as somebody waits for the key.
    pub(super) fn ask(&self, prompt: &str, awaited: &Awaited<Asked>) -> Asked {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let mut terminal = terminal.map_err(|_| Problem::NoTerminal)?;
        let silent = Silent::new(terminal.try_clone().map_err(|_| Problem::Unreadable)?)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(silent);
        let line = read(prompt, &mut terminal, awaited);
        self.restore();
        line
    }

    pub(super) fn restore(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn read(prompt: &str, terminal: &mut File, awaited: &Awaited<Asked>) -> Asked {
    if awaited.is_given_up() {
        return Err(Problem::Unreadable);
    }
    terminal.write_all(prompt.as_bytes()).map_err(|_| Problem::Unreadable)?;
    let mut line = Zeroizing::new(vec![0; LONGEST_LINE]);
    loop {
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&TURN)) {
            // Nobody hears it.
            _ if awaited.is_given_up() => return Err(Problem::Unreadable),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(_) => return Err(Problem::Unreadable),
        }
    }
    // A terminal passes on whole lines.
    let len = terminal.read(&mut line).map_err(|_| Problem::Unreadable)?;
    line.truncate(len);
    Ok(line)
}

const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

const LONGEST_LINE: usize = 4096;

/// A terminal that does not show what is typed, until this is dropped.
struct Silent {
    file: File,
    before: Termios,
}

impl Silent {
    fn new(file: File) -> Result<Self, Problem> {
        // In the background, a read would stop the whole process.
        if tcgetpgrp(&file).map_err(|_| Problem::NoTerminal)? != getpgrp() {
            return Err(Problem::NoTerminal);
        }
        let before = tcgetattr(&file).map_err(|_| Problem::NoTerminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        modes.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        tcsetattr(&file, OptionalActions::Flush, &modes).map_err(|_| Problem::Unreadable)?;
        Ok(Self { file, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // What was typed and not read goes too: the shell must not get half a key.
        let _ = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
    }
}
