//! Users: the people of the organization.

use keyward_core::Timestamp;
use serde::Deserialize;

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{Client, Error, Pages, UserId, decode, operations};

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
}

impl Listed for User {
    fn id(&self) -> &str {
        self.id.as_str()
    }
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

/// The organization's users. It comes from [`Client::users`].
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
}

impl Users {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists them.
    pub fn list(&self) -> Pages<User> {
        let call = Call::new(operations::USERS_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
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
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<User, Error> {
        let call = Call::new(operations::USER_GET, [self.id.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
