//! What is left of a key that went through a redactor.

use keyward::redact::Redactor;

use super::Masked;

/// The key in pieces of one byte, as `write` has it.
fn push(redactor: &mut Redactor, key: &Masked, write: impl Fn(u8) -> String) -> Vec<u8> {
    let mut out = Vec::new();
    redactor.push(b"key=", &mut out);
    for byte in key.bytes() {
        redactor.push(write(byte).as_bytes(), &mut out);
    }
    out
}

#[test]
fn a_redactor_leaves_nothing() {
    let key = Masked::new();
    let mut redactor = Redactor::new();
    for _ in 0..3 {
        let mut out = push(&mut redactor, &key, |byte| char::from(byte).to_string());
        assert!(key.is_in_memory(), "the search is blind");
        redactor.push(b", and\n", &mut out);
        assert!(out.starts_with(b"key=[possible openai service-account key "));
        assert!(!key.is_in_memory(), "left behind once it had gone out");
    }
    push(&mut redactor, &key, |byte| char::from(byte).to_string());
    assert!(key.is_in_memory(), "the search is blind");
    drop(redactor);
    assert!(!key.is_in_memory(), "left behind on drop");
}

#[test]
fn reading_an_encoding_back_leaves_nothing() {
    let key = Masked::new();
    let mut redactor = Redactor::new();
    let mut out = push(&mut redactor, &key, |byte| format!("%{byte:02X}"));
    redactor.push(b"\n", &mut out);
    assert!(out.starts_with(b"key=[possible openai service-account key "));
    assert!(!key.is_in_memory());
}
