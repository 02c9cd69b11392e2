//! The suites over a cipher that does nothing, so that what goes into the cipher is seen.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use keyward_core::ApiKey;
use keyward_testkit::keys::{self, KeyRng};
use proptest::prelude::*;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

use super::huffman;
use super::minted::Caught;
use super::request::Requests;
use super::suite::Aead;
use super::table::{Form, LINGER, Table};

mod answers;
mod http1;
mod http2;
mod minted;

/// A connection and what can be put in on it.
struct Wire {
    table: Arc<Table>,
    /// Stays where it is, as in a configuration.
    aead: Box<Aead>,
    encrypter: Box<dyn MessageEncrypter>,
}

/// A key, and what stands for it as long as this is held.
struct Known {
    key: String,
    value: HeaderValue,
}

impl Wire {
    fn new() -> Self {
        Self::catching(false)
    }

    fn catching(is_on: bool) -> Self {
        let random = rustls::crypto::ring::default_provider().secure_random;
        let table = Arc::new(Table::new(random, Caught::new(is_on)));
        let aead = Box::new(Aead::new(&Nothing, &table));
        let encrypter = aead.encrypter(AeadKey::from([0; 32]), Iv::from([0; 12]));
        let mut this = Self { table, aead, encrypter };
        this.shake_hands();
        this
    }

    /// The end of a handshake, after which application data has keys of its own.
    fn shake_hands(&mut self) {
        self.message(ContentType::Alert, &[&[1, 0]]);
        self.shake_on();
    }

    fn shake_on(&mut self) {
        self.encrypter = self.aead.encrypter([8; 32].into(), [8; 12].into());
        self.message(ContentType::Handshake, &[&[11, 0, 0, 1, 0]]);
        self.message(ContentType::Handshake, &[&[20, 0, 0, 32], &[0; 32]]);
        self.encrypter = self.aead.encrypter([9; 32].into(), [9; 12].into());
    }

    fn know(&self) -> Known {
        let key = keys::service_account_key(&mut KeyRng::from_entropy());
        let value = self.table.value(&ApiKey::parse(key.clone()).unwrap()).unwrap();
        Known { key, value }
    }

    /// What goes into the cipher for one record, which is handed over in these slices.
    fn record(&mut self, slices: &[&[u8]]) -> Vec<u8> {
        self.message(ContentType::ApplicationData, slices)
    }

    fn message(&mut self, typ: ContentType, slices: &[&[u8]]) -> Vec<u8> {
        let payload = OutboundChunks::new(slices);
        let length = payload.len();
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_3, payload };
        let sent = self.encrypter.encrypt(message, 0).unwrap().payload.as_ref().to_vec();
        assert_eq!(sent.len(), length, "a record stays as long as it was");
        sent
    }

    /// Sends it in records of these sizes, again and again, each handed over in slices likewise.
    fn send(&mut self, bytes: &[u8], records: &[usize], slices: &[usize]) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut slices = slices.iter().cycle();
        for record in pieces(bytes, &mut records.iter().cycle()) {
            sent.extend(self.record(&pieces(record, &mut slices)));
        }
        sent
    }
}

impl Known {
    fn placeholder(&self) -> &str {
        std::str::from_utf8(self.value.as_bytes()).unwrap().strip_prefix("Bearer ").unwrap()
    }

    /// As it stands in a block of HTTP/2, with the key or with what stands for it.
    fn coded(&self, text: &str) -> Vec<u8> {
        huffman::encode(format!("Bearer {text}").as_bytes()).to_vec()
    }
}

fn pieces<'a, 'b>(
    mut bytes: &'a [u8],
    sizes: &mut impl Iterator<Item = &'b usize>,
) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((*sizes.next().unwrap()).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Sizes of records or slices: everything at once, pieces of all sizes, single bytes.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![16_384]),
        prop::collection::vec(1_usize..40, 1..20),
        prop::collection::vec(1_usize..600, 1..20),
    ]
}

/// A cipher that leaves everything as it is.
struct Nothing;

impl Tls13AeadAlgorithm for Nothing {
    fn encrypter(&self, _key: AeadKey, _iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Self)
    }

    fn decrypter(&self, _key: AeadKey, _iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Self)
    }

    fn key_len(&self) -> usize {
        32
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv })
    }
}

impl MessageEncrypter for Nothing {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        _seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let mut payload = PrefixedPayload::with_capacity(message.payload.len());
        payload.extend_from_chunks(&message.payload);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len
    }
}

impl MessageDecrypter for Nothing {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        _seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        Ok(message.into_plain_message())
    }
}

fn head(authorization: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nauthorization: {authorization}\r\n\r\n").into_bytes()
}

#[test]
fn the_secrets_of_a_connection_are_not_handed_out() {
    let wire = Wire::new();
    assert!(wire.aead.extract_keys(AeadKey::from([0; 32]), Iv::from([0; 12])).is_err());
}

#[test]
fn each_key_has_a_placeholder_with_nothing_of_it() {
    let wire = Wire::new();
    let known: Vec<Known> = (0..200).map(|_| wire.know()).collect();
    for (at, one) in known.iter().enumerate() {
        let api_key = ApiKey::parse(one.key.clone()).unwrap();
        assert!(!api_key.is_echoed_in(one.placeholder()));
        assert_eq!(wire.table.value(&api_key).unwrap(), one.value, "it stays");
        for other in &known[..at] {
            assert_ne!(other.value.as_bytes(), one.value.as_bytes());
        }
    }
    let mut wire = wire;
    for one in &known {
        assert_eq!(wire.record(&[&head(one.placeholder())]), head(one.placeholder()), "no scheme");
        let with_scheme = head(&format!("Bearer {}", one.placeholder()));
        assert_eq!(wire.record(&[&with_scheme]), head(&format!("Bearer {}", one.key)));
    }
}

/// The records after it carry on with the stream where it was.
#[test]
fn new_keys_of_the_connection_change_nothing() {
    let mut wire = Wire::new();
    let known = wire.know();
    let request = head(&format!("Bearer {}", known.placeholder()));
    let expected = head(&format!("Bearer {}", known.key));
    for split in 0..request.len() {
        let mut sent = wire.record(&[&request[..split]]);
        wire.message(ContentType::Handshake, &[&[24, 0, 0, 1, 0]]);
        wire.encrypter = wire.aead.encrypter(AeadKey::from([1; 32]), Iv::from([1; 12]));
        sent.extend(wire.record(&[&request[split..]]));
        assert_eq!(sent, expected, "split at {split}");
    }
}

/// If a library handed over otherwise than rustls does, nothing would be put in.
#[test]
fn what_is_handed_on_is_taken_at_once_or_not_at_all() {
    let mut wire = Wire::new();
    let other = Wire::new();
    let known = wire.know();
    let request = head(&format!("Bearer {}", known.placeholder()));
    let half = request.len() - 90;
    // Another message in between, of this connection or of another.
    wire.record(&[&request[..half]]);
    wire.message(ContentType::Handshake, &[&[24, 0, 0, 1, 0]]);
    wire.message(ContentType::Alert, &[&[1, 0]]);
    wire.encrypter = wire.aead.encrypter(AeadKey::from([1; 32]), Iv::from([1; 12]));
    assert_eq!(wire.record(&[&request[half..]]), &request[half..]);
    // A new connection of another injector.
    wire.shake_hands();
    wire.record(&[&request[..half]]);
    wire.message(ContentType::Handshake, &[&[24, 0, 0, 1, 0]]);
    drop(other.aead.encrypter([3; 32].into(), [3; 12].into()));
    wire.encrypter = wire.aead.encrypter(AeadKey::from([1; 32]), Iv::from([1; 12]));
    assert_eq!(wire.record(&[&request[half..]]), &request[half..]);
}

#[test]
fn a_stream_that_does_not_begin_with_a_request_is_left_alone() {
    for begin in
        ["\r\nx", "{}", "host: a\r\n", "get\r\n", "PRI * HTTP/2.0\r\n\r\nSX", ": ", "PUT\t"]
    {
        let mut wire = Wire::new();
        let known = wire.know();
        let request = head(&format!("Bearer {}", known.placeholder()));
        let whole = [begin.as_bytes(), b"\r\n\r\n", &request].concat();
        assert_eq!(wire.record(&[&whole]), whole, "{begin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_after_its_last_header_value() {
    let mut wire = Wire::new();
    let Known { key, value } = wire.know();
    let header = String::from_utf8(value.as_bytes().to_vec()).unwrap();
    let (with_key, without) = (head(&format!("Bearer {key}")), head(&header));
    let other = ApiKey::parse(keys::service_account_key(&mut KeyRng::from_entropy())).unwrap();
    let later = async |wire: &Wire, time| {
        tokio::time::advance(time).await;
        // What is over is forgotten when a header value is asked for.
        drop(wire.table.value(&other).unwrap());
    };
    for _ in 0..3 {
        later(&wire, 100 * LINGER).await;
        assert_eq!(wire.record(&[&without]), with_key, "it is held");
    }
    drop(value);
    later(&wire, LINGER - Duration::from_millis(10)).await;
    assert_eq!(wire.record(&[&without]), with_key, "a client may not have sent it yet");
    later(&wire, LINGER).await;
    later(&wire, LINGER).await;
    assert_eq!(wire.record(&[&without]), without, "it is forgotten");
    let again = wire.table.value(&ApiKey::parse(key).unwrap()).unwrap();
    assert_ne!(again.as_bytes(), header.as_bytes(), "a new placeholder");
}

/// Also where the end of the value comes in a record of its own.
#[test]
fn a_connection_that_waits_holds_no_key() {
    let wire = Wire::new();
    let known = wire.know();
    let request = head(known.value.to_str().unwrap());
    for split in 0..request.len() {
        let mut requests = Requests::early();
        requests.begin();
        let (a, b) = request.split_at(split);
        let pieces =
            requests.read(&[a], &wire.table).len() + requests.read(&[b], &wire.table).len();
        assert!(pieces > 0, "it is put in, split at {split}");
        assert!(format!("{requests:?}").contains("Foreign"), "split at {split}: {requests:?}");
    }
}

/// Where nothing can be told any more, none is held either.
#[test]
fn a_connection_that_broke_off_holds_no_key() {
    let wire = Wire::new();
    let known = wire.know();
    // In HTTP/2 a block that ends within a value.
    let value = [&[0x1f, 8, 0x7f, 100][..], &known.value.as_bytes()[..60]].concat();
    let frame = [&[0, 0, 64, 1, 4, 0, 0, 0, 1][..], &value].concat();
    let mut requests = Requests::early();
    requests.begin();
    let sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame.as_slice()].concat();
    requests.read(&[&sent], &wire.table);
    assert!(format!("{requests:?}").contains("Opaque"), "{requests:?}");
    assert!(format!("{requests:?}").contains("Foreign"), "{requests:?}");
}

/// Whoever records early data can send it again. What comes after it, with other keys twice, goes
/// on where it was.
#[test]
fn no_key_is_put_in_in_early_data() {
    let known_head = |text: &str| head(&format!("Bearer {text}"));
    let wire = Wire::new();
    let known = wire.know();
    let (without, with) = (known_head(known.placeholder()), known_head(&known.key));
    let trap = [b"PUT / HTTP/1.1\r\ncontent-length: 400\r\n\r\n", without.as_slice()].concat();
    let trap = [trap.clone(), vec![b'x'; 400 - without.len()]].concat();
    let mut wire = wire;
    for early in 0..without.len() + trap.len() {
        wire.encrypter = wire.aead.encrypter([1; 32].into(), [1; 12].into());
        let whole = [without.as_slice(), &trap].concat();
        let mut sent = wire.record(&[&whole[..early]]);
        wire.message(ContentType::Handshake, &[&[5, 0, 0, 0]]);
        wire.shake_on();
        sent.extend(wire.record(&[&whole[early..], &without]));
        // Only the scheme may be early.
        let begins = without.len() - "\r\n\r\n".len() - known.key.len();
        let first = if early <= begins { &with } else { &without };
        let expected = [first.as_slice(), &trap, &with].concat();
        assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(&expected), "{early}");
    }
}

#[test]
fn without_the_injector_nothing_is_put_in() {
    let mut wire = Wire::new();
    let known = wire.know();
    let request = head(&format!("Bearer {}", known.placeholder()));
    wire.table = Wire::new().table;
    assert_eq!(wire.record(&[&request]), request);
}
