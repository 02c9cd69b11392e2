//! [`Schemes`]: the references that lead to clouds. What those of one cloud lead to lives in the
//! file of its name.

use keyward::reference::{Reference, ReferenceError, References, Scheme};
use keyward::store::DynKeyStore;
use keyward::{DynKeyLoader, find};

pub(crate) use self::name::Name;
use self::sealed::Sealed;
#[cfg(feature = "aws")]
use crate::aws::Aws;
#[cfg(feature = "azure")]
use crate::azure::Azure;
#[cfg(feature = "google")]
use crate::google::Google;
#[cfg(feature = "pkcs11")]
use crate::pkcs11::Token;
#[cfg(feature = "vault")]
use crate::vault::Vault;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "google")]
mod google;
mod name;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod sealed;
#[cfg(feature = "vault")]
mod vault;

/// The schemes of this crate for [`References`], and the connections that they go over.
///
/// | reference | loads with | stores with | feature |
/// |---|---|---|---|
/// | `aws-kms:PATH#key=ID&name=NAME&project=PROJECT` | [`DirectLoader`](crate::DirectLoader), the file opened by `aws::Kms` | | `aws` |
/// | `aws-sm:NAME` | `aws::SecretsManagerStore`: the bare key, or what the store keeps | the same | `aws` |
/// | `aws-sm:NAME#FIELD` | `aws::SecretsManagerLoader` with the field | the store, where the field is its own, `api_key` | `aws` |
/// | `aws-ssm:NAME` | `aws::ParameterLoader` | | `aws-ssm` |
/// | `aws-ssm:NAME#FIELD` | the same with the field | | `aws-ssm` |
/// | `azure-kv:VAULT/SECRET` | `azure::KeyVaultLoader` | | `azure` |
/// | `azure-kv:VAULT/SECRET#FIELD` | the same with the field | | `azure` |
/// | `envelope:PATH#aws-kms=ID&name=NAME&project=PROJECT` | [`EnvelopeLoader`](crate::EnvelopeLoader), the file opened by `aws::Kms` | | `aws` |
/// | `envelope:PATH#gcp-kms=KEY&name=NAME&project=PROJECT` | the same, opened by `google::Kms` | | `google` |
/// | `envelope:PATH#pkcs11=LABEL&name=NAME&project=PROJECT` | the same, opened by a `pkcs11::AesKey` | | `pkcs11` |
/// | `envelope:PATH#vault-transit=MOUNT/KEY&name=NAME&project=PROJECT` | the same, opened by `vault::Transit` | | `vault` |
/// | `gcp-kms:PATH#key=KEY&name=NAME&project=PROJECT` | [`DirectLoader`](crate::DirectLoader), the file opened by `google::Kms` | | `google` |
/// | `gcp-sm:PROJECT/SECRET` | `google::SecretManagerStore`: the bare key, or what the store keeps | the same | `google` |
/// | `gcp-sm:PROJECT/SECRET#FIELD` | `google::SecretManagerLoader` with the field; the store, where the field is its own, `api_key` | the store likewise | `google` |
/// | `pkcs11:PATH#key=LABEL&name=NAME&project=PROJECT` | [`DirectLoader`](crate::DirectLoader), the file opened by a `pkcs11::AesKey` | | `pkcs11` |
/// | `vault:MOUNT/PATH` | a `DocumentStore` at a `vault::KvPlace`: what the store keeps | the same | `vault` |
/// | `vault:MOUNT/PATH#FIELD` | `vault::KvLoader` | | `vault` |
/// | `vault-transit:PATH#key=MOUNT/KEY&name=NAME&project=PROJECT` | [`DirectLoader`](crate::DirectLoader), the file opened by `vault::Transit` | | `vault` |
///
/// - A mount is one part of a path, unless two slashes end it: `vault:kv/team//openai/prod`.
/// - `name` and `project` are those of the [`SealContext`](crate::SealContext), both needed. What
///   was sealed in another context has no reference; make its loader in code.
/// - A KMS key of Google is named in full: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
/// - A parameter's name that has slashes begins with one: `aws-ssm:/prod/openai`.
///
/// A scheme whose feature is off, or that has no connection, says so.
///
/// ```
/// # #[cfg(feature = "aws")] {
/// use keyward::reference::References;
/// use keyward_kms::Schemes;
/// use keyward_kms::aws::Aws;
///
/// let schemes = Schemes::new().with_aws(&Aws::from_env());
/// let references = schemes.register(References::new());
/// let chain = references.chain(["aws-sm:prod/openai", "env:OPENAI_API_KEY"])?;
/// # let _ = chain;
/// # }
/// # Ok::<(), keyward::reference::ReferenceError>(())
/// ```
///
/// # Security
///
/// A reference names a place and never a server or a login: whoever writes one cannot send a
/// cloud's credentials elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Schemes {
    #[cfg(feature = "aws")]
    aws: Option<Aws>,
    #[cfg(feature = "azure")]
    azure: Option<Azure>,
    #[cfg(feature = "google")]
    google: Option<Google>,
    #[cfg(feature = "pkcs11")]
    token: Option<Token>,
    #[cfg(feature = "vault")]
    vault: Option<Vault>,
}

impl Schemes {
    /// All schemes, and no connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes to AWS over this connection.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn with_aws(mut self, aws: &Aws) -> Self {
        self.aws = Some(aws.clone());
        self
    }

    /// Goes to Azure over this connection.
    #[cfg(feature = "azure")]
    #[must_use]
    pub fn with_azure(mut self, azure: &Azure) -> Self {
        self.azure = Some(azure.clone());
        self
    }

    /// Goes to Google Cloud over this connection.
    #[cfg(feature = "google")]
    #[must_use]
    pub fn with_google(mut self, google: &Google) -> Self {
        self.google = Some(google.clone());
        self
    }

    /// Asks this token.
    #[cfg(feature = "pkcs11")]
    #[must_use]
    pub fn with_pkcs11(mut self, token: &Token) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// Goes to Vault or OpenBao over this connection.
    #[cfg(feature = "vault")]
    #[must_use]
    pub fn with_vault(mut self, vault: &Vault) -> Self {
        self.vault = Some(vault.clone());
        self
    }

    /// Adds all of them to references.
    #[must_use]
    pub fn register(&self, references: References) -> References {
        SCHEMES.iter().fold(references, |references, scheme| {
            references.register(*scheme, Registered(self.clone()))
        })
    }

    #[cfg(feature = "aws")]
    fn aws(&self, scheme: &str) -> Result<&Aws, ReferenceError> {
        let fix = "give the schemes a connection to AWS (`Schemes::with_aws`)";
        self.aws.as_ref().ok_or_else(|| ReferenceError::missing(scheme, fix))
    }

    #[cfg(feature = "azure")]
    fn azure(&self, scheme: &str) -> Result<&Azure, ReferenceError> {
        let fix = "give the schemes a connection to Azure (`Schemes::with_azure`)";
        self.azure.as_ref().ok_or_else(|| ReferenceError::missing(scheme, fix))
    }

    #[cfg(feature = "google")]
    fn google(&self, scheme: &str) -> Result<&Google, ReferenceError> {
        let fix = "give the schemes a connection to Google Cloud (`Schemes::with_google`)";
        self.google.as_ref().ok_or_else(|| ReferenceError::missing(scheme, fix))
    }

    #[cfg(feature = "pkcs11")]
    fn token(&self, scheme: &str) -> Result<&Token, ReferenceError> {
        let fix = "give the schemes a token (`Schemes::with_pkcs11`)";
        self.token.as_ref().ok_or_else(|| ReferenceError::missing(scheme, fix))
    }

    #[cfg(feature = "vault")]
    fn vault(&self, scheme: &str) -> Result<&Vault, ReferenceError> {
        let fix = "give the schemes a connection to Vault (`Schemes::with_vault`)";
        self.vault.as_ref().ok_or_else(|| ReferenceError::missing(scheme, fix))
    }
}

/// What the references of this crate begin with.
const SCHEMES: [&str; 10] = [
    "aws-kms",
    "aws-sm",
    "aws-ssm",
    "azure-kv",
    "envelope",
    "gcp-kms",
    "gcp-sm",
    "pkcs11",
    "vault",
    "vault-transit",
];

/// All of the schemes in the place of each.
struct Registered(Schemes);

impl Scheme for Registered {
    fn loader(&self, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
        check(reference)?;
        match reference.scheme() {
            #[cfg(feature = "aws")]
            scheme if scheme.starts_with("aws-") => aws::loader(self.0.aws(scheme)?, reference),
            #[cfg(feature = "azure")]
            scheme @ "azure-kv" => azure::loader(self.0.azure(scheme)?, reference),
            #[cfg(feature = "google")]
            scheme if scheme.starts_with("gcp-") => {
                google::loader(self.0.google(scheme)?, reference)
            }
            #[cfg(feature = "pkcs11")]
            scheme @ "pkcs11" => pkcs11::loader(self.0.token(scheme)?, reference),
            #[cfg(feature = "vault")]
            scheme if scheme.starts_with("vault") => {
                vault::loader(self.0.vault(scheme)?, reference)
            }
            "envelope" => self.envelope(reference),
            scheme => Err(off(scheme)),
        }
    }

    fn store(&self, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
        check(reference)?;
        match reference.scheme() {
            #[cfg(feature = "aws")]
            scheme @ "aws-sm" => aws::store(self.0.aws(scheme)?, reference),
            #[cfg(feature = "google")]
            scheme @ "gcp-sm" => google::store(self.0.google(scheme)?, reference),
            #[cfg(feature = "vault")]
            scheme @ "vault" => vault::store(self.0.vault(scheme)?, reference),
            // Reached only where their features are off.
            #[allow(unreachable_patterns, reason = "with every feature on")]
            scheme @ ("aws-sm" | "gcp-sm" | "vault") => Err(off(scheme)),
            "azure-kv" => Err(ReferenceError::invalid(
                "Key Vault has nothing to compare by, so it cannot be a store",
                "keep the key in a store that compares, and copy it there after each promotion",
            )),
            _ => Err(ReferenceError::not_a_store(reference)),
        }
    }
}

impl Registered {
    fn envelope(&self, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
        let sealed = Sealed::parse(reference, &["aws-kms", "gcp-kms", "pkcs11", "vault-transit"])?;
        match sealed.by {
            #[cfg(feature = "aws")]
            by @ "aws-kms" => Ok(sealed.in_envelope(aws::kms(self.0.aws(by)?, sealed.key))),
            #[cfg(feature = "google")]
            by @ "gcp-kms" => Ok(sealed.in_envelope(google::kms(self.0.google(by)?, sealed.key))),
            #[cfg(feature = "pkcs11")]
            by @ "pkcs11" => Ok(sealed.in_envelope(pkcs11::kms(self.0.token(by)?, sealed.key))),
            #[cfg(feature = "vault")]
            by @ "vault-transit" => {
                Ok(sealed.in_envelope(vault::kms(self.0.vault(by)?, sealed.key)?))
            }
            by => Err(off(by)),
        }
    }
}

/// A cloud writes names to its audit log, so a key must not be in one.
fn check(reference: &Reference) -> Result<(), ReferenceError> {
    if find::contains_key(reference.place()) {
        return Err(ReferenceError::holds_a_key());
    }
    Ok(())
}

/// The error for a scheme or a KMS whose feature is off.
fn off(scheme: &str) -> ReferenceError {
    let feature = match scheme {
        "aws-ssm" => "turn the feature `aws-ssm` of the crate `keyward-kms` on",
        _ if scheme.starts_with("aws-") => "turn the feature `aws` of the crate `keyward-kms` on",
        "pkcs11" => "turn the feature `pkcs11` of the crate `keyward-kms` on",
        "azure-kv" => "turn the feature `azure` of the crate `keyward-kms` on",
        _ if scheme.starts_with("gcp-") => {
            "turn the feature `google` of the crate `keyward-kms` on"
        }
        _ => "turn the feature `vault` of the crate `keyward-kms` on",
    };
    ReferenceError::missing(scheme, feature)
}

#[cfg(test)]
mod tests {
    use keyward::reference::ReferenceErrorKind;

    use super::{References, SCHEMES};

    #[test]
    fn who_has_not_registered_a_scheme_is_told_what_brings_it() {
        for scheme in SCHEMES {
            let reference = format!("{scheme}:somewhere/else");
            let error = References::new().loader(&reference).unwrap_err();
            assert_eq!(error.kind(), ReferenceErrorKind::Missing, "{scheme}: {error}");
            assert!(error.fix().contains("`keyward-kms`"), "{scheme}: {error}");
        }
    }
}
