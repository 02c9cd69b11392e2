//! The clock that the fake organization lives by: it stands still until a test moves it, or
//! runs with the system's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of a [`FakeOpenAi`](crate::FakeOpenAi): when keys were made, expire and were used.
///
/// Clones share the time, so that a test can hand one clock to the fake and to the code it tests.
/// It does not govern how long a fault hangs: that is real time.
///
/// ```
/// use std::time::Duration;
/// use keyward_testkit::FakeClock;
///
/// let clock = FakeClock::manual(1_790_000_000);
/// clock.clone().advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), 1_790_000_060);
/// ```
#[derive(Clone, Debug)]
pub struct FakeClock {
    time: Arc<Mutex<Time>>,
}

impl FakeClock {
    /// A clock that shows `unix_seconds` until it is advanced.
    #[must_use]
    pub fn manual(unix_seconds: u64) -> Self {
        Self::starting(Time::Manual(Duration::from_secs(unix_seconds)))
    }

    /// A clock that runs with the system's; advancing it puts it ahead.
    #[must_use]
    pub fn system() -> Self {
        Self::starting(Time::System { ahead: Duration::ZERO })
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        match &mut *self.time.lock().unwrap_or_else(PoisonError::into_inner) {
            Time::Manual(now) => *now += by,
            Time::System { ahead } => *ahead += by,
        }
    }

    /// Unix seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.precise().as_secs()
    }

    /// The time since the Unix epoch, to the nanosecond: caches last less than seconds.
    pub(super) fn precise(&self) -> Duration {
        match *self.time.lock().unwrap_or_else(PoisonError::into_inner) {
            Time::Manual(now) => now,
            Time::System { ahead } => system_time() + ahead,
        }
    }

    fn starting(time: Time) -> Self {
        Self { time: Arc::new(Mutex::new(time)) }
    }
}

#[derive(Debug)]
enum Time {
    Manual(Duration),
    System { ahead: Duration },
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that is injected")]
fn system_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_can_be_put_ahead() {
        let clock = FakeClock::system();
        let before = clock.now();
        clock.advance(Duration::from_secs(1000));
        assert!((before + 1000..before + 1060).contains(&clock.now()));
    }
}
