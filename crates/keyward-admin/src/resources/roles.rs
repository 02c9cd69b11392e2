//! Roles, of the organization and of a project: named sets of permissions.

use serde::{Deserialize, Serialize};

use super::{MANY, Named, named};
use crate::operations::{self, Operation};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{Client, Error, Pages, ProjectId, RoleId, decode};

/// A role.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Role {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: RoleId,
    /// The name, which no other role has.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// What it permits.
    #[serde(default, deserialize_with = "lenient")]
    pub permissions: Option<Vec<String>>,
    /// Where it can be assigned.
    #[serde(default, deserialize_with = "lenient")]
    pub resource_type: Option<RoleResource>,
    /// Whether it is OpenAI's own, so that it cannot be changed.
    #[serde(default, deserialize_with = "lenient")]
    pub predefined_role: Option<bool>,
}

impl Listed for Role {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// Where a role can be assigned.
    pub enum RoleResource {
        /// In the organization.
        Organization = "api.organization",
        /// In a project.
        Project = "api.project",
    }
}

/// What a new role is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewRole {
    role_name: String,
    permissions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl NewRole {
    /// A role of this name that permits nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { role_name: name.into(), permissions: Vec::new(), description: None }
    }

    /// Permits this, such as `api.groups.read`, and others named so.
    pub fn permit(mut self, permission: impl Into<String>) -> Self {
        self.permissions.push(permission.into());
        self
    }

    /// Says what it is for.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

/// What to change of a role.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct RoleUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_name: Option<String>,
}

impl RoleUpdate {
    /// Lets it permit these and nothing else.
    pub fn permissions(permissions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let permissions = permissions.into_iter().map(Into::into).collect();
        Self { permissions: Some(permissions), ..Self::default() }
    }

    /// Says what it is for.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Gives it another name.
    pub fn rename(mut self, name: impl Into<String>) -> Self {
        self.role_name = Some(name.into());
        self
    }
}

/// Whose roles they are.
#[derive(Clone, Debug)]
enum Owner {
    Organization,
    Project(ProjectId),
}

impl Owner {
    /// A call of one of two operations, with what stands in its path.
    fn call(&self, organization: Operation, project: Operation, role: Option<&RoleId>) -> Call {
        let (operation, owner) = match self {
            Self::Organization => (organization, None),
            Self::Project(id) => (project, Some(id.as_str())),
        };
        let args = owner.into_iter().chain(role.map(RoleId::as_str)).map(str::to_owned).collect();
        Call { args, ..Call::new(operation, []) }
    }
}

/// The roles of the organization or of a project. They come from [`Client::roles`] and
/// [`ProjectHandle::roles`](crate::ProjectHandle::roles).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::NewRole;
///
/// let new = NewRole::new("group reader").permit("api.groups.read");
/// let role = client.roles().create(new).await?;
/// client.group("group_abc").roles().assign(&role.id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Roles {
    client: Client,
    owner: Owner,
}

impl Roles {
    pub(crate) fn of_organization(client: Client) -> Self {
        Self { client, owner: Owner::Organization }
    }

    pub(crate) fn of_project(client: Client, project: ProjectId) -> Self {
        Self { client, owner: Owner::Project(project) }
    }

    /// Lists the roles, OpenAI's own too.
    ///
    /// In pages of 1,000; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "Roles" (read).
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/roles/methods/list),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/roles/methods/list)
    pub fn list(&self) -> Pages<Role> {
        let call = self.owner.call(operations::ROLES_LIST, operations::PROJECT_ROLES_LIST, None);
        Pages::new(self.client.clone(), call.query("limit", MANY))
    }

    /// Makes one. It is sent once.
    ///
    /// A role allows it by the area "Roles" (write).
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/roles/methods/create),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/roles/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: NewRole) -> Result<Role, Error> {
        let call = self
            .owner
            .call(operations::ROLES_CREATE, operations::PROJECT_ROLES_CREATE, None)
            .json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The roles of exactly this name: what a create call of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<Role>, Error> {
        let roles = self.list().all().await?;
        named(roles, &operations::ROLES_LIST, name, |role| Named::of(role.name.as_deref()))
    }
}

/// One role of the organization or of a project. It comes from [`Client::role`] and
/// [`ProjectHandle::role`](crate::ProjectHandle::role).
#[derive(Clone, Debug)]
pub struct RoleHandle {
    client: Client,
    owner: Owner,
    id: RoleId,
}

impl RoleHandle {
    pub(crate) fn of_organization(client: Client, id: RoleId) -> Self {
        Self { client, owner: Owner::Organization, id }
    }

    pub(crate) fn of_project(client: Client, project: ProjectId, id: RoleId) -> Self {
        Self { client, owner: Owner::Project(project), id }
    }

    /// Describes it.
    ///
    /// A role allows it by the area "Roles" (read).
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/roles/methods/retrieve),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/roles/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<Role, Error> {
        let call = self.call(operations::ROLE_GET, operations::PROJECT_ROLE_GET);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Changes it, for all who have it.
    ///
    /// OpenAI says that it can take 30 minutes until it holds everywhere.
    ///
    /// A role allows it by the area "Roles" (write).
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/roles/methods/update),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/roles/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn update(&self, update: RoleUpdate) -> Result<Role, Error> {
        let call = self.call(operations::ROLE_UPDATE, operations::PROJECT_ROLE_UPDATE);
        let call = call.json(&update);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Deletes it.
    ///
    /// A role allows it by the area "Roles" (write).
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/roles/methods/delete),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/roles/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = self.call(operations::ROLE_DELETE, operations::PROJECT_ROLE_DELETE);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    fn call(&self, organization: Operation, project: Operation) -> Call {
        self.owner.call(organization, project, Some(&self.id))
    }
}
