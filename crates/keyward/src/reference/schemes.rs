//! The schemes that are built in, and what brings the others.

use super::{Reference, ReferenceError, References};
use crate::store::DynKeyStore;
use crate::{CommandLoader, DynKeyLoader, EnvLoader, FileLoader};

pub(super) fn loader(
    references: &References,
    reference: &Reference,
) -> Result<DynKeyLoader, ReferenceError> {
    let environment = references.environment.clone();
    let place = reference.place();
    Ok(match reference.scheme() {
        // As it stands, and not as a shell would read it: no quotes, no variables.
        "cmd" => {
            let mut words = place.split_ascii_whitespace();
            let Some(program) = words.next() else {
                return Err(ReferenceError::malformed());
            };
            DynKeyLoader::new(CommandLoader::new(program).args(words))
        }
        "env" => DynKeyLoader::new(EnvLoader::new(place).with_environment(environment)),
        "file" => DynKeyLoader::new(FileLoader::new(place)),
        "mount" => DynKeyLoader::new(FileLoader::mounted_secret(place)),
        "systemd" => {
            DynKeyLoader::new(FileLoader::systemd_credential(place).with_environment(environment))
        }
        #[cfg(feature = "sealed")]
        "sealed" => DynKeyLoader::new(sealed::open(references, reference)?),
        scheme => return Err(absent(scheme)),
    })
}

pub(super) fn store(
    references: &References,
    reference: &Reference,
) -> Result<DynKeyStore, ReferenceError> {
    match reference.scheme() {
        #[cfg(feature = "store")]
        "file" => Ok(DynKeyStore::new(crate::store::FileStore::new(reference.place()))),
        #[cfg(not(feature = "store"))]
        "file" => Err(ReferenceError::missing("file", "turn the feature `store` on to store")),
        #[cfg(feature = "sealed")]
        "sealed" => Ok(DynKeyStore::new(sealed::open(references, reference)?)),
        "cmd" | "env" | "mount" | "systemd" => Err(ReferenceError::not_a_store(reference)),
        scheme => {
            let _ = references;
            Err(absent(scheme))
        }
    }
}

/// Schemes that something else brings, and what that is.
const BROUGHT_BY: &[(&str, &str)] = &[
    ("aws-kms", KMS_AWS),
    ("aws-sm", KMS_AWS),
    ("aws-ssm", KMS_AWS),
    ("azure-kv", "add the crate `keyward-kms` with its feature `azure`, and register its schemes"),
    ("gcp-sm", "add the crate `keyward-kms` with its feature `google`, and register its schemes"),
    ("keychain", "turn the feature `keychain` on"),
    ("sealed", "turn the feature `sealed` on"),
    ("vault", "add the crate `keyward-kms` with its feature `vault`, and register its schemes"),
    ("wif", "register a scheme that exchanges the workload's identity"),
];

const KMS_AWS: &str =
    "add the crate `keyward-kms` with its feature `aws`, and register its schemes";

fn absent(scheme: &str) -> ReferenceError {
    match BROUGHT_BY.iter().find(|(known, _)| *known == scheme) {
        Some((_, fix)) => ReferenceError::missing(scheme, *fix),
        // The scheme is not repeated: it is the beginning of something that nobody knows.
        None => ReferenceError::unknown("`cmd:`, `env:`, `file:`, `mount:`, `systemd:`, `sealed:`"),
    }
}

#[cfg(feature = "sealed")]
mod sealed {
    use super::{Reference, ReferenceError, References};
    use crate::store::{SealedFile, Unlock};

    /// `PATH#identity=REFERENCE`, `PATH#identity-file=PATH` or `PATH#passphrase=REFERENCE`.
    pub(super) fn open(
        references: &References,
        reference: &Reference,
    ) -> Result<SealedFile, ReferenceError> {
        // At the first `#` that says how: the inner reference may have one of its own.
        let place = reference.place();
        let ways = ["#identity=", "#identity-file=", "#passphrase="];
        let way = ways.iter().filter_map(|way| Some((place.find(way)?, *way))).min();
        let Some((at, way)) = way else {
            return Err(ReferenceError::invalid(
                "nothing says what opens the sealed file",
                "write `sealed:PATH#identity=REFERENCE`, `sealed:PATH#identity-file=PATH` or \
                 `sealed:PATH#passphrase=REFERENCE`",
            ));
        };
        let (path, by) = (&place[..at], &place[at + way.len()..]);
        if path.is_empty() || by.is_empty() {
            return Err(ReferenceError::malformed());
        }
        let unlock = match way {
            "#identity=" => Unlock::identity_from(references.loader(by)?),
            "#identity-file=" => Unlock::identity_file(by),
            _ => Unlock::passphrase_from(references.loader(by)?),
        };
        Ok(SealedFile::new(path, unlock))
    }
}
