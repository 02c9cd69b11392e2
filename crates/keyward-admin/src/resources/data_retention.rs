//! Data retention: what OpenAI keeps of the requests, of the organization and of a project.

use serde::{Deserialize, Serialize};

use crate::operations::{self, Operation};
use crate::transport::Call;
use crate::wire::{lenient, open_enum};
use crate::{Client, Error, ProjectId, decode};

/// What is kept.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct DataRetention {
    /// The setting.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<DataRetentionKind>,
}

open_enum! {
    /// What is kept of the requests.
    pub enum DataRetentionKind {
        /// The enhanced form of [`ModifiedAbuseMonitoring`](Self::ModifiedAbuseMonitoring).
        EnhancedModifiedAbuseMonitoring = "enhanced_modified_abuse_monitoring",
        /// The enhanced form of [`ZeroDataRetention`](Self::ZeroDataRetention).
        EnhancedZeroDataRetention = "enhanced_zero_data_retention",
        /// No customer content is in the logs that are kept to monitor abuse.
        ModifiedAbuseMonitoring = "modified_abuse_monitoring",
        /// No control of it, of a project.
        None = "none",
        /// What the organization has, of a project.
        OrganizationDefault = "organization_default",
        /// Modified abuse monitoring, and nothing is stored where the endpoint can do without.
        ZeroDataRetention = "zero_data_retention",
    }
}

#[derive(Serialize)]
struct Update<'a> {
    retention_type: &'a DataRetentionKind,
}

/// The data retention of the organization or of a project. It comes from
/// [`Client::data_retention`] and
/// [`ProjectHandle::data_retention`](crate::ProjectHandle::data_retention).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::DataRetentionKind;
///
/// let retention = client.project("proj_abc").data_retention();
/// if retention.get().await?.kind != Some(DataRetentionKind::ZeroDataRetention) {
///     retention.set(DataRetentionKind::OrganizationDefault).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DataRetentionHandle {
    client: Client,
    project: Option<ProjectId>,
}

impl DataRetentionHandle {
    pub(crate) fn of_organization(client: Client) -> Self {
        Self { client, project: None }
    }

    pub(crate) fn of_project(client: Client, project: ProjectId) -> Self {
        Self { client, project: Some(project) }
    }

    /// Tells it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/data_retention/methods/retrieve),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/data_retention/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is no such project.
    pub async fn get(&self) -> Result<DataRetention, Error> {
        let call =
            self.call(operations::DATA_RETENTION_GET, operations::PROJECT_DATA_RETENTION_GET);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Changes it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/data_retention/methods/update),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/data_retention/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a setting that the
    /// server does not take: the organization has neither [`None`](DataRetentionKind::None) nor
    /// [`OrganizationDefault`](DataRetentionKind::OrganizationDefault).
    pub async fn set(&self, kind: DataRetentionKind) -> Result<DataRetention, Error> {
        let call = self
            .call(operations::DATA_RETENTION_UPDATE, operations::PROJECT_DATA_RETENTION_UPDATE)
            .json(&Update { retention_type: &kind });
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    fn call(&self, organization: Operation, project: Operation) -> Call {
        match &self.project {
            None => Call::new(organization, []),
            Some(id) => Call::new(project, [id.as_str()]),
        }
    }
}
