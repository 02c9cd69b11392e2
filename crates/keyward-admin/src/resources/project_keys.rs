//! API keys of a project: those of people and those of service accounts.

use std::time::Duration;

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PAGE, seconds};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{
    ApiKeyId, Client, Error, Pages, ProjectId, Scopes, ServiceAccountId, UserId, decode, operations,
};

/// An API key of a project, as the API lists it: without its value.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProjectApiKey {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: ApiKeyId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The first and last characters: see
    /// [`ApiKey::matches_redacted`](keyward_core::ApiKey::matches_redacted).
    #[serde(default, deserialize_with = "lenient")]
    pub redacted_value: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it expires; none when it does not.
    #[serde(default, deserialize_with = "lenient")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used; none when it never was.
    #[serde(default, deserialize_with = "lenient")]
    pub last_used_at: Option<Timestamp>,
    /// Whose it is.
    #[serde(default, deserialize_with = "lenient")]
    pub owner: Option<KeyOwner>,
    /// Whether its owner can still get into the project.
    #[serde(default, deserialize_with = "lenient")]
    pub owner_project_access: Option<OwnerProjectAccess>,
}

impl ProjectApiKey {
    /// The service account whose key it is; none for a person's.
    #[must_use]
    pub fn service_account_id(&self) -> Option<&ServiceAccountId> {
        self.owner.as_ref()?.service_account.as_ref()?.id.as_ref()
    }
}

impl Listed for ProjectApiKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Whose a key is.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct KeyOwner {
    /// A person or a service account.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<KeyOwnerKind>,
    /// The person.
    #[serde(default, deserialize_with = "lenient")]
    pub user: Option<KeyOwnerUser>,
    /// The service account.
    #[serde(default, deserialize_with = "lenient")]
    pub service_account: Option<KeyOwnerServiceAccount>,
}

/// The person whose a key is.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct KeyOwnerUser {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<UserId>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// The role.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<String>,
}

/// The service account whose a key is.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct KeyOwnerServiceAccount {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<ServiceAccountId>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The role in the project.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<String>,
}

lenient_struct!(KeyOwner, KeyOwnerUser, KeyOwnerServiceAccount);

open_enum! {
    /// What owns a key.
    pub enum KeyOwnerKind {
        /// A machine.
        ServiceAccount = "service_account",
        /// A person.
        User = "user",
    }
}

open_enum! {
    /// Whether the owner of a key can still get into the project.
    pub enum OwnerProjectAccess {
        /// The owner can.
        Active = "active",
        /// Either; for listing.
        Any = "any",
        /// The owner lost access. The key is still there.
        Inactive = "inactive",
    }
}

/// What to change of a live key: at least one of its scopes and its expiry.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `update`"]
pub struct KeyUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u64>,
}

impl KeyUpdate {
    /// Changes what it may do. It takes effect as the server's caches of keys expire.
    pub fn scopes(scopes: &Scopes) -> Self {
        let scopes = scopes.on_the_wire().into_iter().map(str::to_owned).collect();
        Self { scopes: Some(scopes), expires_in_seconds: None }
    }

    /// Lets it expire this long after the server takes the call, in whole seconds from 1 second
    /// to a year. A repeated call starts over.
    pub fn expires_in(life: Duration) -> Self {
        Self { scopes: None, expires_in_seconds: Some(seconds(life)) }
    }

    /// Lets it expire too.
    pub fn and_expires_in(mut self, life: Duration) -> Self {
        self.expires_in_seconds = Some(seconds(life));
        self
    }
}

/// The API keys of a project. It comes from
/// [`ProjectHandle::api_keys`](crate::ProjectHandle::api_keys).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{KeyUpdate, Scope, Scopes};
///
/// let project = client.project("proj_abc");
/// let mut keys = project.api_keys().list();
/// while let Some(key) = keys.next().await {
///     let key = key?;
///     if key.last_used_at.is_none() {
///         let less = KeyUpdate::scopes(&Scopes::only(Scope::RESPONSES_WRITE));
///         project.api_key(key.id).update(less).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProjectApiKeys {
    client: Client,
    project: ProjectId,
}

impl ProjectApiKeys {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists all keys, also those whose owner lost access to the project: they are live.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.organization.projects.api_keys.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/api_keys/methods/list)
    pub fn list(&self) -> Pages<ProjectApiKey> {
        self.list_by_access(&OwnerProjectAccess::Any)
    }

    /// Lists the keys whose owner has this access.
    ///
    /// The API's own default hides keys; this crate never uses it.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.organization.projects.api_keys.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/api_keys/methods/list)
    pub fn list_by_access(&self, access: &OwnerProjectAccess) -> Pages<ProjectApiKey> {
        let call = Call::new(operations::PROJECT_KEYS_LIST, [self.project.as_str()])
            .query("limit", PAGE)
            .query("owner_project_access", access);
        Pages::new(self.client.clone(), call)
    }
}

/// One API key of a project. It comes from
/// [`ProjectHandle::api_key`](crate::ProjectHandle::api_key).
#[derive(Clone, Debug)]
pub struct ProjectApiKeyHandle {
    client: Client,
    project: ProjectId,
    id: ApiKeyId,
}

impl ProjectApiKeyHandle {
    pub(crate) fn new(client: Client, project: ProjectId, id: ApiKeyId) -> Self {
        Self { client, project, id }
    }

    /// Describes it.
    ///
    /// A role allows it by `api.organization.projects.api_keys.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/api_keys/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<ProjectApiKey, Error> {
        self.call(Call::new(operations::PROJECT_KEY_GET, self.path())).await
    }

    /// Changes its scopes, its expiry or both. An expired key cannot be changed.
    ///
    /// A role allows it by `api.organization.projects.api_keys.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/api_keys/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, such as one of an expired key;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id;
    /// [`ErrorKind::OrganizationPolicy`](crate::ErrorKind::OrganizationPolicy) when it would live
    /// longer than the organization lets keys live.
    pub async fn update(&self, update: KeyUpdate) -> Result<ProjectApiKey, Error> {
        self.call(Call::new(operations::PROJECT_KEY_UPDATE, self.path()).json(&update)).await
    }

    /// Deletes it.
    ///
    /// Keys of service accounts can be deleted since 2026-10; an organization to which that has
    /// not come answers [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest).
    ///
    /// A role allows it by `api.organization.projects.api_keys.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/api_keys/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::PROJECT_KEY_DELETE, self.path());
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    fn path(&self) -> [&str; 2] {
        [self.project.as_str(), self.id.as_str()]
    }

    async fn call(&self, call: Call) -> Result<ProjectApiKey, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
