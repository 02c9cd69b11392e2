//! [`Kms`]: a key of AWS KMS, which seals and opens.

use aws_sdk_kms::primitives::Blob;

use super::client::Aws;
use super::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Decrypt, Encrypt, Error, Plaintext, SealContext};

/// A symmetric key of AWS KMS. The context is sent as the encryption context.
///
/// ```no_run
/// use keyward_kms::aws::{Aws, Kms};
/// use keyward_kms::{DirectLoader, SealContext};
///
/// let kms = Kms::new(&Aws::from_env(), "alias/openai-keys");
/// let context = SealContext::new("billing/openai", "proj_abc");
/// // What `aws kms encrypt --encryption-context …`, `seal_directly` or `SealedKey::seal` made.
/// let loader = DirectLoader::from_file("/etc/billing/openai.sealed", kms, context);
/// # let _ = loader;
/// ```
///
/// # Security
///
/// The key is named when something is opened too, so that a text that was sealed by another key,
/// be it one of an attacker's own account, does not open.
#[derive(Clone, Debug)]
pub struct Kms {
    aws: Aws,
    key_id: Name,
}

impl Kms {
    /// The key with this id, ARN or alias (`alias/…`).
    #[must_use]
    pub fn new(aws: &Aws, key_id: impl Into<String>) -> Self {
        Self { aws: aws.clone(), key_id: Name::new(key_id) }
    }
}

impl Decrypt for Kms {
    async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
        let mut request = self
            .aws
            .kms()
            .await?
            .decrypt()
            .key_id(self.key_id.checked()?)
            .ciphertext_blob(Blob::new(sealed));
        for (name, value) in context.pairs() {
            request = request.encryption_context(name, value);
        }
        let answer = quietly(request.send()).await.map_err(|error| of_sdk(&error))?;
        Ok(answer.plaintext.ok_or_else(incomplete)?.into_inner().into())
    }

    fn scheme(&self) -> &'static str {
        "aws-kms"
    }
}

impl Encrypt for Kms {
    /// Seals. The SDK keeps a copy of the text until the call is done, and does not wipe it.
    async fn encrypt(&self, plaintext: &[u8], context: &SealContext) -> Result<Vec<u8>, Error> {
        let mut request = self
            .aws
            .kms()
            .await?
            .encrypt()
            .key_id(self.key_id.checked()?)
            .plaintext(Blob::new(plaintext));
        for (name, value) in context.pairs() {
            request = request.encryption_context(name, value);
        }
        let answer = quietly(request.send()).await.map_err(|error| of_sdk(&error))?;
        Ok(answer.ciphertext_blob.ok_or_else(incomplete)?.into_inner())
    }

    fn key_id(&self) -> &str {
        self.key_id.as_str()
    }
}
