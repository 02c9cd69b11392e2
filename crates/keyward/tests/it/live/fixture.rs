//! A source that does as it is told, and a clock that a test moves.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use keyward::{
    ApiKey, Clock, KeyFingerprint, KeyLoader, KeySource, LiveKey, LiveKeyBuilder, LoadError,
    LoadErrorKind, LoadedKey, NarrowedKey, SourceSignature, Timestamp,
};
use tokio::time::Instant;

pub(super) use crate::fixture::{NOW, secret};

/// What a source answers.
#[derive(Clone)]
pub(super) enum Answer {
    Key(String, Option<Timestamp>),
    Fails(LoadErrorKind),
    Panics,
}

/// A source that answers as it was told last, after a while, and counts.
#[derive(Clone)]
pub(super) struct Source(Arc<Inner>);

struct Inner {
    answer: Mutex<Answer>,
    delay: Mutex<Duration>,
    begun: AtomicU64,
    ended: AtomicU64,
    looks: Mutex<Option<u64>>,
    look: Mutex<Duration>,
}

impl Source {
    pub(super) fn new(answer: Answer) -> Self {
        Self(Arc::new(Inner {
            answer: Mutex::new(answer),
            delay: Mutex::default(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            looks: Mutex::default(),
            look: Mutex::default(),
        }))
    }

    pub(super) fn of(key: &str) -> Self {
        Self::new(Answer::Key(key.to_owned(), None))
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    pub(super) fn has(&self, key: &str) {
        self.answers(Answer::Key(key.to_owned(), None));
    }

    pub(super) fn has_until(&self, key: &str, seconds: i64) {
        self.answers(Answer::Key(key.to_owned(), Some(after(seconds))));
    }

    pub(super) fn fails(&self, kind: LoadErrorKind) {
        self.answers(Answer::Fails(kind));
    }

    pub(super) fn takes(&self, delay: Duration) {
        *self.0.delay.lock().unwrap() = delay;
    }

    /// Looks so from outside, from now on.
    pub(super) fn looks(&self, like: u64) {
        *self.0.looks.lock().unwrap() = Some(like);
    }

    /// How long a look takes, from now on.
    pub(super) fn looks_for(&self, time: Duration) {
        *self.0.look.lock().unwrap() = time;
    }

    pub(super) fn loads(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    pub(super) fn loads_ended(&self) -> u64 {
        self.0.ended.load(Ordering::SeqCst)
    }

    /// Whether somebody still holds the loader.
    pub(super) fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl KeyLoader for Source {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let delay = *self.0.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // Read at the end: what a source has when it answers.
        let answer = self.0.answer.lock().unwrap().clone();
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        match answer {
            Answer::Key(text, expires_at) => {
                let key = ApiKey::parse(text).unwrap();
                Ok(LoadedKey::new(key, self.source()).expires_at(expires_at))
            }
            Answer::Fails(kind) => Err(LoadError::new(kind, self.source(), "it failed", "mend it")),
            Answer::Panics => panic!("a loader that is broken"),
        }
    }

    fn source(&self) -> KeySource {
        KeySource::new("scripted", "source")
    }

    async fn signature(&self) -> Option<SourceSignature> {
        let time = *self.0.look.lock().unwrap();
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.0.looks.lock().unwrap().map(SourceSignature::of)
    }
}

/// A wall clock that goes with tokio's, from [`NOW`] on, and can be set.
#[derive(Clone)]
pub(super) struct WallClock {
    begun: Instant,
    offset: Arc<AtomicI64>,
}

impl WallClock {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), offset: Arc::default() }
    }

    pub(super) fn jump(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> SystemTime {
        let offset = self.offset.load(Ordering::SeqCst) + NOW.as_unix_seconds();
        SystemTime::UNIX_EPOCH
            + Duration::from_secs(u64::try_from(offset).unwrap())
            + self.begun.elapsed()
    }

    pub(super) fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::from_fn(move || clock.now())
    }
}

pub(super) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.as_unix_seconds() + seconds)
}

pub(super) fn project(source: &Source) -> LiveKeyBuilder {
    LiveKey::project(source.clone(), keyward::KeyPolicy::standard())
        .with_clock(WallClock::new().clock())
}

pub(crate) fn print_of(key: &str) -> KeyFingerprint {
    ApiKey::parse(key.to_owned()).unwrap().fingerprint()
}

pub(super) fn in_use<K: NarrowedKey>(live: &LiveKey<K>) -> Option<KeyFingerprint> {
    live.current().ok().map(|key| key.as_api_key().fingerprint())
}

/// Lets so much of tokio's time pass, and whatever is due in it happen.
pub(super) async fn pass(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

pub(super) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
