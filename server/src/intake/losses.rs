//! Counts what was lost because a socket was full. The kernel keeps one number for each socket.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::batch::dropped;

/// What has been told of a socket's losses.
#[derive(Debug)]
pub(super) struct Losses(AtomicU32);

impl Losses {
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
