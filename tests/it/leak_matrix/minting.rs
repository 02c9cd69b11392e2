//! What is answered when a key is created, and those who read it: by hand, and keyward-admin.

use keyward_admin::{ApiKeyId, Client, Error, MintedKey, NewServiceAccountKey, Scope, Scopes};

use super::place::{admin_key, admin_text, debug, string, told};
use crate::authorize::hostile::{Hostile, answer};

/// The answer of a key that was created, as others decode it.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub(super) struct Created<K> {
    pub(super) id: String,
    pub(super) created_at: u64,
    pub(super) value: K,
}

/// The answer as OpenAI gives it.
pub(super) fn created() -> String {
    let key = string();
    format!(
        r#"{{"object": "organization.project.service_account.api_key", "id": "key_1",
            "name": "blue", "created_at": 1790000000, "value": "{key}"}}"#
    )
}

/// The same with two fields swapped.
pub(super) fn swapped() -> String {
    let key = string();
    format!(r#"{{"id": "key_1", "name": "blue", "created_at": "{key}", "value": 1790000000}}"#)
}

/// A server that answers so, whatever it is asked.
pub(super) fn server(status: u16, body: &str) -> Hostile {
    Hostile::with(status, "content-type: application/json\r\n", body)
}

/// One that repeats the key that it is sent, as OpenAI does in part.
pub(super) fn echo() -> Hostile {
    Hostile::start(|head| {
        let sent = crate::authorize::header(head, "authorization");
        let key = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("nothing");
        let body = format!(
            r#"{{"error": {{"message": "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com.", "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}}}}"#
        );
        let headers = format!("content-type: application/json\r\nx-request: {key}\r\n");
        answer(401, &headers, &body)
    })
}

/// Creates a key with keyward-admin.
pub(super) async fn mint(server: &Hostile) -> Result<MintedKey<ApiKeyId>, Error> {
    let base = format!("{}/v1", server.url());
    let client = Client::builder(admin_key()).base_url(base).allow_loopback().build()?;
    let account = client.project("proj_1").service_account("user-1");
    let new = NewServiceAccountKey::new("blue", Scopes::only(Scope::RESPONSES_WRITE));
    let minted = account.create_key(new).await;
    assert!(server.heads()[0].contains(admin_text()), "it was not asked");
    minted
}

/// What is told of it: keyward-admin finds the key wherever it stands in the answer.
pub(super) async fn outcome(server: &Hostile) -> String {
    match mint(server).await {
        Ok(minted) => debug(&minted),
        Err(error) => told(&error),
    }
}
