//! Invites: people asked to join the organization, and whether they did.

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Named, PAGE, named};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{
    Client, Error, InviteId, Pages, ProjectId, ProjectUserRole, UserRole, decode, operations,
};

/// An invite.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Invite {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: InviteId,
    /// The address that it was sent to.
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<String>,
    /// The role in the organization that it offers.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<UserRole>,
    /// What came of it.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<InviteStatus>,
    /// When it was sent.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it expires.
    #[serde(default, deserialize_with = "lenient")]
    pub expires_at: Option<Timestamp>,
    /// When it was accepted; none while it was not.
    #[serde(default, deserialize_with = "lenient")]
    pub accepted_at: Option<Timestamp>,
    /// The projects that it leads into.
    #[serde(default, deserialize_with = "lenient")]
    pub projects: Option<Vec<InviteProject>>,
}

impl Listed for Invite {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// A project that an invite leads into.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct InviteProject {
    /// The project's id.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<ProjectId>,
    /// The role in it.
    #[serde(default, deserialize_with = "lenient")]
    pub role: Option<ProjectUserRole>,
}

lenient_struct!(InviteProject);

open_enum! {
    /// What came of an invite.
    pub enum InviteStatus {
        /// The person joined.
        Accepted = "accepted",
        /// The person did not join in time.
        Expired = "expired",
        /// The person can still join.
        Pending = "pending",
    }
}

/// What a new invite is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewInvite {
    email: String,
    role: UserRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<NewMembership>>,
}

#[derive(Clone, Debug, Serialize)]
struct NewMembership {
    id: ProjectId,
    role: ProjectUserRole,
}

impl NewInvite {
    /// Into the organization and, unless [others are named](Self::to_project), into no project.
    pub fn new(email: impl Into<String>, role: UserRole) -> Self {
        Self { email: email.into(), role, projects: Some(Vec::new()) }
    }

    /// Into the organization and its default project, which is what the server takes an invite
    /// for that says nothing of projects.
    pub fn with_default_project(email: impl Into<String>, role: UserRole) -> Self {
        Self { email: email.into(), role, projects: None }
    }

    /// Into this project, and others named so; into the default one only if it is named too.
    pub fn to_project(mut self, project: impl Into<ProjectId>, role: ProjectUserRole) -> Self {
        let membership = NewMembership { id: project.into(), role };
        self.projects.get_or_insert_default().push(membership);
        self
    }
}

/// The organization's invites. It comes from [`Client::invites`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{NewInvite, ProjectUserRole, UserRole};
///
/// let new = NewInvite::new("ada@example.com", UserRole::Reader)
///     .to_project("proj_abc", ProjectUserRole::Member);
/// let invite = client.invites().create(new).await?;
/// println!("{} until {:?}", invite.id, invite.expires_at);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Invites {
    client: Client,
}

impl Invites {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the invites, those accepted and those expired too.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/invites/methods/list)
    pub fn list(&self) -> Pages<Invite> {
        let call = Call::new(operations::INVITES_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Makes one, and a mail is sent. The call is sent once.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/invites/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: NewInvite) -> Result<Invite, Error> {
        let call = Call::new(operations::INVITES_CREATE, []).json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The invites to this address, in whatever case: what a create call of unknown outcome has
    /// made, if anything, and what was made before.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, email: &str) -> Result<Vec<Invite>, Error> {
        let invites = self.list().all().await?;
        named(invites, &operations::INVITES_LIST, email, |invite| match invite.email.as_deref() {
            Some(other) if other.eq_ignore_ascii_case(email) => Named::Ours,
            Some(_) => Named::NotOurs,
            None => Named::Unclear,
        })
    }
}

/// One invite. It comes from [`Client::invite`].
#[derive(Clone, Debug)]
pub struct InviteHandle {
    client: Client,
    id: InviteId,
}

impl InviteHandle {
    pub(crate) fn new(client: Client, id: InviteId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// Needs the scope `api.management.read`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/invites/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<Invite, Error> {
        let call = Call::new(operations::INVITE_GET, [self.id.as_str()]);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Takes it back. One that was accepted cannot be.
    ///
    /// Needs the scope `api.management.write`.
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/invites/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::INVITE_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }
}
