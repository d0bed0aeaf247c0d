//! Plausibility of the clock. Nothing here reads one.
//!
//! A clock that is behind produces expired certificates and CRLs that no server accepts. A clock that was
//! ahead is only noticed once it is right again: the last CRL is then dated in the future.

use sknock_protocol::{FUTURE_SLACK, Timestamp};

use crate::ca::Ca;
use crate::crl::Crl;
use crate::error::AuthorityError;
use crate::validity::calendar;

/// 2026-01-01T00:00:00Z, before this program was written.
const EARLIEST: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The last second that a certificate or a CRL can express, 9999-12-31T23:59:59Z.
const LATEST: Timestamp = Timestamp::from_secs(253_402_300_799);

/// The check without an authority.
///
/// # Errors
/// [`AuthorityError::ClockUnset`] before 2026, [`AuthorityError::Clock`] after the year 9999.
pub(crate) fn possible(now: Timestamp) -> Result<(), AuthorityError> {
    if now < EARLIEST {
        return Err(AuthorityError::ClockUnset { now });
    }
    calendar(now).map(|_| ())
}

/// Same as [`possible`], and `now` is not before the authority was made. For a CRL that is to be dated `now`,
/// whatever the date of the last one.
///
/// # Errors
/// Also [`AuthorityError::ClockBeforeAuthority`].
pub(crate) fn since(ca: &Ca, now: Timestamp) -> Result<(), AuthorityError> {
    possible(now)?;
    if now.after(FUTURE_SLACK) < ca.not_before {
        return Err(AuthorityError::ClockBeforeAuthority { now, made: ca.not_before });
    }
    Ok(())
}

/// The check of every command: as [`since`], and not before the last CRL, with the tolerance of servers. A
/// clock that went back a little is harmless.
///
/// # Errors
/// Also [`AuthorityError::ClockBehind`].
pub(crate) fn check(ca: &Ca, last: &Crl, now: Timestamp) -> Result<(), AuthorityError> {
    since(ca, now)?;
    if last.this_update > now.after(FUTURE_SLACK) {
        return Err(AuthorityError::ClockBehind { now, last: last.this_update });
    }
    Ok(())
}

/// `now`, limited to the times that the register can store.
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
