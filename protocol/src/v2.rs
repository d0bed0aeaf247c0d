//! Protocol v2: one datagram of 1200 bytes that looks random to observers without the server's certificate.
//!
//! ```text
//! datagram 1200 = tag 4, random 8 | AES-128-GCM of frame             nonce and veil: keyed by sid
//! frame 1172    = enc 65 | HPKE ciphertext 1107                      to the server's key
//! message 1091  = request | certificate | signature | zeros         signed by the client
//! ```
//!
//! `seal` is the client's side, `TagTable`, `Veil` and `Frame` the server's; the verifier does the further checks.

mod message;
mod seal;
pub mod tag;
mod veil;

use crate::answer::AnswerKey;
use crate::crypto::{NONCE_LENGTH, TAG_LENGTH};
use crate::decrypted::{Encapsulation, KnockId, SignedBytes};

pub use crate::decrypted::{ClaimedAddress, KnockRequest};
pub use seal::{SealError, seal, seal_low};
pub(crate) use veil::{V2Frame, Veil};

/// Bytes of every knock: the largest UDP payload that every IPv6 path carries whole, less a little.
pub const DATAGRAM_LENGTH: usize = 1200;

/// The most services that one knock can name.
pub const MAX_SERVICES: usize = 16;

const FRAME_LENGTH: usize = DATAGRAM_LENGTH - NONCE_LENGTH - TAG_LENGTH;
const SEALED_LENGTH: usize = FRAME_LENGTH - size_of::<Encapsulation>();
const MESSAGE_LENGTH: usize = SEALED_LENGTH - TAG_LENGTH;
const VERSION: u8 = 2;

/// The bits of a message's flags byte.
mod flag {
    pub(super) const SINGLE_USE: u8 = 0x01;
    pub(super) const ANSWER: u8 = 0x02;
}

/// Values of an address's kind byte.
mod kind {
    pub(super) const SOURCE: u8 = 0;
    pub(super) const V4: u8 = 4;
    pub(super) const V6: u8 = 6;
}

/// A knock, ready for sending.
#[derive(Debug)]
pub struct Sealed {
    /// The UDP payload.
    pub datagram: [u8; DATAGRAM_LENGTH],
    /// The knock id on the server.
    pub id: KnockId,
    /// Decrypts the server's answer.
    pub answer_key: AnswerKey,
}

const SIGNATURE_LABEL: &[u8] = b"sknock v2 signature\0";

/// The bytes under a knock's signature. They name the server and the encapsulation, so a server cannot
/// encrypt a client's message again for another one.
fn signed_bytes(sid: &[u8; 32], encapsulation: &Encapsulation, unsigned: &[u8]) -> SignedBytes {
    SignedBytes::new(&[SIGNATURE_LABEL, sid, encapsulation, unsigned])
}

/// Messages for the fuzzer, which cannot encrypt. Exists only under `cfg(fuzzing)`, which `make fuzz` sets:
/// no program contains it.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::MESSAGE_LENGTH;
    use super::message::V2Message;
    use super::seal::UnsignedMessage;

    /// Reads a decrypted message and encodes the result again; `None` if it is refused.
    ///
    /// # Panics
    ///
    /// If the message cannot be encoded.
    pub fn rewrite(message: &[u8]) -> Option<Vec<u8>> {
        let V2Message { request, certificate, signature, .. } = V2Message::read(message).ok()?;
        let draft =
            UnsignedMessage::new(&request, certificate, signature.len()).expect("it was read");
        let length = u8::try_from(signature.len()).expect("it was read from a byte");
        let mut again = [draft.unsigned(), &[length], signature].concat();
        again.resize(MESSAGE_LENGTH, 0);
        Some(again)
    }
}
