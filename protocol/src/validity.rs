//! From when until when a certificate holds, and how a moment is written for people.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::X509Certificate;

use crate::Timestamp;

/// From when until when a certificate holds, both ends included, to the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// `notBefore`; what lies before 1970 counts as 1970.
    pub begins: Timestamp,
    /// `notAfter`; the same.
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
}

impl Timestamp {
    /// For people and programs, to the second: `2026-11-21T02:37:58Z` (RFC 3339, UTC). What lies after the
    /// year 9999 is written as seconds since 1970.
    pub fn date(self) -> String {
        let seconds = i64::try_from(self.as_secs()).ok();
        let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let text = date.and_then(|date| date.format(&Rfc3339).ok());
        text.unwrap_or_else(|| self.as_secs().to_string())
    }

    /// Reads a date and a time of RFC 3339, with any offset from UTC, to the millisecond: what is finer is cut
    /// off. `None` if it is none, or before 1970.
    pub fn of_date(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let nanos = u128::try_from(date.unix_timestamp_nanos()).ok()?;
        u64::try_from(nanos / 1_000_000).ok().map(Self::from_millis)
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
