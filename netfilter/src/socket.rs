//! A netlink socket to netfilter or to the routing tables. The kernel works a request off inside `sendmsg`,
//! so every answer is there when it returns: nothing here ever waits.

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mnl::NlMessages;
use nftnl::FinalizedBatch;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recvmsg, sendmsg, setsockopt, socket, sockopt,
};

use crate::message::NetlinkMessage;
use crate::socket_option::set_cap_ack;

/// More than the longest message: one attribute of 64 KiB and its surroundings.
const LONGEST_MESSAGE: usize = 96 * 1024;

/// Room for thousands of acknowledgements of about 1 KiB each: a table of as many rules. Or for as
/// many events.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How often a listing is repeated because something changed while it was made.
const DUMP_ATTEMPTS: usize = 16;

/// Whether something changed while the kernel listed it.
enum Listed {
    Consistent,
    Interrupted,
}

/// A socket that no program inherits that we execute.
pub struct Netlink {
    socket: OwnedFd,
    port: u32,
    /// From the allocator, which aligns what is this large; `mnl` checks that.
    buffer: Vec<u8>,
    send_buffer: usize,
}

impl fmt::Debug for Netlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netlink(port {})", self.port)
    }
}

impl Netlink {
    /// Opens one in the calling thread's network namespace, listening to these groups (bits).
    pub fn open(groups: u32) -> nix::Result<Self> {
        Self::to(SockProtocol::NetlinkNetFilter, groups)
    }

    /// One to the routing tables of the calling thread's network namespace.
    pub fn to_routes() -> nix::Result<Self> {
        Self::to(SockProtocol::NetlinkRoute, 0)
    }

    fn to(protocol: SockProtocol, groups: u32) -> nix::Result<Self> {
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        // Without privilege over the whole machine, as in a container, the system's limit applies.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
        set_cap_ack(socket.as_fd())?;
        // 0: the kernel chooses. The number of the process is free for one of its sockets only.
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        let port = getsockname::<NetlinkAddr>(socket.as_raw_fd())?.pid();
        Ok(Self { socket, port, buffer: vec![0; LONGEST_MESSAGE], send_buffer: 0 })
    }

    /// The number that the kernel gave this socket; events name by it the socket that caused them.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Readable when a message is there.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Only the socket, for another process to read.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// All of the batch or nothing of it.
    pub(crate) fn transact(&mut self, batch: &FinalizedBatch) -> nix::Result<()> {
        let pages: Vec<&[u8]> = batch.iter().collect();
        self.request(&pages)
    }

    /// Sends one request that asks for an acknowledgement, and reads what comes of it.
    pub(crate) fn ask(&mut self, request: &[u8]) -> nix::Result<()> {
        self.request(&[request])
    }

    /// The kernel reads a batch from one datagram only: its pages go out together.
    fn request(&mut self, pages: &[&[u8]]) -> nix::Result<()> {
        self.send(pages)?;
        let mut acknowledged = false;
        let mut refused = None;
        let drained = self.receive(|bytes| {
            match NetlinkMessage::read(bytes).and_then(|message| message.result()) {
                Some(0) => acknowledged = true,
                Some(number) => {
                    // The kernel reports errors of later messages in the batch, too. The first one is the
                    // cause.
                    refused.get_or_insert(Errno::from_raw(number));
                }
                None => {}
            }
        });
        match (refused, drained) {
            // A refusal that was read counts more than lost answers: it tells the reason.
            (Some(errno), _) | (None, Err(errno)) => Err(errno),
            (None, Ok(())) if acknowledged => Ok(()),
            // Silence is not consent.
            (None, Ok(())) => Err(Errno::EPROTO),
        }
    }

    /// All that `read` finds in the messages of a listing; repeats it if something changed during it.
    pub(crate) fn dump<T>(
        &mut self,
        request: &[u8],
        read: fn(&[u8]) -> Vec<T>,
    ) -> nix::Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            match self.listed(request, |_, bytes| found.extend(read(bytes))) {
                Ok(Listed::Consistent) => return Ok(found),
                Ok(Listed::Interrupted) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Hands over each message of a listing or an answer. It is not repeated: what changes during it may
    /// be missing.
    pub(crate) fn list(
        &mut self,
        request: &[u8],
        mut each: impl FnMut(&NetlinkMessage<'_>),
    ) -> nix::Result<()> {
        self.listed(request, |message, _| each(message)).map(drop)
    }

    fn listed(
        &mut self,
        request: &[u8],
        mut each: impl FnMut(&NetlinkMessage<'_>, &[u8]),
    ) -> nix::Result<Listed> {
        self.send(&[request])?;
        let (mut listed, mut ended) = (Listed::Consistent, None);
        self.receive(|bytes| {
            let Some(message) = NetlinkMessage::read(bytes) else { return };
            if message.dump_interrupted() {
                listed = Listed::Interrupted;
            }
            match message.result() {
                Some(number) => ended = Some(Errno::from_raw(number)),
                None => each(&message, bytes),
            }
        })?;
        match ended {
            // This is 0: the listing ended without an error.
            Some(Errno::UnknownErrno) => Ok(listed),
            Some(errno) => Err(errno),
            None => Err(Errno::EPROTO),
        }
    }

    fn send(&mut self, pages: &[&[u8]]) -> nix::Result<()> {
        let length = pages.iter().map(|page| page.len()).sum();
        self.make_room(length);
        let pages: Vec<IoSlice<'_>> = pages.iter().map(|page| IoSlice::new(page)).collect();
        let kernel = NetlinkAddr::new(0, 0);
        let sent = sendmsg(self.socket.as_raw_fd(), &pages, &[], MsgFlags::empty(), Some(&kernel))?;
        if sent == length { Ok(()) } else { Err(Errno::EMSGSIZE) }
    }

    /// The kernel refuses a datagram that is longer than the send buffer.
    fn make_room(&mut self, length: usize) {
        // What every socket has to begin with (net.core.wmem_default).
        const USUAL: usize = 128 * 1024;
        if length > self.send_buffer.max(USUAL) {
            // If neither works, sending says so.
            // The kernel doubles the number (socket(7)), which leaves room for what it adds to a datagram.
            let _ = setsockopt(&self.socket, sockopt::SndBufForce, &length)
                .or_else(|_| setsockopt(&self.socket, sockopt::SndBuf, &length));
            self.send_buffer = length;
        }
    }

    /// Reads until nothing is left, also after an error: the next request must not find old answers.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(&[u8])) -> nix::Result<()> {
        let mut first_error = Ok(());
        loop {
            let mut space = [IoSliceMut::new(&mut self.buffer)];
            let (length, sender, flags) = match recvmsg::<NetlinkAddr>(
                self.socket.as_raw_fd(),
                &mut space,
                None,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(datagram) => (datagram.bytes, datagram.address, datagram.flags),
                Err(Errno::EAGAIN) => return first_error,
                Err(Errno::EINTR) => continue,
                Err(errno @ Errno::ENOBUFS) => {
                    first_error = first_error.and(Err(errno));
                    continue;
                }
                Err(errno) => return first_error.and(Err(errno)),
            };
            // Only the kernel's datagrams are read: others may write to this socket as well.
            if sender.is_none_or(|address| address.pid() != 0) {
                continue;
            }
            if flags.contains(MsgFlags::MSG_TRUNC) {
                first_error = first_error.and(Err(Errno::EMSGSIZE));
                continue;
            }
            let received = self.buffer.get(..length).unwrap_or_default();
            // Behind a header that states a wrong length, the beginning of the next message is unknown.
            NlMessages::new(received).map_while(Result::ok).for_each(&mut each);
        }
    }
}
