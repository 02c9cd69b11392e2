//! [`Keeper`]: what a handle knows of its key, and what it decides on each load. It reads no clock
//! and does no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use keyward_core::{KeyFingerprint, KeyKind, KeyPolicy, KeySource, Protection, Timestamp};
use tokio::time::Instant;

use super::{Health, KeyInUse, KeyUnavailable, LiveError, NarrowedKey};
use crate::{Attempt, AttemptOutcome, Clock, LoadedKey};

/// What the application has decided.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: KeyPolicy,
    pub(super) clock: Clock,
    pub(super) refresh_every: Duration,
    pub(super) refresh_ahead: Duration,
    pub(super) stale_for: Duration,
    pub(super) load_within: Duration,
    pub(super) reject_window: Duration,
    pub(super) allow_fall_back: bool,
    pub(super) watch: bool,
}

impl Settings {
    pub(super) fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: self.clock.now() }
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

/// What a load came to that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is the key that is in use.
    Confirmed,
    /// It is another, and is in use from now on.
    Taken,
}

/// Whether somebody who reports a rejection has to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rejection {
    /// No: whether another key is in use.
    Answered(bool),
    /// For the end of this load.
    Awaits(u64),
}

/// What is known beside the key itself.
pub(super) struct Keeper {
    used: Result<Used, KeyUnavailable>,
    /// The first place in its chain where the key stood that was taken last.
    place: Option<(Vec<usize>, KeySource)>,
    /// Every key that was in use, and its end: some sixty bytes for each rotation.
    known: BTreeMap<KeyFingerprint, Option<End>>,
    /// Those of them that were rejected.
    rejected: BTreeSet<KeyFingerprint>,
    last_error: Option<(Timestamp, LiveError)>,
    attempts: Vec<Attempt>,
    loads: u64,
    failures: u32,
    /// How many of the loads are done.
    done: u64,
    asked: Option<Asked>,
}

/// For the rejection of which key the source was asked last, when, and by which load.
struct Asked {
    fingerprint: KeyFingerprint,
    at: Instant,
    load: u64,
}

struct Used {
    source: KeySource,
    kind: KeyKind,
    fingerprint: KeyFingerprint,
    protection: Protection,
    version: Option<String>,
    expires_at: Option<Timestamp>,
    since: Instant,
    confirmed: Instant,
    end: Option<End>,
    /// How long it had to live when it was taken.
    life: Option<Duration>,
    /// When its source would have it loaded anew.
    refresh: Option<Instant>,
    is_fall_back: bool,
}

/// When a key goes out of use. Both clocks are believed, so that one that is set back does not
/// prolong a life.
#[derive(Clone, Copy)]
struct End {
    instant: Instant,
    wall: SystemTime,
    why: KeyUnavailable,
}

/// A key goes out of use so long before its end: timers are late, and a request takes its time.
const MARGIN: Duration = Duration::from_millis(500);

/// The first wait after a failure, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Keeper {
    pub(super) fn new() -> Self {
        Self {
            used: Err(KeyUnavailable::Stale),
            place: None,
            known: BTreeMap::new(),
            rejected: BTreeSet::new(),
            last_error: None,
            attempts: Vec::new(),
            loads: 0,
            failures: 0,
            done: 0,
            asked: None,
        }
    }

    /// Counts a load that begins, and tells its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.loads += 1;
        self.loads
    }

    /// Decides on what was loaded, and yields the key if it is the one to use.
    pub(super) fn finish<K: NarrowedKey>(
        &mut self,
        loaded: Result<LoadedKey, LiveError>,
        settings: &Settings,
        now: Now,
    ) -> (Option<K>, Result<Verdict, LiveError>) {
        self.done = self.loads;
        let (key, verdict) = match loaded.and_then(|loaded| {
            self.attempts = loaded.attempts().to_vec();
            self.judge::<K>(&loaded, settings, now)
        }) {
            Ok((key, verdict)) => {
                let print = key.as_api_key().fingerprint();
                let again = self.rejected.contains(&print);
                let source = || self.used.as_ref().map(|used| used.source.clone());
                match source() {
                    // It stays, for want of another; that is no success.
                    Ok(source) if again => (Some(key), Err(LiveError::rejected(source, print))),
                    _ => (Some(key), Ok(verdict)),
                }
            }
            Err(error) => (None, Err(error)),
        };
        match &verdict {
            Ok(_) => {
                self.failures = 0;
                self.last_error = None;
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if let Some(error) = error.load_error() {
                    self.attempts = error.attempts().to_vec();
                }
                self.last_error = Some((now.wall.into(), error.clone()));
            }
        }
        (key, verdict)
    }

    fn judge<K: NarrowedKey>(
        &mut self,
        loaded: &LoadedKey,
        settings: &Settings,
        now: Now,
    ) -> Result<(K, Verdict), LiveError> {
        let source = &loaded.source;
        let fingerprint = loaded.key.fingerprint();
        let is_same = self.used.as_ref().is_ok_and(|used| used.fingerprint == fingerprint);
        if !is_same && self.rejected.contains(&fingerprint) {
            return Err(LiveError::rejected(source.clone(), fingerprint));
        }
        if let Ok(used) = &mut self.used
            && is_same
        {
            // Also where the policy would not take it any more: it is used to its end then.
            used.confirmed = now.instant;
        }
        let place = position(loaded);
        let is_fall_back = match (&place, &self.place) {
            (Some(place), Some((before, first))) if !is_same && place > before => {
                if !settings.allow_fall_back {
                    return Err(LiveError::fall_back(source.clone(), first.clone()));
                }
                true
            }
            _ => is_same && self.used.as_ref().is_ok_and(|used| used.is_fall_back),
        };
        let now = self.not_before(now, fingerprint, End::at(loaded, &settings.policy));
        let key = loaded
            // As it will be when a key that ends then goes out of use: one that has just gone out is
            // not taken again.
            .admit(&settings.policy, (now.wall + MARGIN).into())
            .and_then(K::narrow)
            .map_err(|refusal| LiveError::refused(source.clone(), fingerprint, refusal))?;
        let end = End::of(loaded, &settings.policy, now);
        let left = end.map(|end| end.instant.saturating_duration_since(now.instant));
        let (since, life) = match &self.used {
            Ok(used) if is_same => (used.since, used.life.or(left)),
            _ => (now.instant, left),
        };
        self.used = Ok(Used {
            source: source.clone(),
            kind: loaded.key.kind(),
            fingerprint,
            protection: loaded.key.protection(),
            version: loaded.version.clone(),
            expires_at: loaded.expires_at,
            since,
            confirmed: now.instant,
            end,
            life,
            refresh: loaded.refresh_at.and_then(|at| {
                let wait = at.saturating_since(now.wall.into());
                now.instant.checked_add(wait)
            }),
            is_fall_back,
        });
        // The same key in a later source moves nothing: what comes to stand there next is older yet.
        let is_later = matches!((&place, &self.place), (Some(p), Some((first, _))) if p > first);
        if !(is_same && is_later) {
            self.place = place.map(|place| (place, source.clone()));
        }
        self.known.insert(fingerprint, end);
        Ok((key, if is_same { Verdict::Confirmed } else { Verdict::Taken }))
    }

    /// This moment, as it is told for a key that ends then: a wall clock that was set back since the
    /// key was first in use gives it no second life.
    fn not_before(
        &self,
        now: Now,
        key: KeyFingerprint,
        ends: Option<(SystemTime, KeyUnavailable)>,
    ) -> Now {
        let Some(Some(known)) = self.known.get(&key) else {
            return now;
        };
        if ends.is_none_or(|(at, _)| at.checked_sub(MARGIN) != Some(known.wall)) {
            return now;
        }
        let left = known.instant.saturating_duration_since(now.instant);
        let past = now.instant.saturating_duration_since(known.instant);
        let wall = known.wall.checked_add(past).and_then(|wall| wall.checked_sub(left));
        Now { wall: wall.map_or(now.wall, |wall| wall.max(now.wall)), ..now }
    }

    /// Takes the key out of use if it is over, and tells why.
    pub(super) fn retire(&mut self, settings: &Settings, now: Now) -> Option<KeyUnavailable> {
        let used = self.used.as_ref().ok()?;
        let is_over = |end: &End| now.instant >= end.instant || now.wall >= end.wall;
        let why = match used.end {
            Some(end) if is_over(&end) => end.why,
            _ if now.instant.duration_since(used.confirmed) >= settings.stale_for => {
                KeyUnavailable::Stale
            }
            _ => return None,
        };
        self.used = Err(why);
        Some(why)
    }

    /// Takes the key out of use for good.
    pub(super) fn end(&mut self) {
        self.used = Err(KeyUnavailable::Ended);
    }

    /// When the key is over, as the clocks are now.
    pub(super) fn next_end(&self, settings: &Settings, now: Now) -> Option<Instant> {
        let used = self.used.as_ref().ok()?;
        let stale = used.confirmed.checked_add(settings.stale_for);
        let end = used.end.map(|end| {
            let by_wall = end.wall.duration_since(now.wall).unwrap_or_default();
            now.instant.checked_add(by_wall).map_or(end.instant, |wall| wall.min(end.instant))
        });
        [stale, end].into_iter().flatten().min()
    }

    /// When to load next, if nothing happens until then. `random` is from 0 to 1.
    pub(super) fn next_load(&self, settings: &Settings, now: Now, random: f64) -> Instant {
        let sooner = |wait: Duration, part: f64| wait.min(FAR).mul_f64(1.0 - part * random);
        let wait = if self.failures > 0 {
            let doubled = BACK_OFF.0.saturating_mul(1 << (self.failures - 1).min(16));
            let wait = sooner(doubled.min(BACK_OFF.1).min(settings.refresh_every), 0.2);
            if self.is_rejected() { wait.max(settings.reject_window) } else { wait }
        } else {
            let every = sooner(settings.refresh_every, 0.1);
            match (self.until_told(now), self.until_refresh(settings, now, random)) {
                (Some(wait), _) => sooner(wait, 0.1),
                (None, Some((wait, earliest))) => every.min(sooner(wait, 0.1).max(earliest)),
                (None, None) => every,
            }
        };
        now.instant.checked_add(wait).unwrap_or(now.instant + FAR)
    }

    /// How long until its source would have it loaded anew. Nothing once that is past: then the
    /// source has answered the same again.
    fn until_told(&self, now: Now) -> Option<Duration> {
        let at = self.used.as_ref().ok()?.refresh?;
        Some(at.saturating_duration_since(now.instant)).filter(|wait| *wait >= BACK_OFF.0)
    }

    /// How long until a key that expires is loaded anew, and how long until it may be at the
    /// earliest: when four fifths of its life are over, and not for all of a fleet at once.
    fn until_refresh(
        &self,
        settings: &Settings,
        now: Now,
        random: f64,
    ) -> Option<(Duration, Duration)> {
        let used = self.used.as_ref().ok()?;
        let left = used.end?.instant.saturating_duration_since(now.instant);
        let life = used.life.unwrap_or(left).min(FAR);
        let wait = match left.checked_sub(settings.refresh_ahead.min(life / 5)) {
            Some(wait) if wait >= BACK_OFF.0 => wait,
            // It was loaded anew, and the source still has the same; or it lives for a moment only.
            _ => return Some(((left / 4).clamp(BACK_OFF.0, BACK_OFF.1), Duration::ZERO)),
        };
        let last_fifth = left.saturating_sub(life / 5);
        Some((wait, last_fifth.saturating_add((life / 50).mul_f64(random))))
    }

    /// Notes a rejection, and tells whether it is the first of a key that was in use.
    pub(super) fn note_rejection(&mut self, fingerprint: &KeyFingerprint) -> bool {
        self.known.contains_key(fingerprint) && self.rejected.insert(*fingerprint)
    }

    /// What whoever reports a rejection has to wait for.
    pub(super) fn reject(
        &mut self,
        fingerprint: &KeyFingerprint,
        settings: &Settings,
        now: Instant,
    ) -> Rejection {
        if self.has_another(fingerprint) || self.used.is_err() {
            return Rejection::Answered(self.used.is_ok());
        }
        if let Some(asked) = self.asked.as_ref().filter(|asked| asked.fingerprint == *fingerprint) {
            if asked.load > self.done {
                return Rejection::Awaits(asked.load);
            }
            if now.duration_since(asked.at) < settings.reject_window {
                return Rejection::Answered(false);
            }
        }
        // One that begins from now on: what is under way may have read the source before.
        let load = self.loads + 1;
        self.asked = Some(Asked { fingerprint: *fingerprint, at: now, load });
        Rejection::Awaits(load)
    }

    /// Whether somebody waits for a load that has not begun.
    pub(super) fn is_awaited(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.load > self.loads)
    }

    /// Whether somebody waits for the load that is under way.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.load > self.done && asked.load <= self.loads)
    }

    /// Whether a key is in use.
    pub(super) fn has_one(&self) -> bool {
        self.used.is_ok()
    }

    /// Whether a key is in use that is another than this.
    pub(super) fn has_another(&self, fingerprint: &KeyFingerprint) -> bool {
        self.used.as_ref().is_ok_and(|used| used.fingerprint != *fingerprint)
    }

    pub(super) fn health(&self, now: Instant) -> Health {
        Health {
            in_use: self.used.as_ref().map_err(|why| *why).map(|used| KeyInUse {
                source: used.source.clone(),
                kind: used.kind,
                fingerprint: used.fingerprint,
                protection: used.protection,
                version: used.version.clone(),
                expires_at: used.expires_at,
                age: now.duration_since(used.since),
                confirmed: now.duration_since(used.confirmed),
                is_rejected: self.is_rejected(),
                is_fall_back: used.is_fall_back,
            }),
            last_error: self.last_error.clone(),
            attempts: self.attempts.clone(),
            loads: self.loads,
            failures: self.failures,
        }
    }

    fn is_rejected(&self) -> bool {
        self.used.as_ref().is_ok_and(|used| self.rejected.contains(&used.fingerprint))
    }
}

impl End {
    fn of(loaded: &LoadedKey, policy: &KeyPolicy, now: Now) -> Option<Self> {
        let (at, why) = Self::at(loaded, policy)?;
        let left = at.duration_since(now.wall).unwrap_or_default();
        let instant = now.instant.checked_add(left.saturating_sub(MARGIN))?;
        Some(Self { instant, wall: at.checked_sub(MARGIN)?, why })
    }

    /// The expiry, or the end of the exception that admits the key, whichever is first.
    fn at(loaded: &LoadedKey, policy: &KeyPolicy) -> Option<(SystemTime, KeyUnavailable)> {
        let exception = policy
            .legacy_user_key_exception()
            .filter(|_| loaded.key.kind() == KeyKind::LegacyUser)
            .map(|exception| (exception.until(), KeyUnavailable::ExceptionClosed));
        let expiry = loaded.expires_at.map(|at| (at, KeyUnavailable::Expired));
        let (at, why) = [exception, expiry].into_iter().flatten().min_by_key(|(at, _)| *at)?;
        let seconds = u64::try_from(at.as_unix_seconds()).unwrap_or(0);
        Some((SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?, why))
    }
}

/// A moment that does not come, and that a timer can be set to.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Where in its chain the loader stands that had the key.
fn position(loaded: &LoadedKey) -> Option<Vec<usize>> {
    let mut attempts = loaded.attempts().iter();
    let had_it = attempts.find(|attempt| attempt.outcome() == AttemptOutcome::Loaded)?;
    Some(had_it.position().to_vec())
}
