//! Policies: what they refuse, under which rule, and what they tell to do about it.

use std::collections::HashSet;
use std::time::Duration;

use keyward_core::danger::AllowLegacyUserKey;
use keyward_core::{
    AdmitContext, ApiKey, Endpoint, KeyKind, KeyPolicy, KeySource, PolicyError, Refusal, Timestamp,
    Vendor,
};
use keyward_testkit::keys::{self, KeyRng};

const DAY: i64 = 86_400;
const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

fn in_days(days: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.as_unix_seconds() + days * DAY)
}

fn key(shape: &str) -> ApiKey {
    let shape = keys::shape(shape).expect("a shape");
    ApiKey::parse(shape.generate(&mut KeyRng::seeded(1))).expect("a key")
}

#[test]
fn each_kind_is_refused_in_its_own_words() {
    let mut texts = HashSet::new();
    for shape in [
        "admin_165",
        "ephemeral_client",
        "legacy_user_51",
        "openrouter",
        "anthropic_api",
        "project_164",
        "session",
        "user_unprefixed_95",
    ] {
        let refusal =
            KeyPolicy::production().admit(&key(shape), &AdmitContext::at(NOW)).expect_err(shape);
        assert_eq!(refusal.rule(), "kind", "{shape}");
        assert!(!refusal.fix().is_empty(), "{shape}");
        assert!(texts.insert(refusal.why().into_owned()), "{shape} is refused like another kind");
        assert!(!refusal.to_string().contains('\n'), "{refusal}");
    }
}

#[test]
fn an_admin_key_and_a_project_key_never_stand_for_each_other() {
    let context = AdmitContext::at(NOW);
    let both = KeyPolicy::standard().with_kinds([KeyKind::Admin, KeyKind::Project]).expect("kinds");
    let admin = both.admit(&key("admin_165"), &context).expect("admitted");
    let project = both.admit(&key("project_164"), &context).expect("admitted");
    assert!(admin.clone().into_admin_key().is_ok());
    assert!(project.clone().into_project_key().is_ok());
    let refusal = admin.into_project_key().expect_err("narrowed");
    assert_eq!(refusal.rule(), "wrong_use");
    assert!(refusal.fix().contains("service account"), "{refusal}");
    let refusal = project.into_admin_key().expect_err("narrowed");
    assert_eq!(refusal.rule(), "wrong_use");
    assert!(refusal.fix().contains("admin-keys"), "{refusal}");
}

#[test]
fn a_fix_names_a_kind_that_is_admitted() {
    for (kinds, shape, expected) in [
        (&[KeyKind::Project][..], "service_account_167", "project key"),
        (&[KeyKind::Project], "legacy_user_51", "project key"),
        (&[KeyKind::ServiceAccount, KeyKind::Project], "legacy_user_51", "service account key"),
        (&[KeyKind::Admin], "project_164", "admin key"),
        (&[KeyKind::AccessToken], "project_164", "workload identity"),
        (&[KeyKind::ServiceAccount], "admin_165", "service account key"),
    ] {
        let policy = KeyPolicy::standard().with_kinds(kinds.iter().copied()).expect("kinds");
        let refusal = policy.admit(&key(shape), &AdmitContext::at(NOW)).expect_err(shape);
        assert!(refusal.fix().contains(expected), "{shape}: {refusal}");
        assert_eq!(policy.check_kind(key(shape).kind()), Err(refusal));
    }
}

#[test]
fn expiry_rules() {
    let standard = KeyPolicy::standard;
    let days = |n: u64| Duration::from_secs(n * DAY as u64);
    for (policy, expires, rule) in [
        (standard(), None, None),
        (standard(), Some(1), None),
        (standard(), Some(0), Some("expired")),
        (standard(), Some(-1), Some("expired")),
        (standard().require_expiry(), None, Some("expiry_missing")),
        (standard().require_expiry(), Some(9_999), None),
        (standard().with_max_lifetime(days(90)), None, Some("expiry_missing")),
        (standard().with_max_lifetime(days(90)), Some(90), None),
        (standard().with_max_lifetime(days(90)), Some(91), Some("expiry_too_far")),
        (standard().with_min_remaining_life(days(2)), None, None),
        (standard().with_min_remaining_life(days(2)), Some(2), None),
        (standard().with_min_remaining_life(days(2)), Some(1), Some("too_little_life")),
    ] {
        let context = AdmitContext::at(NOW).expires_at(expires.map(in_days));
        let refused = policy.admit(&key("project_164"), &context).err();
        assert_eq!(refused.as_ref().map(Refusal::rule), rule, "{policy:?} {expires:?}");
    }
}

#[test]
fn source_rules() {
    for wrong in [&[][..], &[""], &["file", ""], &["env:"], &[":x"], &["File"], &["a b"]] {
        let made = KeyPolicy::standard().with_sources(wrong.iter().copied());
        assert_eq!(made, Err(PolicyError::Source), "{wrong:?}");
    }
    let policy =
        KeyPolicy::standard().with_sources(["file", "env:OPENAI_API_KEY"]).expect("sources");
    for (source, admitted) in [
        (Some(KeySource::new("file", "/run/secrets/key")), true),
        (Some(KeySource::new("env", "OPENAI_API_KEY")), true),
        (Some(KeySource::new("env", "OTHER")), false),
        (Some(KeySource::new("keychain", "file")), false),
        (None, false),
    ] {
        let mut context = AdmitContext::at(NOW);
        if let Some(source) = &source {
            context = context.source(source);
        }
        let refused = policy.admit(&key("project_164"), &context).err();
        assert_eq!(refused.is_none(), admitted, "{source:?}");
        if let Some(refusal) = refused {
            assert_eq!(refusal.rule(), "source");
        }
    }
}

#[test]
fn host_rules() {
    let policy = KeyPolicy::standard().with_host("127.0.0.1").expect("a host");
    for (scheme, host, rule) in [
        ("https", "api.openai.com", None),
        ("https", "eu.api.openai.com", None),
        ("http", "api.openai.com", Some("insecure_transport")),
        ("https", "openai.com", Some("host")),
        ("https", "api.openai.com.evil.example", Some("host")),
        ("http", "127.0.0.1", None),
        ("http", "127.0.0.2", Some("host")),
    ] {
        let context = AdmitContext::at(NOW).endpoint(Endpoint::new(scheme, host));
        let refused = policy.admit(&key("project_164"), &context).err();
        assert_eq!(refused.as_ref().map(Refusal::rule), rule, "{scheme}://{host}");
    }
    for host in ["", "*", "https://x", "x:1"] {
        let made = KeyPolicy::standard().with_hosts([host]);
        assert_eq!(made, Err(PolicyError::Host), "{host}");
    }
    let nowhere: [&str; 0] = [];
    assert_eq!(KeyPolicy::standard().with_hosts(nowhere), Err(PolicyError::NoHost));
}

#[test]
fn the_door_for_legacy_keys_closes_by_itself() {
    let exception = AllowLegacyUserKey::new("moved in OPS-1", in_days(10)).expect("a reason");
    let policy = KeyPolicy::production().allow_legacy_user_key(exception);
    let legacy = key("legacy_user_51");
    assert!(policy.admit(&legacy, &AdmitContext::at(in_days(9))).is_ok());
    for day in [10, 11, 1_000] {
        let refusal = policy.admit(&legacy, &AdmitContext::at(in_days(day))).expect_err("closed");
        assert_eq!(refusal.rule(), "legacy_window_closed");
    }
    // It opens for nothing else.
    assert!(policy.admit(&key("project_164"), &AdmitContext::at(NOW)).is_err());
    assert_eq!(AllowLegacyUserKey::new(" \n", in_days(1)), Err(PolicyError::ReasonMissing));
}

#[test]
fn some_kinds_no_policy_can_admit() {
    for kind in [KeyKind::LegacyUser, KeyKind::Session, KeyKind::OtherVendor(Vendor::Anthropic)] {
        let made = KeyPolicy::standard().with_kinds([KeyKind::Project, kind]);
        assert_eq!(made, Err(PolicyError::KindNeverAdmitted(kind)));
    }
    assert_eq!(KeyPolicy::standard().with_kinds([]), Err(PolicyError::NoKind));
}
