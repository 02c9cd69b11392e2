//! Keys of every shape, planted in any bytes and written in any pieces: none comes out, and what
//! came out stays as it is when it goes through again.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run redact -- -runs=10000000`

#![no_main]

use keyward::redact::{self, Redactor};
use keyward_testkit::corpus;
use keyward_testkit::keys::{self, Family, KeyRng, KeyShape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [size, shape, context, seed, rest @ ..] = bytes else { return };
    let shapes: Vec<&KeyShape> = keys::shapes().iter().filter(|shape| is_marked(shape)).collect();
    let key =
        shapes[usize::from(*shape) % shapes.len()].generate(&mut KeyRng::seeded(u64::from(*seed)));
    let contexts = corpus::contexts();
    let context = &contexts[usize::from(*context) % contexts.len()];
    let (before, after) = rest.split_at(rest.len() / 2);
    let text = [before, b"\n", &context.plant(&key).line, b"\n", after].concat();

    let (mut redactor, mut out) = (Redactor::new(), Vec::new());
    for piece in text.chunks(usize::from(*size).max(1)) {
        redactor.push(piece, &mut out);
    }
    redactor.finish(&mut out);
    assert!(redactor.masked() >= 1);
    assert!(!out.windows(key.len()).any(|window| window == key.as_bytes()));
    assert_eq!(*redact::bytes(&text), *out);
    assert_eq!(*redact::bytes(&out), *out);
});

/// Keys that are known without the words before them.
fn is_marked(shape: &KeyShape) -> bool {
    shape.family() == Family::Own
        && shape.expected_kind() != "not_a_key"
        && !matches!(shape.id(), "legacy_user_40" | "legacy_user_48" | "user_unprefixed_95")
}
