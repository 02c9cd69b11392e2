//! [`Client`]: the organization, seen with an admin key.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{AdminKey, Endpoint, KeyFingerprint, KeyPolicy};

use crate::late::{Credential, Late};
use crate::resources::Account;
use crate::transport::{Limits, Transport};
use crate::{
    AdminKeyHandle, AdminKeyId, AdminKeys, AuditLogs, CertificateHandle, CertificateId,
    Certificates, Costs, DataRetentionHandle, Error, ExternalKeyHandle, ExternalKeyId,
    ExternalKeys, ExternalStorageHandle, ExternalStorageId, ExternalStorages, GroupHandle, GroupId,
    Groups, InviteHandle, InviteId, Invites, Method, Pacing, ProjectHandle, ProjectId, Projects,
    RawCall, RoleHandle, RoleId, Roles, SpendAlertHandle, SpendAlertId, SpendAlerts,
    SpendLimitHandle, Usage, UserHandle, UserId, Users, WorkloadIdentityProviderHandle,
    WorkloadIdentityProviderId, WorkloadIdentityProviders,
};

/// A client of the OpenAI Admin API.
///
/// It is cheap to clone, and clones share one connection pool. Nothing is sent before a call is.
///
/// It takes an [`AdminKey`], which only a policy gives out; a project key does not fit. It sends
/// the key to the policy's hosts over https, follows no redirect, and uses no proxy for http. It
/// runs on a tokio runtime.
///
/// A call is cancelled by dropping its future. Whoever drops one that creates something (in a
/// `select!`, a time-out) knows as little of its outcome as after a lost answer: call `reconcile`.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use keyward_admin::{Client, NewServiceAccountKey, Scope, Scopes};
/// use keyward_core::{AdmitContext, ApiKey, KeyPolicy, Timestamp};
///
/// # let fake = keyward_testkit::FakeOpenAi::start().await?;
/// # let (text, url) = (fake.admin_key(), fake.base_url());
/// # let project = fake.seed_project("website");
/// # let account = fake.seed_service_account(&project, "backend", "member");
/// # let now = Timestamp::from_unix_seconds(1_790_000_000);
/// let admin_key = KeyPolicy::admin()
///     .admit(&ApiKey::parse(text)?, &AdmitContext::at(now))?
///     .into_admin_key()?;
/// let client = Client::builder(admin_key).base_url(url).allow_loopback().build()?;
///
/// let mut projects = client.projects().list();
/// while let Some(project) = projects.next().await {
///     println!("{}", project?.id);
/// }
///
/// let new = NewServiceAccountKey::new("backend-2026-11", Scopes::only(Scope::RESPONSES_WRITE));
/// let minted = client.project(project).service_account(account).create_key(new).await?;
/// println!("{minted:?}"); // the kind and the fingerprint, never the key
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A client of `https://api.openai.com/v1` with careful defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) when TLS cannot be set up.
    pub fn new(key: AdminKey) -> Result<Self, Error> {
        Self::builder(key).build()
    }

    /// A client with settings of its own.
    pub fn builder(key: AdminKey) -> ClientBuilder {
        ClientBuilder {
            key,
            base_url: DEFAULT_BASE_URL.to_owned(),
            policy: KeyPolicy::admin(),
            loopback: false,
            limits: Limits::default(),
            pacing: Pacing::new(),
            late: None,
        }
    }

    /// The organization's admin keys.
    #[must_use]
    pub fn admin_keys(&self) -> AdminKeys {
        AdminKeys::new(self.clone())
    }

    /// One admin key.
    #[must_use]
    pub fn admin_key(&self, id: impl Into<AdminKeyId>) -> AdminKeyHandle {
        AdminKeyHandle::new(self.clone(), id.into())
    }

    /// The organization's certificates.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates::new(self.clone())
    }

    /// One certificate.
    #[must_use]
    pub fn certificate(&self, id: impl Into<CertificateId>) -> CertificateHandle {
        CertificateHandle::new(self.clone(), id.into())
    }

    /// What the organization spent.
    #[must_use]
    pub fn costs(&self) -> Costs {
        Costs::new(self.clone())
    }

    /// What is kept of the organization's requests.
    #[must_use]
    pub fn data_retention(&self) -> DataRetentionHandle {
        DataRetentionHandle::of_organization(self.clone())
    }

    /// The organization's groups.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::new(self.clone())
    }

    /// One group.
    #[must_use]
    pub fn group(&self, id: impl Into<GroupId>) -> GroupHandle {
        GroupHandle::new(self.clone(), id.into())
    }

    /// The organization's invites.
    #[must_use]
    pub fn invites(&self) -> Invites {
        Invites::new(self.clone())
    }

    /// One invite.
    #[must_use]
    pub fn invite(&self, id: impl Into<InviteId>) -> InviteHandle {
        InviteHandle::new(self.clone(), id.into())
    }

    /// The organization's projects.
    #[must_use]
    pub fn projects(&self) -> Projects {
        Projects::new(self.clone())
    }

    /// One project, and what is in it.
    #[must_use]
    pub fn project(&self, id: impl Into<ProjectId>) -> ProjectHandle {
        ProjectHandle::new(self.clone(), id.into())
    }

    /// The organization's roles.
    #[must_use]
    pub fn roles(&self) -> Roles {
        Roles::of_organization(self.clone())
    }

    /// One role of the organization.
    #[must_use]
    pub fn role(&self, id: impl Into<RoleId>) -> RoleHandle {
        RoleHandle::of_organization(self.clone(), id.into())
    }

    /// The organization's users.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// One user.
    #[must_use]
    pub fn user(&self, id: impl Into<UserId>) -> UserHandle {
        UserHandle::new(self.clone(), id.into())
    }

    /// What was done in the organization, and by whom.
    #[must_use]
    pub fn audit_logs(&self) -> AuditLogs {
        AuditLogs::new(self.clone())
    }

    /// The encryption keys that the organization keeps in a cloud.
    #[must_use]
    pub fn external_keys(&self) -> ExternalKeys {
        ExternalKeys::new(self.clone())
    }

    /// One external key.
    #[must_use]
    pub fn external_key(&self, id: impl Into<ExternalKeyId>) -> ExternalKeyHandle {
        ExternalKeyHandle::new(self.clone(), id.into())
    }

    /// The buckets in which projects keep their data.
    #[must_use]
    pub fn external_storage(&self) -> ExternalStorages {
        ExternalStorages::new(self.clone())
    }

    /// One of these buckets.
    #[must_use]
    pub fn external_storage_by_id(
        &self,
        id: impl Into<ExternalStorageId>,
    ) -> ExternalStorageHandle {
        ExternalStorageHandle::new(self.clone(), id.into())
    }

    /// Who is told what the organization spends.
    #[must_use]
    pub fn spend_alerts(&self) -> SpendAlerts {
        SpendAlerts::new(self.clone(), Account::Organization)
    }

    /// One spend alert of the organization.
    #[must_use]
    pub fn spend_alert(&self, id: impl Into<SpendAlertId>) -> SpendAlertHandle {
        SpendAlertHandle::new(self.clone(), Account::Organization, id.into())
    }

    /// How much the organization can spend.
    #[must_use]
    pub fn spend_limit(&self) -> SpendLimitHandle {
        SpendLimitHandle::new(self.clone(), Account::Organization)
    }

    /// What the organization used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::new(self.clone())
    }

    /// The issuers whose tokens do what keys do.
    #[must_use]
    pub fn workload_identity_providers(&self) -> WorkloadIdentityProviders {
        WorkloadIdentityProviders::new(self.clone())
    }

    /// One of these issuers, and its rules.
    #[must_use]
    pub fn workload_identity_provider(
        &self,
        id: impl Into<WorkloadIdentityProviderId>,
    ) -> WorkloadIdentityProviderHandle {
        WorkloadIdentityProviderHandle::new(self.clone(), id.into())
    }

    /// A call of an operation that OpenAI has and this version does not.
    ///
    /// The path is below the base URL, such as `/organization/widgets/{widget_id}`: its parameters
    /// stand in braces and are filled by [`RawCall::arg`]. See there for how it is kept safe.
    pub fn raw(&self, method: Method, path: impl Into<Cow<'static, str>>) -> RawCall {
        RawCall::new(self.clone(), method, path.into())
    }

    /// The fingerprint of the admin key in use, for logs.
    #[must_use]
    pub fn key_fingerprint(&self) -> KeyFingerprint {
        self.transport.key_fingerprint()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("transport", &self.transport).finish()
    }
}

/// Settings of a [`Client`].
#[derive(Clone)]
#[must_use = "call `build`"]
pub struct ClientBuilder {
    key: AdminKey,
    base_url: String,
    policy: KeyPolicy,
    loopback: bool,
    limits: Limits,
    pacing: Pacing,
    pub(crate) late: Option<Late>,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL is as it was given, and may have a password in it.
        f.debug_struct("ClientBuilder")
            .field("key", &self.key)
            .field("policy", &self.policy)
            .field("loopback", &self.loopback)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

impl ClientBuilder {
    /// Where the API answers, with its version: `https://eu.api.openai.com/v1`.
    ///
    /// The host must be one of the [policy](Self::policy)'s.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The policy whose hosts the key may be sent to, [`KeyPolicy::admin`] unless said otherwise.
    /// Its other rules were for admitting the key.
    pub fn policy(mut self, policy: KeyPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Lets the base URL be an address of this machine, also over http: for a fake organization in
    /// tests and rehearsals.
    ///
    /// It is a setting of its own so that nobody who can only change an address gets the key sent
    /// to a port of another user of the machine.
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// How long one attempt may take, the answer's body included: 30 seconds unless said
    /// otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// How long connecting may take: 10 seconds unless said otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// How often a call that may be repeated is tried: 4 times unless said otherwise.
    ///
    /// Calls that create something are tried once, whatever is said here. Attempts that the server
    /// throttled are not counted, unless one attempt is all there is: the
    /// [deadline](Self::deadline) ends those.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.limits.max_attempts = attempts.max(1);
        self
    }

    /// The longest wait between two attempts: 90 seconds unless said otherwise. A server that asks
    /// for more gets no further attempt, and the caller an error that tells how much. Where the
    /// server throttles, [`Pacing::max_retry_after`] goes before this.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.limits.max_wait = wait;
        self
    }

    /// How long a call may take in all, its waits and attempts included: 5 minutes unless said
    /// otherwise.
    ///
    /// A call that would have to wait beyond it fails with
    /// [`ErrorKind::Throttled`](crate::ErrorKind::Throttled) and the wait that it would need, as
    /// soon as that is known; one that cannot be tried again before it, with what the last attempt
    /// failed with, or [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). An attempt of a call that creates something is not cut short, so such
    /// a call may take one [time-out](Self::timeout) longer.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How the server's rates are kept to.
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// The largest answer that is read, in bytes: 32 MiB unless said otherwise.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_answer_bytes = bytes;
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for an address that cannot be
    /// read, has a user or a query in it, or to which the policy does not let keys be sent; and
    /// when TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let url = reqwest::Url::parse(&self.base_url).map_err(|_| {
            Error::configuration("the base URL cannot be read; write it as https://HOST/v1")
        })?;
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(Error::configuration(
                "the base URL has a user, a query or a fragment; write it as https://HOST/v1",
            ));
        }
        let endpoint = Endpoint::new(url.scheme(), url.host_str().unwrap_or_default());
        if url.path().trim_matches('/').is_empty() {
            return Err(Error::configuration(
                "the base URL has no version in it; write it as https://HOST/v1",
            ));
        }
        let policy = if self.loopback && endpoint.is_loopback() {
            self.policy
                .with_host(endpoint.host())
                .map_err(|e| Error::configuration(e.to_string()))?
        } else {
            self.policy
        };
        policy.admit_endpoint(&endpoint).map_err(Error::refused)?;
        let credential = match self.late {
            Some(_) if endpoint.scheme() != "https" => {
                return Err(Error::configuration(
                    "late injection needs TLS; write the base URL as https://HOST/v1",
                ));
            }
            Some(late) => late.credential(&self.key, policy)?,
            None => Credential::header(&self.key)?,
        };
        let transport = Transport::new(&self.key, credential, url, self.limits, self.pacing)?;
        Ok(Client { transport: Arc::new(transport) })
    }
}
