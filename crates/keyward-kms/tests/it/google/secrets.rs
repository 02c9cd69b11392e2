//! Loads from the fake of Secret Manager, and what the fake of KMS seals and opens.

use keyward::{EnvLoader, Environment, KeyLoader as _, KeyPolicy, LoadErrorKind, LoaderChain};
use keyward_kms::google::{Kms, SecretManagerLoader};
use keyward_kms::{
    DirectLoader, Encrypt as _, EnvelopeLoader, ErrorKind, SealContext, SealedKey, seal_directly,
};
use keyward_testkit::assert_no_leak;

use super::fake::{Fake, VersionState};
use super::{KEY, context};
use crate::fixture::stores::NOW;
use crate::fixture::{assert_fails, assert_loads, key, logged, secret};

#[test]
fn the_version_is_the_latest_a_number_or_an_alias() {
    let (old, new) = (secret(), secret());
    let (loaded, logs) = logged(async {
        let fake = Fake::start().await;
        fake.add("p/openai", old.clone());
        fake.add("p/openai", format!("{new}\n"));
        fake.alias("p/openai", "stable", 1);
        let latest = SecretManagerLoader::new(&fake.google(), "p/openai");
        assert_no_leak!(fake.token, format!("{latest:?}"));
        let in_full = SecretManagerLoader::new(&fake.google(), "projects/p/secrets/openai");
        let full = in_full.load().await;
        assert_loads(full, &new, "gcp-sm:projects/p/secrets/openai");
        [
            (latest.clone().load().await, &new, "2"),
            (latest.clone().with_version("1").load().await, &old, "1"),
            (latest.with_version("stable").load().await, &old, "1"),
        ]
    });
    for (loaded, secret, version) in loaded {
        let loaded = assert_loads(loaded, secret, "gcp-sm:p/openai");
        assert_eq!(loaded.version.as_deref(), Some(version));
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_secret_may_be_json_and_what_is_not_there_is_told() {
    use LoadErrorKind::{Denied, Invalid, NotFound, Unreadable};
    let secret = secret();
    let json = format!(r#"{{"user":"x","openai":"{secret}","n":1}}"#);
    for (case, text, field, expected) in [
        ("a field", json.clone(), Some("openai"), Ok(())),
        ("the wrong field", json.clone(), Some("key"), Err((Invalid, "no field `key`"))),
        ("an object", json.clone(), None, Err((Invalid, "name the field"))),
        ("no object", secret.clone(), Some("openai"), Err((Invalid, "no JSON object"))),
        ("two keys", format!("{secret} {secret}"), None, Err((Invalid, "a space in it"))),
    ] {
        println!("{case}");
        let (loaded, logs) = logged(async {
            let fake = Fake::start().await;
            fake.add("p/openai", text);
            let loader = SecretManagerLoader::new(&fake.google(), "p/openai");
            match field {
                Some(field) => loader.with_field(field).load().await,
                None => loader.load().await,
            }
        });
        assert_no_leak!(secret, logs.bytes());
        match expected {
            Ok(()) => drop(assert_loads(loaded, &secret, "gcp-sm:p/openai")),
            Err((kind, says)) => assert_fails(loaded, &secret, kind, says),
        }
    }
    for (case, kind, says) in [
        ("no secret", NotFound, "NOT_FOUND"),
        ("no version", Invalid, "no such version"),
        ("no version, and no secret", NotFound, "NOT_FOUND"),
        ("no version, and not to ask", Invalid, "may not be asked"),
        ("disabled", Unreadable, "enable the version"),
        ("destroyed", Unreadable, "enable the version, or add a new one"),
        ("another token", Denied, "UNAUTHENTICATED"),
    ] {
        println!("{case}");
        let (loaded, logs) = logged(async {
            let fake = Fake::start().await;
            if !case.ends_with("no secret") {
                fake.add("p/openai", secret.clone());
            }
            let state = |state| fake.set("p/openai", 1, state);
            match case {
                "disabled" => state(VersionState::Disabled),
                "destroyed" => state(VersionState::Destroyed),
                "no version, and not to ask" => fake.refuse("GET", "", super::fake::FORBIDDEN),
                _ => {}
            }
            let loader = match case {
                "another token" => {
                    let google = super::fake::connect(&fake.url(), "ya29.another");
                    SecretManagerLoader::new(&google, "p/openai")
                }
                _ if case.starts_with("no version") => {
                    SecretManagerLoader::new(&fake.google(), "p/openai").with_version("2")
                }
                _ => SecretManagerLoader::new(&fake.google(), "p/openai"),
            };
            loader.load().await
        });
        assert_fails(loaded, &secret, kind, says);
        assert_no_leak!(secret, logs.bytes());
    }
}

/// A chain goes on past a secret that never was, and not past a version that was disabled.
#[test]
fn a_disabled_version_does_not_bring_an_older_key_back() {
    let (secret, older) = (secret(), secret());
    let ([absent, disabled, found], _) = logged(async {
        let fake = Fake::start().await;
        let google = fake.google();
        let chain = || {
            let env = EnvLoader::new("KEY");
            let env = env.with_environment(Environment::fixed([("KEY", older.clone())]));
            LoaderChain::first("google", SecretManagerLoader::new(&google, "p/s")).then("env", env)
        };
        let absent = chain().load().await;
        fake.add("p/s", secret.clone());
        let found = chain().load().await;
        fake.set("p/s", 1, VersionState::Disabled);
        [absent, chain().load().await, found]
    });
    assert_loads(absent, &older, "env:KEY");
    assert_fails(disabled, &older, LoadErrorKind::Unreadable, "FAILED_PRECONDITION");
    let found = assert_loads(found, &secret, "gcp-sm:p/s");
    // What is found is still subject to policy.
    let refusal = found.admit(&KeyPolicy::admin(), NOW).unwrap_err();
    assert_no_leak!(secret, format!("{refusal} {refusal:?}"));
}

#[test]
fn kms_seals_directly_and_in_envelopes() {
    let secret = secret();
    let other = format!("{KEY}-2");
    let (results, logs) = logged(async {
        let fake = Fake::start().await;
        fake.make_key(KEY);
        fake.make_key(&other);
        let kms = Kms::new(&fake.google(), KEY);
        let direct = seal_directly(&kms, &key(&secret), &context()).await.unwrap();
        let envelope = SealedKey::seal(&kms, &key(&secret), &context()).await.unwrap();
        assert_eq!(envelope.key_id(), KEY);
        let load = async |key: &str, context: SealContext| {
            let kms = Kms::new(&fake.google(), key);
            let direct = DirectLoader::from_bytes(direct.clone(), kms.clone(), context.clone());
            let envelope = EnvelopeLoader::from_bytes(envelope.as_bytes(), kms, context);
            [direct.load().await, envelope.load().await]
        };
        let opened = load(KEY, context()).await;
        let mut refused = Vec::new();
        refused.extend(load(KEY, SealContext::new("billing/openai", "proj_other")).await);
        refused.extend(load(&other, context()).await);
        let mut unusable = Vec::from(load(&format!("{KEY}-3"), context()).await);
        fake.disable_key(KEY);
        unusable.extend(load(KEY, context()).await);
        (opened, refused, unusable)
    });
    assert_no_leak!(secret, logs.bytes());
    let ([direct, envelope], refused, unusable) = results;
    assert_loads(direct, &secret, "gcp-kms:(in memory)");
    assert_loads(envelope, &secret, "envelope:(in memory)");
    for result in refused {
        assert_fails(result, &secret, LoadErrorKind::Undecryptable, "the context");
    }
    for result in unusable {
        assert_fails(result, &secret, LoadErrorKind::Undecryptable, "Google says");
    }
}

#[test]
fn what_is_damaged_on_the_way_is_asked_for_again_and_then_told() {
    let secret = secret();
    let ((sealed, loads), logs) = logged(async {
        let fake = Fake::start().await;
        fake.make_key(KEY);
        let kms = Kms::new(&fake.google(), KEY);
        let mut sealed = Vec::new();
        let mut loads = Vec::new();
        for damaged in [2, 3] {
            fake.damage(damaged);
            sealed.push(kms.encrypt(secret.as_bytes(), &context()).await);
            fake.damage(0);
            let text = kms.encrypt(secret.as_bytes(), &context()).await.unwrap();
            fake.damage(damaged);
            loads.push(DirectLoader::from_bytes(text, kms.clone(), context()).load().await);
        }
        fake.add("p/openai", secret.clone());
        fake.damage(1);
        loads.push(SecretManagerLoader::new(&fake.google(), "p/openai").load().await);
        (sealed, loads)
    });
    assert_no_leak!(secret, logs.bytes());
    assert!(sealed[0].is_ok());
    assert_eq!(sealed[1].as_ref().unwrap_err().kind(), ErrorKind::Unreachable);
    let mut loads = loads.into_iter();
    assert_loads(loads.next().unwrap(), &secret, "gcp-kms:(in memory)");
    for damaged in loads {
        assert_fails(damaged, &secret, LoadErrorKind::Unreachable, "damaged on the way");
    }
}
