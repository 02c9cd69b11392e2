//! Loads against a real OpenBao.

use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::vault::{KvLoader, Transit, Vault, VaultAuth};
use keyward_kms::{DirectLoader, EnvelopeLoader, SealContext, SealedKey, seal_directly};
use keyward_testkit::assert_no_leak;
use serde_json::{Value, json};

use super::{context, given, vault};
use crate::fixture::{assert_fails, assert_loads, key, logged, secret, server, unique};

/// Where the server is, and its root token.
pub(crate) struct Bao {
    pub(crate) url: String,
    root: String,
}

impl Bao {
    pub(crate) fn find() -> Option<Self> {
        Some(Self { url: server("KEYWARD_OPENBAO_URL")?, root: server("KEYWARD_OPENBAO_TOKEN")? })
    }

    pub(crate) fn vault(&self) -> Vault {
        vault(&self.url, VaultAuth::token(given(&self.root)))
    }

    /// Does as an operator would.
    pub(crate) async fn operate(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = reqwest::Client::new()
            .request(method.parse().unwrap(), format!("{}/v1/{path}", self.url))
            .header("x-vault-token", &self.root)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn write(&self, path: &str, data: Value) {
        self.operate("POST", &format!("secret/data/{path}"), json!({ "data": data })).await;
    }

    /// A token with this policy.
    pub(crate) async fn token(&self, policy: &str, of: Value) -> String {
        let name = unique("policy");
        self.operate("PUT", &format!("sys/policies/acl/{name}"), json!({ "policy": policy })).await;
        let mut asked = json!({ "policies": [name] });
        asked.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        let made = self.operate("POST", "auth/token/create", asked).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

#[test]
fn kv_has_the_newest_version_or_the_one_that_is_named() {
    let Some(bao) = Bao::find() else { return };
    let (old, new) = (secret(), secret());
    let path = unique("openai/prod");
    let (loads, logs) = logged(async {
        bao.write(&path, json!({ "api_key": old })).await;
        bao.write(&path, json!({ "api_key": format!("{new}\n"), "n": 1 })).await;
        let loader = KvLoader::new(&bao.vault(), "secret", &path, "api_key");
        [
            loader.load().await,
            loader.clone().with_version(1).load().await,
            loader.clone().with_version(3).load().await,
            KvLoader::new(&bao.vault(), "secret", &path, "n").load().await,
            KvLoader::new(&bao.vault(), "secret", unique("absent"), "api_key").load().await,
            KvLoader::new(&bao.vault(), unique("absent"), &path, "api_key").load().await,
        ]
    });
    let source = format!("vault:secret/{path}#api_key");
    let [newest, first, third, number, absent, no_mount] = loads;
    assert_eq!(assert_loads(newest, &new, &source).version.as_deref(), Some("2"));
    assert_eq!(assert_loads(first, &old, &source).version.as_deref(), Some("1"));
    assert_fails(third, &new, LoadErrorKind::NotFound, "nothing is stored there");
    assert_fails(number, &new, LoadErrorKind::Invalid, "no field `n`");
    assert_fails(absent, &new, LoadErrorKind::NotFound, "nothing is stored there");
    assert_fails(no_mount, &new, LoadErrorKind::Invalid, "nothing is mounted there");
    for secret in [&old, &new, &bao.root] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_version_that_was_deleted_is_not_not_found() {
    let Some(bao) = Bao::find() else { return };
    let secret = secret();
    for how in ["delete", "destroy"] {
        let path = unique("openai/prod");
        let (result, _) = logged(async {
            bao.write(&path, json!({ "api_key": secret })).await;
            let versions = json!({ "versions": [1] });
            bao.operate("POST", &format!("secret/{how}/{path}"), versions).await;
            KvLoader::new(&bao.vault(), "secret", &path, "api_key").load().await
        });
        assert_fails(result, &secret, LoadErrorKind::Unreadable, "was deleted");
    }
}

#[test]
fn app_role_logs_in_and_a_revoked_token_is_replaced() {
    let Some(bao) = Bao::find() else { return };
    let (Some(role), Some(secret_id)) =
        (server("KEYWARD_OPENBAO_ROLE_ID"), server("KEYWARD_OPENBAO_SECRET_ID"))
    else {
        return;
    };
    let secret = secret();
    let path = unique("openai/prod");
    let ((loads, refused), logs) = logged(async {
        bao.write(&path, json!({ "api_key": secret })).await;
        let vault = vault(&bao.url, VaultAuth::app_role(&role, given(&secret_id)));
        let loader = KvLoader::new(&vault, "secret", &path, "api_key");
        let first = loader.load().await;
        // Every token that came by this role's logins.
        let accessors = bao.operate("LIST", "auth/token/accessors", json!({})).await;
        for accessor in accessors["data"]["keys"].as_array().unwrap() {
            let asked = json!({ "accessor": accessor });
            let known = reqwest::Client::new()
                .post(format!("{}/v1/auth/token/lookup-accessor", bao.url))
                .header("x-vault-token", &bao.root)
                .body(asked.to_string())
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            if known.contains(r#""path":"auth/approle/login""#) {
                bao.operate("POST", "auth/token/revoke-accessor", asked).await;
            }
        }
        let second = loader.load().await;
        let wrong = given(&keyward_testkit::keys::KeyRng::from_entropy().alphanumeric(36));
        let wrong = self::vault(&bao.url, VaultAuth::app_role(&role, wrong));
        let refused = KvLoader::new(&wrong, "secret", &path, "api_key").load().await;
        ([first, second], refused)
    });
    for loaded in loads {
        assert_loads(loaded, &secret, &format!("vault:secret/{path}#api_key"));
    }
    assert_fails(refused, &secret, LoadErrorKind::Denied, "refuses the login at auth/approle");
    for secret in [&secret, &secret_id] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_policy_refuses_and_a_token_is_renewed() {
    let Some(bao) = Bao::find() else { return };
    let secret = secret();
    let path = unique("openai/prod");
    let ((refused, loads), _) = logged(async {
        bao.write(&path, json!({ "api_key": secret })).await;
        let blind = bao.token("path \"secret/data/else\" { capabilities = [\"read\"] }", json!({}));
        let blind = vault(&bao.url, VaultAuth::token(given(&blind.await)));
        let refused = KvLoader::new(&blind, "secret", &path, "api_key").load().await;

        let policy = "path \"secret/data/*\" { capabilities = [\"read\"] }";
        let short = bao.token(policy, json!({ "ttl": "4s", "renewable": true })).await;
        let short = vault(&bao.url, VaultAuth::token(given(&short)));
        let loader = KvLoader::new(&short, "secret", &path, "api_key");
        let mut loads = Vec::new();
        // Twice its life: only a token that was renewed still reads.
        for _ in 0..8 {
            loads.push(loader.load().await);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        (refused, loads)
    });
    assert_fails(refused, &secret, LoadErrorKind::Denied, "policy");
    for loaded in loads {
        assert_loads(loaded, &secret, &format!("vault:secret/{path}#api_key"));
    }
}

#[test]
fn a_namespace_is_a_place_of_its_own() {
    let Some(bao) = Bao::find() else { return };
    let secret = secret();
    let name = unique("team");
    let ((inside, outside), _) = logged(async {
        bao.operate("POST", &format!("sys/namespaces/{name}"), json!({})).await;
        let mount = json!({ "type": "kv", "options": { "version": "2" } });
        bao.operate("POST", &format!("{name}/sys/mounts/own"), mount).await;
        let data = json!({ "data": { "api_key": secret } });
        // The mount may still be turning itself into version 2.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        bao.operate("POST", &format!("{name}/own/data/openai"), data).await;
        let inside = Vault::builder(&bao.url, VaultAuth::token(given(&bao.root)))
            .allow_loopback()
            .namespace(&name)
            .build()
            .unwrap();
        let load = async |vault| KvLoader::new(vault, "own", "openai", "api_key").load().await;
        (load(&inside).await, load(&bao.vault()).await)
    });
    assert_loads(inside, &secret, "vault:own/openai#api_key");
    assert_fails(outside, &secret, LoadErrorKind::Invalid, "nothing is mounted there");
}

#[test]
fn transit_seals_directly_and_in_envelopes() {
    let Some(bao) = Bao::find() else { return };
    let secret = secret();
    let name = unique("openai");
    let kms = || Transit::new(&bao.vault(), "transit", &name);
    let ((direct, envelope), logs) = logged(async {
        bao.operate("POST", &format!("transit/keys/{name}"), json!({})).await;
        let direct = seal_directly(&kms(), &key(&secret), &context()).await.unwrap();
        (direct, SealedKey::seal(&kms(), &key(&secret), &context()).await.unwrap())
    });
    assert!(direct.starts_with(b"vault:v1:"));
    assert_no_leak!(secret, logs.bytes());
    let load = |kms: Transit, context: SealContext| {
        let loaders = (
            DirectLoader::from_bytes(direct.clone(), kms.clone(), context.clone()),
            EnvelopeLoader::from_bytes(envelope.as_bytes(), kms, context),
        );
        let (loads, logs) = logged(async { [loaders.0.load().await, loaders.1.load().await] });
        assert_no_leak!(secret, logs.bytes());
        loads
    };
    let [direct_loaded, envelope_loaded] = load(kms(), context());
    assert_loads(direct_loaded, &secret, "vault-transit:(in memory)");
    assert_loads(envelope_loaded, &secret, "envelope:(in memory)");
    for refused in load(kms(), SealContext::new("billing/openai", "proj_other")) {
        assert_fails(refused, &secret, LoadErrorKind::Undecryptable, "does not open it");
    }
    // That transit has no such key does not mean that there is no sealed key: a chain stops.
    for refused in load(Transit::new(&bao.vault(), "transit", unique("absent")), context()) {
        assert_fails(refused, &secret, LoadErrorKind::Undecryptable, "no such key");
    }
}
