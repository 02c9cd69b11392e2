//! Keys and policies out of TOML and JSON.

use keyward_core::{ApiKey, KeyKind, KeyPolicy};
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{CANARY, assert_no_leak};

#[derive(Debug)]
struct Config {
    api_key: ApiKey,
}

impl<'de> serde::Deserialize<'de> for Config {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Raw {
            api_key: ApiKey,
        }
        Raw::deserialize(deserializer).map(|raw| Self { api_key: raw.api_key })
    }
}

#[test]
fn a_key_is_read_from_toml_and_json() {
    let text = CANARY.text();
    let from_toml: Config = toml::from_str(&format!("api_key = \"{text}\"")).expect("a key");
    let from_json: Config =
        serde_json::from_str(&format!("{{\"api_key\": \"{text}\"}}")).expect("a key");
    assert_eq!(from_toml.api_key.kind(), KeyKind::Project);
    assert_eq!(from_toml.api_key, from_json.api_key);
    assert_no_leak!(text, format!("{from_toml:?}"));
}

#[test]
fn no_error_quotes_the_value_whatever_its_type() {
    let text = CANARY.text();
    // The digits stand for a secret of another type: they are looked for as they are.
    let number = "73914620518346";
    for value in [
        format!("\"\\\"{text}\\\"\""),
        format!("\"Bearer {text}\""),
        format!("[\"{text}\"]"),
        format!("{{\"{text}\": \"{text}\"}}"),
        number.to_owned(),
        format!("{number}.5"),
        format!("-{number}"),
        "true".to_owned(),
        "null".to_owned(),
    ] {
        let json = format!("{{\"api_key\": {value}}}");
        let error = serde_json::from_str::<Config>(&json).expect_err("refused");
        let shown = error_surfaces(&error);
        assert!(!shown.contains(&number[..8]), "{shown}");
        assert_no_leak!(text, shown);
    }
}

#[test]
fn a_policy_is_read_from_toml() {
    let policy: KeyPolicy = toml::from_str(
        r#"
        name = "payments"
        preset = "production"
        kinds = ["service_account"]
        hosts = ["api.openai.com"]
        sources = ["file"]
        expiry_required = true
        max_lifetime = "90d"
        min_remaining_life = "1h 30m"

        [danger.allow_legacy_user_key]
        reason = "moved in OPS-1"
        until = "2026-12-31"
        "#,
    )
    .expect("a policy");
    assert_eq!(policy.name(), "payments");
    assert_eq!(policy.kinds(), [KeyKind::ServiceAccount]);
    assert_eq!(policy.hosts().collect::<Vec<_>>(), ["api.openai.com"]);
    let exception = policy.legacy_user_key_exception().expect("an exception");
    assert_eq!(exception.until().to_string(), "2026-12-31T00:00:00Z");

    let toml = toml::to_string(&policy).expect("toml");
    assert_eq!(toml::from_str::<KeyPolicy>(&toml).expect("a policy"), policy);
    let json = serde_json::to_string(&policy).expect("json");
    assert_eq!(serde_json::from_str::<KeyPolicy>(&json).expect("a policy"), policy);
    assert_eq!(toml::from_str::<KeyPolicy>("").expect("a policy"), KeyPolicy::standard());
}

#[test]
fn a_policy_with_a_mistake_is_an_error_that_says_how_to_mend_it() {
    for (toml, expected) in [
        ("max_lifetme = \"90d\"", "max_lifetme"),
        ("max_lifetime = \"ninety days\"", "90d"),
        ("max_lifetime = \"-1d\"", "90d"),
        ("kinds = [\"legacy_user\"]", "danger.allow_legacy_user_key"),
        ("kinds = [\"session\"]", "session"),
        ("kinds = []", "at least one"),
        ("kinds = [\"svcacct\"]", "service_account"),
        ("hosts = [\"https://api.openai.com\"]", "without a scheme"),
        ("hosts = []", "hosts"),
        ("sources = []", "sources"),
        ("sources = [\"env:\"]", "sources"),
        ("max_lifetime = \"0s\"", "max_lifetime"),
        ("max_lifetime = \"1d\"\nmin_remaining_life = \"2d\"", "min_remaining_life"),
        (
            "preset = \"admin\"\n[danger.allow_legacy_user_key]\nreason = \"x\"\nuntil = \"2026-12-31\"",
            "danger.allow_legacy_user_key",
        ),
        ("preset = \"prod\"", "production"),
        ("[danger.allow_legacy_user_key]\nreason = \"\"\nuntil = \"2026-12-31\"", "reason"),
        ("[danger.allow_legacy_user_key]\nreason = \"x\"\nuntil = \"soon\"", "2026-12-31"),
        ("[danger.allow_legacy_user_key]\nuntil = \"2026-12-31\"", "reason"),
    ] {
        let error = toml::from_str::<KeyPolicy>(toml).expect_err(toml).to_string();
        assert!(error.contains(expected), "{toml}\n{error}");
    }
}
