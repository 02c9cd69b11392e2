//! A program's output as it comes, and the end of the program with all that it started: on Unix.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

/// So that it can be killed with all that it starts.
pub(super) fn in_a_group_of_its_own(command: &mut Command) {
    command.process_group(0);
}

/// Kills the program and its group. It must not have been reaped.
pub(super) fn kill(child: &mut Child) {
    // Its own id: it leads its group.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
}

/// What a program has printed so far, in one buffer that never moves.
pub(super) struct Output {
    pipe: ChildStdout,
    text: Zeroizing<Vec<u8>>,
    room: Zeroizing<Vec<u8>>,
    most: usize,
    has_more: bool,
}

impl Output {
    pub(super) fn new(pipe: ChildStdout, most: usize) -> Self {
        Self {
            pipe,
            text: Zeroizing::new(Vec::with_capacity(most)),
            room: Zeroizing::new(vec![0; 4096]),
            most,
            has_more: false,
        }
    }

    /// Waits for more and reads it; tells whether that was all. The pipe is polled first, so a read
    /// does not wait.
    pub(super) fn read(&mut self, wait: Duration) -> io::Result<bool> {
        self.has_more = false;
        let wait = Timespec::try_from(wait).ok();
        match poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], wait.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        // Without room the read yields nothing, as at the end: it is too much anyway.
        let room = self.room.len().min(self.most - self.text.len());
        match self.pipe.read(&mut self.room[..room]) {
            Ok(read) => {
                self.text.extend_from_slice(&self.room[..read]);
                self.has_more = read > 0;
                Ok(read == 0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what is in the pipe, once nothing more of the program comes.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while !self.read(Duration::ZERO)? && self.has_more {}
        Ok(())
    }

    pub(super) fn text(&mut self) -> &mut Zeroizing<Vec<u8>> {
        &mut self.text
    }
}
