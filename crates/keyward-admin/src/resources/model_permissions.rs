//! Model permissions: which models the keys of a project may use.

use serde::{Deserialize, Serialize};

use crate::transport::Call;
use crate::wire::{lenient, open_enum};
use crate::{Client, Error, ProjectId, decode, operations};

/// Which models a project may use.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ModelPermissions {
    /// Whether the list is of those allowed or of those denied.
    #[serde(default, deserialize_with = "lenient")]
    pub mode: Option<ModelPermissionMode>,
    /// The models.
    #[serde(default, deserialize_with = "lenient")]
    pub model_ids: Option<Vec<String>>,
}

open_enum! {
    /// What a list of models says of them.
    pub enum ModelPermissionMode {
        /// These may be used, and no others.
        AllowList = "allow_list",
        /// These may not be used, and all others may.
        DenyList = "deny_list",
    }
}

/// Which models a project is to be allowed. It takes the place of what there was.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `update`"]
pub struct ModelPermissionUpdate {
    mode: ModelPermissionMode,
    model_ids: Vec<String>,
}

impl ModelPermissionUpdate {
    /// These, and no others.
    pub fn allow<M: Into<String>>(models: impl IntoIterator<Item = M>) -> Self {
        Self::new(ModelPermissionMode::AllowList, models)
    }

    /// All but these.
    pub fn deny<M: Into<String>>(models: impl IntoIterator<Item = M>) -> Self {
        Self::new(ModelPermissionMode::DenyList, models)
    }

    fn new<M: Into<String>>(
        mode: ModelPermissionMode,
        models: impl IntoIterator<Item = M>,
    ) -> Self {
        Self { mode, model_ids: models.into_iter().map(Into::into).collect() }
    }
}

/// The model permissions of a project. It comes from
/// [`ProjectHandle::model_permissions`](crate::ProjectHandle::model_permissions).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::ModelPermissionUpdate;
///
/// let models = client.project("proj_abc").model_permissions();
/// models.update(ModelPermissionUpdate::allow(["gpt-5", "gpt-5-mini"])).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ModelPermissionsHandle {
    client: Client,
    project: ProjectId,
}

impl ModelPermissionsHandle {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Describes them.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/model_permissions/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there are none.
    pub async fn get(&self) -> Result<ModelPermissions, Error> {
        self.call(Call::new(operations::MODEL_PERMISSIONS_GET, [self.project.as_str()])).await
    }

    /// Sets them, whether there were any or not.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/model_permissions/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for models that the server
    /// does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such
    /// project.
    pub async fn update(&self, update: ModelPermissionUpdate) -> Result<ModelPermissions, Error> {
        let call = Call::new(operations::MODEL_PERMISSIONS_UPDATE, [self.project.as_str()]);
        self.call(call.json(&update)).await
    }

    /// Deletes them: the project may use what the organization may.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/model_permissions/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there are none.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::MODEL_PERMISSIONS_DELETE, [self.project.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    async fn call(&self, call: Call) -> Result<ModelPermissions, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ModelPermissionMode, ModelPermissionUpdate, ModelPermissions};
    use crate::resources::shapes;

    #[test]
    fn permissions_are_read_whatever_they_have() {
        let full = json!({
            "object": "project.model_permissions", "mode": "maybe_list", "model_ids": ["a", "b"],
        });
        shapes::check::<ModelPermissions>(&[], &full);
        for (word, mode) in [
            ("allow_list", ModelPermissionMode::AllowList),
            ("deny_list", ModelPermissionMode::DenyList),
        ] {
            let read: ModelPermissions = serde_json::from_value(json!({"mode": word})).unwrap();
            assert_eq!(read.mode, Some(mode));
            assert_eq!(read.model_ids, None);
        }
    }

    #[test]
    fn an_update_says_how_and_which() {
        for (update, mode) in [
            (ModelPermissionUpdate::allow(["a", "b"]), "allow_list"),
            (ModelPermissionUpdate::deny(["a", "b"]), "deny_list"),
        ] {
            let expected = json!({"mode": mode, "model_ids": ["a", "b"]});
            assert_eq!(serde_json::to_value(&update).unwrap(), expected);
        }
    }
}
