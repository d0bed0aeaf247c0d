//! When one network process follows another.

use sknock_gate::BootInstant;
use tracing::{error, info};

use super::Supervisor;

impl Supervisor {
    /// A prepared process begins as soon as the state directory is free, and if it knows of the newest
    /// revocation lists: the one before it may have taken one meanwhile.
    pub(super) fn advance_reload(&mut self, now: BootInstant) {
        let Some(next) = self.next.as_mut().filter(|next| next.is_prepared()) else { return };
        match &mut self.current {
            // Whoever takes lists without end does not stay by that.
            Some(current) if !next.is_outdated() || self.renewed => current.finish(now),
            None if !next.is_outdated() => next.begin(),
            _ => self.renew(now),
        }
    }

    /// Starts the process on its way once more, with the newest marks, and files that are opened now.
    fn renew(&mut self, now: BootInstant) {
        let Some(mut next) = self.next.take() else { return };
        next.kill();
        self.renewed = true;
        info!("a newer CRL arrived during the reload. Starting the new network process again");
        let reasons = match self.spawner.start(&next.settings, now) {
            Ok(network) => {
                self.next = Some(network);
                return;
            }
            Err(failed) => failed.reasons(),
        };
        self.not_reloaded(&reasons, now);
        self.no_trial();
        self.spawner.settle(&self.settings);
        error!("cannot start the new network process. The previous configuration stays in force");
        self.notify.ready("reload failed. The previous configuration stays in force");
        if self.current.is_none() {
            self.again.schedule(now);
        }
    }
}
