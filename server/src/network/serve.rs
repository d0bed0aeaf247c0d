//! The threads of the network process, from the order to begin to the order to finish; and the log lines
//! about the time from which knocks are accepted.

use std::error::Error;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{io, process, thread};

use sknock_gate::{BootInstant, Response};
use sknock_protocol::{Timestamp, Verifier};
use tracing::{error, info, warn};

use super::link::{NetworkReport, Order, Orders};
use crate::config::Settings;
use crate::crl::Refresh;
use crate::knock::audit::Audit;
use crate::knock::gate_client::GateClient;
use crate::knock::intake::fair::Overload;
use crate::knock::intake::source::KnockSource;
use crate::knock::pipeline::Pipeline;
use crate::knock::policy::Policy;
use crate::knock::refused_knocks::RefusedKnocks;
use crate::knock::replay::{History, Journal, Past, RecoveryReport};
use crate::knock::tag_loader::TagLoader;
use crate::knock::worker::{Liveness, Worker, work};
use crate::sys::clock;
use crate::sys::exit::FAILURE;

/// The prepared inputs; only the state directory is missing.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) settings: Settings,
    pub(super) past: Past,
    pub(super) orders: Orders,
    pub(super) worker_links: Vec<(KnockSource, GateClient)>,
    pub(super) gate: GateClient,
    pub(super) tag_loader: TagLoader,
    pub(super) verifier: Arc<Verifier>,
    pub(super) refresh: Refresh,
}

/// Locks the state directory, has the rules loaded, and processes knocks until the order to finish.
pub(super) fn serve(ready: Ready) -> Result<(), Box<dyn Error>> {
    let Ready { settings, past, orders, worker_links, mut gate, mut tag_loader, verifier, refresh } =
        ready;
    match orders.wait()? {
        Order::Begin => {}
        Order::Finish => return Ok(()),
        Order::Ping => return Err("workers were requested before they exist".into()),
    }
    let (replay, opened) = open_replay(&settings, &past)?;
    let revocation = refresh.current();
    let pipeline = Pipeline {
        verifier,
        revocation,
        replay,
        policy: Policy::of(&settings.grants),
        refused_knocks: RefusedKnocks::default(),
    };
    // Dropping one end makes the other readable, for all threads at once.
    let (stop, stopping) = UnixStream::pair()?;
    let overload = Overload::default();
    let livenesses: Vec<Liveness> = worker_links.iter().map(|_| Liveness::default()).collect();
    let order = thread::scope(|scope| {
        // All threads exist before the rules are loaded: from then on knocks must be processed.
        let mut starts = Vec::new();
        for ((source, gate), liveness) in worker_links.into_iter().zip(&livenesses) {
            let (start, started) = mpsc::channel();
            starts.push(start);
            let audit = Audit::of(livenesses.len());
            let (pipeline, overload) = (&pipeline, &overload);
            let worker = Worker { pipeline, gate, audit, overload, clock: clock::now };
            let stopping = stopping.as_fd();
            thread::Builder::new().spawn_scoped(scope, move || {
                if started.recv().is_ok() {
                    work(&source, worker, liveness, stopping).unwrap_or_else(|error| abort(&error));
                }
            })?;
        }
        let (start, started) = mpsc::channel();
        let stopping = stopping.try_clone()?;
        thread::Builder::new().spawn_scoped(scope, move || {
            if let Ok(gate) = started.recv() {
                refresh.run(gate, stopping).unwrap_or_else(|error| abort(&error));
            }
        })?;
        // First: then the rules are loaded with them.
        tag_loader.look(clock::now(), BootInstant::now())?;
        activate(&mut gate)?;
        start.send(gate)?;
        starts.iter().try_for_each(|start| start.send(()))?;
        let window = settings.knocks.window.max(past.last_state.window);
        let acceptance_delay = AcceptanceDelay::new(&pipeline.replay, opened, window);
        let order = command_loop(&orders, &livenesses, tag_loader, acceptance_delay);
        drop(stop);
        Ok::<_, Box<dyn Error>>(order?)
    });
    pipeline.replay.close()?;
    match order? {
        Order::Finish => Ok(()),
        Order::Begin | Order::Ping => {
            Err("the privileged process sent the command to begin twice".into())
        }
    }
}

/// Opens the replay memory.
fn open_replay(
    settings: &Settings,
    past: &Past,
) -> Result<(Journal, RecoveryReport), Box<dyn Error>> {
    let (state, knocks) = (&settings.process.state, &settings.knocks);
    let remembered = usize::try_from(knocks.remembered)?;
    let (replay, opened) =
        Journal::open_after(state, past, clock::now(), knocks.window, remembered)?;
    Ok((replay.sharing(settings.grants.shares()), opened))
}

fn activate(gate: &mut GateClient) -> Result<(), Box<dyn Error>> {
    match gate.activate()? {
        Response::Activated => Ok(()),
        answer => Err(format!("the privileged process did not load the rules ({answer:?})").into()),
    }
}

/// Logs the time from which knocks are accepted, renews the tags of knocks and answers heartbeats, until another order
/// arrives.
fn command_loop(
    orders: &Orders,
    livenesses: &[Liveness],
    mut tag_loader: TagLoader,
    mut acceptance_delay: AcceptanceDelay<'_>,
) -> io::Result<Order> {
    let mut asked = false;
    loop {
        let now = clock::now();
        let wait = acceptance_delay.log_changes(now);
        tag_loader.look(now, BootInstant::now())?;
        if asked && livenesses.iter().all(Liveness::has_beaten) {
            orders.report(NetworkReport::Pong)?;
            asked = false;
        }
        let spans = [wait, asked.then_some(LOOK), Some(TagLoader::LOOK)];
        match orders.within(spans.into_iter().flatten().min())? {
            None => {}
            Some(Order::Ping) => {
                livenesses.iter().for_each(Liveness::forget);
                asked = true;
            }
            Some(order) => return Ok(order),
        }
    }
}

/// Interval between checks of the workers' marks.
const LOOK: Duration = Duration::from_millis(100);

/// Without the gate or the workers the process is useless; the privileged process starts another.
fn abort(error: &io::Error) {
    error!("network process exits: {error}");
    process::exit(i32::from(FAILURE));
}

/// The log state about the time from which knocks are accepted.
#[derive(Debug)]
pub(super) struct AcceptanceDelay<'a> {
    replay: &'a Journal,
    opened: RecoveryReport,
    /// The time from which knocks are accepted; it never decreases.
    from: Timestamp,
    /// Longest wait with a correct clock.
    longest: Duration,
    /// The time of the last check.
    now: Timestamp,
    logged: LoggedDelay,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LoggedDelay {
    Nothing,
    Waiting,
    Accepting,
}

/// How far the replay memory's horizon is ahead of the knocks: the wait after a power loss.
const HORIZON: Duration = Duration::from_secs(60);

/// A clock that goes back further was stepped: then the logged time is wrong.
const STEP: Duration = Duration::from_secs(10);

impl<'a> AcceptanceDelay<'a> {
    /// Nothing is logged yet. `window` is the timestamp window.
    pub(super) fn new(replay: &'a Journal, opened: RecoveryReport, window: Duration) -> Self {
        let longest = HORIZON + 2 * window;
        let (from, now) = (opened.admits_from, Timestamp::EPOCH);
        Self { replay, opened, from, longest, now, logged: LoggedDelay::Nothing }
    }

    /// Logs changes at `now`; returns the time until the next one, unless the clock is stepped.
    pub(super) fn log_changes(&mut self, now: Timestamp) -> Option<Duration> {
        let stepped = now.after(STEP) < self.now;
        self.now = now;
        self.from = self.from.max(self.replay.admits_from());
        let wait = self.from.since(now);
        if wait.is_zero() {
            if self.logged != LoggedDelay::Accepting {
                info!("accepting knocks");
            }
            self.logged = LoggedDelay::Accepting;
            return None;
        }
        // Whole seconds, rounded up.
        let from = self.from.after(Duration::from_millis(999)).date();
        if self.logged == LoggedDelay::Nothing {
            info!(
                "{}: knocks are accepted in {} s (timestamp {from} or later)",
                self.opened.history,
                wait.as_secs() + 1,
            );
        } else if self.logged == LoggedDelay::Accepting || stepped {
            warn!(
                "the clock was set back: knocks are accepted in {} s (timestamp {from} or later)",
                wait.as_secs() + 1,
            );
        }
        if wait > self.longest && (self.logged != LoggedDelay::Waiting || stepped) {
            // With another stateDir before, the record of that one has it, too.
            let what = match self.opened.history {
                History::Superseded => "delete /run/sknock/*.state",
                _ => "empty stateDir",
            };
            warn!(
                "the wait is long because the clock was ahead earlier. If the clock is correct \
                 now: stop sknockd, {what}, start sknockd"
            );
        }
        self.logged = LoggedDelay::Waiting;
        Some(wait)
    }
}
