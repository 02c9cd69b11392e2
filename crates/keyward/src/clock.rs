//! [`Clock`]: what time it is, given from outside.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// What time of the day it is: the system's clock, unless a test gives another.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use keyward::Clock;
///
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
/// let clock = Clock::from_fn(move || noon);
/// assert_eq!(clock.now(), noon);
/// ```
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that shows what a function says.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        #[allow(clippy::disallowed_methods, reason = "the one read of the system's clock")]
        self.0.as_ref().map_or_else(SystemTime::now, |now| now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(from_fn)" } else { "Clock(system)" })
    }
}
