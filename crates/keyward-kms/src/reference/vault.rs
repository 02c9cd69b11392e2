//! What references to Vault lead to.

use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};
use keyward::store::{DocumentStore, DynKeyStore};

use super::sealed::Sealed;
use crate::vault::{KvLoader, KvPlace, Transit, Vault};

pub(super) fn loader(vault: &Vault, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
    if reference.scheme() == "vault-transit" {
        let sealed = Sealed::parse(reference, &["key"])?;
        return Ok(sealed.directly(kms(vault, sealed.key)?));
    }
    let (place, field) = reference.split_fragment();
    let (mount, path) = mounted(place)?;
    match field {
        Some("") => Err(unknown()),
        Some(field) => Ok(DynKeyLoader::new(KvLoader::new(vault, mount, path, field))),
        None => Ok(DynKeyLoader::new(document(vault, mount, path))),
    }
}

pub(super) fn store(vault: &Vault, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
    let (place, field) = reference.split_fragment();
    let (mount, path) = mounted(place)?;
    match field {
        Some(_) => Err(ReferenceError::invalid(
            "a store in Vault is a secret of its own, and not a field of one",
            "write `vault:MOUNT/PATH`, of a secret that nothing else writes",
        )),
        None => Ok(DynKeyStore::new(document(vault, mount, path))),
    }
}

/// `MOUNT/KEY`: the name of a key has no slash.
pub(super) fn kms(vault: &Vault, place: &str) -> Result<Transit, ReferenceError> {
    let parts = place.rsplit_once('/').filter(|(mount, key)| !mount.is_empty() && !key.is_empty());
    let (mount, key) = parts.ok_or_else(|| {
        ReferenceError::invalid("a key of transit has a mount and a name", "write `MOUNT/KEY`")
    })?;
    Ok(Transit::new(vault, mount, key))
}

fn document(vault: &Vault, mount: &str, path: &str) -> DocumentStore<KvPlace> {
    DocumentStore::new(KvPlace::new(vault, mount, path))
}

/// `MOUNT/PATH`, or `MOUNT//PATH` where the mount has slashes of its own.
fn mounted(place: &str) -> Result<(&str, &str), ReferenceError> {
    let parts = place.split_once("//").or_else(|| place.split_once('/'));
    parts.filter(|(mount, path)| !mount.is_empty() && !path.is_empty()).ok_or_else(unknown)
}

fn unknown() -> ReferenceError {
    ReferenceError::invalid(
        "a secret of Vault has a mount and a path",
        "write `vault:MOUNT/PATH` or `vault:MOUNT/PATH#FIELD`",
    )
}
