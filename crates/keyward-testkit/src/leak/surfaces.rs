//! What code under test shows to the world: its errors as printed, and its log lines.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What an error and each of its sources print, labelled: `Display`, `{:#}`, `Debug`, `{:#?}`.
///
/// ```
/// use keyward_testkit::leak;
///
/// let error = "x".parse::<u8>().unwrap_err();
/// let labels: Vec<_> = leak::surfaces_of(&error).into_iter().map(|(label, _)| label).collect();
/// assert_eq!(labels, ["error {}", "error {:#}", "error {:?}", "error {:#?}"]);
/// ```
#[must_use]
pub fn surfaces_of<E: Error + ?Sized>(error: &E) -> Vec<(String, String)> {
    let mut surfaces = Vec::new();
    let mut depth = 0;
    print(&mut surfaces, "error", error);
    let mut source = error.source();
    while let Some(error) = source {
        depth += 1;
        print(&mut surfaces, &format!("source {depth}"), error);
        source = error.source();
    }
    surfaces
}

/// What an error and each of its sources print, as one text to search.
///
/// ```
/// use keyward_testkit::{CANARY, assert_no_leak, leak};
///
/// let error = CANARY.text().parse::<u16>().unwrap_err();
/// assert_no_leak!(CANARY.text(), leak::error_surfaces(&error));
/// ```
#[must_use]
pub fn error_surfaces<E: Error + ?Sized>(error: &E) -> String {
    surfaces_of(error).into_iter().map(|(label, text)| format!("{label}: {text}\n")).collect()
}

fn print<E: Error + ?Sized>(surfaces: &mut Vec<(String, String)>, name: &str, error: &E) {
    surfaces.extend([
        (format!("{name} {{}}"), format!("{error}")),
        (format!("{name} {{:#}}"), format!("{error:#}")),
        (format!("{name} {{:?}}"), format!("{error:?}")),
        (format!("{name} {{:#?}}"), format!("{error:#?}")),
    ]);
}

/// A buffer that log lines are written to, to be searched afterwards.
///
/// Clones share the buffer. `move || logs.writer()` is a `MakeWriter` of tracing-subscriber:
///
/// ```
/// use keyward_testkit::leak::CapturedLogs;
/// use keyward_testkit::{CANARY, assert_no_leak};
///
/// let logs = CapturedLogs::new();
/// let writer = logs.clone();
/// let subscriber = tracing_subscriber::fmt().with_writer(move || writer.writer()).finish();
/// tracing::subscriber::with_default(subscriber, || tracing::info!("key loaded"));
///
/// assert!(logs.contents().contains("key loaded"));
/// assert_no_leak!(CANARY.text(), logs.contents());
/// ```
#[derive(Clone, Default)]
pub struct CapturedLogs {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl CapturedLogs {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer to this buffer.
    #[must_use]
    pub fn writer(&self) -> LogWriter {
        LogWriter { logs: self.clone() }
    }

    /// All that was written, with what is not UTF-8 replaced.
    #[must_use]
    pub fn contents(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// All that was written.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl io::Write for CapturedLogs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for CapturedLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedLogs").field("len", &self.bytes().len()).finish_non_exhaustive()
    }
}

/// A writer to a [`CapturedLogs`].
#[derive(Clone, Debug)]
pub struct LogWriter {
    logs: CapturedLogs,
}

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.logs.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
