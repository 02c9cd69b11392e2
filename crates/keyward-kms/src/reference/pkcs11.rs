//! What references to tokens lead to.

use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};

use super::sealed::Sealed;
use crate::pkcs11::{AesKey, Token};

pub(super) fn loader(token: &Token, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
    let sealed = Sealed::parse(reference, &["key"])?;
    Ok(sealed.directly(kms(token, sealed.key)))
}

pub(super) fn kms(token: &Token, label: &str) -> AesKey {
    AesKey::new(token, label)
}
