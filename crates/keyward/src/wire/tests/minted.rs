//! New keys in what a server answers.

use proptest::prelude::*;

use super::*;

/// What the HTTP stack reads of an answer that comes in these records.
fn read(wire: &Wire, answer: &[u8], records: &[usize]) -> Vec<u8> {
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
    let wire = Wire::new();
    wire.table.caught.turn_on();
    wire
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
        prop_assert_eq!(wire.table.caught.redeem(got), ApiKey::issued(key).unwrap());
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
            let redeemed = wire.table.caught.redeem(caught.clone());
            assert_eq!(redeemed, ApiKey::issued(key.clone()).unwrap());
            assert_eq!(wire.table.caught.redeem(caught.clone()), caught, "once");
        }
    }
}

#[test]
fn what_is_not_asked_for_is_held_up_to_a_number() {
    let wire = catching();
    let mut rng = KeyRng::from_entropy();
    let caught: Vec<_> = (0..80)
        .filter(|_| {
            let key = keys::admin_key(&mut rng);
            let answer = format!("{{\"value\":\"{key}\"}}");
            value(&read(&wire, answer.as_bytes(), &[16_384])) != key
        })
        .collect();
    assert_eq!(caught.len(), 64);
}

#[test]
fn nothing_is_caught_unless_it_is_asked_for() {
    let wire = Wire::new();
    let key = keys::admin_key(&mut KeyRng::from_entropy());
    let answer = format!("{{\"value\":\"{key}\"}}");
    assert_eq!(read(&wire, answer.as_bytes(), &[16_384]), answer.as_bytes());
}
