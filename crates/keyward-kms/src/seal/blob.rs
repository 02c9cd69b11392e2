//! [`SealedKey`]: a key in an envelope, and the format that it is kept in.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64ct::{Base64, Encoding as _};
use keyward::ApiKey;
use zeroize::Zeroizing;

use super::{Decrypt, Encrypt, SealContext};
use crate::{Error, ErrorKind};

/// A key in an envelope: sealed by a data key of its own, which a KMS key has sealed.
///
/// Nothing of it is secret. It may lie in a repository, an image or a variable, as bytes or, in
/// one line, as text; an [`EnvelopeLoader`](super::EnvelopeLoader) opens it.
///
/// # Format
///
/// | bytes | what |
/// |---|---|
/// | 4 | `kwrd` |
/// | 1 | the version of the format: 1 |
/// | 2 and as many as they say | the KMS key's id, in UTF-8, for people |
/// | 2 and as many as they say | the data key, 32 bytes, as the KMS has sealed it in the context |
/// | 12 | the nonce |
/// | the rest | the key's text, sealed by AES-256-GCM, with its tag of 16 bytes |
///
/// Lengths have the highest byte first. The additional data of AES-GCM is everything before the
/// nonce, followed by [`SealContext::to_bytes`]. As text it is base64 with padding.
///
/// Whatever version comes, this one stays readable.
#[derive(Clone, Eq, PartialEq)]
pub struct SealedKey {
    bytes: Vec<u8>,
    parts: Parts,
}

impl SealedKey {
    /// The longest that is read.
    pub(crate) const MAX_LEN: usize = 64 * 1024;

    /// Seals a key in a context: by a data key that is made for this and wiped.
    ///
    /// Put it under a deadline of your own.
    ///
    /// # Errors
    ///
    /// Those of the KMS, and [`ErrorKind::Invalid`] when there is a key in the context.
    pub async fn seal(
        kms: &impl Encrypt,
        key: &ApiKey,
        context: &SealContext,
    ) -> Result<Self, Error> {
        context.check()?;
        let mut data_key = Zeroizing::new([0; DATA_KEY_LEN]);
        aws_lc_rs::rand::fill(&mut *data_key).map_err(|_| crypto_failed())?;
        let wrapped = kms.encrypt(&*data_key, context).await?;

        let mut bytes = [MAGIC, &[VERSION]].concat();
        push(&mut bytes, kms.key_id().as_bytes())?;
        push(&mut bytes, &wrapped)?;
        // EXPOSE: the door into an envelope. The copy is sealed where it stands.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = key.expose_secret().as_bytes();
        // With room for the tag: what a buffer leaves behind when it grows is not wiped.
        let mut sealed = Zeroizing::new(Vec::with_capacity(text.len() + AES_256_GCM.tag_len()));
        sealed.extend_from_slice(text);
        let nonce = cipher(&data_key[..])?
            .seal_in_place_append_tag(aad(&bytes, context), &mut *sealed)
            .map_err(|_| crypto_failed())?;
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&sealed);
        Self::parse(&bytes)
    }

    /// Reads a sealed key, from its bytes or its text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is none, or has a version of the format that is not known.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("larger than {} KiB", Self::MAX_LEN / 1024),
                "check that it is a sealed key",
            ));
        }
        let bytes = if bytes.starts_with(MAGIC) {
            bytes.to_vec()
        } else {
            std::str::from_utf8(bytes.trim_ascii())
                .ok()
                .and_then(|text| Base64::decode_vec(text).ok())
                .filter(|bytes| bytes.starts_with(MAGIC))
                .ok_or_else(|| malformed("it does not begin as one"))?
        };
        match bytes.get(MAGIC.len()) {
            Some(&VERSION) => {}
            Some(version) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("a sealed key of version {version}, which is not known"),
                    "update keyward, or seal the key anew",
                ));
            }
            None => return Err(malformed("it is cut off")),
        }
        let parts = Parts::of(&bytes).ok_or_else(|| malformed("it is cut off"))?;
        Ok(Self { bytes, parts })
    }

    /// The id of the KMS key that sealed it, as it says. Nobody vouches for it before it is opened.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.bytes.get(self.parts.key_id()).and_then(|id| str::from_utf8(id).ok()).unwrap_or("")
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its text: one line of base64.
    #[must_use]
    pub fn to_text(&self) -> String {
        Base64::encode_string(&self.bytes)
    }

    /// Opens it, into a buffer that is wiped.
    pub(super) async fn open(
        &self,
        kms: &impl Decrypt,
        context: &SealContext,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        context.check()?;
        let Parts { wrapped, nonce, .. } = self.parts;
        let data_key = kms
            .decrypt(&self.bytes[wrapped..nonce], context)
            .await
            .map_err(Error::of_opening)?
            .into_bytes();
        let cipher = cipher(&data_key)?;
        drop(data_key);
        let (head, rest) = self.bytes.split_at(nonce);
        let (nonce, sealed) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| crypto_failed())?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let len = cipher
            .open_in_place(nonce, aad(head, context), &mut opened)
            .map_err(|_| {
                Error::new(
                    ErrorKind::Undecryptable,
                    "the envelope was changed, or sealed for another name or project",
                    "give the context that it was sealed in, or seal the key anew",
                )
            })?
            .len();
        opened.truncate(len);
        Ok(opened)
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("key_id", &self.key_id())
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

const MAGIC: &[u8] = b"kwrd";
const VERSION: u8 = 1;
const DATA_KEY_LEN: usize = 32;
const HEAD: usize = MAGIC.len() + 1;

/// Where the parts begin.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Parts {
    /// The sealed data key, behind its length.
    wrapped: usize,
    nonce: usize,
}

impl Parts {
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = |at: usize| {
            let number = bytes.get(at..at + 2)?;
            Some(usize::from(u16::from_be_bytes([number[0], number[1]])))
        };
        let wrapped = HEAD + 2 + length(HEAD)? + 2;
        let nonce = wrapped + length(wrapped - 2)?;
        std::str::from_utf8(bytes.get(HEAD + 2..wrapped - 2)?).ok()?;
        (bytes.len() > nonce + NONCE_LEN + AES_256_GCM.tag_len()).then_some(Self { wrapped, nonce })
    }

    fn key_id(self) -> std::ops::Range<usize> {
        HEAD + 2..self.wrapped - 2
    }
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) -> Result<(), Error> {
    let len = u16::try_from(part.len()).map_err(|_| {
        Error::new(
            ErrorKind::TooLarge,
            "the KMS key's id or the sealed data key has more than 64 KiB",
            "check what the KMS answers",
        )
    })?;
    bytes.extend(len.to_be_bytes());
    bytes.extend(part);
    Ok(())
}

fn aad(head: &[u8], context: &SealContext) -> Aad<Vec<u8>> {
    Aad::from([head, &context.to_bytes()].concat())
}

fn cipher(data_key: &[u8]) -> Result<RandomizedNonceKey, Error> {
    RandomizedNonceKey::new(&AES_256_GCM, data_key).map_err(|_| {
        Error::new(
            ErrorKind::Undecryptable,
            "what the KMS opened is no data key",
            "check that it is the KMS that sealed it",
        )
    })
}

fn malformed(why: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("no sealed key: {why}"),
        "put what `SealedKey` wrote there, whole",
    )
}

fn crypto_failed() -> Error {
    Error::new(ErrorKind::Unexpected, "the cryptographic library failed", "try again")
}
