//! The minimal opener: one thread that makes the cryptographic calls of a knock for each datagram, whatever
//! its content, and has the kernel add one element. It verifies, remembers and logs nothing, and has all
//! privileges: not a server, but a lower bound for servers.

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sknock_protocol::DEFAULT_KNOCK_PORT;

use crate::cpu;
use crate::floor::Work;
use crate::lone_gate::LoneGate;
use crate::opening::{Family, Opened, knock_and_connect};
use crate::world::{GATEWAY, Site};

/// How soon the thread notices the end of the knocks.
const LOOK: Duration = Duration::from_millis(50);

/// The time from a knock to a connection, for this number of knocks: measured like daemons, on the same core.
pub(crate) fn opening(site: &Site, knocks: usize) -> Opened {
    let mut gate = LoneGate::of(&site.world.gateway);
    let bind = || UdpSocket::bind((GATEWAY, DEFAULT_KNOCK_PORT));
    let socket = site.world.gateway.inside(bind).expect("nobody else is there");
    socket.set_read_timeout(Some(LOOK)).expect("not zero");
    let (work, over) = (Work::new(), AtomicBool::new(false));
    cpu::stay_on(cpu::SENDER);
    let opened = thread::scope(|scope| {
        scope.spawn(|| {
            cpu::stay_on(cpu::DAEMON);
            let (mut bytes, mut run) = ([0; 2048], 0);
            while !over.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut bytes)
                    && let IpAddr::V4(address) = from.ip()
                {
                    work.knock(run);
                    gate.open(address);
                    run += 1;
                }
            }
        });
        let knock = |number| vec![(DEFAULT_KNOCK_PORT, site.knock(number, false).to_vec())];
        let opened = knock_and_connect(&site.world, Family::V4, 0..knocks, knock);
        over.store(true, Ordering::Relaxed);
        opened
    });
    cpu::go_anywhere();
    opened
}
