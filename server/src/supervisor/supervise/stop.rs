//! How the server stops: network processes first, then the table, as `onExit` and a trial have it.

use std::process::ExitCode;

use sknock_gate::BootInstant;
use tracing::{error, info, warn};

use super::{FINISH, Supervisor, tell_of_excess};
use crate::config::OnExit;
use crate::control::messages::ControlResponse;
use crate::sys::exit::FAILURE;

impl Supervisor {
    /// Ends in order: knocks first, then, if the administrator wants that, the protection.
    pub(super) fn stop(mut self) -> ExitCode {
        info!("stopping");
        self.notify.stopping();
        self.end_control(|_| ControlResponse::Stopping, BootInstant::now());
        self.finish();
        if let Some(code) = self.stop_trial(BootInstant::now()) {
            return code;
        }
        if self.settings.firewall.on_exit == OnExit::Open {
            return self.remove_table();
        }
        info!("stopped. The rules stay; `sknockd open` removes them");
        ExitCode::SUCCESS
    }

    /// Ends the network processes in order.
    pub(super) fn finish(&mut self) {
        if let Some(mut next) = self.next.take() {
            next.kill();
        }
        let end = BootInstant::now().after(FINISH);
        if let Some(current) = &mut self.current {
            current.finish(BootInstant::now());
        }
        // What it has granted by now still wants to be opened.
        loop {
            let (now, allowance) = (BootInstant::now(), &mut self.allowance);
            let current = self.current.as_mut();
            if now >= end || current.is_none_or(|one| one.ended(allowance, now).is_some()) {
                break;
            }
            self.wait();
            self.serve(BootInstant::now());
            self.listen(BootInstant::now());
            while self.signals.next().is_some() {}
        }
        if let Some(mut current) = self.current.take() {
            current.kill();
        }
        self.allowance.last_excess(BootInstant::now()).into_iter().for_each(tell_of_excess);
    }

    fn remove_table(&mut self) -> ExitCode {
        match self.gate_service.gate.remove() {
            Ok(()) => {
                self.trial.forget();
                info!("stopped. The rules are removed");
                ExitCode::SUCCESS
            }
            Err(error) => {
                error!("stopped, but the rules cannot be removed: {error}");
                ExitCode::from(FAILURE)
            }
        }
    }

    /// An order to stop is no confirmation. What to do about the table; whether it was about a trial.
    fn stop_trial(&mut self, now: BootInstant) -> Option<ExitCode> {
        let trial = self.gate_service.gate.trial().map(sknock_gate::TrialState::is_first);
        self.trial.saved_configs.rollback.forget();
        if trial? {
            warn!("stopped before the trial was confirmed: rules removed");
            return Some(self.remove_table());
        }
        warn!("stopped before the trial was confirmed: rolled back to the previous rules");
        let outcome = self.gate_service.gate.roll_back(now);
        self.gate_service.log_outcome(&outcome, now);
        if let Some(before) = self.trial.before.take() {
            self.settings = before;
        }
        None
    }
}
