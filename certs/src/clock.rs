//! Whether the clock can be right. Nothing here reads one.
//!
//! A clock that is behind makes certificates that have ended and lists that no server takes. One that is
//! ahead is only noticed once it is right again, for then the last list lies in the future.

use sknock_protocol::{FUTURE_SLACK, Timestamp};

use crate::ca::Ca;
use crate::crl::Crl;
use crate::error::AuthorityError;
use crate::validity::calendar;

/// 2026-01-01T00:00:00Z, before this program was written.
const EARLIEST: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The last second that a certificate or a list can name, 9999-12-31T23:59:59Z.
const LATEST: Timestamp = Timestamp::from_secs(253_402_300_799);

/// What can be said of a clock where there is no authority yet.
///
/// # Errors
/// [`AuthorityError::ClockUnset`] before 2026, [`AuthorityError::Clock`] after the year 9999.
pub(crate) fn possible(now: Timestamp) -> Result<(), AuthorityError> {
    if now < EARLIEST {
        return Err(AuthorityError::ClockUnset { now });
    }
    calendar(now).map(|_| ())
}

/// As [`possible`], and not before the authority was made. For a list that is to be dated `now`, whatever
/// the last one says.
///
/// # Errors
/// [`AuthorityError::ClockBeforeAuthority`] besides.
pub(crate) fn since(ca: &Ca, now: Timestamp) -> Result<(), AuthorityError> {
    possible(now)?;
    if now.after(FUTURE_SLACK) < ca.not_before {
        return Err(AuthorityError::ClockBeforeAuthority { now, made: ca.not_before });
    }
    Ok(())
}

/// The check of every command: as [`since`], and not before the last list, give or take what servers
/// allow. A clock that went back a little does no harm.
///
/// # Errors
/// [`AuthorityError::ClockBehind`] besides.
pub(crate) fn check(ca: &Ca, last: &Crl, now: Timestamp) -> Result<(), AuthorityError> {
    since(ca, now)?;
    if last.this_update > now.after(FUTURE_SLACK) {
        return Err(AuthorityError::ClockBehind { now, last: last.this_update });
    }
    Ok(())
}

/// A moment that can be written down, whatever the clock says.
pub(crate) fn recordable(now: Timestamp) -> Timestamp {
    now.min(LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_program_or_beyond_the_calendar_is_impossible() {
        for seconds in [0, EARLIEST.as_secs() - 1] {
            let refused = possible(Timestamp::from_secs(seconds));
            assert!(matches!(refused, Err(AuthorityError::ClockUnset { .. })), "{seconds}");
        }
        assert!(possible(EARLIEST).is_ok() && possible(LATEST).is_ok());
        let beyond = LATEST.after(std::time::Duration::from_secs(1));
        assert!(matches!(possible(beyond), Err(AuthorityError::Clock)));
        assert_eq!(recordable(beyond), LATEST);
    }
}
