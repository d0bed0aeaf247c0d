//! Watches over the gate and the network processes: one loop, one thread, no waiting but in `poll`.
//!
//! A network process is `next` from its start until it has the protection put up; then it is
//! `current`. The old one stays until the new one has all but the state directory.

mod asked;
mod gate_service;
mod names;
mod reload;
mod resume;
mod trial;
mod watchdog;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sknock_gate::{BootInstant, Gate, Outcome, Watch};
use tracing::{error, info, warn};

use self::gate_service::GateService;
use self::names::ResolvedNames;
use self::resume::Suspended;
pub(crate) use self::trial::{TrialDeadline, TrialWatch};
use super::log_budget::{Allowance, DroppedLines};
use super::network_process::NetworkProcess;
use super::port_holders::PortHolders;
use super::signals::{Signals, Wanted};
use super::spawner::{Spawner, StartFailed};
use crate::config::{OnExit, Settings};
use crate::control::messages::ControlResponse;
use crate::control::socket::ControlSocket;
use crate::sys::exit::FAILURE;
use crate::sys::log;
use crate::sys::notify::Notify;

/// Everything that the privileged process holds.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// The configuration file, to be read anew on reload.
    pub(crate) config: PathBuf,
    /// What the last good network process ran with.
    pub(crate) settings: Settings,
    pub(crate) spawner: Spawner,
    pub(crate) gate_service: GateService,
    pub(crate) watch: Watch,
    pub(crate) signals: Signals,
    pub(crate) notify: Notify,
    /// When systemd was told last that all is well.
    vouched: BootInstant,
    control: Option<ControlSocket>,
    trial: TrialWatch,
    current: Option<NetworkProcess>,
    next: Option<NetworkProcess>,
    /// Whether protection has been up since we started.
    protected: bool,
    /// When to put the table back that somebody has changed.
    restore_at: Option<BootInstant>,
    again: RestartBackoff,
    names: ResolvedNames,
    holders: PortHolders,
    /// How much of what network processes log is passed on.
    allowance: Allowance,
    /// Whether the process on its way was started a second time already, as lists have changed.
    renewed: bool,
    /// For how long the machine had been suspended when the table was last put up.
    suspended: Suspended,
}

/// When to try again after a network process has ended by itself.
#[derive(Debug, Default)]
struct RestartBackoff {
    failures: u32,
    due: Option<BootInstant>,
}

impl RestartBackoff {
    /// Half a second, then twice as long each time, up to half a minute.
    fn schedule(&mut self, now: BootInstant) {
        let wait = Duration::from_millis(500) * 2u32.pow(self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now.after(wait));
    }
}

/// How often to look after what nobody reports: expired grants, a process that does not finish.
const TICK: Duration = Duration::from_millis(500);

/// How long a network process may take to finish: a knock takes less than a millisecond.
const FINISH: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Holds everything; `next` is on its way.
    pub(crate) fn new(
        (config, settings): (PathBuf, Settings),
        (gate, watch): (Gate, Watch),
        (spawner, next): (Spawner, NetworkProcess),
        (signals, trial): (Signals, TrialWatch),
    ) -> Self {
        Self {
            allowance: Allowance::of(settings.grants.per_second),
            config,
            settings,
            spawner,
            gate_service: GateService::new(gate),
            watch,
            signals,
            notify: Notify::of_environment(),
            vouched: BootInstant::default(),
            control: None,
            trial,
            current: None,
            next: Some(next),
            protected: false,
            restore_at: None,
            again: RestartBackoff::default(),
            names: ResolvedNames::default(),
            holders: PortHolders::default(),
            renewed: false,
            suspended: Suspended::begin(BootInstant::suspended()),
        }
    }

    /// Does what is asked on this socket, too.
    pub(crate) fn asked_by(self, control: Option<ControlSocket>) -> Self {
        Self { control, ..self }
    }

    /// Runs until told to stop, or until the first start has failed.
    pub(crate) fn run(mut self) -> ExitCode {
        loop {
            self.wait();
            let now = BootInstant::now();
            while let Some(wanted) = self.signals.next() {
                match wanted {
                    Wanted::Stop => return self.stop(),
                    // What came of it was logged.
                    Wanted::Reload => drop(self.reload(None, now)),
                    Wanted::Confirm => drop(self.confirm(now)),
                    Wanted::Look => {}
                }
            }
            self.serve(now);
            self.do_what_is_asked(now);
            self.listen(now);
            // First who has ended, then who may begin: nobody waits a round for a free folder.
            if let Some(code) = self.reap(now) {
                return code;
            }
            self.advance_reload(now);
            self.maintain(now);
            self.check_liveness(now);
            if let Some(code) = self.end_trial(now) {
                return code;
            }
        }
    }

    fn wait(&self) {
        let networks = self.current.iter().chain(&self.next);
        let mut polled: Vec<PollFd<'_>> = [self.signals.as_fd(), self.watch.fd()]
            .into_iter()
            .chain(networks.flat_map(NetworkProcess::lines))
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .chain(self.control.iter().flat_map(ControlSocket::polled))
            .collect();
        let due = self.restore_at.into_iter().chain(self.trial_due()).min();
        let idle = match due {
            _ if self.control.as_ref().is_some_and(ControlSocket::is_due) => Duration::ZERO,
            due => due.map_or(TICK, |due| due.since(BootInstant::now()).min(TICK)),
        };
        let timeout = PollTimeout::try_from(idle).unwrap_or(PollTimeout::ZERO);
        // An error wakes us like anything else; there is always something to look after.
        let _ = poll(&mut polled, timeout);
    }

    fn listen(&mut self, now: BootInstant) {
        for network in self.current.iter_mut().chain(&mut self.next) {
            network.listen(&mut self.allowance, now);
        }
    }

    /// Notices ends, and decides what follows.
    fn reap(&mut self, now: BootInstant) -> Option<ExitCode> {
        if let Some(status) =
            self.next.as_mut().and_then(|next| next.ended(&mut self.allowance, now))
        {
            let mut why = vec![format!("the new network process failed ({status})")];
            why.extend(self.next.take().map(NetworkProcess::errors).unwrap_or_default());
            self.not_reloaded(&why, now);
            if !self.protected {
                return Some(code(status));
            }
            self.no_trial();
            self.spawner.settle(&self.settings);
            error!(%status, "the new network process failed. The previous configuration stays in \
                             force");
            self.notify.ready("reload failed. The previous configuration stays in force");
            // After a trial, what is current may not be what should be.
            if self.current.as_ref().is_none_or(|current| current.settings != self.settings) {
                self.again.schedule(now);
            }
        }
        let current = self.current.as_mut();
        if let Some(status) = current.and_then(|one| one.ended(&mut self.allowance, now)) {
            let finished = self.current.take().is_some_and(|network| network.is_finishing());
            if !(finished && status.success()) {
                error!(%status, "network process exited. Rules and grants stay; starting a new \
                                 one");
            }
            if self.next.is_none() {
                self.again.schedule(now);
            }
        }
        None
    }

    fn maintain(&mut self, now: BootInstant) {
        self.restore_if_changed(now);
        self.resume(now, BootInstant::suspended());
        self.spawner.marks.save(now);
        self.gate_service.gate.expire(now);
        self.gate_service.gate.save(now);
        self.report_trial(now);
        self.allowance.excess(now).into_iter().for_each(tell_of_excess);
        log::catch_up();
        self.holders.look(&self.settings, self.spawner.uid(), now);
        for network in self.current.iter_mut().chain(&mut self.next) {
            if network.is_overdue(now, FINISH) {
                warn!(
                    pid = network.pid(),
                    "the network process did not finish in time. Killing \
                                            it"
                );
                network.kill();
            }
        }
        self.follow_names(now);
        if self.next.is_none() && self.again.due.is_some_and(|due| due <= now) {
            self.again.due = None;
            match self.spawner.start(&self.settings, now) {
                Ok(network) => self.next = Some(network),
                Err(_) => self.again.schedule(now),
            }
        }
    }

    /// Puts everything back that somebody else has removed; if that fails, again in the next round.
    fn restore_if_changed(&mut self, now: BootInstant) {
        // Always read: or it stays readable, and we never sleep.
        let changes = self.watch.read();
        self.gate_service.on_external_changes(&changes, now);
        if (changes.structure_changed || changes.overrun) && self.protected {
            self.restore_at.get_or_insert(now);
        }
        if self.restore_at.is_none_or(|due| now < due) {
            return;
        }
        if let Outcome::Failed(error) = self.gate_service.gate.reinstall(now) {
            error!("table inet sknock was removed and cannot be restored: {error}. Trying again");
            self.restore_at = Some(now.after(TICK));
        } else {
            warn!("another program removed table inet sknock. Restored it with all grants");
            self.gate_service.tell_of_the_rest();
            self.restore_at = None;
        }
    }

    /// Reads everything anew, on trial for so long if that is asked. Whatever is wrong with it, what
    /// runs goes on; why it is not even begun.
    fn reload(&mut self, trial: Option<Duration>, now: BootInstant) -> Result<(), Vec<String>> {
        self.notify.reloading();
        info!(config = %self.config.display(), "reloading");
        self.renewed = false;
        let started = match Settings::load(&self.config, std::env::vars_os()) {
            Ok(settings) => self.spawner.start(&settings, now).map_err(StartFailed::reasons),
            Err(problems) => {
                error!("{problems}");
                Err(problems.iter().map(ToString::to_string).collect())
            }
        };
        match started {
            Ok(network) => {
                // Only now: without a current process it is the only one that will listen.
                if let Some(mut superseded) = self.next.replace(network) {
                    superseded.kill();
                    self.not_reloaded(&["another reload has started".to_owned()], now);
                }
                self.trial.ask(trial);
                Ok(())
            }
            Err(reasons) => {
                if self.next.is_none() {
                    self.spawner.settle(&self.settings);
                }
                error!("reload failed. The previous configuration stays in force");
                self.notify.ready("reload failed. The previous configuration stays in force");
                Err(reasons)
            }
        }
    }

    /// Ends in order: knocks first, then, if the administrator wants that, the protection.
    fn stop(mut self) -> ExitCode {
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
    fn finish(&mut self) {
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
}

/// It may be captured, or told to log what anyone can cause.
fn tell_of_excess(DroppedLines { dropped, lines, bytes }: DroppedLines) {
    warn!(
        "{dropped} lines of the network process dropped: more than {lines} or {bytes} bytes a second"
    );
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.filter(|code| *code != 0).unwrap_or(FAILURE))
}
