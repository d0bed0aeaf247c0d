//! The threads of the network process, from the order to begin to the order to finish.

use std::error::Error;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use sknock_gate::Response;
use sknock_protocol::Verifier;
use tracing::error;

use super::orders::Orders;
use super::outlook::Outlook;
use crate::audit::Audit;
use crate::clock;
use crate::config::Settings;
use crate::dismissed::Dismissed;
use crate::exit::FAILURE;
use crate::gate::Gate;
use crate::intake::{Crowd, Ear, Porter, Pulse, work};
use crate::orders::{Order, Report};
use crate::pipeline::Pipeline;
use crate::policy::Policy;
use crate::refresh::Refresh;
use crate::replay::{BootId, Journal};

/// All that was prepared; only the state directory is missing.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) settings: Settings,
    pub(super) boot: BootId,
    pub(super) orders: Orders,
    pub(super) doors: Vec<(Ear, Gate)>,
    pub(super) gate: Gate,
    pub(super) verifier: Arc<Verifier>,
    pub(super) refresh: Refresh,
}

/// Takes the state directory, has the protection put up, and judges knocks until told to finish.
pub(super) fn serve(ready: Ready) -> Result<(), Box<dyn Error>> {
    let Ready { settings, boot, orders, doors, mut gate, verifier, refresh } = ready;
    match orders.wait()? {
        Order::Begin => {}
        Order::Finish => return Ok(()),
        Order::Answer => return Err("asked for workers before there are any".into()),
    }
    let knocks = &settings.knocks;
    let remembered = usize::try_from(knocks.remembered)?;
    let (replay, opened) =
        Journal::open(&settings.process.state, &boot, clock::now(), knocks.window, remembered)?;
    let replay = replay.sharing(settings.grants.shares());
    let revocation = refresh.current();
    let pipeline = Pipeline {
        verifier,
        revocation,
        replay,
        policy: Policy::of(&settings.grants),
        dismissed: Dismissed::default(),
    };
    // Dropping one end makes the other readable, for every thread at once.
    let (stop, stopping) = UnixStream::pair()?;
    let crowd = Crowd::default();
    let pulses: Vec<Pulse> = doors.iter().map(|_| Pulse::default()).collect();
    let order = thread::scope(|scope| {
        // All threads are there before anything is closed: who is protected must be heard.
        let mut starts = Vec::new();
        for ((ear, gate), pulse) in doors.into_iter().zip(&pulses) {
            let (start, started) = mpsc::channel();
            starts.push(start);
            let audit = Audit::default();
            let (pipeline, crowd) = (&pipeline, &crowd);
            let porter = Porter { pipeline, gate, audit, crowd, clock: clock::now };
            let stopping = stopping.as_fd();
            thread::Builder::new().spawn_scoped(scope, move || {
                if started.recv().is_ok() {
                    work(&ear, porter, pulse, stopping).unwrap_or_else(|error| lost(&error));
                }
            })?;
        }
        let (start, started) = mpsc::channel();
        let stopping = stopping.try_clone()?;
        thread::Builder::new().spawn_scoped(scope, move || {
            if let Ok(gate) = started.recv() {
                refresh.run(gate, stopping).unwrap_or_else(|error| lost(&error));
            }
        })?;
        protect(&mut gate)?;
        start.send(gate)?;
        starts.iter().try_for_each(|start| start.send(()))?;
        let outlook = Outlook::new(&pipeline.replay, opened, knocks.window);
        let order = attend(&orders, &pulses, outlook);
        drop(stop);
        Ok::<_, Box<dyn Error>>(order?)
    });
    pipeline.replay.close()?;
    match order? {
        Order::Finish => Ok(()),
        Order::Begin | Order::Answer => Err("told to begin twice".into()),
    }
}

fn protect(gate: &mut Gate) -> Result<(), Box<dyn Error>> {
    match gate.raise()? {
        Response::Activated => Ok(()),
        answer => Err(format!("the gate did not put up the protection ({answer:?})").into()),
    }
}

/// Says when knocks are accepted, and answers whether they are judged, until told something else.
fn attend(orders: &Orders, pulses: &[Pulse], mut outlook: Outlook<'_>) -> io::Result<Order> {
    let mut asked = false;
    loop {
        let wait = outlook.tell(clock::now());
        if asked && pulses.iter().all(Pulse::has_beaten) {
            orders.report(Report::AtWork)?;
            asked = false;
        }
        let spans = [wait, asked.then_some(LOOK)];
        match orders.within(spans.into_iter().flatten().min())? {
            None => {}
            Some(Order::Answer) => {
                pulses.iter().for_each(Pulse::forget);
                asked = true;
            }
            Some(order) => return Ok(order),
        }
    }
}

/// Between two looks whether all workers have turned.
const LOOK: Duration = Duration::from_millis(100);

/// Without the gate, or deaf, there is nothing left to live for; whoever started us starts another.
fn lost(error: &io::Error) {
    error!("the network process ends: {error}");
    process::exit(i32::from(FAILURE));
}
