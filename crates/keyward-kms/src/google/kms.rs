//! [`Kms`]: a key of Cloud KMS, which seals and opens.

use std::time::Duration;

use google_cloud_kms_v1::model::{DecryptResponse, EncryptResponse};
use zeroize::Zeroizing;

use super::checksum;
use super::client::Google;
use super::error::Call;
use super::secret::is_plain;
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Decrypt, Encrypt, Error, ErrorKind, Plaintext, SealContext};

/// A symmetric key of Cloud KMS (purpose `ENCRYPT_DECRYPT`). The context is sent as additional
/// authenticated data, by [`SealContext::to_bytes`].
///
/// ```no_run
/// use keyward_kms::google::{Google, Kms};
/// use keyward_kms::{DirectLoader, SealContext};
///
/// let kms = Kms::new(
///     &Google::from_env(),
///     "projects/billing/locations/eu/keyRings/prod/cryptoKeys/openai",
/// );
/// let context = SealContext::new("billing/openai", "proj_abc");
/// // What `seal_directly` or `SealedKey::seal` made, or `gcloud kms encrypt
/// // --additional-authenticated-data-file` with the context's bytes in that file.
/// let loader = DirectLoader::from_file("/etc/billing/openai.sealed", kms, context);
/// # let _ = loader;
/// ```
///
/// # Security
///
/// What is sent and what comes goes with its CRC32C, which both sides check. An answer that was
/// damaged on the way is asked for again, up to three times. A request that was damaged is refused
/// by Google as an invalid argument, as a text is that the key did not seal: it is not tried again,
/// and opening ends as `Undecryptable`.
#[derive(Clone, Debug)]
pub struct Kms {
    google: Google,
    key: Name,
}

impl Kms {
    /// The key of this name: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
    #[must_use]
    pub fn new(google: &Google, key: impl Into<String>) -> Self {
        Self { google: google.clone(), key: Name::new(key) }
    }

    /// As it is sent: it leads nowhere else in a URL.
    fn name(&self) -> Result<&str, Error> {
        let name = self.key.checked()?;
        let segments: Vec<_> = name.split('/').collect();
        let is_key =
            matches!(segments[..], ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _]);
        if is_key && segments.iter().all(|segment| is_plain(segment)) {
            return Ok(name);
        }
        Err(Error::new(
            ErrorKind::Invalid,
            "that is no name of a KMS key",
            "write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
        ))
    }

    async fn open(&self, sealed: &[u8], bound: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let request = self
            .google
            .kms()
            .await?
            .decrypt()
            .set_name(self.name()?)
            .set_ciphertext(sealed.to_vec())
            .set_ciphertext_crc32c(checksum::of(sealed))
            .set_additional_authenticated_data(bound.to_vec())
            .set_additional_authenticated_data_crc32c(checksum::of(bound));
        let answer = quietly(request.send()).await;
        let DecryptResponse { plaintext, plaintext_crc32c, .. } =
            answer.map_err(|error| self.google.told(&error, Call::OPEN))?;
        let plaintext = Zeroizing::new(Vec::from(plaintext));
        checksum::check(&plaintext, plaintext_crc32c)?;
        Ok(plaintext)
    }

    async fn seal(&self, plaintext: &[u8], bound: &[u8]) -> Result<Vec<u8>, Error> {
        // EXPOSE: the door to a KMS, which seals it. This copy is wiped, the SDK's own are not.
        let text = bytes::Bytes::from_owner(Zeroizing::new(plaintext.to_vec()));
        let request = self
            .google
            .kms()
            .await?
            .encrypt()
            .set_name(self.name()?)
            .set_plaintext(text)
            .set_plaintext_crc32c(checksum::of(plaintext))
            .set_additional_authenticated_data(bound.to_vec())
            .set_additional_authenticated_data_crc32c(checksum::of(bound));
        let answer = quietly(request.send()).await;
        let EncryptResponse {
            ciphertext,
            ciphertext_crc32c,
            verified_plaintext_crc32c,
            verified_additional_authenticated_data_crc32c,
            ..
        } = answer.map_err(|error| self.google.told(&error, Call::SEAL))?;
        if !(verified_plaintext_crc32c && verified_additional_authenticated_data_crc32c) {
            return Err(checksum::damaged());
        }
        checksum::check(&ciphertext, ciphertext_crc32c)?;
        Ok(ciphertext.into())
    }
}

impl Decrypt for Kms {
    async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
        let bound = context.to_bytes();
        let mut tries = 1;
        loop {
            match self.open(sealed, &bound).await {
                Err(error) if may_pass(&error) && tries < TRIES => tries += 1,
                opened => return Ok(std::mem::take(&mut *opened?).into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn scheme(&self) -> &'static str {
        "gcp-kms"
    }
}

impl Encrypt for Kms {
    /// Seals. The SDK keeps a copy of the text until the call is done, and does not wipe it.
    async fn encrypt(&self, plaintext: &[u8], context: &SealContext) -> Result<Vec<u8>, Error> {
        let bound = context.to_bytes();
        let mut tries = 1;
        loop {
            match self.seal(plaintext, &bound).await {
                Err(error) if may_pass(&error) && tries < TRIES => tries += 1,
                sealed => return sealed,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn key_id(&self) -> &str {
        self.key.as_str()
    }
}

/// Whether Google may do it a moment later, or what it did was damaged on the way.
fn may_pass(error: &Error) -> bool {
    error.kind() == ErrorKind::Unreachable
}

/// How often a text is sealed or opened: both are POSTs, which the SDK does not repeat.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);
