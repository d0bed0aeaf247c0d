//! Validity periods and their encoding. Nothing here reads a clock.

use std::time::Duration;

use sknock_protocol::Timestamp;
use time::OffsetDateTime;

use crate::error::AuthorityError;

/// Maximum validity in days: a hundred years.
pub const MAX_DAYS: u32 = 36_500;

/// notBefore lies a little before the time of issue, for receivers whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// Seconds in a day.
pub(crate) const DAY: u64 = 24 * 60 * 60;

/// A certificate's validity period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ValidityPeriod {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// The end is that of the authority's certificate, earlier than requested.
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

    /// `days` from `now`, limited to `end`, when the authority's certificate ends.
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
        return Err(AuthorityError::Days { days, max: MAX_DAYS });
    }
    Ok(now.after(Duration::from_secs(u64::from(days) * DAY)))
}

/// `now` in whole seconds, the resolution of certificates.
pub(crate) fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_secs(now.as_secs())
}

/// The same moment in the type of the certificate library.
pub(crate) fn calendar(moment: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(moment.as_secs()).map_err(|_| AuthorityError::Clock)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Clock)
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
}
