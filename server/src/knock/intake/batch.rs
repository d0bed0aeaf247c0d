//! Receives many datagrams with one system call, with their destinations. Handles sockets and bytes, not
//! knocks. Also counts datagrams that the kernel dropped because a socket was full.

#![expect(unsafe_code, reason = "recvmmsg and getsockopt take pointers")]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{
    c_int, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6,
    sockaddr_nl, sockaddr_storage,
};
use sknock_protocol::{v1, v2};

/// Datagrams per system call: enough that a flood costs few calls, small enough for the CPU cache.
pub(crate) const SIZE: usize = COUNT as usize;
/// The same, in the type of the system call.
const COUNT: libc::c_uint = 32;

/// One byte more than the longest datagram of any protocol version, so that a longer one is recognized.
const MAX_DATAGRAM: usize = v1::LONGEST_DATAGRAM + 1;
const _: () = assert!(MAX_DATAGRAM > v2::DATAGRAM_LENGTH);

/// The longest IP header, the UDP header, and the netlink attributes of a copied packet, which have less than
/// 200 bytes.
const AROUND_A_COPY: usize = 60 + 8 + 512;

/// The index of the drop counter in the array of `SO_MEMINFO`; it is the last.
const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;

/// Room for an address of any family.
#[expect(clippy::cast_possible_truncation, reason = "128 bytes")]
const NAME_LENGTH: libc::socklen_t = size_of::<sockaddr_storage>() as libc::socklen_t;

/// Space for one packet information record of either family, aligned for the kernel.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

/// Buffers for one batch. Allocated once.
pub(crate) struct Batch {
    /// Bytes per datagram.
    length: usize,
    bytes: Box<[u8]>,
    controls: Box<[Control; SIZE]>,
    names: Box<[sockaddr_storage; SIZE]>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its source and destination.
    pub ends: Endpoints,
    /// The UDP payload; one that is longer than any knock is truncated to one byte more.
    pub payload: &'a [u8],
}

/// Source and destination of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// The apparent source address.
    pub source: SocketAddr,
    /// The local destination address and port, if the kernel reports it.
    pub destination: Option<SocketAddr>,
}

/// One received datagram, as read from the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawDatagram<'a> {
    /// Its sender.
    pub(crate) sender: SocketPeer,
    /// The local destination address, if the kernel reports it.
    pub(crate) destination: Option<IpAddr>,
    /// The content; truncated to the buffer.
    pub(crate) bytes: &'a [u8],
}

/// A peer that writes to a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SocketPeer {
    /// An internet address, possibly forged.
    Internet(SocketAddr),
    /// The kernel itself, by netlink.
    Kernel,
}

impl Batch {
    /// For UDP sockets: space for the longest knock, and one byte more.
    pub(crate) fn for_datagrams() -> Self {
        Self::of(MAX_DATAGRAM)
    }

    /// For sockets of NFLOG groups.
    pub(crate) fn for_copies() -> Self {
        Self::of(MAX_DATAGRAM + AROUND_A_COPY)
    }

    fn of(length: usize) -> Self {
        // SAFETY: sockaddr_storage is plain old data, for which all zeros is a valid value.
        let name: sockaddr_storage = unsafe { zeroed() };
        Self {
            length,
            bytes: vec![0; SIZE * length].into_boxed_slice(),
            controls: Box::new([Control([0; 64]); SIZE]),
            names: Box::new([name; SIZE]),
        }
    }

    /// Receives the available datagrams, without blocking, and calls `each` for every one.
    ///
    /// Returns their number; `WouldBlock` if there was none.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(RawDatagram<'_>),
    ) -> io::Result<usize> {
        let mut places = self.bytes.chunks_exact_mut(self.length);
        let mut vectors: [iovec; SIZE] = std::array::from_fn(|_| {
            // Never empty: `of` allocates SIZE times this length.
            let place = places.next().unwrap_or_default();
            iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() }
        });
        let mut headers: [mmsghdr; SIZE] = std::array::from_fn(|index| {
            // SAFETY: mmsghdr is plain old data, for which all zeros is a valid value.
            let mut header: mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = NAME_LENGTH;
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
            header
        });
        // SAFETY: every pointer in `headers` points into `self` or `vectors`, which outlive the
        // call, with the lengths given beside it; there are COUNT headers.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                COUNT,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let places = self.bytes.chunks_exact(self.length);
        for ((header, place), name) in headers.iter().zip(places).zip(&*self.names).take(count) {
            let length = usize::try_from(header.msg_len).unwrap_or(place.len()).min(place.len());
            if let Some(sender) = sender(name) {
                let destination = destination(&header.msg_hdr);
                each(RawDatagram { sender, destination, bytes: &place[..length] });
            }
        }
        Ok(count)
    }
}

/// The number of datagrams that the kernel has dropped since the socket was made.
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut numbers = [0_u32; DROPS + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&numbers)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes to `numbers`, which has that many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(numbers[DROPS]) } else { Err(io::Error::last_os_error()) }
}

fn sender(name: &sockaddr_storage) -> Option<SocketPeer> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family states that this is a sockaddr_in, and storage is larger and aligned for
            // every kind of address.
            let name: sockaddr_in = unsafe { *(&raw const *name).cast() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            let source = SocketAddrV4::new(address, u16::from_be(name.sin_port));
            Some(SocketPeer::Internet(source.into()))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let name: sockaddr_in6 = unsafe { *(&raw const *name).cast() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            let source = SocketAddrV6::new(address, port, 0, name.sin6_scope_id);
            Some(SocketPeer::Internet(source.into()))
        }
        libc::AF_NETLINK => {
            // SAFETY: as above, for sockaddr_nl.
            let name: sockaddr_nl = unsafe { *(&raw const *name).cast() };
            (name.nl_pid == 0).then_some(SocketPeer::Kernel)
        }
        _ => None,
    }
}

fn destination(header: &msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel has filled `msg_control` and set `msg_controllen`; CMSG_FIRSTHDR and
    // CMSG_NXTHDR stay within these, and a record's data is only read in the length of its type.
    unsafe {
        let mut record: *const cmsghdr = libc::CMSG_FIRSTHDR(header);
        while let Some(head) = record.as_ref() {
            let data = libc::CMSG_DATA(record);
            match (head.cmsg_level, head.cmsg_type) {
                // A dual-stack socket has the destination of an IPv4 packet here, v4-mapped
                // (ip6_datagram_recv_common_ctl).
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let found = data.cast::<MaybeUninit<in6_pktinfo>>().read_unaligned();
                    return Some(Ipv6Addr::from(found.assume_init().ipi6_addr.s6_addr).into());
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let found = data.cast::<MaybeUninit<in_pktinfo>>().read_unaligned();
                    // `ipi_addr` is the destination in the IP header; `ipi_spec_dst` is the local address
                    // (ip(7)).
                    let address = u32::from_be(found.assume_init().ipi_addr.s_addr);
                    return Some(Ipv4Addr::from(address).into());
                }
                _ => record = libc::CMSG_NXTHDR(header, record),
            }
        }
    }
    None
}

/// The drop counter of a socket at the last report.
#[derive(Debug)]
pub(super) struct DropCounter(AtomicU32);

impl DropCounter {
    /// Begins with the current count.
    pub(super) fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(AtomicU32::new(dropped(socket)?)))
    }

    /// The number of datagrams lost since the last call.
    pub(super) fn since(&self, socket: BorrowedFd<'_>) -> u32 {
        // An error of getsockopt is treated as no loss.
        dropped(socket).map_or(0, |now| self.advance(now))
    }

    /// Moves the counter forward to `now`, and returns by how much.
    fn advance(&self, now: u32) -> u32 {
        // Workers share the counter, and another may have read a later count of the kernel and stored it by now.
        // The kernel's counter wraps; more than half of its range is a step back.
        let ahead = |before| now.wrapping_sub(before) <= u32::MAX / 2;
        let order = Ordering::Relaxed;
        let moved = self.0.fetch_update(order, order, |before| ahead(before).then_some(now));
        moved.map_or(0, |before| now.wrapping_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_worker_with_an_earlier_count_adds_nothing() {
        let drops = DropCounter(AtomicU32::new(3));
        assert_eq!([7, 5, 7, 8].map(|now| drops.advance(now)), [4, 0, 0, 1]);
        let drops = DropCounter(AtomicU32::new(u32::MAX));
        assert_eq!([2, u32::MAX, 3].map(|now| drops.advance(now)), [3, 0, 1], "the counter wraps");
    }

    #[test]
    fn datagrams_dropped_by_a_full_socket_are_counted_once() {
        let full = UdpSocket::bind("127.0.0.1:0").unwrap();
        let drops = DropCounter::of(full.as_fd()).unwrap();
        nix::sys::socket::setsockopt(&full, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1200], full.local_addr().unwrap()).unwrap();
        }
        let lost = drops.since(full.as_fd());
        assert!((50..100).contains(&lost), "{lost}");
        assert_eq!(drops.since(full.as_fd()), 0);
        assert_eq!(
            DropCounter::of(full.as_fd()).unwrap().since(full.as_fd()),
            0,
            "of an earlier holder"
        );
    }
}
