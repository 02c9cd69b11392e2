//! [`Load`]: about 200 requests a second, for as long as a test rotates keys beneath them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How long anything may take on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Requests of eight clients, each 25 a second, and what came of them.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    /// The longest that one took, in microseconds.
    slowest: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub(crate) fn of<F>(request: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send,
    {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let slowest = Arc::new(AtomicU64::new(0));
        let tasks = (0..8)
            .map(|_| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let slowest = Arc::clone(&slowest);
                let request = request.clone();
                tokio::spawn(async move {
                    let mut failures = Vec::new();
                    let mut pace = tokio::time::interval(Duration::from_millis(40));
                    while !stop.load(Ordering::Relaxed) {
                        pace.tick().await;
                        let begun = Instant::now();
                        let done = request().await;
                        let took = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
                        slowest.fetch_max(took, Ordering::Relaxed);
                        match done {
                            Ok(()) => {
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(failure) => failures.push(failure),
                        }
                    }
                    failures
                })
            })
            .collect();
        Self { stop, answered, slowest, tasks }
    }

    /// Waits for so many more answers.
    pub(crate) async fn answers(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.answered.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("answers");
    }

    /// The longest that a request took since this was asked last.
    pub(crate) fn take_slowest(&self) -> Duration {
        Duration::from_micros(self.slowest.swap(0, Ordering::Relaxed))
    }

    /// Ends it, and tells how many requests were answered and why others were not.
    pub(crate) async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.expect("a task"));
        }
        (self.answered.load(Ordering::Relaxed), failures)
    }
}
