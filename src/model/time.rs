//! Keeps moments as microseconds, and turns them into what the wire carries.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A moment: microseconds since 1970-01-01T00:00:00Z, which is also how it is written as JSON.
///
/// Microseconds hold every moment of the years 1 to 9999, which is what other SDKs send for "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    #[doc(hidden)]
    /// Reads a wire timestamp. What is finer than a microsecond is rounded **up**: a timer never fires early.
    pub fn from_wire(wire: &prost_types::Timestamp) -> Self {
        let whole = wire.seconds.saturating_mul(1_000_000);
        let fraction = (i64::from(wire.nanos) + 999).div_euclid(1_000);
        Self(whole.saturating_add(fraction))
    }

    #[doc(hidden)]
    /// The same moment as the wire carries it.
    pub fn to_wire(self) -> prost_types::Timestamp {
        let nanos = self.0.rem_euclid(1_000_000) * 1_000;
        prost_types::Timestamp {
            seconds: self.0.div_euclid(1_000_000),
            nanos: i32::try_from(nanos).unwrap_or_default(),
        }
    }

    /// The moment `duration` later; the last representable one where that does not exist.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment as a `SystemTime`.
    pub fn to_system_time(self) -> std::time::SystemTime {
        let since = Duration::from_micros(self.0.unsigned_abs());
        let moment = if self.0 < 0 {
            std::time::UNIX_EPOCH.checked_sub(since)
        } else {
            std::time::UNIX_EPOCH.checked_add(since)
        };
        moment.unwrap_or(std::time::UNIX_EPOCH)
    }

    /// The moment a `SystemTime` names.
    pub fn from_system_time(moment: std::time::SystemTime) -> Self {
        match moment.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self::EPOCH.plus(after),
            Err(before) => Self(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
        }
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.plus(duration)
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(moment: std::time::SystemTime) -> Self {
        Self::from_system_time(moment)
    }
}

impl From<Timestamp> for std::time::SystemTime {
    fn from(moment: Timestamp) -> Self {
        moment.to_system_time()
    }
}

/// RFC 3339 in UTC, with six digits: `2026-01-02T03:04:05.000006Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.0.div_euclid(86_400_000_000), self.0.rem_euclid(86_400_000_000));
        let (year, month, day) = civil(days);
        let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a day counted from the epoch, in the proleptic Gregorian calendar.
///
/// Counts in eras of 400 years that begin on a first of March, so that the leap day ends a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_rfc_3339() {
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_micros(1_767_323_045_000_006).to_string(), "2026-01-02T03:04:05.000006Z");
        assert_eq!(Timestamp::from_micros(951_782_400_000_000).to_string(), "2000-02-29T00:00:00.000000Z");
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_wire_moment_finer_than_a_microsecond_is_never_read_as_an_earlier_one() {
        let wire = prost_types::Timestamp { seconds: 5, nanos: 1 };
        assert_eq!(Timestamp::from_wire(&wire), Timestamp::from_micros(5_000_001));
    }

    #[test]
    fn the_wire_keeps_moments_before_the_epoch() {
        let moment = Timestamp::from_micros(-1_500_000);
        assert_eq!(Timestamp::from_wire(&moment.to_wire()), moment);
    }
}
