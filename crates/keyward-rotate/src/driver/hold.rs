//! Holding a lease on while something takes its time.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use keyward::store::{KeyStore, Lease};

use super::Outside;
use crate::RotateError;
use crate::outside::Time;

/// A lease that was taken.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    /// When it was taken or renewed, at the latest.
    pub(crate) since: Duration,
}

/// How long after a renewal that failed the next one comes.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Held {
    /// When it is held on, at the latest: each writing of it is a version in some stores.
    pub(crate) fn is_old(&self, ttl: Duration, running: Duration) -> bool {
        running.saturating_sub(self.since) >= ttl / 3
    }

    /// Does what may take longer than a lease lasts, such as a listing of many keys, and holds the
    /// lease on meanwhile.
    ///
    /// # Errors
    ///
    /// When another has it. What was being done is dropped then, so it must have no effects.
    pub(crate) async fn during<O, S, J, P, T, V>(
        &mut self,
        outside: &Outside<'_, O, S, J, P, T>,
        work: impl Future<Output = V>,
    ) -> Result<V, RotateError>
    where
        S: KeyStore,
        T: Time,
    {
        let ttl = outside.settings.lease;
        #[cfg(test)]
        {
            use crate::machine::Mutant;
            if matches!(outside.mutant, Some(Mutant::ForgetOthers | Mutant::LetLeaseGo)) {
                return Ok(work.await);
            }
        }
        let mut work = pin!(work);
        let mut pause = (ttl / 3).saturating_sub(outside.time.running().saturating_sub(self.since));
        loop {
            {
                let mut sleep = pin!(outside.time.sleep(pause));
                let done = poll_fn(|context| {
                    if let Poll::Ready(done) = work.as_mut().poll(context) {
                        return Poll::Ready(Some(done));
                    }
                    sleep.as_mut().poll(context).map(|()| None)
                });
                if let Some(done) = done.await {
                    return Ok(done);
                }
            }
            pause = match self.renew(outside).await {
                Ok(()) => ttl / 3,
                Err(error) if error.is_lease_held() => return Err(error),
                // Perhaps the next one comes through.
                Err(_) => AFTER_FAILURE,
            };
        }
    }

    pub(crate) async fn renew<O, S, J, P, T>(
        &mut self,
        outside: &Outside<'_, O, S, J, P, T>,
    ) -> Result<(), RotateError>
    where
        S: KeyStore,
        T: Time,
    {
        let (since, now) = (outside.time.running(), outside.time.wall());
        let renewed = outside.store.renew(&self.lease, outside.settings.lease, now).await;
        self.lease = renewed.map_err(|error| RotateError::of_store(&error))?;
        self.since = since;
        Ok(())
    }
}
