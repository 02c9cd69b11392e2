//! The deadline that every call of a cloud is under, whatever its SDK does about retries.

use std::future::Future;
use std::time::Duration;

use crate::{Error, ErrorKind};

/// How long one load or write may take, unless a service says otherwise. The SDKs alone wait far
/// longer: Azure's retries for more than a minute on a certificate that it does not trust.
pub(crate) const DEFAULT: Duration = Duration::from_secs(10);

/// Awaits what a cloud does, until the deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::TimedOut,
            format!("no answer within {deadline:?}"),
            "check that the service can be reached from here",
        ))
    })
}
