//! Supervises the gate and the network processes: one loop, one thread, which only blocks in `poll`.
//!
//! A network process is `next` from its start until it has the rules loaded; then it is `current`. The old
//! one stays until the new one only lacks the state directory.

mod asked;
mod gate_service;
mod links;
mod reload;
mod restore;
mod stop;
mod trial;
mod trial_watch;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sknock_gate::{BootInstant, Gate, Watch};
use tracing::{error, warn};

use self::asked::Closings;
use self::gate_service::GateService;
use self::reload::ResolvedNames;
use self::reload::RestartBackoff;
use self::reload::{ReloadQueue, ReloadRequest};
use self::restore::Suspended;
pub(crate) use self::trial_watch::{TrialDeadline, TrialWatch};
use super::knock_ports::PortHolders;
use super::log_budget::{Allowance, DroppedLines};
use super::network_process::{NetworkProcess, QUESTION};
use super::spawner::Spawner;
use super::{Signals, Wanted};
use crate::config::Settings;
use crate::control::socket::ControlSocket;
use crate::sys::exit::FAILURE;
use crate::sys::log::{self, RateLimit};
use crate::sys::notify::Notify;

/// The state of the privileged process.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// The configuration file, read again on reload.
    pub(crate) config: PathBuf,
    /// The settings of the last network process that served.
    pub(crate) settings: Settings,
    pub(crate) spawner: Spawner,
    pub(crate) gate_service: GateService,
    pub(crate) watch: Watch,
    pub(crate) signals: Signals,
    pub(crate) notify: Notify,
    /// The time of the last watchdog message to systemd.
    notified_at: BootInstant,
    control: Option<ControlSocket>,
    /// How often the log reports requests: of root, and of others.
    requests: [RateLimit; 2],
    reloads: ReloadQueue,
    closings: Closings,
    trial: TrialWatch,
    current: Option<NetworkProcess>,
    next: Option<NetworkProcess>,
    /// Whether the rules have been loaded since the start.
    protected: bool,
    /// When to restore the table after a change by another program.
    restore_at: Option<BootInstant>,
    again: RestartBackoff,
    names: ResolvedNames,
    holders: PortHolders,
    /// The log budget of network processes.
    allowance: Allowance,
    /// Whether the starting process was already restarted because of new CRLs.
    renewed: bool,
    /// The total suspend time when the table was last loaded.
    suspended: Suspended,
}

/// How often to check what causes no event: expired grants, a process that does not finish.
const TICK: Duration = Duration::from_millis(500);

/// Time limit for finishing: a knock takes less than a millisecond.
const FINISH: Duration = Duration::from_secs(5);

/// Time limit of a start: fetching a CRL may take 130 s, and parsing a large one some more.
const START: Duration = Duration::from_secs(180);

impl Supervisor {
    /// A supervisor with `next` starting.
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
            notified_at: BootInstant::default(),
            control: None,
            requests: [RateLimit::of(20), RateLimit::default()],
            reloads: ReloadQueue::default(),
            closings: Closings::default(),
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

    /// Also serves requests on this socket.
    pub(crate) fn asked_by(self, control: Option<ControlSocket>) -> Self {
        Self { control, ..self }
    }

    /// Runs until a stop signal, or until the first start has failed.
    pub(crate) fn run(mut self) -> ExitCode {
        loop {
            self.wait();
            let now = BootInstant::now();
            while let Some(wanted) = self.signals.next() {
                match wanted {
                    Wanted::Stop => return self.stop(),
                    // In a start it waits until that has ended.
                    Wanted::Reload(by) => {
                        self.reloads.push(ReloadRequest { trial: None, by, asker: None });
                    }
                    // The log has the result.
                    Wanted::Confirm(by) => drop(self.confirm(by, now)),
                    Wanted::Look => {}
                }
            }
            self.serve(now);
            self.serve_control_requests(now);
            self.advance_closing(now);
            self.listen(now);
            // Ended processes first, then those that may begin: so none waits a round for a free state
            // directory.
            if let Some(code) = self.reap(now) {
                return code;
            }
            self.begin_reload(now);
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
            _ if self.is_reload_due() || !self.closings.is_empty() => Duration::ZERO,
            due => due.map_or(TICK, |due| due.since(BootInstant::now()).min(TICK)),
        };
        let timeout = PollTimeout::try_from(idle).unwrap_or(PollTimeout::ZERO);
        // An error is treated as a wake-up: every round checks all state.
        let _ = poll(&mut polled, timeout);
    }

    fn listen(&mut self, now: BootInstant) {
        for network in self.current.iter_mut().chain(&mut self.next) {
            network.listen(&mut self.allowance, now);
        }
    }

    /// Handles ended processes.
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
            // After a trial, the current process may have other settings than those in force.
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
        self.gate_service.report_tags(now);
        self.report_trial(now);
        self.allowance.excess(now).into_iter().for_each(log_dropped_lines);
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
            self.reloads.restarted();
            match self.spawner.start(&self.settings) {
                Ok(network) => self.next = Some(network),
                Err(_) => self.again.schedule(now),
            }
        }
    }

    /// Checks whether knocks are processed: kills a hung process, and notifies systemd's watchdog only as
    /// long as all is well. A serving process must answer the heartbeat; one that starts or finishes has a
    /// time limit instead.
    fn check_liveness(&mut self, now: BootInstant) {
        let asked = self.current.as_mut().filter(|current| !current.is_finishing());
        let well = match asked {
            Some(current) => {
                current.ask(now);
                current.has_answered()
            }
            None => self.protected && now.since(self.notified_at) >= QUESTION,
        };
        if well {
            self.notified_at = now;
            self.notify.alive();
        }
        if let Some(current) = self.current.as_mut().filter(|current| current.is_unresponsive()) {
            end(current, "did not answer in time");
        }
        if let Some(next) = self.next.as_mut().filter(|next| next.is_late(now, START)) {
            end(next, "did not start in time");
        }
    }
}

fn end(network: &mut NetworkProcess, why: &str) {
    error!(pid = network.pid(), "the network process {why}. Killing it");
    network.kill();
}

/// The network process may be compromised, or configured to log events that any sender can cause.
fn log_dropped_lines(DroppedLines { dropped, lines, bytes }: DroppedLines) {
    warn!(
        "{dropped} lines of the network process dropped: more than {lines} or {bytes} bytes a second"
    );
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.filter(|code| *code != 0).unwrap_or(FAILURE))
}
