//! Notifies systemd of the daemon's state. Without systemd it does nothing.

use sd_notify::NotifyState;
use tracing::debug;

/// The connection to the service manager.
#[derive(Clone, Copy, Debug)]
pub struct Notify {
    /// Whether it expects watchdog messages (`WatchdogSec=`).
    watched: bool,
}

impl Notify {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn of_environment() -> Self {
        Self { watched: sd_notify::watchdog_enabled().is_some() }
    }

    /// The watchdog message.
    pub fn alive(self) {
        if self.watched {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The rules are loaded and knocks are processed; also the end of a reload.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The current status line.
    pub fn status(self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// A reload has begun. [`Self::ready`] ends it, whatever its result.
    pub fn reloading(self) {
        // `Type=notify-reload` demands MONOTONIC_USEC= beside RELOADING=1 (sd_notify(3)).
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => debug!("cannot send the time to the service manager: {error}"),
        }
    }

    /// The daemon is stopping.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!("cannot notify the service manager: {error}");
    }
}
