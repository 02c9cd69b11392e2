//! [`RedactingLog`]: the redactor before a logger of the crate `log`.

use keyward_core::ApiKey;
use keyward_core::find::KeyFinder;
use log::{Log, Metadata, Record};

use super::{display_with, text_with};

/// A logger that masks the keys in messages and targets, and logs on.
///
/// Key-value pairs of `log`'s feature `kv` are not passed on: they are values of any type, which
/// cannot be masked without knowing how the logger behind shows them.
///
/// ```
/// use keyward::redact::RedactingLog;
/// use log::Log;
///
/// fn install(logger: impl Log + 'static) -> Result<(), log::SetLoggerError> {
///     log::set_max_level(log::LevelFilter::Info);
///     log::set_boxed_logger(Box::new(RedactingLog::new(logger)))
/// }
/// ```
#[derive(Debug)]
pub struct RedactingLog<L> {
    inner: L,
    finder: KeyFinder,
}

impl<L: Log> RedactingLog<L> {
    /// A logger before `inner`.
    pub fn new(inner: L) -> Self {
        Self { inner, finder: KeyFinder::new() }
    }

    /// Masks this key too, whatever it looks like. See [`KeyFinder::with_key`].
    #[must_use]
    pub fn with_key(mut self, key: &ApiKey) -> Self {
        self.finder = self.finder.with_key(key);
        self
    }
}

impl<L: Log> Log for RedactingLog<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        let target = text_with(&self.finder, record.target());
        let message = display_with(&self.finder, record.args());
        self.inner.log(
            &Record::builder()
                .level(record.level())
                .target(&target)
                .module_path(record.module_path())
                .file(record.file())
                .line(record.line())
                .args(format_args!("{message}"))
                .build(),
        );
    }

    fn flush(&self) {
        self.inner.flush();
    }
}
