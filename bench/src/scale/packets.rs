//! The kernel's cost of a packet with a grant.

use std::net::Ipv4Addr;
use std::time::Duration;

use sknock_tests::World;

use super::doors::{ADDRESSES, MOST, address};
use crate::cpu::Softirqs;
use crate::sender::Sender;
use crate::series::{Series, micros_each};
use crate::stopwatch::own_cpu;

const ROUNDS: usize = 5;
const PACKETS: u32 = 40_000;

/// Drops packets at ingress: the rest is the cost of sending.
const UNSEEN: &str = "table netdev bench {
    chain unseen { type filter hook ingress device cl priority 0; meta protocol ip drop; }
}";

/// Drops accepted packets directly after the gate's chain.
const BEHIND: &str = "table inet bench {
    chain behind { type filter hook input priority -149; udp dport 62344 drop; }
}";

/// The source addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The first address only: all data stays in the CPU's caches.
    One,
    /// All addresses, in random order.
    Any,
}

/// A client with any source address, and a gateway that does not answer.
pub(super) struct Packets<'w> {
    world: &'w World,
    softirqs: Softirqs,
    bare: [f64; 2],
}

impl<'w> Packets<'w> {
    /// Measures the cost of sending.
    pub(super) fn of(world: &'w World) -> Self {
        world.client.run("ip", &["route", "add", "local", ADDRESSES, "dev", "lo"]);
        let via = World::CLIENT[0].to_string();
        world.gateway.run("ip", &["route", "add", ADDRESSES, "via", &via]);
        world.gateway.nft(UNSEEN);
        let mut packets = Self { world, softirqs: Softirqs::find(), bare: [0.0; 2] };
        packets.bare = [From::One, From::Any].map(|from| packets.cost(from));
        world.gateway.nft("delete table netdev bench");
        world.gateway.nft(BEHIND);
        packets
    }

    /// Cost per packet, without the cost of sending, in microseconds: the median of the rounds.
    pub(super) fn kernel(&self, from: From) -> f64 {
        self.cost(from) - self.bare[from as usize]
    }

    fn cost(&self, from: From) -> f64 {
        let sender = Sender::of(self.world, Duration::from_secs(1));
        (0..ROUNDS).map(|_| self.round(&sender, from)).collect::<Series>().median()
    }

    fn round(&self, sender: &Sender, from: From) -> f64 {
        let (softirqs, own) = (self.softirqs.spent(), own_cpu());
        let sources = (0..PACKETS).map(|number| match from {
            From::One => address(0),
            From::Any => anywhere(number),
        });
        let taken = sources.filter(|source| sender.send(&[0; 32], *source)).count();
        let own = own_cpu().saturating_sub(own);
        micros_each(own + self.softirqs.spent().saturating_sub(softirqs), taken)
    }
}

/// Far from the previous one; 982,451,653 is prime.
fn anywhere(number: u32) -> Ipv4Addr {
    let place = u64::from(number) * 982_451_653 % u64::from(MOST);
    address(u32::try_from(place).unwrap_or_default())
}
