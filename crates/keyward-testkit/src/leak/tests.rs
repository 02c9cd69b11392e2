//! Positive and negative cases of the detector; offsets are random and seeded.

use std::error::Error;
use std::io::Write as _;
use std::panic::catch_unwind;

use super::*;
use crate::keys::{self, KeyRng};
use crate::{CANARY, Canary, base64};

/// A text around the plant that no decoder takes for its continuation.
fn noise(rng: &mut KeyRng) -> Vec<u8> {
    let words = ["GET /v1/models ", "{\"a\": [1, 2]}", "% ", "\\ ", "x=", "\n", "é"];
    let count = rng.below(12);
    (0..count).flat_map(|_| words[rng.below(words.len())].bytes()).collect()
}

#[test]
fn every_form_is_found_at_random_offsets() {
    for seed in 0..40 {
        let mut rng = KeyRng::seeded(seed);
        let text = keys::service_account_key(&mut rng);
        let detector = LeakDetector::new(&text);
        for plant in control::plants(&Secret::new(&text)) {
            let before = noise(&mut rng);
            let haystack = [&before[..], &plant.text, &noise(&mut rng)].concat();
            let found = detector.find(&haystack);
            let hit = found.iter().find(|leak| leak.is_whole() == plant.whole);
            let hit = hit.unwrap_or_else(|| panic!("seed {seed}: {} unseen", plant.what));
            assert!(hit.offset() >= before.len(), "seed {seed}: {}: {hit}", plant.what);
            assert!(hit.offset() + hit.length() <= haystack.len(), "seed {seed}: {hit}");
        }
    }
}

#[test]
fn the_form_and_the_place_are_told() {
    let text = CANARY.text();
    let cases: [(Form, Vec<u8>); 9] = [
        (Form::Raw, text.into()),
        (Form::Base64Standard, base64::encode(base64::STANDARD, text.as_bytes()).into()),
        (Form::Base64UrlSafe, base64::encode(base64::URL_SAFE, text.as_bytes()).into()),
        (Form::ByteList, format!("{:?}", text.as_bytes()).into()),
        (Form::Escaped, text.bytes().map(|b| format!("\\u{b:04X}")).collect::<String>().into()),
        (Form::Hex, text.bytes().map(|b| format!("{b:02x}")).collect::<String>().into()),
        (Form::PercentEncoded, text.replace('-', "%2D").into()),
        (Form::Utf16Le, text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (Form::Utf16Be, text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ];
    let detector = LeakDetector::new(text);
    for (form, planted) in cases {
        let found = detector.find(&[b"key: ", &planted[..], b" ."].concat());
        let [leak] = &found[..] else { panic!("{form}: {found:?}") };
        // Base64 without a digit that tells the alphabets apart is named standard.
        let named = leak.form() == form || form == Form::Base64UrlSafe;
        assert!(named && leak.is_whole(), "{form}: {leak}");
        let start = if form == Form::ByteList { 6 } else { 5 };
        assert_eq!(leak.offset(), start, "{form}");
    }
}

#[test]
fn the_alphabets_of_base64_are_told_apart() {
    let secret = "secret>>>???~~~with+digits/that_differ";
    let detector = LeakDetector::new(secret);
    for (alphabet, form) in
        [(base64::STANDARD, Form::Base64Standard), (base64::URL_SAFE, Form::Base64UrlSafe)]
    {
        let found = detector.find(base64::encode(alphabet, secret.as_bytes()).as_bytes());
        assert_eq!(found.iter().map(Leak::form).collect::<Vec<_>>(), [form]);
    }
}

#[test]
fn base64_glued_to_other_digits_is_found() {
    let encoded = base64::encode(base64::STANDARD, CANARY.text().as_bytes());
    for glue in ["", "a", "ab", "abc", "abcd"] {
        let found = LeakDetector::new(CANARY.text()).find(format!("{glue}{encoded}").as_bytes());
        assert!(found[0].is_whole() && found[0].offset() == glue.len(), "{glue}");
    }
}

#[test]
fn hexadecimal_glued_to_another_digit_is_found() {
    let hex: String = CANARY.text().bytes().map(|b| format!("{b:02x}")).collect();
    let found = LeakDetector::new(CANARY.text()).find(format!("f{hex}").as_bytes());
    assert!(found[0].is_whole() && found[0].offset() == 1);
}

#[test]
fn wrapped_base64_is_found() {
    let encoded = base64::encode(base64::STANDARD, format!("x{}", CANARY.text()).as_bytes());
    let wrapped: Vec<u8> = encoded.as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..]);
    assert!(LeakDetector::new(CANARY.text()).find(&wrapped)[0].is_whole());
}

#[test]
fn twelve_bytes_of_the_body_are_a_leak_and_eleven_are_not() {
    for canary in Canary::all() {
        let text = canary.text();
        let detector = LeakDetector::new(text);
        let body = public_prefix(text);
        for start in body..=text.len() - 12 {
            let found = detector.find(format!("<{}>", &text[start..start + 12]).as_bytes());
            assert_eq!(found.len(), 1, "{}", canary.kind());
            assert!(!found[0].is_whole());
            assert_eq!((found[0].offset(), found[0].secret_bytes()), (1, 12));
            let short = format!("<{}>", &text[start..start + 11]);
            assert!(detector.find(short.as_bytes()).is_empty());
        }
    }
}

#[test]
fn what_openai_itself_shows_is_no_leak() {
    for canary in Canary::all() {
        let text = canary.text();
        let (head, tail) = (&text[..public_prefix(text) + 4], &text[text.len() - 4..]);
        for shown in [format!("{head}...{tail}"), format!("{head}********{tail}"), head.into()] {
            assert_eq!(LeakDetector::new(text).find(shown.as_bytes()), []);
        }
    }
}

#[test]
fn a_key_cut_in_two_shows_both_halves() {
    let (left, right) = CANARY.text().split_at(60);
    let found = LeakDetector::new(CANARY.text()).find(format!("{left}\n{right}").as_bytes());
    let sizes: Vec<_> = found.iter().map(Leak::secret_bytes).collect();
    assert_eq!(sizes, [60 - "sk-proj-".len(), CANARY.text().len() - 60]);
}

#[test]
fn a_fragment_is_found_in_a_form_too() {
    let piece = &CANARY.text()[40..70];
    let list = format!("{:?}", piece.as_bytes());
    let found = LeakDetector::new(CANARY.text()).find(list.as_bytes());
    assert_eq!(found[0].form(), Form::ByteList);
    assert_eq!(found[0].secret_bytes(), 30);
}

#[test]
fn other_keys_are_not_this_key() {
    let detector = LeakDetector::new(CANARY.text());
    let mut rng = KeyRng::seeded(9);
    for shape in keys::shapes() {
        assert_eq!(detector.find(shape.generate(&mut rng).as_bytes()), [], "{shape:?}");
    }
}

#[test]
fn several_secrets_are_told_apart() {
    let texts: Vec<_> = Canary::all().map(Canary::text).collect();
    let detector = LeakDetector::of_all(&texts);
    detector.assert_sees();
    let found = detector.find(format!("{} {}", texts[3], texts[1]).as_bytes());
    assert_eq!(found.iter().map(Leak::secret_index).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_leak_and_a_panic_never_repeat_the_secret() {
    let text = CANARY.text();
    let detector = LeakDetector::new(text);
    let leak = detector.find(text.as_bytes()).remove(0);
    assert_eq!(leak.to_string(), "the whole secret, raw, at offset 0, 164 bytes long");
    let panic = catch_unwind(|| assert_no_leak!(CANARY.text(), [("the body", text)])).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("the body") && message.contains("raw"), "{message}");
    for shown in [format!("{leak:?}"), format!("{detector:?}"), message.clone()] {
        assert_no_leak!(text, shown);
    }
}

#[test]
#[should_panic(expected = "detector is blind: secret 0 planted as a fragment")]
fn a_blind_detector_is_noticed() {
    let mut detector = LeakDetector::new(CANARY.text());
    detector.places.windows.clear();
    detector.assert_sees();
}

#[test]
fn secrets_of_odd_characters_are_seen() {
    for secret in ["pass\"word\\with\u{7}bell", "a b+c/d=e&f?g#h", "12345678"] {
        LeakDetector::new(secret).assert_sees();
    }
}

#[test]
#[should_panic(expected = "found by accident")]
fn a_secret_too_short_is_refused() {
    let _ = LeakDetector::new("sk-1234");
}

#[test]
fn surfaces_follow_the_chain_of_sources() {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = Outer("x".parse::<u8>().unwrap_err());
    assert_eq!(surfaces_of(&error).len(), 8);
    let text = error_surfaces(&error);
    assert!(text.contains("source 1 {}: invalid digit"), "{text}");
    let boxed: Box<dyn Error + Send + Sync> = Box::new(error);
    assert_eq!(error_surfaces(&*boxed), text);
}

#[test]
fn captured_logs_are_shared() {
    let logs = CapturedLogs::new();
    logs.writer().write_all(b"one ").unwrap();
    logs.clone().write_all(b"two").unwrap();
    assert_eq!(logs.contents(), "one two");
    assert!(!format!("{logs:?}").contains("one"));
}
