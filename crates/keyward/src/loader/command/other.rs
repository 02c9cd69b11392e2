//! A program's output as it comes, where a pipe cannot be polled: a thread reads it.

use std::io::{self, Read as _};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

pub(super) fn in_a_group_of_its_own(_: &mut Command) {}

/// Kills the program alone.
pub(super) fn kill(child: &mut Child) {
    let _ = child.kill();
}

/// What a program has printed so far, in one buffer that never moves.
pub(super) struct Output {
    pieces: Receiver<io::Result<Zeroizing<Vec<u8>>>>,
    text: Zeroizing<Vec<u8>>,
    has_more: bool,
}

impl Output {
    pub(super) fn new(mut pipe: ChildStdout, most: usize) -> Self {
        let (sender, pieces) = channel();
        // It ends with the pipe, or with the first piece that nobody wants any more.
        thread::spawn(move || {
            let mut left = most;
            while left > 0 {
                let mut piece = Zeroizing::new(vec![0; left.min(4096)]);
                let read = pipe.read(&mut piece);
                let read = read.map(|read| {
                    left -= read;
                    piece.truncate(read);
                    piece
                });
                let is_last = read.as_ref().map_or(true, |piece| piece.is_empty());
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, text: Zeroizing::new(Vec::with_capacity(most)), has_more: false }
    }

    /// Waits for more; tells whether that was all.
    pub(super) fn read(&mut self, wait: Duration) -> io::Result<bool> {
        self.has_more = false;
        match self.pieces.recv_timeout(wait) {
            Ok(Ok(piece)) => {
                self.text.extend_from_slice(&piece);
                self.has_more = !piece.is_empty();
                Ok(piece.is_empty())
            }
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Ok(true),
        }
    }

    /// Reads what is in the pipe, once nothing more of the program comes. The thread that reads it
    /// may lag behind.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while !self.read(Duration::from_secs(1))? && self.has_more {}
        Ok(())
    }

    pub(super) fn text(&mut self) -> &mut Zeroizing<Vec<u8>> {
        &mut self.text
    }
}
