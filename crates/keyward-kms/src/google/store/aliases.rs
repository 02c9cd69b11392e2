//! A secret's versions and aliases: the calls that read, make and write them.

use std::collections::HashMap;

use google_cloud_secretmanager_v1::model::replication::Automatic;
use google_cloud_secretmanager_v1::model::{Replication, Secret, SecretPayload, secret_version};
use google_cloud_wkt::FieldMask;
use keyward::KeySource;
use keyward::store::{StoreError, StoreErrorKind};
use zeroize::Zeroizing;

use crate::google::checksum;
use crate::google::client::Google;
use crate::google::error::{Call, incomplete};
use crate::google::secret::{LATEST, SecretName};
use crate::quiet::quietly;
use crate::{Error, ErrorKind};

/// What a version holds, and its number.
pub(super) type Read = (Zeroizing<Vec<u8>>, String);

/// Which version each alias of the store is on.
#[derive(Clone, Copy)]
pub(super) struct Aliases {
    pub(super) current: Option<i64>,
    pub(super) pending: Option<i64>,
    pub(super) previous: Option<i64>,
}

impl Aliases {
    fn of(aliases: &HashMap<String, i64>) -> Self {
        let at = |alias| aliases.get(alias).copied();
        Self { current: at(CURRENT), pending: at(PENDING), previous: at(PREVIOUS) }
    }

    /// Beside those of others.
    fn put(self, aliases: &mut HashMap<String, i64>) {
        for (alias, version) in
            [(CURRENT, self.current), (PENDING, self.pending), (PREVIOUS, self.previous)]
        {
            match version {
                Some(version) => aliases.insert(alias.to_owned(), version),
                None => aliases.remove(alias),
            };
        }
    }
}

/// A secret as it was read, without what its versions hold.
pub(super) struct Found {
    pub(super) aliases: Aliases,
    secret: Secret,
}

impl Found {
    /// What this writing of the secret is known by.
    pub(super) fn etag(&self) -> &str {
        &self.secret.etag
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.secret.annotations.get(name).map(String::as_str)
    }

    /// Whether a key was current here, by its alias, at any time.
    pub(super) fn was_promoted(&self) -> bool {
        self.annotation(PROMOTED).is_some()
    }

    /// Whether any alias is on this version, be it of the store or of others.
    pub(super) fn has_alias_on(&self, version: i64) -> bool {
        self.secret.version_aliases.values().any(|at| *at == version)
    }

    fn of(secret: Secret) -> Result<Self, Error> {
        // Without a tag nothing would be compared.
        if secret.etag.is_empty() {
            return Err(incomplete());
        }
        Ok(Self { aliases: Aliases::of(&secret.version_aliases), secret })
    }
}

/// Reads a secret, if there is one.
pub(super) async fn find(google: &Google, name: &SecretName) -> Result<Option<Found>, Error> {
    let request = google.secret_manager().await?.get_secret().set_name(name.path()?);
    match quietly(request.send()).await.map_err(|error| google.told(&error, Call::READ)) {
        Ok(secret) => Found::of(secret).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a secret without a version. That somebody else has made it is no error.
pub(super) async fn create(google: &Google, name: &SecretName) -> Result<(), Error> {
    let (parent, id) = name.parts()?;
    let secret = if name.is_regional() {
        Secret::new()
    } else {
        Secret::new().set_replication(Replication::new().set_automatic(Automatic::new()))
    };
    let request = google.secret_manager().await?.create_secret().set_parent(parent);
    let request = request.set_secret_id(id).set_secret(secret);
    match quietly(request.send()).await.map_err(|error| google.told(&error, Call::WRITE)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        // Of a project, not of a secret.
        Err(error) if error.is_not_found() => {
            Err(Error::new(ErrorKind::Invalid, "there is no such project", "correct its name"))
        }
        Err(error) => Err(error),
    }
}

/// Adds a version that no alias is on, and answers its number.
pub(super) async fn add(
    google: &Google,
    name: &SecretName,
    text: Zeroizing<Vec<u8>>,
) -> Result<i64, Error> {
    let checksum = checksum::of(&text);
    // EXPOSE: the store's write. This copy is wiped, the SDK's own are not.
    let payload = SecretPayload::new().set_data(bytes::Bytes::from_owner(text));
    let request = google
        .secret_manager()
        .await?
        .add_secret_version()
        .set_parent(name.path()?)
        .set_payload(payload.set_data_crc32c(checksum));
    let version = quietly(request.send()).await.map_err(|error| google.told(&error, Call::ADD))?;
    let number = version.name.rsplit('/').next().and_then(|number| number.parse().ok());
    let number = number.ok_or_else(incomplete)?;
    if !version.client_specified_payload_checksum {
        // Whether it is whole is not known, so it is in the way.
        let _ = destroy(google, name, number).await;
        return Err(checksum::damaged());
    }
    Ok(number)
}

/// Moves the aliases of the store if the secret is as it was found, and answers what it is by then:
/// who reads it again may be given it as it was before. `None` if it is not as it was found.
///
/// That a key is current is noted beside the alias, in the same write: who loses the alias does not
/// lose that.
pub(super) async fn set(
    google: &Google,
    name: &SecretName,
    found: &Found,
    aliases: Aliases,
) -> Result<Option<Found>, Error> {
    let mut moved = found.secret.version_aliases.clone();
    aliases.put(&mut moved);
    let secret = Secret::new().set_version_aliases(moved);
    if aliases.current.is_none() || found.was_promoted() {
        return update(google, name, found, secret, &["version_aliases"]).await;
    }
    let mut annotations = found.secret.annotations.clone();
    annotations.insert(PROMOTED.to_owned(), "true".to_owned());
    let secret = secret.set_annotations(annotations);
    update(google, name, found, secret, &["version_aliases", "annotations"]).await
}

/// Writes an annotation if the secret is as it was found. `false` if it is not.
pub(super) async fn annotate(
    google: &Google,
    name: &SecretName,
    found: &Found,
    annotation: (&str, String),
) -> Result<bool, Error> {
    let mut annotations = found.secret.annotations.clone();
    annotations.insert(annotation.0.to_owned(), annotation.1);
    let secret = Secret::new().set_annotations(annotations);
    update(google, name, found, secret, &["annotations"]).await.map(|written| written.is_some())
}

async fn update(
    google: &Google,
    name: &SecretName,
    found: &Found,
    secret: Secret,
    fields: &[&str],
) -> Result<Option<Found>, Error> {
    let request = google
        .secret_manager()
        .await?
        .update_secret()
        .set_secret(secret.set_name(name.path()?).set_etag(found.etag()))
        .set_update_mask(FieldMask::default().set_paths(fields.iter().copied()));
    match quietly(request.send()).await.map_err(|error| google.told(&error, Call::WRITE)) {
        Ok(secret) => Found::of(secret).map(Some),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether what the latest version held was destroyed, if that may be asked.
pub(super) async fn latest_is_destroyed(google: &Google, name: &SecretName) -> Result<bool, Error> {
    let latest = format!("{}/versions/{LATEST}", name.path()?);
    let request = google.secret_manager().await?.get_secret_version().set_name(latest);
    let asked = quietly(request.send()).await;
    asked
        .map(|version| version.state == secret_version::State::Destroyed)
        .map_err(|error| google.told(&error, Call::READ))
}

/// Destroys what a version holds.
pub(super) async fn destroy(google: &Google, name: &SecretName, version: i64) -> Result<(), Error> {
    let version = format!("{}/versions/{version}", name.path()?);
    let request = google.secret_manager().await?.destroy_secret_version().set_name(version);
    let destroyed = quietly(request.send()).await;
    destroyed.map(drop).map_err(|error| google.told(&error, Call::WRITE))
}

/// The error for a secret whose alias is gone. A store that took it for empty would send a chain on
/// to an older key.
pub(super) fn bereft(source: KeySource) -> StoreError {
    let what = "a key was current here, and the alias `current` is gone".to_owned();
    let fix = "put the alias back on the version that is in use";
    StoreError::new(StoreErrorKind::NotFound, source, what, fix)
}

/// The error where that cannot be told.
pub(super) fn untold(source: KeySource) -> StoreError {
    let what =
        "no alias `current` is seen, and whether a key was current cannot be told".to_owned();
    let fix = "try again in some minutes, and let the identity get the secret";
    StoreError::new(StoreErrorKind::NotFound, source, what, fix)
}

pub(super) const CURRENT: &str = "current";
const PENDING: &str = "pending";
const PREVIOUS: &str = "previous";

/// The annotation that stays where a key was current.
const PROMOTED: &str = "keyward-promoted";
