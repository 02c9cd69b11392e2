//! What OpenAI answers: a secret, or why there is none.

use std::time::Duration;

use http::{StatusCode, header};
use keyward_core::{ApiKey, KeyKind, Timestamp};

use super::{ClientSecret, ClientSecretError};
use crate::authorize::{Denied, Said};
use crate::http_call::{Answer, Secret, readable};

#[derive(serde::Deserialize)]
struct Told {
    value: Secret,
    expires_at: i64,
}

/// Takes the secret out of an answer to a request with this key.
pub(super) fn secret(answer: &Answer, sent: &ApiKey) -> Result<ClientSecret, ClientSecretError> {
    match answer.status {
        200..=299 => {}
        300..=399 => return Err(ClientSecretError::redirected(answer.status)),
        _ => return Err(refused(answer, sent)),
    }
    // EXPOSE: the door for client secrets. serde's error is dropped: it quotes.
    let told: Told = serde_json::from_slice(&answer.body)
        .map_err(|_| ClientSecretError::invalid("is not one with a client secret"))?;
    if sent.is_echoed_in(told.value.as_str()) {
        return Err(ClientSecretError::invalid("repeats the key that it was asked with"));
    }
    let is_key = told.value.as_str().starts_with("sk-");
    let key = ApiKey::issued(told.value.into_bytes())
        .map_err(|_| ClientSecretError::invalid("has no secret that a header can carry"))?;
    // A prefix that is newer than this version is no reason to have none.
    if is_key || !matches!(key.kind(), KeyKind::EphemeralClient | KeyKind::Unknown) {
        return Err(ClientSecretError::invalid("has a key where a client secret belongs"));
    }
    Ok(ClientSecret { key, expires_at: Timestamp::from_unix_seconds(told.expires_at) })
}

/// Why there is none.
fn refused(answer: &Answer, sent: &ApiKey) -> ClientSecretError {
    let content = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content.is_some_and(|value| value.to_ascii_lowercase().contains("json"));
    let said = if is_json { Said::read(&answer.body) } else { None };
    // A 401 that says something which is not understood may tell another reason.
    let is_clear = said.is_some() || answer.body.is_empty();
    let said = said.unwrap_or_default();
    let words = said.message().and_then(|words| readable(words, |text| sent.is_echoed_in(text)));
    let denied = StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| Denied::read(status, said, sent));
    let error = match denied {
        Some(denied) => ClientSecretError::denied_by(denied, is_clear),
        None => ClientSecretError::refused(answer.status, words.as_deref()),
    };
    let wait = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = wait.and_then(|text| text.trim().parse::<f64>().ok());
    error.after(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
