//! Role assignments: who has which role, in the organization and in a project.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::MANY;
use crate::operations::{self, Operation};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{json_text, lenient, lenient_struct, required_id};
use crate::{Client, Error, GroupId, Pages, ProjectId, RoleId, RoleResource, UserId, decode};

/// A role that a user or a group has.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AssignedRole {
    /// The role's id.
    #[serde(deserialize_with = "required_id")]
    pub id: RoleId,
    /// The role's name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// What the role is for.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// What the role permits.
    #[serde(default, deserialize_with = "lenient")]
    pub permissions: Option<Vec<String>>,
    /// Where the role can be assigned.
    #[serde(default, deserialize_with = "lenient")]
    pub resource_type: Option<RoleResource>,
    /// Whether the role is OpenAI's own.
    #[serde(default, deserialize_with = "lenient")]
    pub predefined_role: Option<bool>,
    /// When the role was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When the role was last changed.
    #[serde(default, deserialize_with = "lenient")]
    pub updated_at: Option<Timestamp>,
    /// The id of who made the role.
    #[serde(default, deserialize_with = "lenient")]
    pub created_by: Option<String>,
    /// Who made the role, as JSON text: OpenAI does not say what is in it.
    #[serde(default, deserialize_with = "json_text")]
    pub created_by_user_obj: Option<String>,
    /// What is noted of the role, as JSON text.
    #[serde(default, deserialize_with = "json_text")]
    pub metadata: Option<String>,
    /// Through whom the role is had, where the server tells: a user has the roles of their groups
    /// too.
    #[serde(default, deserialize_with = "lenient")]
    pub assignment_sources: Option<Vec<AssignmentSource>>,
}

impl Listed for AssignedRole {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Through whom a role is had.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AssignmentSource {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub principal_id: Option<String>,
    /// What it is the id of.
    #[serde(default, deserialize_with = "lenient")]
    pub principal_type: Option<String>,
}

lenient_struct!(AssignmentSource);

#[derive(Serialize)]
struct Assignment<'a> {
    role_id: &'a str,
}

/// The roles of a user or a group, in the organization or in a project.
///
/// It comes from [`UserHandle::roles`](crate::UserHandle::roles),
/// [`GroupHandle::roles`](crate::GroupHandle::roles),
/// [`ProjectUserHandle::roles`](crate::ProjectUserHandle::roles) and
/// [`ProjectGroupHandle::roles`](crate::ProjectGroupHandle::roles).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// let roles = client.project("proj_abc").user("user-abc").roles();
/// roles.assign("role_abc").await?;
/// for role in roles.list().all().await? {
///     println!("{} permits {:?}", role.id, role.permissions);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RoleAssignments {
    client: Client,
    operations: Operations,
    /// What stands in the path of each operation before the role.
    holder: Vec<String>,
}

#[derive(Clone, Debug)]
struct Operations {
    list: Operation,
    assign: Operation,
    get: Operation,
    unassign: Operation,
}

impl RoleAssignments {
    pub(crate) fn of_user(client: Client, user: &UserId) -> Self {
        let operations = Operations {
            list: operations::USER_ROLES_LIST,
            assign: operations::USER_ROLES_ASSIGN,
            get: operations::USER_ROLE_GET,
            unassign: operations::USER_ROLE_UNASSIGN,
        };
        Self { client, operations, holder: vec![user.to_string()] }
    }

    pub(crate) fn of_group(client: Client, group: &GroupId) -> Self {
        let operations = Operations {
            list: operations::GROUP_ROLES_LIST,
            assign: operations::GROUP_ROLES_ASSIGN,
            get: operations::GROUP_ROLE_GET,
            unassign: operations::GROUP_ROLE_UNASSIGN,
        };
        Self { client, operations, holder: vec![group.to_string()] }
    }

    pub(crate) fn of_project_user(client: Client, project: &ProjectId, user: &UserId) -> Self {
        let operations = Operations {
            list: operations::PROJECT_USER_ROLES_LIST,
            assign: operations::PROJECT_USER_ROLES_ASSIGN,
            get: operations::PROJECT_USER_ROLE_GET,
            unassign: operations::PROJECT_USER_ROLE_UNASSIGN,
        };
        Self { client, operations, holder: vec![project.to_string(), user.to_string()] }
    }

    pub(crate) fn of_project_group(client: Client, project: &ProjectId, group: &GroupId) -> Self {
        let operations = Operations {
            list: operations::PROJECT_GROUP_ROLES_LIST,
            assign: operations::PROJECT_GROUP_ROLES_ASSIGN,
            get: operations::PROJECT_GROUP_ROLE_GET,
            unassign: operations::PROJECT_GROUP_ROLE_UNASSIGN,
        };
        Self { client, operations, holder: vec![project.to_string(), group.to_string()] }
    }

    /// Lists the roles that the user or group has.
    ///
    /// In pages of 1,000; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "Roles" (read).
    /// OpenAI's reference:
    /// [of a user](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/subresources/roles/methods/list),
    /// [of a group](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/roles/methods/list),
    /// [of a user in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/subresources/roles/methods/list),
    /// [of a group in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/subresources/roles/methods/list)
    pub fn list(&self) -> Pages<AssignedRole> {
        let call = self.call(&self.operations.list, None).query("limit", MANY);
        Pages::new(self.client.clone(), call)
    }

    /// Gives a role. Twice is the same as once.
    ///
    /// OpenAI says that it can take 30 minutes until it holds everywhere.
    ///
    /// A role allows it by the area "Roles" (write).
    /// OpenAI's reference:
    /// [of a user](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/subresources/roles/methods/create),
    /// [of a group](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/roles/methods/create),
    /// [of a user in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/subresources/roles/methods/create),
    /// [of a group in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/subresources/roles/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such user, group or
    /// role.
    pub async fn assign(&self, role: impl Into<RoleId>) -> Result<(), Error> {
        let role = role.into();
        let call =
            self.call(&self.operations.assign, None).json(&Assignment { role_id: role.as_str() });
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Describes one of them.
    ///
    /// A role allows it by the area "Roles" (read).
    /// OpenAI's reference:
    /// [of a user](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/subresources/roles/methods/retrieve),
    /// [of a group](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/roles/methods/retrieve),
    /// [of a user in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/subresources/roles/methods/retrieve),
    /// [of a group in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/subresources/roles/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the user or group has no such
    /// role.
    pub async fn get(&self, role: impl Into<RoleId>) -> Result<AssignedRole, Error> {
        let call = self.call(&self.operations.get, Some(role.into()));
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Takes a role away.
    ///
    /// OpenAI says that it can take 30 minutes until it holds everywhere.
    ///
    /// A role allows it by the area "Roles" (write).
    /// OpenAI's reference:
    /// [of a user](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/subresources/roles/methods/delete),
    /// [of a group](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/roles/methods/delete),
    /// [of a user in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/subresources/roles/methods/delete),
    /// [of a group in a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/subresources/roles/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the user or group has no such
    /// role.
    pub async fn unassign(&self, role: impl Into<RoleId>) -> Result<(), Error> {
        let call = self.call(&self.operations.unassign, Some(role.into()));
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    fn call(&self, operation: &Operation, role: Option<RoleId>) -> Call {
        let mut args = self.holder.clone();
        args.extend(role.map(|role| role.to_string()));
        Call { args, ..Call::new(operation.clone(), []) }
    }
}
