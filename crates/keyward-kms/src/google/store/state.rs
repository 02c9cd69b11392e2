//! [`State`]: the annotation with the lease and the journal and no key. It is a document that is
//! written with the secret's entity tag.

use keyward::KeySource;
use keyward::store::{Document, Place, StoreError, Version};

use super::aliases::{annotate, create, find};
use crate::google::client::Google;
use crate::google::error::incomplete;
use crate::google::secret::SecretName;
use crate::{Error, ErrorKind};

#[derive(Clone, Debug)]
pub(super) struct State {
    google: Google,
    secret: SecretName,
}

impl State {
    pub(super) fn new(google: &Google, secret: SecretName) -> Self {
        Self { google: google.clone(), secret }
    }

    async fn get(&self) -> Result<Option<(Document, Version)>, Error> {
        let Some(found) = find(&self.google, &self.secret).await? else { return Ok(None) };
        Ok(found
            .annotation(ANNOTATION)
            .map(|text| (Document::from(text.as_bytes().to_vec()), Version::from(found.etag()))))
    }

    async fn set(&self, read: Option<&Version>, document: &Document) -> Result<bool, Error> {
        let found = match find(&self.google, &self.secret).await? {
            None if read.is_none() => {
                create(&self.google, &self.secret).await?;
                find(&self.google, &self.secret).await?
            }
            found => found,
        };
        let Some(found) = found else { return Ok(false) };
        let is_as_read = match read {
            Some(read) => found.etag() == read.as_str(),
            None => found.annotation(ANNOTATION).is_none(),
        };
        if !is_as_read {
            return Ok(false);
        }
        // EXPOSE: the document of a store that keeps no key in it.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = std::str::from_utf8(document.expose_bytes()).map_err(|_| incomplete())?;
        annotate(&self.google, &self.secret, &found, (ANNOTATION, text.to_owned())).await
    }
}

impl Place for State {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        self.get().await.map_err(|error| error.in_store(self.source()))
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        let written = self.set(read, document).await.map_err(|error| match error.kind() {
            // The name was good enough to be read, so it is the annotations that are not.
            ErrorKind::Invalid => Error::new(
                ErrorKind::TooLarge,
                "Google refuses the annotation",
                "remove other annotations of the secret, which have 16 KiB together",
            ),
            _ => error,
        });
        if written.map_err(|error| error.in_store(self.source()))? {
            return Ok(());
        }
        Err(StoreError::changed(self.source()))
    }

    fn source(&self) -> KeySource {
        self.secret.source()
    }

    /// Of the 16 KiB that all annotations of a secret have.
    fn max_len(&self) -> usize {
        12 * 1024
    }
}

const ANNOTATION: &str = "keyward-state";
