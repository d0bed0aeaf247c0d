//! Stops the server: network processes first, then the table, depending on `onExit` and a trial.

use std::process::ExitCode;

use sknock_gate::BootInstant;
use tracing::{error, info, warn};

use super::{FINISH, Supervisor, log_dropped_lines};
use crate::config::OnExit;
use crate::control::messages::ControlResponse;
use crate::sys::exit::FAILURE;

impl Supervisor {
    /// Stops properly: knocks first, then, with `onExit = open`, the rules.
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

    /// Stops the network processes properly.
    pub(super) fn finish(&mut self) {
        // It does not serve yet, so it has nothing to finish.
        if let Some(mut next) = self.next.take() {
            next.kill();
        }
        let end = BootInstant::now().after(FINISH);
        if let Some(current) = &mut self.current {
            current.finish(BootInstant::now());
        }
        // Requests for knocks that it has already admitted are still served.
        loop {
            let (now, allowance) = (BootInstant::now(), &mut self.allowance);
            let current = self.current.as_mut();
            if now >= end || current.is_none_or(|one| one.ended(allowance, now).is_some()) {
                break;
            }
            self.wait();
            self.serve(BootInstant::now());
            self.listen(BootInstant::now());
            // Drained, or poll in `wait` returns at once for ever. A second SIGTERM changes nothing.
            while self.signals.next().is_some() {}
        }
        if let Some(mut current) = self.current.take() {
            current.kill();
        }
        self.allowance.last_excess(BootInstant::now()).into_iter().for_each(log_dropped_lines);
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

    /// A stop signal is no confirmation. Handles the table of a trial; `None` if there was none.
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
