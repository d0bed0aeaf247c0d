//! The host itself dials out through somebody's translation, and the other side comes back.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use sknock_tests::ip_packet::{Packet, SYN, Segment, tcp};
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::stage::{accepted, listener, settle};

/// A port from which the host has dialled out, where a protected service listens afterwards.
const PORT: u16 = 2222;

/// The stranger's, to which the host's connections to elsewhere are translated.
const THEIRS: u16 = 20_000;

#[test]
fn a_syn_in_reply_direction_of_a_translated_connection_is_filtered() {
    let authority = Authority::new();
    let config =
        Config::new(&authority).set("firewallPolicy", "drop").set("protectedPorts", "tcp/2222");
    assert!(is_answered(None), "the way back leads nowhere, whoever judges");
    assert!(!is_answered(Some(&config)));
}

/// Whether SYNs that come back reach a service, perhaps past a server.
fn is_answered(config: Option<&Config>) -> bool {
    let world = World::new();
    world.gateway.nft(&format!(
        "table ip nat {{
            chain output {{
                type nat hook output priority -100
                ip daddr 10.77.2.99 tcp dport 99 dnat to 10.77.2.2:{THEIRS}
            }}
        }}"
    ));
    // A chain that asks for it has the kernel track connections; the server's table does.
    world.gateway.track_connections();
    let _daemon = config.map(|config| Daemon::start_settled(&world.gateway, config));
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let [own, to] = [World::STRANGER[0], World::GATEWAY_TO_STRANGER[0]];
    let (from, to) = (SocketAddr::new(own, THEIRS), SocketAddr::new(to, PORT));

    // Dials and gives up: the entry waits for an answer, the port is free.
    let dialled = world.gateway.inside(|| {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let dialled = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        setsockopt(&dialled, sockopt::ReuseAddr, &true).unwrap();
        bind(dialled.as_raw_fd(), &SockaddrIn::new(10, 77, 2, 1, PORT)).unwrap();
        let elsewhere = SockaddrIn::new(10, 77, 2, 99, 99);
        let begun = connect(dialled.as_raw_fd(), &elsewhere);
        assert_eq!(begun, Err(nix::errno::Errno::EINPROGRESS));
        dialled
    });
    wire.wait_for("its SYN", |packet| packet.from == to && packet.flags & SYN != 0);
    drop(dialled);
    let service = listener(&world.gateway, PORT);
    wire.heard();
    for sequence in [0x4000_0000, 0x5000_0000, 0x6000_0000] {
        wire.send(&tcp(from, to, &Segment { flags: SYN, sequence, ..Segment::default() }));
        settle();
    }
    let answered = wire.heard().iter().any(Packet::is_syn_ack);
    // The handshake is not completed: the service itself accepts nobody.
    assert!(accepted(&service).is_empty());
    answered
}
