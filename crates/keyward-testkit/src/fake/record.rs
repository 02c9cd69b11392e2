//! What the fake organization remembers of the requests it got: never a key, never a body.

use std::sync::{Mutex, PoisonError};

/// One request that the fake got, and what became of it.
///
/// Neither the `Authorization` header nor a body is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The operation's path with its parameters unfilled, without `/v1`:
    /// `/organization/projects/{project_id}`. Empty when no operation has this path.
    pub template: String,
    /// The path as it came, `/v1` included.
    pub path: String,
    /// The query as it came, without the question mark.
    pub query: String,
    /// The status of the answer; `None` while there is none, and for good when the connection
    /// was cut.
    pub status: Option<u16>,
    /// Whether the organization was changed, or a model called, whatever the answer said.
    pub effect: bool,
}

/// The requests in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Records {
    requests: Mutex<Vec<RecordedRequest>>,
}

impl Records {
    /// Notes an arrival; the place is for [`update`](Self::update).
    pub(super) fn arrived(&self, request: RecordedRequest) -> usize {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
        requests.len() - 1
    }

    pub(super) fn update(&self, place: usize, change: impl FnOnce(&mut RecordedRequest)) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = requests.get_mut(place) {
            change(request);
        }
    }

    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
