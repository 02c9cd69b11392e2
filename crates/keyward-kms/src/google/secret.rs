//! [`SecretManagerLoader`]: a key in Secret Manager; and secrets' names.

use std::time::Duration;

use google_cloud_secretmanager_v1::model::AccessSecretVersionResponse;
use keyward::{KeyLoader, KeySource, LoadError, LoadedKey};
use zeroize::Zeroizing;

use super::checksum;
use super::client::Google;
use super::error::{Call, incomplete};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Error, ErrorKind, deadline, field};

/// Loads a key from a secret of Secret Manager: its latest version, unless set.
///
/// The version that the key has is the number of the secret's version.
///
/// ```no_run
/// use keyward_kms::google::{Google, SecretManagerLoader};
///
/// let google = Google::from_env();
/// let whole = SecretManagerLoader::new(&google, "billing-prod/openai");
/// let of_many = SecretManagerLoader::new(&google, "billing-prod/keys").with_field("openai");
/// # let _ = (whole, of_many);
/// ```
///
/// What a [`SecretManagerStore`](super::SecretManagerStore) keeps is at the version `current`, not
/// at the latest one, which may be staged only.
///
/// # Errors
///
/// A secret that does not exist, or has no version, is `NotFound`. A version or an alias that was
/// named and that a secret does not have is `Invalid`, also where the identity may not ask for the
/// secret (`secretmanager.secrets.get`); a version that was disabled or destroyed is `Unreadable`: a
/// chain does not go on to an older key. A secret that was deleted is gone at once in Google Cloud,
/// and cannot be told from one that never was.
#[derive(Clone, Debug)]
pub struct SecretManagerLoader {
    google: Google,
    secret: SecretName,
    version: Name,
    field: Option<Name>,
    deadline: Duration,
}

impl SecretManagerLoader {
    /// The secret `PROJECT/SECRET`, as a whole.
    #[must_use]
    pub fn new(google: &Google, secret: impl Into<String>) -> Self {
        Self {
            google: google.clone(),
            secret: SecretName::new(secret),
            version: Name::new(LATEST),
            field: None,
            deadline: deadline::DEFAULT,
        }
    }

    /// Takes the key from this field of a secret that is a JSON object.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(Name::new(name));
        self
    }

    /// Takes this version: a number, or an alias.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Name::new(version);
        self
    }

    /// Sets how long a load may take; 10 seconds unless set.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl SecretManagerLoader {
    /// The error for a version that was named and is not there: whether the secret is.
    async fn missing(&self, missing: Error) -> Error {
        let find = async {
            let name = self.secret.path()?;
            let request = self.google.secret_manager().await?.get_secret().set_name(name);
            let answer = quietly(request.send()).await;
            answer.map(drop).map_err(|error| self.google.told(&error, Call::READ))
        };
        match find.await {
            Err(error) if error.is_not_found() => missing,
            Err(error) if !error.is_denied() => error,
            _ => Error::new(
                ErrorKind::Invalid,
                "the secret has no such version or alias, or may not be asked for",
                "give one that it has",
            ),
        }
    }
}

impl KeyLoader for SecretManagerLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let read = async {
            match access(&self.google, &self.secret, self.version.checked()?).await {
                Err(error) if error.is_not_found() && self.version.as_str() != LATEST => {
                    Err(self.missing(error).await)
                }
                read => read,
            }
        };
        let (text, version) = deadline::within(self.deadline, read)
            .await
            .map_err(|error| error.at(source.clone()))?;
        let key = field::key_of(text, self.field.as_ref(), &source)?;
        Ok(LoadedKey::new(key, source).version(version))
    }

    /// `gcp-sm:PROJECT/SECRET`.
    fn source(&self) -> KeySource {
        self.secret.source()
    }
}

/// What a version holds, and its number.
pub(super) async fn access(
    google: &Google,
    secret: &SecretName,
    version: &str,
) -> Result<(Zeroizing<Vec<u8>>, String), Error> {
    let name = format!("{}/versions/{}", secret.path()?, segment(version)?);
    let request = google.secret_manager().await?.access_secret_version().set_name(name);
    let answer = quietly(request.send()).await;
    let AccessSecretVersionResponse { name, payload, .. } =
        answer.map_err(|error| google.told(&error, Call::READ))?;
    let payload = payload.ok_or_else(incomplete)?;
    let text = Zeroizing::new(Vec::from(payload.data));
    checksum::check(&text, payload.data_crc32c)?;
    let number = name.rsplit('/').next().filter(|number| number.parse::<u64>().is_ok());
    Ok((text, number.ok_or_else(incomplete)?.to_owned()))
}

/// A secret: as it was named, and as Google names it.
#[derive(Clone, Debug)]
pub(super) struct SecretName(Name);

impl SecretName {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self(Name::new(name))
    }

    /// `projects/…/secrets/…`.
    pub(super) fn path(&self) -> Result<String, Error> {
        let (parent, id) = self.parts()?;
        Ok(format!("{parent}/secrets/{id}"))
    }

    /// What the secret is in, and its own name there.
    pub(super) fn parts(&self) -> Result<(String, &str), Error> {
        let name = self.0.checked()?;
        let segments = name.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        match segments[..] {
            [project, id] | ["projects", project, "secrets", id] => {
                Ok((format!("projects/{project}"), id))
            }
            ["projects", project, "locations", location, "secrets", id] => {
                Ok((format!("projects/{project}/locations/{location}"), id))
            }
            _ => Err(malformed()),
        }
    }

    /// Whether it is kept in one region.
    pub(super) fn is_regional(&self) -> bool {
        self.0.as_str().contains("/locations/")
    }

    /// `gcp-sm:` and the name as it was given.
    pub(super) fn source(&self) -> KeySource {
        KeySource::new("gcp-sm", self.0.to_string())
    }
}

fn segment(part: &str) -> Result<&str, Error> {
    if is_plain(part) { Ok(part) } else { Err(malformed()) }
}

/// Whether a part of a name leads nowhere else in a URL.
pub(super) fn is_plain(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(is_plain)
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "that is no name of a secret and a version of it",
        "write PROJECT/SECRET, or projects/PROJECT/secrets/SECRET",
    )
}

pub(super) const LATEST: &str = "latest";

#[cfg(test)]
mod tests {
    use super::SecretName;

    #[test]
    fn a_name_is_short_or_full_and_leads_nowhere_else() {
        for (name, path) in [
            ("p-1/openai", Some("projects/p-1/secrets/openai")),
            ("example.com:p/openai", Some("projects/example.com:p/secrets/openai")),
            ("projects/p/secrets/s_1", Some("projects/p/secrets/s_1")),
            ("projects/p/locations/eu/secrets/s", Some("projects/p/locations/eu/secrets/s")),
            ("openai", None),
            ("p/", None),
            ("/s", None),
            ("p/s/t", None),
            ("projects/p/secrets/s/versions/1", None),
            ("p/..", None),
            ("./s", None),
            ("p/s?alt=media", None),
            ("p/s%2f", None),
            ("p/s#x", None),
            ("p/ö", None),
            ("", None),
        ] {
            assert_eq!(SecretName::new(name).path().ok().as_deref(), path, "{name}");
        }
    }
}
