//! From when until when, and how that is written. Nothing here reads a clock.

use std::time::Duration;

use sknock_protocol::Timestamp;
use time::OffsetDateTime;

use crate::AuthorityError;

/// The longest time that anything here is valid for, in days: a hundred years.
pub const MAX_DAYS: u32 = 36_500;

/// Certificates are valid from a little before they are made, for receivers whose clocks are slow.
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// Seconds in a day.
pub(crate) const DAY: u64 = 24 * 60 * 60;

/// From when until when a certificate holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ValidityPeriod {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// The end is the authority's own, earlier than asked for.
    pub(crate) clipped: bool,
}

impl ValidityPeriod {
    /// `days` from `now`.
    pub(crate) fn of(days: u32, now: Timestamp) -> Result<Self, AuthorityError> {
        Ok(Self {
            not_before: now.before(BACKDATE),
            not_after: in_days(days, now)?,
            clipped: false,
        })
    }

    /// `days` from `now`, but no longer than until `end`, when the authority's certificate ends.
    pub(crate) fn within(
        end: Timestamp,
        days: u32,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        if end <= now {
            return Err(AuthorityError::AuthorityExpired { at: end, now });
        }
        let wanted = Self::of(days, now)?;
        let clipped = wanted.not_after > end;
        Ok(Self { not_after: wanted.not_after.min(end), clipped, ..wanted })
    }
}

/// `days` after `now`, with days of 24 hours.
pub(crate) fn in_days(days: u32, now: Timestamp) -> Result<Timestamp, AuthorityError> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(AuthorityError::Days { days });
    }
    Ok(now.after(Duration::from_secs(u64::from(days) * DAY)))
}

/// `now` in whole seconds: certificates know nothing finer.
pub(crate) fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_secs(now.as_secs())
}

/// The same moment, as certificates and revocation lists are told it.
pub(crate) fn calendar(moment: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(moment.as_secs()).map_err(|_| AuthorityError::Clock)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Clock)
}

/// A moment for people and programs, to the second: `2026-11-21T02:37:58Z` (RFC 3339, UTC).
///
/// What lies after the year 9999 is written as seconds since 1970.
pub fn date(moment: Timestamp) -> String {
    moment.date()
}

/// Moments as RFC 3339 text in the register.
pub(crate) mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use sknock_protocol::Timestamp;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::date(*moment))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        let date = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let seconds = u64::try_from(date.unix_timestamp()).map_err(D::Error::custom)?;
        Ok(Timestamp::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn validity_begins_a_little_before_now_and_ends_with_the_authority() {
        let end = in_days(10, NOW).unwrap();
        let short = ValidityPeriod::within(end, 9, NOW).unwrap();
        assert_eq!(short.not_before.as_secs(), NOW.as_secs() - 300);
        assert_eq!(short.not_after.as_secs(), NOW.as_secs() + 9 * DAY);
        assert!(!short.clipped);
        let exact = ValidityPeriod::within(end, 10, NOW).unwrap();
        assert_eq!((exact.not_after, exact.clipped), (end, false));
        let long = ValidityPeriod::within(end, 11, NOW).unwrap();
        assert_eq!((long.not_after, long.clipped), (end, true));
        assert!(matches!(
            ValidityPeriod::within(end, 1, end),
            Err(AuthorityError::AuthorityExpired { .. })
        ));
    }

    #[test]
    fn days_are_one_to_a_hundred_years() {
        for days in [0, MAX_DAYS + 1, u32::MAX] {
            assert!(matches!(in_days(days, NOW), Err(AuthorityError::Days { .. })), "{days}");
        }
        assert!(in_days(1, NOW).is_ok() && in_days(MAX_DAYS, NOW).is_ok());
    }

    #[test]
    fn dates_are_rfc_3339_in_utc() {
        assert_eq!(date(NOW), "2027-01-15T08:00:00Z");
        assert_eq!(date(Timestamp::from_millis(999)), "1970-01-01T00:00:00Z");
        assert_eq!(date(Timestamp::from_millis(u64::MAX)), (u64::MAX / 1000).to_string());
    }
}
