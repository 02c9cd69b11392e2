//! [`RedactingWriter`]: the redactor before a writer.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::Redactor;

/// A writer that masks the keys in what is written, and writes the rest on.
///
/// A key that is split over any number of writes is masked. What each write brings goes on in one
/// write, so that lines stay whole; a line that is not finished may be held back in part. When the
/// writer is dropped, the rest is written as far as that succeeds; [`finish`](Self::finish) tells.
///
/// A flush writes on what has been held back for longer than the [patience](Self::with_patience)
/// and shows no sign of a key, such as half a word before a prompt waits for an answer. There is no
/// timer: nothing is written but in a call.
///
/// What the writer behind does not take is kept, and tried again in the next call, which tells the
/// error if it fails again; until then no more is taken. Nothing is lost or written twice.
///
/// ```
/// use std::io::Write as _;
///
/// use keyward::redact::RedactingWriter;
///
/// # let key = keyward_testkit::keys::project_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let mut out = RedactingWriter::new(Vec::new());
/// writeln!(out, "sending {key}")?;
/// let out = out.finish()?;
/// assert!(out.starts_with(b"sending [openai project key "));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RedactingWriter<W: Write> {
    /// There until `finish` takes it.
    inner: Option<W>,
    redactor: Redactor,
    /// What is on its way, masked.
    out: Vec<u8>,
    patience: Duration,
    /// Since when something is held back.
    held_since: Option<Instant>,
    /// Whether the writer behind panicked.
    panicked: bool,
}

impl<W: Write> RedactingWriter<W> {
    /// A writer before `inner`, which knows keys by their look and has a patience of one second.
    pub fn new(inner: W) -> Self {
        Self::with_redactor(inner, Redactor::new())
    }

    /// A writer before `inner` that masks what this redactor masks.
    pub fn with_redactor(inner: W, redactor: Redactor) -> Self {
        Self {
            inner: Some(inner),
            redactor,
            out: Vec::new(),
            patience: Duration::from_secs(1),
            held_since: None,
            panicked: false,
        }
    }

    /// For how long a flush leaves what is held back where it is.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Writes what is held back, flushes, and gives the writer behind.
    ///
    /// # Errors
    ///
    /// Those of the writer behind, which is dropped then, once what is left has been tried again.
    ///
    /// # Panics
    ///
    /// Never: the writer is there until this takes it.
    pub fn finish(mut self) -> io::Result<W> {
        self.redactor.finish(&mut self.out);
        self.pass_on()?;
        let mut inner = self.inner.take().expect("taken here alone");
        inner.flush()?;
        Ok(inner)
    }

    /// Writes what is on its way.
    fn pass_on(&mut self) -> io::Result<()> {
        self.held_since = match self.redactor.held_len() {
            0 => None,
            _ => self.held_since.or_else(|| Some(Instant::now())),
        };
        let mut written = 0;
        let result = loop {
            let (Some(inner), rest @ [_, ..]) = (&mut self.inner, &self.out[written..]) else {
                break Ok(());
            };
            self.panicked = true;
            let result = inner.write(rest);
            self.panicked = false;
            match result {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..written);
        result
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass_on()?;
        let held = self.redactor.held_len();
        self.redactor.push(bytes, &mut self.out);
        if !self.out.is_empty() && self.redactor.held_len() < held + bytes.len() {
            // What was held back before has gone; what is now is new.
            self.held_since = None;
        }
        // They are taken, so an error now would have them written again. What failed is kept, and
        // tried and told in the next call.
        let _ = self.pass_on();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        if self.held_since.is_some_and(|since| since.elapsed() >= self.patience) {
            self.redactor.release(&mut self.out);
            self.pass_on()?;
        }
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        // After a panic of the writer behind, another would abort.
        if self.inner.is_some() && !self.panicked {
            self.redactor.finish(&mut self.out);
            // Nobody is left to tell.
            let _ = self.pass_on();
        }
    }
}
