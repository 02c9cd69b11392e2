//! Keys that a server sends back.

use proptest::prelude::*;

use super::minted::read;
use super::*;

/// The longest piece of the key in these bytes that is in this place in the key too.
fn longest_piece(bytes: &[u8], key: &str) -> usize {
    let longest = |at: usize| {
        let starts = (0..key.len()).filter(|from| bytes[at] == key.as_bytes()[*from]);
        let run = |from: usize| {
            bytes[at..].iter().zip(&key.as_bytes()[from..]).take_while(|(a, b)| a == b).count()
        };
        starts.map(run).max().unwrap_or_default()
    };
    (0..bytes.len()).map(longest).max().unwrap_or_default()
}

/// A frame of HTTP/2.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, 4, 0, 0, 0, 1], payload].concat()
}

/// What a server of HTTP/2 begins with.
fn settings() -> Vec<u8> {
    [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100].to_vec()
}

#[test]
fn a_key_in_a_401_is_read_as_its_placeholder() {
    let wire = Wire::new();
    let known: Vec<Known> = (0..3).map(|_| wire.know()).collect();
    let answer = |text: &dyn Fn(&Known) -> String| {
        let texts: Vec<_> = known.iter().map(text).collect();
        format!(
            "HTTP/1.1 401 Unauthorized\r\nx-echo: Bearer {}\r\ncontent-length: 500\r\n\r\n\
             {{\"error\":{{\"message\":\"Incorrect API key provided: {}. Find it at \
             https://platform.openai.com/{}{}\"}}",
            texts[0], texts[1], texts[2], texts[0],
        )
    };
    let got = read(&wire, answer(&|known| known.key.clone()).as_bytes(), &[16_384]);
    let expected = answer(&|known| known.placeholder().to_owned());
    assert_eq!(String::from_utf8(got).unwrap(), expected);
}

#[test]
fn pieces_on_both_sides_of_a_cut_are_replaced_from_24_characters_on() {
    for between in ["", "\r\n1f\r\n", "\0\0\u{20}\0\u{1}\0\0\0\u{1}"] {
        let wire = Wire::new();
        // Of this one also the first 24 characters are no name.
        let is_drawn = |known: &Known| known.key[11..24].bytes().any(|b| b.is_ascii_uppercase());
        let known = std::iter::repeat_with(|| wire.know()).find(is_drawn).unwrap();
        for cut in 0..=known.key.len() {
            let (before, after) = known.key.split_at(cut);
            let answer = format!("HTTP/1.1 200 OK\r\n\r\n{before}{between}{after}");
            for record in [16_384, 19 + cut] {
                let got = read(&wire, answer.as_bytes(), &[record, 16_384]);
                let longest = longest_piece(&got, &known.key);
                assert!(longest < 24, "cut at {cut}, records of {record}: {longest}");
            }
        }
    }
}

/// Wherever in a byte it begins, and whatever stands around it.
#[test]
fn a_coded_key_in_a_header_is_read_as_its_placeholder() {
    let wire = Wire::new();
    let known = wire.know();
    for before in ["", "Bearer ", "a", "aa", "aaa", "0a.", "?key=", "~", "{", "W", "you sent "] {
        for after in ["", "a", ".", "\"}", "; path=/; secure; samesite=none"] {
            let block = |text: &str| {
                let value = huffman::encode(format!("{before}{text}{after}").as_bytes()).to_vec();
                let len = match u8::try_from(value.len()).unwrap() {
                    len @ ..0x7f => vec![0x80 | len],
                    len => vec![0xff, len - 0x7f],
                };
                [&[0x88, 0x0f, 0x2b][..], &len, &value].concat()
            };
            let answer = |text| [settings(), frame(1, &block(text)), frame(0, b"{}")].concat();
            let got = read(&wire, &answer(known.key.as_str()), &[16_384]);
            assert_eq!(got, answer(known.placeholder()), "{before:?} {after:?}");
        }
    }
}

#[test]
fn a_coded_key_is_looked_for_in_header_blocks_alone() {
    let wire = Wire::new();
    let known = wire.know();
    let coded = known.coded(&known.key);
    for kind in [0, 2, 3, 4, 6, 7, 8, 10] {
        let answer = [settings(), frame(kind, &coded), frame(0, &coded)].concat();
        assert_eq!(read(&wire, &answer, &[16_384]), answer, "a frame of kind {kind}");
    }
    for kind in [1, 5, 9] {
        let whole = |coded: &[u8]| [settings(), frame(0, b"x"), frame(kind, coded)].concat();
        let got = read(&wire, &whole(&coded), &[20, 7, 16_384]);
        assert_eq!(got, whole(&known.coded(known.placeholder())), "a frame of kind {kind}");
    }
}

/// A name in a key is no secret, and stands in answers.
#[test]
fn what_is_no_piece_of_a_secret_is_left_alone() {
    let wire = Wire::new();
    let random = KeyRng::from_entropy().alphanumeric(48);
    let name = "production-billing-service-account-2";
    let key = format!("sk-{name}-{random}");
    let value = wire.table.value(&ApiKey::parse(key.clone()).unwrap()).unwrap();
    for answer in [format!("{{\"name\":\"{name}\"}}"), format!("sk-{name}-***{}", &random[44..])] {
        assert_eq!(read(&wire, answer.as_bytes(), &[16_384]), answer.as_bytes());
    }
    let got = read(&wire, format!("\"{key}\"").as_bytes(), &[16_384]);
    let expected = [b"\"", &value.as_bytes()["Bearer ".len()..], b"\""].concat();
    assert_eq!(got, expected);
}

/// Tokens of one issuer have the same head.
#[test]
fn of_an_access_token_the_whole_is_replaced_and_no_piece() {
    let wire = Wire::new();
    let mut rng = KeyRng::from_entropy();
    let head = format!("eyJ{}", rng.alphanumeric(60));
    let token = format!("{head}.{}", rng.alphanumeric(200));
    let other = format!("{head}.{}", rng.alphanumeric(200));
    let key = ApiKey::access_token(token.clone()).unwrap();
    let value = wire.table.value(&key).unwrap();
    let value = value.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let got = read(&wire, format!("{other} {token}").as_bytes(), &[16_384]);
    assert_eq!(String::from_utf8(got).unwrap(), format!("{other} {value}"));
}

#[test]
fn a_key_that_was_forgotten_or_is_of_another_injector_is_left_alone() {
    let (wire, other) = (Wire::new(), Wire::new());
    let foreign = other.know();
    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}", foreign.key);
    assert_eq!(read(&wire, answer.as_bytes(), &[16_384]), answer.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However it is cut into records, no length changes, and of the key no piece of 24 is left.
    #[test]
    fn no_piece_of_a_key_is_left(
        records in prop_oneof![sizes(), prop::collection::vec(400_usize..3000, 1..20)],
        around in prop::collection::vec("[ -~]{0,400}", 1..20),
        is_http2: bool,
    ) {
        let wire = Wire::new();
        let known = wire.know();
        let mut answer = if is_http2 { settings() } else { b"HTTP/1.1 200 OK\r\n".to_vec() };
        for text in &around {
            let body = format!("{text}{}", known.key);
            answer.extend(if is_http2 { frame(0, body.as_bytes()) } else { body.into_bytes() });
        }
        let got = read(&wire, &answer, &records);
        prop_assert_eq!(got.len(), answer.len());
        // What was cut so small as to be put together again is not seen in any of its records.
        if records.iter().all(|record| *record >= 2 * known.key.len()) {
            prop_assert!(longest_piece(&got, &known.key) < 24);
        }
        let changed = got.iter().zip(&answer).filter(|(a, b)| a != b).count();
        prop_assert!(changed <= around.len() * known.key.len());
    }

    /// What holds no key is read as it is, whatever looks like one.
    #[test]
    fn nothing_else_is_changed(
        answer in prop_oneof![
            "[A-Za-z0-9._/=-]{0,2000}",
            "(\\{\"[a-z]{1,9}\":\"[A-Za-z0-9_-]{1,64}\",? ?){0,40}",
        ],
        records in sizes(),
        is_http2: bool,
    ) {
        let wire = Wire::new();
        let _known = [wire.know(), wire.know()];
        let answer = match is_http2 {
            true => [settings(), frame(1, answer.as_bytes()), frame(0, answer.as_bytes())].concat(),
            false => answer.into_bytes(),
        };
        prop_assert_eq!(read(&wire, &answer, &records), answer);
    }
}
