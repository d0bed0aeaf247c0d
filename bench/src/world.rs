//! The measured network: a gateway with a daemon, a client with many addresses, an authority.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use sknock_protocol::v2::{self, ClaimedAddress, DATAGRAM_LENGTH, KnockRequest};
use sknock_protocol::{Identity, ServerCertificate, Service};
use sknock_tests::wait::now;
use sknock_tests::{Authority, Config, Daemon, World};

use crate::contender::Ours;
use crate::sender::Sender;

/// A knock, or a datagram of the same length.
pub(crate) type Packet = [u8; DATAGRAM_LENGTH];

/// Certificates that knock in turn.
pub(crate) const CLIENTS: usize = 40;

/// The network and the certificates, without daemons.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    pub(crate) server: ServerCertificate,
    clients: Vec<Identity>,
}

/// The protected service.
pub(crate) const PORT: u16 = 22;

/// Where the gateway is.
pub(crate) const GATEWAY: IpAddr = World::GATEWAY[0];
/// The same in the other family.
pub(crate) const GATEWAY_V6: IpAddr = World::GATEWAY[1];

impl Site {
    /// Makes namespaces and certificates. The client may send from every address of [`source`].
    pub(crate) fn new() -> Self {
        let world = routed();
        let authority = Authority::new();
        let name = |number| format!("client-{number}");
        let clients = (0..CLIENTS).map(|number| {
            authority.client(&name(number), &["tcp/22"]);
            authority.identity(&name(number))
        });
        let clients = clients.collect();
        let server = authority.server_certificate("gate");
        Self { world, authority, server, clients }
    }

    /// A realistic configuration, with limits that no measurement reaches.
    pub(crate) fn config(&self) -> Config {
        let list = self.authority.ca().crl_file();
        Config::new(&self.authority)
            .set("crlFile", list.to_str().expect("temporary files have plain names"))
            .set("protectedPorts", "tcp/22")
            .set("maxGrants", "1000000")
            .set("knocksPerSource", "0")
            .set("maxGrantsPerSecond", "100000")
            .set("TIMESTAMP_THRESHOLD_IN_SECONDS", "4")
    }

    /// Starts a daemon with this configuration and these lines in its log, and waits until it accepts
    /// knocks.
    pub(crate) fn start(&self, config: &Config, log: &str) -> Daemon<'_> {
        // Grants outlive their daemon; the next one must begin without.
        self.world.gateway.nft("table inet sknock\ndelete table inet sknock");
        let mut daemon = Daemon::stopped(&self.world.gateway, config);
        daemon.export("SKNOCK_LOG", log);
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        daemon
    }

    /// Sends a knock of every client, so that the daemon has cached all their certificates.
    pub(crate) fn introduce(&self) {
        let sender = Sender::of(&self.world, Duration::from_secs(1));
        for number in 0..CLIENTS {
            sender.send(&self.knock(number, true), source(60_000 + number));
            assert!(sender.hears(), "client {number} knocked, and no answer came");
        }
    }

    /// A running daemon as a contender; its clients request no answer.
    pub(crate) fn ours<'s>(&'s self, name: &'static str, daemon: &'s Daemon<'s>) -> Ours<'s> {
        Ours { name, site: self, daemon, answer: false }
    }

    /// A knock of client `number` for ssh with unsigned address, with a new key and timestamp.
    pub(crate) fn knock(&self, number: usize, answer: bool) -> Packet {
        self.knock_of(&self.clients[number % self.clients.len()], answer)
    }

    /// The same for another client.
    pub(crate) fn knock_of(&self, client: &Identity, answer: bool) -> Packet {
        let wish = KnockRequest {
            stamp: now(),
            lifetime: NonZeroU16::new(60),
            single_use: false,
            answer,
            address: ClaimedAddress::Source,
            second: None,
            services: vec!["tcp/22".parse::<Service>().expect("a service")],
        };
        v2::seal(client, &self.server, &wish).expect("it fits").datagram
    }
}

/// Two namespaces, with routes for many client addresses.
pub(crate) fn routed() -> World {
    let world = World::new();
    world.client.run("ip", &["route", "add", "local", "10.78.0.0/16", "dev", "lo"]);
    let via = World::CLIENT[0].to_string();
    world.gateway.run("ip", &["route", "add", "10.78.0.0/16", "via", &via]);
    // The same for IPv6, where sources that only a route makes local must be allowed.
    let allow = || fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
    world.client.inside(allow).expect("root may");
    world.client.run("ip", &["route", "add", "local", "fd78::/96", "dev", "lo"]);
    let via = World::CLIENT[1].to_string();
    world.gateway.run("ip", &["route", "add", "fd78::/96", "via", &via]);
    world
}

/// The `number`th client address.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the crowd has 65536 addresses, then the first again"
)]
pub(crate) fn source(number: usize) -> Ipv4Addr {
    let [high, low] = (number as u16).to_be_bytes();
    Ipv4Addr::new(10, 78, high, low)
}

/// The same in the other family.
pub(crate) fn source_v6(number: usize) -> Ipv6Addr {
    let [.., high, low] = source(number).octets();
    Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, u16::from_be_bytes([high, low]))
}
