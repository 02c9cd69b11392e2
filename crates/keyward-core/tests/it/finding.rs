//! Whole keys, and nothing else, in whatever they stand.

#![allow(clippy::print_stdout, reason = "a table, and what was taken for a key")]

use std::collections::BTreeMap;
use std::time::Duration;

use keyward_core::find::{Encoding, FoundKey, KeyFinder, KeyStream, Piece};
use keyward_core::{ApiKey, KeyKind};
use keyward_testkit::corpus::{self, Context};
use keyward_testkit::keys::{self, Family, KeyRng, KeyShape};
use keyward_testkit::{CANARY, assert_no_leak};
use proptest::prelude::*;

/// Every shape that OpenAI itself issued.
fn own_shapes() -> Vec<&'static KeyShape> {
    let is_key =
        |shape: &&KeyShape| shape.family() == Family::Own && shape.expected_kind() != "not_a_key";
    keys::shapes().iter().filter(is_key).collect()
}

/// What others issue too, and is a key only where the text says so.
fn is_unmarked(shape: &KeyShape) -> bool {
    matches!(shape.id(), "legacy_user_40" | "legacy_user_48" | "user_unprefixed_95")
}

/// A line with the key, and where it is. What has no marker needs words before it.
fn planted(context: &Context, shape: &KeyShape, key: &str) -> corpus::Planted {
    let mut planted = context.plant(key);
    if is_unmarked(shape) {
        let words = b"for OpenAI: ";
        planted.line.splice(0..0, words.iter().copied());
        planted.range = planted.range.start + words.len()..planted.range.end + words.len();
    }
    planted
}

/// Whether this context can show a key of this shape.
fn can_show(context: &Context, shape: &KeyShape) -> bool {
    let encoded = context.name().starts_with("base64");
    let glued = context.name().starts_with("glued");
    !(is_unmarked(shape) && (encoded || glued))
}

/// The corpus as one text, and where each key of it is.
struct Corpus {
    text: Vec<u8>,
    keys: Vec<(std::ops::Range<usize>, String, &'static KeyShape, &'static Context)>,
    look_alikes: usize,
}

impl Corpus {
    fn new(seed: u64, times: usize) -> Self {
        let rng = &mut KeyRng::seeded(seed);
        let classes = corpus::look_alikes();
        let mut corpus = Self { text: Vec::new(), keys: Vec::new(), look_alikes: 0 };
        for _ in 0..times {
            for shape in own_shapes() {
                for context in corpus::contexts() {
                    // Look-alikes between the keys: several for each.
                    for _ in 0..5 {
                        let class = &classes[corpus.look_alikes % classes.len()];
                        corpus.line(class.generate(rng).as_bytes());
                        corpus.look_alikes += 1;
                    }
                    if !can_show(context, shape) {
                        continue;
                    }
                    let key = shape.generate(rng);
                    let planted = planted(context, shape, &key);
                    // UTF-16 begins at an even place.
                    if corpus.text.len() % 2 == 1 {
                        corpus.text.push(b'\n');
                    }
                    let at = corpus.text.len();
                    corpus.line(&planted.line);
                    let range = at + planted.range.start..at + planted.range.end;
                    corpus.keys.push((range, key, shape, context));
                }
            }
        }
        corpus
    }

    fn line(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
    }
}

#[test]
fn every_key_and_no_look_alike() {
    let corpus = Corpus::new(11, 2);
    let found: Vec<_> = KeyFinder::new().find_iter(&corpus.text).collect();
    let mut table: BTreeMap<(&str, &str), [usize; 4]> = BTreeMap::new();
    let mut used = vec![false; found.len()];
    for (range, key, shape, context) in &corpus.keys {
        let at = found.partition_point(|found| found.range().end <= range.start);
        let hit = found.get(at).filter(|found| found.range().start < range.end);
        if hit.is_some() {
            used[at] = true;
        }
        let is_whole = hit.is_some_and(|found| {
            found.range().start <= range.start && found.range().end >= range.end
        });
        let is_known = hit.is_some_and(|found| {
            let parsed = ApiKey::parse(key.clone()).expect("a key");
            found.kind() == parsed.kind() && found.fingerprint() == parsed.fingerprint()
        });
        for row in [("key", shape.id()), ("context", context.name()), ("all", "")] {
            let row = table.entry(row).or_default();
            row[0] += 1;
            row[1] += usize::from(is_whole);
            row[2] += usize::from(hit.is_some() && !is_whole);
            row[3] += usize::from(is_known);
        }
    }
    println!("{:<40} planted  whole  cut  kind and fingerprint", "");
    for ((group, name), [planted, whole, cut, known]) in &table {
        println!("{group:<8}{name:<32} {planted:>7} {whole:>6} {cut:>4} {known:>6}");
    }
    let false_finds: Vec<_> = found.iter().zip(&used).filter(|(_, used)| !**used).collect();
    println!(
        "{} look-alikes of {} classes: {} taken for a key",
        corpus.look_alikes,
        corpus::look_alikes().len(),
        false_finds.len()
    );
    for (found, _) in &false_finds {
        println!("{}", String::from_utf8_lossy(&corpus.text[found.range()]));
    }
    assert!(corpus.keys.len() >= 1_000 && corpus.look_alikes >= 5_500);
    assert!(false_finds.is_empty());
    for (row, [planted, whole, cut, known]) in &table {
        assert_eq!((planted, *cut, planted), (whole, 0, known), "{row:?}");
    }
}

/// The stream's answer, for the text cut at these places.
fn streamed(finder: &KeyFinder, text: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<FoundKey>) {
    let (mut out, mut keys) = (Vec::new(), Vec::new());
    let mut stream = KeyStream::new(finder.clone());
    let mut each = |piece: Piece<'_>| match piece {
        Piece::Text(text) => out.extend_from_slice(text),
        Piece::Key(key) => {
            out.extend_from_slice(format!("[{}]", key.fingerprint()).as_bytes());
            keys.push(key);
        }
    };
    let mut at = 0;
    for &cut in cuts {
        stream.push(&text[at..cut], &mut each);
        at = cut;
    }
    stream.push(&text[at..], &mut each);
    stream.finish(&mut each);
    (out, keys)
}

#[test]
fn a_key_is_found_wherever_its_text_is_cut() {
    let rng = &mut KeyRng::seeded(12);
    let finder = KeyFinder::new();
    let cut_everywhere = &|shape: &KeyShape, context: &Context, line: &[u8]| {
        let whole: Vec<_> = finder.find_iter(line).collect();
        assert_eq!(whole.len(), 1, "{} {}", shape.id(), context.name());
        // Each cut where the key stands alone, some where it takes more bytes.
        let step = if context.name() == "bare" { 1 } else { 31 };
        for cut in (0..=line.len()).step_by(step) {
            let (_, keys) = streamed(&finder, line, &[cut]);
            assert_eq!(keys, whole, "{} {} cut at {cut}", shape.id(), context.name());
        }
        let each_byte: Vec<_> = (0..line.len()).collect();
        assert_eq!(streamed(&finder, line, &each_byte).1, whole);
    };
    std::thread::scope(|scope| {
        for context in corpus::contexts() {
            let shown = own_shapes().into_iter().filter(|shape| can_show(context, shape));
            let lines: Vec<_> = shown
                .map(|shape| (shape, planted(context, shape, &shape.generate(rng)).line))
                .collect();
            scope.spawn(move || {
                lines.iter().for_each(|(shape, line)| cut_everywhere(shape, context, line));
            });
        }
    });
}

#[test]
fn a_whole_corpus_is_the_same_in_any_pieces() {
    let corpus = Corpus::new(13, 1);
    let finder = KeyFinder::new();
    let whole: Vec<_> = finder.find_iter(&corpus.text).collect();
    let rng = &mut KeyRng::seeded(14);
    for most in [3, 70, 1_000, 40_000] {
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < corpus.text.len() {
            cuts.push(at);
            at += 1 + rng.below(most);
        }
        assert_eq!(streamed(&finder, &corpus.text, &cuts).1, whole, "pieces of up to {most}");
    }
}

#[test]
fn a_key_in_a_run_without_end_is_found() {
    let rng = &mut KeyRng::seeded(15);
    let key = keys::project_key(rng);
    for before in [0, 1, 7_000, 8_190, 16_300, 16_384, 24_500, 100_000] {
        let text = format!("{}_{key}_{}", rng.alphanumeric(before), rng.alphanumeric(50_000));
        let found: Vec<_> = KeyFinder::new().find_iter(text.as_bytes()).collect();
        assert_eq!(found.len(), 1, "{before}");
        assert_eq!(found[0].range().start, before + 1);
        assert!(found[0].range().end > before + key.len());
        let cuts: Vec<_> = (0..text.len()).step_by(777).collect();
        assert_eq!(streamed(&KeyFinder::new(), text.as_bytes(), &cuts).1, found, "{before}");
    }
}

#[test]
fn each_key_of_a_list_has_its_name() {
    let rng = &mut KeyRng::seeded(19);
    let keys: Vec<String> =
        (0..20).map(|_| keys::shape("legacy_user_48").unwrap().generate(rng)).collect();
    let text = format!("OPENAI_API_KEYS={}\nOTHER={}", keys.join(","), keys[0]);
    let finder = KeyFinder::new();
    let found: Vec<_> = finder.find_iter(text.as_bytes()).collect();
    assert_eq!(found.len(), keys.len());
    for step in [1, 7, 100, 500] {
        let cuts: Vec<_> = (0..text.len()).step_by(step).collect();
        assert_eq!(streamed(&finder, text.as_bytes(), &cuts).1, found, "{step}");
    }
}

#[test]
fn what_is_glued_to_a_key_hides_no_other() {
    let rng = &mut KeyRng::seeded(20);
    for make in [keys::session_token, keys::ephemeral_secret, keys::project_key] {
        for between in ["", "-", "_"]
            .map(String::from)
            .into_iter()
            .chain([440, 470, 508, 511].map(|len| rng.alphanumeric(len)))
        {
            let (first, second) = (make(rng), keys::project_key(rng));
            let text = format!("{first}{between}{second}");
            let finder = KeyFinder::new();
            let masked = streamed(&finder, text.as_bytes(), &[]).0;
            for key in [first, second] {
                assert_no_leak!(&key, [(between.len(), &masked)]);
            }
        }
    }
}

#[test]
fn a_key_that_was_cut_off_in_its_marker_or_behind_is_possible() {
    let rng = &mut KeyRng::seeded(21);
    let [half, tail] = [20, 15].map(|len| rng.alphanumeric(len));
    for (text, expected) in [
        (format!("sk-{half}T3BlbkFJ{tail}"), true),
        (format!("sk-{half}T3BlbkFJa"), true),
        (format!("sk-{half}T3BlbkFJ"), false),
        (format!("sk-{half}xT3BlbkFJ{tail}"), false),
        (format!("sk-nightly-batch-{half}T3BlbkFJ{tail}"), true),
        (format!("sk-Nightly-{half}T3BlbkFJ{tail}"), false),
        (format!("sk-nightly-batch-{half}T3BlbkFJ"), false),
        (format!("sk-proj-{half}T3Blbk"), true),
        (format!("sk-proj-{half}T3Bl"), true),
        (format!("sk-proj-{half}T3B"), false),
        (format!("sk-proj-{half}T3Blbk."), true),
        (format!("sk-proj-{half}T3Blbkx"), false),
    ] {
        let found = KeyFinder::new().find(text.as_bytes());
        assert_eq!(found.as_ref().map(FoundKey::is_certain), expected.then_some(false), "{text}");
    }
}

/// Twenty characters stand before the marker, as far as that goes, whatever is glued to the front: a
/// shorter text would be found only where something long stands before it.
#[test]
fn what_was_cut_off_in_its_marker_has_enough_before_it() {
    let mut rng = KeyRng::from_entropy();
    for prefix in ["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"] {
        for (before, len) in (14..22).flat_map(|before| (4..8).map(move |len| (before, len))) {
            let body = format!("aZ0{}", rng.alphanumeric(before - 3));
            let cut = format!("{prefix}{body}{}", &keys::MARKER[..len]);
            for glued in ["", "x", &"n".repeat(40)] {
                let text = format!("{glued}{cut}");
                let found = KeyFinder::new().find(text.as_bytes());
                let range = found.map(|found| found.range());
                let expected = (before >= 20).then_some(glued.len()..text.len());
                assert_eq!(range, expected, "{} glued, {before} before, {len} of it", glued.len());
            }
        }
    }
}

#[test]
fn a_word_before_a_client_secret_takes_its_certainty() {
    let secret = keys::ephemeral_secret(&mut KeyRng::seeded(22));
    for (before, is_certain) in
        [("", true), ("key=", true), ("1_", true), ("we", false), ("Se", false)]
    {
        let text = format!("{before}{secret}");
        let found = KeyFinder::new().find(text.as_bytes()).unwrap();
        assert_eq!(found.is_certain(), is_certain, "{before}");
    }
}

#[test]
fn a_registered_key_is_found_by_its_text() {
    let token = "gateway:abc.DEF/ghi+jkl~mno=";
    let key = ApiKey::issued(token.to_owned()).unwrap();
    let finder = KeyFinder::new().with_key(&key);
    let text = format!("a {token} b{token}, {}", keys::admin_key(&mut KeyRng::seeded(1)));
    let whole: Vec<_> = finder.find_iter(text.as_bytes()).collect();
    assert_eq!(whole.len(), 3);
    assert_eq!(&text[whole[0].range()], token);
    assert_eq!(whole[1].fingerprint(), key.fingerprint());
    assert_eq!(whole[2].kind(), KeyKind::Admin);
    for cut in 0..text.len() {
        assert_eq!(streamed(&finder, text.as_bytes(), &[cut]).1, whole, "cut at {cut}");
    }
    assert!(KeyFinder::new().find(token.as_bytes()).is_none());
}

#[test]
fn a_registered_key_is_not_released_in_halves() {
    let rng = &mut KeyRng::seeded(18);
    let texts = ["gateway_abcDEF", "abcDEFghi-sk", "DEFghi-skjkl", "aaaaaaaaab"];
    let mut keys = texts.map(String::from).to_vec();
    keys.push(rng.alphanumeric(40));
    let finder = keys.iter().fold(KeyFinder::new(), |finder, key| {
        finder.with_key(&ApiKey::issued(key.clone()).unwrap())
    });
    for before in ["", "x", "wait ", "aaaa", "sk-"] {
        for key in &keys {
            let text = format!("{before}{key} and {key}");
            for cut in 0..=text.len() {
                let mut out = Vec::new();
                let mut each = |piece: Piece<'_>| match piece {
                    Piece::Text(text) => out.extend_from_slice(text),
                    Piece::Key(found) => {
                        out.extend_from_slice(format!("<{}>", found.fingerprint()).as_bytes());
                    }
                };
                let mut stream = KeyStream::new(finder.clone());
                stream.push(&text.as_bytes()[..cut], &mut each);
                stream.release(&mut each);
                stream.push(&text.as_bytes()[cut..], &mut each);
                stream.release(&mut each);
                stream.finish(&mut each);
                let fingerprint = ApiKey::issued(key.clone()).unwrap().fingerprint().to_string();
                let out = String::from_utf8(out).unwrap();
                assert_eq!(out.matches(&fingerprint).count(), 2, "{before} cut at {cut}");
                assert!(!out.contains(&key[..6]), "{before} cut at {cut}");
            }
        }
    }
}

#[test]
fn the_context_decides_what_has_no_marker() {
    let key = keys::shape("legacy_user_48").unwrap().generate(&mut KeyRng::seeded(3));
    for (text, expected) in [
        (format!("OPENAI_API_KEY={key}"), true),
        (format!("openai.api_key = '{key}'"), true),
        (format!("MOONSHOT_API_KEY={key}"), false),
        (format!("OPENAI\nMOONSHOT_API_KEY={key}"), false),
        (format!("openai{}={key}", " ".repeat(64)), false),
        (format!("openai risk-{}", &key[3..]), false),
        (format!("os.environ[\"OPENAI_API_KEY\"] = \"{key}\""), true),
        (format!("[openai::client] using {key}"), true),
        (format!("openai \x1b[1;32m{key}\x1b[0m"), true),
        (format!("openai \\u001b[32m{key}"), true),
        (format!("openai \x1b[3xm{key}"), false),
        (format!("openai xm{key}"), false),
        (format!("[openai admin key 0123456789abcdef] {key}"), false),
        (format!("openai [possible key 0123456789abcdef],[key 0123456789abcdef],{key}"), true),
        (format!("open[key 0123456789abcdef]ai {key}"), false),
    ] {
        let found = KeyFinder::new().find(text.as_bytes());
        assert_eq!(found.is_some(), expected, "{text}");
        assert!(found.is_none_or(|found| !found.is_certain()));
    }
}

#[test]
fn a_key_that_was_cut_off_is_found_by_its_prefix() {
    let key = keys::service_account_key(&mut KeyRng::seeded(4));
    for len in [63, 80, 85, 93, 110] {
        let text = format!("tail: {}", &key[..len]);
        let found = KeyFinder::new().find(text.as_bytes()).unwrap_or_else(|| panic!("{len}"));
        assert_eq!(found.kind(), KeyKind::ServiceAccount, "{len}");
        assert_eq!(found.range(), 6..6 + len);
        assert!(!found.is_certain() || len > 105, "{len}");
    }
}

#[test]
fn a_key_in_base64_is_found_whole_behind_what_only_seems_to_begin_one() {
    let rng = &mut KeyRng::seeded(16);
    let context = corpus::contexts().iter().find(|context| context.name() == "base64_0").unwrap();
    for distance in 0..1_100 {
        let key = keys::project_key(rng);
        let filler: String = "lorem ipsum ".chars().cycle().take(distance).collect();
        let before = format!("{{\"note\":\"geek_club {filler}\",\"key\":\"");
        let line = context.plant(&format!("{before}{key}\"}}")).line;
        let found: Vec<_> = KeyFinder::new().find_iter(&line).collect();
        assert_eq!(found.len(), 1, "{distance}");
        let start = b"data: ".len() + before.len() * 8 / 6;
        let end = b"data: ".len() + ((before.len() + key.len()) * 8).div_ceil(6);
        assert_eq!(found[0].range(), start..end, "{distance}");
        assert_eq!(found[0].fingerprint(), ApiKey::parse(key).unwrap().fingerprint());
    }
}

#[test]
fn of_keys_in_several_phases_of_base64_none_is_passed_over() {
    let rng = &mut KeyRng::seeded(17);
    let named = |name| corpus::contexts().iter().find(|c| c.name() == name).unwrap();
    for (lead, between) in (0..4).flat_map(|lead| (0..4).map(move |between| (lead, between))) {
        // What seems to begin a key stands in a phase of its own, or in that of one of the keys.
        let keys = [keys::project_key(rng), keys::admin_key(rng)];
        let [first, second] = keys.map(|key| {
            let planted = named("base64_0").plant(&key);
            planted.line[planted.range].to_vec()
        });
        let pad = |len: usize| "A".repeat(4 + len).into_bytes();
        let text = [b"ZWtf", &pad(lead)[..], &first, &pad(between), &second].concat();
        let found: Vec<_> = KeyFinder::new().find_iter(&text).map(|found| found.kind()).collect();
        assert_eq!(found, [KeyKind::Project, KeyKind::Admin], "{lead} {between}");
    }
}

/// Whoever writes a text has no way to make it cost more than its length: eight times the text takes
/// about eight times as long, and not sixty-four.
#[test]
fn hostile_text_costs_as_much_as_it_is_long() {
    const SIZE: usize = 32 * 1024;

    let rng = &mut KeyRng::seeded(23);
    let time = |text: &str| {
        let start = processor_time();
        std::hint::black_box(KeyFinder::new().find_iter(text.as_bytes()).count());
        (processor_time() - start).as_secs_f64()
    };
    let random = rng.alphanumeric(48);
    for hostile in [
        "la1",
        "VDNCbGJrRko",
        "sk-",
        "T3BlbkFJ",
        "sk-proj-",
        "ek_",
        "sess-",
        "s\0k\0-\0",
        "%73",
        &random,
        "sk-T3BlbkFJaaaaaaa",
    ] {
        let [short, long] = [1, 8].map(|times| hostile.repeat(times * SIZE / hostile.len()));
        // Again while whatever else the machine does, and not the text, may be what took the time.
        let (mut least, mut took) = (f64::MAX, f64::MAX);
        for _ in 0..20 {
            (least, took) = (least.min(time(&short)), took.min(time(&long)));
            if took < 16.0 * least {
                break;
            }
        }
        println!("{:<20} {:>8.1}", hostile.escape_debug().to_string(), took / least);
        assert!(took < 24.0 * least, "{hostile:?}: {}", took / least);
    }
}

/// What this thread has had of a processor: tests beside it take none of it away.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time on the clock, where nobody tells the other.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[test]
fn utf16_is_cut_between_units() {
    let key = keys::project_key(&mut KeyRng::seeded(24));
    for (before, after) in
        [("中", "中"), ("é", "é"), ("k=", "中"), ("\u{2d}\u{2d2d}", "\u{2d4e}\u{4e2d}")]
    {
        let text = format!("{before}{key}{after}");
        for is_big in [false, true] {
            let bytes = |text: &str| -> Vec<u8> {
                let unit = |unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
                text.encode_utf16().flat_map(unit).collect()
            };
            let found: Vec<_> = KeyFinder::new().find_iter(&bytes(&text)).collect();
            let start = bytes(before).len();
            assert_eq!(found.len(), 1, "{text} {is_big}");
            assert_eq!(found[0].range(), start..start + 2 * key.len(), "{text} {is_big}");
        }
    }
}

#[test]
fn encodings_are_told() {
    let key = keys::admin_key(&mut KeyRng::seeded(5));
    for (context, expected) in [
        ("env_file", Encoding::Plain),
        ("newline_escaped", Encoding::Plain),
        ("percent_signs", Encoding::Escaped),
        ("json_all", Encoding::Escaped),
        ("base64_2", Encoding::Base64),
        ("utf16_le", Encoding::Utf16Le),
        ("utf16_be", Encoding::Utf16Be),
    ] {
        let context = corpus::contexts().iter().find(|c| c.name() == context).unwrap();
        let found = KeyFinder::new().find(&context.plant(&key).line).unwrap();
        assert_eq!(found.encoding(), expected, "{}", context.name());
    }
}

#[test]
fn nothing_that_is_found_tells_the_key() {
    let text = format!("key={}", CANARY.text());
    let key = ApiKey::parse(CANARY.text().to_owned()).unwrap();
    let finder = KeyFinder::new().with_key(&key);
    let mut stream = KeyStream::new(finder.clone());
    stream.push(text.as_bytes(), |_| {});
    assert_no_leak!(
        CANARY.text(),
        [
            ("found", format!("{:?}", finder.find(text.as_bytes()))),
            ("finder", format!("{finder:?}")),
            ("stream", format!("{stream:?}")),
        ]
    );
    assert_eq!(stream.held_len(), CANARY.text().len());
}

/// Keys, their pieces, and what stands around them, in any mixture.
fn mixtures() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (0..18_usize, 0..corpus::contexts().len(), any::<u64>()).prop_map(|(shape, context, seed)| {
            let shape = own_shapes()[shape];
            let key = shape.generate(&mut KeyRng::seeded(seed));
            corpus::contexts()[context].plant(&key).line
        }),
        2 => (0..18_usize, any::<u64>(), 0..200_usize).prop_map(|(shape, seed, len)| {
            let key = own_shapes()[shape].generate(&mut KeyRng::seeded(seed));
            key.as_bytes()[..len.min(key.len())].to_vec()
        }),
        2 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::sample::select(vec![
            "sk-", "sk-proj-", "ek_", "sess-", "openai ", "%", "\\u00", "\n", "\0", "T3Blbk", "=",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_change_nothing(text in mixtures(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let finder = KeyFinder::new();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let whole: Vec<_> = finder.find_iter(&text).collect();
        let (_, keys) = streamed(&finder, &text, &cuts);
        prop_assert_eq!(keys, whole);
    }

    #[test]
    fn what_is_masked_stays_so(text in mixtures()) {
        let finder = KeyFinder::new();
        let (once, _) = streamed(&finder, &text, &[]);
        let (twice, keys) = streamed(&finder, &once, &[]);
        prop_assert_eq!(&keys, &[]);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn ranges_are_in_order_and_hold_whole_keys(text in mixtures()) {
        let mut end = 0;
        for found in KeyFinder::new().find_iter(&text) {
            prop_assert!(found.range().start >= end && found.range().end <= text.len());
            end = found.range().end;
            let after = text.get(end).copied().unwrap_or(b' ');
            // Behind a key there is nothing that could be more of it.
            if found.encoding() == Encoding::Plain {
                prop_assert!(!(after.is_ascii_alphanumeric() || matches!(after, b'-' | b'_')));
            }
        }
    }
}
