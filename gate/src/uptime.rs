//! Points in time as the gate counts them: since boot, suspend included. No step of the wall clock
//! can lengthen or shorten a grant.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long the machine has been up at some point, in nanoseconds: enough for 584 years, in half the
/// memory of a `Duration`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BootInstant(u64);

impl BootInstant {
    /// `CLOCK_BOOTTIME` now: where the gate's clock is read. Everything else gets the time as an argument.
    #[expect(clippy::missing_panics_doc, reason = "the clock exists on every Linux we run on")]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::CLOCK_BOOTTIME)
            .expect("CLOCK_BOOTTIME exists since Linux 2.6.39; nf_tables is younger");
        Self::default().after(Duration::from(time))
    }

    /// How long the machine has been suspended since boot. The kernel's timeouts stand still in that time,
    /// and ours do not.
    #[expect(clippy::missing_panics_doc, reason = "the clock exists on every Linux we run on")]
    pub fn suspended() -> Duration {
        let awake = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("it is as old as Linux 2.6");
        Self::now().since(Self::default().after(Duration::from(awake)))
    }

    /// This number of milliseconds after boot.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// This number of nanoseconds after boot, as [`BootInstant::nanos`] has them.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds after boot.
    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// Later by `span`, or as late as can be.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        let nanos = span.as_secs().saturating_mul(1_000_000_000);
        Self(self.0.saturating_add(nanos).saturating_add(span.subsec_nanos() as u64))
    }

    /// How long after `earlier`, or zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
