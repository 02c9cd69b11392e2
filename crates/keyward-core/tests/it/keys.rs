//! What an `ApiKey` shows, shares and compares, and what it never shows.

use keyward_core::{ApiKey, KeyKind, Protection, SecretText};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{CANARY, Canary, assert_no_leak};

#[test]
fn debug_of_everything_that_holds_a_key_is_silent() {
    use keyward_core::{AdmitContext, KeyPolicy, Timestamp};

    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let key = ApiKey::parse(CANARY.text().to_owned()).expect("a key");
    let admitted = KeyPolicy::standard().admit(&key, &now).expect("admitted");
    let project_key = admitted.clone().into_project_key().expect("a project key");
    let refusal = KeyPolicy::admin().admit(&key, &now).expect_err("refused");
    assert_no_leak!(
        CANARY.text(),
        [
            ("ApiKey", format!("{key:?} {key:#?}")),
            ("fingerprint", format!("{:?} {}", key.fingerprint(), key.fingerprint())),
            ("SecretText", format!("{:?}", SecretText::from(CANARY.text().to_owned()))),
            ("Admitted", format!("{admitted:?}")),
            ("ProjectKey", format!("{project_key:?}")),
            ("Refusal", error_surfaces(&refusal)),
        ]
    );

    let text = Canary::of_kind("admin").text();
    let admin = ApiKey::parse(text.to_owned()).expect("a key");
    let admin = KeyPolicy::admin().admit(&admin, &now).expect("admitted");
    assert_no_leak!(text, format!("{:?}", admin.into_admin_key().expect("an admin key")));
}

#[test]
fn no_parse_error_has_a_part_of_the_text() {
    let text = CANARY.text();
    for wrong in [
        format!("\"{text}\""),
        format!("Bearer {text}"),
        format!("OPENAI_API_KEY={text}"),
        format!("https://x/?{text}"),
        format!("${text}"),
        format!("{text}..."),
        format!("{text}*"),
        format!("{text} {text}"),
        format!("{text}\u{7f}"),
        format!("{text}é"),
        text.repeat(80),
    ] {
        let error = ApiKey::parse(wrong).expect_err("refused");
        assert_no_leak!(text, error_surfaces(&error));
    }
    let error = ApiKey::access_token(text.to_owned()).expect_err("refused");
    assert_no_leak!(text, error_surfaces(&error));
}

#[test]
fn a_key_tells_what_protects_it() {
    let key = ApiKey::parse(keys::project_key(&mut KeyRng::seeded(1))).expect("a key");
    // Locked, unless `RLIMIT_MEMLOCK` is used up; never secret, unless it is asked for.
    let expected = if cfg!(all(feature = "locked", target_os = "linux")) {
        Protection::Undumped..=Protection::Locked
    } else if cfg!(all(feature = "locked", unix)) {
        Protection::Wiped..=Protection::Locked
    } else {
        Protection::Wiped..=Protection::Wiped
    };
    assert!(expected.contains(&key.protection()), "{}", key.protection());
    assert_eq!(key.clone().protection(), key.protection());
}

#[test]
fn a_key_is_whole_wherever_it_stands() {
    for len in [16, 4095, 4096, 4097, keyward_core::MAX_KEY_LEN] {
        let text = KeyRng::seeded(1).alphanumeric(len);
        let key = ApiKey::issued(text.clone()).expect("a key");
        // EXPOSE: the test compares it with what it made.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
        let held = key.expose_secret();
        assert!(held == text, "{len}");
    }
}

#[test]
fn a_clone_shares_the_allocation() {
    let key = ApiKey::parse(keys::project_key(&mut KeyRng::seeded(1))).expect("a key");
    let clone = key.clone();
    #[allow(clippy::disallowed_methods, reason = "addresses are compared, not read")]
    let same = std::ptr::eq(key.expose_secret(), clone.expose_secret());
    assert!(same);
}

/// Into memory of its own it is copied once.
#[cfg(not(feature = "locked"))]
#[test]
fn a_key_that_needs_no_trimming_is_moved_and_not_copied() {
    let text = keys::project_key(&mut KeyRng::seeded(1)).into_boxed_str().into_string();
    let before = text.as_ptr();
    let key = ApiKey::parse(text).expect("a key");
    #[allow(clippy::disallowed_methods, reason = "addresses are compared, not read")]
    let after = key.expose_secret().as_ptr();
    assert!(std::ptr::eq(before, after));
}

#[test]
fn equality_is_of_the_text() {
    let mut rng = KeyRng::seeded(1);
    let (a, b) = (keys::project_key(&mut rng), keys::project_key(&mut rng));
    let parse = |text: &str| ApiKey::parse(text.to_owned()).expect("a key");
    assert_eq!(parse(&a), parse(&a));
    assert_ne!(parse(&a), parse(&b));
    assert_ne!(parse(&a), parse(&a[..a.len() - 1]));
}

#[test]
fn a_fingerprint_is_the_same_everywhere() {
    // A change of these breaks every log that was ever joined on them.
    let key = ApiKey::issued("keyward-fingerprint-test-1".to_owned()).expect("a key");
    assert_eq!(key.fingerprint().to_string(), FINGERPRINT);
    assert_eq!(key.kind(), KeyKind::Unknown);
    let other = ApiKey::issued("keyward-fingerprint-test-2".to_owned()).expect("a key");
    assert_ne!(key.fingerprint(), other.fingerprint());
}

/// `printf 'keyward fingerprint 1\0keyward-fingerprint-test-1' | sha256sum | cut -c-16`
const FINGERPRINT: &str = "cf8c53771270f31f";
