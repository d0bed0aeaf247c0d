//! The bench's clocks: elapsed time, and CPU time of threads and processes.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Time since a start, by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "the edge where the bench's time comes in")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// CPU time of the calling thread: its own and the kernel's for it, including softirqs that interrupted it
/// (without `CONFIG_IRQ_TIME_ACCOUNTING` the kernel does not separate those).
pub(crate) fn own_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock").into()
}

/// CPU time of all threads of a process, user and system, to the nanosecond. /proc/PID/stat has the
/// same in ticks of 10 ms.
pub(crate) fn cpu_of(pid: Pid) -> Duration {
    cpu_while_it_runs(pid).expect("the process runs")
}

/// The same of a process that may have ended.
pub(crate) fn cpu_while_it_runs(pid: Pid) -> Option<Duration> {
    let clock = clock_getcpuclockid(pid).ok()?;
    clock_gettime(clock).ok().map(Into::into)
}
