//! A netlink message of ours, as bytes, in a batch of libnftnl's.
#![expect(unsafe_code, reason = "nftnl's trait for messages writes through a pointer")]

use std::ffi::c_void;

use nftnl::{MsgType, NlMsg};

/// A whole message, but for its number in the batch. At most [`Written::LONGEST`] bytes.
pub(super) struct Written(Vec<u8>);

/// `struct nlmsghdr`: u32 length, u16 type, u16 flags, u32 sequence, u32 port.
const SEQUENCE: std::ops::Range<usize> = 8..12;

impl Written {
    /// Names of a table and of something in it: 256 bytes each, and what is around them.
    const LONGEST: usize = 1024;

    /// The message that [`MessageBuilder::finish`](super::message::MessageBuilder::finish) has made. Nothing, if it is too
    /// long or no message.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        (SEQUENCE.end..=Self::LONGEST).contains(&bytes.len()).then_some(Self(bytes))
    }
}

// SAFETY: the message is no longer than `LONGEST`, far below the longest netlink message, for which
// there is room.
unsafe impl NlMsg for Written {
    /// What it does stands in its type: `_what` says nothing.
    unsafe fn write(&self, buffer: *mut c_void, seq: u32, _what: MsgType) {
        let mut bytes = self.0.clone();
        if let Some(sequence) = bytes.get_mut(SEQUENCE) {
            sequence.copy_from_slice(&seq.to_ne_bytes());
        }
        // SAFETY: the caller's buffer has room for the longest message, and is not ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) }
    }
}
