//! Chains: what lets one go on, what stops it, and what it tells.

use std::process::Command;
use std::sync::Arc;

use keyward::{
    AdmitContext, ApiKey, AttemptOutcome, EnvLoader, Environment, FileLoader, KeyLoader, KeyPolicy,
    KeySource, LoadError, LoadErrorKind, LoadedKey, LoaderChain, Refusal, Timestamp,
};
use keyward_testkit::{assert_no_leak, keys};

use crate::fixture::{NOW, assert_fails, assert_loads, load, load_everywhere, secret, write};

/// A loader that does as it is told.
struct Scripted(&'static str, Result<String, LoadErrorKind>);

impl KeyLoader for Scripted {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        match &self.1 {
            Ok(text) => {
                let key = ApiKey::parse(text.clone()).unwrap();
                Ok(LoadedKey::new(key, self.source()).version("7".to_owned()))
            }
            Err(kind) => Err(LoadError::new(*kind, self.source(), "it failed", "mend it")),
        }
    }

    fn source(&self) -> KeySource {
        KeySource::new("scripted", self.0)
    }
}

fn names_and_outcomes(attempts: &[keyward::Attempt]) -> Vec<(&str, AttemptOutcome)> {
    attempts.iter().map(|a| (a.name(), a.outcome())).collect()
}

#[test]
fn goes_on_past_nothing_at_all_and_past_nothing_else() {
    use LoadErrorKind::{
        AllNotFound, Conflict, Insecure, Invalid, NotAFile, NotConfigured, NotFound, TimedOut,
        TooLarge, Unreadable,
    };
    for (kind, goes_on) in [
        (AllNotFound, true),
        (Conflict, false),
        (Insecure, false),
        (Invalid, false),
        (NotAFile, false),
        (NotConfigured, true),
        (NotFound, true),
        (TimedOut, false),
        (TooLarge, false),
        (Unreadable, false),
    ] {
        let key = secret();
        let chain = LoaderChain::first("a", Scripted("A", Err(kind)))
            .then("b", Scripted("B", Ok(key.clone())))
            .then("c", Scripted("C", Ok(secret())));
        if goes_on {
            let loaded = assert_loads(load(&chain), &key, "scripted:B");
            assert_eq!(loaded.version.as_deref(), Some("7"));
            let outcomes = names_and_outcomes(loaded.attempts());
            assert!(matches!(outcomes[..], [("a", _), ("b", AttemptOutcome::Loaded)]));
        } else {
            let says = "`a` (scripted:A): it failed; mend it";
            let error = assert_fails(load(&chain), &key, kind, &[says]);
            assert!(!error.is_not_found());
            assert_eq!(error.key_source().to_string(), "scripted:A");
            assert_eq!(names_and_outcomes(error.attempts()), [("a", AttemptOutcome::Failed(kind))]);
        }
    }
}

#[test]
fn tells_every_attempt_when_there_is_no_key() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent");
    let environment = Environment::fixed([("A", ""), ("OTHER", key.as_str())]);
    let env = |name: &str| EnvLoader::new(name).with_environment(environment.clone());
    let chain = LoaderChain::first("env", env("B"))
        .then("old", env("A"))
        .then("file", FileLoader::new(&path))
        .then("unit", FileLoader::systemd_credential("key").with_environment(environment.clone()));
    assert_no_leak!(key, format!("{chain:?}"));
    assert_eq!(chain.source().to_string(), "chain:env,old,file,unit");
    for (_, result) in load_everywhere(&chain) {
        let error = assert_fails(result, &key, LoadErrorKind::AllNotFound, &[]);
        assert!(error.is_not_found());
        assert_eq!(error.key_source(), &chain.source());
        assert_eq!(
            error.to_string(),
            format!(
                "no source has a key: `env` (env:B): not set; `old` (env:A): set but empty; \
                 `file` (file:{}): no such file; `unit` (file:$CREDENTIALS_DIRECTORY/key): \
                 CREDENTIALS_DIRECTORY is not set; set one of them",
                path.display(),
            )
        );
        assert_eq!(
            names_and_outcomes(error.attempts()),
            [
                ("env", AttemptOutcome::NotConfigured),
                ("old", AttemptOutcome::NotConfigured),
                ("file", AttemptOutcome::NotFound),
                ("unit", AttemptOutcome::NotConfigured),
            ]
        );
    }
}

#[test]
fn tells_where_it_stopped_and_what_it_tried_before() {
    let key = secret();
    let environment = Environment::fixed([("HALF", &key[..10])]);
    let env = |name: &str| EnvLoader::new(name).with_environment(environment.clone());
    let chain = LoaderChain::first("first", env("A"))
        .then("second", env("B"))
        .then("half", env("HALF"))
        .then("never", Scripted("C", Ok(key.clone())));
    let error = assert_fails(load(&chain), &key, LoadErrorKind::Invalid, &[]);
    assert_eq!(
        error.to_string(),
        "`half` (env:HALF): not an API key: it is shorter than any key (10 bytes); check that \
         the whole key was copied; tried before: `first` (env:A): not set; `second` (env:B): not \
         set",
    );
    assert_eq!(error.fix(), "check that the whole key was copied");
    assert!(error.parse_error().is_some());
    assert_eq!(error.attempts().len(), 3);
}

#[test]
fn a_chain_in_a_chain_tells_its_own_attempts() {
    let key = secret();
    let inner = || {
        LoaderChain::first("x", Scripted("X", Err(LoadErrorKind::NotFound)))
            .then("y", Scripted("Y", Err(LoadErrorKind::NotConfigured)))
    };
    let outer = LoaderChain::first("in", inner()).then("z", Scripted("Z", Ok(key.clone())));
    let loaded = assert_loads(load(&outer), &key, "scripted:Z");
    assert_eq!(
        names_and_outcomes(loaded.attempts()),
        [
            ("in/x", AttemptOutcome::NotFound),
            ("in/y", AttemptOutcome::NotConfigured),
            ("z", AttemptOutcome::Loaded),
        ]
    );

    let outer = LoaderChain::first("in", inner().then("z", Scripted("Z", Ok(key.clone()))));
    let loaded = assert_loads(load(&outer), &key, "scripted:Z");
    assert_eq!(loaded.attempts()[2].to_string(), "`in/z` (scripted:Z): loaded");

    let broken = inner().then("z", Scripted("Z", Err(LoadErrorKind::Insecure)));
    let error = load(&LoaderChain::first("in", broken)).unwrap_err();
    assert!(error.is_insecure());
    assert_eq!(
        error.to_string(),
        "`in/z` (scripted:Z): it failed; mend it; tried before: `in/x` (scripted:X): it failed; \
         `in/y` (scripted:Y): it failed",
    );
}

#[test]
fn a_loader_of_ones_own_may_speak_of_all() {
    let error = load(&Scripted("A", Err(LoadErrorKind::AllNotFound))).unwrap_err();
    assert_eq!(error.to_string(), "scripted:A: it failed; mend it");
}

#[test]
fn a_child_inherits_no_variable_of_any_loader() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path().join("key"), secret());
    let chain = LoaderChain::first("file", FileLoader::new(path))
        .then("inner", LoaderChain::first("env", EnvLoader::new("KEY")))
        .then("unit", FileLoader::systemd_credential("key"));
    let names = |child: &Command| {
        let removed = child.get_envs().filter(|(_, v)| v.is_none());
        removed.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let expected = ["CREDENTIALS_DIRECTORY", "KEY", "KEY_FILE"];

    let mut child = Command::new("true");
    chain.scrub_child_env(&mut child);
    assert_eq!(names(&child), expected);
    // The key is the file's; the variable, shadowed or not, is no business of the child.
    let mut child = Command::new("true");
    load(&chain).unwrap().scrub_child_env(&mut child);
    assert_eq!(names(&child), expected);
}

#[test]
fn a_child_inherits_no_variable_that_only_the_key_knows() {
    struct Own;

    impl KeyLoader for Own {
        async fn load(&self) -> Result<LoadedKey, LoadError> {
            let key = ApiKey::parse(secret()).unwrap();
            Ok(LoadedKey::new(key, self.source()).variables(["OWN_VARIABLE"]))
        }

        fn source(&self) -> KeySource {
            KeySource::new("own", "place")
        }
    }

    let chain = LoaderChain::first("env", EnvLoader::new("NOT_SET_HERE")).then("own", Own);
    let mut child = Command::new("true");
    load(&chain).unwrap().scrub_child_env(&mut child);
    let removed: Vec<_> = child.get_envs().filter(|(_, v)| v.is_none()).map(|(n, _)| n).collect();
    assert_eq!(removed, ["NOT_SET_HERE", "NOT_SET_HERE_FILE", "OWN_VARIABLE"]);
}

#[test]
fn a_chain_can_be_shared_and_loaded_from_a_task() {
    let key = secret();
    let env = EnvLoader::new("KEY").with_environment(Environment::fixed([("KEY", key.clone())]));
    let chain = Arc::new(LoaderChain::first("env", env));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let chain = Arc::clone(&chain);
            runtime.spawn(async move { chain.load().await })
        })
        .collect();
    for task in tasks {
        assert_loads(runtime.block_on(task).unwrap(), &key, "env:KEY");
    }
    // An `Arc` of a loader is a loader.
    assert_loads(load(&LoaderChain::first("shared", chain)), &key, "env:KEY");
}

#[test]
fn the_policy_hears_of_source_and_expiry() {
    let key = ApiKey::parse(secret()).unwrap();
    let loaded = LoadedKey::new(key, KeySource::new("env", "KEY"));
    let policy = KeyPolicy::production();
    assert!(loaded.admit(&policy, NOW).is_ok());

    let files_alone = policy.clone().with_sources(["file"]).unwrap();
    let refusal = loaded.admit(&files_alone, NOW).unwrap_err();
    assert!(matches!(refusal, Refusal::Source { source: Some(_), .. }), "{refusal}");

    let expiring = policy.require_expiry();
    assert!(loaded.admit(&expiring, NOW).is_err());
    let later = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 60);
    let loaded = loaded.expires_at(later);
    assert_eq!(loaded.admit(&expiring, NOW).unwrap().expires_at(), Some(later));
    let refusal = loaded.admit(&expiring, later).unwrap_err();
    assert!(matches!(refusal, Refusal::Expired { .. }), "{refusal}");
}

#[test]
fn an_admin_key_is_loaded_and_not_admitted() {
    let text = keys::admin_key(&mut keys::KeyRng::from_entropy());
    let loaded = load(&Scripted("A", Ok(text.clone()))).unwrap();
    let refusal = loaded.admit(&KeyPolicy::production(), NOW).unwrap_err();
    assert_no_leak!(text, [("{}", refusal.to_string()), ("{:?}", format!("{refusal:?}"))]);
    let admitted = KeyPolicy::admin().admit(&loaded.key, &AdmitContext::at(NOW));
    assert!(admitted.unwrap().into_project_key().is_err());
}
