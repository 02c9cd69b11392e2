//! Projects: what keys, service accounts, limits and budgets belong to.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Account, Named, PAGE, named};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{
    ApiKeyId, Client, DataRetentionHandle, Error, FanOut, GroupId, HostedToolPermissionsHandle,
    ModelPermissionsHandle, Pages, ProjectApiKeyHandle, ProjectApiKeys, ProjectCertificates,
    ProjectGroupHandle, ProjectGroups, ProjectId, ProjectUserHandle, ProjectUsers, RateLimits,
    RoleHandle, RoleId, Roles, ServiceAccountHandle, ServiceAccountId, ServiceAccounts,
    ServiceTierSettingsHandle, SpendAlertHandle, SpendAlertId, SpendAlerts, SpendLimitHandle,
    UserId, decode, operations,
};

/// A project.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: ProjectId,
    /// The name, which appears in reports.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Whether it is in use.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<ProjectStatus>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it was archived; none while it is in use.
    #[serde(default, deserialize_with = "lenient")]
    pub archived_at: Option<Timestamp>,
    /// The customer-managed encryption key of the project.
    #[serde(default, deserialize_with = "lenient")]
    pub external_key_id: Option<String>,
    /// Where its data stays and is processed, such as `EU_STORAGE_PROCESSING`.
    #[serde(default, deserialize_with = "lenient")]
    pub residency: Option<String>,
}

impl Listed for Project {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// Whether a project is in use.
    pub enum ProjectStatus {
        /// It is in use.
        Active = "active",
        /// It is archived: its keys are dead and nothing in it can be changed.
        Archived = "archived",
    }
}

/// What a new project is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewProject {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    residency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_key_id: Option<String>,
}

impl NewProject {
    /// A project of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), residency: None, external_key_id: None }
    }

    /// Keeps its data in a region, such as `EU_STORAGE_PROCESSING`. It cannot be changed later.
    pub fn residency(mut self, residency: impl Into<String>) -> Self {
        self.residency = Some(residency.into());
        self
    }

    /// Encrypts its data with a key of the customer's.
    pub fn external_key(mut self, id: impl Into<String>) -> Self {
        self.external_key_id = Some(id.into());
        self
    }
}

/// What to change of a project.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `modify`"]
pub struct ProjectUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_key_id: Option<String>,
}

impl ProjectUpdate {
    /// Gives it another name.
    pub fn rename(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), external_key_id: None }
    }

    /// Encrypts its data with a key of the customer's.
    pub fn external_key(mut self, id: impl Into<String>) -> Self {
        self.external_key_id = Some(id.into());
        self
    }
}

/// The organization's projects. It comes from [`Client::projects`].
#[derive(Clone, Debug)]
pub struct Projects {
    client: Client,
}

impl Projects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the projects in use.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/list)
    pub fn list(&self) -> Pages<Project> {
        self.pages(false)
    }

    /// Lists the projects in use and those archived.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/list)
    pub fn list_with_archived(&self) -> Pages<Project> {
        self.pages(true)
    }

    /// Lists something of each project in use, several projects at once, while they are listed.
    ///
    /// ```
    /// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::ProjectError> {
    /// // Every key of the organization that does not expire.
    /// let mut keys = client.projects().each(|project| project.api_keys().list());
    /// while let Some(found) = keys.next().await {
    ///     let (project, key) = found?;
    ///     if key.expires_at.is_none() {
    ///         println!("{project}: {}", key.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[allow(private_bounds, reason = "only what this crate lists can be listed")]
    pub fn each<T: Listed>(
        &self,
        list: impl Fn(ProjectHandle) -> Pages<T> + Send + 'static,
    ) -> FanOut<T> {
        FanOut::of_listed(self.client.clone(), self.list(), list)
    }

    /// Lists something of each of these projects, several projects at once.
    #[allow(private_bounds, reason = "only what this crate lists can be listed")]
    pub fn each_of<T: Listed>(
        &self,
        projects: impl IntoIterator<Item = impl Into<ProjectId>>,
        list: impl Fn(ProjectHandle) -> Pages<T> + Send + 'static,
    ) -> FanOut<T> {
        let ids = projects.into_iter().map(Into::into).collect();
        FanOut::of_ids(self.client.clone(), ids, list)
    }

    /// Makes one. It is sent once.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: NewProject) -> Result<Project, Error> {
        let call = Call::new(operations::PROJECTS_CREATE, []).json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The projects in use of exactly this name: what a create call of unknown outcome has made,
    /// if anything.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<Project>, Error> {
        let projects = self.list().all().await?;
        named(projects, &operations::PROJECTS_LIST, name, |p| Named::of(p.name.as_deref()))
    }

    fn pages(&self, archived: bool) -> Pages<Project> {
        let call = Call::new(operations::PROJECTS_LIST, [])
            .query("limit", PAGE)
            .query("include_archived", archived);
        Pages::new(self.client.clone(), call)
    }
}

/// One project, and what is in it. It comes from [`Client::project`].
#[derive(Clone, Debug)]
pub struct ProjectHandle {
    client: Client,
    id: ProjectId,
}

impl ProjectHandle {
    pub(crate) fn new(client: Client, id: ProjectId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<Project, Error> {
        self.call(Call::new(operations::PROJECT_GET, [self.id.as_str()])).await
    }

    /// Changes it.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, and for the default project;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn modify(&self, update: ProjectUpdate) -> Result<Project, Error> {
        self.call(Call::new(operations::PROJECT_MODIFY, [self.id.as_str()]).json(&update)).await
    }

    /// Archives it, which kills its keys. It cannot be undone.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/methods/archive)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn archive(&self) -> Result<Project, Error> {
        self.call(Call::new(operations::PROJECT_ARCHIVE, [self.id.as_str()])).await
    }

    /// The API keys in it: those of people and those of service accounts.
    #[must_use]
    pub fn api_keys(&self) -> ProjectApiKeys {
        ProjectApiKeys::new(self.client.clone(), self.id.clone())
    }

    /// One API key in it.
    #[must_use]
    pub fn api_key(&self, id: impl Into<ApiKeyId>) -> ProjectApiKeyHandle {
        ProjectApiKeyHandle::new(self.client.clone(), self.id.clone(), id.into())
    }

    /// The certificates for it.
    #[must_use]
    pub fn certificates(&self) -> ProjectCertificates {
        ProjectCertificates::new(self.client.clone(), self.id.clone())
    }

    /// What is kept of its requests.
    #[must_use]
    pub fn data_retention(&self) -> DataRetentionHandle {
        DataRetentionHandle::of_project(self.client.clone(), self.id.clone())
    }

    /// The groups that may use it.
    #[must_use]
    pub fn groups(&self) -> ProjectGroups {
        ProjectGroups::new(self.client.clone(), self.id.clone())
    }

    /// One group that may use it.
    #[must_use]
    pub fn group(&self, id: impl Into<GroupId>) -> ProjectGroupHandle {
        ProjectGroupHandle::new(self.client.clone(), self.id.clone(), id.into())
    }

    /// The roles that can be assigned in it.
    #[must_use]
    pub fn roles(&self) -> Roles {
        Roles::of_project(self.client.clone(), self.id.clone())
    }

    /// One role that can be assigned in it.
    #[must_use]
    pub fn role(&self, id: impl Into<RoleId>) -> RoleHandle {
        RoleHandle::of_project(self.client.clone(), self.id.clone(), id.into())
    }

    /// The service accounts in it.
    #[must_use]
    pub fn service_accounts(&self) -> ServiceAccounts {
        ServiceAccounts::new(self.client.clone(), self.id.clone())
    }

    /// One service account in it.
    #[must_use]
    pub fn service_account(&self, id: impl Into<ServiceAccountId>) -> ServiceAccountHandle {
        ServiceAccountHandle::new(self.client.clone(), self.id.clone(), id.into())
    }

    /// The users of it.
    #[must_use]
    pub fn users(&self) -> ProjectUsers {
        ProjectUsers::new(self.client.clone(), self.id.clone())
    }

    /// One user of it.
    #[must_use]
    pub fn user(&self, id: impl Into<UserId>) -> ProjectUserHandle {
        ProjectUserHandle::new(self.client.clone(), self.id.clone(), id.into())
    }

    /// Its rate limits.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimits {
        RateLimits::new(self.client.clone(), self.id.clone())
    }

    /// Who is told what the project spends.
    #[must_use]
    pub fn spend_alerts(&self) -> SpendAlerts {
        SpendAlerts::new(self.client.clone(), Account::Project(self.id.clone()))
    }

    /// One spend alert of the project.
    #[must_use]
    pub fn spend_alert(&self, id: impl Into<SpendAlertId>) -> SpendAlertHandle {
        SpendAlertHandle::new(self.client.clone(), Account::Project(self.id.clone()), id.into())
    }

    /// How much the project can spend.
    #[must_use]
    pub fn spend_limit(&self) -> SpendLimitHandle {
        SpendLimitHandle::new(self.client.clone(), Account::Project(self.id.clone()))
    }

    /// Which of OpenAI's own tools it may use.
    #[must_use]
    pub fn hosted_tool_permissions(&self) -> HostedToolPermissionsHandle {
        HostedToolPermissionsHandle::new(self.client.clone(), self.id.clone())
    }

    /// Which models it may use.
    #[must_use]
    pub fn model_permissions(&self) -> ModelPermissionsHandle {
        ModelPermissionsHandle::new(self.client.clone(), self.id.clone())
    }

    /// How fast its calls are served.
    #[must_use]
    pub fn service_tier_settings(&self) -> ServiceTierSettingsHandle {
        ServiceTierSettingsHandle::new(self.client.clone(), self.id.clone())
    }

    async fn call(&self, call: Call) -> Result<Project, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}
