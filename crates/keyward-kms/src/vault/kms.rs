//! [`Transit`]: a key of the transit engine, which seals and opens.

use std::ffi::OsString;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use super::client::{Call, Vault};
use super::error::incomplete;
use crate::json::{self, Found, object};
use crate::reference::Name;
use crate::{Decrypt, Encrypt, Error, ErrorKind, Plaintext, SealContext};

/// A key of Vault's transit engine, of a kind that binds additional data (`aes256-gcm96`,
/// `aes128-gcm96`, `chacha20-poly1305`). The context is sent as `associated_data`.
///
/// ```no_run
/// use keyward_kms::vault::{Transit, Vault};
/// use keyward_kms::{EnvelopeLoader, SealContext};
///
/// fn loader(vault: &Vault) -> impl keyward::KeyLoader {
///     let context = SealContext::new("billing/openai", "proj_abc");
///     let kms = Transit::new(vault, "transit", "openai-keys");
///     EnvelopeLoader::from_file("/etc/billing/openai.sealed", kms, context)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Transit {
    vault: Vault,
    mount: Name,
    key: Name,
}

impl Transit {
    /// The key of this name of the engine at this mount.
    #[must_use]
    pub fn new(vault: &Vault, mount: impl Into<String>, key: impl Into<String>) -> Self {
        Self { vault: vault.clone(), mount: Name::new(mount), key: Name::new(key) }
    }

    async fn ask(
        &self,
        action: &str,
        input: (&str, &[u8]),
        output: &str,
        context: &SealContext,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let context = context.to_bytes();
        let bound = Base64::encode_string(&context);
        let mut fields = vec![input];
        if !context.is_empty() {
            fields.push(("associated_data", bound.as_bytes()));
        }
        let path = [self.mount.checked()?, action, self.key.checked()?];
        let answer = self.vault.call(&Call::post(&path, object(&fields))).await?.done()?;
        match json::text_at(&answer.body, &["data", output]) {
            Found::Text(text) => Ok(text),
            Found::Nothing | Found::NotJson => Err(incomplete()),
        }
    }
}

impl Decrypt for Transit {
    async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
        let input = ("ciphertext", sealed.trim_ascii());
        if !input.1.starts_with(b"vault:") || !input.1.is_ascii() {
            return Err(Error::new(
                ErrorKind::Undecryptable,
                "it is not what transit has sealed",
                "put what transit answered there, from `vault:` on",
            ));
        }
        let mut text = self.ask("decrypt", input, "plaintext", context).await?;
        let len = Base64::decode_in_place(&mut text).map_err(|_| incomplete())?.len();
        text.truncate(len);
        Ok(std::mem::take(&mut *text).into())
    }

    fn scheme(&self) -> &'static str {
        "vault-transit"
    }

    /// Those of the login.
    fn variables(&self) -> Vec<OsString> {
        self.vault.variables()
    }
}

impl Encrypt for Transit {
    async fn encrypt(&self, plaintext: &[u8], context: &SealContext) -> Result<Vec<u8>, Error> {
        let mut text = Zeroizing::new(vec![0; Base64::encoded_len(plaintext)]);
        let input = Base64::encode(plaintext, &mut text).map_err(|_| incomplete())?;
        let input = ("plaintext", input.as_bytes());
        let mut sealed = self.ask("encrypt", input, "ciphertext", context).await?;
        Ok(std::mem::take(&mut *sealed))
    }

    fn key_id(&self) -> &str {
        self.key.as_str()
    }
}
