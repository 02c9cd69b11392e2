//! Work that may block for ever, on a thread that nobody waits for.
//!
//! Neither a runtime's threads for blocking work nor its timer would do: the runtime waits for
//! those threads when it is dropped, and it may have no timer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// How detached work ended.
pub(super) enum Ended<T> {
    /// So many earlier ones still have not, so that it was not begun.
    Crowded,
    /// It panicked, or no thread could be had.
    Died,
    Done(T),
    /// Not in time. It goes on, and what it yields is dropped.
    Late,
}

/// How many threads that nobody waits for any more may go on at once.
const MOST_LATE: usize = 4;

/// Does the work, and waits for it so long at most. `late` counts those that were late and still
/// go on.
pub(super) async fn detached<T: Send + 'static>(
    time_out: Duration,
    late: &Arc<AtomicUsize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Ended<T> {
    if late.load(Ordering::Acquire) >= MOST_LATE {
        return Ended::Crowded;
    }
    let late = Arc::clone(late);
    let (tell, told) = oneshot::channel();
    let wait = move || {
        // Without a buffer, so that nothing is left in it that was not taken in time.
        let (yielded, taken) = mpsc::sync_channel(0);
        let came_late = Arc::clone(&late);
        let work = move || {
            let done = catch_unwind(AssertUnwindSafe(work)).map_or(Ended::Died, Ended::Done);
            wipe_stack();
            if yielded.send(done).is_err() {
                came_late.fetch_sub(1, Ordering::Release);
            }
        };
        let ended = match thread::Builder::new()
            .name("keychain".to_owned())
            .stack_size(STACK)
            .spawn(work)
        {
            Err(_) => Ended::Died,
            Ok(_) => taken.recv_timeout(time_out).unwrap_or_else(|error| match error {
                RecvTimeoutError::Disconnected => Ended::Died,
                RecvTimeoutError::Timeout => {
                    late.fetch_add(1, Ordering::Release);
                    Ended::Late
                }
            }),
        };
        drop(taken);
        let _ = tell.send(ended);
    };
    match thread::Builder::new().name("keychain-wait".to_owned()).spawn(wait) {
        Err(_) => Ended::Died,
        Ok(_) => told.await.unwrap_or(Ended::Died),
    }
}

const STACK: usize = 1024 * 1024;

/// Writes over what the work left on the thread's stack, which the system keeps for the next
/// thread: a cipher's blocks, for one.
#[inline(never)]
fn wipe_stack() {
    let mut below = [0_u8; STACK / 2];
    std::hint::black_box(&mut below);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    use super::*;

    fn run<T: Send + 'static>(
        time_out: Duration,
        late: &Arc<AtomicUsize>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Ended<T> {
        // A runtime without a timer.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(detached(time_out, late, work))
    }

    #[test]
    fn yields_what_the_work_does_and_survives_its_panic() {
        let late = Arc::default();
        let long = Duration::from_secs(60);
        assert!(matches!(run(long, &late, || 7), Ended::Done(7)));
        let panics = || -> u8 { std::panic::resume_unwind(Box::new("by the test")) };
        assert!(matches!(run(long, &late, panics), Ended::Died));
        assert_eq!(late.load(Ordering::Acquire), 0);
    }

    #[test]
    fn work_that_does_not_end_is_left_and_not_begun_for_ever_again() {
        let late = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        for _ in 0..MOST_LATE {
            let stop = Arc::clone(&stop);
            let work = move || {
                while !stop.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(5));
                }
            };
            assert!(matches!(run(Duration::from_millis(20), &late, work), Ended::Late));
        }
        assert!(matches!(run(Duration::from_secs(60), &late, || ()), Ended::Crowded));
        stop.store(true, Ordering::Release);
        while late.load(Ordering::Acquire) > 0 {
            thread::sleep(Duration::from_millis(5));
            assert!(began.elapsed() < Duration::from_secs(60), "they do not count themselves out");
        }
        assert!(matches!(run(Duration::from_secs(60), &late, || ()), Ended::Done(())));
    }
}
