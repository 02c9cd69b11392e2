//! What references to Google Cloud lead to.

use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};
use keyward::store::DynKeyStore;

use super::sealed::Sealed;
use crate::deadline;
use crate::google::{Google, Kms, SecretManagerLoader, SecretManagerStore};

pub(super) fn loader(
    google: &Google,
    reference: &Reference,
) -> Result<DynKeyLoader, ReferenceError> {
    if reference.scheme() == "gcp-kms" {
        let sealed = Sealed::parse(reference, &["key"])?;
        return Ok(sealed.directly(kms(google, sealed.key)));
    }
    Ok(match named(reference)? {
        // What the store keeps is not at the latest version, where a field is looked for.
        (name, None | Some(STORED)) => DynKeyLoader::new(
            SecretManagerStore::new(google, name).with_deadline(deadline::DEFAULT),
        ),
        (name, Some(field)) => {
            DynKeyLoader::new(SecretManagerLoader::new(google, name).with_field(field))
        }
    })
}

pub(super) fn store(google: &Google, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
    match named(reference)? {
        (name, None | Some(STORED)) => Ok(DynKeyStore::new(SecretManagerStore::new(google, name))),
        _ => Err(ReferenceError::invalid(
            "a store in Secret Manager keeps the key in the field `api_key`",
            "name that field or none, and a secret that nothing else writes",
        )),
    }
}

pub(super) fn kms(google: &Google, name: &str) -> Kms {
    Kms::new(google, name)
}

/// The field that the store keeps the key in.
const STORED: &str = "api_key";

/// `PROJECT/SECRET` or `PROJECT/SECRET#FIELD`. No name of Google has a `#` in it.
fn named(reference: &Reference) -> Result<(&str, Option<&str>), ReferenceError> {
    let (name, field) = reference.split_fragment();
    if !name.contains('/') || name.split('/').any(str::is_empty) || field == Some("") {
        return Err(ReferenceError::invalid(
            "the project, the secret or the field is missing",
            "write `gcp-sm:PROJECT/SECRET` or `gcp-sm:PROJECT/SECRET#FIELD`",
        ));
    }
    Ok((name, field))
}
