//! The log budget of the network processes. Pure: time is a parameter.
//!
//! A compromised network process can log without limit, which would fill the disk, and make journald drop the privileged
//! process's lines, too, which come from the same service.

use std::time::Duration;

use sknock_gate::BootInstant;

/// Lines per second besides one for each grant: refusals of known clients have 400 for all threads together,
/// others 10 for each thread (`audit.rs`), CRLs and errors a few.
const BESIDE_GRANTS: u32 = 1000;

/// Average bytes of a line. One of a usual grant has 350 as text, 450 as JSON.
const LINE: u64 = 512;

/// The burst in seconds' worth of lines, as with grants.
const BURST: u64 = 10;

/// Interval of log lines about dropped lines.
const PERIOD: Duration = Duration::from_secs(10);

/// For all network processes together: otherwise each new one would begin with a burst.
#[derive(Debug)]
pub(crate) struct Allowance {
    lines: LineBucket,
    bytes: LineBucket,
    dropped: u64,
    /// The time of the last report.
    reported: Option<BootInstant>,
}

/// The dropped lines and the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DroppedLines {
    /// Lines since the last report.
    pub(crate) dropped: u64,
    /// Limit of lines per second.
    pub(crate) lines: u64,
    /// Limit of bytes per second.
    pub(crate) bytes: u64,
}

impl Allowance {
    /// The budget for at most this number of grants per second.
    pub(crate) fn of(grants_per_second: u32) -> Self {
        let lines = u64::from(grants_per_second.saturating_add(BESIDE_GRANTS));
        let (lines, bytes) = (LineBucket::of(lines), LineBucket::of(lines * LINE));
        Self { lines, bytes, dropped: 0, reported: None }
    }

    /// Changes the number of grants per second. Used budget stays used.
    pub(crate) fn adapt(&mut self, grants_per_second: u32) {
        let Self { lines, bytes, .. } = Self::of(grants_per_second);
        self.lines.per_second = lines.per_second;
        self.bytes.per_second = bytes.per_second;
    }

    /// Whether a line of this many bytes may be passed on. If not, it is counted as dropped.
    pub(crate) fn grants(&mut self, length: usize, now: BootInstant) -> bool {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let fits = self.lines.has(1, now) && self.bytes.has(length, now);
        if fits {
            self.lines.take(1);
            self.bytes.take(length);
        } else {
            self.dropped += 1;
        }
        fits
    }

    /// The lines dropped since the last report, once in ten seconds.
    pub(crate) fn excess(&mut self, now: BootInstant) -> Option<DroppedLines> {
        let waits = self.reported.is_some_and(|reported| now.since(reported) < PERIOD);
        if waits { None } else { self.last_excess(now) }
    }

    /// The lines dropped since the last report.
    pub(crate) fn last_excess(&mut self, now: BootInstant) -> Option<DroppedLines> {
        if self.dropped == 0 {
            return None;
        }
        self.reported = Some(now);
        let dropped = std::mem::take(&mut self.dropped);
        Some(DroppedLines { dropped, lines: self.lines.per_second, bytes: self.bytes.per_second })
    }
}

/// A token bucket. Begins full, with ten seconds' worth.
#[derive(Debug)]
struct LineBucket {
    per_second: u64,
    /// In billionths of a token.
    left: u64,
    filled: Option<BootInstant>,
}

const TOKEN: u64 = 1_000_000_000;

impl LineBucket {
    fn of(per_second: u64) -> Self {
        Self { per_second, left: full(per_second), filled: None }
    }

    fn has(&mut self, count: u64, now: BootInstant) -> bool {
        let span = self.filled.map_or(Duration::ZERO, |filled| now.since(filled));
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        // Nanoseconds times tokens a second are billionths of a token, without rounding.
        let more = nanos.saturating_mul(self.per_second);
        self.left = self.left.saturating_add(more).min(full(self.per_second));
        self.filled = Some(now);
        self.left >= count.saturating_mul(TOKEN)
    }

    fn take(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count.saturating_mul(TOKEN));
    }
}

/// A full bucket, in billionths of a token.
fn full(per_second: u64) -> u64 {
    per_second.saturating_mul(BURST * TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> BootInstant {
        BootInstant::from_millis(1_000_000 + millis)
    }

    fn passed(
        allowance: &mut Allowance,
        (count, length): (usize, usize),
        now: BootInstant,
    ) -> usize {
        (0..count).filter(|_| allowance.grants(length, now)).count()
    }

    #[test]
    fn ten_seconds_worth_of_lines_pass_at_once_and_then_so_many_a_second() {
        let mut allowance = Allowance::of(1000);
        assert_eq!(passed(&mut allowance, (100_000, 100), at(0)), 20_000);
        assert_eq!(passed(&mut allowance, (100_000, 100), at(0)), 0);
        // Evenly, not only at the beginning of a second.
        assert_eq!(passed(&mut allowance, (100_000, 100), at(1)), 2);
        assert_eq!(passed(&mut allowance, (100_000, 100), at(501)), 1000);
        assert_eq!(passed(&mut allowance, (100_000, 100), at(1_000_000)), 20_000, "no more");
    }

    #[test]
    fn long_lines_are_counted_by_their_bytes() {
        let mut allowance = Allowance::of(24);
        let most = 10 * 1024 * 512;
        assert_eq!(passed(&mut allowance, (100_000, 16_384), at(0)), most / 16_384);
        assert_eq!(passed(&mut allowance, (100_000, 16_384), at(1000)), 1024 * 512 / 16_384);
        assert!(!allowance.grants(usize::MAX, at(100_000)));
    }

    #[test]
    fn dropped_lines_are_counted_and_reported_once_in_ten_seconds() {
        let mut allowance = Allowance::of(1000);
        assert_eq!(allowance.excess(at(0)), None);
        passed(&mut allowance, (20_007, 1), at(0));
        let excess = |dropped| Some(DroppedLines { dropped, lines: 2000, bytes: 1_024_000 });
        assert_eq!(allowance.excess(at(0)), excess(7));
        passed(&mut allowance, (5, 1), at(0));
        assert_eq!(allowance.excess(at(9_999)), None);
        assert_eq!(allowance.excess(at(10_000)), excess(5));
        assert_eq!(allowance.excess(at(30_000)), None, "nothing since");
        passed(&mut allowance, (20_001, 1), at(30_000));
        assert_eq!(allowance.excess(at(30_001)), excess(1));
        passed(&mut allowance, (20_001, 1), at(30_001));
        assert_eq!(allowance.last_excess(at(30_002)), excess(20_001 - 2), "at the end");
    }

    #[test]
    fn another_rate_does_not_fill_what_is_used_up() {
        let mut allowance = Allowance::of(1000);
        passed(&mut allowance, (20_000, 1), at(0));
        allowance.adapt(2000);
        assert_eq!(passed(&mut allowance, (100_000, 1), at(0)), 0);
        assert_eq!(passed(&mut allowance, (100_000, 1), at(1000)), 3000);
    }
}
