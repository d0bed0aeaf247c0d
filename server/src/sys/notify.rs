//! Tells systemd how the daemon is doing. Without systemd nothing happens.

use sd_notify::NotifyState;
use tracing::debug;

/// Talks to the service manager.
#[derive(Clone, Copy, Debug)]
pub struct Notify {
    /// Whether it expects regular messages (`WatchdogSec=`).
    watched: bool,
}

impl Notify {
    /// As the service manager says in `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn of_environment() -> Self {
        Self { watched: sd_notify::watchdog_enabled().is_some() }
    }

    /// All works, seen just now.
    pub fn alive(self) {
        if self.watched {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The rules are loaded and knocks are processed; also the end of a reload.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// What is to be seen of it now.
    pub fn status(self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// A reload has begun. The end of it is [`Self::ready`], whatever became of it.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => debug!("cannot send the time to the service manager: {error}"),
        }
    }

    /// The end has begun.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("cannot notify the service manager: {error}");
    }
}
