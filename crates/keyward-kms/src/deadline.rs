//! The deadline that every call of a cloud is under, whatever its SDK does about retries; and the
//! runtime that it needs.

use std::future::Future;
use std::time::Duration;

#[cfg(any(feature = "aws", feature = "google"))]
use keyward::KeySource;
#[cfg(any(feature = "aws", feature = "google"))]
use keyward::store::{StoreError, StoreErrorKind};

use tokio::runtime::Handle;

use crate::{Error, ErrorKind};

/// How long one load or write may take, unless a service says otherwise. The SDKs alone wait far
/// longer: Azure's retries for more than a minute on a certificate that it does not trust.
pub(crate) const DEFAULT: Duration = Duration::from_secs(10);

/// The runtime that this is awaited in. tokio's timers and the SDKs panic where there is none; that
/// one's timer is off, nobody can ask.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            "there is no tokio runtime to wait in",
            "await it within one, with its timer and its I/O on",
        )
    })
}

/// How long one operation of a store of several calls may take.
#[cfg(any(feature = "aws", feature = "google"))]
pub(crate) const OF_STORES: Duration = Duration::from_secs(30);

/// Awaits what a cloud does, until the deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    runtime()?;
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::TimedOut,
            format!("no answer within {deadline:?}"),
            "check that the service can be reached from here",
        ))
    })
}

/// Awaits an operation of a store, until the deadline. What an SDK does in it is large, so it is
/// boxed before it is awaited.
#[cfg(any(feature = "aws", feature = "google"))]
pub(crate) fn within_store<T, F>(
    deadline: Duration,
    source: KeySource,
    work: F,
) -> impl Future<Output = Result<T, StoreError>>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let work = Box::pin(work);
    async move {
        if let Err(error) = runtime() {
            return Err(error.in_store(source));
        }
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            Err(StoreError::new(
                StoreErrorKind::TimedOut,
                source,
                format!("no answer within {deadline:?}"),
                "look at what the store holds, and try again",
            ))
        })
    }
}
