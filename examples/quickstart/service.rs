//! A small service that holds a key as a real one does, in a `LiveKey`: loaded, admitted, put on
//! requests to allowed hosts alone, and replaced without a restart.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward::authorize::Authorizer;
use keyward::{AdmitContext, ApiKey, KeyFingerprint, KeyLoader, KeyPolicy, LiveKey, ProjectKey};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Outcome;

/// The service, and what an operator sees of it.
pub(crate) struct Service {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    key: LiveKey,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Service {
    /// Starts it with the key that is kept there. It makes requests without end, about 50 a second.
    pub(crate) async fn start(base_url: &str, kept: impl KeyLoader + 'static) -> Outcome<Self> {
        let backend = Backend::new(base_url)?;
        // Loaded and admitted here; kept fresh from now on.
        let key = LiveKey::project(kept, policy()?).start().await?;
        let counts = Arc::new(Counts::default());
        let (stop, mut stopped) = oneshot::channel();
        let (counted, live) = (counts.clone(), key.clone());
        let task = tokio::spawn(async move {
            loop {
                let answered = backend.request_with(&live).await;
                counted.requests.fetch_add(1, Ordering::Relaxed);
                if !matches!(answered, Ok(200)) {
                    counted.failures.fetch_add(1, Ordering::Relaxed);
                }
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        });
        Ok(Self { task, stop, key, counts })
    }

    /// The key in use.
    pub(crate) fn fingerprint(&self) -> Outcome<KeyFingerprint> {
        Ok(self.key.current()?.fingerprint())
    }

    /// Waits until it has moved over to another key. Nobody tells it to: it notices.
    pub(crate) async fn moves_over(&mut self) -> Outcome<()> {
        tokio::time::timeout(Duration::from_secs(20), self.key.changed()).await??;
        Ok(())
    }

    /// Waits until it has answered so many more requests.
    pub(crate) async fn answered(&self, more: u64) -> Outcome<()> {
        let goal = self.counts.requests.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.counts.requests.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await?;
        Ok(())
    }

    /// Stops it, and tells how many requests there were and how many failed.
    pub(crate) async fn stop(self) -> Outcome<(u64, u64)> {
        drop(self.stop);
        self.task.await?;
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Ok((count(&self.counts.requests), count(&self.counts.failures)))
    }
}

/// Uses a key once, and tells the status.
pub(crate) async fn prove(base_url: &str, key: &ApiKey) -> Outcome<u16> {
    let key = policy()?.admit(key, &AdmitContext::at(crate::now()))?.into_project_key()?;
    Backend::new(base_url)?.request(&key).await
}

/// Writes a file that its owner alone can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The production policy, and this machine as the one more host, for the fake organization.
pub(crate) fn policy() -> Outcome<KeyPolicy> {
    Ok(KeyPolicy::production().with_host("127.0.0.1")?)
}

/// The model API, as the service calls it.
struct Backend {
    http: reqwest::Client,
    authorizer: Authorizer,
    url: String,
}

impl Backend {
    fn new(base_url: &str) -> Outcome<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let url = format!("{base_url}/responses");
        Ok(Self { http, authorizer: Authorizer::new(policy()?), url })
    }

    /// One request with the key in use; with another one, if OpenAI does not accept it any longer
    /// and there is another.
    async fn request_with(&self, live: &LiveKey) -> Outcome<u16> {
        loop {
            let used = live.current()?.clone();
            let status = self.request(&used).await?;
            if status != 401 || !live.rejected(&used.fingerprint()).await {
                return Ok(status);
            }
        }
    }

    /// One request; the status, whatever it is.
    async fn request(&self, key: &ProjectKey) -> Outcome<u16> {
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5", "input": "ping"}"#)?;
        self.authorizer.authorize(key, &mut request)?;
        Ok(self.http.execute(request.try_into()?).await?.status().as_u16())
    }
}
