//! References to clouds: what each leads to, what is wrong with one, and loads through them.

use keyward::KeyLoader as _;
#[cfg(any(feature = "aws", feature = "azure", feature = "google", feature = "vault"))]
use keyward::LoadErrorKind;
use keyward::reference::{Reference, ReferenceErrorKind, References};
use keyward_kms::Schemes;
use keyward_testkit::assert_no_leak;
use keyward_testkit::leak;

#[cfg(any(feature = "aws", feature = "google", feature = "vault"))]
use crate::fixture::key;
use crate::fixture::secret;
#[cfg(any(feature = "aws", feature = "vault"))]
use crate::fixture::unique;
#[cfg(any(feature = "aws", feature = "azure", feature = "google", feature = "vault"))]
use crate::fixture::{assert_fails, assert_loads, logged};

/// With a connection to each cloud that is on. Nobody listens there.
fn references() -> References {
    let schemes = Schemes::new();
    #[cfg(feature = "aws")]
    let schemes = schemes.with_aws(&crate::aws::aws("http://127.0.0.1:9"));
    #[cfg(feature = "azure")]
    let schemes = schemes.with_azure(&crate::azure::nowhere());
    #[cfg(feature = "google")]
    let schemes = schemes.with_google(&crate::google::nowhere());
    #[cfg(feature = "pkcs11")]
    let schemes = schemes.with_pkcs11(&crate::pkcs11::nowhere());
    #[cfg(feature = "vault")]
    let schemes = schemes.with_vault(&crate::vault::nowhere());
    schemes.register(References::new())
}

/// What a sealed key is sealed for; `…` in the tables.
const SEALED: &str = "name=billing/openai&project=proj_abc";

const AWS: bool = cfg!(feature = "aws");
const SSM: bool = cfg!(feature = "aws-ssm");
const AZURE: bool = cfg!(feature = "azure");
const GOOGLE: bool = cfg!(feature = "google");
const PKCS11: bool = cfg!(feature = "pkcs11");
const VAULT: bool = cfg!(feature = "vault");

#[test]
fn each_reference_is_the_loader_and_the_store_that_it_names() {
    use ReferenceErrorKind::{Invalid, Missing, NotAStore};
    const ARN: &str = "aws-sm:arn:aws:secretsmanager:eu-west-1:1:secret:x-AbCdEf";
    let references = references();
    for (on, text, source, stores) in [
        (AWS, "aws-sm:prod/openai", "aws-sm:prod/openai", Ok(())),
        (AWS, "aws-sm://prod/openai", "aws-sm:prod/openai", Ok(())),
        (AWS, "aws-sm:prod/openai#api_key", "aws-sm:prod/openai", Ok(())),
        (AWS, "aws-sm:prod/openai#other", "aws-sm:prod/openai", Err(Invalid)),
        (AWS, ARN, ARN, Err(Invalid)),
        (AWS, "aws-kms:/etc/sealed#key=alias/x&…", "aws-kms:/etc/sealed", Err(NotAStore)),
        (AWS, "aws-kms:/etc/a#b#…&key=arn:aws:kms:x:1:key/x", "aws-kms:/etc/a#b", Err(NotAStore)),
        (AWS, "envelope:/etc/sealed#aws-kms=alias/x&…", "envelope:/etc/sealed", Err(NotAStore)),
        (SSM, "aws-ssm:/prod/openai", "aws-ssm:/prod/openai", Err(NotAStore)),
        (SSM, "aws-ssm:/prod/openai:3#api_key", "aws-ssm:/prod/openai:3", Err(NotAStore)),
        (SSM, "aws-ssm:openai", "aws-ssm:openai", Err(NotAStore)),
        (AZURE, "azure-kv:prod/openai", "azure-kv:prod/openai", Err(Invalid)),
        (AZURE, "azure-kv://prod/openai#k", "azure-kv:prod/openai", Err(Invalid)),
        (GOOGLE, "gcp-sm:p/openai", "gcp-sm:p/openai", Ok(())),
        (GOOGLE, "gcp-sm://p/openai#api_key", "gcp-sm:p/openai", Ok(())),
        (GOOGLE, "gcp-sm:p/openai#other", "gcp-sm:p/openai", Err(Invalid)),
        (GOOGLE, "gcp-sm:projects/p/secrets/s", "gcp-sm:projects/p/secrets/s", Ok(())),
        (GOOGLE, "gcp-kms:/etc/s#key=projects/p/x&…", "gcp-kms:/etc/s", Err(NotAStore)),
        (GOOGLE, "envelope:/etc/s#gcp-kms=projects/p/x&…", "envelope:/etc/s", Err(NotAStore)),
        (PKCS11, "pkcs11:/etc/s#key=openai&…", "pkcs11:/etc/s", Err(NotAStore)),
        (PKCS11, "envelope:/etc/s#pkcs11=openai&…", "envelope:/etc/s", Err(NotAStore)),
        (VAULT, "vault:secret/openai/prod", "vault:secret/openai/prod", Ok(())),
        (VAULT, "vault://secret/openai#k", "vault:secret/openai#k", Err(Invalid)),
        (VAULT, "vault:kv/team//openai/prod", "vault:kv/team/openai/prod", Ok(())),
        (VAULT, "vault-transit:/etc/s#key=transit/x&…", "vault-transit:/etc/s", Err(NotAStore)),
        (VAULT, "envelope:/etc/s#…&vault-transit=eu/transit/x", "envelope:/etc/s", Err(NotAStore)),
    ] {
        println!("{text}");
        let text = text.replace('…', SEALED);
        let loader = references.loader(&text);
        if !on {
            let error = loader.map(drop).unwrap_err();
            assert_eq!(error.kind(), Missing, "{error}");
            assert!(error.fix().contains("of the crate `keyward-kms` on"), "{error}");
            continue;
        }
        let loader = loader.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loader.source().to_string(), source);
        let store = references.store(&text).map(|store| store.source().to_string());
        match stores {
            Ok(()) => assert_eq!(store.unwrap(), source),
            Err(kind) => assert_eq!(store.unwrap_err().kind(), kind),
        }
    }
}

#[test]
fn what_a_reference_lacks_is_told_with_the_form() {
    let references = references();
    for (on, text, says) in [
        (AWS, "aws-sm:#api_key", "`aws-sm:NAME#FIELD`"),
        (AWS, "aws-sm:prod/openai#", "`aws-sm:NAME#FIELD`"),
        (SSM, "aws-ssm://prod/openai", "with one slash"),
        (AWS, "aws-kms:/etc/sealed", "nothing says what opens"),
        (AWS, "aws-kms:/etc/sealed#…", "nothing says what opens"),
        (AWS, "aws-kms:#key=x&…", "`aws-kms:PATH#key=ID&name=NAME&project=PROJECT`"),
        (AWS, "aws-kms:/etc/sealed#key=x&name=a", "which name and project"),
        (AWS, "aws-kms:/etc/sealed#key=x&project=a", "which name and project"),
        (AWS, "aws-kms:/etc/sealed#key=x&name=&project=a", "says nothing"),
        (AWS, "aws-kms:/etc/sealed#key&…", "says nothing"),
        (AWS, "aws-kms:/etc/sealed#key=x&key=y&…", "stands there twice"),
        (AWS, "aws-kms:/etc/sealed#key=x&name=a&…", "stands there twice"),
        (AWS, "aws-kms:/etc/sealed#key=x&region=a&…", "is not known"),
        (true, "envelope:/etc/sealed#key=x&…", "is not known"),
        (true, "envelope:/etc/sealed", "`envelope:PATH#aws-kms=ID&"),
        (AZURE, "azure-kv:openai", "`azure-kv:VAULT/SECRET`"),
        (AZURE, "azure-kv:prod/", "`azure-kv:VAULT/SECRET`"),
        (AZURE, "azure-kv:prod/openai#", "`azure-kv:VAULT/SECRET#FIELD`"),
        (AZURE, "azure-kv:evil.example.com/openai", "is no name"),
        (AZURE, "azure-kv:https://evil.example.com/x", "is no name"),
        (AZURE, "azure-kv:prod/openai/1", "is no name"),
        (GOOGLE, "gcp-sm:openai", "`gcp-sm:PROJECT/SECRET`"),
        (GOOGLE, "gcp-sm:p/", "`gcp-sm:PROJECT/SECRET`"),
        (GOOGLE, "gcp-sm:/openai#", "`gcp-sm:PROJECT/SECRET#FIELD`"),
        (GOOGLE, "gcp-sm:p/openai#", "`gcp-sm:PROJECT/SECRET#FIELD`"),
        (GOOGLE, "gcp-kms:/etc/sealed#…", "`gcp-kms:PATH#key=KEY&"),
        (PKCS11, "pkcs11:/etc/sealed#…", "`pkcs11:PATH#key=LABEL&"),
        (VAULT, "vault:secret", "`vault:MOUNT/PATH#FIELD`"),
        (VAULT, "vault:secret/", "has a mount and a path"),
        (VAULT, "vault:/secret/x", "has a mount and a path"),
        (VAULT, "vault:kv/team//#k", "has a mount and a path"),
        (VAULT, "vault:secret/x#", "has a mount and a path"),
        (VAULT, "vault-transit:/etc/sealed#key=x&…", "`MOUNT/KEY`"),
        (VAULT, "vault-transit:/etc/sealed#key=/x&…", "`MOUNT/KEY`"),
        (VAULT, "envelope:/etc/sealed#vault-transit=x/&…", "`MOUNT/KEY`"),
    ] {
        println!("{text}");
        if !on {
            continue;
        }
        let error = references.loader(&text.replace('…', SEALED)).map(drop).unwrap_err();
        let told = error.to_string();
        assert_eq!(error.kind(), ReferenceErrorKind::Invalid, "{told}");
        assert!(told.contains(says), "{says:?} is missing in {told:?}");
        assert!(told.lines().count() == 1 && told.ends_with(error.fix()), "{told}");
    }
}

#[test]
fn a_scheme_without_its_connection_says_what_to_give() {
    let references = Schemes::new().register(References::new());
    for (on, text, says) in [
        (AWS, "aws-sm:x", "`Schemes::with_aws`"),
        (AWS, "envelope:x#aws-kms=x&…", "`Schemes::with_aws`"),
        (AZURE, "azure-kv:p/x", "`Schemes::with_azure`"),
        (GOOGLE, "gcp-sm:p/x", "`Schemes::with_google`"),
        (GOOGLE, "gcp-kms:x#key=x&…", "`Schemes::with_google`"),
        (GOOGLE, "envelope:x#gcp-kms=x&…", "`Schemes::with_google`"),
        (PKCS11, "pkcs11:x#key=x&…", "`Schemes::with_pkcs11`"),
        (PKCS11, "envelope:x#pkcs11=x&…", "`Schemes::with_pkcs11`"),
        (VAULT, "vault:secret/x", "`Schemes::with_vault`"),
        (VAULT, "envelope:x#vault-transit=t/x&…", "with_vault`"),
    ] {
        if on {
            let error = references.loader(&text.replace('…', SEALED)).map(drop).unwrap_err();
            assert_eq!(error.kind(), ReferenceErrorKind::Missing, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
    // What the others bring is still there.
    assert!(references.loader("env:OPENAI_API_KEY").is_ok());
}

#[test]
fn a_key_in_a_reference_is_not_repeated() {
    let references = references();
    let secret = secret();
    for text in [
        format!("aws-sm:{secret}"),
        format!("aws-sm:prod/{secret}"),
        format!("aws-sm:prod/openai#{secret}"),
        format!("aws-ssm:/prod/{secret}"),
        format!("aws-kms:/etc/sealed#key={secret}&{SEALED}"),
        format!("aws-kms:/etc/sealed#key=x&name={secret}&project=x"),
        format!("envelope:/etc/{secret}#aws-kms=x&{SEALED}"),
        format!("azure-kv:prod/{secret}"),
        format!("gcp-sm:p/{secret}"),
        format!("gcp-kms:/etc/x#key=projects/{secret}&{SEALED}"),
        format!("pkcs11:/etc/x#key={secret}&{SEALED}"),
        format!("vault:secret/{secret}#api_key"),
        format!("vault:{secret}/x#api_key"),
        format!("vault-transit:/etc/x#key=transit/{secret}&{SEALED}"),
    ] {
        for error in [
            references.loader(&text).map(drop).unwrap_err(),
            references.store(&text).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ReferenceErrorKind::HoldsAKey, "{error}");
            assert_no_leak!(secret, leak::error_surfaces(&error));
        }
        if let Ok(reference) = Reference::parse(&text) {
            assert_no_leak!(secret, format!("{reference} {reference:?}"));
        }
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_reference_loads_from_aws_and_stores_there() {
    use keyward::Timestamp;
    use keyward::store::{KeyNote, KeyStore as _};
    use keyward_kms::aws::Kms;
    use keyward_kms::{SealContext, SealedKey, seal_directly};

    use crate::aws::{aws, settings};

    let Some(url) = crate::fixture::server("KEYWARD_MOTO_URL") else { return };
    let (first, second) = (secret(), secret());
    let (name, dir) = (unique("prod/openai"), tempfile::tempdir().unwrap());
    let place = |file: &str| dir.path().join(file).display().to_string();
    let references = Schemes::new().with_aws(&aws(&url)).register(References::new());
    let load = async |text: &str| references.loader(text).unwrap().load().await;
    let now = Timestamp::from_unix_seconds(1_790_000_000);
    let ((before, after, other, sealed), logs) = logged(async {
        let client = aws_sdk_secretsmanager::Client::new(&settings(&url));
        client.create_secret().name(&name).secret_string(&first).send().await.unwrap();
        let before = load(&format!("aws-sm:{name}")).await;
        // A rotation begins to store there: the same reference goes on.
        let store = references.store(&format!("aws-sm:{name}")).unwrap();
        let version = store.stage(&key(&second), &KeyNote::new(), now).await.unwrap();
        store.promote(&version, now).await.unwrap();
        let after =
            [load(&format!("aws-sm:{name}")).await, load(&format!("aws-sm:{name}#api_key")).await];
        // A secret of others, whose field is not named, is not an empty one.
        let other = unique("prod/other");
        let text = format!(r#"{{"openai":"{first}"}}"#);
        client.create_secret().name(&other).secret_string(text).send().await.unwrap();
        let other =
            (load(&format!("aws-sm:{other}")).await, load(&format!("aws-sm:{other}#openai")).await);

        let made = aws_sdk_kms::Client::new(&settings(&url)).create_key().send().await.unwrap();
        let id = made.key_metadata.unwrap().key_id;
        let (kms, context) =
            (Kms::new(&aws(&url), &id), SealContext::new("billing/openai", "proj_abc"));
        let direct = seal_directly(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("direct"), direct).unwrap();
        let envelope = SealedKey::seal(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("envelope"), envelope.to_text()).unwrap();
        let sealed = [
            load(&format!("aws-kms:{}#key={id}&{SEALED}", place("direct"))).await,
            load(&format!("envelope:{}#aws-kms={id}&{SEALED}", place("envelope"))).await,
            load(&format!("aws-kms:{}#key={id}&name=x&project=y", place("direct"))).await,
        ];
        (before, after, other, sealed)
    });
    let source = format!("aws-sm:{name}");
    assert_loads(before, &first, &source);
    for loaded in after {
        assert_loads(loaded, &second, &source);
    }
    assert_fails(other.0, &first, LoadErrorKind::Invalid, "no field `api_key`");
    assert!(other.1.unwrap().key == key(&first));
    let [direct, envelope, elsewhere] = sealed;
    assert_loads(direct, &first, &format!("aws-kms:{}", place("direct")));
    assert_loads(envelope, &first, &format!("envelope:{}", place("envelope")));
    assert_fails(elsewhere, &first, LoadErrorKind::Undecryptable, "the context");
    for secret in [&first, &second] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[cfg(feature = "aws-ssm")]
#[test]
fn a_reference_loads_a_parameter() {
    use aws_sdk_ssm::types::ParameterType;

    use crate::aws::{aws, settings};

    let Some(url) = crate::fixture::server("KEYWARD_MOTO_URL") else { return };
    let secret = secret();
    let name = unique("/prod/openai");
    let references = Schemes::new().with_aws(&aws(&url)).register(References::new());
    let (loaded, logs) = logged(async {
        let client = aws_sdk_ssm::Client::new(&settings(&url));
        let put = client.put_parameter().name(&name).r#type(ParameterType::SecureString);
        put.value(format!(r#"{{"k":"{secret}"}}"#)).send().await.unwrap();
        references.loader(&format!("aws-ssm:{name}#k")).unwrap().load().await
    });
    assert_loads(loaded, &secret, &format!("aws-ssm:{name}"));
    assert_no_leak!(secret, logs.bytes());
}

#[cfg(feature = "azure")]
#[test]
fn a_reference_loads_from_azure() {
    use crate::azure::fake::Fake;

    let (whole, part) = (secret(), secret());
    let ((absent, loaded), logs) = logged(async {
        let fake = Fake::start().await;
        let references = Schemes::new().with_azure(&fake.azure()).register(References::new());
        let load = async |text: &str| references.loader(text).unwrap().load().await;
        let absent = load("azure-kv:billing-prod/openai").await;
        fake.set("openai", &whole);
        fake.set("keys", &format!(r#"{{"openai":"{part}"}}"#));
        let field = load("azure-kv:billing-prod/keys#openai").await;
        (absent, [(load("azure-kv:billing-prod/openai").await, &whole), (field, &part)])
    });
    assert_fails(absent, &whole, LoadErrorKind::NotFound, "");
    for ((loaded, secret), name) in loaded.into_iter().zip(["openai", "keys"]) {
        assert_loads(loaded, secret, &format!("azure-kv:billing-prod/{name}"));
        assert_no_leak!(secret, logs.bytes());
    }
}

#[cfg(feature = "google")]
#[test]
fn a_reference_loads_from_google_and_stores_there() {
    use keyward::store::{KeyNote, KeyStore as _};
    use keyward_kms::google::Kms;
    use keyward_kms::{SealContext, SealedKey, seal_directly};

    use crate::fixture::stores::NOW;
    use crate::google::KEY;
    use crate::google::fake::Fake;

    let (first, second) = (secret(), secret());
    let dir = tempfile::tempdir().unwrap();
    let place = |file: &str| dir.path().join(file).display().to_string();
    let (results, logs) = logged(async {
        let fake = Fake::start().await;
        let references = Schemes::new().with_google(&fake.google()).register(References::new());
        let load = async |text: &str| references.loader(text).unwrap().load().await;
        fake.add("p/openai", first.clone());
        let mut results = vec![(load("gcp-sm:p/openai").await, &first)];
        // A rotation begins to store there: the same reference goes on.
        let store = references.store("gcp-sm:p/openai").unwrap();
        let version = store.stage(&key(&second), &KeyNote::new(), NOW).await.unwrap();
        results.push((load("gcp-sm:p/openai").await, &first));
        store.promote(&version, NOW).await.unwrap();
        results.push((load("gcp-sm:p/openai").await, &second));
        results.push((load("gcp-sm:p/openai#api_key").await, &second));
        fake.add("p/other", format!(r#"{{"openai":"{first}"}}"#));
        results.push((load("gcp-sm:p/other#openai").await, &first));
        assert!(load("gcp-sm:p/other").await.is_err());

        fake.make_key(KEY);
        let kms = Kms::new(&fake.google(), KEY);
        let context = SealContext::new("billing/openai", "proj_abc");
        let direct = seal_directly(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("direct"), direct).unwrap();
        let envelope = SealedKey::seal(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("envelope"), envelope.to_text()).unwrap();
        let direct = format!("gcp-kms:{}#key={KEY}&{SEALED}", place("direct"));
        results.push((load(&direct).await, &first));
        let envelope = format!("envelope:{}#gcp-kms={KEY}&{SEALED}", place("envelope"));
        results.push((load(&envelope).await, &first));
        let elsewhere = format!("gcp-kms:{}#key={KEY}&name=x&project=y", place("direct"));
        let elsewhere = load(&elsewhere).await;
        assert_fails(elsewhere, &first, LoadErrorKind::Undecryptable, "the context");
        results
    });
    for (loaded, secret) in results {
        let source = loaded.as_ref().map(|loaded| loaded.source.to_string()).unwrap();
        assert_loads(loaded, secret, &source);
    }
    for secret in [&first, &second] {
        assert_no_leak!(secret, logs.bytes());
    }
}

#[cfg(feature = "vault")]
#[test]
fn a_reference_loads_from_vault_and_stores_there() {
    use keyward::Timestamp;
    use keyward::store::{KeyNote, KeyStore as _};
    use keyward_kms::vault::Transit;
    use keyward_kms::{SealContext, SealedKey, seal_directly};
    use serde_json::json;

    use crate::vault::openbao::Bao;

    let Some(bao) = Bao::find() else { return };
    let (first, second) = (secret(), secret());
    let (path, dir) = (unique("openai/prod"), tempfile::tempdir().unwrap());
    let place = |file: &str| dir.path().join(file).display().to_string();
    let references = Schemes::new().with_vault(&bao.vault()).register(References::new());
    let load = async |text: &str| references.loader(text).unwrap().load().await;
    let now = Timestamp::from_unix_seconds(1_790_000_000);
    let ((field, absent, stored, sealed), logs) = logged(async {
        bao.write(&path, json!({ "api_key": first })).await;
        let field = load(&format!("vault:secret/{path}#api_key")).await;

        let text = format!("vault:secret/{path}/store");
        let absent = load(&text).await;
        let store = references.store(&text).unwrap();
        let version = store.stage(&key(&second), &KeyNote::new(), now).await.unwrap();
        store.promote(&version, now).await.unwrap();
        let stored = load(&text).await;

        let name = unique("openai");
        bao.operate("POST", &format!("transit/keys/{name}"), json!({})).await;
        let kms = Transit::new(&bao.vault(), "transit", &name);
        let context = SealContext::new("billing/openai", "proj_abc");
        let direct = seal_directly(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("direct"), direct).unwrap();
        let envelope = SealedKey::seal(&kms, &key(&first), &context).await.unwrap();
        std::fs::write(place("envelope"), envelope.to_text()).unwrap();
        let by = format!("transit/{name}&{SEALED}");
        let sealed = [
            load(&format!("vault-transit:{}#key={by}", place("direct"))).await,
            load(&format!("envelope:{}#vault-transit={by}", place("envelope"))).await,
        ];
        (field, absent, stored, sealed)
    });
    assert_loads(field, &first, &format!("vault:secret/{path}#api_key"));
    assert_fails(absent, &second, LoadErrorKind::NotFound, "");
    assert_loads(stored, &second, &format!("vault:secret/{path}/store"));
    let [direct, envelope] = sealed;
    assert_loads(direct, &first, &format!("vault-transit:{}", place("direct")));
    assert_loads(envelope, &first, &format!("envelope:{}", place("envelope")));
    for secret in [&first, &second] {
        assert_no_leak!(secret, logs.bytes());
    }
}
