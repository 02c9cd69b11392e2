//! Work that may never end: on a thread of its own, which neither a runtime nor the end of the
//! process waits for.

#[cfg(feature = "workload-identity")]
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

#[cfg(feature = "workload-identity")]
use crate::live::race::{Either, race};

/// Whether somebody still waits for the work.
pub(crate) struct Awaited<T>(Arc<Mutex<Option<oneshot::Sender<T>>>>);

impl<T> Awaited<T> {
    pub(super) fn is_given_up(&self) -> bool {
        self.slot().as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn answer(&self, answer: T) {
        // Whoever waited may be gone, or have another answer; then this is dropped, and a key in it
        // wiped.
        if let Some(waits) = self.slot().take() {
            drop(waits.send(answer));
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<oneshot::Sender<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody does.
    #[cfg(any(feature = "client-secret", feature = "workload-identity"))]
    pub(crate) async fn given_up(&self) {
        std::future::poll_fn(|cx| match &mut *self.slot() {
            Some(waits) => waits.poll_closed(cx),
            None => std::task::Poll::Ready(()),
        })
        .await;
    }
}

/// Does work on a thread of its own. `None` if no thread is to be had, or the work panics.
///
/// tokio's threads for blocking work are not for this: a runtime waits for them when it ends.
#[cfg(any(feature = "client-secret", feature = "prompt", feature = "workload-identity"))]
pub(crate) async fn detached<T: Send + 'static>(
    name: &str,
    work: impl FnOnce(&Awaited<T>) -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = oneshot::channel();
    let awaited = Awaited(Arc::new(Mutex::new(Some(done))));
    start(name, move || awaited.answer(work(&awaited)))?;
    result.await.ok()
}

/// Awaits work until the limit, which a thread keeps: a runtime may have no timer. `None` when that
/// is over.
#[cfg(feature = "workload-identity")]
pub(super) async fn within<T>(
    name: &str,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let (goes_on, is_over) = mpsc::channel::<()>();
    // Begun only if the work is not done at once. It ends with the sender.
    let over = detached(name, move |_| {
        let _ = is_over.recv_timeout(limit);
    });
    let done = match race(work.as_mut(), over).await {
        Either::First(done) => Some(done),
        Either::Second(Some(())) => None,
        // There is no thread to be had.
        Either::Second(None) => Some(work.await),
    };
    drop(goes_on);
    done
}

/// How long work may take, and what is counted of it when it takes longer.
pub(super) struct Limit<'a> {
    pub(super) time: Duration,
    pub(super) overdue: &'a Overdue,
}

/// The same, and the answer is `late` when the work is not done within the limit, whatever it
/// hangs in. It goes on then, is given up, and counts as overdue until it ends. The limit is kept
/// by another thread: a runtime may have no timer.
pub(super) async fn detached_within<T: Send + 'static>(
    name: &str,
    limit: Limit<'_>,
    late: T,
    work: impl FnOnce(&Awaited<T>) -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = oneshot::channel();
    let awaited = Awaited(Arc::new(Mutex::new(Some(done))));
    let (goes_on, is_over) = mpsc::channel::<()>();
    let watched = Awaited(Arc::clone(&awaited.0));
    // Filled by the one thread, and dropped by whichever has it last.
    let mark = Arc::new(OnceLock::new());
    let marked = Arc::clone(&mark);
    start(name, move || {
        // Also when it panics.
        let _goes_on = (goes_on, marked);
        watched.answer(work(&watched));
    })?;
    let Limit { time, overdue } = limit;
    let overdue = overdue.clone();
    start(name, move || {
        // Otherwise it has answered. Without an answer, nobody has the sender any more.
        if let Err(mpsc::RecvTimeoutError::Timeout) = is_over.recv_timeout(time) {
            // Before the answer, after which somebody may ask again.
            let _ = mark.set(overdue.one());
            awaited.answer(late);
        }
    })?;
    result.await.ok()
}

/// Counts what hangs of one loader and its clones, so that no more of it is begun for ever.
#[derive(Clone, Debug, Default)]
pub(super) struct Overdue(Arc<AtomicUsize>);

impl Overdue {
    /// How much may hang at once.
    pub(super) const MOST: usize = 4;

    pub(super) fn is_full(&self) -> bool {
        self.0.load(Ordering::Acquire) >= Self::MOST
    }

    /// Counts one more, until it is dropped.
    pub(super) fn one(&self) -> OneOverdue {
        self.0.fetch_add(1, Ordering::AcqRel);
        OneOverdue(self.clone())
    }
}

/// One of those that [`Overdue`] counts.
#[derive(Debug)]
pub(super) struct OneOverdue(Overdue);

impl Drop for OneOverdue {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Option<()> {
    thread::Builder::new().name(name.into()).spawn(work).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn run(
        time: Duration,
        overdue: &Overdue,
        work: impl FnOnce(&Awaited<u8>) -> u8 + Send + 'static,
    ) -> Option<u8> {
        // A runtime without a timer.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(detached_within("a test", Limit { time, overdue }, 0, work))
    }

    #[test]
    fn answers_and_survives_a_panic() {
        let overdue = Overdue::default();
        for time in [Duration::from_secs(60), Duration::MAX] {
            assert_eq!(run(time, &overdue, |_| 7), Some(7));
            let panics = |_: &Awaited<u8>| std::panic::resume_unwind(Box::new("by the test"));
            assert_eq!(run(time, &overdue, panics), None);
        }
        assert_eq!(overdue.0.load(Ordering::Acquire), 0);
    }

    #[test]
    fn work_that_hangs_is_answered_for_and_given_up() {
        let given_up = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&given_up);
        let hangs = move |awaited: &Awaited<u8>| {
            while !awaited.is_given_up() {
                thread::sleep(Duration::from_millis(5));
            }
            tells.store(true, Ordering::Release);
            7
        };
        assert_eq!(run(Duration::from_millis(20), &Overdue::default(), hangs), Some(0));
        while !given_up.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[cfg(feature = "workload-identity")]
    #[test]
    fn awaits_until_the_limit_without_a_timer() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let short = Duration::from_millis(20);
        let (answers, waits) = oneshot::channel();
        let answered = thread::spawn(move || {
            thread::sleep(short);
            answers.send(7).unwrap();
        });
        for limit in [Duration::from_secs(60), Duration::MAX] {
            let ready = within("a test", limit, std::future::ready(7));
            assert_eq!(runtime.block_on(ready), Some(7));
        }
        let late = within("a test", Duration::from_secs(60), waits);
        assert_eq!(runtime.block_on(late), Some(Ok(7)));
        let never = within("a test", short, std::future::pending::<u8>());
        assert_eq!(runtime.block_on(never), None);
        answered.join().unwrap();
    }

    /// It hangs in a lock, as in a dead mount: that it is given up does not end it.
    #[test]
    fn what_hangs_is_counted_until_it_ends() {
        let (overdue, dead) = (Overdue::default(), Arc::new(Mutex::new(())));
        let hangs = dead.lock().unwrap();
        for n in 0..Overdue::MOST {
            assert!(!overdue.is_full(), "{n}");
            let dead = Arc::clone(&dead);
            let work = move |_: &Awaited<u8>| {
                drop(dead.lock());
                7
            };
            assert_eq!(run(Duration::from_millis(20), &overdue, work), Some(0));
        }
        assert!(overdue.is_full());
        drop(hangs);
        while overdue.0.load(Ordering::Acquire) > 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
