//! How a login is made, renewed and replaced, against a server that counts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::vault::{KvLoader, Vault, VaultAuth};
use keyward_testkit::assert_no_leak;
use keyward_testkit::keys::KeyRng;

use super::{given, token, vault};
use crate::fixture::server::{Answer, Server};
use crate::fixture::{assert_fails, assert_loads, logged, secret};

/// What a Vault in a test does.
struct Fake {
    key: String,
    /// The token that is valid now, and how many there were.
    valid: Mutex<String>,
    logins: AtomicU32,
    /// What is answered to a read with a valid token.
    read: u16,
}

impl Fake {
    fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            valid: Mutex::new(String::new()),
            logins: AtomicU32::new(0),
            read: 200,
        }
    }

    fn answer(&self, request: &str) -> Answer {
        let denied = || Answer::new(403, r#"{"errors":["permission denied"]}"#);
        let lease = r#""lease_duration":3600,"renewable":true"#;
        if request.starts_with("POST /v1/auth/") && request.contains("/login ") {
            self.logins.fetch_add(1, Ordering::SeqCst);
            let token = token();
            let body = format!(r#"{{"auth":{{"client_token":"{token}",{lease}}}}}"#);
            *self.valid.lock().unwrap() = token;
            return Answer::new(200, body);
        }
        if !request.contains(&format!("x-vault-token: {}\r\n", self.valid.lock().unwrap())) {
            return denied();
        }
        if request.contains("/renew-self ") {
            return Answer::new(200, format!(r#"{{"auth":{{{lease}}}}}"#));
        }
        if request.contains("/lookup-self ") {
            return Answer::new(200, r#"{"data":{"ttl":3600,"renewable":true}}"#);
        }
        if self.read != 200 {
            return denied();
        }
        let body = format!(
            r#"{{"data":{{"data":{{"api_key":"{}"}},"metadata":{{"version":1}}}}}}"#,
            self.key
        );
        Answer::new(200, body)
    }

    fn logins(&self) -> u32 {
        self.logins.load(Ordering::SeqCst)
    }
}

async fn start(fake: &Arc<Fake>) -> Server {
    let fake = fake.clone();
    Server::start(move |request| fake.answer(request)).await
}

fn app_role(secret_id: &str) -> VaultAuth {
    VaultAuth::app_role("billing", given(secret_id)).with_mount("approle-eu")
}

fn loader(vault: &Vault) -> KvLoader {
    KvLoader::new(vault, "secret", "openai/prod", "api_key")
}

fn secret_id() -> String {
    KeyRng::from_entropy().alphanumeric(36)
}

#[test]
fn one_login_serves_many_loads() {
    let (key, secret_id) = (secret(), secret_id());
    let ((), logs) = logged(async {
        let fake = Arc::new(Fake::new(&key));
        let server = start(&fake).await;
        let vault = vault(&server.url(), app_role(&secret_id));
        let loader = loader(&vault);
        let loads = (0..8).map(|_| {
            let loader = loader.clone();
            tokio::spawn(async move { loader.load().await })
        });
        for load in loads.collect::<Vec<_>>() {
            assert_loads(load.await.unwrap(), &key, "vault:secret/openai/prod#api_key");
        }
        assert_eq!(fake.logins(), 1);
        let login = server.asked().into_iter().find(|asked| asked.contains("/login ")).unwrap();
        assert!(login.starts_with("POST /v1/auth/approle-eu/login "), "{login}");
        let body = format!(r#"{{"role_id":"billing","secret_id":"{secret_id}"}}"#);
        assert!(login.ends_with(&body));
        assert_no_leak!(secret_id, format!("{vault:#?}"));
    });
    for secret in [&key, &secret_id] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_pod_logs_in_by_its_service_account() {
    let (key, jwt) = (secret(), format!("eyJ{}.eyJ.sig", secret_id()));
    let ((), logs) = logged(async {
        let fake = Arc::new(Fake::new(&key));
        let server = start(&fake).await;
        let auth = VaultAuth::kubernetes_with_jwt("billing", given(&jwt));
        let loaded = loader(&vault(&server.url(), auth)).load().await;
        assert_loads(loaded, &key, "vault:secret/openai/prod#api_key");
        let login = server.asked().remove(0);
        assert!(login.starts_with("POST /v1/auth/kubernetes/login "), "{login}");
        assert!(login.ends_with(&format!(r#"{{"role":"billing","jwt":"{jwt}"}}"#)));
    });
    assert_no_leak!(jwt, logs.bytes());
}

#[test]
fn a_revoked_token_is_replaced_once_and_a_policy_is_not_argued_with() {
    let key = secret();
    let ((), _) = logged(async {
        let fake = Arc::new(Fake::new(&key));
        let server = start(&fake).await;
        let loader = loader(&vault(&server.url(), app_role(&secret_id())));
        loader.load().await.unwrap();
        *fake.valid.lock().unwrap() = "revoked".to_owned();
        assert_loads(loader.load().await, &key, "vault:secret/openai/prod#api_key");
        assert_eq!(fake.logins(), 2);
    });
    let ((), _) = logged(async {
        let fake = Arc::new(Fake { read: 403, ..Fake::new(&key) });
        let server = start(&fake).await;
        let loader = loader(&vault(&server.url(), app_role(&secret_id())));
        for _ in 0..3 {
            assert_fails(loader.load().await, &key, LoadErrorKind::Denied, "policy");
        }
        // Each login would leave a token behind that lives for an hour.
        assert_eq!(fake.logins(), 1);
    });
}

#[test]
fn a_given_token_is_loaded_anew_when_it_is_refused() {
    let (key, first, second) = (secret(), token(), token());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let write = |token: &str| {
        std::fs::write(&path, token).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    let ((), logs) = logged(async {
        let fake = Arc::new(Fake::new(&key));
        let server = start(&fake).await;
        let auth = VaultAuth::token(keyward::FileLoader::new(&path));
        let loader = loader(&vault(&server.url(), auth));
        for token in [&first, &second] {
            write(token);
            fake.valid.lock().unwrap().clone_from(token);
            assert_loads(loader.load().await, &key, "vault:secret/openai/prod#api_key");
        }
        *fake.valid.lock().unwrap() = "revoked".to_owned();
        assert_fails(loader.load().await, &key, LoadErrorKind::Denied, "any more");
        assert_eq!(fake.logins(), 0);
    });
    for secret in [&key, &first, &second] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_refused_login_is_told() {
    let key = secret();
    let secret_id = secret_id();
    for (status, body) in [
        (400, format!(r#"{{"errors":["invalid role or secret ID {secret_id}"]}}"#)),
        (403, format!(r#"{{"errors":["permission denied {secret_id}"]}}"#)),
    ] {
        let (result, logs) = logged(async {
            let server = Server::start(move |_| Answer::new(status, body.clone())).await;
            loader(&vault(&server.url(), app_role(&secret_id))).load().await
        });
        assert_fails(result, &secret_id, LoadErrorKind::Denied, "auth/approle-eu");
        assert_no_leak!(secret_id, logs.bytes());
    }
    let (result, _) = logged(async {
        let body = format!(r#"{{"auth":{{"client_token":"{key} ","lease_duration":1}}}}"#);
        let server = Server::start(move |_| Answer::new(200, body.clone())).await;
        loader(&vault(&server.url(), app_role(&secret_id))).load().await
    });
    assert_fails(result, &key, LoadErrorKind::Unreadable, "not what Vault answers");
}
