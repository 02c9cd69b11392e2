//! The search itself: each form that a key is given is planted and found, and counts once.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::Masked;
use super::search::{Copies, Image};

const NONE: Copies = Copies { whole: 0, pieces: 0, coded: 0, base64: 0, utf16: 0, percent: 0 };

/// A way to write a text down, and what is found of it then.
type Plant = (&'static str, fn(&[u8]) -> Vec<u8>, Copies);

/// The encodings are those of others where there are some: what the search has wrong they have not.
const PLANTS: [Plant; 12] = [
    ("text", <[u8]>::to_vec, Copies { whole: 1, ..NONE }),
    ("cut", |key| key[11..].to_vec(), Copies { pieces: 1, ..NONE }),
    ("HTTP/2", |key| coded(key, ""), Copies { coded: 1, ..NONE }),
    ("HTTP/2, behind a scheme", |key| coded(key, "Bearer "), Copies { coded: 1, ..NONE }),
    ("HTTP/2, askew", |key| coded(key, "?key="), Copies { coded: 1, ..NONE }),
    ("base64", |key| in_base64(key, 0, false), Copies { base64: 1, ..NONE }),
    ("base64, one behind", |key| in_base64(key, 1, false), Copies { base64: 1, ..NONE }),
    ("base64, two behind", |key| in_base64(key, 2, true), Copies { base64: 1, ..NONE }),
    ("UTF-16", |key| wide(key, u16::to_le_bytes), Copies { utf16: 1, ..NONE }),
    ("UTF-16, big-endian", |key| wide(key, u16::to_be_bytes), Copies { utf16: 1, ..NONE }),
    ("percent", |key| percent(key, true), Copies { percent: 1, ..NONE }),
    ("percent, as far as needed", |key| percent(key, false), Copies { percent: 1, ..NONE }),
];

/// By the bits of RFC 7541, appendix B, written out: nothing of the search's own table is in it.
fn coded(key: &[u8], before: &str) -> Vec<u8> {
    let bits: String = before.bytes().chain(key.iter().copied()).map(code).collect();
    let octets = bits.as_bytes().chunks(8).map(|octet| {
        let octet = std::str::from_utf8(octet).unwrap();
        u8::from_str_radix(&format!("{octet:1<8}"), 2).unwrap()
    });
    octets.collect()
}

fn code(character: u8) -> String {
    const FIVE: &[u8] = b"012aceiost";
    const SIX: &[u8] = b" %-./3456789=A_bdfghlmnpru";
    const SEVEN: &[u8] = b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz";
    const EIGHT: &[u8] = b"&*,;XZ";
    let at = |set: &[u8]| set.iter().position(|it| *it == character);
    match (at(FIVE), at(SIX), at(SEVEN), at(EIGHT)) {
        (Some(n), ..) => format!("{n:05b}"),
        (_, Some(n), ..) => format!("{:06b}", 0x14 + n),
        (_, _, Some(n), _) => format!("{:07b}", 0x5c + n),
        (.., Some(n)) => format!("{:08b}", 0xf8 + n),
        _ => format!("{:010b}", if character == b'?' { 0x3fc } else { panic!("{character}") }),
    }
}

/// By the system's `base64`: behind so many bytes of something else.
fn in_base64(key: &[u8], behind: usize, url: bool) -> Vec<u8> {
    let mut tool = Command::new("basenc")
        .args([if url { "--base64url" } else { "--base64" }, "--wrap=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = tool.stdin.take().unwrap();
    stdin.write_all(&b"::"[..behind]).unwrap();
    stdin.write_all(key).unwrap();
    drop(stdin);
    tool.wait_with_output().unwrap().stdout
}

fn wide(key: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    key.iter().flat_map(|byte| bytes(u16::from(*byte))).collect()
}

fn percent(key: &[u8], all: bool) -> Vec<u8> {
    let text = key.iter().fold(String::new(), |mut text, byte| {
        match all || !byte.is_ascii_alphanumeric() {
            true => write!(text, "%{byte:02X}").unwrap(),
            false => text.push(char::from(*byte)),
        }
        text
    });
    text.into_bytes()
}

/// Memory with these pieces in it, each between bytes that are none of a key.
fn image(pieces: &[Vec<u8>], before: usize) -> Vec<u8> {
    let mut image = vec![0; before];
    for piece in pieces {
        image.push(b'"');
        image.extend_from_slice(piece);
        image.extend_from_slice(b"\"~~~~~~~");
    }
    image
}

#[test]
fn each_form_is_found_and_counts_once() {
    for (form, plant, expected) in PLANTS {
        for before in [0, 1, 5, 4_090] {
            let key = Masked::new();
            let image = image(&[plant(&key.to_bytes())], before);
            assert_eq!(key.traces_in_bytes(&image), expected, "{form}, behind {before}");
            assert_eq!(Masked::new().traces_in_bytes(&image), NONE, "{form}, of another key");
        }
    }
}

const CHILD: &str = "memory::copies::copies_in_a_process_of_its_own";

/// In a process of its own, so that all that other tests hold is not searched with it.
#[test]
fn copies_are_found_in_the_processs_own_memory_and_are_gone_when_they_are_wiped() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && told.contains("1 passed"), "{child:?}");
}

#[test]
#[ignore = "started by the test above"]
fn copies_in_a_process_of_its_own() {
    for (form, plant, expected) in PLANTS {
        let key = Masked::new();
        assert_eq!(key.traces(), NONE, "{form}");
        let planted = Zeroizing::new(plant(&Zeroizing::new(key.to_bytes())));
        // What encoding it leaves is not told from what was planted.
        assert!(key.traces().of_all_forms() >= expected.of_all_forms(), "{form}");
        assert!(key.traces() != NONE, "{form}");
        drop(planted);
    }
    let key = Masked::new();
    let planted = Zeroizing::new(key.to_bytes());
    let piece = Zeroizing::new(key.bytes().skip(50).take(24).collect::<Vec<_>>());
    assert_eq!(key.traces(), Copies { whole: 1, pieces: 1, ..NONE });
    drop((planted, piece));
    assert_eq!(key.traces(), NONE);
}

/// What a dump is, for the search: a file, with a copy where two of the pieces meet in which it is
/// read.
#[test]
fn copies_are_found_in_a_file_across_what_is_read_at_once() {
    let key = Masked::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("core");
    for before in [(1 << 20) - 600, (1 << 20) - 60, (1 << 20) - 1, 1 << 20, (3 << 20) - 100] {
        let image = image(&[key.to_bytes(), wide(&key.to_bytes(), u16::to_le_bytes)], before);
        std::fs::write(&path, image).unwrap();
        let found = key.traces_in(&Image::File(path.clone()));
        assert_eq!(found, Copies { whole: 1, utf16: 1, ..NONE }, "behind {before}");
    }
}

/// Another process: `sleep`, whose argument and environment are the key.
#[test]
fn copies_are_found_in_another_process() {
    let key = Masked::new();
    let text = String::from_utf8(key.to_bytes()).unwrap();
    let mut child =
        Command::new("sleep").arg("60").env("KEYWARD_TEST_PLANTED", text).spawn().unwrap();
    let (image, started) = (Image::Process(child.id()), std::time::Instant::now());
    // It is still this program until it has become `sleep`.
    while key.traces_in(&image).whole != 1 && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let found = key.traces_in(&image);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, Copies { whole: 1, ..NONE });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Runs of 24 bytes are found wherever they stand and however they are cut, each once; shorter
    /// ones are not.
    #[test]
    fn a_piece_is_found_from_24_bytes_on(
        seed: u64,
        before in 0_usize..64,
        cuts in prop::collection::vec((0_usize..131, 1_usize..131), 1..6),
    ) {
        let key = Masked::seeded(seed);
        let bytes = key.to_bytes();
        let pieces: Vec<Vec<u8>> = cuts
            .iter()
            .map(|(from, len)| bytes[*from..bytes.len().min(from + len)].to_vec())
            .collect();
        let counting = pieces.iter().filter(|piece| piece.len() >= 24);
        let whole = counting.clone().filter(|piece| piece.len() == bytes.len()).count();
        let expected = Copies { whole, pieces: counting.count() - whole, ..NONE };
        prop_assert_eq!(key.traces_in_bytes(&image(&pieces, before)), expected);
    }

    /// Several forms at once are told apart.
    #[test]
    fn forms_are_told_apart(seed: u64, which in prop::collection::vec(0_usize..12, 1..8)) {
        let key = Masked::seeded(seed);
        let pieces: Vec<_> = which.iter().map(|it| PLANTS[*it].1(&key.to_bytes())).collect();
        let sum = |field: fn(&Copies) -> usize| which.iter().map(|it| field(&PLANTS[*it].2)).sum();
        let expected = Copies {
            whole: sum(|it| it.whole),
            pieces: sum(|it| it.pieces),
            coded: sum(|it| it.coded),
            base64: sum(|it| it.base64),
            utf16: sum(|it| it.utf16),
            percent: sum(|it| it.percent),
        };
        prop_assert_eq!(key.traces_in_bytes(&image(&pieces, 3)), expected);
    }
}
