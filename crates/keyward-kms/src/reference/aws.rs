//! What references to AWS lead to.

use keyward::DynKeyLoader;
use keyward::reference::{Reference, ReferenceError};
use keyward::store::DynKeyStore;

use super::off;
use super::sealed::Sealed;
use crate::aws::{Aws, Kms, SecretsManagerLoader, SecretsManagerStore};
use crate::deadline;

pub(super) fn loader(aws: &Aws, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
    match reference.scheme() {
        "aws-kms" => {
            let sealed = Sealed::parse(reference, &["key"])?;
            Ok(sealed.directly(kms(aws, sealed.key)))
        }
        "aws-sm" => Ok(match named(reference)? {
            (name, Some(field)) => {
                DynKeyLoader::new(SecretsManagerLoader::new(aws, name).with_field(field))
            }
            // Not as a whole alone: a service's reference must not break when a rotation begins to
            // store there.
            (name, None) => DynKeyLoader::new(
                SecretsManagerStore::new(aws, name).with_deadline(deadline::DEFAULT),
            ),
        }),
        #[cfg(feature = "aws-ssm")]
        "aws-ssm" => {
            let (name, field) = named(reference)?;
            // What `aws-ssm://prod/openai` leaves, where the slash that is needed was lost.
            if name.contains('/') && !name.starts_with('/') && !name.starts_with("arn:") {
                return Err(ReferenceError::invalid(
                    "the name of a parameter that has slashes begins with one",
                    "write `aws-ssm:/PATH/NAME`, with one slash",
                ));
            }
            let loader = crate::aws::ParameterLoader::new(aws, name);
            Ok(DynKeyLoader::new(match field {
                Some(field) => loader.with_field(field),
                None => loader,
            }))
        }
        scheme => Err(off(scheme)),
    }
}

pub(super) fn store(aws: &Aws, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
    match named(reference)? {
        (name, _) if name.starts_with("arn:") => Err(ReferenceError::invalid(
            "a store in Secrets Manager goes by the name of its secret, and not by an ARN",
            "write `aws-sm:NAME`",
        )),
        (name, None | Some(STORED)) => Ok(DynKeyStore::new(SecretsManagerStore::new(aws, name))),
        _ => Err(ReferenceError::invalid(
            "a store in Secrets Manager keeps the key in the field `api_key`",
            "name that field or none, and a secret that nothing else writes",
        )),
    }
}

pub(super) fn kms(aws: &Aws, id: &str) -> Kms {
    Kms::new(aws, id)
}

/// The field that the store keeps the key in.
const STORED: &str = "api_key";

/// `NAME` or `NAME#FIELD`. No name of AWS has a `#` in it.
fn named(reference: &Reference) -> Result<(&str, Option<&str>), ReferenceError> {
    let (name, field) = reference.split_fragment();
    if name.is_empty() || field == Some("") {
        return Err(ReferenceError::invalid(
            "the name or the field is missing",
            "write `aws-sm:NAME` or `aws-sm:NAME#FIELD`, and `aws-ssm:` likewise",
        ));
    }
    Ok((name, field))
}
