//! External storage: buckets of the customer's, in which projects keep their data.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{Client, Cloud, Error, ExternalStorageId, Pages, ProjectId, decode, operations};

/// A bucket of the customer's, in which a project keeps its data.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ExternalStorage {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: ExternalStorageId,
    /// The project.
    #[serde(default, deserialize_with = "lenient")]
    pub project_id: Option<ProjectId>,
    /// Where the bucket is.
    #[serde(default, rename = "provider", deserialize_with = "lenient")]
    pub place: Option<ExternalStoragePlace>,
    /// In which part of the world.
    #[serde(default, deserialize_with = "lenient")]
    pub geography: Option<String>,
    /// Whether it can be used.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<ExternalStorageStatus>,
    /// When it was registered.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
}

impl Listed for ExternalStorage {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Where a bucket is. Which fields it has depends on the cloud.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ExternalStoragePlace {
    /// The cloud.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub cloud: Option<Cloud>,
    /// The bucket; none in Azure.
    #[serde(default, deserialize_with = "lenient")]
    pub bucket: Option<String>,
    /// The region.
    #[serde(default, deserialize_with = "lenient")]
    pub region: Option<String>,
    /// AWS: the account.
    #[serde(default, deserialize_with = "lenient")]
    pub account_id: Option<String>,
    /// AWS: the ARN of the role that is taken on to use it.
    #[serde(default, deserialize_with = "lenient")]
    pub role_arn: Option<String>,
    /// AWS: the external id that the role asks for.
    #[serde(default, deserialize_with = "lenient")]
    pub external_id: Option<String>,
    /// Azure: the tenant.
    #[serde(default, deserialize_with = "lenient")]
    pub tenant_id: Option<String>,
    /// Azure: the subscription.
    #[serde(default, deserialize_with = "lenient")]
    pub subscription_id: Option<String>,
    /// Azure: the resource group.
    #[serde(default, deserialize_with = "lenient")]
    pub resource_group: Option<String>,
    /// Azure: the storage account.
    #[serde(default, deserialize_with = "lenient")]
    pub account_name: Option<String>,
    /// Azure: the container.
    #[serde(default, deserialize_with = "lenient")]
    pub container: Option<String>,
    /// Google: the audience of the tokens that are exchanged to use it.
    #[serde(default, deserialize_with = "lenient")]
    pub audience: Option<String>,
    /// Google: the number of the project of the workload identity pool.
    #[serde(default, deserialize_with = "lenient")]
    pub workload_identity_project_number: Option<String>,
    /// Google: the workload identity pool.
    #[serde(default, deserialize_with = "lenient")]
    pub workload_identity_pool_id: Option<String>,
    /// Google: the provider in that pool.
    #[serde(default, deserialize_with = "lenient")]
    pub workload_identity_provider_id: Option<String>,
    /// Oracle: the OCID of the tenancy.
    #[serde(default, deserialize_with = "lenient")]
    pub tenancy_ocid: Option<String>,
}

lenient_struct!(ExternalStoragePlace);

open_enum! {
    /// Whether external storage can be used.
    pub enum ExternalStorageStatus {
        /// It can, and not well.
        Degraded = "degraded",
        /// It was not tried yet.
        Pending = "pending",
        /// It cannot.
        Unhealthy = "unhealthy",
        /// It can.
        Validated = "validated",
    }
}

/// Which external storage is to be registered.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewExternalStorage {
    project_id: ProjectId,
    #[serde(rename = "provider")]
    place: Place,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Place {
    Aws(AwsBucket),
    Azure(AzureContainer),
    Gcp(GcpBucket),
    Oci(OciBucket),
}

impl NewExternalStorage {
    /// A bucket of Amazon S3, for this project.
    pub fn aws(project: impl Into<ProjectId>, bucket: AwsBucket) -> Self {
        Self { project_id: project.into(), place: Place::Aws(bucket) }
    }

    /// A container of Azure, for this project.
    pub fn azure(project: impl Into<ProjectId>, container: AzureContainer) -> Self {
        Self { project_id: project.into(), place: Place::Azure(container) }
    }

    /// A bucket of Google Cloud, for this project.
    pub fn gcp(project: impl Into<ProjectId>, bucket: GcpBucket) -> Self {
        Self { project_id: project.into(), place: Place::Gcp(bucket) }
    }

    /// A bucket of Oracle Cloud, for this project.
    pub fn oci(project: impl Into<ProjectId>, bucket: OciBucket) -> Self {
        Self { project_id: project.into(), place: Place::Oci(bucket) }
    }

    /// Whether storage is what this would register: the same bucket for the same project.
    fn is_like(&self, storage: &ExternalStorage) -> bool {
        let Some(place) = &storage.place else { return false };
        let is_in = |cloud: Cloud| place.cloud == Some(cloud);
        let is = |field: &Option<String>, text: &str| field.as_deref() == Some(text);
        storage.project_id.as_ref() == Some(&self.project_id)
            && match &self.place {
                Place::Aws(new) => is_in(Cloud::Aws) && is(&place.bucket, &new.bucket),
                Place::Azure(new) => {
                    is_in(Cloud::Azure)
                        && is(&place.account_name, &new.account_name)
                        && is(&place.container, &new.container)
                }
                Place::Gcp(new) => is_in(Cloud::Gcp) && is(&place.bucket, &new.bucket),
                Place::Oci(new) => {
                    is_in(Cloud::Oci)
                        && is(&place.bucket, &new.bucket)
                        && is(&place.region, &new.region)
                }
            }
    }
}

/// A bucket of Amazon S3, and who may use it.
#[derive(Clone, Debug, Serialize)]
pub struct AwsBucket {
    /// The name.
    pub bucket: String,
    /// The ARN of the role that is taken on to use it.
    pub role_arn: String,
}

/// A container of Azure.
#[derive(Clone, Debug, Serialize)]
pub struct AzureContainer {
    /// The tenant.
    pub tenant_id: String,
    /// The subscription.
    pub subscription_id: String,
    /// The resource group.
    pub resource_group: String,
    /// The storage account.
    pub account_name: String,
    /// The name.
    pub container: String,
}

/// A bucket of Google Cloud, and who may use it.
#[derive(Clone, Debug, Serialize)]
pub struct GcpBucket {
    /// The name.
    pub bucket: String,
    /// The number of the project of the workload identity pool.
    pub workload_identity_project_number: String,
    /// The workload identity pool.
    pub workload_identity_pool_id: String,
    /// The provider in that pool.
    pub workload_identity_provider_id: String,
}

/// A bucket of Oracle Cloud.
#[derive(Clone, Debug, Serialize)]
pub struct OciBucket {
    /// The name.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// The OCID of the tenancy.
    pub tenancy_ocid: String,
}

/// The organization's external storage. It comes from [`Client::external_storage`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::ExternalStorageStatus;
///
/// for storage in client.external_storage().list().all().await? {
///     let storage = client.external_storage_by_id(storage.id).validate().await?;
///     if storage.status != Some(ExternalStorageStatus::Validated) {
///         println!("{}: {:?}", storage.id, storage.status);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ExternalStorages {
    client: Client,
}

impl ExternalStorages {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the external storage.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/list)
    pub fn list(&self) -> Pages<ExternalStorage> {
        let call = Call::new(operations::EXTERNAL_STORAGE_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Lists that of this project.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/list)
    pub fn list_of_project(&self, project: impl Into<ProjectId>) -> Pages<ExternalStorage> {
        let call = Call::new(operations::EXTERNAL_STORAGE_LIST, [])
            .query("limit", PAGE)
            .query("project_id", project.into());
        Pages::new(self.client.clone(), call)
    }

    /// Registers some. It is sent once.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was registered: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: &NewExternalStorage) -> Result<ExternalStorage, Error> {
        let call = Call::new(operations::EXTERNAL_STORAGE_CREATE, []).json(new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// What is registered of the same bucket for the same project: what a create call of unknown
    /// outcome has made, if anything. It has no name.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, new: &NewExternalStorage) -> Result<Vec<ExternalStorage>, Error> {
        let storage = self.list_of_project(&new.project_id).all().await?;
        Ok(storage.into_iter().filter(|storage| new.is_like(storage)).collect())
    }
}

/// One external storage. It comes from [`Client::external_storage_by_id`].
#[derive(Clone, Debug)]
pub struct ExternalStorageHandle {
    client: Client,
    id: ExternalStorageId,
}

impl ExternalStorageHandle {
    pub(crate) fn new(client: Client, id: ExternalStorageId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<ExternalStorage, Error> {
        self.call(Call::new(operations::EXTERNAL_STORAGE_GET, [self.id.as_str()])).await
    }

    /// Deletes it here. The bucket stays.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::EXTERNAL_STORAGE_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Lets the server try it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_storage/methods/validate)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn validate(&self) -> Result<ExternalStorage, Error> {
        self.call(Call::new(operations::EXTERNAL_STORAGE_VALIDATE, [self.id.as_str()])).await
    }

    async fn call(&self, call: Call) -> Result<ExternalStorage, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::resources::shapes;

    #[test]
    fn storage_is_read_whatever_it_has() {
        const TEXTS: &str = "type \
            bucket region account_id role_arn external_id tenant_id subscription_id \
            resource_group account_name container audience \
            workload_identity_project_number workload_identity_pool_id \
            workload_identity_provider_id tenancy_ocid";

        let text = |(n, field): (usize, &str)| (field.to_owned(), json!(format!("text-{n}")));
        let place: Map<_, _> = TEXTS.split_whitespace().enumerate().map(text).collect();
        let full = json!({
            "object": "organization.external_storage", "id": "storage-1", "project_id": "proj-1",
            "provider": Value::Object(place), "geography": "moon", "status": "sleepy",
            "created_at": 1_790_000_000,
        });
        shapes::check::<ExternalStorage>(&["id"], &full);
        for (word, status) in [
            ("degraded", ExternalStorageStatus::Degraded),
            ("pending", ExternalStorageStatus::Pending),
            ("unhealthy", ExternalStorageStatus::Unhealthy),
            ("validated", ExternalStorageStatus::Validated),
        ] {
            let json = json!({"id": "storage-1", "status": word});
            let storage: ExternalStorage = serde_json::from_value(json).unwrap();
            assert_eq!(storage.status, Some(status));
        }
    }

    /// What is asked for, what is answered is like it, and only in its own project and cloud.
    #[test]
    fn storage_is_asked_for_as_its_cloud_has_it() {
        let s = str::to_owned;
        let aws = AwsBucket { bucket: s("b"), role_arn: s("r") };
        let azure = AzureContainer {
            tenant_id: s("t"),
            subscription_id: s("s"),
            resource_group: s("g"),
            account_name: s("a"),
            container: s("c"),
        };
        let gcp = GcpBucket {
            bucket: s("b"),
            workload_identity_project_number: s("7"),
            workload_identity_pool_id: s("wp"),
            workload_identity_provider_id: s("wi"),
        };
        let oci = OciBucket { bucket: s("b"), region: s("r"), tenancy_ocid: s("o") };
        for (new, provider) in [
            (
                NewExternalStorage::aws("proj-1", aws),
                json!({"type": "aws", "bucket": "b", "role_arn": "r"}),
            ),
            (
                NewExternalStorage::azure("proj-1", azure),
                json!({
                    "type": "azure", "tenant_id": "t", "subscription_id": "s",
                    "resource_group": "g", "account_name": "a", "container": "c",
                }),
            ),
            (
                NewExternalStorage::gcp("proj-1", gcp),
                json!({
                    "type": "gcp", "bucket": "b", "workload_identity_project_number": "7",
                    "workload_identity_pool_id": "wp", "workload_identity_provider_id": "wi",
                }),
            ),
            (
                NewExternalStorage::oci("proj-1", oci),
                json!({"type": "oci", "bucket": "b", "region": "r", "tenancy_ocid": "o"}),
            ),
        ] {
            let body = serde_json::to_value(&new).unwrap();
            assert_eq!(body, json!({"project_id": "proj-1", "provider": provider}));
            let storage = |changes: &[(&str, Value)]| {
                let mut storage = body.clone();
                storage["id"] = json!("storage-1");
                for (pointer, value) in changes {
                    if let Some(field) = storage.pointer_mut(pointer) {
                        *field = value.clone();
                    }
                }
                serde_json::from_value::<ExternalStorage>(storage).unwrap()
            };
            assert!(new.is_like(&storage(&[])));
            assert!(!new.is_like(&storage(&[("/project_id", json!("proj-2"))])));
            assert!(!new.is_like(&storage(&[("/provider/type", json!("attic"))])));
            assert!(!new.is_like(&storage(&[("/provider", json!(null))])));
            let renamed =
                [("/provider/bucket", json!("other")), ("/provider/container", json!("other"))];
            assert!(!new.is_like(&storage(&renamed)));
        }
    }
}
