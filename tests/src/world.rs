//! A small network: a gateway, a client, a stranger, and optionally a machine behind the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::reach::{self, Found, Seen};
use crate::{Namespace, binaries};

/// One address in each family: IPv4, then IPv6.
pub type Families = [IpAddr; 2];

/// The machines of one test.
#[derive(Debug)]
pub struct World {
    /// Runs sknockd.
    pub gateway: Namespace,
    /// Knocks.
    pub client: Namespace,
    /// Must never get access.
    pub stranger: Namespace,
    inner: Option<Namespace>,
}

const fn addresses(net: u8, host: u8) -> Families {
    [
        IpAddr::V4(Ipv4Addr::new(10, 77, net, host)),
        IpAddr::V6(Ipv6Addr::new(0xfd77, net as u16, 0, 0, 0, 0, 0, host as u16)),
    ]
}

impl World {
    /// The gateway, as the client sees it.
    pub const GATEWAY: Families = addresses(1, 1);
    /// The client.
    pub const CLIENT: Families = addresses(1, 2);
    /// The gateway, as the stranger sees it.
    pub const GATEWAY_TO_STRANGER: Families = addresses(2, 1);
    /// The stranger.
    pub const STRANGER: Families = addresses(2, 2);
    /// The machine behind the gateway.
    pub const INNER: Families = addresses(3, 2);

    /// Gateway, client and stranger.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        binaries::require_root_and_tools();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = |role: &str| Namespace::new(format!("sk{}-{count}-{role}", id()));
        let [gateway, client, stranger] = ["gw", "cl", "st"].map(namespace);
        cable(&gateway, "cl", &client, 1);
        cable(&gateway, "st", &stranger, 2);
        Self { gateway, client, stranger, inner: None }
    }

    /// With a machine behind the gateway, which forwards.
    pub fn with_inner() -> Self {
        let mut world = Self::new();
        let inner = Namespace::new(world.gateway.name().replace("-gw", "-in"));
        cable(&world.gateway, "in", &inner, 3);
        inner.ip("route add default via 10.77.3.1\nroute add default via fd77:3::1");
        world.gateway.set("ipv4/ip_forward", "1");
        world.gateway.set("ipv6/conf/all/forwarding", "1");
        world.inner = Some(inner);
        world
    }

    /// The machine behind the gateway.
    pub fn inner(&self) -> &Namespace {
        self.inner.as_ref().expect("made by with_inner()")
    }

    /// The state of a TCP port of the gateway, as seen by client and stranger, in both families.
    pub fn tcp(&self, port: u16) -> Seen {
        self.seen(|from, to| reach::tcp(from, (to, port).into()))
    }

    /// The same for a UDP port.
    pub fn udp(&self, port: u16) -> Seen {
        self.seen(|from, to| reach::udp(from, (to, port).into()))
    }

    /// All four at a time: to find nothing takes a while.
    fn seen(&self, probe: impl Fn(&Namespace, IpAddr) -> Found + Sync) -> Seen {
        let sides = [(&self.client, Self::GATEWAY), (&self.stranger, Self::GATEWAY_TO_STRANGER)];
        let [client, stranger] = thread::scope(|scope| {
            let probe = &probe;
            let running = sides
                .map(|(from, addresses)| addresses.map(|to| scope.spawn(move || probe(from, to))));
            running.map(|side| side.map(|probe| probe.join().expect("a probe failed")))
        });
        Seen { client, stranger }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Joins two namespaces: the first is host 1 of the network `net`, the second host 2.
fn cable(one: &Namespace, name: &str, other: &Namespace, net: u8) {
    one.ip(&format!("link add {name} type veth peer name {name} netns {}", other.name()));
    for (namespace, host) in [(one, 1), (other, 2)] {
        let [v4, v6] = addresses(net, host);
        namespace.ip(&format!(
            "addr add {v4}/24 dev {name}\naddr add {v6}/64 dev {name} nodad\nlink set {name} up"
        ));
    }
}
