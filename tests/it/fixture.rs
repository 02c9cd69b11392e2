//! A fake organization with a client of it, and logs that are captured at `TRACE`.

use std::sync::Once;
use std::time::Duration;

use keyward_admin::{Client, ClientBuilder, ProjectId, ServiceAccountId};
use keyward_core::{AdminKey, AdmitContext, ApiKey, KeyPolicy, Timestamp};
use keyward_testkit::leak::CapturedLogs;
use keyward_testkit::{FakeOpenAi, Fault, FaultAction};

pub(crate) const MINT: &str =
    "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";

/// An organization with a project and a service account in it.
pub(crate) struct Organization {
    pub(crate) fake: FakeOpenAi,
    pub(crate) project: ProjectId,
    pub(crate) account: ServiceAccountId,
}

impl Organization {
    pub(crate) async fn start() -> Self {
        Self::of(FakeOpenAi::start().await.expect("a fake"))
    }

    pub(crate) fn of(fake: FakeOpenAi) -> Self {
        let project = fake.seed_project("website");
        let account = fake.seed_service_account(&project, "backend", "member");
        Self { fake, project: project.into(), account: account.into() }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(admin_key(self.fake.admin_key()))
            .base_url(self.fake.base_url())
            .allow_loopback()
            .max_wait(Duration::from_secs(3))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    /// A client that does not wait long for an answer.
    pub(crate) fn hasty_client(&self) -> Client {
        self.builder().timeout(Duration::from_millis(300)).build().expect("a client")
    }

    /// Lets the next request to an operation fail so.
    pub(crate) fn fails(&self, method: &str, template: &str, action: FaultAction) {
        self.fake.fault(Fault::on(method, template).then(action));
    }

    /// The keys that exist and were not there when the organization began.
    pub(crate) fn minted(&self) -> Vec<String> {
        let mut keys = self.fake.live_key_values();
        keys.retain(|key| *key != self.fake.admin_key());
        keys
    }
}

/// A runtime of its own, for what shall outlive another or be outlived.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

pub(crate) fn admin_key(text: String) -> AdminKey {
    let key = ApiKey::parse(text).expect("a key");
    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    KeyPolicy::admin().admit(&key, &now).expect("admitted").into_admin_key().expect("an admin key")
}

/// Runs something on a runtime of this thread, and tells every log line that this thread wrote, of
/// every crate.
pub(crate) fn with_trace<T>(run: impl Future<Output = T>) -> (T, String) {
    let (result, logs) = traced(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime").block_on(run)
    });
    // The positive control: the capture sees what the HTTP stack says.
    assert!(logs.contains("TRACE") && logs.contains("hyper"), "nothing was captured");
    (result, logs)
}

/// Runs something, and tells every log line that this thread wrote.
pub(crate) fn traced<T>(run: impl FnOnce() -> T) -> (T, String) {
    thread_local! {
        static LOGS: CapturedLogs = CapturedLogs::new();
    }
    // One subscriber for the process: tracing remembers for each place in the code whether
    // anybody listens, and one subscriber a thread would make that depend on who came first.
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(|| LOGS.with(CapturedLogs::writer))
            .init();
    });

    let before = LOGS.with(CapturedLogs::contents).len();
    let result = run();
    let logs = LOGS.with(CapturedLogs::contents).split_off(before);
    (result, logs)
}
