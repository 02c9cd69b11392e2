//! External keys: encryption keys that the customer keeps in a cloud's key management.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Named, PAGE, named};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, open_enum, required_id};
use crate::{Client, Error, ExternalKeyId, Pages, ProjectId, decode, operations};

/// An encryption key in a cloud: where it is, never the key itself.
///
/// Which fields it has beside the first ones depends on the cloud.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ExternalKey {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: ExternalKeyId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// In which cloud it is.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub cloud: Option<Cloud>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub purpose: Option<ExternalKeyPurpose>,
    /// When it was registered.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// The projects that use it.
    #[serde(default, deserialize_with = "lenient")]
    pub api_project_ids: Option<Vec<ProjectId>>,
    /// The workspace that uses it.
    #[serde(default, deserialize_with = "lenient")]
    pub workspace_id: Option<String>,
    /// AWS: the ARN of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_arn: Option<String>,
    /// AWS: the ARN of the role that is taken on to use it.
    #[serde(default, deserialize_with = "lenient")]
    pub role_arn: Option<String>,
    /// AWS: the external id that the role asks for.
    #[serde(default, deserialize_with = "lenient")]
    pub external_id: Option<String>,
    /// Azure: the tenant.
    #[serde(default, deserialize_with = "lenient")]
    pub tenant_id: Option<String>,
    /// Azure: the address of the vault.
    #[serde(default, deserialize_with = "lenient")]
    pub vault_uri: Option<String>,
    /// Azure: the name of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub key_name: Option<String>,
    /// Azure: the version of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub key_version: Option<String>,
    /// Google: the project of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_project_id: Option<String>,
    /// Google: the location of the key ring.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_key_location: Option<String>,
    /// Google: the name of the key ring.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_key_ring_name: Option<String>,
    /// Google: the name of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_key_name: Option<String>,
    /// Google: the version of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub kms_key_version: Option<String>,
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
    /// Oracle: the region.
    #[serde(default, deserialize_with = "lenient")]
    pub region: Option<String>,
    /// Oracle: the OCID of the vault.
    #[serde(default, deserialize_with = "lenient")]
    pub vault_ocid: Option<String>,
    /// Oracle: the OCID of the key.
    #[serde(default, deserialize_with = "lenient")]
    pub key_ocid: Option<String>,
    /// Oracle: the OCID of the key's version.
    #[serde(default, deserialize_with = "lenient")]
    pub key_version_ocid: Option<String>,
}

impl Listed for ExternalKey {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// A cloud.
    pub enum Cloud {
        /// Amazon's.
        Aws = "aws",
        /// Microsoft's.
        Azure = "azure",
        /// Google's.
        Gcp = "gcp",
        /// Oracle's.
        Oci = "oci",
    }
}

open_enum! {
    /// What an external key is for.
    pub enum ExternalKeyPurpose {
        /// Enterprise key management.
        Ekm = "ekm",
        /// Decryption for what the API calls PSP.
        PspDecryption = "psp_decryption",
    }
}

/// Which external key is to be registered.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewExternalKey {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<ExternalKeyPurpose>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Place {
    Aws(AwsKey),
    Azure(AzureKey),
    Gcp(GcpKey),
    Oci(OciKey),
}

impl NewExternalKey {
    /// A key in AWS KMS. A name used once can be [reconciled](ExternalKeys::reconcile).
    pub fn aws(name: impl Into<String>, key: AwsKey) -> Self {
        Self::new(name, Place::Aws(key))
    }

    /// A key in Azure Key Vault.
    pub fn azure(name: impl Into<String>, key: AzureKey) -> Self {
        Self::new(name, Place::Azure(key))
    }

    /// A key in Google Cloud KMS.
    pub fn gcp(name: impl Into<String>, key: GcpKey) -> Self {
        Self::new(name, Place::Gcp(key))
    }

    /// A key in a vault of Oracle Cloud.
    pub fn oci(name: impl Into<String>, key: OciKey) -> Self {
        Self::new(name, Place::Oci(key))
    }

    /// What it is for.
    pub fn purpose(mut self, purpose: ExternalKeyPurpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    fn new(name: impl Into<String>, place: Place) -> Self {
        Self { name: name.into(), purpose: None, place }
    }
}

/// Where a key in AWS KMS is, and who may use it.
#[derive(Clone, Debug, Serialize)]
pub struct AwsKey {
    /// The ARN of the key.
    pub kms_arn: String,
    /// The ARN of the role that is taken on to use it.
    pub role_arn: String,
    /// The external id that the role asks for.
    pub external_id: String,
}

/// Where a key in Azure Key Vault is.
#[derive(Clone, Debug, Serialize)]
pub struct AzureKey {
    /// The tenant.
    pub tenant_id: String,
    /// The address of the vault.
    pub vault_uri: String,
    /// The name of the key.
    pub key_name: String,
    /// The version of the key, if it is to be one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version: Option<String>,
}

/// Where a key in Google Cloud KMS is, and who may use it.
#[derive(Clone, Debug, Serialize)]
pub struct GcpKey {
    /// The project of the key.
    pub kms_project_id: String,
    /// The location of the key ring.
    pub kms_key_location: String,
    /// The name of the key ring.
    pub kms_key_ring_name: String,
    /// The name of the key.
    pub kms_key_name: String,
    /// The version of the key, if it is to be one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_version: Option<String>,
    /// The audience of the tokens that are exchanged to use it.
    pub audience: String,
    /// The number of the project of the workload identity pool.
    pub workload_identity_project_number: String,
    /// The workload identity pool.
    pub workload_identity_pool_id: String,
    /// The provider in that pool.
    pub workload_identity_provider_id: String,
}

/// Where a key of Oracle Cloud is.
#[derive(Clone, Debug, Serialize)]
pub struct OciKey {
    /// The region.
    pub region: String,
    /// The OCID of the vault.
    pub vault_ocid: String,
    /// The OCID of the key.
    pub key_ocid: String,
    /// The OCID of the key's version, if it is to be one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version_ocid: Option<String>,
}

/// What came of trying an external key.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ExternalKeyValidation {
    /// What came of it, in the server's words.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<String>,
}

/// The organization's external keys. It comes from [`Client::external_keys`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{AzureKey, NewExternalKey};
///
/// let key = AzureKey {
///     tenant_id: "contoso".to_owned(),
///     vault_uri: "https://contoso.vault.azure.net".to_owned(),
///     key_name: "openai".to_owned(),
///     key_version: None,
/// };
/// let made = client.external_keys().create(NewExternalKey::azure("contoso", key)).await?;
/// let tried = client.external_key(made.id).validate().await?;
/// println!("{:?}", tried.status);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ExternalKeys {
    client: Client,
}

impl ExternalKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the external keys.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "External Keys" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/list)
    pub fn list(&self) -> Pages<ExternalKey> {
        let call = Call::new(operations::EXTERNAL_KEYS_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Lists those for this purpose.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by the area "External Keys" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/list)
    pub fn list_by_purpose(&self, purpose: &ExternalKeyPurpose) -> Pages<ExternalKey> {
        let call = Call::new(operations::EXTERNAL_KEYS_LIST, [])
            .query("limit", PAGE)
            .query("purpose", purpose);
        Pages::new(self.client.clone(), call)
    }

    /// Registers one. It is sent once.
    ///
    /// A role allows it by the area "External Keys" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was registered: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: NewExternalKey) -> Result<ExternalKey, Error> {
        let call = Call::new(operations::EXTERNAL_KEYS_CREATE, []).json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The external keys of exactly this name: what a create call of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<ExternalKey>, Error> {
        let keys = self.list().all().await?;
        named(keys, &operations::EXTERNAL_KEYS_LIST, name, |key| Named::of(key.name.as_deref()))
    }
}

/// One external key. It comes from [`Client::external_key`].
#[derive(Clone, Debug)]
pub struct ExternalKeyHandle {
    client: Client,
    id: ExternalKeyId,
}

impl ExternalKeyHandle {
    pub(crate) fn new(client: Client, id: ExternalKeyId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// A role allows it by the area "External Keys" (read).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<ExternalKey, Error> {
        let call = Call::new(operations::EXTERNAL_KEY_GET, [self.id.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Deletes it here. In its cloud it stays.
    ///
    /// A role allows it by the area "External Keys" (write).
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::EXTERNAL_KEY_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// Lets the server try it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/external_keys/methods/validate)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn validate(&self) -> Result<ExternalKeyValidation, Error> {
        let call = Call::new(operations::EXTERNAL_KEY_VALIDATE, [self.id.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::resources::shapes;

    #[test]
    fn a_key_is_read_whatever_it_has() {
        const TEXTS: &str = "name type purpose workspace_id \
            kms_arn role_arn external_id tenant_id vault_uri key_name key_version \
            kms_project_id kms_key_location kms_key_ring_name kms_key_name \
            kms_key_version audience workload_identity_project_number \
            workload_identity_pool_id workload_identity_provider_id region vault_ocid \
            key_ocid key_version_ocid";

        let text = |(n, field): (usize, &str)| (field.to_owned(), json!(format!("text-{n}")));
        let mut full: Map<_, _> = TEXTS.split_whitespace().enumerate().map(text).collect();
        full.insert("id".to_owned(), json!("key-1"));
        full.insert("created_at".to_owned(), json!(1_790_000_000));
        full.insert("api_project_ids".to_owned(), json!(["proj-1", "proj-2"]));
        shapes::check::<ExternalKey>(&["id"], &Value::Object(full));
        shapes::check::<ExternalKeyValidation>(&[], &json!({"status": "so-so"}));

        for (word, cloud) in
            [("aws", Cloud::Aws), ("azure", Cloud::Azure), ("gcp", Cloud::Gcp), ("oci", Cloud::Oci)]
        {
            let json = json!({"id": "key-1", "type": word, "purpose": "psp_decryption"});
            let key: ExternalKey = serde_json::from_value(json).unwrap();
            assert_eq!(key.cloud, Some(cloud));
            assert_eq!(key.purpose, Some(ExternalKeyPurpose::PspDecryption));
        }
    }

    #[test]
    fn a_key_is_asked_for_as_its_cloud_has_it() {
        let s = str::to_owned;
        let aws = AwsKey { kms_arn: s("a"), role_arn: s("r"), external_id: s("e") };
        let azure = AzureKey {
            tenant_id: s("t"),
            vault_uri: s("u"),
            key_name: s("k"),
            key_version: Some(s("1")),
        };
        let gcp = GcpKey {
            kms_project_id: s("p"),
            kms_key_location: s("l"),
            kms_key_ring_name: s("r"),
            kms_key_name: s("k"),
            kms_key_version: None,
            audience: s("a"),
            workload_identity_project_number: s("7"),
            workload_identity_pool_id: s("wp"),
            workload_identity_provider_id: s("wi"),
        };
        let oci =
            OciKey { region: s("r"), vault_ocid: s("v"), key_ocid: s("k"), key_version_ocid: None };
        for (new, expected) in [
            (
                NewExternalKey::aws("n", aws).purpose(ExternalKeyPurpose::Ekm),
                json!({
                    "type": "aws", "name": "n", "purpose": "ekm", "kms_arn": "a", "role_arn": "r",
                    "external_id": "e",
                }),
            ),
            (
                NewExternalKey::azure("n", azure),
                json!({
                    "type": "azure", "name": "n", "tenant_id": "t", "vault_uri": "u",
                    "key_name": "k", "key_version": "1",
                }),
            ),
            (
                NewExternalKey::gcp("n", gcp),
                json!({
                    "type": "gcp", "name": "n", "kms_project_id": "p", "kms_key_location": "l",
                    "kms_key_ring_name": "r", "kms_key_name": "k", "audience": "a",
                    "workload_identity_project_number": "7", "workload_identity_pool_id": "wp",
                    "workload_identity_provider_id": "wi",
                }),
            ),
            (
                NewExternalKey::oci("n", oci),
                json!({
                    "type": "oci", "name": "n", "region": "r", "vault_ocid": "v", "key_ocid": "k",
                }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&new).unwrap(), expected);
        }
    }
}
