//! A local user sends in a stranger's name to a protected port, over `lo`: IPv6 permits any source to who
//! asks for it (`IPV6_FREEBIND`). The stranger would belong to that flow.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn6, bind, connect, setsockopt, socket, sockopt,
};
use nix::unistd::{Uid, setfsuid};
use sknock_tests::ip_packet::{ACK, PSH, Packet, udp};
use sknock_tests::{Authority, Client, Config, Daemon, Namespace, Wire, World, process};

use super::stage::{DNS, Dns, Hand, SSH, accepted, listener, settle};

/// The stranger's port.
const THEIRS: u16 = 20_001;
const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody without privileges.
const MALLORY: Uid = Uid::from_raw(1234);

/// Which ports are closed: policy, whether all ports are.
const RULES: [(&str, bool); 4] =
    [("drop", false), ("reject", false), ("drop", true), ("reject", true)];

fn config(authority: &Authority, (policy, all): (&str, bool)) -> Config {
    let config = Config::new(authority).set("firewallPolicy", policy);
    if all { config.set("alwaysOpenPorts", "").without("protectedPorts") } else { config }
}

/// `user` sends a datagram from `from` to `to`, and begins a connection from there.
fn send_as(host: &Namespace, user: Uid, from: SocketAddr, (to, udp, tcp): (IpAddr, u16, u16)) {
    host.inside(|| {
        let before = setfsuid(user);
        for (kind, port) in [(SockType::Datagram, udp), (SockType::Stream, tcp)] {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let one = socket(AddressFamily::Inet6, kind, flags, None).unwrap();
            setsockopt(&one, sockopt::IpFreebind, &true).unwrap();
            let SocketAddr::V6(from) = from else { panic!("IPv6") };
            bind(one.as_raw_fd(), &SockaddrIn6::from(from)).unwrap();
            let IpAddr::V6(to) = to else { panic!("IPv6") };
            let to = SockaddrIn6::from(SocketAddrV6::new(to, port, 0, 0));
            let begun = connect(one.as_raw_fd(), &to);
            if kind == SockType::Datagram {
                begun.unwrap();
                // It may be refused at once.
                let _ = UdpSocket::from(one).send(b"by mallory");
            } else {
                // Some of the handshake happens before the socket is closed.
                settle();
            }
        }
        setfsuid(before);
    });
}

#[test]
fn a_local_user_cannot_admit_a_sender_by_forging_its_address() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let (dns, ssh) = (Dns::new(&world.gateway, "st"), listener(&world.gateway, SSH));
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let network = process::status(daemon.network(), "Uid").expect("it runs");
        let network = network.split_whitespace().next().unwrap().parse().unwrap();
        let (own, stranger) = (World::GATEWAY_TO_STRANGER[1], World::STRANGER[1]);
        for (user, theirs) in [(MALLORY, THEIRS), (Uid::from_raw(network), THEIRS + 1)] {
            let theirs = SocketAddr::new(stranger, theirs);
            wire.heard();
            send_as(&world.gateway, user, theirs, (own, DNS, SSH));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: in the stranger's name");
            let heard = wire.heard();
            let agreed = heard.iter().find(|packet| packet.is_syn_ack());
            assert!(agreed.is_none(), "{rules:?}: {agreed:?}");
            // Conntrack then knows both sides of the flow of UDP.
            wire.send(&udp((own, DNS).into(), theirs, b"answers"));
            settle();
            wire.send(&udp(theirs, (own, DNS).into(), b"by the stranger"));
            let hand = Hand::new((stranger, theirs.port()), (own, SSH), 100);
            wire.send(&hand.packet(PSH | ACK, b"by the stranger"));
            settle();
            assert!(dns.heard().is_empty(), "{rules:?}: by the stranger");
            assert!(accepted(&ssh).is_empty(), "{rules:?}");
        }
    }
}

/// As proxies do that keep their client's address: it needs what the client needs by the wire.
#[test]
fn a_client_with_a_grant_is_served_by_a_proxy_that_keeps_its_address() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let (dns, ssh) = (Dns::new(&world.gateway, "cl"), listener(&world.gateway, SSH));
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let alice = Client::alice(&world.client, &authority);
        let own = World::GATEWAY[1];
        alice.seal(&["tcp/22", "udp/53"]).send(&world.client, own).must_be_granted();
        let wire = Wire::new(&world.client, World::GATEWAY[0]);
        let client = SocketAddr::new(World::CLIENT[1], THEIRS);
        send_as(&world.gateway, MALLORY, client, (own, DNS, SSH));
        settle();
        assert!(dns.heard().contains("by mallory"), "{rules:?}");
        let heard = wire.heard();
        assert!(heard.iter().any(Packet::is_syn_ack), "{rules:?}");
        assert!(accepted(&ssh).is_empty(), "{rules:?}");
    }
}

/// Over `lo`, from every address that it has, whatever is closed to others.
#[test]
fn packets_of_the_host_to_itself_pass_from_each_of_its_addresses() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let (dns, ssh) = (Dns::new(&world.gateway, "st"), listener(&world.gateway, SSH));
        let _daemon = Daemon::start_settled(&world.gateway, &config(&authority, rules));
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let index = world.gateway.inside(|| if_nametoindex("st")).unwrap();
        let [own4, own6] = World::GATEWAY_TO_STRANGER;
        let own = ["127.0.0.1", "127.9.9.9", "::1"].map(|text| text.parse().unwrap());
        let own = own.into_iter().chain([own4, own6]).map(|one| SocketAddr::new(one, 0));
        let link_local = SocketAddrV6::new(wire.link_local_of_peer(), 0, 0, index);
        for mut own in own.chain([link_local.into()]) {
            let says = format!("by {own}");
            let local = world.gateway.inside(|| UdpSocket::bind(own)).unwrap();
            own.set_port(DNS);
            local.send_to(says.as_bytes(), own).unwrap();
            settle();
            assert!(dns.heard().contains(&says), "{rules:?}: {own}");
            own.set_port(SSH);
            let connected = world.gateway.inside(|| TcpStream::connect_timeout(&own, PATIENCE));
            assert!(connected.is_ok(), "{rules:?}: {own}: {connected:?}");
            assert_eq!(accepted(&ssh).len(), 1, "{rules:?}: {own}");
        }
    }
}
