//! The native dialect: one datagram of 1200 bytes that looks random to whoever lacks the server's
//! certificate.
//!
//! ```text
//! datagram 1200 = nonce 12 | AES-128-GCM of frame                    the veil: keyed by sid
//! frame 1172    = enc 65 | HPKE ciphertext 1107                      to the server's key
//! message 1091  = what is asked | certificate | signature | zeros    signed by the client
//! ```
//!
//! `seal` is the client's side, `Veil` and `Frame` the server's; the checks behind them are the
//! verifier's.

mod address;
#[cfg(fuzzing)]
pub mod fuzzing;
mod message;
mod seal;
mod signed;
mod unsigned;
mod veil;

use core::net::IpAddr;
use core::num::NonZeroU16;

use crate::symmetric::{NONCE_LENGTH, TAG_LENGTH};
use crate::{AnswerKey, Encapsulation, KnockId, Service, Timestamp};

pub(crate) use address::claim;
pub use seal::{SealError, seal};
pub(crate) use veil::{V2Frame, Veil};

/// Bytes of every knock: the largest UDP payload that every IPv6 path carries whole, less a little.
pub const DATAGRAM_LENGTH: usize = 1200;

/// The most services that one knock can name.
pub const MAX_SERVICES: usize = 16;

const FRAME_LENGTH: usize = DATAGRAM_LENGTH - NONCE_LENGTH - TAG_LENGTH;
const SEALED_LENGTH: usize = FRAME_LENGTH - size_of::<Encapsulation>();
const MESSAGE_LENGTH: usize = SEALED_LENGTH - TAG_LENGTH;
pub(crate) const SECRET_LENGTH: usize = 32;
const VERSION: u8 = 2;

/// The bits of a message's flags byte.
mod flag {
    pub(super) const SINGLE_USE: u8 = 0x01;
    pub(super) const ANSWER: u8 = 0x02;
}

/// What the kind byte of an address says.
mod kind {
    pub(super) const SOURCE: u8 = 0;
    pub(super) const V4: u8 = 4;
    pub(super) const V6: u8 = 6;
}

/// The address that a client asks to be let in from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimedAddress {
    /// Wherever the datagram comes from. Someone on the path can capture the knock and use it from
    /// an address of their own, if they are faster.
    Source,
    /// This one, or none.
    Ip(IpAddr),
}

/// What a client asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnockRequest {
    /// The client's clock.
    pub stamp: Timestamp,
    /// For how many seconds; `None` leaves it to the server.
    pub lifetime: Option<NonZeroU16>,
    /// Whether the first new connection uses the grant up; single TCP ports only.
    pub single_use: bool,
    /// Whether the server should answer.
    pub answer: bool,
    /// Where the client is.
    pub address: ClaimedAddress,
    /// Where it also is, in the other address family.
    pub second: Option<IpAddr>,
    /// What to open, at most [`MAX_SERVICES`]; none means all that the certificate allows.
    pub services: Vec<Service>,
}

/// A knock, ready to be sent.
#[derive(Debug)]
pub struct Sealed {
    /// The UDP payload.
    pub datagram: [u8; DATAGRAM_LENGTH],
    /// What the server will call this knock.
    pub id: KnockId,
    /// Opens the server's answer.
    pub answer_key: AnswerKey,
}
