//! [`Timestamp`]: a moment, given from outside. Nothing in this crate reads a clock.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A moment in whole unix seconds, as the Admin API speaks of time.
///
/// It is shown and read in RFC 3339 (`2026-11-20T00:00:00Z`); a bare date is its first second, in
/// UTC.
///
/// ```
/// use keyward_core::Timestamp;
///
/// let date: Timestamp = "2026-12-31".parse()?;
/// assert_eq!(date.to_string(), "2026-12-31T00:00:00Z");
/// assert_eq!(date.as_unix_seconds(), 1_798_675_200);
/// # Ok::<(), keyward_core::InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment this many seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_unix_seconds(self) -> i64 {
        self.0
    }

    /// This moment and a duration, whole seconds; the last representable moment at the most.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(time.as_second()));
        }
        // A date and nothing else: jiff would also take a date-time and drop its time.
        let date = text.parse::<jiff::civil::Date>().map_err(|_| InvalidTimestamp)?;
        if text.contains(['T', 't', ' ', ':']) {
            return Err(InvalidTimestamp);
        }
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| InvalidTimestamp)?;
        Ok(Self(midnight.timestamp().as_second()))
    }
}

#[cfg(feature = "std")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self(0).saturating_add(since),
            Err(before) => {
                Self(i64::try_from(before.duration().as_secs()).map_or(i64::MIN, i64::wrapping_neg))
            }
        }
    }
}

/// A text that is neither an RFC 3339 time nor a date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidTimestamp;

impl core::error::Error for InvalidTimestamp {}

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date: write it as 2026-12-31 or 2026-12-31T00:00:00Z")
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn reads_dates_and_times_and_nothing_else() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2026-12-31", Some(1_798_675_200)),
            ("2026-12-31T01:00:00+01:00", Some(1_798_675_200)),
            ("2026-12-31T00:00:00", None),
            ("2026-13-01", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok().map(Timestamp::as_unix_seconds), expected, "{text}");
        }
    }
}
