//! Service accounts: who a machine is in a project, and the keys made for it.

use std::time::Duration;

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Named, PAGE, named, seconds};
use crate::mint::{Description, MintedKey, mint, mint_or_not, unreadable};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{
    ApiKeyId, Client, Error, KeyOwnerKind, Pages, ProjectApiKey, ProjectId, Scopes,
    ServiceAccountId, decode, operations,
};

/// A service account.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: ServiceAccountId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// What it may do in the project.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<ServiceAccountRole>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
}

impl Listed for ServiceAccount {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// What a service account may do in its project.
    pub enum ServiceAccountRole {
        /// It may use the project.
        Member = "member",
        /// Nothing: its keys are useless until it is given a role.
        None = "none",
        /// It may use and manage the project.
        Owner = "owner",
    }
}

/// What a new service account is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewServiceAccount {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_service_account_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u64>,
}

impl NewServiceAccount {
    /// An account without a key and with the role [`None`](ServiceAccountRole::None).
    ///
    /// Give it a role, then make [scoped keys](ServiceAccountHandle::create_key) for it.
    pub fn without_key(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            create_service_account_only: Some(true),
            expires_in_seconds: None,
        }
    }

    /// A member of the project with a first key, which has all scopes.
    pub fn with_unscoped_key(name: impl Into<String>) -> Self {
        Self { name: name.into(), create_service_account_only: None, expires_in_seconds: None }
    }

    /// A member of the project with a first key, which has all scopes and expires.
    pub fn with_expiring_unscoped_key(name: impl Into<String>, life: Duration) -> Self {
        Self { expires_in_seconds: Some(seconds(life)), ..Self::with_unscoped_key(name) }
    }
}

/// A service account that was just made, and the key that came with it.
///
/// Every field is optional, even the id: a key must not be lost because the description of its
/// account drifted. An account without an id is found by [`ServiceAccounts::reconcile`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedServiceAccount {
    /// The id.
    pub id: Option<ServiceAccountId>,
    /// The name.
    pub name: Option<String>,
    /// What it may do in the project.
    pub role: Option<ServiceAccountRole>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Its first key, if one was asked for.
    pub key: Option<MintedKey<ApiKeyId>>,
}

/// What to change of a service account.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct ServiceAccountUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<ServiceAccountRole>,
}

impl ServiceAccountUpdate {
    /// Changes its role: [`Member`](ServiceAccountRole::Member) or
    /// [`Owner`](ServiceAccountRole::Owner).
    pub fn role(role: ServiceAccountRole) -> Self {
        Self { role: Some(role), name: None }
    }

    /// Gives it another name.
    pub fn rename(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// What a new key of a service account is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create_key`"]
pub struct NewServiceAccountKey {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u64>,
}

impl NewServiceAccountKey {
    /// A key of this name that may do this much. A name used once can be
    /// [reconciled](ServiceAccountHandle::reconcile).
    pub fn new(name: impl Into<String>, scopes: Scopes) -> Self {
        // Everything is said by leaving the field out; an empty list is not sent at all.
        let scopes = match scopes {
            Scopes::All => None,
            Scopes::Only(list) => Some(list.iter().map(ToString::to_string).collect()),
        };
        Self { name: name.into(), scopes, expires_in_seconds: None }
    }

    /// Lets it expire, in whole seconds from 1 second to a year.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires_in_seconds = Some(seconds(life));
        self
    }
}

/// The service accounts of a project. It comes from
/// [`ProjectHandle::service_accounts`](crate::ProjectHandle::service_accounts).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{
///     NewServiceAccount, NewServiceAccountKey, Scope, Scopes, ServiceAccountRole,
///     ServiceAccountUpdate,
/// };
///
/// let project = client.project("proj_abc");
/// let new = NewServiceAccount::without_key("billing-api");
/// if let Some(id) = project.service_accounts().create(new).await?.id {
///     let account = project.service_account(id);
///     account.update(ServiceAccountUpdate::role(ServiceAccountRole::Member)).await?;
///     let scopes = Scopes::only(Scope::RESPONSES_WRITE);
///     let minted = account.create_key(NewServiceAccountKey::new("2026-11", scopes)).await?;
///     println!("{minted:?}"); // the kind and the fingerprint, not the value
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    client: Client,
    project: ProjectId,
}

impl ServiceAccounts {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists the service accounts.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`]. An archived project has none:
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) comes instead.
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/methods/list)
    pub fn list(&self) -> Pages<ServiceAccount> {
        let call = Call::new(operations::SERVICE_ACCOUNTS_LIST, [self.project.as_str()])
            .query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Makes one. It is sent once.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile);
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when the project is
    /// archived; [`ErrorKind::OrganizationPolicy`](crate::ErrorKind::OrganizationPolicy) when its
    /// key would live longer than the organization or the project lets keys live.
    ///
    /// # Security
    ///
    /// A key that comes with the account is shown this once.
    pub async fn create(&self, new: NewServiceAccount) -> Result<CreatedServiceAccount, Error> {
        let call =
            Call::new(operations::SERVICE_ACCOUNTS_CREATE, [self.project.as_str()]).json(&new);
        let answer = mint_or_not(&self.client, call.clone()).await?;
        let wants_key = new.create_service_account_only != Some(true);
        if !answer.has_key() && (wants_key || answer.top.id.is_none()) {
            return Err(unreadable(&call));
        }
        let Description { id, name, role, created_at, .. } = answer.top.clone();
        let (metadata, key) = answer.into_nested_key();
        Ok(CreatedServiceAccount {
            id: id.map(ServiceAccountId::from),
            name,
            role: role.as_deref().map(ServiceAccountRole::from),
            created_at,
            key: key.map(|key| MintedKey { metadata, key }),
        })
    }

    /// The accounts of exactly this name: what a create call of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<ServiceAccount>, Error> {
        let accounts = self.list().all().await?;
        named(accounts, &operations::SERVICE_ACCOUNTS_LIST, name, |a| Named::of(a.name.as_deref()))
    }
}

/// One service account. It comes from
/// [`ProjectHandle::service_account`](crate::ProjectHandle::service_account).
#[derive(Clone, Debug)]
pub struct ServiceAccountHandle {
    client: Client,
    project: ProjectId,
    id: ServiceAccountId,
}

impl ServiceAccountHandle {
    pub(crate) fn new(client: Client, project: ProjectId, id: ServiceAccountId) -> Self {
        Self { client, project, id }
    }

    /// Describes it.
    ///
    /// A role allows it by the area "Project Administration" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<ServiceAccount, Error> {
        self.call(Call::new(operations::SERVICE_ACCOUNT_GET, self.path())).await
    }

    /// Changes it.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn update(&self, update: ServiceAccountUpdate) -> Result<ServiceAccount, Error> {
        self.call(Call::new(operations::SERVICE_ACCOUNT_UPDATE, self.path()).json(&update)).await
    }

    /// Deletes it and all its keys.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) when the project is
    /// archived, which has none; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::SERVICE_ACCOUNT_DELETE, self.path());
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Makes a key for it. It is sent once.
    ///
    /// A role allows it by the area "Project Administration" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/subresources/api_keys/methods/create)
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
    /// The value is shown this once.
    pub async fn create_key(
        &self,
        new: NewServiceAccountKey,
    ) -> Result<MintedKey<ApiKeyId>, Error> {
        let call = Call::new(operations::SERVICE_ACCOUNT_KEYS_CREATE, self.path()).json(&new);
        mint(&self.client, call).await
    }

    /// This account's keys, whatever they are called.
    ///
    /// The API has no such listing: the project's keys are listed, and those of others dropped.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn keys(&self) -> Result<Vec<ProjectApiKey>, Error> {
        let keys = self.client.project(&self.project).api_keys().list().all().await?;
        let is_ours = |key: &ProjectApiKey| key.service_account_id() == Some(&self.id);
        Ok(keys.into_iter().filter(is_ours).collect())
    }

    /// This account's keys of exactly this name: what a create call of unknown outcome has made,
    /// if anything.
    ///
    /// Their values cannot be had again. Delete them, and create anew.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for a key of which it cannot
    /// be told whose it is or what it is called, because "none" would be a guess.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<ProjectApiKey>, Error> {
        let keys = self.client.project(&self.project).api_keys().list().all().await?;
        named(keys, &operations::PROJECT_KEYS_LIST, name, |key| {
            let of_user = key.owner.as_ref().and_then(|owner| owner.kind.as_ref())
                == Some(&KeyOwnerKind::User);
            match key.service_account_id() {
                Some(account) if *account != self.id => Named::NotOurs,
                None if of_user => Named::NotOurs,
                None => Named::Unclear,
                Some(_) => Named::of(key.name.as_deref()),
            }
        })
    }

    fn path(&self) -> [&str; 2] {
        [self.project.as_str(), self.id.as_str()]
    }

    async fn call(&self, call: Call) -> Result<ServiceAccount, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
