//! Loads against moto, an emulator of AWS. Nothing here depends on what it does otherwise than AWS.

use aws_sdk_kms::primitives::Blob;
#[cfg(feature = "aws-ssm")]
use aws_sdk_ssm::types::ParameterType;
use keyward::{EnvLoader, Environment, KeyLoader as _, LoadErrorKind, LoaderChain};
#[cfg(feature = "aws-ssm")]
use keyward_kms::aws::ParameterLoader;
use keyward_kms::aws::{Kms, SecretsManagerLoader};
use keyward_kms::{DirectLoader, EnvelopeLoader, SealContext, SealedKey, seal_directly};
use keyward_testkit::assert_no_leak;

use super::{aws, context, settings};
use crate::fixture::{assert_fails, assert_loads, key, logged, secret, server, unique};

#[test]
fn secrets_manager_has_the_version_of_the_stage() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let (old, new) = (secret(), secret());
    let name = unique("prod/openai");
    let (loaded, logs) = logged(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        client.create_secret().name(&name).secret_string(&old).send().await.unwrap();
        let put = client.put_secret_value().secret_id(&name).secret_string(format!("{new}\n"));
        let version = put.send().await.unwrap().version_id.unwrap();
        let aws = aws(&url);
        let current = SecretsManagerLoader::new(&aws, &name);
        let previous = current.clone().with_version_stage("AWSPREVIOUS");
        let loaded = (current.load().await, previous.load().await);
        assert_eq!(loaded.0.as_ref().unwrap().version, Some(version));
        assert_no_leak!(new, format!("{current:?} {aws:?}"));
        loaded
    });
    let source = format!("aws-sm:{name}");
    assert_loads(loaded.0, &new, &source);
    assert_loads(loaded.1, &old, &source);
    for secret in [&old, &new] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[test]
fn a_secret_may_be_json_or_bytes_and_what_is_not_there_is_told() {
    use LoadErrorKind::{Invalid, NotFound, Unreadable};
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let secret = secret();
    let json = format!(r#"{{"user":"x","api_key":"{secret}","n":1,"sub":{{"api_key":"no"}}}}"#);
    let name = unique("prod/openai");
    for (case, text, field, expected) in [
        ("a field", Some(json.clone()), Some("api_key"), Ok(())),
        ("the wrong field", Some(json.clone()), Some("key"), Err((Invalid, "no field `key`"))),
        ("a number", Some(json.clone()), Some("n"), Err((Invalid, "no field `n`"))),
        ("an object", Some(json.clone()), None, Err((Invalid, "name the field"))),
        ("no object", Some(secret.clone()), Some("api_key"), Err((Invalid, "no JSON object"))),
        ("half of one", Some(json[..90].to_owned()), Some("api_key"), Err((Invalid, "no JSON"))),
        ("two keys", Some(format!("{secret} {secret}")), None, Err((Invalid, "a space in it"))),
        ("bytes", None, None, Ok(())),
    ] {
        println!("{case}");
        let name = format!("{name}/{}", case.replace(' ', "-"));
        let (loaded, logs) = logged(async {
            let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
            let create = client.create_secret().name(&name);
            let create = match text {
                Some(text) => create.secret_string(text),
                None => create.secret_binary(Blob::new(secret.as_bytes())),
            };
            create.send().await.unwrap();
            let loader = SecretsManagerLoader::new(&aws(&url), &name);
            match field {
                Some(field) => loader.with_field(field).load().await,
                None => loader.load().await,
            }
        });
        assert_no_leak!(secret, logs.bytes());
        match expected {
            Ok(()) => drop(assert_loads(loaded, &secret, &format!("aws-sm:{name}"))),
            Err((kind, says)) => assert_fails(loaded, &secret, kind, says),
        }
    }
    let (absent, _) = logged(SecretsManagerLoader::new(&aws(&url), unique("absent")).load());
    assert_fails(absent, &secret, NotFound, "ResourceNotFoundException");

    let (deleted, _) = logged(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        client.create_secret().name(&name).secret_string(&secret).send().await.unwrap();
        client.delete_secret().secret_id(&name).send().await.unwrap();
        SecretsManagerLoader::new(&aws(&url), &name).load().await
    });
    assert_fails(deleted, &secret, Unreadable, "restore the secret");
}

/// A chain goes on past a secret that never was, and not past one that waits for its deletion.
#[test]
fn a_deleted_secret_does_not_bring_an_older_key_back() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let (secret, older) = (secret(), secret());
    let name = unique("prod/openai");
    let (results, _) = logged(async {
        let aws = aws(&url);
        let chain = || {
            let env = EnvLoader::new("KEY");
            let env = env.with_environment(Environment::fixed([("KEY", older.clone())]));
            LoaderChain::first("aws", SecretsManagerLoader::new(&aws, &name)).then("env", env)
        };
        let absent = chain().load().await;
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        client.create_secret().name(&name).secret_string(&secret).send().await.unwrap();
        client.delete_secret().secret_id(&name).send().await.unwrap();
        [absent, chain().load().await]
    });
    let [absent, deleted] = results;
    assert_loads(absent, &older, "env:KEY");
    assert_fails(deleted, &older, LoadErrorKind::Unreadable, "InvalidRequestException");
}

#[cfg(feature = "aws-ssm")]
#[test]
fn a_parameter_must_be_a_secure_string() {
    use LoadErrorKind::{Invalid, NotFound};
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let secret = secret();
    for (case, kind, text, expected) in [
        ("secure", ParameterType::SecureString, secret.clone(), Ok(())),
        ("clear", ParameterType::String, secret.clone(), Err((Invalid, "not a SecureString"))),
        ("quoted", ParameterType::SecureString, format!("'{secret}'"), Err((Invalid, "quotes"))),
    ] {
        println!("{case}");
        let name = unique("/prod/openai");
        let (loaded, logs) = logged(async {
            let client = aws_sdk_ssm::Client::new(&settings(&url));
            for _ in 0..2 {
                let put = client.put_parameter().name(&name).r#type(kind.clone()).value(&text);
                put.overwrite(true).send().await.unwrap();
            }
            ParameterLoader::new(&aws(&url), &name).load().await
        });
        assert_no_leak!(secret, logs.bytes());
        match expected {
            Ok(()) => {
                let loaded = assert_loads(loaded, &secret, &format!("aws-ssm:{name}"));
                assert_eq!(loaded.version.as_deref(), Some("2"));
            }
            Err((kind, says)) => assert_fails(loaded, &secret, kind, says),
        }
    }
    let (absent, _) = logged(ParameterLoader::new(&aws(&url), unique("/absent")).load());
    assert_fails(absent, &secret, NotFound, "ParameterNotFound");
}

#[test]
fn kms_seals_directly_and_in_envelopes() {
    let Some(url) = server("KEYWARD_MOTO_URL") else { return };
    let secret = secret();
    let ((key_id, direct, envelope), logs) = logged(async {
        let client = aws_sdk_kms::Client::new(&settings(&url));
        let made = client.create_key().send().await.unwrap();
        let key_id = made.key_metadata.unwrap().key_id;
        let kms = Kms::new(&aws(&url), &key_id);
        let direct = seal_directly(&kms, &key(&secret), &context()).await.unwrap();
        // What the AWS CLI does with `--encryption-context`.
        let by_tool = client
            .decrypt()
            .ciphertext_blob(Blob::new(direct.clone()))
            .encryption_context("keyward:name", "billing/openai")
            .encryption_context("keyward:project", "proj_abc")
            .send()
            .await
            .unwrap();
        assert!(by_tool.plaintext.unwrap().as_ref() == secret.as_bytes());
        let envelope = SealedKey::seal(&kms, &key(&secret), &context()).await.unwrap();
        (key_id, direct, envelope)
    });
    assert_no_leak!(secret, logs.bytes());
    assert_eq!(envelope.key_id(), key_id);
    for (context, opens) in
        [(context(), true), (SealContext::new("billing/openai", "proj_other"), false)]
    {
        let kms = Kms::new(&aws(&url), &key_id);
        let direct = DirectLoader::from_bytes(direct.clone(), kms.clone(), context.clone());
        let envelope = EnvelopeLoader::from_bytes(envelope.as_bytes(), kms, context);
        let ((direct, envelope), logs) =
            logged(async { (direct.load().await, envelope.load().await) });
        assert_no_leak!(secret, logs.bytes());
        if opens {
            assert_loads(direct, &secret, "aws-kms:(in memory)");
            assert_loads(envelope, &secret, "envelope:(in memory)");
        } else {
            for refused in [direct, envelope] {
                assert_fails(refused, &secret, LoadErrorKind::Undecryptable, "the context");
            }
        }
    }
}
