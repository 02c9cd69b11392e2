//! Groups of a project: which groups of the organization may use it.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, required_id};
use crate::{
    Client, Error, GroupId, GroupType, Pages, ProjectId, RoleAssignments, RoleId, decode,
    operations,
};

/// A group in a project. Its roles there are told by [`ProjectGroupHandle::roles`].
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProjectGroup {
    /// The group's id.
    #[serde(deserialize_with = "required_id")]
    pub group_id: GroupId,
    /// The project's id.
    #[serde(default, deserialize_with = "lenient")]
    pub project_id: Option<ProjectId>,
    /// The group's name.
    #[serde(default, deserialize_with = "lenient")]
    pub group_name: Option<String>,
    /// Whose group it is.
    #[serde(default, deserialize_with = "lenient")]
    pub group_type: Option<GroupType>,
    /// When it was let in.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
}

impl Listed for ProjectGroup {
    fn id(&self) -> &str {
        self.group_id.as_str()
    }
}

#[derive(Serialize)]
struct Access<'a> {
    group_id: &'a str,
    role: &'a str,
}

/// The groups of a project. It comes from
/// [`ProjectHandle::groups`](crate::ProjectHandle::groups).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// let project = client.project("proj_abc");
/// project.groups().add("group_abc", "role_abc").await?;
/// for group in project.groups().list().all().await? {
///     println!("{}", group.group_id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProjectGroups {
    client: Client,
    project: ProjectId,
}

impl ProjectGroups {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists the groups that may use the project.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/methods/list)
    pub fn list(&self) -> Pages<ProjectGroup> {
        let call = Call::new(operations::PROJECT_GROUPS_LIST, [self.project.as_str()])
            .query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Lets a group of the organization in, with a [role](crate::Roles) of the project.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such group or role.
    pub async fn add(
        &self,
        group: impl Into<GroupId>,
        role: impl Into<RoleId>,
    ) -> Result<ProjectGroup, Error> {
        let (group, role) = (group.into(), role.into());
        let call = Call::new(operations::PROJECT_GROUPS_ADD, [self.project.as_str()])
            .json(&Access { group_id: group.as_str(), role: role.as_str() });
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

/// One group of a project. It comes from
/// [`ProjectHandle::group`](crate::ProjectHandle::group).
#[derive(Clone, Debug)]
pub struct ProjectGroupHandle {
    client: Client,
    project: ProjectId,
    id: GroupId,
}

impl ProjectGroupHandle {
    pub(crate) fn new(client: Client, project: ProjectId, id: GroupId) -> Self {
        Self { client, project, id }
    }

    /// Describes it, if it is a group of the organization.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id in the
    /// project.
    pub async fn get(&self) -> Result<ProjectGroup, Error> {
        self.get_of_type(&GroupType::Group).await
    }

    /// Describes it, if it is a group of this type.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/methods/retrieve)
    ///
    /// # Errors
    ///
    /// As of [`get`](Self::get).
    pub async fn get_of_type(&self, group_type: &GroupType) -> Result<ProjectGroup, Error> {
        let call = Call::new(operations::PROJECT_GROUP_GET, self.path());
        let call = call.query("group_type", group_type);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Puts the group out of the project.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/groups/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id in the
    /// project.
    pub async fn remove(&self) -> Result<(), Error> {
        let call = Call::new(operations::PROJECT_GROUP_REMOVE, self.path());
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Its roles in the project.
    #[must_use]
    pub fn roles(&self) -> RoleAssignments {
        RoleAssignments::of_project_group(self.client.clone(), &self.project, &self.id)
    }

    fn path(&self) -> [&str; 2] {
        [self.project.as_str(), self.id.as_str()]
    }
}
