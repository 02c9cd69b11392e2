//! Admin keys: the keys of the organization itself.

use std::time::Duration;

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Named, PAGE, named, seconds};
use crate::mint::{MintedKey, mint};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, required_id};
use crate::{AdminKeyId, Client, Error, KeyOwnerUser, Pages, decode, operations};

/// An admin key, as the API lists it: without its value.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AdminApiKey {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: AdminKeyId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The first and last characters. The list has been seen to hold project keys too: tell them
    /// apart by this.
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
    /// Who made it.
    #[serde(default, deserialize_with = "lenient")]
    pub owner: Option<KeyOwnerUser>,
}

impl Listed for AdminApiKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// What a new admin key is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewAdminKey {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u64>,
}

impl NewAdminKey {
    /// A key of this name. A name used once can be [reconciled](AdminKeys::reconcile).
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), expires_in_seconds: None }
    }

    /// Lets it expire, in whole seconds from 1 second to a year.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires_in_seconds = Some(seconds(life));
        self
    }
}

/// The organization's admin keys. It comes from [`Client::admin_keys`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use std::time::Duration;
///
/// use keyward_admin::NewAdminKey;
///
/// let day = Duration::from_secs(86_400);
/// let new = NewAdminKey::new("audit-export-2026-11").expires_in(day);
/// let minted = client.admin_keys().create(new).await?;
/// println!("{minted:?}"); // the kind and the fingerprint, not the value
/// if let Some(id) = minted.metadata.id {
///     client.admin_key(id).delete().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AdminKeys {
    client: Client,
}

impl AdminKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the admin keys.
    ///
    /// In pages of 100, the oldest first; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/admin_api_keys/methods/list)
    pub fn list(&self) -> Pages<AdminApiKey> {
        let call = Call::new(operations::ADMIN_KEYS_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Makes one. It is sent once.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/admin_api_keys/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile);
    /// [`ErrorKind::OrganizationPolicy`](crate::ErrorKind::OrganizationPolicy) when it would live
    /// longer than the organization lets keys live.
    ///
    /// # Security
    ///
    /// The value is shown this once. An admin key manages the whole organization: give it an
    /// expiry.
    pub async fn create(&self, new: NewAdminKey) -> Result<MintedKey<AdminKeyId>, Error> {
        mint(&self.client, Call::new(operations::ADMIN_KEYS_CREATE, []).json(&new)).await
    }

    /// The keys of exactly this name: what a create call of unknown outcome has made, if anything.
    ///
    /// Their values cannot be had again. Delete them, and create anew.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<AdminApiKey>, Error> {
        let keys = self.list().all().await?;
        named(keys, &operations::ADMIN_KEYS_LIST, name, |key| Named::of(key.name.as_deref()))
    }
}

/// One admin key. It comes from [`Client::admin_key`].
#[derive(Clone, Debug)]
pub struct AdminKeyHandle {
    client: Client,
    id: AdminKeyId,
}

impl AdminKeyHandle {
    pub(crate) fn new(client: Client, id: AdminKeyId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/admin_api_keys/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<AdminApiKey, Error> {
        let call = Call::new(operations::ADMIN_KEY_GET, [self.id.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Deletes it.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/admin_api_keys/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::ADMIN_KEY_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }
}
