//! What a captured network process might try, and must not get.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use caps::{CapSet, Capability};
use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags, renameat2};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::inotify::{InitFlags, Inotify};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::personality::{self, Persona};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrIn, bind,
    connect, sendmmsg, sendmsg, setsockopt, socket, socketpair, sockopt,
};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::sys::termios::{FlushArg, tcflush};
use nix::sys::{prctl, ptrace};
use nix::unistd::{Uid, chroot, linkat, setuid, symlinkat};

use crate::{Around, Attempt, PROGRAM};

pub(crate) const ALL: &[Attempt] = &[
    ("read a file that everybody may read", |_| File::open("/etc/passwd").map(drop)),
    ("read a file of its own user", |around| File::open(around.file()).map(drop)),
    ("read about itself in /proc", |_| File::open("/proc/self/status").map(drop)),
    ("read about its parent in /proc", |around| {
        File::open(format!("/proc/{}/cmdline", around.parent)).map(drop)
    }),
    ("write a file of its own user", |around| {
        OpenOptions::new().append(true).open(around.file()).map(drop)
    }),
    ("make a file in a folder of its own user", |around| {
        File::create(around.other.join("new")).map(drop)
    }),
    ("list a folder of its own user", |around| fs::read_dir(&around.other).map(drop)),
    ("remove a file of its own user", |around| fs::remove_file(around.file())),
    ("rename a file of its own user", |around| {
        fs::rename(around.file(), around.other.join("renamed"))
    }),
    ("move a file out of the state", |around| {
        fs::write(around.state.join("mine"), "mine")?;
        fs::rename(around.state.join("mine"), around.other.join("mine"))
    }),
    ("link a file into the state", |around| {
        let place = around.state.join("linked");
        Ok(linkat(AT_FDCWD, &around.file(), AT_FDCWD, &place, AtFlags::empty())?)
    }),
    ("link symbolically", |around| {
        Ok(symlinkat(&around.file(), AT_FDCWD, &around.state.join("symbolic"))?)
    }),
    ("make a folder in the state", |around| fs::create_dir(around.state.join("journal.0"))),
    ("make a FIFO in the state", |around| {
        Ok(nix::unistd::mkfifo(&around.state.join("journal.1"), Mode::S_IRWXU)?)
    }),
    ("make a socket in the state", |around| {
        UnixListener::bind(around.state.join("horizon")).map(drop)
    }),
    ("make a socket for datagrams in the state", |around| {
        UnixDatagram::bind(around.state.join("horizon")).map(drop)
    }),
    ("make a block device in the state", |around| {
        let place = around.state.join("crl.der");
        Ok(mknod(&place, SFlag::S_IFBLK, Mode::S_IRUSR, nix::sys::stat::makedev(7, 0))?)
    }),
    ("make a socket as a device is made", |around| {
        Ok(mknod(&around.state.join("crl.der"), SFlag::S_IFSOCK, Mode::S_IRUSR, 0)?)
    }),
    ("link a file of its own within the state", |around| {
        fs::write(around.state.join("own"), "own")?;
        fs::hard_link(around.state.join("own"), around.state.join("linked"))
    }),
    ("leave a device where a file was", |around| {
        fs::write(around.state.join("whited"), "own")?;
        let (from, to) = (around.state.join("whited"), around.state.join("out"));
        Ok(renameat2(AT_FDCWD, &from, AT_FDCWD, &to, RenameFlags::RENAME_WHITEOUT)?)
    }),
    ("rename a folder in the state", |around| {
        fs::rename(around.state.join("folder"), around.state.join("journal.0"))
    }),
    ("remove a folder in the state", |around| fs::remove_dir(around.state.join("folder"))),
    ("take the rights to the state away", |around| {
        fs::set_permissions(&around.state, fs::Permissions::from_mode(0o0))
    }),
    ("take the rights to a file away", |around| {
        let file = File::create(around.state.join("closed"))?;
        file.set_permissions(fs::Permissions::from_mode(0o0))
    }),
    ("make a program of a file", |around| {
        let file = File::create(around.state.join("program"))?;
        file.set_permissions(fs::Permissions::from_mode(0o700))
    }),
    ("give a file away", |around| std::os::unix::fs::chown(around.file(), Some(0), None)),
    ("read it in another thread", |around| {
        let path = around.file();
        let thread = thread::spawn(move || File::open(path).map(drop));
        thread.join().expect("it opens a file and ends")
    }),
    ("become another program", |_| Err(Command::new(PROGRAM).exec())),
    ("start another program", |_| Command::new(PROGRAM).spawn().map(drop)),
    ("make an executable file in memory", |_| {
        Ok(memfd_create("program", MFdFlags::empty()).map(drop)?)
    }),
    ("signal its parent", |around| Ok(kill(around.parent(), None)?)),
    ("signal a process of its own user", |around| Ok(kill(around.neighbour(), Signal::SIGTERM)?)),
    ("trace its parent", |around| Ok(ptrace::attach(around.parent())?)),
    ("trace a process of its own user", |around| Ok(ptrace::attach(around.neighbour())?)),
    ("read the memory of one", |around| {
        use nix::sys::uio::{RemoteIoVec, process_vm_readv};
        let mut bytes = [0; 8];
        let mut here = [io::IoSliceMut::new(&mut bytes)];
        let there = [RemoteIoVec { base: 0x1000, len: 8 }];
        Ok(process_vm_readv(around.neighbour(), &mut here, &there).map(drop)?)
    }),
    ("let others look into it", |_| Ok(prctl::set_dumpable(true)?)),
    ("outlive its parent", |_| Ok(prctl::set_pdeathsig(None)?)),
    ("become root", |_| Ok(setuid(Uid::from_raw(0))?)),
    ("take a capability", |_| {
        let taken = caps::raise(None, CapSet::Permitted, Capability::CAP_NET_ADMIN);
        taken.map_err(|_| io::ErrorKind::PermissionDenied.into())
    }),
    ("make a user namespace", |_| Ok(unshare(CloneFlags::CLONE_NEWUSER)?)),
    ("make a network namespace", |_| Ok(unshare(CloneFlags::CLONE_NEWNET)?)),
    ("mount", |around| {
        let nothing = None::<&str>;
        Ok(mount(Some("none"), &around.state, Some("tmpfs"), MsFlags::empty(), nothing)?)
    }),
    ("change its root", |around| Ok(chroot(&around.state)?)),
    ("make a device", |around| {
        let place = around.state.join("device");
        Ok(mknod(&place, SFlag::S_IFCHR, Mode::S_IRUSR, nix::sys::stat::makedev(1, 1))?)
    }),
    ("load a module", |around| {
        let file = File::create(around.state.join("module"))?;
        Ok(finit_module(&file, c"", ModuleInitFlags::empty())?)
    }),
    ("watch files", |_| Ok(Inotify::init(InitFlags::empty()).map(drop)?)),
    ("change its personality", |_| Ok(personality::set(Persona::ADDR_NO_RANDOMIZE).map(drop)?)),
    ("choose its processors", |around| Ok(sched_setaffinity(around.neighbour(), &CpuSet::new())?)),
    ("flush a terminal", |_| Ok(tcflush(io::stderr(), FlushArg::TCIFLUSH)?)),
    ("make a raw socket", |_| open(AddressFamily::Inet, SockType::Raw)),
    ("make a raw socket for IPv6", |_| open(AddressFamily::Inet6, SockType::Raw)),
    ("make a packet socket", |_| open(AddressFamily::Packet, SockType::Raw)),
    ("make a packet socket for datagrams", |_| open(AddressFamily::Packet, SockType::Datagram)),
    ("make a netlink socket", |_| open(AddressFamily::Netlink, SockType::Raw)),
    ("make a netlink socket for datagrams", |_| open(AddressFamily::Netlink, SockType::Datagram)),
    ("ask the firewall", |_| {
        let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
        let protocol = SockProtocol::NetlinkNetFilter;
        Ok(socket(family, kind, SockFlag::empty(), protocol).map(drop)?)
    }),
    ("reach the hypervisor", |_| open(AddressFamily::Vsock, SockType::Stream)),
    ("use the kernel's cryptography", |_| open(AddressFamily::Alg, SockType::SeqPacket)),
    ("listen on a TCP port", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("connect to another TCP port", |around| {
        TcpStream::connect(("127.0.0.1", around.other_port)).map(drop)
    }),
    ("connect to another TCP port over IPv6", |around| {
        TcpStream::connect(("::1", around.other_port)).map(drop)
    }),
    ("connect by sending the first bytes with the SYN", |around| by_first_bytes(around, sendto)),
    ("the same with a message", |around| by_first_bytes(around, message)),
    ("the same with many messages", |around| by_first_bytes(around, messages)),
    ("have a connection begin with the first bytes", |_| {
        let socket = tcp_socket()?;
        Ok(setsockopt(&socket, sockopt::TcpFastOpenConnect, &true)?)
    }),
    ("send from an address that is not this host's", |_| {
        let socket = UdpSocket::bind("[::1]:0")?;
        Ok(setsockopt(&socket, sockopt::IpFreebind, &true)?)
    }),
    ("connect to another TCP port by multipath TCP", |around| {
        let socket = of_protocol(AddressFamily::Inet, SockType::Stream, MPTCP)?;
        Ok(connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, around.other_port))?)
    }),
    ("take a TCP port by multipath TCP", |_| {
        let socket = of_protocol(AddressFamily::Inet, SockType::Stream, MPTCP)?;
        Ok(bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?)
    }),
    ("make a socket of multipath TCP for IPv6", |_| {
        of_protocol(AddressFamily::Inet6, SockType::Stream, MPTCP).map(drop)
    }),
    ("make a socket of SCTP", |_| {
        of_protocol(AddressFamily::Inet, SockType::Stream, 132).map(drop)
    }),
    ("make a socket of SMC", |_| of_protocol(AddressFamily::Inet, SockType::Stream, 256).map(drop)),
    ("make a socket of UDP-Lite", |_| {
        of_protocol(AddressFamily::Inet, SockType::Datagram, 136).map(drop)
    }),
    ("make a socket of UDP-Lite for IPv6", |_| {
        of_protocol(AddressFamily::Inet6, SockType::Datagram, 136).map(drop)
    }),
    ("make a socket of ICMP", |_| {
        of_protocol(AddressFamily::Inet, SockType::Datagram, 1).map(drop)
    }),
    ("make a socket of L2TP", |_| {
        of_protocol(AddressFamily::Inet, SockType::Datagram, 115).map(drop)
    }),
    ("have the kernel load another family for a pair of sockets", |_| {
        Ok(socketpair(AddressFamily::Tipc, SockType::Stream, None, SockFlag::empty()).map(drop)?)
    }),
    ("connect to an abstract socket", |around| {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(&around.socket)?).map(drop)
    }),
];

/// `IPPROTO_MPTCP`.
const MPTCP: u32 = 262;

/// `MSG_FASTOPEN`: the connection is made by this call, and `connect` is never asked.
const FIRST_BYTES: MsgFlags = MsgFlags::from_bits_retain(0x2000_0000);

/// nix has no names for these protocols.
fn of_protocol(family: AddressFamily, kind: SockType, protocol: u32) -> io::Result<OwnedFd> {
    let family = rustix::net::AddressFamily::from_raw(family as u16);
    let kind = rustix::net::SocketType::from_raw(kind as u32);
    let protocol = protocol.try_into().ok().map(rustix::net::Protocol::from_raw);
    Ok(rustix::net::socket(family, kind, protocol)?)
}

fn tcp_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?)
}

/// Connects to a port that the walls close, by `send`, with data that must not arrive.
fn by_first_bytes(
    around: &Around,
    send: fn(RawFd, &SockaddrIn) -> nix::Result<()>,
) -> io::Result<()> {
    let socket = tcp_socket()?;
    Ok(send(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, around.other_port))?)
}

fn sendto(socket: RawFd, to: &SockaddrIn) -> nix::Result<()> {
    nix::sys::socket::sendto(socket, b"out", to, FIRST_BYTES).map(drop)
}

fn message(socket: RawFd, to: &SockaddrIn) -> nix::Result<()> {
    sendmsg(socket, &[io::IoSlice::new(b"out")], &[], FIRST_BYTES, Some(to)).map(drop)
}

fn messages(socket: RawFd, to: &SockaddrIn) -> nix::Result<()> {
    let mut room = MultiHeaders::preallocate(1, None);
    let out = [[io::IoSlice::new(b"out")]];
    sendmmsg(socket, &mut room, &out, [Some(*to)], [], FIRST_BYTES).map(drop)
}

fn open(family: AddressFamily, kind: SockType) -> io::Result<()> {
    Ok(socket(family, kind, SockFlag::empty(), None).map(drop)?)
}
