//! [`Table`]: the keys that can be put in, by what stands for them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward_core::{ApiKey, KeyFingerprint};
use rustls::crypto::SecureRandom;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::minted::Caught;
use super::{WireError, WireErrorKind, huffman, placeholder};

/// What stands in front of the key in the value of `Authorization`.
pub(super) const SCHEME: &[u8] = b"Bearer ";

/// How long a key can still be put in after the last header value with its placeholder is gone: an
/// HTTP stack drops the header once it has written it into its buffer, and not once that is sent.
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
    /// When the last of them was made or dropped, in milliseconds of the table's clock.
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
            Form::Coded => KeyBytes::Coded(huffman::encode(text)),
            Form::Plain => KeyBytes::Plain(text),
        }
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.store(elapsed, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        self.values.load(Ordering::Acquire) == 0
            && self.epoch.elapsed().saturating_sub(used) >= LINGER
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.key).finish()
    }
}

/// The bytes of a key in one of its forms.
pub(super) enum KeyBytes<'a> {
    Coded(Zeroizing<Vec<u8>>),
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
pub(super) struct Value(Arc<Entry>);

impl Value {
    fn new(entry: Arc<Entry>) -> Self {
        entry.values.fetch_add(1, Ordering::AcqRel);
        entry.touch();
        Self(entry)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.touch();
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
    pub(super) caught: Caught,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<KeyFingerprint, Arc<Entry>>,
    /// Sorted by their values in this form, so that the ones that begin alike stand together.
    plain: Vec<Arc<Entry>>,
    coded: Vec<Arc<Entry>>,
    swept: Duration,
}

impl Table {
    pub(super) fn new(random: &'static dyn SecureRandom) -> Self {
        Self { random, epoch: Instant::now(), entries: Mutex::default(), caught: Caught::default() }
    }

    /// What stands for this key, the same as before if it is still known.
    pub(super) fn value(&self, key: &ApiKey) -> Result<Value, WireError> {
        let mut entries = self.entries();
        entries.sweep(self.epoch.elapsed());
        if let Some(entry) = entries.by_key.get(&key.fingerprint())
            && entry.key == *key
        {
            return Ok(Value::new(Arc::clone(entry)));
        }
        let entry = Arc::new(self.entry(key, &entries)?);
        entries.insert(&entry);
        Ok(Value::new(entry))
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
            coded: huffman::encode(&plain).as_slice().into(),
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
        placeholder::generate(text.len(), huffman::bits(text).div_ceil(8), taken, &random)
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
        let mut entries = self.entries();
        entries.sweep(self.epoch.elapsed());
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

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that panics runs under the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, entry: &Arc<Entry>) {
        for form in [Form::Coded, Form::Plain] {
            let sorted = match form {
                Form::Coded => &mut self.coded,
                Form::Plain => &mut self.plain,
            };
            let at = sorted.partition_point(|other| other.value(form) < entry.value(form));
            sorted.insert(at, Arc::clone(entry));
        }
        self.by_key.insert(entry.key.fingerprint(), Arc::clone(entry));
    }

    /// Forgets the keys that are over; looks once a second.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept) < Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        self.by_key.retain(|_, entry| !entry.is_over());
        self.plain.retain(|entry| !entry.is_over());
        self.coded.retain(|entry| !entry.is_over());
    }
}

/// How many keys there are.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("keys", &self.entries().plain.len()).finish_non_exhaustive()
    }
}
