//! Flows of UDP that the host begins itself: who is called may answer. They are told from forged ones by the
//! chain `output`, which only this host's own packets pass.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use sknock_tests::ip_packet::udp;
use sknock_tests::{Authority, Config, Daemon, Namespace, Wire, World};

use super::stage::{anyone, settle};

/// Protected, where only some ports are.
const OURS: u16 = 53;
const THEIRS: u16 = 20_001;
/// How long to wait for what must not come.
const SILENCE: Duration = Duration::from_millis(500);
/// How long to wait for what must come: a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// None; one for both directions; one for what the host sends.
const ZONES: [&str; 3] = [
    "",
    "table inet zones {
        chain prerouting { type filter hook prerouting priority raw; ct zone set 5; }
        chain output { type filter hook output priority raw; ct zone set 5; }
    }",
    "table inet zones {
        chain output { type filter hook output priority raw; ct original zone set 6; }
    }",
];

/// Which ports are closed: policy, whether all ports are.
const RULES: [(&str, bool); 3] = [("drop", false), ("reject", false), ("drop", true)];

fn config(authority: &Authority, (policy, all): (&str, bool)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy);
    if all { config.set("alwaysOpenPorts", "").without("protectedPorts") } else { config }
}

/// A socket of the host that waits for what comes.
fn bound(host: &Namespace, own: SocketAddr) -> UdpSocket {
    let socket = host.inside(|| UdpSocket::bind(own)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Whether this is what arrives next, within `patience`.
fn receives(socket: &UdpSocket, what: &[u8], patience: Duration) -> bool {
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut heard = [0; 64];
    matches!(socket.recv(&mut heard), Ok(length) if heard[..length] == *what)
}

/// From each of its addresses, link-local ones included: name servers may have such.
#[test]
fn a_peer_that_the_host_calls_can_answer() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let back = Wire::another(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let index = world.gateway.inside(|| if_nametoindex("st")).unwrap();
        let own = wire.link_local_of_peer();
        let theirs = link_local(&world.stranger);
        let with_scope = |address: IpAddr, port| match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, port, 0, index).into()
            }
            other => SocketAddr::new(other, port),
        };
        let pairs = World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER);
        for (own, theirs) in pairs.chain([(own.into(), theirs)]) {
            let socket = bound(&world.gateway, with_scope(own, OURS));
            let (own, peer) = (SocketAddr::new(own, OURS), SocketAddr::new(theirs, THEIRS));
            back.send(&udp(peer, own, b"not yet"));
            assert!(!receives(&socket, b"not yet", SILENCE), "{rules:?}: {own}");
            socket.send_to(b"calls", with_scope(theirs, THEIRS)).unwrap();
            settle();
            back.send(&udp(peer, own, b"answers"));
            assert!(receives(&socket, b"answers", PATIENCE), "{rules:?}: {own} called {peer}");
        }
    }
}

fn link_local(host: &Namespace) -> IpAddr {
    let listed = host.run("ip", &["-6", "-o", "address", "show", "dev", "st", "scope", "link"]);
    let word = listed.split_whitespace().find(|word| word.starts_with("fe80:")).unwrap();
    word.split('/').next().unwrap().parse().unwrap()
}

/// Which flows began here is known from the table's first moment on. From before, it is not: a forged packet
/// may have made the entry. One packet of the host makes it known, in each conntrack zone.
#[test]
fn a_flow_from_before_the_start_continues_once_the_host_has_sent() {
    let zoned = RULES.iter().flat_map(|rules| ZONES.map(|zone| (*rules, zone)));
    for (rules, zone) in zoned {
        let (world, authority) = (World::new(), Authority::new());
        world.gateway.nft(zone);
        world.gateway.track_connections();
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let own = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], OURS);
        let peer = SocketAddr::new(World::STRANGER[0], THEIRS);
        let socket = bound(&world.gateway, own);
        socket.send_to(b"calls", peer).unwrap();
        wire.send(&udp(peer, own, b"before"));
        assert!(receives(&socket, b"before", PATIENCE), "{rules:?}, {zone}");
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        wire.send(&udp(peer, own, b"after"));
        assert!(!receives(&socket, b"after", SILENCE), "{rules:?}, {zone}");
        socket.send_to(b"calls", peer).unwrap();
        settle();
        for _ in 0..2 {
            wire.send(&udp(peer, own, b"again"));
            assert!(receives(&socket, b"again", PATIENCE), "{rules:?}, {zone}");
        }
    }
}

/// The entry of the flow is another's: somebody without privileges has sent in the peer's name (IPv6).
#[test]
fn a_called_peer_can_answer_although_a_local_user_made_the_entry() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let own = SocketAddr::new(World::GATEWAY_TO_STRANGER[1], OURS);
        let peer = SocketAddr::new(World::STRANGER[1], THEIRS);
        let mallory = world.gateway.inside(|| anyone(peer));
        let _ = mallory.send_to(b"before", own);
        settle();
        let socket = bound(&world.gateway, own);
        socket.send_to(b"calls", peer).unwrap();
        settle();
        wire.send(&udp(peer, own, b"answers"));
        assert!(receives(&socket, b"answers", PATIENCE), "{rules:?}");
    }
}

/// Labels outlive the table's replacement and the process.
#[test]
fn a_flow_that_the_host_began_outlives_a_restart() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let config = config(&authority, rules);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let own = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], OURS);
        let peer = SocketAddr::new(World::STRANGER[0], THEIRS);
        let socket = bound(&world.gateway, own);
        socket.send_to(b"calls", peer).unwrap();
        settle();
        drop(daemon);
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        wire.send(&udp(peer, own, b"answers"));
        assert!(receives(&socket, b"answers", PATIENCE), "{rules:?}");
    }
}

/// Its certificate may have been revoked in between, and nobody would know.
#[test]
fn after_the_rules_were_removed_no_flow_is_admitted_any_more() {
    let (world, authority) = (World::new(), Authority::new());
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let config = config(&authority, RULES[0]);
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let own = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], OURS);
    let peer = SocketAddr::new(World::STRANGER[0], THEIRS);
    let socket = bound(&world.gateway, own);
    socket.send_to(b"calls", peer).unwrap();
    settle();
    drop(daemon);
    world.gateway.nft("delete table inet sknock");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    wire.send(&udp(peer, own, b"answers"));
    assert!(!receives(&socket, b"answers", SILENCE));
}

/// To a port of its own that leads to another machine.
#[test]
fn the_host_reaches_what_it_publishes() {
    for rules in RULES {
        let (world, authority) = (World::with_inner(), Authority::new());
        let inner = World::INNER[0];
        world.gateway.nft(&format!(
            "table ip nat {{
                chain output {{
                    type nat hook output priority -100
                    ip daddr 10.77.2.1 udp dport {OURS} dnat to {inner}:{THEIRS}
                }}
            }}"
        ));
        let echo = bound(world.inner(), SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), THEIRS));
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let socket = bound(&world.gateway, (Ipv4Addr::UNSPECIFIED, 40_001).into());
        let published = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], OURS);
        socket.send_to(b"calls", published).unwrap();
        let (_, from) = echo.recv_from(&mut [0; 64]).unwrap();
        echo.send_to(b"answers", from).unwrap();
        assert!(receives(&socket, b"answers", PATIENCE), "{rules:?}");
    }
}
