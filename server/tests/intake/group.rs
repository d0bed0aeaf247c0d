//! The socket of an NFLOG group in the hands of a process without privilege. As root, in a network
//! namespace of its own.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use caps::CapSet;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{bind, recv, send, socket};
use sknock_gate::{
    Answers, Firewall, FirewallPolicy, KnockCapture, OnRevoke, PortRange, TableContent, TableSpec,
    Transport,
};
use sknock_netfilter::nflog::{bind_group, packet_payload};
use sknock_server::knock::intake::packet;

const GROUP: u16 = 7;

fn rules() -> TableSpec {
    TableSpec {
        policy: FirewallPolicy::None,
        protected: vec![],
        always_open: vec![],
        knock_ports: vec![PortRange::one(Transport::Udp, 5000).unwrap()],
        knock_lengths: (13, 13),
        tagged_length: None,
        capture: KnockCapture::Log { group: GROUP },
        source_limit: None,
        answers: Answers { udp_length: 104, user: 65534 },
        ephemeral: vec![],
        on_revoke: OnRevoke::Terminate,
        capacity: 16,
        gc_interval: Duration::from_secs(1),
    }
}

/// In a thread of its own: namespace and privilege are the thread's.
pub(crate) fn alone(work: impl FnOnce() + Send + 'static) {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test runs as root");
        let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.unwrap().success());
        work();
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// What is heard next, if anything.
fn heard(group: &OwnedFd) -> Option<Vec<u8>> {
    let mut message = [0; 2048];
    let length = recv(group.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT).ok()?;
    let packet = packet::read(packet_payload(&message[..length])?).ok()?;
    assert_eq!(packet.destination.port(), 5000);
    Some(packet.payload.to_vec())
}

/// What the kernel says to a request: bind or unbind (1, 2) a group, as the gate asks it.
fn ask(group: &OwnedFd, number: u16, command: u8) -> Errno {
    let mut request = 28_u32.to_ne_bytes().to_vec();
    request.extend((4_u16 << 8 | 1).to_ne_bytes()); // NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
    request.extend(5_u16.to_ne_bytes()); // request, acknowledge
    request.extend([0; 10]);
    request.extend(number.to_be_bytes());
    request.extend([5, 0, 1, 0, command, 0, 0, 0]); // NFULA_CFG_CMD
    send(group.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
    let mut answer = [0; 128];
    let length = recv(group.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).unwrap();
    assert!(length >= 20);
    Errno::from_raw(-i32::from_ne_bytes(answer[16..20].try_into().unwrap()))
}

#[test]
fn an_unprivileged_process_can_receive_knocks_and_nothing_else() {
    alone(|| {
        let group = bind_group(GROUP).unwrap();
        Firewall::open().unwrap().install(&rules(), TableContent::default()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let knock = || drop(sender.send_to(b"knock", "127.0.0.1:5000"));
        knock();
        assert_eq!(heard(&group).as_deref(), Some(&b"knock"[..]));
        assert_eq!(ask(&group, GROUP + 1, 1), Errno::UnknownErrno, "zero: with privilege it works");

        for set in [CapSet::Effective, CapSet::Permitted] {
            caps::clear(None, set).unwrap();
        }
        assert_eq!(ask(&group, GROUP, 2), Errno::EPERM, "to leave the group");
        assert_eq!(ask(&group, GROUP + 2, 1), Errno::EPERM, "to take another one");
        // Changes to the firewall (NFNLGRP_NFTABLES) are not for everybody either.
        let events = NetlinkAddr::new(0, 1 << 6);
        assert_eq!(bind(group.as_raw_fd(), &events), Err(Errno::EPERM));
        let flags = SockFlag::empty();
        let netfilter = SockProtocol::NetlinkNetFilter;
        let other = socket(AddressFamily::Netlink, SockType::Raw, flags, netfilter).unwrap();
        assert_eq!(ask(&other, GROUP + 2, 1), Errno::EPERM, "nor with a socket of its own");
        knock();
        assert_eq!(heard(&group).as_deref(), Some(&b"knock"[..]));
        assert_eq!(heard(&group), None);
    });
}

#[test]
fn queued_knocks_remain_for_the_next_reader() {
    alone(|| {
        let group = bind_group(GROUP).unwrap();
        Firewall::open().unwrap().install(&rules(), TableContent::default()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let first = group.try_clone().unwrap();
        for knock in [b"knoc1", b"knoc2"] {
            let _ = sender.send_to(knock, "127.0.0.1:5000");
        }
        assert_eq!(heard(&first).as_deref(), Some(&b"knoc1"[..]));
        drop(first);
        assert_eq!(heard(&group).as_deref(), Some(&b"knoc2"[..]));
    });
}
