//! What references to Azure lead to.

use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};

use crate::azure::{Azure, KeyVaultLoader};

/// `VAULT/SECRET` or `VAULT/SECRET#FIELD`.
pub(super) fn loader(azure: &Azure, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
    let (place, field) = reference.split_fragment();
    let parts = place.split_once('/').filter(|(vault, secret)| {
        // A name of a vault, and not the address of a server.
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', '.', ':']);
        is_name(vault) && is_name(secret)
    });
    let (Some((vault, secret)), true) = (parts, field != Some("")) else {
        return Err(ReferenceError::invalid(
            "the vault, the secret or the field is missing, or is no name",
            "write `azure-kv:VAULT/SECRET` or `azure-kv:VAULT/SECRET#FIELD`",
        ));
    };
    let loader = KeyVaultLoader::new(azure, vault, secret);
    Ok(DynKeyLoader::new(match field {
        Some(field) => loader.with_field(field),
        None => loader,
    }))
}
