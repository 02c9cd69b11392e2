//! [`RedactingMakeWriter`]: the redactor before a writer of `tracing-subscriber`.

use keyward_core::ApiKey;
use keyward_core::find::KeyFinder;
use tracing_subscriber::fmt::MakeWriter;

use super::{RedactingWriter, Redactor};

/// A writer for `tracing_subscriber::fmt` that masks the keys in every event, whatever formats it.
///
/// An event is masked as it is written, so fields, spans and messages are alike.
///
/// ```
/// use keyward::redact::RedactingMakeWriter;
///
/// let subscriber = tracing_subscriber::fmt()
///     .with_writer(RedactingMakeWriter::new(std::io::stderr))
///     .finish();
/// # let _ = subscriber;
/// ```
#[derive(Clone, Debug)]
pub struct RedactingMakeWriter<M> {
    inner: M,
    finder: KeyFinder,
}

impl<M> RedactingMakeWriter<M> {
    /// A maker of writers before those of `inner`.
    pub fn new(inner: M) -> Self {
        Self { inner, finder: KeyFinder::new() }
    }

    /// Masks this key too, whatever it looks like. See [`KeyFinder::with_key`].
    #[must_use]
    pub fn with_key(mut self, key: &ApiKey) -> Self {
        self.finder = self.finder.with_key(key);
        self
    }

    fn before<W: std::io::Write>(&self, writer: W) -> RedactingWriter<W> {
        RedactingWriter::with_redactor(writer, Redactor::with_finder(self.finder.clone()))
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for RedactingMakeWriter<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        self.before(self.inner.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Self::Writer {
        self.before(self.inner.make_writer_for(metadata))
    }
}
