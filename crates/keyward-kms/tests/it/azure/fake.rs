//! A fake of Azure Key Vault, by what Azure documents of its REST interface. It speaks TLS with a
//! certificate of its own, challenges who brings no token, keeps secrets, versions and what was
//! deleted, and checks the host, the version of the interface and the token.
//!
//! That it speaks the protocol is witnessed by two clients of Azure's own: the one for Rust, which
//! the crate uses, and the one for Python, which `witness.py` uses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::Transport;
use azure_core::time::{Duration, OffsetDateTime};
use keyward_kms::azure::{Azure, ClientOptions};
use keyward_testkit::keys::KeyRng;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fixture::server::{Answer, Server};

pub(crate) const HOST: &str = "billing-prod.vault.azure.net";

/// Who the fake's clients trust, and how it shows that it is the one.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) pem: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let names = vec![HOST.to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { acceptor: Arc::new(config).into(), pem: made.cert.pem() }
    }
}

/// The fake, and the token that it lets in.
pub(crate) struct Fake {
    server: Server,
    state: Arc<Mutex<State>>,
    pub(crate) pem: String,
    pub(crate) token: String,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let token = format!("eyJ0.{}", KeyRng::from_entropy().alphanumeric(40));
        let state = Arc::new(Mutex::new(State::default()));
        let (kept, expected) = (state.clone(), token.clone());
        let Identity { acceptor, pem } = Identity::new();
        let server = Server::start_tls(acceptor, move |request| {
            kept.lock().unwrap().answer(request, &expected)
        })
        .await;
        Self { server, state, pem, token }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn azure(&self) -> Azure {
        connect(self.address(), &self.pem, &self.token)
    }

    /// The first line of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let line = |request: &String| request.lines().next().unwrap_or("").to_owned();
        self.server.asked().iter().map(line).collect()
    }

    /// As `az keyvault secret set` does; it answers the version.
    pub(crate) fn set(&self, name: &str, text: &str) -> String {
        let mut state = self.state.lock().unwrap();
        state.set(name, &json!({ "value": text })).unwrap();
        state.secrets[name].last().unwrap().id.clone()
    }

    /// Sets an attribute of the newest version.
    pub(crate) fn attribute(&self, name: &str, attribute: &str, value: Value) {
        let mut state = self.state.lock().unwrap();
        let version = state.secrets.get_mut(name).unwrap().last_mut().unwrap();
        version.attributes[attribute] = value;
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.remove(name).unwrap();
        state.deleted.insert(name.to_owned(), secret);
    }

    /// Lets nobody look among what was deleted.
    pub(crate) fn hide_deleted(&self) {
        self.state.lock().unwrap().deleted_is_hidden = true;
    }
}

/// A connection to a fake: what is meant for a vault goes to it, and it alone is trusted.
pub(crate) fn connect(address: SocketAddr, pem: &str, token: &str) -> Azure {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .resolve(HOST, address)
        .tls_certs_only([root])
        .build()
        .unwrap();
    let options = ClientOptions {
        transport: Some(Transport::new(Arc::new(http))),
        retry: azure_core::http::RetryOptions::none(),
        ..ClientOptions::default()
    };
    Azure::new(Arc::new(Token(token.to_owned()))).with_client_options(options)
}

/// A token that was had elsewhere: nothing of the machine is looked at.
#[derive(Debug)]
pub(crate) struct Token(pub(crate) String);

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        let until = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new(self.0.clone(), until))
    }
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Vec<Version>>,
    deleted: BTreeMap<String, Vec<Version>>,
    deleted_is_hidden: bool,
}

struct Version {
    id: String,
    value: Value,
    attributes: Value,
    tags: Value,
}

impl Version {
    fn json(&self, name: &str) -> Value {
        json!({
            "id": format!("https://{HOST}/secrets/{name}/{}", self.id), "value": self.value,
            "attributes": self.attributes, "tags": self.tags,
        })
    }
}

impl State {
    fn answer(&mut self, request: &str, token: &str) -> Answer {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let [method, target, _] = lines.next().unwrap().split(' ').collect::<Vec<_>>()[..] else {
            return error(400, "BadParameter", "");
        };
        let header = |name: &str| {
            lines.clone().find_map(|line| {
                let (known, value) = line.split_once(':')?;
                known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        if !header("host").is_some_and(|host| host == HOST || host.starts_with("127.0.0.1:")) {
            return error(404, "VaultNotFound", "");
        }
        if header("authorization") != Some(format!("Bearer {token}")) {
            let challenge = r#"Bearer authorization="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000", resource="https://vault.azure.net""#;
            return error(401, "Unauthorized", "").header("www-authenticate", challenge);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !query.split('&').any(|pair| pair.starts_with("api-version=")) {
            return error(400, "BadParameter", "");
        }
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (method, &segments[..]) {
            ("GET", ["secrets", name, version @ ..]) => {
                let Some(versions) = self.secrets.get(*name) else {
                    return error(404, "SecretNotFound", "");
                };
                let found = match version {
                    [] => versions.last(),
                    [id, ..] => versions.iter().find(|version| version.id == *id),
                };
                match found {
                    Some(version) if version.attributes["enabled"] == false => {
                        error(403, "Forbidden", "SecretDisabled")
                    }
                    Some(version) => Answer::new(200, version.json(name).to_string()),
                    None => error(404, "SecretNotFound", ""),
                }
            }
            ("PUT", ["secrets", name]) => match self.set(name, &body) {
                Some(set) => Answer::new(200, set.to_string()),
                None => error(409, "Conflict", "ObjectIsDeletedButRecoverable"),
            },
            ("PATCH", ["secrets", name, id]) => {
                let versions = self.secrets.get_mut(*name).into_iter().flatten();
                match versions.into_iter().find(|version| version.id == *id) {
                    Some(version) => {
                        for (attribute, value) in
                            body["attributes"].as_object().into_iter().flatten()
                        {
                            version.attributes[attribute] = value.clone();
                        }
                        let mut answer = version.json(name);
                        answer.as_object_mut().unwrap().remove("value");
                        Answer::new(200, answer.to_string())
                    }
                    None => error(404, "SecretNotFound", ""),
                }
            }
            ("DELETE", ["secrets", name]) => match self.secrets.remove(*name) {
                Some(secret) => {
                    self.deleted.insert((*name).to_owned(), secret);
                    Answer::new(200, self.deleted(name).unwrap().to_string())
                }
                None => error(404, "SecretNotFound", ""),
            },
            ("GET", ["deletedsecrets", _]) if self.deleted_is_hidden => {
                error(403, "Forbidden", "ForbiddenByRbac")
            }
            ("GET", ["deletedsecrets", name]) => match self.deleted(name) {
                Some(deleted) => Answer::new(200, deleted.to_string()),
                None => error(404, "SecretNotFound", ""),
            },
            _ => error(404, "NotFound", ""),
        }
    }

    /// Makes the newest version; not of a name that waits to be purged.
    fn set(&mut self, name: &str, body: &Value) -> Option<Value> {
        if self.deleted.contains_key(name) {
            return None;
        }
        let attributes =
            json!({ "enabled": true, "created": 1_790_000_000, "updated": 1_790_000_000 });
        let id = KeyRng::from_entropy().alphanumeric(32).to_lowercase();
        let (value, tags) = (body["value"].clone(), body["tags"].clone());
        let versions = self.secrets.entry(name.to_owned()).or_default();
        versions.push(Version { id, value, attributes, tags });
        Some(versions.last()?.json(name))
    }

    fn deleted(&self, name: &str) -> Option<Value> {
        let version = self.deleted.get(name)?.last()?;
        let mut deleted = version.json(name);
        deleted.as_object_mut()?.remove("value");
        deleted["recoveryId"] = format!("https://{HOST}/deletedsecrets/{name}").into();
        deleted["deletedDate"] = 1_790_000_100.into();
        deleted["scheduledPurgeDate"] = 1_797_776_100.into();
        Some(deleted)
    }
}

/// An error as Key Vault tells it. The message is for people.
fn error(status: u16, code: &str, inner: &str) -> Answer {
    let message = "words that are not to be shown";
    let mut error = json!({ "code": code, "message": message });
    if !inner.is_empty() {
        error["innererror"] = json!({ "code": inner });
    }
    Answer::new(status, json!({ "error": error }).to_string())
}
