//! The positive control: a secret planted in dummy texts, in every form that must be found.

use std::fmt::Write as _;

use super::{LeakDetector, Secret};
use crate::base64;

/// A dummy text that holds a secret.
pub(super) struct Plant {
    pub(super) what: &'static str,
    pub(super) whole: bool,
    pub(super) text: Vec<u8>,
}

/// The secret in each form, each amid other text.
pub(super) fn plants(secret: &Secret) -> Vec<Plant> {
    let text = &secret.text;
    let mut forms = vec![
        ("raw", text.clone()),
        ("percent-encoded, every byte", percent(text, |_| true)),
        ("percent-encoded, reserved bytes", percent(text, |byte| !unreserved(byte))),
        ("JSON with every byte escaped", escape_all(text)),
        ("JSON with what JSON must escape", escape_needed(text)),
        ("lower-case hexadecimal", hex(text, false)),
        ("upper-case hexadecimal", hex(text, true)),
        ("UTF-16LE", text.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16BE", text.iter().flat_map(|byte| [0, *byte]).collect()),
        ("a list of bytes", format!("{text:?}").into_bytes()),
        ("a list of bytes, one a line", format!("{text:#?}").into_bytes()),
    ];
    for (what, alphabet) in [("base64", base64::STANDARD), ("URL-safe base64", base64::URL_SAFE)] {
        for before in ["", "x", "xy"] {
            let bytes = [before.as_bytes(), text, b"end"].concat();
            forms.push((what, base64::encode(alphabet, &bytes).into_bytes()));
        }
    }
    let mut plants: Vec<_> = forms
        .into_iter()
        .map(|(what, form)| Plant { what, whole: true, text: amid(&form) })
        .collect();
    if let Some(fragment) = text[secret.body..].windows(LeakDetector::FRAGMENT).last() {
        plants.push(Plant { what: "a fragment", whole: false, text: amid(fragment) });
    }
    plants
}

fn amid(text: &[u8]) -> Vec<u8> {
    [b"a dummy line: \"", text, b"\", and more"].concat()
}

fn percent(text: &[u8], encode: impl Fn(u8) -> bool) -> Vec<u8> {
    text.iter()
        .flat_map(
            |byte| {
                if encode(*byte) { format!("%{byte:02X}").into_bytes() } else { vec![*byte] }
            },
        )
        .collect()
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn escape_all(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| format!("\\u{byte:04x}").into_bytes()).collect()
}

fn escape_needed(text: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| match byte {
            b'"' | b'\\' => vec![b'\\', *byte],
            0..0x20 => format!("\\u{byte:04X}").into_bytes(),
            _ => vec![*byte],
        })
        .collect()
}

fn hex(text: &[u8], upper: bool) -> Vec<u8> {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text {
        let written = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        written.expect("a String takes everything");
    }
    out.into_bytes()
}
