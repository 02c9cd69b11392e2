//! A fake OpenAI organization that answers over HTTP on loopback, with faults by script.
//!
//! It knows nothing of any client: it builds its JSON by hand from what OpenAI documents, so that
//! a client's mistakes are not its own. Each resource of the API has its own file.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

mod admin_api_keys;
mod answer;
mod audit_events;
mod audit_logs;
mod auth;
mod certificates;
mod client_secrets;
mod clock;
mod collection;
mod costs;
mod data_retention;
mod external_keys;
mod external_storage;
mod fault;
mod groups;
mod inference;
mod inject;
mod invites;
mod issuer;
mod operations;
mod page;
mod project_api_keys;
mod project_groups;
mod project_settings;
mod project_users;
mod projects;
mod query;
mod rate_limits;
mod record;
mod role_assignments;
mod roles;
mod server;
mod service_accounts;
mod spend_alerts;
mod spend_limits;
mod state;
mod throttle;
mod token_exchange;
mod usage;
mod users;
mod workload_identity;

pub use clock::FakeClock;
pub use fault::{EchoPlace, Fault, FaultAction, FaultListError, FaultPoint};
pub use issuer::FakeIssuer;
pub use record::RecordedRequest;

use serde_json::json;

use crate::keys::KeyRng;
use fault::Script;
use server::Server;
use state::{KeyKind, NewKey, Options, Owner, Shared, Spending};
use throttle::Throttle;
use usage::Use;

/// A fake OpenAI organization, listening on loopback while it lives.
///
/// A new one has an owner and the owner's admin key, and nothing else; fill it with the `seed_…`
/// methods or over the API. It runs on a thread of its own, so that a test may block.
///
/// # What it does as OpenAI does
///
/// - An admin key is good for `/organization/…` alone, other keys for `/models`, `/responses` and
///   `/realtime/…` alone. An unknown key is a 401 that echoes a part of it; a missing scope is a
///   403 that names the scope.
/// - Keys expire by the clock, and their `last_used_at` follows their use. New keys, deleted keys
///   and changed scopes take effect when the authentication cache
///   ([`auth_cache`](FakeOpenAiBuilder::auth_cache)) has run out.
/// - The list of a project's keys hides those whose owner has lost access, unless it is asked for
///   `owner_project_access=any`.
/// - A service account created alone has the role `none`, and its keys are useless until it has
///   another.
/// - `scopes: []` means every scope. A body with a field that the operation does not have is
///   refused, and one whose fields are of another type.
/// - Lists are in the envelope of their operation: cursor by id, cursor by `next`, or buckets.
///   Limits, orders and the names of the parameters are held to, too. Arrays come with brackets
///   and without.
/// - What names disagree about, they disagree about here: `role_name` goes in and `name` comes out,
///   `retention_type` goes in and `type` comes out, some deletions tell no id.
/// - What is changed over the API is in the audit log, if OpenAI has a type of event for it.
/// - The token of a workload is exchanged at [`token_url`](Self::token_url) for an access token of
///   an hour, if its signature (by uploaded keys), issuer, audience and times are right and a
///   federation rule matches its claims. Models can be asked with the access token until it expires.
/// - A client secret opens sessions at `/realtime/calls` alone, until it expires.
///
/// # What it only guesses
///
/// - The wording and the code of most refusals.
/// - What a policy of `service_account_keys_only` refuses: here the use and the update of people's
///   keys.
/// - That an unknown parameter of a query is refused.
/// - The limits of lists for which no range is told: 1 to 100.
/// - The scope that a client secret needs; the errors of the exchange, and that a matcher names a
///   claim. Attributes that a provider transforms match nothing.
/// - The predefined roles' ids and permissions; that assigning a role twice changes nothing.
/// - What there is before anything is set: no spend limit (404), no model denied, every hosted tool
///   permitted.
/// - What cannot be deleted: an active certificate, an external key that a project uses, an invite
///   that was accepted, the first owner.
/// - The answers of the 24 operations that are in OpenAI's own clients and in no document of
///   theirs: external keys and storage, workload identity, service tiers, decisions.
///
/// # What it does not do
///
/// Rate limits, spend limits, permissions, roles, retention and certificates are kept and told,
/// and bind nobody. Nothing is asked of a cloud, and no issuer for its keys.
pub struct FakeOpenAi {
    shared: Arc<Shared>,
    server: Server,
}

impl FakeOpenAi {
    /// Starts a fake with everything at its default.
    ///
    /// # Errors
    ///
    /// If no port of the loopback interface can be listened on, or no thread be started.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets a fake up before it starts.
    pub fn builder() -> FakeOpenAiBuilder {
        FakeOpenAiBuilder::new()
    }

    /// Stops the server: the port is closed and open connections are cut. Dropping the fake does
    /// the same.
    pub async fn shutdown(mut self) {
        self.server.stop();
    }

    /// The address to give to a client: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.server.address())
    }

    /// Where the tokens of workloads are exchanged: `http://127.0.0.1:PORT/oauth/token`.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("http://{}{}", self.server.address(), token_exchange::PATH)
    }

    /// The clock of the organization.
    #[must_use]
    pub fn clock(&self) -> &FakeClock {
        &self.shared.clock
    }

    /// The owner's admin key.
    #[must_use]
    pub fn admin_key(&self) -> String {
        self.shared.organization().keys[0].value.clone()
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records.all()
    }

    /// How many requests came to an operation, such as
    /// `count("GET", "/organization/projects/{project_id}")`.
    #[must_use]
    pub fn count(&self, method: &str, template: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.method == method && request.template == template)
            .count()
    }

    /// Every operation that the fake knows: method and path template, without `/v1`.
    #[must_use]
    pub fn operations() -> &'static [(&'static str, &'static str)] {
        &operations::NAMES
    }

    /// Adds a fault behind those that there are.
    ///
    /// # Panics
    ///
    /// If the fake has no such operation: a fault that never happens proves nothing.
    #[track_caller]
    pub fn fault(&self, fault: Fault) {
        if let Err(message) = fault.check() {
            panic!("{message}");
        }
        self.shared.script().push(fault);
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.shared.script().clear();
    }

    /// The values of all keys that exist and have not expired, admin keys included, access
    /// tokens and client secrets not, in order of creation.
    #[must_use]
    pub fn live_key_values(&self) -> Vec<String> {
        let organization = self.shared.organization();
        let now = self.clock().now();
        organization
            .keys
            .iter()
            .filter(|key| key.kind.is_managed() && organization.is_live(key, now))
            .map(|key| key.value.clone())
            .collect()
    }

    /// The values of all keys that were ever made here, also of those that are gone, access tokens
    /// and client secrets included: what a leak detector looks for.
    #[must_use]
    pub fn every_key_value(&self) -> Vec<String> {
        self.shared.organization().keys.iter().map(|key| key.value.clone()).collect()
    }

    /// Whether a key exists and has not expired.
    ///
    /// While the authentication cache runs, a request may still be admitted with a key that is
    /// dead, or not yet with one that lives.
    #[must_use]
    pub fn key_is_live(&self, value: &str) -> bool {
        self.live_key_values().iter().any(|live| live == value)
    }

    /// The id of the key with this value, if it was ever made here.
    #[must_use]
    pub fn key_id(&self, value: &str) -> Option<String> {
        let organization = self.shared.organization();
        organization.keys.iter().find(|key| key.value == value).map(|key| key.id.clone())
    }
}

/// Filling the organization without the API.
#[allow(clippy::must_use_candidate, reason = "seeding is done for its effect too")]
impl FakeOpenAi {
    /// Adds a project and tells its id.
    pub fn seed_project(&self, name: &str) -> String {
        self.shared.organization().add_project(name, self.clock().now()).id.clone()
    }

    /// Adds a person with the role `reader` and tells their id. They have access to no project.
    pub fn seed_user(&self, name: &str) -> String {
        self.shared.organization().add_user(name, "reader", self.clock().now())
    }

    /// Adds a group and tells its id.
    pub fn seed_group(&self, name: &str) -> String {
        self.shared.organization().add_group(name, self.clock().now())
    }

    /// Adds a service account without keys and tells its id. The roles are `member`, `owner` and
    /// `none`.
    ///
    /// # Panics
    ///
    /// If there is no such project.
    pub fn seed_service_account(&self, project: &str, name: &str, role: &str) -> String {
        let mut organization = self.shared.organization();
        assert!(organization.project(project).is_ok(), "no such project: {project}");
        organization.add_service_account(project, name, role, self.clock().now()).id
    }

    /// Adds a key, with every scope and no expiry, to a service account, and tells its value.
    ///
    /// # Panics
    ///
    /// If there is no such account.
    pub fn seed_service_account_key(&self, service_account: &str) -> String {
        let mut organization = self.shared.organization();
        let found =
            organization.service_accounts.iter().find(|account| account.id == service_account);
        let Some(account) = found else { panic!("no such service account: {service_account}") };
        let project = account.project.clone();
        let owner = Owner::ServiceAccount(service_account.to_owned());
        organization.add_key(self.seed(KeyKind::ServiceAccount, owner, project)).value.clone()
    }

    /// Lets the tokens of an issuer for this audience that have the claim `sub` be a service account,
    /// and tells the id of the identity provider.
    ///
    /// # Panics
    ///
    /// If there is no such account.
    pub fn seed_workload_identity(
        &self,
        issuer: &FakeIssuer,
        audience: &str,
        sub: &str,
        service_account: &str,
    ) -> String {
        let mut organization = self.shared.organization();
        workload_identity::seed(&mut organization, issuer, audience, sub, service_account)
    }

    /// Adds a person with access to a project and a key for it, and tells the key's value.
    ///
    /// # Panics
    ///
    /// If there is no such project.
    pub fn seed_user_project_key(&self, project: &str) -> String {
        let mut organization = self.shared.organization();
        assert!(organization.project(project).is_ok(), "no such project: {project}");
        let name = format!("Member {}", organization.users.len());
        let user = organization.add_user(&name, "reader", self.clock().now());
        let added = organization.users.last_mut().expect("one was just added");
        added.join(project, "member", self.clock().now());
        let owner = Owner::User(user);
        organization.add_key(self.seed(KeyKind::Project, owner, project.to_owned())).value.clone()
    }

    /// Adds a legacy user key of the owner's, and tells its value. It is in the default project,
    /// which is added when there is none.
    pub fn seed_legacy_user_key(&self) -> String {
        let mut organization = self.shared.organization();
        let default = organization.projects.iter().find(|project| project.is_default);
        let project = match default {
            Some(project) => project.id.clone(),
            None => {
                let project = organization.add_project("Default project", self.clock().now());
                project.is_default = true;
                project.id.clone()
            }
        };
        let user = &mut organization.users[0];
        user.join(&project, "owner", self.clock().now());
        let owner = Owner::User(user.id.clone());
        organization.add_key(self.seed(KeyKind::LegacyUser, owner, project)).value.clone()
    }

    /// Adds what was spent, in US dollars.
    pub fn seed_cost(&self, project: &str, unix_seconds: u64, amount: f64) {
        let project = Some(project.to_owned());
        let spending = Spending { at: unix_seconds, project, key: None, amount };
        self.shared.organization().spending.push(spending);
    }

    /// Adds requests of one kind of usage, named as in its path: `completions`, `images`. They
    /// are the owner's, of a model called `fake-model`.
    ///
    /// # Panics
    ///
    /// If there is no such kind.
    pub fn seed_usage(&self, kind: &str, project: &str, unix_seconds: u64, requests: u64) {
        let Some(known) = usage::kind(kind) else { panic!("no such kind of usage: {kind}") };
        let mut organization = self.shared.organization();
        let dimensions = [
            ("api_source", "unlabeled"),
            ("context_level", "medium"),
            ("model", "fake-model"),
            ("project_id", project),
            ("service_tier", "default"),
            ("size", "1024x1024"),
            ("source", "image.generation"),
            ("user_id", &organization.users[0].id),
            ("vector_store_id", "vs_fake"),
        ];
        let mut dimensions: BTreeMap<_, _> =
            dimensions.into_iter().map(|(name, value)| (name, json!(value))).collect();
        dimensions.insert("batch", json!(false));
        let at = unix_seconds;
        organization.uses.push(Use { kind: known.name, at, requests, dimensions });
    }

    /// Adds events to the audit log, a minute apart and the last of them now, and tells their ids,
    /// the newest first. Each of the 149 types has its turn, the organization's before those that
    /// start with `tenant.`. The tenant's are listed with `tenant_only` alone, and so are
    /// `role.bound_to_resource` and `role.unbound_from_resource`.
    pub fn seed_audit_events(&self, count: usize) -> Vec<String> {
        let now = self.clock().now();
        let sample = |n: usize| {
            let kind = audit_events::TYPES[n % audit_events::TYPES.len()];
            (kind, now.saturating_sub(60 * (count - 1 - n) as u64))
        };
        let mut ids = self.shared.organization().add_samples((0..count).map(sample));
        ids.reverse();
        ids
    }

    /// Adds an event of one type to the audit log at each of these moments, in this order, and tells
    /// their ids. Of two events of one second the log lists the one that was added later first.
    ///
    /// # Panics
    ///
    /// If there is no such type.
    pub fn seed_audit_events_at(&self, event_type: &str, unix_seconds: &[u64]) -> Vec<String> {
        let Some(kind) = audit_events::TYPES.iter().find(|known| **known == event_type) else {
            panic!("no such type of event: {event_type}")
        };
        let samples = unix_seconds.iter().map(|at| (*kind, *at));
        self.shared.organization().add_samples(samples)
    }

    /// Has the invited accept, and tells the id of the person that they are then.
    ///
    /// # Panics
    ///
    /// If there is no such invite, or it is no longer pending.
    pub fn accept_invite(&self, invite: &str) -> String {
        let now = self.clock().now();
        let mut organization = self.shared.organization();
        let accepted = invites::accept(&mut organization, invite, now);
        let Some(user) = accepted else { panic!("no pending invite: {invite}") };
        organization.note_session("invite.accepted", &user, json!({ "id": invite }), now);
        user
    }

    /// Takes a person's access to a project away. Their keys stay, and are no longer accepted.
    pub fn revoke_access(&self, user: &str, project: &str) {
        let mut organization = self.shared.organization();
        for user in organization.users.iter_mut().filter(|u| u.id == user) {
            user.leave(project);
        }
    }

    fn seed(&self, kind: KeyKind, owner: Owner, project: String) -> NewKey<'static> {
        NewKey {
            kind,
            name: "seeded",
            owner,
            project: Some(project),
            now: self.clock().now(),
            live_from: Duration::ZERO,
            lifetime: None,
            scopes: Vec::new(),
        }
    }
}

impl fmt::Debug for FakeOpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeOpenAi").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// How a [`FakeOpenAi`] is set up.
#[derive(Debug)]
#[must_use = "nothing listens before `start`"]
pub struct FakeOpenAiBuilder {
    clock: FakeClock,
    options: Options,
    port: u16,
    script: Script,
    seed: Option<u64>,
    throttle: Option<Throttle>,
}

impl FakeOpenAiBuilder {
    fn new() -> Self {
        Self {
            clock: FakeClock::system(),
            options: Options {
                auth_cache: Duration::ZERO,
                latency: Duration::ZERO,
                list_project_keys_as_admin_keys: false,
                max_key_lifetime: None,
                organization_name: "Fake Organization".to_owned(),
                page_size_limit: None,
                refuse_duplicate_service_account_names: false,
                refuse_service_account_key_deletion: false,
                service_account_keys_only: false,
            },
            port: 0,
            script: Script::default(),
            seed: None,
            throttle: None,
        }
    }

    /// How long a new key is not accepted, and a deleted key and former scopes still are.
    /// By default, no time.
    pub fn auth_cache(mut self, delay: Duration) -> Self {
        self.options.auth_cache = delay;
        self
    }

    /// The clock. By default, the system's.
    pub fn clock(mut self, clock: FakeClock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a fault behind those given before.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.script.push(fault);
        self
    }

    /// How long each answer takes, in real time; answers to several clients wait at once. By
    /// default, no time.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.options.latency = latency;
        self
    }

    /// Whether the list of admin keys shows project keys as well, labelled as admin keys, as
    /// OpenAI's has been seen to do. By default, it does not.
    pub fn list_project_keys_as_admin_keys(mut self, yes: bool) -> Self {
        self.options.list_project_keys_as_admin_keys = yes;
        self
    }

    /// The longest life of a key; one that never expires is then refused too. By default, none.
    pub fn max_key_lifetime(mut self, max: Option<Duration>) -> Self {
        self.options.max_key_lifetime = max;
        self
    }

    /// The organization's name.
    pub fn organization_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.options.organization_name);
        self
    }

    /// The most entries on a page, whatever a client asks for, so that few entries fill many
    /// pages. By default, as many as OpenAI's.
    ///
    /// # Panics
    ///
    /// If it is zero: such pages never end.
    pub fn page_size_limit(mut self, entries: usize) -> Self {
        assert!(entries > 0, "a page holds at least one entry");
        self.options.page_size_limit = Some(entries);
        self
    }

    /// The port on the loopback interface. By default, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether a second service account of the same name is refused in a project. By default, it
    /// is not; OpenAI does not say.
    pub fn refuse_duplicate_service_account_names(mut self, yes: bool) -> Self {
        self.options.refuse_duplicate_service_account_names = yes;
        self
    }

    /// Whether the key of a service account can only be deleted with the account, as it was
    /// before 2026-10. By default, it can be deleted.
    pub fn refuse_service_account_key_deletion(mut self, yes: bool) -> Self {
        self.options.refuse_service_account_key_deletion = yes;
        self
    }

    /// Makes ids and keys the same in each run. By default, they differ.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether the keys of people are refused where they are used or updated. By default, they
    /// are not.
    pub fn service_account_keys_only(mut self, yes: bool) -> Self {
        self.options.service_account_keys_only = yes;
        self
    }

    /// How many requests each operation answers in a second, and how many at once at first: what
    /// comes faster gets a 429 with the code `rate_limit_exceeded`, and, if asked for, with the
    /// seconds to wait in `Retry-After`. It counts in real time, not by the clock. By default,
    /// there is no throttle.
    ///
    /// # Panics
    ///
    /// If nothing would ever be answered: the rate must be above zero, and the burst at least one.
    pub fn throttle(mut self, rate_per_second: f64, burst: u32, with_retry_after: bool) -> Self {
        assert!(rate_per_second > 0.0 && burst > 0, "a throttle lets something through");
        self.throttle = Some(Throttle::new(rate_per_second, burst, with_retry_after));
        self
    }

    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// If the port is taken, no thread can be started, or a fault is of an operation that the
    /// fake does not have.
    pub async fn start(self) -> io::Result<FakeOpenAi> {
        let Self { clock, options, port, script, seed, throttle } = self;
        script.check().map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
        let seed = seed.unwrap_or_else(|| KeyRng::from_entropy().next_u64());
        let shared = Arc::new(Shared::new(clock, options, seed, script, throttle));
        let server = Server::start(port, Arc::clone(&shared))?;
        Ok(FakeOpenAi { shared, server })
    }
}
