//! Certificates for mutual TLS, of the organization and of a project.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Named, PAGE, named};
use crate::operations::{self, Operation};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, required_id};
use crate::{CertificateId, Client, Error, ErrorKind, Pages, ProjectId, decode};

/// A certificate.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: CertificateId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// When it was uploaded.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// What is in it.
    #[serde(default, deserialize_with = "lenient")]
    pub certificate_details: Option<CertificateDetails>,
    /// Whether it is active in the organization or, where a project's are listed, in the project.
    /// [`CertificateHandle::get`] does not tell.
    #[serde(default, deserialize_with = "lenient")]
    pub active: Option<bool>,
}

impl Listed for Certificate {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// What is in a certificate.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct CertificateDetails {
    /// From when on it is valid.
    #[serde(default, deserialize_with = "lenient")]
    pub valid_at: Option<Timestamp>,
    /// When it expires.
    #[serde(default, deserialize_with = "lenient")]
    pub expires_at: Option<Timestamp>,
    /// The certificate as PEM, where it was [asked for](CertificateHandle::get_with_content). It
    /// is no secret.
    #[serde(default, deserialize_with = "lenient")]
    pub content: Option<String>,
}

lenient_struct!(CertificateDetails);

/// What certificate to upload.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `upload`"]
pub struct NewCertificate {
    name: String,
    certificate: String,
}

impl NewCertificate {
    /// A certificate as PEM. A name used once can be [reconciled](Certificates::reconcile).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when there is a private key in the text.
    ///
    /// # Security
    ///
    /// Files often hold a certificate and its private key together. Such a one is not taken, so
    /// that the key is neither sent nor printed.
    pub fn new(name: impl Into<String>, pem: impl Into<String>) -> Result<Self, Error> {
        let certificate = pem.into();
        if certificate.contains("PRIVATE KEY") {
            let text = "there is a private key in the PEM text; pass the certificate alone";
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        Ok(Self { name: name.into(), certificate })
    }
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Toggle<'a> {
    certificate_ids: &'a [CertificateId],
}

#[derive(Deserialize)]
struct Toggled {
    data: Vec<Certificate>,
}

/// The organization's certificates. It comes from [`Client::certificates`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::NewCertificate;
///
/// let pem = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n";
/// let uploaded = client.certificates().upload(NewCertificate::new("edge", pem)?).await?;
/// client.certificates().activate(&[uploaded.id]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Certificates {
    client: Client,
}

impl Certificates {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the certificates, active or not.
    ///
    /// In pages of 100, the newest first; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.mtls.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/list)
    pub fn list(&self) -> Pages<Certificate> {
        let call = Call::new(operations::CERTIFICATES_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Uploads one. It is sent once, and is not active before it is
    /// [activated](Self::activate). An organization can have 50.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`] when nobody knows whether it was uploaded: see
    /// [`reconcile`](Self::reconcile).
    pub async fn upload(&self, new: NewCertificate) -> Result<Certificate, Error> {
        let call = Call::new(operations::CERTIFICATES_UPLOAD, []).json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The certificates of exactly this name: what an upload of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing; and [`ErrorKind::Drift`](crate::ErrorKind::Drift) for one without a name.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<Certificate>, Error> {
        let certificates = self.list().all().await?;
        named(certificates, &operations::CERTIFICATES_LIST, name, |c| Named::of(c.name.as_deref()))
    }

    /// Activates from 1 to 10 in the organization: all of them or, on an error, none.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/activate)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when there are none or too many,
    /// [`ErrorKind::NotFound`] when there is none of one of these ids.
    pub async fn activate(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>, Error> {
        self.toggle(operations::CERTIFICATES_ACTIVATE, ids).await
    }

    /// Deactivates from 1 to 10 in the organization: all of them or, on an error, none.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/deactivate)
    ///
    /// # Errors
    ///
    /// As of [`activate`](Self::activate).
    pub async fn deactivate(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>, Error> {
        self.toggle(operations::CERTIFICATES_DEACTIVATE, ids).await
    }

    async fn toggle(
        &self,
        operation: Operation,
        ids: &[CertificateId],
    ) -> Result<Vec<Certificate>, Error> {
        toggle(&self.client, Call::new(operation, []), ids).await
    }
}

/// One certificate of the organization. It comes from [`Client::certificate`].
#[derive(Clone, Debug)]
pub struct CertificateHandle {
    client: Client,
    id: CertificateId,
}

impl CertificateHandle {
    pub(crate) fn new(client: Client, id: CertificateId) -> Self {
        Self { client, id }
    }

    /// Describes it, without its content.
    ///
    /// A role allows it by `api.mtls.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn get(&self) -> Result<Certificate, Error> {
        self.call(Call::new(operations::CERTIFICATE_GET, [self.id.as_str()])).await
    }

    /// Describes it, with its [content](CertificateDetails::content).
    ///
    /// A role allows it by `api.mtls.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/retrieve)
    ///
    /// # Errors
    ///
    /// As of [`get`](Self::get).
    pub async fn get_with_content(&self) -> Result<Certificate, Error> {
        let call = Call::new(operations::CERTIFICATE_GET, [self.id.as_str()]);
        self.call(call.query("include[]", "content")).await
    }

    /// Gives it another name.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn rename(&self, name: &str) -> Result<Certificate, Error> {
        let call = Call::new(operations::CERTIFICATE_MODIFY, [self.id.as_str()]);
        self.call(call.json(&Name { name })).await
    }

    /// Deletes it. It must be active nowhere.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/certificates/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::CERTIFICATE_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    async fn call(&self, call: Call) -> Result<Certificate, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

/// The certificates of a project. They are uploaded to the [organization](Certificates). It comes
/// from [`ProjectHandle::certificates`](crate::ProjectHandle::certificates).
#[derive(Clone, Debug)]
pub struct ProjectCertificates {
    client: Client,
    project: ProjectId,
}

impl ProjectCertificates {
    pub(crate) fn new(client: Client, project: ProjectId) -> Self {
        Self { client, project }
    }

    /// Lists the project's certificates, active or not.
    ///
    /// In pages of 100, the newest first; for the end and the errors see [`Pages`].
    ///
    /// A role allows it by `api.mtls.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/certificates/methods/list)
    pub fn list(&self) -> Pages<Certificate> {
        let call = Call::new(operations::PROJECT_CERTIFICATES_LIST, [self.project.as_str()])
            .query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Activates from 1 to 10 in the project: all of them or, on an error, none.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/certificates/methods/activate)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when there are none or too many,
    /// [`ErrorKind::NotFound`] when there is none of one of these ids.
    pub async fn activate(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>, Error> {
        self.toggle(operations::PROJECT_CERTIFICATES_ACTIVATE, ids).await
    }

    /// Deactivates from 1 to 10 in the project: all of them or, on an error, none.
    ///
    /// A role allows it by `api.mtls.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/certificates/methods/deactivate)
    ///
    /// # Errors
    ///
    /// As of [`activate`](Self::activate).
    pub async fn deactivate(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>, Error> {
        self.toggle(operations::PROJECT_CERTIFICATES_DEACTIVATE, ids).await
    }

    async fn toggle(
        &self,
        operation: Operation,
        ids: &[CertificateId],
    ) -> Result<Vec<Certificate>, Error> {
        toggle(&self.client, Call::new(operation, [self.project.as_str()]), ids).await
    }
}

async fn toggle(
    client: &Client,
    call: Call,
    ids: &[CertificateId],
) -> Result<Vec<Certificate>, Error> {
    let call = call.json(&Toggle { certificate_ids: ids });
    let toggled: Toggled = decode::answer(&call, &client.transport().send(&call).await?)?;
    Ok(toggled.data)
}
