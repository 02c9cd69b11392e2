//! Work that may never end: on a thread of its own, which neither a runtime nor the end of the
//! process waits for.

use std::thread;

use tokio::sync::oneshot;

/// Whether somebody still waits for the work.
pub(super) struct Awaited<T>(oneshot::Sender<T>);

impl<T> Awaited<T> {
    pub(super) fn is_given_up(&self) -> bool {
        self.0.is_closed()
    }
}

/// Does work on a thread of its own. `None` if no thread is to be had, or the work panics.
///
/// tokio's threads for blocking work are not for this: a runtime waits for them when it ends.
pub(super) async fn detached<T: Send + 'static>(
    name: &str,
    work: impl FnOnce(&Awaited<T>) -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = oneshot::channel();
    let awaited = Awaited(done);
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        let result = work(&awaited);
        // Whoever waited may be gone; then the result is dropped here, and a key in it wiped.
        let _ = awaited.0.send(result);
    });
    if thread.is_err() {
        return None;
    }
    result.await.ok()
}
