//! The organization itself: people, projects, accounts and keys. How they look as JSON is told
//! by each resource's own file.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::answer::ApiError;
use super::audit_events::AuditEvent;
use super::clock::FakeClock;
use super::collection::Collection;
use super::fault::Script;
use super::groups::Group;
use super::project_groups::ProjectGroup;
use super::project_settings::Settings;
use super::rate_limits::RateLimits;
use super::record::Records;
use super::role_assignments::Assignment;
use super::roles::Role;
use super::throttle::Throttle;
use super::usage::Use;
use crate::keys::{self, KeyRng};

/// What the server, its handlers and the test's handle share.
pub(super) struct Shared {
    pub(super) clock: FakeClock,
    pub(super) options: Options,
    pub(super) records: Records,
    organization: Mutex<Organization>,
    request_ids: Mutex<KeyRng>,
    script: Mutex<Script>,
    pub(super) throttle: Option<Throttle>,
}

impl Shared {
    pub(super) fn new(
        clock: FakeClock,
        options: Options,
        seed: u64,
        script: Script,
        throttle: Option<Throttle>,
    ) -> Self {
        let organization = Organization::new(&options.organization_name, seed, clock.now());
        Self {
            clock,
            options,
            records: Records::default(),
            organization: Mutex::new(organization),
            // Apart from the organization's, so that ids do not depend on how many requests came.
            request_ids: Mutex::new(KeyRng::seeded(!seed)),
            script: Mutex::new(script),
            throttle,
        }
    }

    pub(super) fn organization(&self) -> MutexGuard<'_, Organization> {
        self.organization.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn request_id(&self) -> String {
        let mut rng = self.request_ids.lock().unwrap_or_else(PoisonError::into_inner);
        format!("req_{:016x}{:016x}", rng.next_u64(), rng.next_u64())
    }

    /// When a key made now is first accepted.
    pub(super) fn live_from(&self) -> Duration {
        self.clock.precise() + self.options.auth_cache
    }

    /// Refuses a lifetime that the organization's policy does not admit.
    pub(super) fn admit_lifetime(&self, lifetime: Option<u64>) -> Result<(), ApiError> {
        let Some(max) = self.options.max_key_lifetime else {
            return Ok(());
        };
        match lifetime {
            Some(seconds) if seconds <= max.as_secs() => Ok(()),
            _ => Err(ApiError::bad_request(format!(
                "This organization requires API keys to expire within {} seconds.",
                max.as_secs()
            ))
            .param("expires_in_seconds")),
        }
    }
}

/// How the organization is set up; it does not change while it lives.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) auth_cache: Duration,
    pub(super) latency: Duration,
    pub(super) list_project_keys_as_admin_keys: bool,
    pub(super) max_key_lifetime: Option<Duration>,
    pub(super) organization_name: String,
    pub(super) page_size_limit: Option<usize>,
    pub(super) refuse_duplicate_service_account_names: bool,
    pub(super) refuse_service_account_key_deletion: bool,
    pub(super) service_account_keys_only: bool,
}

/// All that the organization has. Lists are in order of creation.
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) users: Vec<User>,
    pub(super) projects: Vec<Project>,
    pub(super) service_accounts: Vec<ServiceAccount>,
    pub(super) keys: Vec<Key>,
    pub(super) groups: Collection<Group>,
    pub(super) spending: Vec<Spending>,
    pub(super) uses: Vec<Use>,
    pub(super) audit_events: Vec<AuditEvent>,
    pub(super) certificates: Collection<Value>,
    pub(super) external_keys: Collection<Value>,
    pub(super) external_storage: Collection<Value>,
    pub(super) federation_rules: Collection<Value>,
    pub(super) identity_providers: Collection<Value>,
    pub(super) invites: Collection<Value>,
    own: Estate,
    rng: KeyRng,
}

impl Organization {
    /// An organization with its owner and the owner's admin key.
    fn new(name: &str, seed: u64, now: u64) -> Self {
        let mut rng = KeyRng::seeded(seed);
        let mut organization = Self {
            id: format!("org-{}", rng.alphanumeric(24)),
            users: Vec::new(),
            projects: Vec::new(),
            service_accounts: Vec::new(),
            keys: Vec::new(),
            groups: Collection::default(),
            spending: Vec::new(),
            uses: Vec::new(),
            audit_events: Vec::new(),
            certificates: Collection::default(),
            external_keys: Collection::default(),
            external_storage: Collection::default(),
            federation_rules: Collection::default(),
            identity_providers: Collection::default(),
            invites: Collection::default(),
            own: Estate::default(),
            rng,
        };
        let owner = organization.add_user(&format!("Owner of {name}"), "owner", now);
        organization.add_key(NewKey {
            kind: KeyKind::Admin,
            name: "bootstrap",
            owner: Owner::User(owner),
            project: None,
            now,
            live_from: Duration::ZERO,
            lifetime: None,
            scopes: Vec::new(),
        });
        organization
    }

    /// A new id, such as `group_` and letters.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.rng.alphanumeric(24))
    }

    pub(super) fn add_user(&mut self, name: &str, role: &str, now: u64) -> String {
        let id = format!("user-{}", self.rng.alphanumeric(24));
        let mailbox = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), ".");
        self.users.push(User {
            id: id.clone(),
            name: name.to_owned(),
            email: format!("{mailbox}@example.com"),
            role: role.to_owned(),
            added_at: now,
            technical_level: None,
            developer_persona: None,
            deleted: false,
            memberships: Vec::new(),
        });
        id
    }

    pub(super) fn add_project(&mut self, name: &str, now: u64) -> &mut Project {
        let id = format!("proj_{}", self.rng.alphanumeric(24));
        self.projects.push(Project {
            id,
            name: name.to_owned(),
            created_at: now,
            archived_at: None,
            external_key_id: None,
            residency: "GLOBAL".to_owned(),
            is_default: false,
            estate: Estate::default(),
            groups: Collection::default(),
            rate_limits: RateLimits::default(),
            settings: Settings::default(),
        });
        self.projects.last_mut().expect("one was just added")
    }

    pub(super) fn add_service_account(
        &mut self,
        project: &str,
        name: &str,
        role: &str,
        now: u64,
    ) -> ServiceAccount {
        let account = ServiceAccount {
            id: format!("svc_acct_{}", self.rng.alphanumeric(24)),
            project: project.to_owned(),
            name: name.to_owned(),
            role: role.to_owned(),
            created_at: now,
            deleted: false,
        };
        self.service_accounts.push(account.clone());
        account
    }

    pub(super) fn add_group(&mut self, name: &str, now: u64) -> String {
        let id = self.new_id("group_");
        self.groups.add(id.clone(), Group::new(name, now));
        id
    }

    pub(super) fn add_key(&mut self, new: NewKey<'_>) -> &Key {
        let rng = &mut self.rng;
        let id = format!("key_{}", rng.alphanumeric(16));
        let value = match new.kind {
            // A token has no format of its own.
            KeyKind::AccessToken => rng.alphanumeric(200),
            KeyKind::Admin => keys::admin_key(rng),
            KeyKind::ClientSecret => keys::ephemeral_secret(rng),
            KeyKind::LegacyUser => keys::legacy_user_key(rng),
            KeyKind::Project => keys::project_key(rng),
            KeyKind::ServiceAccount => keys::service_account_key(rng),
        };
        // OpenAI promises no widths, so they vary here.
        let head = if new.kind == KeyKind::Admin { 8 } else { 5 + rng.below(3) };
        let tail = 3 + rng.below(2);
        let redacted = format!("{}...{}", &value[..head], &value[value.len() - tail..]);
        self.keys.push(Key {
            id,
            kind: new.kind,
            name: new.name.to_owned(),
            value,
            redacted,
            owner: new.owner,
            project: new.project,
            created_at: new.now,
            live_from: new.live_from,
            expires_at: new.lifetime.map(|seconds| new.now + seconds),
            last_used_at: None,
            deleted_at: None,
            scopes: new.scopes,
            scopes_before: None,
        });
        self.keys.last().expect("one was just added")
    }

    pub(super) fn user(&self, id: &str) -> Result<&User, ApiError> {
        self.users
            .iter()
            .find(|user| user.id == id && !user.deleted)
            .ok_or_else(|| ApiError::not_found("user", id))
    }

    pub(super) fn user_mut(&mut self, id: &str) -> Result<&mut User, ApiError> {
        self.users
            .iter_mut()
            .find(|user| user.id == id && !user.deleted)
            .ok_or_else(|| ApiError::not_found("user", id))
    }

    pub(super) fn project(&self, id: &str) -> Result<&Project, ApiError> {
        self.projects
            .iter()
            .find(|project| project.id == id)
            .ok_or_else(|| ApiError::not_found("project", id))
    }

    pub(super) fn project_mut(&mut self, id: &str) -> Result<&mut Project, ApiError> {
        self.projects
            .iter_mut()
            .find(|project| project.id == id)
            .ok_or_else(|| ApiError::not_found("project", id))
    }

    /// The project, if it is not archived: what lives in an archived one cannot be managed.
    pub(super) fn active_project(&self, id: &str) -> Result<&Project, ApiError> {
        let project = self.project(id)?;
        match project.archived_at {
            None => Ok(project),
            Some(_) => Err(ApiError::bad_request(format!("Project {} is archived.", project.name))),
        }
    }

    pub(super) fn active_project_mut(&mut self, id: &str) -> Result<&mut Project, ApiError> {
        self.active_project(id)?;
        self.project_mut(id)
    }

    /// What the organization, or a project that is not archived, has.
    pub(super) fn estate(&self, project: Option<&str>) -> Result<&Estate, ApiError> {
        match project {
            None => Ok(&self.own),
            Some(id) => Ok(&self.active_project(id)?.estate),
        }
    }

    pub(super) fn estate_mut(&mut self, project: Option<&str>) -> Result<&mut Estate, ApiError> {
        match project {
            None => Ok(&mut self.own),
            Some(id) => Ok(&mut self.active_project_mut(id)?.estate),
        }
    }

    /// Every estate: the organization's and its projects'.
    pub(super) fn estates_mut(&mut self) -> impl Iterator<Item = &mut Estate> {
        let projects = self.projects.iter_mut().map(|project| &mut project.estate);
        std::iter::once(&mut self.own).chain(projects)
    }

    pub(super) fn service_account(
        &mut self,
        project: &str,
        id: &str,
    ) -> Result<&mut ServiceAccount, ApiError> {
        self.active_project(project)?;
        self.service_accounts
            .iter_mut()
            .find(|account| account.id == id && account.project == project && !account.deleted)
            .ok_or_else(|| ApiError::not_found("service account", id))
    }

    /// Whether the owner of a key still has access to the key's project.
    pub(super) fn owner_has_access(&self, key: &Key) -> bool {
        match &key.owner {
            Owner::ServiceAccount(id) => self
                .service_accounts
                .iter()
                .any(|account| account.id == *id && !account.deleted && account.role != "none"),
            Owner::User(id) => match &key.project {
                None => true,
                Some(project) => self.user(id).is_ok_and(|user| user.membership(project).is_some()),
            },
        }
    }

    /// Whether a key exists and has not expired, whatever the authentication cache says.
    pub(super) fn is_live(&self, key: &Key, now: u64) -> bool {
        let archived = key.project.as_ref().is_some_and(|project| {
            self.projects.iter().any(|p| p.id == *project && p.archived_at.is_some())
        });
        key.deleted_at.is_none() && !key.has_expired(now) && !archived
    }
}

/// What is needed to make a key.
pub(super) struct NewKey<'a> {
    pub(super) kind: KeyKind,
    pub(super) name: &'a str,
    pub(super) owner: Owner,
    pub(super) project: Option<String>,
    pub(super) now: u64,
    pub(super) live_from: Duration,
    pub(super) lifetime: Option<u64>,
    pub(super) scopes: Vec<String>,
}

pub(super) struct Key {
    pub(super) id: String,
    pub(super) kind: KeyKind,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) redacted: String,
    pub(super) owner: Owner,
    /// `None` for an admin key.
    pub(super) project: Option<String>,
    pub(super) created_at: u64,
    pub(super) live_from: Duration,
    pub(super) expires_at: Option<u64>,
    pub(super) last_used_at: Option<u64>,
    pub(super) deleted_at: Option<Duration>,
    /// None means all.
    pub(super) scopes: Vec<String>,
    /// The scopes that hold until then: an update travels with the authentication cache.
    pub(super) scopes_before: Option<(Vec<String>, Duration)>,
}

impl Key {
    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    pub(super) fn scopes_at(&self, now: Duration) -> &[String] {
        match &self.scopes_before {
            Some((before, until)) if now < *until => before,
            _ => &self.scopes,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyKind {
    AccessToken,
    Admin,
    ClientSecret,
    LegacyUser,
    Project,
    ServiceAccount,
}

impl KeyKind {
    /// Whether it is a key that can be listed and deleted, and not something that a key is had for.
    pub(super) fn is_managed(self) -> bool {
        !matches!(self, Self::AccessToken | Self::ClientSecret)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    ServiceAccount(String),
    User(String),
}

pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) role: String,
    pub(super) added_at: u64,
    pub(super) technical_level: Option<String>,
    pub(super) developer_persona: Option<String>,
    pub(super) deleted: bool,
    pub(super) memberships: Vec<Membership>,
}

impl User {
    pub(super) fn membership(&self, project: &str) -> Option<&Membership> {
        self.memberships.iter().find(|membership| membership.project == project)
    }

    /// Gives access to a project, or another role in it.
    pub(super) fn join(&mut self, project: &str, role: &str, now: u64) {
        match self.memberships.iter_mut().find(|membership| membership.project == project) {
            Some(membership) => role.clone_into(&mut membership.role),
            None => self.memberships.push(Membership {
                project: project.to_owned(),
                role: role.to_owned(),
                added_at: now,
            }),
        }
    }

    pub(super) fn leave(&mut self, project: &str) {
        self.memberships.retain(|membership| membership.project != project);
    }
}

/// The access of a person to a project.
pub(super) struct Membership {
    pub(super) project: String,
    pub(super) role: String,
    pub(super) added_at: u64,
}

pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created_at: u64,
    pub(super) archived_at: Option<u64>,
    pub(super) external_key_id: Option<String>,
    pub(super) residency: String,
    pub(super) is_default: bool,
    pub(super) estate: Estate,
    pub(super) groups: Collection<ProjectGroup>,
    pub(super) rate_limits: RateLimits,
    pub(super) settings: Settings,
}

/// What the organization and each of its projects have alike.
#[derive(Default)]
pub(super) struct Estate {
    pub(super) active_certificates: BTreeSet<String>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) retention: Option<String>,
    pub(super) roles: Collection<Role>,
    pub(super) spend_alerts: Collection<Value>,
    /// In cents.
    pub(super) spend_limit: Option<u64>,
}

#[derive(Clone)]
pub(super) struct ServiceAccount {
    pub(super) id: String,
    pub(super) project: String,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) created_at: u64,
    pub(super) deleted: bool,
}

/// Money spent, by whom and when.
pub(super) struct Spending {
    pub(super) at: u64,
    pub(super) project: Option<String>,
    pub(super) key: Option<String>,
    pub(super) amount: f64,
}
