//! Nothing that goes out through a redactor has a key in it, however it is written.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::ApiKey;
use keyward::find::KeyFinder;
use keyward::redact::{self, RedactingWriter, Redactor};
use keyward_testkit::corpus;
use keyward_testkit::keys::{self, Family, KeyRng};
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{CANARY, Canary, assert_no_leak};
use proptest::prelude::*;

#[test]
fn a_mask_tells_kind_and_fingerprint() {
    let rng = &mut KeyRng::seeded(1);
    for (shape, expected) in [
        ("project_164", "[openai project key FP]"),
        ("service_account_167", "[openai service-account key FP]"),
        ("admin_133", "[openai admin key FP]"),
        ("legacy_user_51", "[openai legacy-user key FP]"),
        ("session", "[openai session key FP]"),
        ("ephemeral_client", "[openai ephemeral-client key FP]"),
        ("future_prefix", "[key FP]"),
    ] {
        let text = keys::shape(shape).unwrap().generate(rng);
        let key = ApiKey::parse(text.clone()).unwrap();
        let expected = expected.replace("FP", &key.fingerprint().to_string());
        assert_eq!(redact::text(&format!("<{text}>")), format!("<{expected}>"), "{shape}");
    }
    let text = keys::shape("legacy_user_48").unwrap().generate(rng);
    let masked = redact::text(&format!("OPENAI_API_KEY={text}")).into_owned();
    assert!(masked.starts_with("OPENAI_API_KEY=[possible key "), "{masked}");
}

#[test]
fn utf16_stays_utf16() {
    let context = corpus::contexts().iter().find(|context| context.name() == "utf16_le").unwrap();
    let line = context.plant(CANARY.text()).line;
    let masked = redact::bytes(&line);
    let units: Vec<u16> =
        masked.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let text = String::from_utf16(&units).unwrap();
    assert!(text.starts_with("key=\"[openai project key ") && text.ends_with("]\""), "{text}");
    assert_no_leak!(CANARY.text(), masked);
}

#[test]
fn no_canary_survives_in_any_context_at_any_cut() {
    for canary in Canary::all() {
        for context in corpus::contexts() {
            let line = context.plant(canary.text()).line;
            let cuts = (0..line.len()).step_by(if context.is_plain() { 41 } else { 149 });
            for cut in cuts {
                let (mut redactor, mut out) = (Redactor::new(), Vec::new());
                redactor.push(&line[..cut], &mut out);
                assert_no_leak!(canary.text(), [(context.name(), &out)]);
                redactor.push(&line[cut..], &mut out);
                redactor.finish(&mut out);
                assert_eq!(redactor.masked(), 1);
                assert_no_leak!(canary.text(), [(context.name(), out)]);
            }
        }
    }
}

#[test]
fn a_registered_key_is_masked() {
    let token = "eyJhbGciOi.QWxhZGRpbjpv.cGVuc2VzYW1l";
    let key = ApiKey::access_token(token.to_owned()).unwrap();
    let (mut redactor, mut out) = (Redactor::new().with_key(&key), Vec::new());
    for byte in format!("token={token}\n").bytes() {
        redactor.push(&[byte], &mut out);
    }
    let expected = format!("token=[openai access-token key {}]\n", key.fingerprint());
    assert_eq!(out, expected.as_bytes());
    assert_no_leak!(token, [("debug", format!("{redactor:?}"))]);
}

#[test]
fn the_writer_holds_back_no_more_than_it_must() {
    let mut out = RedactingWriter::new(Vec::new()).with_patience(Duration::ZERO);
    let (first, second) = CANARY.text().split_at(30);
    for piece in ["Password: ", "wait", "", first, "", second, "", "\n"] {
        match piece {
            "" => out.flush().unwrap(),
            piece => write!(out, "{piece}").unwrap(),
        }
    }
    let key = ApiKey::parse(CANARY.text().to_owned()).unwrap();
    let expected = format!("Password: wait[openai project key {}]\n", key.fingerprint());
    assert_eq!(String::from_utf8(out.finish().unwrap()).unwrap(), expected);
}

#[test]
fn the_writer_writes_a_line_at_once_and_the_rest_when_dropped() {
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let writes = Writes::default();
    let mut out = RedactingWriter::new(writes.clone());
    out.write_all(format!("{} and {}\nhalf", CANARY.text(), CANARY.text()).as_bytes()).unwrap();
    assert_eq!(writes.0.lock().unwrap().len(), 1);
    drop(out);
    let writes = writes.0.lock().unwrap();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[1], b"half");
    assert_no_leak!(CANARY.text(), writes.concat());
}

/// A writer that takes a few bytes, then fails, again and again.
#[derive(Default)]
struct Unwilling {
    taken: Vec<u8>,
    calls: usize,
}

impl Write for &mut Unwilling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 4 {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            1 => Err(io::ErrorKind::Interrupted.into()),
            _ => {
                let len = bytes.len().min(7);
                self.taken.extend_from_slice(&bytes[..len]);
                Ok(len)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_writer_loses_and_repeats_nothing_where_the_one_behind_fails() {
    let mut behind = Unwilling::default();
    let text = format!("{} and some more words\n", CANARY.text()).repeat(5);
    let mut out = RedactingWriter::new(&mut behind);
    let mut rest = text.as_bytes();
    let mut errors = 0;
    while !rest.is_empty() {
        match out.write(&rest[..rest.len().min(90)]) {
            Ok(len) => rest = &rest[len..],
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                errors += 1;
            }
        }
    }
    while out.flush().is_err() {}
    drop(out);
    assert!(errors > 0);
    assert_eq!(String::from_utf8(behind.taken).unwrap(), redact::text(&text));
}

#[test]
fn a_panic_of_the_writer_behind_is_no_second_one() {
    struct Panicking(Arc<Mutex<usize>>);

    impl Write for Panicking {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
            panic!("no more");
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let calls = Arc::default();
    let mut out = RedactingWriter::new(Panicking(Arc::clone(&calls)));
    let run = std::panic::AssertUnwindSafe(move || out.write_all(b"a line\n"));
    assert!(std::panic::catch_unwind(run).is_err());
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[derive(Debug)]
struct Failed(Option<Box<Failed>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In pieces, as derived code writes it.
        let (first, second) = CANARY.text().split_at(50);
        f.write_str("refused \"")?;
        f.write_str(first)?;
        f.write_str(second)?;
        f.write_str("\"")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn a_chain_of_errors_is_masked() {
    let error = Failed(Some(Box::new(Failed(None))));
    // The control: without it, the key is there.
    assert!(error_surfaces(&error).contains(CANARY.text()));
    let shown = redact::chain(&error).to_string();
    assert_eq!(shown.matches("refused \"[openai project key ").count(), 2, "{shown}");
    assert_no_leak!(CANARY.text(), shown);
}

#[test]
fn the_alternate_form_is_shown_where_it_is_asked_for() {
    struct Both;

    impl fmt::Display for Both {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if f.alternate() { "all of it" } else { "short" })
        }
    }

    assert_eq!(format!("{} {:#}", redact::display(Both), redact::display(Both)), "short all of it");
}

#[test]
fn a_registered_key_is_masked_wherever_text_goes_out() {
    let token = "gateway.secret/of+no+look";
    let key = ApiKey::issued(token.to_owned()).unwrap();
    let finder = KeyFinder::new().with_key(&key);
    let error = io::Error::other(format!("refused {token}"));
    let told = format!("refused {token}");
    let shown = [
        redact::chain_with(&finder, &error).to_string(),
        redact::display_with(&finder, &told).to_string(),
        redact::text_with(&finder, &told).into_owned(),
        String::from_utf8(redact::bytes_with(&finder, told.as_bytes()).into_owned()).unwrap(),
    ];
    // The control: without it, the key is there.
    assert!(redact::text(&told).contains(token));
    for shown in shown {
        assert!(shown.starts_with("refused [") && shown.contains(&key.fingerprint().to_string()));
        assert_no_leak!(token, shown);
    }
}

#[cfg(feature = "tracing-subscriber")]
#[test]
fn events_and_spans_are_masked() {
    use keyward::redact::RedactingMakeWriter;
    use keyward_testkit::leak::CapturedLogs;

    let run = |subscriber: Box<dyn tracing::Subscriber + Send + Sync>| {
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("ask", key = CANARY.text());
            let _entered = span.enter();
            let (first, second) = CANARY.text().split_at(20);
            tracing::error!(error = ?Failed(None), "{first}{second}");
        });
    };
    let logs = CapturedLogs::new();
    let bare = logs.clone();
    run(Box::new(tracing_subscriber::fmt().with_writer(move || bare.writer()).finish()));
    assert!(logs.contents().contains(CANARY.text()), "the control");

    let logs = CapturedLogs::new();
    let inner = logs.clone();
    let writer = RedactingMakeWriter::new(move || inner.writer());
    run(Box::new(tracing_subscriber::fmt().with_writer(writer).finish()));
    assert!(logs.contents().contains("[openai project key "));
    assert_no_leak!(CANARY.text(), logs.contents());
}

#[cfg(feature = "log")]
#[test]
fn records_are_masked() {
    use keyward::redact::RedactingLog;
    use log::Log;

    #[derive(Debug, Default)]
    struct Lines(Mutex<String>);

    impl Log for &Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            let line = format!("{} {} {:?}\n", record.target(), record.args(), record.line());
            self.0.lock().unwrap().push_str(&line);
        }

        fn flush(&self) {}
    }

    let lines = Lines::default();
    let (first, second) = CANARY.text().split_at(20);
    let record = |logger: &dyn Log| {
        let args = format_args!("refused {first}{second}");
        logger.log(&log::Record::builder().target("ask").line(Some(7)).args(args).build());
    };
    record(&&lines);
    assert!(lines.0.lock().unwrap().contains(CANARY.text()), "the control");
    lines.0.lock().unwrap().clear();
    record(&RedactingLog::new(&lines));
    let logged = lines.0.lock().unwrap().clone();
    assert!(logged.starts_with("ask refused [openai project key ") && logged.contains("Some(7)"));
    assert_no_leak!(CANARY.text(), logged);

    let token = "gateway.secret/of+no+look";
    let key = ApiKey::issued(token.to_owned()).unwrap();
    let logger = RedactingLog::new(&lines).with_key(&key);
    logger.log(&log::Record::builder().target(token).args(format_args!("sent {token}")).build());
    let logged = lines.0.lock().unwrap().clone();
    assert_eq!(logged.matches(&key.fingerprint().to_string()).count(), 2, "{logged}");
    assert_no_leak!(token, [("log", logged), ("debug", format!("{logger:?}"))]);
}

/// Panics with the key in the message, in a process of its own, with the hook or without.
#[test]
#[ignore = "started by the test below"]
fn panicking_child() {
    // Not where somebody runs all that is ignored.
    if !std::env::args().any(|arg| arg == "redact::panicking_child") {
        return;
    }
    if std::env::args().any(|arg| arg == "--include-ignored") {
        let key = ApiKey::issued(REGISTERED.to_owned()).unwrap();
        let finder = KeyFinder::new().with_key(&key);
        std::panic::set_hook(Box::new(redact::panic_hook_with(finder, io::stderr)));
    }
    panic!("no such key: {} or {REGISTERED}", CANARY.text());
}

#[test]
fn a_panic_is_told_with_its_key_masked() {
    let told = |run: &str| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "redact::panicking_child", "--nocapture", run])
            .output()
            .unwrap();
        assert!(!child.status.success());
        String::from_utf8_lossy(&child.stderr).into_owned()
    };
    let bare = told("--ignored");
    assert!(bare.contains(CANARY.text()) && bare.contains(REGISTERED), "the control");
    let told = told("--include-ignored");
    assert!(told.contains("no such key: [openai project key "), "{told}");
    assert!(told.contains("redact.rs:"), "{told}");
    assert_no_leak!(CANARY.text(), told);
    assert_no_leak!(REGISTERED, told);
}

const REGISTERED: &str = "gateway.of/the+panic";

/// Keys of every shape, in every context, beside one another and beside anything.
fn mixtures() -> impl Strategy<Value = (Vec<u8>, Vec<String>)> {
    let shapes: Vec<_> = keys::shapes()
        .iter()
        .filter(|shape| shape.family() == Family::Own && shape.expected_kind() != "not_a_key")
        // What others issue too is masked only where the text names OpenAI.
        .filter(|shape| {
            !matches!(shape.id(), "legacy_user_40" | "legacy_user_48" | "user_unprefixed_95")
        })
        .collect();
    let key = (prop::sample::select(shapes), 0..corpus::contexts().len(), any::<u64>()).prop_map(
        |(shape, context, seed)| {
            let key = shape.generate(&mut KeyRng::seeded(seed));
            (corpus::contexts()[context].plant(&key).line, Some(key))
        },
    );
    let other = prop_oneof![
        "[ -~]{0,60}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..60),
    ];
    let piece = prop_oneof![key, other.prop_map(|bytes| (bytes, None))];
    // UTF-16 is told by its place, and glued escapes can change what a text means.
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let text = pieces.iter().flat_map(|(bytes, _)| [bytes, &b" \n"[..]].concat()).collect();
        (text, pieces.into_iter().filter_map(|(_, key)| key).collect())
    })
}

proptest! {
    #[test]
    fn no_key_survives_and_twice_is_once((text, keys) in mixtures(), sizes in prop::collection::vec(1..300_usize, 1..6)) {
        let (mut redactor, mut out) = (Redactor::new(), Vec::new());
        let (mut at, mut turn) = (0, 0);
        while at < text.len() {
            let end = (at + sizes[turn % sizes.len()]).min(text.len());
            redactor.push(&text[at..end], &mut out);
            (at, turn) = (end, turn + 1);
        }
        redactor.finish(&mut out);
        for key in keys {
            assert_no_leak!(&key, [("out", &out)]);
        }
        prop_assert_eq!(&*redact::bytes(&out), &*out);
        prop_assert_eq!(&*redact::bytes(&text), &*out);
    }
}
