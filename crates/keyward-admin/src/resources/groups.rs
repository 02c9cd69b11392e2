//! Groups of users, and who is in them.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MANY, Named, named};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{Client, Error, GroupId, Pages, RoleAssignments, UserId, decode, operations};

/// A group of users.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: GroupId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    is_scim_managed: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    scim_managed: Option<bool>,
    /// Whose group it is.
    #[serde(default, deserialize_with = "lenient")]
    pub group_type: Option<GroupType>,
}

impl Group {
    /// Whether an identity provider manages it, so that it cannot be changed here.
    #[must_use]
    pub fn is_scim_managed(&self) -> Option<bool> {
        // The API has two names for it, in answers of different operations.
        self.is_scim_managed.or(self.scim_managed)
    }
}

impl Listed for Group {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// Whose group it is.
    pub enum GroupType {
        /// The organization's.
        Group = "group",
        /// The tenant's.
        TenantGroup = "tenant_group",
    }
}

/// A user in a group. A listing tells less of one than [`GroupHandle::get_user`].
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct GroupUser {
    /// The user's id.
    #[serde(deserialize_with = "required_id")]
    pub id: UserId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// Where their picture is.
    #[serde(default, deserialize_with = "lenient")]
    pub picture: Option<String>,
    /// Whether it is a machine and not a person.
    #[serde(default, deserialize_with = "lenient")]
    pub is_service_account: Option<bool>,
    /// Whose user it is.
    #[serde(default, deserialize_with = "lenient")]
    pub user_type: Option<GroupUserType>,
}

impl Listed for GroupUser {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// Whose user is in a group.
    pub enum GroupUserType {
        /// The tenant's.
        TenantUser = "tenant_user",
        /// The organization's.
        User = "user",
    }
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Member<'a> {
    user_id: &'a str,
}

/// The organization's groups. It comes from [`Client::groups`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// let group = client.groups().create("on call").await?;
/// client.group(&group.id).add_user("user-abc").await?;
/// for user in client.group(&group.id).users().all().await? {
///     println!("{}", user.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Groups {
    client: Client,
}

impl Groups {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the groups.
    ///
    /// In pages of 1,000; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.groups.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/methods/list)
    pub fn list(&self) -> Pages<Group> {
        let call = Call::new(operations::GROUPS_LIST, []).query("limit", MANY);
        Pages::new(self.client.clone(), call)
    }

    /// Makes one. It is sent once.
    ///
    /// A role allows it by `api.groups.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, name: &str) -> Result<Group, Error> {
        let call = Call::new(operations::GROUPS_CREATE, []).json(&Name { name });
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The groups of exactly this name: what a create call of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<Group>, Error> {
        let groups = self.list().all().await?;
        named(groups, &operations::GROUPS_LIST, name, |group| Named::of(group.name.as_deref()))
    }
}

/// One group. It comes from [`Client::group`].
#[derive(Clone, Debug)]
pub struct GroupHandle {
    client: Client,
    id: GroupId,
}

impl GroupHandle {
    pub(crate) fn new(client: Client, id: GroupId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// A role allows it by `api.groups.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<Group, Error> {
        self.call(Call::new(operations::GROUP_GET, [self.id.as_str()])).await
    }

    /// Gives it another name.
    ///
    /// A role allows it by `api.groups.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn rename(&self, name: &str) -> Result<Group, Error> {
        self.call(Call::new(operations::GROUP_UPDATE, [self.id.as_str()]).json(&Name { name }))
            .await
    }

    /// Deletes it.
    ///
    /// A role allows it by `api.groups.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::GROUP_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Lists the users in it.
    ///
    /// In pages of 1,000; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.groups.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/users/methods/list)
    pub fn users(&self) -> Pages<GroupUser> {
        let call = Call::new(operations::GROUP_USERS_LIST, [self.id.as_str()]).query("limit", MANY);
        Pages::new(self.client.clone(), call)
    }

    /// Describes a user in it.
    ///
    /// A role allows it by `api.groups.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/users/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such group, or the
    /// user is not in it.
    pub async fn get_user(&self, user: impl Into<UserId>) -> Result<GroupUser, Error> {
        let user = user.into();
        let call = Call::new(operations::GROUP_USER_GET, [self.id.as_str(), user.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Takes a user in. Twice is the same as once.
    ///
    /// A role allows it by `api.groups.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/users/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such group or user.
    pub async fn add_user(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        let call = Call::new(operations::GROUP_USERS_ADD, [self.id.as_str()])
            .json(&Member { user_id: user.as_str() });
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Puts a user out.
    ///
    /// A role allows it by `api.groups.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/groups/subresources/users/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such group, or the
    /// user is not in it.
    pub async fn remove_user(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        let call = Call::new(operations::GROUP_USER_REMOVE, [self.id.as_str(), user.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Its roles in the organization.
    #[must_use]
    pub fn roles(&self) -> RoleAssignments {
        RoleAssignments::of_group(self.client.clone(), &self.id)
    }

    async fn call(&self, call: Call) -> Result<Group, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
