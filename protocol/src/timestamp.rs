//! Timestamps in knocks, their text form, and validity periods. Nothing here reads a clock.

use core::fmt;
use core::time::Duration;

use pki_types::UnixTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::X509Certificate;

/// Milliseconds since 1970-01-01T00:00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The earliest moment.
    pub const EPOCH: Self = Self(0);

    /// `millis` after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// `seconds` after the epoch, or the latest moment there is.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How far apart two moments are, in either order.
    pub const fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// How long after `earlier`, or zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Later by `span`, or the latest moment there is.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Earlier by `span`, or the epoch.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// To the second: `2026-11-21T02:37:58Z` (RFC 3339, UTC). Times after the year 9999 are written as
    /// seconds since 1970.
    pub fn date(self) -> String {
        let seconds = i64::try_from(self.as_secs()).ok();
        let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let text = date.and_then(|date| date.format(&Rfc3339).ok());
        text.unwrap_or_else(|| self.as_secs().to_string())
    }

    /// Parses a date and time of RFC 3339, with any offset from UTC; digits below a millisecond are dropped.
    /// `None` if the text is invalid or before 1970.
    pub fn of_date(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let nanos = u128::try_from(date.unix_timestamp_nanos()).ok()?;
        u64::try_from(nanos / 1_000_000).ok().map(Self::from_millis)
    }
}

impl From<Timestamp> for UnixTime {
    fn from(timestamp: Timestamp) -> Self {
        Self::since_unix_epoch(Duration::from_secs(timestamp.as_secs()))
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self::from_secs(time.as_secs())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.as_secs(), self.0 % 1000)
    }
}

/// A certificate's validity period, both ends included, to the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// `notBefore`; times before 1970 become 1970.
    pub begins: Timestamp,
    /// `notAfter`; times before 1970 become 1970.
    pub ends: Timestamp,
}

impl Validity {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let timestamp = |seconds: i64| Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = certificate.validity();
        Self {
            begins: timestamp(validity.not_before.timestamp()),
            ends: timestamp(validity.not_after.timestamp()),
        }
    }

    /// Whether `now` is within it.
    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        (self.begins.as_secs()..=self.ends.as_secs()).contains(&now.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        let timestamp = Timestamp::from_millis(1_795_890_281_902);
        assert_eq!(timestamp.date(), "2026-11-28T18:24:41Z");
        assert_eq!(Timestamp::of_date("2026-11-28T18:24:41.902891Z"), Some(timestamp));
        assert_eq!(Timestamp::of_date("2026-11-28T19:24:41.902+01:00"), Some(timestamp));
        for none in ["", "now", "2026-11-28", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z"] {
            assert_eq!(Timestamp::of_date(none), None, "{none}");
        }
        assert_eq!(Timestamp::from_millis(u64::MAX).date(), (u64::MAX / 1000).to_string());
    }
}
