//! What a client sends, with placeholders in it and cut into any records, through the cipher suites of
//! an injector: a key goes where `Authorization` has its placeholder, and nothing else changes.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run wire -- -runs=10000000`
//!
//! The input is either what is sent, in which some bytes stand for placeholders; or the plan of
//! requests that keep the rules of HTTP, of which it is known what must come out.

#![no_main]

use std::sync::LazyLock;

use http::HeaderValue;
use keyward::wire::Injector;
use keyward::{ApiKey, KeyPolicy, KeySource, LoadedKey, ProjectKey, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use libfuzzer_sys::fuzz_target;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ContentType, ProtocolVersion, RootCertStore, Tls13CipherSuite};

mod plan;

fuzz_target!(|bytes: &[u8]| {
    let [mode, rest @ ..] = bytes else { return };
    let Some((cuts, rest)) = rest.split_at_checked(8) else { return };
    match mode % 4 {
        0 => whatever(&[], rest, cuts),
        1 => whatever(plan::PREFACE, rest, cuts),
        2 => planned(plan::http1, rest, cuts),
        _ => planned(plan::http2, rest, cuts),
    }
});

/// Of what breaks all rules, only pieces of placeholders are changed, each into the same piece of
/// its key; and what is put in where all is one record is put in however it is cut.
fn whatever(begin: &[u8], bytes: &[u8], cuts: &[u8]) {
    let mut stream = begin.to_vec();
    for byte in bytes {
        let known = &WIRE.known[usize::from(*byte) % WIRE.known.len()];
        let value = known.with_placeholder.plain.as_slice();
        match byte {
            0xE0..0xE8 => stream.extend(value),
            0xE8..0xF0 => stream.extend(plan::string(&known.with_placeholder, true)),
            0xF0..0xF8 => stream.extend([b"\r\nAuthorization: ", value, b"\r\n\r\n"].concat()),
            0xF8.. => {
                let is_coded = byte % 2 == 0;
                let field = [&[0x1F, 8], &*plan::string(&known.with_placeholder, is_coded)];
                stream.extend(field.concat());
            }
            _ => stream.push(*byte),
        }
    }
    let sent = Connection::new().send(&stream, cuts);
    assert_eq!(sent.len(), stream.len());
    for (was, is) in stream.iter().zip(&sent).filter(|(was, is)| was != is) {
        let is_piece =
            |without: &[u8], with: &[u8]| without.iter().zip(with).any(|it| it == (was, is));
        let is_known = WIRE.known.iter().any(|known| {
            let (without, with) = (&known.with_placeholder, &known.with_key);
            is_piece(&without.plain, &with.plain) || is_piece(&without.coded, &with.coded)
        });
        assert!(is_known, "{was} became {is}");
    }
    if stream.len() <= MOST {
        let whole = Connection::new().record(&[&stream]);
        for ((was, whole), cut) in stream.iter().zip(&whole).zip(&sent) {
            assert!(was == whole || whole == cut, "the cut leaves a placeholder as it is");
        }
    }
}

/// The same plan with keys is what must come out.
fn planned(plan: fn(&[u8], &[&Known], fn(&Known) -> &Value) -> Vec<u8>, bytes: &[u8], cuts: &[u8]) {
    let known: Vec<&Known> = WIRE.known.iter().collect();
    let stream = plan(bytes, &known, |known| &known.with_placeholder);
    let expected = plan(bytes, &known, |known| &known.with_key);
    let sent = Connection::new().send(&stream, cuts);
    let at = sent.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!((sent.len(), at), (expected.len(), None));
}

/// The most that one record has.
const MOST: usize = 16_384;

static WIRE: LazyLock<Wire> = LazyLock::new(|| {
    let plain = ring::default_provider();
    let injector = Injector::project(plain.clone(), KeyPolicy::production()).expect("an injector");
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let config = injector.client_config(roots).expect("a configuration");
    let known = (0..6).map(|seed| Known::new(&injector, seed)).collect();
    Wire {
        suite: suite(config.crypto_provider()),
        plain: suite(&plain),
        _injector: injector,
        known,
    }
});

/// The suites with and without keys put in, and what can be put in.
struct Wire {
    suite: &'static Tls13CipherSuite,
    plain: &'static Tls13CipherSuite,
    /// The suites hold its table weakly.
    _injector: Injector,
    known: Vec<Known>,
}

fn suite(cryptography: &CryptoProvider) -> &'static Tls13CipherSuite {
    let mut suites = cryptography.cipher_suites.iter().filter_map(|suite| suite.tls13());
    suites
        .find(|suite| suite.common.suite == rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)
        .expect("every provider has it")
}

/// A key, and what stands for it as long as the header value is held.
struct Known {
    with_placeholder: Value,
    with_key: Value,
    _value: HeaderValue,
}

/// The value of `Authorization`, as HTTP/1.1 has it and by the Huffman code of HTTP/2.
struct Value {
    plain: Vec<u8>,
    coded: Vec<u8>,
}

impl Known {
    fn new(injector: &Injector, seed: u64) -> Self {
        let text = keys::service_account_key(&mut KeyRng::seeded(seed));
        let value = injector.header_value(&project_key(text.clone())).expect("a value");
        let with_key = Value::of(format!("Bearer {text}").as_bytes());
        Self { with_placeholder: Value::of(value.as_bytes()), with_key, _value: value }
    }
}

impl Value {
    fn of(text: &[u8]) -> Self {
        let mut coded = Vec::new();
        httlib_huffman::encode(text, &mut coded).expect("ASCII");
        Self { plain: text.to_vec(), coded }
    }
}

fn project_key(text: String) -> ProjectKey {
    let key = ApiKey::parse(text).expect("a key");
    LoadedKey::new(key, KeySource::new("fuzz", "key"))
        .admit(&KeyPolicy::production(), Timestamp::from_unix_seconds(1_790_000_000))
        .and_then(|admitted| admitted.into_project_key())
        .expect("a key of a service account")
}

struct Connection {
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    records: u64,
}

impl Connection {
    /// Behind the handshake, whose last message the encrypter before saw.
    fn new() -> Self {
        let suite = WIRE.suite.aead_alg;
        let mut before = suite.encrypter(AeadKey::from([8; 32]), [8; 12].into());
        let finished: &[&[u8]] = &[&[20, 0, 0, 32], &[0; 32]];
        before.encrypt(message(ContentType::Handshake, finished), 0).expect("a message");
        Self {
            encrypter: suite.encrypter(AeadKey::from([9; 32]), [9; 12].into()),
            decrypter: WIRE.plain.aead_alg.decrypter(AeadKey::from([9; 32]), [9; 12].into()),
            records: 0,
        }
    }

    /// What a server reads of one record, which is handed over in these slices.
    fn record(&mut self, slices: &[&[u8]]) -> Vec<u8> {
        let message = message(ContentType::ApplicationData, slices);
        let sent = self.encrypter.encrypt(message, self.records).expect("a record");
        let (typ, version) = (sent.typ, sent.version);
        let mut payload = sent.payload.as_ref().to_vec();
        let opaque = InboundOpaqueMessage::new(typ, version, &mut payload);
        let read = self.decrypter.decrypt(opaque, self.records).expect("what was encrypted");
        self.records += 1;
        read.payload.to_vec()
    }

    fn send(&mut self, stream: &[u8], cuts: &[u8]) -> Vec<u8> {
        let (records, slices) = cuts.split_at(cuts.len() / 2);
        let mut slices = slices.iter().cycle();
        let records = plan::pieces(stream, &mut records.iter().cycle());
        records.iter().flat_map(|record| self.record(&plan::pieces(record, &mut slices))).collect()
    }
}

fn message<'a>(typ: ContentType, slices: &'a [&'a [u8]]) -> OutboundPlainMessage<'a> {
    let payload = OutboundChunks::new(slices);
    OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload }
}
