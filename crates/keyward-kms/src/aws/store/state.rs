//! [`State`]: the second secret, with the lease and the journal and no key. It is a document that
//! is written by moving `AWSCURRENT`.

use keyward::KeySource;
use keyward::store::{Document, Place, StoreError, Version};
use zeroize::Zeroizing;

use super::CURRENT;
use super::labels::{create, move_label, put};
use super::version::NOTHING;
use crate::Error;
use crate::aws::client::Aws;
use crate::aws::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;

#[derive(Clone, Debug)]
pub(super) struct State {
    aws: Aws,
    id: Name,
    kms_key: Option<Name>,
}

impl State {
    pub(super) fn new(aws: &Aws, id: Name) -> Self {
        Self { aws: aws.clone(), id, kms_key: None }
    }

    pub(super) fn with_kms_key(mut self, id: Option<Name>) -> Self {
        self.kms_key = id;
        self
    }

    async fn get(&self) -> Result<Option<(Zeroizing<Vec<u8>>, String)>, Error> {
        let client = self.aws.secrets_manager().await?;
        let get = client.get_secret_value().secret_id(self.id.checked()?).version_stage(CURRENT);
        let answer = match quietly(get.send()).await.map_err(|error| of_sdk(&error)) {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = answer.secret_string.ok_or_else(incomplete)?.into_bytes();
        Ok(Some((Zeroizing::new(text), answer.version_id.ok_or_else(incomplete)?)))
    }

    async fn set(&self, read: Option<&Version>, document: &Document) -> Result<bool, Error> {
        let from = match read {
            Some(version) => version.as_str().to_owned(),
            None => {
                create(&self.aws, &self.id, self.kms_key.as_ref()).await?;
                // It may have been made by another, who has written to it already.
                match self.get().await? {
                    Some((text, version)) if *text == NOTHING.as_bytes() => version,
                    _ => return Ok(false),
                }
            }
        };
        // EXPOSE: the document of a store that keeps no key in it.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = document.expose_bytes();
        let version = put(&self.aws, &self.id, text).await?;
        move_label(&self.aws, &self.id, CURRENT, Some(&from), Some(&version)).await
    }
}

impl Place for State {
    async fn read(&self) -> Result<Option<(Document, Version)>, StoreError> {
        let found = self.get().await.map_err(|error| error.in_store(self.source()))?;
        Ok(found.filter(|(text, _)| **text != *NOTHING.as_bytes()).map(|(mut text, version)| {
            (Document::from(std::mem::take(&mut *text)), Version::from(version))
        }))
    }

    async fn write_if(
        &self,
        read: Option<&Version>,
        document: &Document,
    ) -> Result<(), StoreError> {
        let written = self.set(read, document).await;
        if written.map_err(|error| error.in_store(self.source()))? {
            return Ok(());
        }
        Err(StoreError::changed(self.source()))
    }

    fn source(&self) -> KeySource {
        KeySource::new("aws-sm", self.id.to_string())
    }

    /// What a secret holds at most.
    fn max_len(&self) -> usize {
        64 * 1024
    }
}
