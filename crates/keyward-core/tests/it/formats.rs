//! The classifier and the parser, held to the table of shapes and to their properties.

use keyward_core::{ApiKey, KeyKind, KeyPolicy, ParseReason};
use keyward_testkit::keys::{self, Family, KeyRng};
use proptest::prelude::*;

/// What separates the parts of a key, in every own shape.
const MARKER: &str = keys::MARKER;

#[test]
fn every_shape_is_what_the_table_says() {
    let mut rng = KeyRng::seeded(7);
    for shape in keys::shapes() {
        for _ in 0..200 {
            let text = shape.generate(&mut rng);
            let parsed = ApiKey::parse(text.clone());
            match shape.expected_kind() {
                "not_a_key" => assert!(parsed.is_err(), "{} is taken for a key", shape.id()),
                kind => {
                    let classified = KeyKind::classify(text.as_bytes());
                    assert_eq!(classified.as_str(), kind, "{}", shape.id());
                    // Look-alikes and short gateway keys may be refused as no key at all.
                    if shape.family() == Family::Own {
                        let parsed = parsed.unwrap_or_else(|e| panic!("{}: {e}", shape.id()));
                        assert_eq!(parsed.kind(), classified, "{}", shape.id());
                    }
                }
            }
        }
    }
}

#[test]
fn no_preset_admits_what_it_should_not() {
    use keyward_core::{AdmitContext, Timestamp};

    let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    let mut rng = KeyRng::seeded(8);
    for shape in keys::shapes() {
        let Ok(key) = ApiKey::parse(shape.generate(&mut rng)) else {
            continue;
        };
        for (policy, admitted) in [
            (KeyPolicy::standard(), &["project", "service_account"][..]),
            (KeyPolicy::production(), &["service_account"]),
            (KeyPolicy::admin(), &["admin"]),
        ] {
            let admits = policy.admit(&key, &now).is_ok();
            let should = admitted.contains(&shape.expected_kind());
            assert_eq!(admits, should, "{} under {}", shape.id(), policy.name());
        }
    }
}

#[test]
fn reasons_name_the_mistake() {
    use ParseReason as R;

    let key = keys::project_key(&mut KeyRng::seeded(1));
    for (text, reason) in [
        (String::new(), R::Empty),
        (" \r\n\t".into(), R::Empty),
        ("\u{feff}\n".into(), R::Empty),
        (format!("\"{key}\""), R::Quoted),
        (format!("'{key}"), R::Quoted),
        (format!("Bearer {key}"), R::BearerPrefix),
        (format!("authorization: bearer {key}"), R::BearerPrefix),
        (format!("OPENAI_API_KEY={key}"), R::Assignment),
        (format!("export OPENAI_API_KEY={key}"), R::Assignment),
        (format!("api_key = {key}"), R::Assignment),
        (format!("KEY={key}"), R::Assignment),
        (format!("https://api.openai.com/?key={key}"), R::Url),
        ("op://prod/openai/credential".into(), R::Url),
        ("$OPENAI_API_KEY".into(), R::UnexpandedVariable),
        ("${OPENAI_API_KEY}".into(), R::UnexpandedVariable),
        ("{{ .Values.openaiKey }}".into(), R::UnexpandedVariable),
        ("%OPENAI_API_KEY%".into(), R::UnexpandedVariable),
        ("sk-...".into(), R::Placeholder),
        ("sk-proj-…".into(), R::Placeholder),
        ("<your-api-key>".into(), R::Placeholder),
        ("your-api-key".into(), R::Placeholder),
        ("YOUR_OPENAI_API_KEY".into(), R::Placeholder),
        ("sk-xxxxxxxxxxxxxxxxxxxxxxxx".into(), R::Placeholder),
        ("sk-proj-****ab12".into(), R::Redacted),
        ("sk-abc...def".into(), R::Redacted),
        ("sk-proj-••••••••ab12".into(), R::Redacted),
        ("org-AbCdEfGhIjKlMnOpQrStUvWx".into(), R::Identifier),
        ("proj_AbCdEfGhIjKlMnOpQrStUvWx".into(), R::Identifier),
        ("sk-ssh-ed25519@openssh.com".into(), R::SshKeyType),
        (format!("{key}\n{key}"), R::ControlCharacter),
        (format!("{key} {key}"), R::Space),
        (format!("{key}é"), R::NonAscii),
        (format!("{key},"), R::Character),
        ("sk-abc".into(), R::TooShort),
        (key.repeat(60), R::TooLong),
    ] {
        let error = ApiKey::parse(text.clone()).expect_err(reason.as_str());
        assert_eq!(error.reason(), reason, "a text of {} bytes", text.len());
        assert!(error.to_string().contains(error.fix()), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn white_space_and_a_byte_order_mark_around_a_key_are_dropped() {
    let key = keys::service_account_key(&mut KeyRng::seeded(1));
    let plain = ApiKey::parse(key.clone()).expect("a key");
    for text in [
        format!("{key}\n"),
        format!("  {key}\r\n"),
        format!("\u{feff}{key}\n"),
        format!("\t{key} "),
    ] {
        assert_eq!(ApiKey::parse(text).expect("a key"), plain);
    }
}

#[test]
fn what_the_issuer_answers_is_kept_whatever_it_looks_like() {
    let value = "oai.v2:Zm9v/YmFy*(new)".to_owned();
    let key = ApiKey::issued(value).expect("visible ASCII");
    assert_eq!(key.kind(), KeyKind::Unknown);
    for text in ["", "two words", "line\nline", "é"] {
        assert!(ApiKey::issued(text.to_owned()).is_err(), "{text:?}");
    }
}

#[test]
fn a_key_cannot_pass_as_an_access_token() {
    let mut rng = KeyRng::seeded(3);
    let token = ApiKey::access_token(format!("eyJ{}", rng.alphanumeric(300))).expect("a token");
    assert_eq!(token.kind(), KeyKind::AccessToken);
    for shape in keys::shapes().iter().filter(|s| s.family() == Family::Own) {
        let text = shape.generate(&mut rng);
        if text.starts_with("sk-") || text.starts_with("sess-") || text.starts_with("ek_") {
            assert!(ApiKey::access_token(text).is_err(), "{}", shape.id());
        }
    }
}

fn own_key() -> impl Strategy<Value = (String, &'static str)> {
    let shapes: Vec<_> = keys::shapes()
        .iter()
        .filter(|s| s.family() == Family::Own && s.expected_kind() != "not_a_key")
        .collect();
    (proptest::sample::select(shapes), any::<u64>()).prop_map(|(shape, seed)| {
        (shape.generate(&mut KeyRng::seeded(seed)), shape.expected_kind())
    })
}

/// The bytes of a key that are neither its prefix nor its marker.
fn random_part(key: &str) -> Vec<usize> {
    let prefix = ["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-", "sess-", "ek_"]
        .into_iter()
        .find(|p| key.starts_with(p))
        // Of `sk-<name>-…` everything before the two halves is prefix.
        .map_or_else(|| key.find(MARKER).map_or(key.len(), |at| at.saturating_sub(20)), str::len);
    let marker = key.find(MARKER).map(|at| at..at + MARKER.len());
    (prefix..key.len()).filter(|at| !marker.as_ref().is_some_and(|m| m.contains(at))).collect()
}

proptest! {
    #[test]
    fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let kind = KeyKind::classify(&bytes);
        if let Ok(key) = ApiKey::parse(bytes.clone()) {
            prop_assert_eq!(key.kind(), KeyKind::classify(bytes.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(&bytes).trim_ascii()));
        }
        let _ = (kind.as_str(), ApiKey::issued(bytes.clone()), ApiKey::access_token(bytes));
    }

    #[test]
    fn nothing_panics_on_text_that_begins_like_a_key(tail in ".{0,80}", prefix in proptest::sample::select(vec!["sk-", "sk-proj-", "sess-", "ek_", "sk_", "\u{feff}sk-", "$"])) {
        let text = format!("{prefix}{tail}");
        let _ = (KeyKind::classify(text.as_bytes()), ApiKey::parse(text.clone()));
        let _ = keyward_core::find::scrub(&text);
    }

    #[test]
    fn the_kind_depends_on_prefix_and_marker_alone(
        (key, kind) in own_key(),
        letters in proptest::collection::vec(proptest::char::range('A', 'Z'), 1..40),
        cut in 0_usize..10,
    ) {
        let part = random_part(&key);
        prop_assume!(!part.is_empty());
        let mut bytes = key.clone().into_bytes();
        for (n, letter) in letters.iter().enumerate() {
            bytes[part[(n * 7919) % part.len()]] = *letter as u8;
        }
        prop_assert_eq!(KeyKind::classify(&bytes).as_str(), kind);
        // A named account's key of 2024 is found by its marker's place from the end; every other
        // kind stays what it is when its end is cut off or grows.
        if !key.starts_with("sk-") || random_part(&key).first() == Some(&3) || prefix_decides(&key) {
            bytes.truncate(bytes.len() - cut);
            prop_assert_eq!(KeyKind::classify(&bytes).as_str(), kind);
            bytes.extend_from_slice(&[b'Z'; 50]);
            prop_assert_eq!(KeyKind::classify(&bytes).as_str(), kind);
        }
    }

    #[test]
    fn one_foreign_byte_is_refused(
        (key, _) in own_key(),
        at in any::<proptest::sample::Index>(),
        byte in prop_oneof![Just(b' '), 0_u8..32, 127_u8..=255],
    ) {
        let mut bytes = key.into_bytes();
        let at = at.index(bytes.len());
        // White space at the ends is not part of the key.
        prop_assume!(!((at == 0 || at == bytes.len() - 1) && byte.is_ascii_whitespace()));
        bytes[at] = byte;
        let error = ApiKey::parse(bytes).expect_err("a foreign byte");
        prop_assert!(matches!(
            error.reason(),
            ParseReason::Space | ParseReason::ControlCharacter | ParseReason::NonAscii
        ));
    }
}

fn prefix_decides(key: &str) -> bool {
    ["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"].iter().any(|p| key.starts_with(p))
}
