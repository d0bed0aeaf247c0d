//! Whoever opens doors for knocks: what a measurement needs to know of them. Ours is here; the others
//! are in `peers`.

use std::time::Duration;

use sknock_tests::{Daemon, World};

use crate::cpu::Spent;
use crate::events::Events;
use crate::world::Site;

/// The datagrams that make a knock, each with the UDP port that it is for.
pub(crate) type Knock = Vec<(u16, Vec<u8>)>;

/// A daemon that runs.
pub(crate) trait Contender: Sync {
    /// What tables and plots call it.
    fn name(&self) -> &'static str;
    /// Where it guards the gateway.
    fn world(&self) -> &World;
    /// A knock that opens ssh for the `number`th address of the crowd. Takes its time: it is made
    /// before anything is measured.
    fn knock(&self, number: usize) -> Knock;
    /// What the kernel tells of its grants, from now on.
    fn events(&self, patience: Duration) -> Events;
    /// CPU time of all its processes.
    fn spent(&self) -> Spent;
}

/// sKnock.
pub(crate) struct Ours<'a> {
    pub(crate) name: &'static str,
    pub(crate) site: &'a Site,
    pub(crate) daemon: &'a Daemon<'a>,
    /// Whether the clients want an answer.
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
