//! [`ProjectKeys`]: the organization as a slot's machine sees it, by `keyward-admin`.

use std::time::Duration;

use keyward::Timestamp;
use keyward_admin::{
    BucketWidth, Error, ErrorKind, KeyUpdate, NewServiceAccount, NewServiceAccountKey,
    ProjectApiKey, ProjectHandle, ProjectStatus, ServiceAccountRole, ServiceAccountUpdate,
    UsageQuery,
};

use crate::access::Management;
use crate::outside::{
    Deletion, Expiry, ListedAccount, ListedKey, Listing, Minted, NotMade, Organization,
};
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind, Slot};

/// The keys of a slot's project.
pub(crate) struct ProjectKeys<'a> {
    management: &'a Management,
    slot: &'a Slot,
}

impl<'a> ProjectKeys<'a> {
    pub(crate) fn new(management: &'a Management, slot: &'a Slot) -> Self {
        Self { management, slot }
    }

    /// The project, by the admin key of this moment: a drain may outlive the one that it began with.
    async fn project(&self) -> Result<ProjectHandle, RotateError> {
        Ok(self.management.client().await?.project(self.slot.project()))
    }

    /// The same for a call that makes something, of which nothing has been sent yet.
    async fn project_to_make_in(&self) -> Result<ProjectHandle, NotMade> {
        self.project().await.map_err(|error| {
            if error.is_retryable() { NotMade::Later(error) } else { NotMade::Never(error) }
        })
    }
}

impl Organization for ProjectKeys<'_> {
    async fn check(&self) -> Result<(), RotateError> {
        let handle = self.project().await?;
        let found = handle.get().await;
        let project = found.map_err(|error| {
            let missing = "there is no such project, or the admin key may not see it";
            absent(&error, RotateErrorKind::ProjectUnusable, missing)
        })?;
        if project.status == Some(ProjectStatus::Archived) {
            return Err(RotateError::new(
                RotateErrorKind::ProjectUnusable,
                "the project is archived, so its keys are dead",
                "name a project that is in use",
            ));
        }
        let account = handle.service_account(self.slot.service_account());
        let account = account.get().await.map_err(|error| {
            let missing = "there is no such service account in the project";
            absent(&error, RotateErrorKind::AccountUnusable, missing)
        })?;
        if account.role == Some(ServiceAccountRole::None) && !self.slot.has_role_elsewhere() {
            return Err(RotateError::new(
                RotateErrorKind::AccountUnusable,
                "the service account has the role `none`, so its keys are useless",
                "give it the role `member`; or, if a group gives it one, say so with `role = \"elsewhere\"`",
            ));
        }
        Ok(())
    }

    async fn list(&self, with_accounts: bool) -> Result<Listing, RotateError> {
        // Accounts first: one that is made after that has no key yet, and is not taken for left over.
        let mut listing = Listing::default();
        let project = self.project().await?;
        if with_accounts {
            let accounts = project.service_accounts().list().all().await;
            listing.accounts = accounts
                .map_err(|error| told(&error))?
                .into_iter()
                .filter_map(|account| {
                    let (id, created_at) = (account.id.to_string(), account.created_at);
                    Some(ListedAccount { id, name: account.name?, created_at })
                })
                .collect();
        }
        let keys = project.api_keys().list().all().await.map_err(|e| told(&e))?;
        listing.keys = keys.iter().map(listed).collect();
        Ok(listing)
    }

    async fn make_account(&self, tag: &Tag) -> Result<String, NotMade> {
        let new = NewServiceAccount::without_key(tag.as_str());
        let project = self.project_to_make_in().await?;
        let made = project.service_accounts().create(new).await.map_err(|e| not_made(&e))?;
        // Without an id it can only be found by its name again.
        let id = made.id.ok_or(NotMade::Unknown)?;
        let member = ServiceAccountUpdate::role(ServiceAccountRole::Member);
        let given = project.service_account(&id).update(member).await;
        // It is there, whatever became of its role, so it is given up and looked for.
        given.map_err(|_| NotMade::Unknown)?;
        Ok(id.to_string())
    }

    async fn mint(&self, account: Option<&str>, tag: &Tag) -> Result<Minted, NotMade> {
        let account = account.map_or_else(|| self.slot.service_account().clone(), Into::into);
        let new = NewServiceAccountKey::new(tag.as_str(), self.slot.scopes().clone())
            .expires_in(self.slot.ttl());
        let project = self.project_to_make_in().await?;
        let minted = project.service_account(account).create_key(new).await;
        let minted = minted.map_err(|error| not_made(&error))?;
        Ok(Minted {
            key: minted.key,
            id: minted.metadata.id.map(|id| id.to_string()),
            created_at: minted.metadata.created_at,
            expires_at: minted.metadata.expires_at,
        })
    }

    async fn expire(&self, key: &str, after: Duration) -> Result<Expiry, RotateError> {
        match self.project().await?.api_key(key).update(KeyUpdate::expires_in(after)).await {
            Ok(key) => Ok(Expiry::Set(key.expires_at)),
            Err(error) if error.is_not_found() => Ok(Expiry::Gone),
            Err(error) if is_refusal(&error) => Ok(Expiry::Refused),
            Err(error) => Err(told(&error)),
        }
    }

    async fn look(&self, key: &str) -> Result<Option<ListedKey>, RotateError> {
        match self.project().await?.api_key(key).get().await {
            Ok(key) => Ok(Some(listed(&key))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    async fn requests_since(&self, key: &str, since: Timestamp) -> Option<u64> {
        let client = self.management.client().await.ok()?;
        let query = UsageQuery::since(since)
            .until(since.saturating_add(Duration::from_secs(2 * 86_400)))
            .every(BucketWidth::Hour)
            .of_project(self.slot.project())
            .of_key(key);
        let buckets = client.usage().completions(&query).all().await.ok()?;
        let results = buckets.into_iter().filter_map(|bucket| bucket.results).flatten();
        Some(results.filter_map(|used| used.num_model_requests).sum())
    }

    async fn delete_key(&self, key: &str) -> Result<Deletion, RotateError> {
        deletion(self.project().await?.api_key(key).delete().await)
    }

    async fn delete_account(&self, account: &str) -> Result<Deletion, RotateError> {
        deletion(self.project().await?.service_account(account).delete().await)
    }
}

fn listed(key: &ProjectApiKey) -> ListedKey {
    let account = key.owner.as_ref().and_then(|owner| owner.service_account.as_ref());
    ListedKey {
        id: key.id.to_string(),
        name: key.name.clone(),
        account: key.service_account_id().map(ToString::to_string),
        account_name: account.and_then(|account| account.name.clone()),
        redacted: key.redacted_value.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}

/// What a deletion came to. Before 2026-10 the API refused to delete single keys of service
/// accounts, as a bad request or a forbidden one; neither its status nor its words are documented.
pub(crate) fn deletion(deleted: Result<(), Error>) -> Result<Deletion, RotateError> {
    match deleted {
        Ok(()) => Ok(Deletion::Deleted),
        Err(error) if error.is_not_found() => Ok(Deletion::Gone),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => Ok(Deletion::Refused),
        Err(error) if is_refusal(&error) => Ok(Deletion::Forbidden),
        Err(error) => Err(told(&error)),
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::OrganizationPolicy)
        || (error.kind() == ErrorKind::Permission && error.missing_scopes().is_empty())
}

/// What a create call that failed leaves behind.
pub(crate) fn not_made(error: &Error) -> NotMade {
    match error.kind() {
        ErrorKind::OutcomeUnknown => NotMade::Unknown,
        ErrorKind::Throttled => NotMade::Later(told(error)),
        _ if error.nothing_was_sent() && error.is_retryable() => NotMade::Later(told(error)),
        // What is not surely refused may have been done.
        _ if error.is_retryable() => NotMade::Unknown,
        ErrorKind::Drift | ErrorKind::Redirect | ErrorKind::TooLarge => NotMade::Unknown,
        _ => NotMade::Never(told(error)),
    }
}

fn absent(error: &Error, kind: RotateErrorKind, missing: &'static str) -> RotateError {
    if error.is_not_found() {
        RotateError::new(kind, missing, "correct the slot")
    } else {
        told(error)
    }
}

/// An error of the organization, as one of a rotation. Its text is one line with everything masked
/// that looks like a key, and ends with the fix.
pub(crate) fn told(error: &Error) -> RotateError {
    let kind = match error.kind() {
        ErrorKind::Configuration => RotateErrorKind::Configuration,
        _ if error.is_retryable() || error.is_outcome_unknown() => {
            RotateErrorKind::OrganizationUnavailable
        }
        ErrorKind::Drift | ErrorKind::Paging | ErrorKind::Redirect | ErrorKind::TooLarge => {
            RotateErrorKind::AnswerUnreadable
        }
        _ => RotateErrorKind::Refused,
    };
    let fix = match kind {
        RotateErrorKind::OrganizationUnavailable => "rotate again when it answers",
        _ => "mend that, then rotate again",
    };
    RotateError::new(kind, error.to_string(), fix).after(error.retry_after())
}
