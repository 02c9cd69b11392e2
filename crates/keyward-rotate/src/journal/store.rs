//! [`StoreJournal`]: the journal beside the key, in the store.

use keyward::store::{DynKeyStore, Journal as Text, KeyStore};

use super::record::{compacted, read};
use super::{Entry, Journal, Written};
use crate::RotateError;

/// Keeps the journal in the store that the key is in, so that any replica can go on.
///
/// It is kept short: when an attempt begins, what is said of finished ones is dropped, but for the
/// tags under which a key may still appear. Use a [`FileJournal`](super::FileJournal) for the whole
/// history.
///
/// ```
/// use keyward::store::{DynKeyStore, MemoryStore};
/// use keyward_rotate::StoreJournal;
///
/// let journal = StoreJournal::new(DynKeyStore::new(MemoryStore::new("billing")));
/// # let _ = journal;
/// ```
#[derive(Clone, Debug)]
pub struct StoreJournal<S = DynKeyStore> {
    store: S,
}

impl<S: KeyStore> StoreJournal<S> {
    /// The journal of this store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store }
    }
}

impl<S: KeyStore> Journal for StoreJournal<S> {
    async fn read(&self, _slot: &str) -> Result<Written, RotateError> {
        let text = self.store.journal().await.map_err(|error| RotateError::of_journal(&error))?;
        Ok(Written::new(text.text(), text.revision().as_str()))
    }

    async fn append(
        &self,
        _slot: &str,
        written: &Written,
        line: &str,
    ) -> Result<Written, RotateError> {
        let begins = read(line)?.iter().any(|r| matches!(r.entry, Entry::Intent { .. }));
        let mut text = if begins { compacted(&written.records()?) } else { written.text.clone() };
        text.push_str(line);
        let before = Text::new(written.text.as_str(), written.revision.as_str());
        let now = self.store.write_journal(&before, &text).await;
        let now = now.map_err(|error| RotateError::of_journal(&error))?;
        Ok(Written::new(now.text(), now.revision().as_str()))
    }
}
