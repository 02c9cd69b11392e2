//! Reading bytes back out of the forms that text hides them in; finding a secret in what was
//! read is not done here.
//!
//! Decoding the haystack, rather than encoding the secret, finds every mixture: a percent-encoded
//! text with some bytes bare, base64 that begins far before the secret, a fragment in any form.

use super::Form;
use crate::base64;

const MIN_SECRET: usize = super::LeakDetector::MIN_SECRET;

/// What a decoder read, and where each byte of it stood in the haystack.
pub(super) struct View {
    pub(super) form: Form,
    pub(super) bytes: Vec<u8>,
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl View {
    fn new(form: Form) -> Self {
        Self { form, bytes: Vec::new(), starts: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, byte: u8, start: usize, end: usize) {
        self.bytes.push(byte);
        self.starts.push(start);
        self.ends.push(end);
    }

    /// From where to where in the haystack these bytes were read.
    pub(super) fn place(&self, from: usize, to: usize) -> (usize, usize) {
        match self.form {
            Form::Raw => (from, to),
            _ => (self.starts[from], self.ends[to - 1]),
        }
    }
}

/// Shows `haystack` as each decoder reads it, one view at a time: together they are many times
/// as large as the haystack. A decoder that would read it as it is, or read nothing, is left out.
pub(super) fn for_each_view(haystack: &[u8], mut visit: impl FnMut(&View)) {
    visit(&View { bytes: haystack.to_vec(), ..View::new(Form::Raw) });
    if haystack.contains(&b'%') {
        visit(&percent(haystack));
    }
    if haystack.contains(&b'\\') {
        visit(&escaped(haystack));
    }
    byte_lists(haystack, &mut visit);
    hex(haystack, &mut visit);
    if haystack.contains(&0) {
        utf16(haystack, &mut visit);
    }
    base64(haystack, &mut visit);
}

fn percent(haystack: &[u8]) -> View {
    let mut view = View::new(Form::PercentEncoded);
    let mut at = 0;
    while at < haystack.len() {
        let escape = match haystack[at] {
            b'%' => hex_pair(&haystack[at + 1..]),
            _ => None,
        };
        let length = if escape.is_some() { 3 } else { 1 };
        view.push(escape.unwrap_or(haystack[at]), at, at + length);
        at += length;
    }
    view
}

fn escaped(haystack: &[u8]) -> View {
    let mut view = View::new(Form::Escaped);
    let mut at = 0;
    while at < haystack.len() {
        let (byte, length) = match haystack[at] {
            b'\\' => escape(&haystack[at..]).unwrap_or((b'\\', 1)),
            byte => (byte, 1),
        };
        view.push(byte, at, at + length);
        at += length;
    }
    view
}

/// The byte that an escape stands for, and how long the escape is.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match *text.get(1)? {
        byte @ (b'"' | b'\'' | b'/' | b'\\') => Some((byte, 2)),
        b'n' => Some((b'\n', 2)),
        b'r' => Some((b'\r', 2)),
        b't' => Some((b'\t', 2)),
        b'x' => Some((hex_pair(text.get(2..)?)?, 4)),
        b'u' if text.get(2) == Some(&b'{') => {
            let close = text.iter().take(10).position(|byte| *byte == b'}')?;
            let digits = std::str::from_utf8(&text[3..close]).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, close + 1))
        }
        b'u' if text.get(2..4) == Some(b"00") => Some((hex_pair(text.get(4..)?)?, 6)),
        _ => None,
    }
}

/// Lists of numbers with commas or blanks between: one view a list.
fn byte_lists(haystack: &[u8], visit: &mut impl FnMut(&View)) {
    let mut view = View::new(Form::ByteList);
    let mut at = 0;
    // Where the last number ended, while only separators were seen since.
    let mut open = false;
    while at < haystack.len() {
        let byte = haystack[at];
        if byte.is_ascii_digit() {
            let end = (at..haystack.len())
                .find(|i| !haystack[*i].is_ascii_alphanumeric())
                .unwrap_or(haystack.len());
            match number(&haystack[at..end]) {
                Some(value) => {
                    if !open {
                        hand_over(&mut view, visit);
                    }
                    view.push(value, at, end);
                    open = true;
                }
                None => open = false,
            }
            at = end;
        } else {
            open &= byte == b',' || byte == b';' || byte.is_ascii_whitespace();
            at += 1;
        }
    }
    hand_over(&mut view, visit);
}

fn number(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    match digits.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        // The suffix is that of a Rust literal.
        None => digits.strip_suffix("u8").unwrap_or(digits).parse().ok(),
    }
}

/// Runs of hexadecimal digits, at both alignments: one view each.
fn hex(haystack: &[u8], visit: &mut impl FnMut(&View)) {
    for (start, end) in runs(haystack, 2 * MIN_SECRET, u8::is_ascii_hexdigit) {
        for phase in 0..2 {
            let mut view = View::new(Form::Hex);
            let mut at = start + phase;
            while at + 2 <= end {
                if let Some(byte) = hex_pair(&haystack[at..]) {
                    view.push(byte, at, at + 2);
                }
                at += 2;
            }
            hand_over(&mut view, visit);
        }
    }
}

/// Stretches where every second byte is zero: one view a stretch and byte order.
fn utf16(haystack: &[u8], visit: &mut impl FnMut(&View)) {
    for phase in 0..2 {
        let mut le = View::new(Form::Utf16Le);
        let mut be = View::new(Form::Utf16Be);
        let mut at = phase;
        while at + 1 < haystack.len() {
            match (haystack[at], haystack[at + 1]) {
                (0, 0) => {
                    hand_over(&mut le, visit);
                    hand_over(&mut be, visit);
                }
                (byte, 0) => {
                    hand_over(&mut be, visit);
                    le.push(byte, at, at + 2);
                }
                (0, byte) => {
                    hand_over(&mut le, visit);
                    be.push(byte, at, at + 2);
                }
                _ => {
                    hand_over(&mut le, visit);
                    hand_over(&mut be, visit);
                }
            }
            at += 2;
        }
        hand_over(&mut le, visit);
        hand_over(&mut be, visit);
    }
}

/// Runs of base64 digits of either alphabet, at all four alignments: one view each.
fn base64(haystack: &[u8], visit: &mut impl FnMut(&View)) {
    // A line break inside a run is the wrapping of MIME.
    let digit = |byte: &u8| base64::digit(*byte).is_some() || matches!(*byte, b'\r' | b'\n');
    // Six bits a digit.
    for (start, end) in runs(haystack, (8 * MIN_SECRET).div_ceil(6), digit) {
        let digits: Vec<usize> =
            (start..end).filter(|at| base64::digit(haystack[*at]).is_some()).collect();
        let url_safe = haystack[start..end].iter().any(|byte| matches!(byte, b'-' | b'_'));
        let form = if url_safe { Form::Base64UrlSafe } else { Form::Base64Standard };
        for phase in 0..4.min(digits.len()) {
            let mut view = View::new(form);
            for group in digits[phase..].chunks(4) {
                let word = group.iter().fold(0_u32, |word, at| {
                    word << 6 | u32::from(base64::digit(haystack[*at]).unwrap_or(0))
                }) << (6 * (4 - group.len()));
                // Byte i of a group lies in its digits i and i + 1.
                for (i, byte) in word.to_be_bytes()[1..].iter().enumerate() {
                    if i + 1 < group.len() {
                        view.push(*byte, group[i], group[i + 1] + 1);
                    }
                }
            }
            hand_over(&mut view, visit);
        }
    }
}

/// Shows `view` if it can hold a secret, and empties it.
fn hand_over(view: &mut View, visit: &mut impl FnMut(&View)) {
    if view.bytes.len() >= MIN_SECRET {
        visit(view);
    }
    view.bytes.clear();
    view.starts.clear();
    view.ends.clear();
}

/// The stretches of `haystack`, of this length or longer, whose bytes are all `member`.
fn runs(haystack: &[u8], least: usize, member: impl Fn(&u8) -> bool) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < haystack.len() {
        let length = haystack[at..].iter().take_while(|byte| member(byte)).count();
        if length >= least {
            runs.push((at, at + length));
        }
        at += length + 1;
    }
    runs
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}
