//! New keys in what a server answers.

use keyward_testkit::{assert_no_leak, leak};
use proptest::prelude::*;

use super::*;
use crate::wire::WireErrorKind;

/// What the HTTP stack reads of an answer that comes in these records.
pub(super) fn read(wire: &Wire, answer: &[u8], records: &[usize]) -> Vec<u8> {
    let mut decrypter = wire.aead.decrypter(AeadKey::from([0; 32]), Iv::from([0; 12]));
    let mut got = Vec::new();
    for record in pieces(answer, &mut records.iter().cycle()) {
        let (typ, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_3);
        let mut buffer = record.to_vec();
        let message = InboundOpaqueMessage::new(typ, version, &mut buffer);
        let plain = decrypter.decrypt(message, 0).unwrap();
        assert_eq!(plain.payload.len(), record.len());
        got.extend_from_slice(plain.payload);
    }
    got
}

/// The strings of an answer of this form, and whether they are whole keys.
fn value(answer: &[u8]) -> String {
    let answer = std::str::from_utf8(answer).unwrap();
    answer.split('"').rev().nth(1).unwrap().to_owned()
}

fn catching() -> Wire {
    Wire::catching(true)
}

/// The key that an answer is read with.
fn issue(wire: &Wire, key: &str) -> ApiKey {
    let answer = format!("{{\"value\":\"{key}\"}}");
    ApiKey::issued(value(&read(wire, answer.as_bytes(), &[16_384]))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Either it is read as it is, or as something that stands for it; never as a mixture.
    #[test]
    fn no_key_is_lost(records in sizes(), seed: u64, space in "[ \n\t]{0,3}") {
        let wire = catching();
        let key = keys::admin_key(&mut KeyRng::seeded(seed));
        let answer = format!("{{\"id\": \"key_1\", \"value\"{space}:{space}\"{key}\"}}");
        let got = read(&wire, answer.as_bytes(), &records);
        let got = ApiKey::issued(value(&got)).unwrap();
        prop_assert_eq!(wire.table.caught.redeem(&got).unwrap(), ApiKey::issued(key).unwrap());
    }

    #[test]
    fn nothing_else_is_changed(
        parts in prop::collection::vec(
            prop::sample::select(vec!["\"value\"", ":", "\"", "sk-", " ", "0", "x\u{e9}", "\r\n", "sk-****abcd\""]),
            0..40,
        ),
        records in sizes(),
    ) {
        let wire = catching();
        let answer = parts.concat();
        prop_assert_eq!(read(&wire, answer.as_bytes(), &records), answer.as_bytes());
    }
}

#[test]
fn a_new_key_is_read_as_something_that_stands_for_it() {
    let wire = catching();
    let mut rng = KeyRng::from_entropy();
    for key in [
        keys::admin_key(&mut rng),
        keys::project_key(&mut rng),
        keys::service_account_key(&mut rng),
    ] {
        let answer = format!(r#"{{"api_key":{{"value":"{key}"}},"name":"{key}","value":"{key}"}}"#);
        let got = String::from_utf8(read(&wire, answer.as_bytes(), &[16_384])).unwrap();
        let values: Vec<_> = got.split('"').filter(|it| it.ends_with("-keyward")).collect();
        let [first, second] = values[..] else { panic!("two are caught") };
        assert_ne!(first, second);
        assert_eq!(got.matches(&key).count(), 1, "a name is left alone");
        for caught in [first, second] {
            let caught = ApiKey::issued(caught.to_owned()).unwrap();
            for _ in 0..2 {
                let redeemed = wire.table.caught.redeem(&caught).unwrap();
                assert_eq!(redeemed, ApiKey::issued(key.clone()).unwrap(), "again after a failure");
            }
        }
    }
}

/// It would be stored, and the key be lost.
#[test]
fn a_placeholder_is_never_taken_for_the_key() {
    let (wire, other) = (catching(), catching());
    let key = keys::admin_key(&mut KeyRng::from_entropy());
    let caught = issue(&wire, &key);
    let is_not_held = |wire: &Wire| {
        let error = wire.table.caught.redeem(&caught).unwrap_err();
        assert_eq!(error.kind(), WireErrorKind::NotHeld);
        assert_no_leak!(key, leak::error_surfaces(&error));
    };
    is_not_held(&other);
    other.table.caught.forget(&caught);
    wire.table.caught.redeem(&caught).unwrap();
    wire.table.caught.forget(&caught);
    is_not_held(&wire);
    let own = ApiKey::issued(key.clone()).unwrap();
    assert_eq!(other.table.caught.redeem(&own).unwrap(), own, "one that was left as it is");
}

#[test]
fn so_many_are_held_and_the_redeemed_make_room() {
    let wire = catching();
    let mut rng = KeyRng::from_entropy();
    let mut mint = || {
        let key = keys::admin_key(&mut rng);
        (issue(&wire, &key), ApiKey::issued(key).unwrap())
    };
    let first: Vec<_> = (0..64).map(|_| mint()).collect();
    assert!(first.iter().all(|(caught, key)| caught != key));
    let (left, key) = mint();
    assert_eq!(left, key, "none is redeemed");
    let redeem = |caught| wire.table.caught.redeem(caught);
    for (caught, key) in &first[1..3] {
        assert_eq!(redeem(caught).unwrap(), *key);
    }
    let next = mint();
    assert_eq!(redeem(&first[1].0).unwrap_err().kind(), WireErrorKind::NotHeld, "the oldest");
    for (caught, key) in first.iter().filter(|it| *it != &first[1]).chain([&next]) {
        assert_eq!(redeem(caught).unwrap(), *key);
    }
}

#[test]
fn nothing_is_caught_unless_it_is_asked_for() {
    let wire = Wire::new();
    let key = keys::admin_key(&mut KeyRng::from_entropy());
    let answer = format!("{{\"value\":\"{key}\"}}");
    assert_eq!(read(&wire, answer.as_bytes(), &[16_384]), answer.as_bytes());
}
