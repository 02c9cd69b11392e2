//! A secret's versions and labels: the calls that make, write and move them.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::version::NOTHING;
use super::{ANCHOR, CURRENT, PENDING, PREVIOUS};
use crate::aws::client::Aws;
use crate::aws::error::{incomplete, of_sdk};
use crate::quiet::quietly;
use crate::reference::Name;
use crate::{Error, ErrorKind};

/// Which version each label is on.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) current: Option<String>,
    pub(super) pending: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) has_anchor: bool,
}

impl Labels {
    pub(super) fn of(versions: HashMap<String, Vec<String>>) -> Self {
        let mut labels = Self { has_anchor: versions.contains_key(ANCHOR), ..Self::default() };
        for (id, stages) in versions {
            for stage in stages {
                match stage.as_str() {
                    CURRENT => labels.current = Some(id.clone()),
                    PENDING => labels.pending = Some(id.clone()),
                    PREVIOUS => labels.previous = Some(id.clone()),
                    _ => {}
                }
            }
        }
        labels
    }
}

/// Makes a secret with nothing in it. That somebody else has made it is no error.
pub(super) async fn create(aws: &Aws, id: &Name, kms_key: Option<&Name>) -> Result<(), Error> {
    let client = aws.secrets_manager().await?;
    let kms_key = kms_key.map(|key| key.checked().map(str::to_owned)).transpose()?;
    let create = client
        .create_secret()
        .name(id.checked()?)
        .description("A key that keyward keeps. Its versions are written by keyward alone.")
        .set_kms_key_id(kms_key)
        .client_request_token(token()?)
        .secret_string(NOTHING);
    match quietly(create.send()).await.map_err(|error| of_sdk(&error)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a version that no label but `WRITTEN` is on, and answers its id.
pub(super) async fn put(aws: &Aws, id: &Name, text: &[u8]) -> Result<String, Error> {
    let client = aws.secrets_manager().await?;
    let version = token()?;
    // EXPOSE: the store's write. The SDK keeps this copy until the call is done.
    let text = String::from_utf8(text.to_vec()).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        incomplete()
    })?;
    let put = client
        .put_secret_value()
        .secret_id(id.checked()?)
        .client_request_token(&version)
        .secret_string(text)
        .version_stages(WRITTEN);
    quietly(put.send()).await.map_err(|error| of_sdk(&error))?;
    Ok(version)
}

/// Moves a label if it is where it was. `false` if it is not.
pub(super) async fn move_label(
    aws: &Aws,
    id: &Name,
    label: &str,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<bool, Error> {
    let client = aws.secrets_manager().await?;
    let update = client
        .update_secret_version_stage()
        .secret_id(id.checked()?)
        .version_stage(label)
        .set_remove_from_version_id(from.map(str::to_owned))
        .set_move_to_version_id(to.map(str::to_owned));
    match quietly(update.send()).await.map_err(|error| of_sdk(&error)) {
        Ok(_) => Ok(true),
        // How AWS says that the label is not on that version, or that version is gone.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Withdrawn
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What a version is put with. A version must be put with a label, and one label is on one version,
/// so it comes off by itself with the next.
const WRITTEN: &str = "keyward-written";

/// An id for a version that nobody else has.
fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        Error::new(ErrorKind::Unexpected, "there are no random numbers to be had", "try again")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
