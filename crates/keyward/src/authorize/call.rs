//! [`Caller`]: what the adapters have in common: which key goes on a request, and what an answer
//! means for it.

use http::response::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use http_body::Body;
use keyward_core::ProjectKey;
use zeroize::Zeroizing;

use super::denied::Said;
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
    /// says that the key is not accepted.
    ///
    /// Of a 401 that says something which is not understood, the handle is told, but the request is
    /// not made again for it: what it says may be another reason.
    pub(super) async fn look<B: Body + Unpin>(
        &self,
        key: &ProjectKey,
        parts: &mut Parts,
        body: B,
    ) -> (Peeked<B>, bool) {
        let mut body = Peeked::unread(body);
        hide_echoes(key, &mut parts.headers);
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
        let is_readable = is_json && is_plain;
        let is_401 = parts.status == StatusCode::UNAUTHORIZED;
        // Of a 401 that cannot be read, it tells whether there is anything to read.
        let beginning = if is_readable || is_401 { Some(body.peek().await) } else { None };
        let text = beginning.as_deref().map_or(&[][..], Vec::as_slice);
        let said = if is_readable { Said::read(text) } else { None };
        let is_clear = said.is_some() || (text.is_empty() && body.is_all_seen());
        let denied = Denied::read(parts.status, said.unwrap_or_default(), key.as_api_key());
        // With another status the code is about something else, such as a key in the body.
        let is_key =
            is_401 && denied.as_ref().is_some_and(|denied| denied.reason() == DeniedReason::Key);
        if let Some(denied) = denied {
            parts.extensions.insert(denied);
        }
        if is_key && !is_clear {
            self.note(key);
        }
        (body, is_key && is_clear)
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

/// Marks the headers of an answer that repeat the key, so that they are not printed with the others.
pub(super) fn hide_echoes(key: &ProjectKey, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let Ok(text) = str::from_utf8(value.as_bytes()) {
            if key.as_api_key().is_echoed_in(text) {
                value.set_sensitive(true);
            }
            continue;
        }
        // A byte that is no text hides nothing. The copy is of the same size, and wiped.
        let mut copy = Zeroizing::new(value.as_bytes().to_vec());
        copy.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b' ');
        if str::from_utf8(&copy).is_ok_and(|text| key.as_api_key().is_echoed_in(text)) {
            value.set_sensitive(true);
        }
    }
}
