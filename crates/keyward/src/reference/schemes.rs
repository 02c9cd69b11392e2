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
        #[cfg(feature = "keychain")]
        "keychain" | "keyutils" => {
            let (keychain, service, user) = keychain::entry(reference)?;
            let loader = crate::KeychainLoader::new(service, user);
            DynKeyLoader::new(loader.in_keychain(keychain))
        }
        #[cfg(feature = "sealed")]
        "sealed" => DynKeyLoader::new(sealed::open(references, reference)?),
        #[cfg(feature = "workload-identity")]
        "wif" => DynKeyLoader::new(wif::identity(environment, reference)?),
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
        #[cfg(all(feature = "keychain", feature = "store", unix))]
        "keychain" | "keyutils" => {
            let (keychain, service, user) = keychain::entry(reference)?;
            let place = crate::store::KeychainPlace::new(service, user).in_keychain(keychain);
            let place = place.with_environment(references.environment.clone());
            Ok(DynKeyStore::new(crate::store::DocumentStore::new(place)))
        }
        #[cfg(not(feature = "store"))]
        scheme @ ("keychain" | "keyutils") if cfg!(feature = "keychain") => {
            Err(ReferenceError::missing(scheme, "turn the feature `store` on to store"))
        }
        #[cfg(feature = "sealed")]
        "sealed" => Ok(DynKeyStore::new(sealed::open(references, reference)?)),
        #[cfg(feature = "workload-identity")]
        "wif" => Err(ReferenceError::not_a_store(reference)),
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
    ("aws-ssm", "add the crate `keyward-kms` with its feature `aws-ssm`, and register its schemes"),
    ("azure-kv", "add the crate `keyward-kms` with its feature `azure`, and register its schemes"),
    ("envelope", "add the crate `keyward-kms` with the feature of a KMS, and register its schemes"),
    ("gcp-kms", KMS_GOOGLE),
    ("gcp-sm", KMS_GOOGLE),
    ("keychain", "turn the feature `keychain` on"),
    ("keyutils", "turn the feature `keychain` on"),
    ("pkcs11", "add the crate `keyward-kms` with its feature `pkcs11`, and register its schemes"),
    ("sealed", "turn the feature `sealed` on"),
    ("vault", KMS_VAULT),
    ("vault-transit", KMS_VAULT),
    ("wif", "turn the feature `workload-identity` on"),
];

const KMS_AWS: &str =
    "add the crate `keyward-kms` with its feature `aws`, and register its schemes";

const KMS_GOOGLE: &str =
    "add the crate `keyward-kms` with its feature `google`, and register its schemes";

const KMS_VAULT: &str =
    "add the crate `keyward-kms` with its feature `vault`, and register its schemes";

fn absent(scheme: &str) -> ReferenceError {
    match BROUGHT_BY.iter().find(|(known, _)| *known == scheme) {
        Some((_, fix)) => ReferenceError::missing(scheme, *fix),
        // The scheme is not repeated: it is the beginning of something that nobody knows.
        None => ReferenceError::unknown("`cmd:`, `env:`, `file:`, `mount:`, `systemd:`, `sealed:`"),
    }
}

#[cfg(feature = "keychain")]
mod keychain {
    use super::{Reference, ReferenceError};
    use crate::Keychain;

    /// `SERVICE/USER`; the service may have slashes of its own.
    pub(super) fn entry(reference: &Reference) -> Result<(Keychain, &str, &str), ReferenceError> {
        let keychain = match reference.scheme() {
            "keyutils" => Keychain::Keyutils,
            _ => Keychain::of_this_system(),
        };
        let entry = reference.place().rsplit_once('/');
        let entry = entry.filter(|(service, user)| !service.is_empty() && !user.is_empty());
        let (service, user) = entry.ok_or_else(|| {
            ReferenceError::invalid(
                "an entry of a keychain has a service and a user",
                "write `keychain:SERVICE/USER`",
            )
        })?;
        Ok((keychain, service, user))
    }
}

#[cfg(feature = "workload-identity")]
mod wif {
    use super::{CommandLoader, FileLoader, Reference, ReferenceError};
    use crate::workload_identity::{AzureMetadata, GithubActions, GoogleMetadata, SubjectToken};
    use crate::{Environment, WorkloadIdentity};

    /// `env`, or `PROVIDER/SERVICE_ACCOUNT#WAY=…`.
    pub(super) fn identity(
        environment: Environment,
        reference: &Reference,
    ) -> Result<WorkloadIdentity, ReferenceError> {
        if reference.place() == "env" {
            return Ok(WorkloadIdentity::from_environment(environment));
        }
        let unclear = || {
            ReferenceError::invalid(
                "nothing says who the workload is, and where its token is",
                "write `wif:PROVIDER/SERVICE_ACCOUNT#file=PATH`, `…#cmd=PROGRAM ARGUMENT…`, \
                 `…#github=AUDIENCE`, `…#google=AUDIENCE`, `…#azure=RESOURCE`, or `wif:env`",
            )
        };
        let (ids, token) = reference.place().split_once('#').ok_or_else(unclear)?;
        let (provider, account) = ids.split_once('/').ok_or_else(unclear)?;
        let (way, place) = token.split_once('=').ok_or_else(unclear)?;
        if provider.is_empty() || account.is_empty() || place.trim().is_empty() {
            return Err(unclear());
        }
        let token: SubjectToken = match way {
            "azure" => AzureMetadata::new(place).into(),
            "cmd" => {
                let mut words = place.split_ascii_whitespace();
                let program = words.next().ok_or_else(unclear)?;
                CommandLoader::new(program).args(words).into()
            }
            "file" => FileLoader::mounted_secret(place).into(),
            "github" => GithubActions::new(place).with_environment(environment).into(),
            "google" => GoogleMetadata::new(place).into(),
            _ => return Err(unclear()),
        };
        Ok(WorkloadIdentity::new(provider, account, token))
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
