//! The cipher suites of an injector: those of rustls, each with a look at what is to be encrypted.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rustls::ContentType;
use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::{CipherSuiteCommon, ConnectionTrafficSecrets, SupportedCipherSuite, Tls13CipherSuite};

use super::answer::Answers;
use super::minted;
use super::request::Requests;
use super::table::Table;

/// The same cryptography with TLS 1.3 alone, whose suites put in the keys of this table.
///
/// rustls wants suites that live for ever, so a few hundred bytes are never freed; no key is among
/// them, because the suites hold the table weakly.
pub(super) fn wrap(cryptography: &CryptoProvider, table: &Arc<Table>) -> CryptoProvider {
    let cipher_suites = cryptography
        .cipher_suites
        .iter()
        .filter_map(SupportedCipherSuite::tls13)
        .map(|suite| SupportedCipherSuite::Tls13(Box::leak(Box::new(with_look(suite, table)))))
        .collect();
    CryptoProvider { cipher_suites, ..cryptography.clone() }
}

fn with_look(suite: &'static Tls13CipherSuite, table: &Arc<Table>) -> Tls13CipherSuite {
    Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: suite.common.suite,
            hash_provider: suite.common.hash_provider,
            confidentiality_limit: suite.common.confidentiality_limit,
        },
        hkdf_provider: suite.hkdf_provider,
        aead_alg: Box::leak(Box::new(Aead::new(suite.aead_alg, table))),
        // QUIC encrypts its packets in another way.
        quic: None,
    }
}

pub(super) struct Aead {
    inner: &'static dyn Tls13AeadAlgorithm,
    table: Weak<Table>,
}

/// What was sent on a connection whose keys are being replaced.
struct HandedOn {
    /// The suite that it is of.
    suite: usize,
    by: u64,
    requests: Requests,
}

thread_local! {
    /// rustls encrypts the last message with the old keys and asks for the new ones in one go.
    static HANDED_ON: Cell<Option<HandedOn>> = const { Cell::new(None) };
}

/// Nothing is handed on while the thread ends, and then nothing more is put in.
fn hand_on(it: Option<HandedOn>) -> Option<HandedOn> {
    HANDED_ON.try_with(|place| place.replace(it)).ok().flatten()
}

/// Tells encrypters apart.
static ENCRYPTERS: AtomicU64 = AtomicU64::new(0);

impl Aead {
    pub(super) fn new(inner: &'static dyn Tls13AeadAlgorithm, table: &Arc<Table>) -> Self {
        Self { inner, table: Arc::downgrade(table) }
    }

    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        let requests = match hand_on(None) {
            Some(it) if it.suite == self.id() => it.requests,
            _ => Requests::early(),
        };
        Box::new(Encrypter {
            inner: self.inner.encrypter(key, iv),
            table: Weak::clone(&self.table),
            suite: self.id(),
            id: ENCRYPTERS.fetch_add(1, Ordering::Relaxed),
            requests,
        })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        let inner = self.inner.decrypter(key, iv);
        Box::new(Decrypter { inner, table: Weak::clone(&self.table), answers: Answers::default() })
    }

    fn key_len(&self) -> usize {
        self.inner.key_len()
    }

    /// Whoever had the secrets of a connection could encrypt past the look, as the kernel does.
    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }

    fn fips(&self) -> bool {
        self.inner.fips()
    }
}

struct Encrypter {
    inner: Box<dyn MessageEncrypter>,
    table: Weak<Table>,
    suite: usize,
    id: u64,
    requests: Requests,
}

/// The message that ends early data, after which come the keys of the handshake (RFC 8446, section
/// 4.5).
const END_OF_EARLY_DATA: [u8; 4] = [5, 0, 0, 0];

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        // Nobody took it: the next keys come after another message.
        if let Some(it) = hand_on(None)
            && it.by == self.id
        {
            self.requests = it.requests;
        }
        if message.typ == ContentType::ApplicationData {
            return self.encrypt_data(message, seq);
        }
        if message.typ == ContentType::Handshake {
            // After each the keys can be others. Behind the client's `Finished`, which no message
            // tells as the last of its record's several, they are those of application data; so
            // are they behind a `KeyUpdate`.
            let mut requests = std::mem::replace(&mut self.requests, Requests::early());
            if message.payload.to_vec() != END_OF_EARLY_DATA {
                requests.begin();
            }
            hand_on(Some(HandedOn { suite: self.suite, by: self.id, requests }));
        }
        self.inner.encrypt(message, seq)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

impl Encrypter {
    fn encrypt_data(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        // Without the injector there are no keys, and never will be.
        let Some(table) = self.table.upgrade() else {
            return self.inner.encrypt(message, seq);
        };
        let single;
        let mut several;
        let record: &[&[u8]] = match message.payload {
            OutboundChunks::Single(chunk) => {
                single = [chunk];
                &single
            }
            OutboundChunks::Multiple { chunks, start, end } => {
                several = Vec::with_capacity(chunks.len());
                cut(chunks, start, end, &mut several);
                &several
            }
        };
        let splices = self.requests.read(record, &table);
        let sealed = match (&splices[..], record) {
            ([], _) => self.inner.encrypt(message, seq),
            ([splice], [record]) => {
                let key = splice.entry.key(splice.form);
                let payload =
                    [&record[..splice.at.start], splice.of(&key), &record[splice.at.end..]];
                let payload = OutboundChunks::new(&payload);
                self.inner.encrypt(OutboundPlainMessage { payload, ..message }, seq)
            }
            (splices, record) => {
                let keys: Vec<_> = splices.iter().map(|it| it.entry.key(it.form)).collect();
                let mut chunks = Vec::with_capacity(record.len() + 2 * splices.len());
                let mut done = 0;
                for (splice, key) in splices.iter().zip(&keys) {
                    cut(record, done, splice.at.start, &mut chunks);
                    chunks.push(splice.of(key));
                    done = splice.at.end;
                }
                cut(record, done, usize::MAX, &mut chunks);
                let payload = OutboundChunks::new(&chunks);
                self.inner.encrypt(OutboundPlainMessage { payload, ..message }, seq)
            }
        };
        self.requests.take_back(splices);
        sealed
    }
}

struct Decrypter {
    inner: Box<dyn MessageDecrypter>,
    table: Weak<Table>,
    answers: Answers,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let Some(table) = self.table.upgrade() else { return self.inner.decrypt(message, seq) };
        // In rustls's own buffer, where keys are replaced before anybody reads on.
        let buffer = message.payload.as_ptr().addr();
        let opaque = InboundOpaqueMessage::new(message.typ, message.version, &mut message.payload);
        let plain = self.inner.decrypt(opaque, seq)?;
        let start = plain.payload.as_ptr().addr().wrapping_sub(buffer);
        let (typ, version, len) = (plain.typ, plain.version, plain.payload.len());
        let at = if len == 0 { 0..0 } else { start..start.saturating_add(len) };
        let Some(record) = message.payload.get_mut(at.clone()) else {
            return Err(Error::General("the cipher suite does not decrypt in place".to_owned()));
        };
        (message.typ, message.version) = (typ, version);
        if typ == ContentType::ApplicationData {
            if table.caught.is_on() {
                minted::take_from(record, &table);
            }
            self.answers.read(record, &table);
        }
        Ok(message.into_plain_message_range(at))
    }
}

/// Adds the part of these slices from `start` to `end`.
fn cut<'a>(slices: &[&'a [u8]], start: usize, end: usize, parts: &mut Vec<&'a [u8]>) {
    let mut base = 0;
    for slice in slices {
        let from = start.clamp(base, base + slice.len()) - base;
        let to = end.clamp(base, base + slice.len()) - base;
        if from < to {
            parts.push(&slice[from..to]);
        }
        base += slice.len();
    }
}
