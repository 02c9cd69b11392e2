//! A small service that holds a key as a real one would: loaded, admitted, put on requests to
//! allowed hosts alone, and replaced without a restart.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward::authorize::Authorizer;
use keyward::{
    AdmitContext, ApiKey, FileLoader, KeyFingerprint, KeyLoader as _, KeyPolicy, ProjectKey,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::Outcome;

/// The service, and what an operator sees of it.
pub(crate) struct Service {
    task: JoinHandle<()>,
    reloads: mpsc::Sender<()>,
    in_use: watch::Receiver<KeyFingerprint>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Service {
    /// Starts it with the key in a file. It answers requests without end, about 50 a second.
    pub(crate) async fn start(base_url: &str, key_file: &Path) -> Outcome<Self> {
        let backend = Backend::new(base_url)?;
        let mut key = load(key_file).await?;
        let counts = Arc::new(Counts::default());
        let (reloads, mut asked) = mpsc::channel(1);
        let (tell, in_use) = watch::channel(key.fingerprint());
        let (counted, key_file) = (counts.clone(), key_file.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let answered = backend.request(&key).await;
                counted.requests.fetch_add(1, Ordering::Relaxed);
                if !matches!(answered, Ok(200)) {
                    counted.failures.fetch_add(1, Ordering::Relaxed);
                }
                tokio::select! {
                    asked = asked.recv() => match asked {
                        // A key that cannot be loaded or is refused leaves the old one in use.
                        Some(()) => if let Ok(new) = load(&key_file).await {
                            key = new;
                            tell.send_replace(key.fingerprint());
                        },
                        None => return,
                    },
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        });
        Ok(Self { task, reloads, in_use, counts })
    }

    /// The key in use.
    pub(crate) fn fingerprint(&self) -> KeyFingerprint {
        *self.in_use.borrow()
    }

    /// Tells it to look for a new key, and waits until it has one.
    pub(crate) async fn reload(&mut self) -> Outcome<()> {
        self.reloads.send(()).await?;
        tokio::time::timeout(Duration::from_secs(5), self.in_use.changed()).await??;
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
        drop(self.reloads);
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

/// Puts a key in its file: written beside it, then moved over it in one step.
pub(crate) fn store(path: &Path, key: &ApiKey) -> io::Result<()> {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    // EXPOSE: a store write, into a file that its owner alone can read.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    write_private(&beside, key.expose_secret().as_bytes())?;
    std::fs::rename(beside, path)
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
fn policy() -> Outcome<KeyPolicy> {
    Ok(KeyPolicy::production().with_host("127.0.0.1")?)
}

async fn load(key_file: &Path) -> Outcome<ProjectKey> {
    let loaded = FileLoader::new(key_file).load().await?;
    Ok(loaded.admit(&policy()?, crate::now())?.into_project_key()?)
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

    /// One request; the status, whatever it is.
    async fn request(&self, key: &ProjectKey) -> Outcome<u16> {
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5", "input": "ping"}"#)?;
        self.authorizer.authorize(key, &mut request)?;
        Ok(self.http.execute(request.try_into()?).await?.status().as_u16())
    }
}
