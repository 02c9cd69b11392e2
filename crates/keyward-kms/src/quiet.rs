//! Calls of an SDK without its log lines.

use std::future::Future;
use std::pin::Pin;

use tracing::Dispatch;
use tracing::instrument::{WithDispatch, WithSubscriber as _};

/// Does a call to where secrets are, without the SDK's own log lines: they print requests whole at
/// `TRACE`, and answers that cannot be read at `DEBUG`. The SDKs' futures are large, so it is
/// boxed before it is awaited.
pub(crate) fn quietly<F: Future>(call: F) -> WithDispatch<Pin<Box<F>>> {
    Box::pin(call).with_subscriber(Dispatch::none())
}
