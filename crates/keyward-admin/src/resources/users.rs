//! Users: the people of the organization.

use std::fmt;

use keyward_core::Timestamp;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{Client, Error, Pages, ProjectId, RoleAssignments, RoleId, UserId, decode, operations};

/// A person in the organization.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: UserId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// The role in the organization.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<UserRole>,
    /// When they joined.
    #[serde(default, deserialize_with = "lenient")]
    pub added_at: Option<Timestamp>,
    /// When the user was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<Timestamp>,
    /// When a key of theirs was last used; none when none ever was.
    #[serde(default, deserialize_with = "lenient")]
    pub api_key_last_used_at: Option<Timestamp>,
    /// Whether it is the organization's default user.
    #[serde(default, deserialize_with = "lenient")]
    pub is_default: Option<bool>,
    /// Whether it is a machine and not a person.
    #[serde(default, deserialize_with = "lenient")]
    pub is_service_account: Option<bool>,
    /// Whether they may buy Scale Tier.
    #[serde(default, deserialize_with = "lenient")]
    pub is_scale_tier_authorized_purchaser: Option<bool>,
    /// Whether an identity provider manages them.
    #[serde(default, deserialize_with = "lenient")]
    pub is_scim_managed: Option<bool>,
    /// How technical they are, as set by [`UserUpdate::technical_level`].
    #[serde(default, deserialize_with = "lenient")]
    pub technical_level: Option<String>,
    /// What kind of developer they are, as set by [`UserUpdate::developer_persona`].
    #[serde(default, deserialize_with = "lenient")]
    pub developer_persona: Option<String>,
    /// The account behind the membership.
    #[serde(default, deserialize_with = "lenient")]
    pub user: Option<UserAccount>,
    /// The projects they are in, where the server tells.
    #[serde(default, deserialize_with = "list_of_projects")]
    pub projects: Option<Vec<UserProject>>,
}

impl Listed for User {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// The account of a person, which may be in several organizations.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct UserAccount {
    /// The id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<UserId>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The address.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// Where their picture is.
    #[serde(default, deserialize_with = "lenient")]
    pub picture: Option<String>,
    /// Whether it can be used.
    #[serde(default, deserialize_with = "lenient")]
    pub enabled: Option<bool>,
    /// Whether OpenAI has banned it.
    #[serde(default, deserialize_with = "lenient")]
    pub banned: Option<bool>,
    /// When it was banned.
    #[serde(default, deserialize_with = "lenient")]
    pub banned_at: Option<Timestamp>,
}

/// A project that a person is in.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct UserProject {
    /// The project's id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<ProjectId>,
    /// The project's name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The person's role in it.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<String>,
}

#[derive(Deserialize)]
struct UserProjects {
    #[serde(default, deserialize_with = "lenient")]
    data: Option<Vec<UserProject>>,
}

lenient_struct!(UserAccount, UserProject, UserProjects);

/// The list that stands in an envelope of its own.
fn list_of_projects<'de, D>(deserializer: D) -> Result<Option<Vec<UserProject>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(lenient::<D, UserProjects>(deserializer)?.and_then(|list| list.data))
}

open_enum! {
    /// A person's role in the organization.
    pub enum UserRole {
        /// Manages the organization.
        Owner = "owner",
        /// Uses it.
        Reader = "reader",
    }
}

/// What to change of a user.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `modify`"]
pub struct UserUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<UserRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_id: Option<RoleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    technical_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    developer_persona: Option<String>,
}

impl UserUpdate {
    /// Changes the role: [`Owner`](UserRole::Owner) or [`Reader`](UserRole::Reader).
    pub fn role(role: UserRole) -> Self {
        Self { role: Some(role), ..Self::default() }
    }

    /// Changes the role to one named by its id.
    pub fn role_id(mut self, role: impl Into<RoleId>) -> Self {
        self.role_id = Some(role.into());
        self
    }

    /// Notes how technical they are.
    pub fn technical_level(mut self, level: impl Into<String>) -> Self {
        self.technical_level = Some(level.into());
        self
    }

    /// Notes what kind of developer they are.
    pub fn developer_persona(mut self, persona: impl Into<String>) -> Self {
        self.developer_persona = Some(persona.into());
        self
    }
}

/// The organization's users. It comes from [`Client::users`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{UserRole, UserUpdate};
///
/// for user in client.users().list_by_email(["ada@example.com"]).all().await? {
///     client.user(&user.id).modify(UserUpdate::role(UserRole::Reader)).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
}

impl Users {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the users.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/methods/list)
    pub fn list(&self) -> Pages<User> {
        Pages::new(self.client.clone(), Self::call())
    }

    /// Lists those who have one of these addresses.
    ///
    /// Of no addresses it lists nobody and sends nothing: the server would list everybody.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/methods/list)
    pub fn list_by_email(
        &self,
        emails: impl IntoIterator<Item = impl fmt::Display>,
    ) -> Pages<User> {
        let mut emails = emails.into_iter().peekable();
        let is_empty = emails.peek().is_none();
        let call = Self::call().query_all("emails[]", emails);
        let pages = Pages::new(self.client.clone(), call);
        if is_empty { pages.empty() } else { pages }
    }

    fn call() -> Call {
        Call::new(operations::USERS_LIST, []).query("limit", PAGE)
    }
}

/// One user. It comes from [`Client::user`].
#[derive(Clone, Debug)]
pub struct UserHandle {
    client: Client,
    id: UserId,
}

impl UserHandle {
    pub(crate) fn new(client: Client, id: UserId) -> Self {
        Self { client, id }
    }

    /// Describes the user.
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<User, Error> {
        self.call(Call::new(operations::USER_GET, [self.id.as_str()])).await
    }

    /// Changes their role, or what is noted of them.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn modify(&self, update: UserUpdate) -> Result<User, Error> {
        self.call(Call::new(operations::USER_MODIFY, [self.id.as_str()]).json(&update)).await
    }

    /// Puts the user out of the organization.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/users/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::USER_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Their roles in the organization.
    #[must_use]
    pub fn roles(&self) -> RoleAssignments {
        RoleAssignments::of_user(self.client.clone(), &self.id)
    }

    async fn call(&self, call: Call) -> Result<User, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
