//! `sknockd confirm` and `sknockd reload`: what an administrator says to the server that runs, and how
//! long rules may be on trial. The server is found by its claim and told by a signal; what became of
//! it, the kernel's table says.

mod queue;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sknock_gate::{BootInstant, Firewall, FirewallError, NamespaceLock, NamespaceLockError, Watch};

use crate::exit::{FAILURE, UNAVAILABLE, UNCONFIRMED};

/// The longest trial, in seconds: an hour. Who has not confirmed by then has left, or is locked out.
pub const MAX_LENGTH: u16 = 3600;

/// The length of a trial in seconds, if it is permitted: 1 to [`MAX_LENGTH`].
pub fn span(seconds: i64) -> Option<Duration> {
    let seconds =
        u16::try_from(seconds).ok().filter(|seconds| (1..=MAX_LENGTH).contains(seconds))?;
    Some(Duration::from_secs(seconds.into()))
}

/// How long the server may take to confirm: a transaction takes milliseconds.
const CONFIRMING: Duration = Duration::from_secs(5);

/// How long it may take until a reload is on trial, if no list has to be fetched from far away.
const RELOADING: Duration = Duration::from_secs(10);

/// Has the server keep what is on trial, and waits until the kernel has it so.
pub fn confirm() -> Result<(), ControlError> {
    let mut firewall = Firewall::open()?;
    let mut watch = firewall.watch()?;
    let seen = BootInstant::now();
    let left = firewall.trial()?;
    let Some(server) = server()? else { return Err(ControlError::NoServer { left }) };
    let over = match left {
        None => return Err(ControlError::NothingOnTrial),
        Some(Duration::ZERO) => return Err(ControlError::TooLate),
        Some(left) => seen.after(left),
    };
    kill(server, Signal::SIGUSR1).map_err(ControlError::Deaf)?;
    let ended = |found: Option<Duration>| found.is_none();
    if !wait_until(&mut firewall, &mut watch, CONFIRMING, ended)? {
        let over = over <= BootInstant::now();
        return Err(if over { ControlError::TooLate } else { ControlError::Silent(server) });
    }
    // Confirmed or given up, nothing is on trial any more. Before its time was over, nobody gave it up.
    let kept = firewall.exists()? && BootInstant::now() < over;
    if kept { Ok(()) } else { Err(ControlError::TooLate) }
}

/// Has the server read everything anew; whose number that is. With a time it is on trial for so long,
/// and this waits until the trial has begun.
pub fn reload(trial: Option<Duration>) -> Result<Pid, ControlError> {
    let mut firewall = Firewall::open()?;
    let mut watch = firewall.watch()?;
    let Some(server) = server()? else { return Err(ControlError::NoServer { left: None }) };
    let Some(span) = trial else {
        return kill(server, Signal::SIGHUP).map(|()| server).map_err(ControlError::Deaf);
    };
    let end = |left: Option<Duration>| left.map(|left| BootInstant::now().after(left));
    let earlier = end(firewall.trial()?);
    let seconds = i32::try_from(span.as_secs()).unwrap_or(i32::MAX);
    queue::send(server, Signal::SIGHUP, seconds).map_err(ControlError::Deaf)?;
    // Another end is another trial; the same is told twice within some milliseconds.
    let apart = |one: BootInstant, other: BootInstant| one.since(other).max(other.since(one));
    let begun = |left: Option<Duration>| match (end(left), earlier) {
        (Some(end), Some(earlier)) => apart(end, earlier) > Duration::from_millis(200),
        (end, _) => end.is_some(),
    };
    let begun = wait_until(&mut firewall, &mut watch, RELOADING, begun)?;
    if begun { Ok(server) } else { Err(ControlError::NotReloaded(server)) }
}

/// Looks at the trial in the kernel whenever the firewall changes, for at most `limit`.
fn wait_until(
    firewall: &mut Firewall,
    watch: &mut Watch,
    limit: Duration,
    holds: impl Fn(Option<Duration>) -> bool,
) -> Result<bool, FirewallError> {
    let end = BootInstant::now().after(limit);
    loop {
        // Whatever it was, the kernel is asked.
        watch.read();
        match firewall.trial() {
            Ok(left) if holds(left) => return Ok(true),
            // Others change the firewall all the time, and the listing was overtaken.
            Ok(_) | Err(FirewallError::Kernel { errno: Errno::EAGAIN, .. }) => {}
            Err(error) => return Err(error),
        }
        let left = end.since(BootInstant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut changed = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
        let _ = poll(&mut changed, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
    }
}

fn server() -> Result<Option<Pid>, NamespaceLockError> {
    let holder = NamespaceLock::owner_pid(Path::new(NamespaceLock::DIRECTORY))?;
    Ok(holder.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
}

/// Why nothing came of it.
#[derive(Debug)]
pub enum ControlError {
    /// Nobody runs who could.
    NoServer {
        /// What a server that has ended has left on trial.
        left: Option<Duration>,
    },
    /// There is nothing to confirm.
    NothingOnTrial,
    /// The time was over.
    TooLate,
    /// The server has not confirmed.
    Silent(Pid),
    /// Nothing has come on trial.
    NotReloaded(Pid),
    /// The signal could not be sent.
    Deaf(Errno),
    /// The server could not be looked for.
    Claim(NamespaceLockError),
    /// The kernel could not be asked.
    Firewall(FirewallError),
}

impl ControlError {
    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoServer { .. } | Self::Claim(_) => UNAVAILABLE,
            Self::TooLate => UNCONFIRMED,
            _ => FAILURE,
        }
    }
}

impl From<NamespaceLockError> for ControlError {
    fn from(error: NamespaceLockError) -> Self {
        Self::Claim(error)
    }
}

impl From<FirewallError> for ControlError {
    fn from(error: FirewallError) -> Self {
        Self::Firewall(error)
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer { left } => {
                f.write_str("no sknockd runs in this network namespace; start one first")?;
                match left {
                    Some(left) if !left.is_zero() => write!(
                        f,
                        ". What an earlier one has left on trial ends by itself in {} s",
                        left.as_secs() + 1
                    ),
                    _ => Ok(()),
                }
            }
            Self::NothingOnTrial => f.write_str(
                "nothing is on trial: what is in force needs no confirmation. If you have just \
                 tried something, it was confirmed already or its time was over; the log says which",
            ),
            Self::TooLate => f.write_str(
                "not confirmed: the time was over, and what was in force before is again. The log \
                 says what to do",
            ),
            Self::Silent(server) => write!(
                f,
                "not confirmed: process {server} has not answered in {} s; its log says why",
                CONFIRMING.as_secs()
            ),
            Self::NotReloaded(server) => write!(
                f,
                "nothing has come on trial in {} s: the log of process {server} says why. If it \
                 still fetches lists, wait for it, then confirm",
                RELOADING.as_secs()
            ),
            Self::Deaf(errno) => {
                write!(f, "the server cannot be told: {}; be root for that", errno.desc())
            }
            Self::Claim(error) => error.fmt(f),
            Self::Firewall(error) => error.fmt(f),
        }
    }
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
