//! Users of a project: which people of the organization may use it, and as what.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{Client, Error, Pages, ProjectId, RoleAssignments, UserId, decode, operations};

/// A person in a project.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProjectUser {
    /// The user's id.
    #[serde(deserialize_with = "required_id")]
    pub id: UserId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// The role in the project.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<ProjectUserRole>,
    /// When they were added.
    #[serde(default, deserialize_with = "lenient")]
    pub added_at: Option<Timestamp>,
}

impl Listed for ProjectUser {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// A person's role in a project.
    pub enum ProjectUserRole {
        /// Uses it.
        Member = "member",
        /// Uses and manages it.
        Owner = "owner",
    }
}

#[derive(Serialize)]
struct Membership<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    role: &'a ProjectUserRole,
}

/// The users of a project. It comes from
/// [`ProjectHandle::users`](crate::ProjectHandle::users).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::ProjectUserRole;
///
/// let project = client.project("proj_abc");
/// let user = project.users().add("user-abc", ProjectUserRole::Member).await?;
/// project.user(&user.id).set_role(ProjectUserRole::Owner).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProjectUsers {
    client: Client,
    project: ProjectId,
}

impl ProjectUsers {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists the users of the project.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`]. An archived project has none:
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) comes instead.
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/list)
    pub fn list(&self) -> Pages<ProjectUser> {
        let call =
            Call::new(operations::PROJECT_USERS_LIST, [self.project.as_str()]).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Takes a user of the organization in.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a user whom the server
    /// does not take, such as one who is not in the organization, or when the project is archived.
    pub async fn add(
        &self,
        user: impl Into<UserId>,
        role: ProjectUserRole,
    ) -> Result<ProjectUser, Error> {
        let user = user.into();
        self.take_in(&Membership { user_id: Some(user.as_str()), email: None, role: &role }).await
    }

    /// Takes in the user of the organization who has this address.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/create)
    ///
    /// # Errors
    ///
    /// As of [`add`](Self::add).
    pub async fn add_by_email(
        &self,
        email: &str,
        role: ProjectUserRole,
    ) -> Result<ProjectUser, Error> {
        self.take_in(&Membership { user_id: None, email: Some(email), role: &role }).await
    }

    async fn take_in(&self, membership: &Membership<'_>) -> Result<ProjectUser, Error> {
        let call =
            Call::new(operations::PROJECT_USERS_ADD, [self.project.as_str()]).json(membership);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

/// One user of a project. It comes from
/// [`ProjectHandle::user`](crate::ProjectHandle::user).
#[derive(Clone, Debug)]
pub struct ProjectUserHandle {
    client: Client,
    project: ProjectId,
    id: UserId,
}

#[derive(Serialize)]
struct Role<'a> {
    role: &'a ProjectUserRole,
}

impl ProjectUserHandle {
    pub(crate) fn new(client: Client, project: ProjectId, id: UserId) -> Self {
        Self { client, project, id }
    }

    /// Describes the user.
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id in the
    /// project.
    pub async fn get(&self) -> Result<ProjectUser, Error> {
        self.call(Call::new(operations::PROJECT_USER_GET, self.path())).await
    }

    /// Changes their role in the project.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a role that the server
    /// does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of
    /// this id in the project.
    pub async fn set_role(&self, role: ProjectUserRole) -> Result<ProjectUser, Error> {
        let call = Call::new(operations::PROJECT_USER_MODIFY, self.path());
        self.call(call.json(&Role { role: &role })).await
    }

    /// Puts the user out of the project. They stay in the organization.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/users/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when the project is
    /// archived, which has none; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id in the project.
    pub async fn remove(&self) -> Result<(), Error> {
        let call = Call::new(operations::PROJECT_USER_REMOVE, self.path());
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Their roles in the project.
    #[must_use]
    pub fn roles(&self) -> RoleAssignments {
        RoleAssignments::of_project_user(self.client.clone(), &self.project, &self.id)
    }

    fn path(&self) -> [&str; 2] {
        [self.project.as_str(), self.id.as_str()]
    }

    async fn call(&self, call: Call) -> Result<ProjectUser, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
