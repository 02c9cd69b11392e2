//! A fake of Secret Manager and Cloud KMS, by what Google documents of their REST interfaces. It
//! keeps state, and checks the login, names, entity tags, states and checksums.
//!
//! It shares no code with the crate under test, its checksum included. That it speaks the protocol
//! is witnessed by two clients of Google's own: the one for Rust, which the crate uses, and the one
//! for Python, which `witness.py` uses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64ct::{Base64, Encoding as _};
use keyward_kms::google::{Credentials, Google};
use keyward_testkit::keys::KeyRng;
use serde_json::{Value, json};

use crate::fixture::server::{Answer, Server};

/// The fake, and the token that it lets in.
pub(crate) struct Fake {
    server: Server,
    state: Arc<Mutex<State>>,
    pub(crate) token: String,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let token = format!("ya29.{}", KeyRng::from_entropy().alphanumeric(40));
        let state = Arc::new(Mutex::new(State::default()));
        let (kept, expected) = (state.clone(), token.clone());
        let server = Server::start(move |request| {
            let answer = Request::parse(request)
                .and_then(|request| kept.lock().unwrap().answer(&request, &expected));
            match answer {
                Ok(body) => Answer::new(200, body.to_string()),
                Err(Fault(status, code)) => Answer::new(status, error(status, code)),
            }
        })
        .await;
        Self { server, state, token }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn google(&self) -> Google {
        connect(&self.url(), &self.token)
    }

    /// The method and the path of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let line = |request: &String| request.lines().next().unwrap_or("").to_owned();
        self.server.asked().iter().map(line).collect()
    }

    /// As somebody adds a version by hand, and makes the secret if there is none.
    pub(crate) fn add(&self, secret: &str, text: impl Into<Vec<u8>>) -> usize {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.entry(path(secret)).or_default();
        secret.versions.push(Version::new(text.into()));
        secret.versions.len()
    }

    /// As `gcloud secrets update --update-version-aliases` does.
    pub(crate) fn alias(&self, secret: &str, alias: &str, version: usize) {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.get_mut(&path(secret)).unwrap();
        secret.aliases.insert(alias.to_owned(), version as i64);
        secret.etag += 1;
    }

    /// As `gcloud secrets versions disable` does, and the like.
    pub(crate) fn set(&self, secret: &str, version: usize, state: VersionState) {
        let mut kept = self.state.lock().unwrap();
        let version = &mut kept.secrets.get_mut(&path(secret)).unwrap().versions[version - 1];
        version.state = state;
    }

    pub(crate) fn delete(&self, secret: &str) {
        self.state.lock().unwrap().secrets.remove(&path(secret));
    }

    /// The text that a version or an alias holds.
    pub(crate) fn text(&self, secret: &str, version: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.get_mut(&path(secret))?;
        let version = secret.version(version).ok()?;
        Some(String::from_utf8(secret.versions[version - 1].data.clone()).unwrap())
    }

    /// The states of all versions.
    pub(crate) fn states(&self, secret: &str) -> Vec<VersionState> {
        let state = self.state.lock().unwrap();
        state.secrets[&path(secret)].versions.iter().map(|version| version.state).collect()
    }

    pub(crate) fn annotate(&self, secret: &str, name: &str, text: &str) {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.get_mut(&path(secret)).unwrap();
        secret.annotations.insert(name.to_owned(), text.to_owned());
        secret.etag += 1;
    }

    /// Makes a symmetric key of KMS.
    pub(crate) fn make_key(&self, name: &str) {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        self.state.lock().unwrap().keys.insert(name.to_owned(), KmsKey { bytes, enabled: true });
    }

    pub(crate) fn disable_key(&self, name: &str) {
        self.state.lock().unwrap().keys.get_mut(name).unwrap().enabled = false;
    }

    /// Damages the next answers on their way.
    pub(crate) fn damage(&self, answers: usize) {
        self.state.lock().unwrap().damaged = answers;
    }

    /// Refuses calls of this method and this verb, which may be empty, from now on.
    pub(crate) fn refuse(&self, method: &'static str, verb: &'static str, fault: Fault) {
        self.state.lock().unwrap().refused.push((method, verb, fault));
    }

    pub(crate) fn refuse_nothing(&self) {
        self.state.lock().unwrap().refused.clear();
    }

    /// As somebody writes a secret's aliases anew, and forgets those of the store.
    pub(crate) fn lose_aliases(&self, secret: &str) {
        let mut state = self.state.lock().unwrap();
        let secret = state.secrets.get_mut(&path(secret)).unwrap();
        secret.aliases.clear();
        secret.etag += 1;
    }

    /// After each change of a secret, the next reads of it and by its aliases are answered as
    /// before the change. `latest` is not: that it is seen and the aliases are not is the worst.
    pub(crate) fn lag(&self, reads: usize) {
        self.state.lock().unwrap().lag = reads;
    }

    /// Adds a version by hand in the moment of the next change of a secret.
    pub(crate) fn add_at_next_update(&self, text: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().added_at_update = Some(text.into());
    }
}

/// A connection to a fake.
pub(crate) fn connect(url: &str, token: &str) -> Google {
    Google::new(Credentials::from(Token(token.to_owned())))
        .with_secret_manager_endpoint(url)
        .with_kms_endpoint(url)
}

/// A token that was had elsewhere: nothing of the machine is looked at.
#[derive(Debug)]
struct Token(String);

impl google_cloud_auth::credentials::CredentialsProvider for Token {
    async fn headers(
        &self,
        _: http::Extensions,
    ) -> Result<
        google_cloud_auth::credentials::CacheableResource<http::HeaderMap>,
        google_cloud_auth::errors::CredentialsError,
    > {
        let mut data = http::HeaderMap::new();
        data.insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(google_cloud_auth::credentials::CacheableResource::New {
            entity_tag: google_cloud_auth::credentials::EntityTag::new(),
            data,
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// An error as Google's services tell it. The message is for people.
pub(crate) fn error(status: u16, code: &str) -> String {
    let message = "words that are not to be shown";
    json!({ "error": { "code": status, "status": code, "message": message } }).to_string()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum VersionState {
    Enabled = 1,
    Disabled = 2,
    Destroyed = 3,
}

/// A status of HTTP and a code of Google.
#[derive(Clone, Copy)]
pub(crate) struct Fault(u16, &'static str);

pub(crate) const FORBIDDEN: Fault = Fault(403, "PERMISSION_DENIED");
const MALFORMED: Fault = Fault(400, "INVALID_ARGUMENT");
const MISSING: Fault = Fault(404, "NOT_FOUND");
pub(crate) const PRECONDITION: Fault = Fault(400, "FAILED_PRECONDITION");

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Secret>,
    keys: BTreeMap<String, KmsKey>,
    damaged: usize,
    refused: Vec<(&'static str, &'static str, Fault)>,
    lag: usize,
    added_at_update: Option<Vec<u8>>,
}

struct KmsKey {
    bytes: [u8; 32],
    enabled: bool,
}

#[derive(Default)]
struct Secret {
    etag: u64,
    aliases: BTreeMap<String, i64>,
    annotations: BTreeMap<String, String>,
    versions: Vec<Version>,
    /// What is read of it for so many reads more.
    old: Option<(usize, View)>,
}

/// What is not read consistently.
#[derive(Clone)]
struct View {
    etag: u64,
    aliases: BTreeMap<String, i64>,
    annotations: BTreeMap<String, String>,
}

struct Version {
    data: Vec<u8>,
    state: VersionState,
    etag: u64,
    checked: bool,
}

impl Version {
    fn new(data: Vec<u8>) -> Self {
        Self { data, state: VersionState::Enabled, etag: 0, checked: false }
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "name": name, "state": self.state as i32, "etag": quoted(self.etag),
            "createTime": "2026-11-29T00:00:00Z", "clientSpecifiedPayloadChecksum": self.checked,
        })
    }
}

impl Secret {
    fn now(&self) -> View {
        View {
            etag: self.etag,
            aliases: self.aliases.clone(),
            annotations: self.annotations.clone(),
        }
    }

    /// Before a change.
    fn age(&mut self, lag: usize) {
        let view = self.old.take().map_or_else(|| self.now(), |(_, view)| view);
        self.old = (lag > 0).then_some((lag, view));
    }

    /// As it is read.
    fn view(&mut self) -> View {
        match self.old.take() {
            Some((left, view)) => {
                self.old = (left > 1).then(|| (left - 1, view.clone()));
                view
            }
            None => self.now(),
        }
    }
}

impl View {
    fn json(&self, name: &str) -> Value {
        // A 64-bit number is a text in the JSON of protocol buffers.
        let aliases: BTreeMap<_, _> =
            self.aliases.iter().map(|(alias, version)| (alias, version.to_string())).collect();
        json!({
            "name": name, "etag": quoted(self.etag), "createTime": "2026-11-29T00:00:00Z",
            "replication": { "automatic": {} }, "versionAliases": aliases,
            "annotations": self.annotations,
        })
    }
}

impl Secret {
    /// Which version a number, an alias or `latest` is.
    fn version(&mut self, name: &str) -> Result<usize, Fault> {
        let number = match name {
            "latest" => self.versions.len(),
            _ => match name.parse() {
                Ok(number) => number,
                Err(_) => *self.view().aliases.get(name).ok_or(MISSING)? as usize,
            },
        };
        if (1..=self.versions.len()).contains(&number) { Ok(number) } else { Err(MISSING) }
    }

    fn update(&mut self, mask: &str, body: &Value, lag: usize) -> Result<(), Fault> {
        let etag = body["etag"].as_str().unwrap_or("");
        if !etag.is_empty() && etag != quoted(self.etag) {
            return Err(PRECONDITION);
        }
        self.age(lag);
        let object = |field: &str| body[field].as_object().cloned().unwrap_or_default();
        for field in mask.split(',') {
            match field {
                "versionAliases" | "version_aliases" => {
                    let mut aliases = BTreeMap::new();
                    for (alias, version) in object("versionAliases") {
                        let version = int(&version).ok_or(MALFORMED)?;
                        let known = (1..=self.versions.len() as i64).contains(&version);
                        let is_name = alias.len() <= 63
                            && alias.starts_with(|c: char| c.is_ascii_alphabetic())
                            && !["latest", "new"].contains(&&*alias.to_lowercase());
                        if !known || !is_name {
                            return Err(MALFORMED);
                        }
                        aliases.insert(alias, version);
                    }
                    if aliases.len() > 50 {
                        return Err(MALFORMED);
                    }
                    self.aliases = aliases;
                }
                "annotations" => {
                    let annotations: BTreeMap<_, _> = object("annotations")
                        .into_iter()
                        .map(|(name, text)| (name, text.as_str().unwrap_or("").to_owned()))
                        .collect();
                    let size = annotations.iter().map(|(name, text)| name.len() + text.len());
                    if size.sum::<usize>() >= 16 * 1024 {
                        return Err(MALFORMED);
                    }
                    self.annotations = annotations;
                }
                _ => return Err(MALFORMED),
            }
        }
        self.etag += 1;
        Ok(())
    }
}

impl State {
    fn answer(&mut self, request: &Request, token: &str) -> Result<Value, Fault> {
        if request.header("authorization") != Some(&format!("Bearer {token}")) {
            return Err(Fault(401, "UNAUTHENTICATED"));
        }
        let (name, verb) = match request.path.rsplit_once(':') {
            Some((name, verb)) if !verb.contains('/') => (name, verb),
            _ => (&*request.path, ""),
        };
        let is_refused =
            |refused: &&(&str, &str, _)| refused.0 == request.method && refused.1 == verb;
        if let Some((_, _, fault)) = self.refused.iter().find(is_refused) {
            return Err(*fault);
        }
        let lag = self.lag;
        let segments: Vec<&str> = name.split('/').collect();
        match segments[..] {
            ["projects", _, "secrets"] if request.method == "POST" => {
                let id = request.query("secretId").ok_or(MALFORMED)?;
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                let has_replication = request.body["replication"]["automatic"].is_object();
                if id.is_empty() || !id.chars().all(plain) || !has_replication {
                    return Err(MALFORMED);
                }
                let name = format!("{name}/{id}");
                if self.secrets.contains_key(&name) {
                    return Err(Fault(409, "ALREADY_EXISTS"));
                }
                Ok(self.secrets.entry(name.clone()).or_default().now().json(&name))
            }
            ["projects", _, "secrets", _] => {
                let secret = self.secrets.get_mut(name).ok_or(MISSING)?;
                match (&*request.method, verb) {
                    ("GET", "") => Ok(secret.view().json(name)),
                    ("PATCH", "") => {
                        let mask = request.query("updateMask").ok_or(MALFORMED)?;
                        secret.update(&mask, &request.body, lag)?;
                        secret.versions.extend(self.added_at_update.take().map(Version::new));
                        // The answer of a change is not old.
                        Ok(secret.now().json(name))
                    }
                    ("POST", "addVersion") => {
                        let payload = &request.body["payload"];
                        let data = bytes(&payload["data"])?;
                        let sent = int(&payload["dataCrc32c"]);
                        if data.len() > 64 * 1024 || sent.is_some_and(|sent| sent != crc(&data)) {
                            return Err(MALFORMED);
                        }
                        secret.versions.push(Version {
                            checked: sent.is_some() && !take(&mut self.damaged),
                            ..Version::new(data)
                        });
                        let number = secret.versions.len();
                        Ok(secret.versions[number - 1].json(&format!("{name}/versions/{number}")))
                    }
                    ("DELETE", "") => {
                        self.secrets.remove(name);
                        Ok(json!({}))
                    }
                    _ => Err(MISSING),
                }
            }
            ["projects", project, "secrets", id, "versions", version] => {
                let path = format!("projects/{project}/secrets/{id}");
                let secret = self.secrets.get_mut(&path).ok_or(MISSING)?;
                let number = secret.version(version)?;
                let name = format!("{path}/versions/{number}");
                let version = &mut secret.versions[number - 1];
                match (&*request.method, verb) {
                    ("GET", "") => return Ok(version.json(&name)),
                    ("GET", "access") => {
                        if version.state != VersionState::Enabled {
                            return Err(PRECONDITION);
                        }
                        let damage = i64::from(take(&mut self.damaged));
                        let checksum = (crc(&version.data) ^ damage).to_string();
                        let data = Base64::encode_string(&version.data);
                        let payload = json!({ "data": data, "dataCrc32c": checksum });
                        return Ok(json!({ "name": name, "payload": payload }));
                    }
                    ("POST", "destroy") => {
                        version.data.clear();
                        version.state = VersionState::Destroyed;
                    }
                    ("POST", "disable") => version.state = VersionState::Disabled,
                    ("POST", "enable") => version.state = VersionState::Enabled,
                    _ => return Err(MISSING),
                }
                version.etag += 1;
                Ok(version.json(&name))
            }
            ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _] => {
                self.kms(name, verb, &request.body)
            }
            _ => Err(MISSING),
        }
    }

    fn kms(&mut self, name: &str, verb: &str, body: &Value) -> Result<Value, Fault> {
        let key = self.keys.get(name).ok_or(MISSING)?;
        if !key.enabled {
            return Err(PRECONDITION);
        }
        let damage = i64::from(take(&mut self.damaged));
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &key.bytes).unwrap();
        let bound = bytes(&body["additionalAuthenticatedData"])?;
        let checked = |field: &str, bytes: &[u8]| match int(&body[field]) {
            Some(sent) if sent != crc(bytes) => Err(MALFORMED),
            sent => Ok(sent.is_some()),
        };
        let bound_is_checked = checked("additionalAuthenticatedDataCrc32c", &bound)?;
        match verb {
            "encrypt" => {
                let mut text = bytes(&body["plaintext"])?;
                let is_checked = checked("plaintextCrc32c", &text)? && damage == 0;
                if text.is_empty() || text.len() > 64 * 1024 {
                    return Err(MALFORMED);
                }
                let nonce = cipher.seal_in_place_append_tag(Aad::from(&bound), &mut text).unwrap();
                let sealed = [&nonce.as_ref()[..], &text].concat();
                Ok(json!({
                    "name": format!("{name}/cryptoKeyVersions/1"), "protectionLevel": 1,
                    "ciphertext": Base64::encode_string(&sealed),
                    "ciphertextCrc32c": crc(&sealed).to_string(),
                    "verifiedPlaintextCrc32c": is_checked,
                    "verifiedAdditionalAuthenticatedDataCrc32c": bound_is_checked,
                }))
            }
            "decrypt" => {
                let sealed = bytes(&body["ciphertext"])?;
                checked("ciphertextCrc32c", &sealed)?;
                let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(MALFORMED)?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
                let mut text = sealed.to_vec();
                let opened = cipher.open_in_place(nonce, Aad::from(&bound), &mut text);
                let text = opened.map_err(|_| MALFORMED)?;
                Ok(json!({
                    "plaintext": Base64::encode_string(text), "usedPrimary": true,
                    "plaintextCrc32c": (crc(text) ^ damage).to_string(), "protectionLevel": 1,
                }))
            }
            _ => Err(MISSING),
        }
    }
}

struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Request {
    fn parse(request: &str) -> Result<Self, Fault> {
        let (head, body) = request.split_once("\r\n\r\n").ok_or(MALFORMED)?;
        let (line, headers) = head.split_once("\r\n").ok_or(MALFORMED)?;
        let [method, target, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(MALFORMED);
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let body = if body.is_empty() { "null" } else { body };
        Ok(Self {
            method: method.to_owned(),
            path: decoded(path.strip_prefix("/v1/").ok_or(MISSING)?),
            query: query.split('&').map(pair).collect(),
            headers: headers.split("\r\n").filter_map(header).collect(),
            body: serde_json::from_str(body).map_err(|_| MALFORMED)?,
        })
    }

    fn header(&self, name: &str) -> Option<&String> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn query(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

fn path(secret: &str) -> String {
    let (project, id) = secret.split_once('/').unwrap();
    format!("projects/{project}/secrets/{id}")
}

fn quoted(etag: u64) -> String {
    format!("\"16{etag:08x}\"")
}

fn take(left: &mut usize) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

fn bytes(value: &Value) -> Result<Vec<u8>, Fault> {
    match value {
        Value::Null => Ok(Vec::new()),
        value => Base64::decode_vec(value.as_str().ok_or(MALFORMED)?).map_err(|_| MALFORMED),
    }
}

/// A 64-bit number of the JSON of protocol buffers: a text, or a number.
fn int(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// CRC32C, bit by bit.
fn crc(bytes: &[u8]) -> i64 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    i64::from(!crc)
}
