//! The interface between measurements and the measured daemons. sKnock is here; the others are in `peers`.

use std::time::Duration;

use sknock_tests::{Daemon, World};

use crate::cpu::Spent;
use crate::events::Events;
use crate::world::Site;

/// The datagrams of one knock, each with its UDP port.
pub(crate) type Knock = Vec<(u16, Vec<u8>)>;

/// A running daemon.
pub(crate) trait Contender: Sync {
    /// Its name in tables and plots.
    fn name(&self) -> &'static str;
    /// The network with the gateway on which it runs.
    fn world(&self) -> &World;
    /// A knock for ssh from the `number`th client address. Slow: it is made before a measurement.
    fn knock(&self, number: usize) -> Knock;
    /// The kernel's events about its grants, from now on.
    fn events(&self, patience: Duration) -> Events;
    /// CPU time of all its processes.
    fn spent(&self) -> Spent;
}

/// sKnock.
pub(crate) struct Ours<'a> {
    pub(crate) name: &'static str,
    pub(crate) site: &'a Site,
    pub(crate) daemon: &'a Daemon<'a>,
    /// Whether the clients request an answer.
    pub(crate) answer: bool,
}

impl Contender for Ours<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn world(&self) -> &World {
        &self.site.world
    }

    fn knock(&self, number: usize) -> Knock {
        let packet = self.site.knock(number, self.answer);
        vec![(sknock_protocol::DEFAULT_KNOCK_PORT, packet.to_vec())]
    }

    fn events(&self, patience: Duration) -> Events {
        Events::of(&self.site.world.gateway, patience)
    }

    fn spent(&self) -> Spent {
        Spent::by(self.daemon)
    }
}
