//! How often: a bucket of tokens, one for each opening, filled at a steady rate.

use std::time::Duration;

use crate::Uptime;

/// Tokens left, in billionths. Holds ten seconds' worth, and begins full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    state: Option<(u64, Uptime)>,
}

/// How many seconds' worth of tokens the bucket holds: a burst after a quiet time.
const BURST: u64 = 10;
const TOKEN: u64 = 1_000_000_000;

impl Bucket {
    /// Takes a token if there is one, at `per_second` tokens each second.
    pub fn take(&mut self, per_second: u32, now: Uptime) -> bool {
        let full = u64::from(per_second).saturating_mul(BURST * TOKEN);
        let filled = match self.state {
            None => full,
            Some((left, before)) => {
                left.saturating_add(tokens_in(now.since(before), per_second)).min(full)
            }
        };
        let left = filled.checked_sub(TOKEN);
        self.state = Some((left.unwrap_or(filled), now));
        left.is_some()
    }
}

/// A billionth of a token per nanosecond and token per second: no call is too early to count.
fn tokens_in(span: Duration, per_second: u32) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).saturating_mul(u64::from(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, at: u64) -> usize {
        (0..1000).take_while(|_| bucket.take(5, Uptime::from_millis(at))).count()
    }

    #[test]
    fn ten_seconds_worth_at_once_then_the_rate() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, 1_000), 50);
        assert_eq!(taken(&mut bucket, 1_199), 0);
        assert_eq!(taken(&mut bucket, 1_200), 1);
        assert_eq!(taken(&mut bucket, 3_200), 10);
        assert_eq!(taken(&mut bucket, 1_000_000), 50);
    }

    #[test]
    fn asking_often_does_not_starve() {
        let mut bucket = Bucket::default();
        let step = Duration::from_micros(200);
        let mut now = Uptime::default();
        let mut passed = 0;
        for _ in 0..50_000 {
            passed += usize::from(bucket.take(5, now));
            now = now.after(step);
        }
        assert_eq!(passed, 50 + 49);
    }

    #[test]
    fn no_rate_is_no_token() {
        assert!(!Bucket::default().take(0, Uptime::from_millis(1_000_000)));
    }
}
