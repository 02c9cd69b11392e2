//! Keys of every shape, planted in any bytes and written in any pieces: no piece of one comes out, in
//! no form, and what came out stays as it is when it goes through again.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run redact -- -runs=10000000`

#![no_main]

use keyward::ApiKey;
use keyward::redact::{self, Redactor};
use keyward_testkit::corpus;
use keyward_testkit::keys::{self, Family, KeyRng, KeyShape};
use keyward_testkit::leak::LeakDetector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [size, shape, context, seed, glue, rest @ ..] = bytes else { return };
    let rng = &mut KeyRng::seeded(u64::from(*seed));
    let shapes: Vec<&KeyShape> = keys::shapes().iter().filter(|shape| is_marked(shape)).collect();
    let key = shapes[usize::from(*shape) % shapes.len()].generate(rng);
    let contexts = corpus::contexts();
    let context = &contexts[usize::from(*context) % contexts.len()];
    let (before, after) = rest.split_at(rest.len() / 2);
    // Within base64, other text before the key and behind it.
    let planted = if context.name().starts_with("base64") && glue % 2 == 1 {
        let words = "lorem ek_ sk- ipsum ".repeat(usize::from(*glue));
        context.plant(&format!("{words}{key} {words}")).line
    } else {
        context.plant(&key).line
    };
    // Glued to letters and digits, or in a line of its own.
    let glued = rng.alphanumeric(if glue % 4 == 2 { usize::from(*glue) } else { 0 });
    let is_glued = context.is_plain() && !glued.is_empty();
    let (front, back) = if is_glued { (&*glued, &*glued) } else { ("\n", "\n") };
    let text = [before, front.as_bytes(), &planted, back.as_bytes(), b"\n", after].concat();

    let mut redactor = Redactor::new();
    let out = redacted(&mut redactor, &text, *size, false);
    assert!(redactor.masked() >= 1);
    LeakDetector::new(&key).assert_absent(&context.name(), &out);
    assert_eq!(*redact::bytes(&text), *out);
    assert_eq!(*redact::bytes(&out), *out);

    // A registered key is found by its text alone, also where what is held back is released.
    let token = rng.alphanumeric(12 + usize::from(*glue) % 60);
    let registered = ApiKey::issued(token.clone()).expect("letters and digits");
    let text = [before, token.as_bytes(), after, token.as_bytes()].concat();
    let out = redacted(&mut Redactor::new().with_key(&registered), &text, *size, true);
    assert!(!out.windows(token.len()).any(|window| window == token.as_bytes()));
    let fingerprint = registered.fingerprint().to_string();
    assert!(out.windows(fingerprint.len()).any(|window| window == fingerprint.as_bytes()));
});

fn redacted(redactor: &mut Redactor, text: &[u8], size: u8, releases: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in text.chunks(usize::from(size).max(1)) {
        redactor.push(piece, &mut out);
        if releases {
            redactor.release(&mut out);
        }
    }
    redactor.finish(&mut out);
    out
}

/// Keys that are known without the words before them.
fn is_marked(shape: &KeyShape) -> bool {
    shape.family() == Family::Own
        && shape.expected_kind() != "not_a_key"
        && !matches!(shape.id(), "legacy_user_40" | "legacy_user_48" | "user_unprefixed_95")
}
