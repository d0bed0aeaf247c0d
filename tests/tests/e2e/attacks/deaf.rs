//! A captured network process spoils what it shares with those that come after it: the sockets where knocks
//! come in.

use std::net::SocketAddrV6;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, Shutdown, SockaddrIn6, SockaddrLike, SockaddrStorage, connect,
    getsockname, shutdown,
};
use sknock_tests::{Authority, Captive, Client, Config, Daemon, World};

/// Has the kernel throw away all that comes to a socket; says how that went.
const FILTER: &str = "import ctypes, errno, socket, struct
s = socket.socket(fileno=0)
drop = ctypes.create_string_buffer(struct.pack('=HBBI', 6, 0, 0, 0))
try:
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack('@HP', 1, ctypes.addressof(drop)))
    print('attached')
except OSError as error:
    print(errno.errorcode[error.errno])";

/// What `python3` says of attaching a filter to this socket.
fn attach(socket: &OwnedFd) -> String {
    let mut python = Command::new("python3");
    python.args(["-c", FILTER]).stdin(Stdio::from(socket.try_clone().unwrap()));
    let output = python.output().expect("python3 (make setup-test)");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The sockets of an intake.
fn ears(captive: &Captive) -> Vec<(OwnedFd, AddressFamily)> {
    let family = |fd: &OwnedFd| getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok()?.family();
    let known = |fd| family(&fd).map(|family| (fd, family));
    let heard = [AddressFamily::Inet6, AddressFamily::Netlink];
    captive
        .others()
        .into_iter()
        .filter_map(known)
        .filter(|(_, family)| heard.contains(family))
        .collect()
}

#[test]
fn what_a_compromised_process_does_to_knock_sockets_ends_with_it() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let config = Config::new(&authority).set("intake", intake);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        let knock = || alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
        knock().must_be_granted();

        let captive = Captive::take(daemon.network());
        let ears = ears(&captive);
        assert!(!ears.is_empty(), "{intake}");
        for (ear, family) in ears {
            // Whoever could do that would keep out everybody for good, restarts of the process included.
            assert_eq!(attach(&ear), "EPERM", "{intake}");
            if family == AddressFamily::Netlink {
                connect(ear.as_raw_fd(), &NetlinkAddr::new(12_345, 0)).unwrap();
            } else {
                let elsewhere = SocketAddrV6::new("::ffff:127.0.0.1".parse().unwrap(), 9, 0, 0);
                connect(ear.as_raw_fd(), &SockaddrIn6::from(elsewhere)).unwrap();
                shutdown(ear.as_raw_fd(), Shutdown::Both).unwrap();
            }
        }
        let mark = daemon.mark();
        kill(captive.pid(), Signal::SIGKILL).unwrap();
        drop(captive);
        daemon.wait_since(mark, Daemon::ACCEPTING);
        knock().must_be_granted();
    }
}
