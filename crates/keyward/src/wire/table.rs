//! [`Table`]: the keys that can be put in, by what stands for them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use keyward_core::{ApiKey, KeyFingerprint, KeyKind};
use rustls::crypto::SecureRandom;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::minted::Caught;
use super::{WireError, WireErrorKind, huffman, placeholder};

/// What stands in front of the key in the value of `Authorization`.
pub(super) const SCHEME: &[u8] = b"Bearer ";

/// How long a key can still be put in after the last header value with its placeholder is gone: an
/// HTTP stack drops the header once it has written it into its buffer, and not once that is sent.
/// It comes twice, because the table's own header value, which spares making one for each request,
/// is dropped after as long without a request.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// The form of a header's value on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// By the Huffman code of HTTP/2.
    Coded,
    Plain,
}

impl Form {
    /// The scheme in this form. Coded it fills whole octets, so what follows begins with one.
    pub(super) fn scheme(self) -> &'static [u8] {
        match self {
            Self::Coded => &[0xba, 0x51, 0xd8, 0x5b, 0x14],
            Self::Plain => SCHEME,
        }
    }
}

/// A key, and the text that stands for it.
pub(super) struct Entry {
    key: ApiKey,
    /// The value of the header with the placeholder in the place of the key; no secret.
    plain: Box<[u8]>,
    coded: Box<[u8]>,
    /// How many header values there are.
    values: AtomicUsize,
    /// When it was asked for last, or the last of them was dropped, in milliseconds of the table's clock.
    used: AtomicU64,
    epoch: Instant,
}

impl Entry {
    /// The header's value with the placeholder.
    pub(super) fn value(&self, form: Form) -> &[u8] {
        match form {
            Form::Coded => &self.coded,
            Form::Plain => &self.plain,
        }
    }

    /// Hands out the key as it goes on the wire; coded, in a buffer that is wiped on drop.
    pub(super) fn key(&self, form: Form) -> KeyBytes<'_> {
        // EXPOSE: the door into the `Authorization` header of a request, on its way into the
        // cipher of a connection to a host that the policy has admitted.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = self.key.expose_secret().as_bytes();
        match form {
            Form::Coded => {
                let octets = self.coded.len() - form.scheme().len();
                KeyBytes::Coded(huffman::encode_to(text, octets))
            }
            Form::Plain => KeyBytes::Plain(text),
        }
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// How many bits the coded form of the key has, as that of its placeholder has.
    pub(super) fn bits(&self) -> usize {
        huffman::bits(&self.plain[SCHEME.len()..])
    }

    fn touch(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.used.store(now, Ordering::Relaxed);
    }

    fn is_idle(&self, now: Duration) -> bool {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        now.saturating_sub(used) >= LINGER
    }

    fn is_over(&self, now: Duration) -> bool {
        self.values.load(Ordering::Acquire) == 0 && self.is_idle(now)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.key).finish()
    }
}

/// The bytes of a key in one of its forms.
pub(super) enum KeyBytes<'a> {
    Coded(Zeroizing<Box<[u8]>>),
    Plain(&'a [u8]),
}

impl AsRef<[u8]> for KeyBytes<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Coded(bytes) => bytes,
            Self::Plain(bytes) => bytes,
        }
    }
}

/// What a header value owns: its text, and the claim that the key can be put in.
struct Value(Arc<Entry>);

impl Value {
    fn new(entry: &Arc<Entry>) -> Self {
        entry.values.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.touch(self.0.epoch.elapsed());
        self.0.values.fetch_sub(1, Ordering::AcqRel);
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0.plain
    }
}

/// The keys that can be put in on the connections of one injector.
pub(super) struct Table {
    random: &'static dyn SecureRandom,
    epoch: Instant,
    entries: Mutex<Entries>,
    /// How many bits the shortest of all coded keys has that there ever were.
    least_bits: AtomicUsize,
    pub(super) caught: Caught,
}

#[derive(Default)]
struct Entries {
    by_key: BTreeMap<KeyFingerprint, Known>,
    /// Sorted by their values in this form, so that the ones that begin alike stand together.
    plain: Vec<Arc<Entry>>,
    coded: Vec<Arc<Entry>>,
    swept: Duration,
}

/// A key, and a header value that is at hand while the key is in use.
struct Known {
    entry: Arc<Entry>,
    value: Option<HeaderValue>,
}

impl Known {
    fn value(&mut self, now: Duration) -> HeaderValue {
        self.entry.touch(now);
        self.value.get_or_insert_with(|| sensitive(Value::new(&self.entry))).clone()
    }
}

fn sensitive(value: Value) -> HeaderValue {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .expect("a placeholder consists of letters, digits, `-` and `_`");
    value.set_sensitive(true);
    value
}

impl Table {
    pub(super) fn new(random: &'static dyn SecureRandom, caught: Caught) -> Self {
        Self {
            random,
            epoch: Instant::now(),
            entries: Mutex::default(),
            least_bits: AtomicUsize::new(usize::MAX),
            caught,
        }
    }

    /// What stands for this key, the same as before if it is still known.
    pub(super) fn value(&self, key: &ApiKey) -> Result<HeaderValue, WireError> {
        let now = self.epoch.elapsed();
        let mut entries = self.entries();
        entries.sweep(now);
        if let Some(known) = entries.by_key.get_mut(&key.fingerprint())
            && is_same(&known.entry.key, key)
        {
            return Ok(known.value(now));
        }
        let entry = Arc::new(self.entry(key, &entries)?);
        self.least_bits.fetch_min(entry.bits(), Ordering::Relaxed);
        Ok(entries.insert(entry, now))
    }

    fn entry(&self, key: &ApiKey, others: &Entries) -> Result<Entry, WireError> {
        // EXPOSE: its two lengths alone are taken.
        #[allow(clippy::disallowed_methods, reason = "the marked door")]
        let text = key.expose_secret().as_bytes();
        let taken = |first| others.plain.iter().any(|e| e.plain[SCHEME.len()] == first);
        let placeholder = self.placeholder(text, &taken)?;
        let plain: Box<[u8]> = [SCHEME, &placeholder].concat().into();
        Ok(Entry {
            key: key.clone(),
            coded: huffman::encode(&plain).as_ref().into(),
            plain,
            values: AtomicUsize::new(0),
            used: AtomicU64::new(0),
            epoch: self.epoch,
        })
    }

    /// What can stand for this text elsewhere than in a header.
    pub(super) fn stand_in(&self, text: &[u8]) -> Result<Vec<u8>, WireError> {
        self.placeholder(text, &|_| false)
    }

    fn placeholder(&self, text: &[u8], taken: &dyn Fn(u8) -> bool) -> Result<Vec<u8>, WireError> {
        let random = |bytes: &mut [u8]| {
            self.random.fill(bytes).map_err(|_| WireError::new(WireErrorKind::NoRandom))
        };
        placeholder::generate(text.len(), huffman::bits(text), taken, &random)
    }

    /// The one entry whose value, from `offset` on, goes on with these bytes; none if there are
    /// several. `whole` is the value's length, where it is known.
    pub(super) fn find(
        &self,
        form: Form,
        offset: usize,
        bytes: &[u8],
        whole: Option<usize>,
    ) -> Option<Arc<Entry>> {
        let entries = self.entries();
        let sorted = match form {
            Form::Coded => &entries.coded,
            Form::Plain => &entries.plain,
        };
        // All begin with the scheme, and `offset` lies no further than its end.
        let start = sorted.partition_point(|entry| &entry.value(form)[offset..] < bytes);
        let mut matching = sorted[start..]
            .iter()
            .take_while(|entry| entry.value(form)[offset..].starts_with(bytes))
            .filter(|entry| whole.is_none_or(|whole| entry.value(form).len() == whole));
        let first = matching.next()?;
        matching.next().is_none().then(|| Arc::clone(first))
    }

    /// A header block of fewer bits has no coded key.
    pub(super) fn least_bits(&self) -> usize {
        self.least_bits.load(Ordering::Relaxed)
    }

    /// All that there are now.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries().plain.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that panics runs under the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, entry: Arc<Entry>, now: Duration) -> HeaderValue {
        for form in [Form::Coded, Form::Plain] {
            let sorted = match form {
                Form::Coded => &mut self.coded,
                Form::Plain => &mut self.plain,
            };
            let at = sorted.partition_point(|other| other.value(form) < entry.value(form));
            sorted.insert(at, Arc::clone(&entry));
        }
        let fingerprint = entry.key.fingerprint();
        let mut known = Known { entry, value: None };
        let value = known.value(now);
        self.by_key.insert(fingerprint, known);
        value
    }

    /// Forgets the keys that are over; looks once a second.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept) < Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        for known in self.by_key.values_mut().filter(|known| known.entry.is_idle(now)) {
            known.value = None;
        }
        self.by_key.retain(|_, known| !known.entry.is_over(now));
        self.plain.retain(|entry| !entry.is_over(now));
        self.coded.retain(|entry| !entry.is_over(now));
    }
}

/// Whether two keys are the same; at once if they share their text, as clones do.
fn is_same(a: &ApiKey, b: &ApiKey) -> bool {
    // EXPOSE: the addresses alone are looked at.
    #[allow(clippy::disallowed_methods, reason = "the marked door")]
    let is_shared = std::ptr::eq(a.expose_secret(), b.expose_secret());
    is_shared || a == b
}

/// How many keys there are.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("keys", &self.entries().plain.len()).finish_non_exhaustive()
    }
}
