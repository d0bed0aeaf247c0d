//! Protocol v1, of the original sKnock 1.0.0, byte for byte. For its clients and servers only: v2 is better
//! in every respect.
//!
//! ```text
//! datagram 16 k + 69 = 'a' | version 3 | AES-128-CBC of the message | point 65
//! message            = 0 | protocol 1 | port 2 | address 16 | time 4 | certificate, anything
//!                      | length 1 | signature, right-aligned in 72
//! ```
//!
//! Limits: a v1 knock does not name its server (it can be encrypted again for another server of the same
//! authority while its timestamp is valid), is recognizable as a knock, cannot cross a NAT, and cannot
//! request an answer. It has no MAC; only the signature protects the content, so a bad padding or a bad
//! signature length is reported together with the signature and as a wrong one.
//!
//! `seal` is the client's side, `Frame` the server's.

mod cipher;
mod frame;
mod message;
mod seal;

pub(crate) use frame::V1Frame;
pub use seal::{V1KnockRequest, V1SealError, draw_knock_port, seal};

use core::ops::RangeInclusive;

/// The longest datagram that an original server reads: it takes frames of up to 1600 bytes
/// (`RECV_BUFFER`), of which Ethernet, IPv4 and UDP take 42.
// 93 whole blocks: 1557 bytes, of 1558 that are left.
pub const LONGEST_DATAGRAM: usize = OVERHEAD + BLOCK * 93;

/// The shortest datagram that is looked at: no certificate with a P-256 key and a P-256 signature is
/// below the 143 bytes that this leaves for one.
pub const SHORTEST_DATAGRAM: usize = OVERHEAD + BLOCK * 16;

/// The original's least length of a knock, `KNOCKPACKET_MIN_LENGTH`: of the whole Ethernet frame, in
/// bytes.
pub const SHORTEST_FRAME: u16 = 800;

/// Where the original's clients knock, at random: its servers listen to every port.
pub const KNOCK_PORTS: RangeInclusive<u16> = 10_000..=60_000;

/// What the administrator decides about this dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct V1Rules {
    /// The minimum length of a knock as the original measures it: including Ethernet, IP and UDP headers, in
    /// bytes. An IPv6 datagram may be 20 bytes shorter than an IPv4 one.
    pub shortest_frame: u16,
    /// Whether certificates that are not for client authentication count, as in the original.
    pub any_usage: bool,
}

impl V1Rules {
    /// The lengths of UDP payloads that can be knocks, in bytes. Not every length in between is one.
    pub fn lengths(self) -> RangeInclusive<usize> {
        let least = usize::from(self.shortest_frame).saturating_sub(HEADERS_V6);
        least.max(SHORTEST_DATAGRAM)..=LONGEST_DATAGRAM
    }
}

/// A block of AES.
const BLOCK: usize = 16;
/// Protocol id and version.
const HEADER: usize = 4;
const POINT: usize = 65;
/// What a datagram has besides its ciphertext.
const OVERHEAD: usize = HEADER + POINT;
/// Protocol id: the only one there ever was.
const PROTOCOL: u8 = b'a';
const VERSION: [u8; 3] = [1, 0, 0];

/// Everything in a message up to the certificate.
const FIELDS: usize = 24;
/// The longest ECDSA signature on P-256, and the field that holds any.
const SIGNATURE: usize = 72;
/// The signature's field, and its length byte before it.
const TRAILER: usize = 1 + SIGNATURE;

/// Ethernet, IPv4 without options, UDP.
const HEADERS_V4: usize = 14 + 20 + 8;
/// Ethernet, IPv6, UDP.
const HEADERS_V6: usize = 14 + 40 + 8;

/// What Ethernet, IP and UDP put in front of a payload.
fn headers(is_ipv4: bool) -> usize {
    if is_ipv4 { HEADERS_V4 } else { HEADERS_V6 }
}
