//! Points in time. Nothing in this crate reads a clock: time comes in as an argument.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A point in time in UTC, in whole microseconds since the UNIX epoch.
///
/// Serialized as RFC 3339 text; two stamps compare and sort as numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes microseconds since the UNIX epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Takes seconds since the UNIX epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the UNIX epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time `duration` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The time `duration` earlier; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// The second that it is in: what people are told.
    #[must_use]
    pub const fn whole_secs(self) -> Self {
        Self::from_secs(self.0.div_euclid(MICROS_PER_SECOND))
    }

    /// How long after `earlier` this is; zero if it is not after it (clocks may jump backwards).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether this is at least `limit` before `now`. A time in the future is (clocks jump): waiting for it could take
    /// for ever.
    pub(crate) fn is_older(self, limit: Duration, now: Self) -> bool {
        self > now || now.since(self) >= limit
    }

    fn date_time(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).ok()
    }
}

/// Rounded up: who waits until `at.plus(d)` has waited for `d`, not for a little less.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, such as `2026-11-23T04:30:00.25Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date_time().and_then(|at| at.format(&Rfc3339).ok()) {
            Some(text) => f.pad(&text),
            None => write!(f, "@{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(micros) = text.strip_prefix('@').and_then(|t| t.strip_suffix("us")) {
            return micros.parse().map(Self).map_err(D::Error::custom);
        }
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_micros(1_500_000).to_string(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn people_are_told_the_second() {
        for (micros, secs) in [(1_999_999, 1), (2_000_000, 2), (-1, -1)] {
            assert_eq!(Timestamp::from_micros(micros).whole_secs(), Timestamp::from_secs(secs));
        }
        assert_eq!(Timestamp::from_micros(1_999_999).whole_secs().to_string(), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn a_duration_has_passed_when_it_was_waited_for() {
        let (start, wait) = (Timestamp::from_secs(1), Duration::from_nanos(1_500));
        assert!(start.plus(wait).since(start) >= wait);
    }

    #[test]
    fn a_clock_that_jumps_back_gives_no_time_passed() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(9)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn survives_json(micros: i64) {
            let at = Timestamp::from_micros(micros);
            let json = serde_json::to_string(&at).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
        }
    }
}
