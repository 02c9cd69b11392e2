//! [`Sealed`]: a reference to a key that a KMS has sealed, taken apart.

#[cfg(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault"))]
use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};

use crate::SealContext;
#[cfg(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault"))]
use crate::{Decrypt, DirectLoader, EnvelopeLoader};

/// `PATH#BY=KEY&name=NAME&project=PROJECT`.
#[cfg_attr(
    not(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault")),
    allow(dead_code, reason = "no KMS is on")
)]
pub(super) struct Sealed<'a> {
    path: &'a str,
    /// Which of the words that can stand there names the KMS key.
    pub(super) by: &'static str,
    pub(super) key: &'a str,
    context: SealContext,
}

impl<'a> Sealed<'a> {
    /// Takes a reference apart whose KMS key stands behind one of these words.
    pub(super) fn parse(
        reference: &'a Reference,
        by: &[&'static str],
    ) -> Result<Self, ReferenceError> {
        let invalid = |what| ReferenceError::invalid(what, form(reference.scheme()));
        let (path, parts) = match reference.split_fragment() {
            (path, Some(parts)) if !path.is_empty() => (path, parts),
            _ => return Err(invalid("nothing says what opens the sealed key")),
        };
        let (mut opener, mut name, mut project) = (None, None, None);
        for part in parts.split('&') {
            let known = part.split_once('=').filter(|(_, value)| !value.is_empty());
            let twice = match known {
                Some(("name", value)) => name.replace(value).is_some(),
                Some(("project", value)) => project.replace(value).is_some(),
                Some((word, value)) => match by.iter().find(|by| **by == word) {
                    Some(by) => opener.replace((*by, value)).is_some(),
                    None => return Err(invalid("a part behind the `#` is not known")),
                },
                None => return Err(invalid("a part behind the `#` says nothing")),
            };
            if twice {
                return Err(invalid("a part behind the `#` stands there twice"));
            }
        }
        let (by, key) = opener.ok_or_else(|| invalid("nothing says what opens the sealed key"))?;
        let (Some(name), Some(project)) = (name, project) else {
            return Err(invalid("nothing says for which name and project the key was sealed"));
        };
        Ok(Self { path, by, key, context: SealContext::new(name, project) })
    }

    /// What loads it, sealed directly.
    #[cfg(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault"))]
    pub(super) fn directly(&self, kms: impl Decrypt + 'static) -> DynKeyLoader {
        DynKeyLoader::new(DirectLoader::from_file(self.path, kms, self.context.clone()))
    }

    /// What loads it from an envelope.
    #[cfg(any(feature = "aws", feature = "google", feature = "pkcs11", feature = "vault"))]
    pub(super) fn in_envelope(&self, kms: impl Decrypt + 'static) -> DynKeyLoader {
        DynKeyLoader::new(EnvelopeLoader::from_file(self.path, kms, self.context.clone()))
    }
}

fn form(scheme: &str) -> &'static str {
    match scheme {
        "aws-kms" => "write `aws-kms:PATH#key=ID&name=NAME&project=PROJECT`",
        "gcp-kms" => "write `gcp-kms:PATH#key=KEY&name=NAME&project=PROJECT`",
        "pkcs11" => "write `pkcs11:PATH#key=LABEL&name=NAME&project=PROJECT`",
        "vault-transit" => "write `vault-transit:PATH#key=MOUNT/KEY&name=NAME&project=PROJECT`",
        _ => {
            "write `envelope:PATH#aws-kms=ID&name=NAME&project=PROJECT`, or `gcp-kms=KEY`, \
             `pkcs11=LABEL` or `vault-transit=MOUNT/KEY` in the place of `aws-kms=ID`"
        }
    }
}
