//! References: what each leads to, what leads nowhere, and that a key is none.

use keyward::reference::{Reference, ReferenceError, ReferenceErrorKind, References, Scheme};
use keyward::store::{DynKeyStore, MemoryStore};
use keyward::{DynKeyLoader, Environment, KeyLoader as _};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::{assert_no_leak, leak};

use crate::fixture::{assert_loads, load, secret, write};

#[test]
fn each_reference_is_the_loader_that_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let key = secret();
    let path = write(directory.path().join("key"), &key);
    let path = path.display();
    let root = directory.path().to_str().unwrap();
    let environment = Environment::fixed([("KEY", key.as_str()), ("CREDENTIALS_DIRECTORY", root)]);
    let references = References::new().with_environment(environment);
    for (text, source) in [
        ("env:KEY".to_owned(), "env:KEY".to_owned()),
        (" env://KEY\n".to_owned(), "env:KEY".to_owned()),
        (format!("file:{path}"), format!("file:{path}")),
        (format!("file://{path}"), format!("file:{path}")),
        (format!("mount:{path}"), format!("file:{path}")),
        ("systemd:key".to_owned(), format!("file:{path}")),
        #[cfg(unix)]
        (format!("cmd:cat {path}"), "cmd:cat".to_owned()),
    ] {
        let loader = references.loader(&text).unwrap();
        assert_loads(load(&loader), &key, &source);
        assert_no_leak!(key, format!("{loader:?} {references:?}"));
    }
}

#[test]
fn a_chain_of_references_tells_each_by_its_scheme() {
    let directory = tempfile::tempdir().unwrap();
    let key = secret();
    let path = write(directory.path().join("key"), &key);
    let references = References::new().with_environment(Environment::fixed([("A", "")]));
    let file = format!("file:{}", path.display());
    let chain = references.chain(["env:A", "systemd:a", &file, "mount:/never"]).unwrap();
    let loaded = assert_loads(load(&chain), &key, &file);
    let names: Vec<_> = loaded.attempts().iter().map(keyward::Attempt::name).collect();
    assert_eq!(names, ["env", "systemd", "file"]);
    assert!(chain.variables().contains(&"A_FILE".into()));

    let error = references.chain(["env:A", "nonsense"]).unwrap_err();
    assert_eq!(error.kind(), ReferenceErrorKind::Malformed);
    assert!(references.chain([""; 0]).is_err());
}

#[test]
fn what_is_no_reference_is_refused_with_the_fix() {
    use ReferenceErrorKind::{Invalid, Malformed, Missing, NotAStore, UnknownScheme};
    let references = References::new();
    let refused = |text: &str| references.loader(text).map(drop).unwrap_err();
    let not_stored = |text: &str| references.store(text).map(drop).unwrap_err();
    for (error, kind, says) in [
        (refused(""), Malformed, "not a reference; write a scheme, a colon and a place"),
        (refused("env:"), Malformed, "not a reference"),
        (refused("env://"), Malformed, "not a reference"),
        (refused("OPENAI_API_KEY"), Malformed, "not a reference"),
        (refused("ENV:NAME"), Malformed, "not a reference"),
        (refused(":NAME"), Malformed, "not a reference"),
        (refused("env:A\nB"), Malformed, "not a reference"),
        (refused("C:\\keys\\openai"), Malformed, "not a reference"),
        (refused("http://example.com"), UnknownScheme, "no such scheme; use one of `cmd:`"),
        (refused("cmd: "), Malformed, "not a reference"),
        (refused("aws-kms:alias/a"), Missing, "`aws-kms:` is not built in; add the crate"),
        (refused("vault:secret/a#b"), Missing, "with its feature `vault`"),
        (refused("gcp-sm:projects/a"), Missing, "with its feature `google`"),
        (refused("azure-kv:a"), Missing, "with its feature `azure`"),
        #[cfg(not(feature = "workload-identity"))]
        (refused("wif:env"), Missing, "turn the feature `workload-identity` on"),
        #[cfg(feature = "workload-identity")]
        (refused("wif:github"), Invalid, "nothing says who the workload is, and where its token"),
        #[cfg(feature = "workload-identity")]
        (refused("wif:a/b"), Invalid, "write `wif:PROVIDER/SERVICE_ACCOUNT#file=PATH`"),
        #[cfg(feature = "workload-identity")]
        (refused("wif:a#file=/b"), Invalid, "nothing says who"),
        #[cfg(feature = "workload-identity")]
        (refused("wif:a/b#file="), Invalid, "nothing says who"),
        #[cfg(feature = "workload-identity")]
        (refused("wif:a/b#carrier-pigeon=c"), Invalid, "nothing says who"),
        #[cfg(feature = "workload-identity")]
        (not_stored("wif:env"), NotAStore, "`wif:` can be loaded"),
        #[cfg(not(feature = "sealed"))]
        (refused("sealed:/a"), Missing, "turn the feature `sealed` on"),
        #[cfg(feature = "sealed")]
        (refused("sealed:/a"), Invalid, "nothing says what opens the sealed file; write"),
        #[cfg(feature = "sealed")]
        (refused("sealed:/a#identity="), Malformed, "not a reference"),
        #[cfg(feature = "sealed")]
        (refused("sealed:#identity=env:A"), Malformed, "not a reference"),
        #[cfg(feature = "sealed")]
        (refused("sealed:/a#passphrase=b"), Malformed, "not a reference"),
        (not_stored("cmd:pass openai"), NotAStore, "`cmd:` can be loaded"),
        (not_stored("env:NAME"), NotAStore, "`env:` can be loaded from and not stored to; name"),
        (not_stored("mount:/a"), NotAStore, "`mount:` can be loaded"),
        (not_stored("systemd:a"), NotAStore, "`systemd:` can be loaded"),
        (not_stored("aws-sm:a"), Missing, "with its feature `aws`"),
        (not_stored("aws-ssm:/a"), Missing, "with its feature `aws-ssm`"),
        (not_stored("envelope:a"), Missing, "the feature of a KMS"),
        (not_stored("vault-transit:a"), Missing, "with its feature `vault`"),
    ] {
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(says), "{says:?} is missing in {text:?}");
        assert!(text.ends_with(error.fix()) && text.lines().count() == 1, "{text}");
    }
    let _ = Invalid;
}

#[test]
fn a_key_in_place_of_a_reference_is_not_repeated() {
    let references = References::new();
    let mut rng = KeyRng::from_entropy();
    for key in [
        keys::project_key(&mut rng),
        keys::service_account_key(&mut rng),
        keys::admin_key(&mut rng),
        keys::legacy_user_key(&mut rng),
    ] {
        for text in [
            key.clone(),
            format!("  {key}\n"),
            format!("env:{key}"),
            format!("file://{key}"),
            format!("sealed:{key}"),
        ] {
            let error = references.loader(&text).map(drop).unwrap_err();
            assert_eq!(error.kind(), ReferenceErrorKind::HoldsAKey, "{error}");
            assert_no_leak!(key, leak::error_surfaces(&error));
        }
        // Where it is no more than a part, nothing shows it either.
        for text in [
            format!("file:/etc/{key}/x"),
            format!("vault:{key}#a"),
            format!("OPENAI_API_KEY={key}"),
            format!("{key}:x"),
            format!("a:{key}:x"),
        ] {
            match references.loader(&text) {
                Ok(loader) => assert_no_leak!(key, format!("{loader:?} {}", loader.source())),
                Err(error) => assert_no_leak!(key, leak::error_surfaces(&error)),
            }
            if let Ok(reference) = Reference::parse(&text) {
                assert_no_leak!(key, format!("{reference} {reference:?}"));
            }
        }
    }
}

#[test]
fn a_scheme_of_ones_own_stands_beside_the_others() {
    struct Drawer;

    impl Scheme for Drawer {
        fn loader(&self, reference: &Reference) -> Result<DynKeyLoader, ReferenceError> {
            self.store(reference).map(DynKeyLoader::new)
        }

        fn store(&self, reference: &Reference) -> Result<DynKeyStore, ReferenceError> {
            match reference.split_fragment() {
                (name, Some("left")) => Ok(DynKeyStore::new(MemoryStore::new(name))),
                _ => Err(ReferenceError::invalid("which drawer", "write `#left`")),
            }
        }
    }

    struct LoadsOnly;

    impl Scheme for LoadsOnly {
        fn loader(&self, _: &Reference) -> Result<DynKeyLoader, ReferenceError> {
            Ok(DynKeyLoader::new(MemoryStore::new("read")))
        }
    }

    let references = References::new().register("drawer", Drawer).register("aws-sm", LoadsOnly);
    assert_eq!(references.store("drawer:desk#left").unwrap().source().to_string(), "memory:desk");
    let error = references.loader("drawer:desk").map(drop).unwrap_err();
    assert_eq!(error.to_string(), "which drawer; write `#left`");
    references.loader("env:NAME").unwrap();
    references.loader("aws-sm:a").unwrap();
    let kind = references.store("aws-sm:a").map(drop).unwrap_err().kind();
    assert_eq!(kind, ReferenceErrorKind::NotAStore);
}

#[cfg(feature = "sealed")]
#[test]
fn a_store_of_a_reference_stores() {
    use keyward::ApiKey;
    use keyward::store::{KeyNote, KeyStore as _, Unlock};

    use crate::fixture::{NOW, ready};

    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display().to_string();
    let identity = directory.path().join("identity.txt");
    drop(ready(Unlock::create_identity_file(&identity)).unwrap());
    let line = std::fs::read_to_string(&identity).unwrap();
    let line = line.lines().find(|line| line.starts_with("AGE-")).unwrap().to_owned();
    write(directory.path().join("line"), &line);
    let words = secret();
    let environment = Environment::fixed([("AGE", &line), ("WORDS", &words)]);
    let references = References::new().with_environment(environment);
    for (text, source) in [
        (format!("file:{root}/plain"), format!("file:{root}/plain")),
        (format!("sealed:{root}/a#identity=env:AGE"), format!("sealed:{root}/a")),
        (format!("sealed:{root}/b#identity=file:{root}/line"), format!("sealed:{root}/b")),
        (format!("sealed:{root}/c#identity-file={root}/identity.txt"), format!("sealed:{root}/c")),
        (format!("sealed:{root}/d#passphrase=env:WORDS"), format!("sealed:{root}/d")),
    ] {
        let key = secret();
        let store = references.store(&text).unwrap();
        let staged = ApiKey::parse(key.clone()).unwrap();
        let version = ready(store.stage(&staged, &KeyNote::new(), NOW)).unwrap();
        ready(store.promote(&version, NOW)).unwrap();
        assert_loads(load(&references.loader(&text).unwrap()), &key, &source);
        for secret in [&key, &line, &words] {
            assert_no_leak!(secret, format!("{store:?}"));
        }
    }
}
