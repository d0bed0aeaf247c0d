//! Counts what was lost because a socket was full. The kernel keeps one number for each socket.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::batch::dropped;

/// What has been told of a socket's losses.
#[derive(Debug)]
pub(super) struct DropCounter(AtomicU32);

impl DropCounter {
    /// From now on.
    pub(super) fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(AtomicU32::new(dropped(socket)?)))
    }

    /// How many datagrams were lost since somebody last asked.
    pub(super) fn since(&self, socket: BorrowedFd<'_>) -> u32 {
        // A socket that cannot say has lost nothing that we know of.
        dropped(socket).map_or(0, |now| now.wrapping_sub(self.0.swap(now, Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_a_full_socket_loses_is_told_once() {
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
