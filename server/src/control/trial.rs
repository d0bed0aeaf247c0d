//! How long rules may be on trial.

use std::time::Duration;

/// The longest trial, in seconds: an hour. An administrator who has not confirmed by then has left, or is locked out.
pub const MAX_LENGTH: u16 = 3600;

/// This number of seconds, if a trial may last so long: 1 to [`MAX_LENGTH`].
pub fn span(seconds: i64) -> Option<Duration> {
    let seconds =
        u16::try_from(seconds).ok().filter(|seconds| (1..=MAX_LENGTH).contains(seconds))?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_lasts_a_second_to_an_hour() {
        assert_eq!(span(1), Some(Duration::from_secs(1)));
        assert_eq!(span(3600), Some(Duration::from_secs(3600)));
        for seconds in [i64::MIN, -60, -1, 0, 3601, 65_536 + 60, 1 << 32, i64::MAX] {
            assert_eq!(span(seconds), None, "{seconds}");
        }
    }
}
