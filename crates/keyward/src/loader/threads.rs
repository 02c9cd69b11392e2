//! [`Threads`]: work that blocks, such as reading a file, and how much of it may hang at once.

use std::panic;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How many pieces of work may be under way at once for one loader. More wait for their turn.
///
/// Whoever gives up waiting for a file system that hangs leaves a thread behind in it, and asks
/// again later. Without a bound, the threads of a mount that is dead for a day would be thousands.
pub(crate) const MOST: usize = 4;

/// The threads that one loader may block, shared by its clones.
#[derive(Clone, Debug)]
pub(crate) struct Threads(Arc<Semaphore>);

impl Threads {
    /// Does work that blocks: on the runtime's threads for that, or here if no runtime is there.
    /// When too much of it hangs, it is not begun before some of that has ended.
    ///
    /// `None` when the runtime shut down before the work began.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if Handle::try_current().is_err() {
            return Some(work());
        }
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        blocking(move || {
            // Until the work ends, which is not when somebody stops waiting for it.
            let _turn = turn;
            work()
        })
        .await
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Does work that blocks: on the runtime's threads for that, or here if no runtime is there.
///
/// `None` when the runtime shut down before the work began.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let Ok(runtime) = Handle::try_current() else {
        return Some(work());
    };
    match runtime.spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            Err(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// What hangs here hangs in a lock, as in a dead file system: nothing ends it from outside.
    #[test]
    fn work_that_hangs_is_bounded_and_goes_on_when_it_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (threads, dead) = (Threads::default(), Arc::new(Mutex::new(())));
        let begun = Arc::new(AtomicUsize::new(0));
        let hangs = dead.lock().expect("nobody else has it");
        for _ in 0..3 * MOST {
            let (dead, begun) = (Arc::clone(&dead), Arc::clone(&begun));
            let work = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                drop(dead.lock());
            };
            // A clone, as each load of an application may have one.
            let threads = threads.clone();
            let waited = async { timeout(Duration::from_millis(30), threads.run(work)).await };
            assert!(runtime.block_on(waited).is_err(), "it does not hang");
        }
        let hanging = begun.load(Ordering::Relaxed);
        drop(hangs);
        assert_eq!(hanging, MOST);
        assert_eq!(runtime.block_on(threads.run(|| 7)), Some(7), "it recovers");
    }

    #[test]
    fn work_that_panics_gives_its_turn_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let threads = Threads::default();
        for _ in 0..=MOST {
            let panics = threads.run(|| panic::resume_unwind(Box::new("by the test")));
            let panicked = runtime.block_on(crate::live::race::caught(panics));
            assert_eq!(panicked, None::<Option<()>>);
        }
        assert_eq!(runtime.block_on(threads.run(|| 7)), Some(7));
    }
}
