//! [`Caller`]: what the adapters have in common: which key goes on a request, and what an answer
//! means for it.

use http::response::Parts;
use http::{HeaderMap, Uri, header};
use http_body::Body;
use keyward_core::ProjectKey;

use super::peek::Peeked;
use super::{AuthorizeError, Authorizer, Denied, DeniedReason};
use crate::LiveKey;

/// Whoever makes requests: with which key, and to where.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) live: LiveKey,
    pub(super) authorizer: Authorizer,
}

impl Caller {
    /// Puts the key that is in use on a request, and tells which that was.
    pub(super) fn put(
        &self,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Result<ProjectKey, AuthorizeError> {
        let key = ProjectKey::clone(&*self.live.current()?);
        self.authorizer.put(&key, uri, headers)?;
        Ok(key)
    }

    /// Looks at an answer, and notes with it why it is a refusal, if it is one. Tells whether it
    /// is that the key is not accepted.
    pub(super) async fn look<B: Body + Unpin>(
        &self,
        key: &ProjectKey,
        parts: &mut Parts,
        body: B,
    ) -> (Peeked<B>, bool) {
        let mut body = Peeked::unread(body);
        if parts.status.is_success() {
            return (body, false);
        }
        // An error or a redirect that repeats the key is not to print it with its headers.
        for value in parts.headers.values_mut() {
            if value.to_str().is_ok_and(|text| key.as_api_key().is_echoed_in(text)) {
                value.set_sensitive(true);
            }
        }
        if !parts.status.is_client_error() {
            return (body, false);
        }
        // Of what is packed or no JSON nothing is understood, and the status tells what it can.
        let is_json = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("json"));
        let is_plain = !parts.headers.contains_key(header::CONTENT_ENCODING);
        let denied = if is_json && is_plain {
            let beginning = body.peek().await;
            Denied::read(parts.status, &beginning, key.as_api_key())
        } else {
            Denied::read(parts.status, b"", key.as_api_key())
        };
        let is_key = denied.as_ref().is_some_and(|denied| denied.reason() == DeniedReason::Key);
        if let Some(denied) = denied {
            parts.extensions.insert(denied);
        }
        (body, is_key)
    }

    /// Tells the handle that the key is not accepted, and asks whether there is another.
    pub(super) async fn has_another(&self, rejected: &ProjectKey) -> bool {
        self.live.rejected(&rejected.fingerprint()).await
    }

    /// Tells the handle, and does not wait for what comes of it.
    pub(super) fn note(&self, rejected: &ProjectKey) {
        self.live.note_rejected(&rejected.fingerprint());
    }
}
