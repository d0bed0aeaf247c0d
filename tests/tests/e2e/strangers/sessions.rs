//! Connections that had a grant go on, whatever conntrack forgets; and end when they are blocked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sknock_tests::ip_packet::{ACK, Packet, RST, SYN, Segment, tcp};
use sknock_tests::reach::connect;
use sknock_tests::wait::{some, until};
use sknock_tests::{Authority, Client, Config, Daemon, Wire, World};

use super::stage::{SSH, accepted, listener, settle};

/// Both ends of a connection that a grant has let in, in both families.
struct Session {
    near: TcpStream,
    far: TcpStream,
}

impl Session {
    fn all(world: &World, ssh: &TcpListener, alice: &Client<'_>) -> Vec<Self> {
        let begin = |host| {
            alice.seal_for(&["tcp/22"], 2).send(&world.client, host).must_be_granted();
            let near = connect(&world.client, (host, SSH).into()).unwrap();
            let far = some("it is accepted", || accepted(ssh).pop()).0;
            near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            far.set_nonblocking(false).unwrap();
            far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            Self { near, far }
        };
        let all = World::GATEWAY.into_iter().map(begin).collect();
        until("the grants have ended", || world.gateway.doors().is_empty());
        all
    }

    /// The client speaks first: the server's packets may make an entry.
    #[track_caller]
    fn must_pass(&self, when: &str) {
        for (mut from, mut to) in [(&self.near, &self.far), (&self.far, &self.near)] {
            from.write_all(b"still here?").unwrap_or_else(|error| panic!("{when}: {error}"));
            let mut heard = [0; 11];
            to.read_exact(&mut heard).unwrap_or_else(|error| panic!("{when}: {error}"));
            assert_eq!(&heard, b"still here?");
        }
    }

    /// Neither end hears what the other says.
    #[track_caller]
    fn must_be_dead(&self) {
        for (mut from, mut to) in [(&self.near, &self.far), (&self.far, &self.near)] {
            // It may know already.
            let _ = from.write_all(b"anybody?");
            to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            // Nothing, the end, or a reset.
            let heard = to.read(&mut [0; 16]);
            assert!(!matches!(heard, Ok(1..)), "{heard:?}");
        }
    }
}

#[test]
fn a_granted_session_continues_when_conntrack_has_lost_it() {
    let (world, authority) = (World::new(), Authority::new());
    let ssh = listener(&world.gateway, SSH);
    for policy in ["drop", "reject"] {
        let config = Config::new(&authority).set("firewallPolicy", policy);
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        let sessions = Session::all(&world, &ssh, &alice);
        let must_pass = |when: &str| {
            for session in &sessions {
                session.must_pass(&format!("{policy}, {when}"));
            }
        };
        must_pass("tracked");
        for when in ["flushed", "flushed again"] {
            world.gateway.forget_connections();
            must_pass(when);
        }
        world.gateway.set("netfilter/nf_conntrack_tcp_loose", "0");
        world.gateway.forget_connections();
        must_pass("flushed and not loose");
        world.gateway.set("netfilter/nf_conntrack_tcp_loose", "1");
        world.gateway.nft(
            "table inet others {
                chain early {
                    type filter hook prerouting priority -310
                    tcp dport 22 notrack
                }
                chain out {
                    type filter hook output priority -310
                    tcp sport 22 notrack
                }
            }",
        );
        must_pass("untracked");
        world.gateway.nft("delete table inet others");
        must_pass("tracked again");
        let timeout = "netfilter/nf_conntrack_tcp_timeout_established";
        world.gateway.set(timeout, "1");
        must_pass("with an entry that ends soon");
        thread::sleep(Duration::from_millis(2_500));
        must_pass("after the entry's end");
        world.gateway.set(timeout, "432000");
    }
}

#[test]
fn a_blocked_session_that_conntrack_has_lost_stays_blocked() {
    let (world, authority) = (World::new(), Authority::new());
    let ssh = listener(&world.gateway, SSH);
    for (policy, name) in [("drop", "mallory"), ("reject", "trudy")] {
        authority.client(name, &Authority::ALLOWED);
        let list = authority.file("crl.der");
        let config = Config::new(&authority)
            .set("firewallPolicy", policy)
            .set("crlFile", list.to_str().expect("temporary files have plain names"));
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let client = Client::named(name, &world.client, &authority);
        let sessions = Session::all(&world, &ssh, &client);
        for session in &sessions {
            session.must_pass(policy);
        }
        let mark = daemon.mark();
        authority.revoke(name);
        daemon.reload();
        daemon.wait_since(mark, "connections terminated: ");
        world.gateway.forget_connections();
        for session in &sessions {
            session.must_be_dead();
        }
        world.gateway.forget_connections();
        for session in &sessions {
            session.must_be_dead();
        }
    }
}

/// From Linux 6.3 on, a reject closes the conntrack entry of the packet that it refuses.
#[test]
fn a_forged_syn_on_a_live_session_changes_nothing_and_is_not_answered() {
    let (world, authority) = (World::new(), Authority::new());
    for interface in ["all", "st", "cl", "default"] {
        world.gateway.set(&format!("ipv4/conf/{interface}/rp_filter"), "0");
    }
    let ssh = listener(&world.gateway, SSH);
    let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
    let victim = Wire::another(&world.client, World::GATEWAY[0]);
    let config = Config::new(&authority).set("firewallPolicy", "reject");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let sessions = Session::all(&world, &ssh, &Client::alice(&world.client, &authority));
    for session in &sessions {
        session.must_pass("before");
    }
    wire.heard();
    victim.heard();
    for session in &sessions {
        let (from, to) = (session.near.local_addr().unwrap(), session.near.peer_addr().unwrap());
        for (flags, sequence) in [(SYN, 0x1000_0000), (SYN, 0x9000_0000), (SYN | ACK, 7)] {
            wire.send(&tcp(from, to, &Segment { flags, sequence, ..Segment::default() }));
        }
    }
    settle();
    let ended = |heard: Vec<Packet>| {
        heard.into_iter().find(|packet| packet.is_syn_ack() || packet.flags & RST != 0)
    };
    assert!(ended(wire.heard()).is_none());
    assert!(ended(victim.heard()).is_none());
    for session in &sessions {
        session.must_pass("after");
    }
    assert!(accepted(&ssh).is_empty());
}
