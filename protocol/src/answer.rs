//! The server's one answer to a knock that requests it: 96 bytes that only the knock's sender can decrypt.
//!
//! ```text
//! nonce 12 | AES-128-GCM of plain 68, tag 16
//! plain: status 1 | family 1 | seconds 2 | server's ms 8 | observed address 16 | port 2 | id 16
//!        successor 16 (reserved) | zeros 6
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use crate::bytes::Bytes;
use crate::crypto::{AeadKey, KEY_LENGTH, NONCE_LENGTH, TAG_LENGTH};
use crate::decrypted::KnockId;
use crate::hpke::Exporter;
use crate::timestamp::Timestamp;

/// Bytes of an answer on the wire.
pub const ANSWER_LENGTH: usize = 96;

const PLAIN_LENGTH: usize = ANSWER_LENGTH - NONCE_LENGTH - TAG_LENGTH;
/// Begins the exporter context (RFC 9180, 5.3); the whole knock id follows.
const LABEL: &[u8] = b"sknock v2 answer";

const GRANTED: u8 = 0;
const CLIPPED: u8 = 1;
/// Bytes of the reserved field: half of the hash of the key that the server will have next.
const SUCCESSOR_LENGTH: usize = 16;

/// The server's report to a client about its grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Whether the grant is shorter than requested.
    pub clipped: bool,
    /// How long the grant lasts, in seconds from `server_time`: not 0.
    pub seconds: u16,
    /// The server's clock when it answered.
    pub server_time: Timestamp,
    /// The source of the knock as the server saw it: the client's public address, and a port that is not 0.
    pub observed: SocketAddr,
}

/// The key that a client and its server share for the answer to one knock.
///
/// Exported from the knock's HPKE context for the knock's id. Two servers with one key each admit the same
/// knock: the random nonce keeps their answers apart.
pub struct AnswerKey {
    key: AeadKey,
    id: [u8; 16],
}

impl AnswerKey {
    pub(crate) fn new(exporter: &Exporter, id: &KnockId) -> Result<Self, Unspecified> {
        let key = exporter.export::<KEY_LENGTH>(&[LABEL, &id.0])?;
        Ok(Self { key: AeadKey::new(&key)?, id: id.prefix() })
    }

    /// Encrypts the answer for the wire under a random nonce. `None` if the library has no random bytes.
    pub fn seal(&self, answer: &Answer) -> Option<[u8; ANSWER_LENGTH]> {
        let mut nonce = [0; NONCE_LENGTH];
        rand::fill(&mut nonce).ok()?;
        self.seal_plain(nonce, self.write(answer))
    }

    fn seal_plain(
        &self,
        nonce: [u8; NONCE_LENGTH],
        mut plain: [u8; PLAIN_LENGTH],
    ) -> Option<[u8; ANSWER_LENGTH]> {
        // No aad: the key is exported for this knock's id already.
        let tag = self.key.seal(nonce, b"", &mut plain).ok()?;
        [&nonce[..], &plain, &tag].concat().try_into().ok()
    }

    /// Decrypts an answer; `None` if the bytes are no answer to this knock.
    pub fn open(&self, bytes: &[u8]) -> Option<Answer> {
        let mut answer: [u8; ANSWER_LENGTH] = bytes.try_into().ok()?;
        let (nonce, sealed) = answer.split_first_chunk_mut()?;
        let plain = self.key.open(*nonce, b"", sealed).ok()?;
        self.read(plain)
    }

    fn write(&self, answer: &Answer) -> [u8; PLAIN_LENGTH] {
        let (family, address) = match answer.observed.ip().to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(address) => (6, address.octets()),
        };
        let mut plain = [0; PLAIN_LENGTH];
        plain[0] = if answer.clipped { CLIPPED } else { GRANTED };
        plain[1] = family;
        plain[2..4].copy_from_slice(&answer.seconds.to_be_bytes());
        plain[4..12].copy_from_slice(&answer.server_time.as_millis().to_be_bytes());
        plain[12..28].copy_from_slice(&address);
        plain[28..30].copy_from_slice(&answer.observed.port().to_be_bytes());
        // The other 22 bytes stay zero: the reserved successor, and the padding.
        plain[30..46].copy_from_slice(&self.id);
        plain
    }

    fn read(&self, plain: &[u8]) -> Option<Answer> {
        let mut rest = Bytes::new(plain);
        let clipped = match rest.byte()? {
            GRANTED => false,
            CLIPPED => true,
            // 2 to 4 are reserved: a client that does not know their meaning must not take them for a grant.
            _ => return None,
        };
        let family = rest.byte()?;
        let seconds = rest.u16()?;
        let server_time = Timestamp::from_millis(rest.u64()?);
        let address = read_address(family, rest.array()?)?;
        let observed = SocketAddr::new(address, rest.u16()?);
        let ours = *rest.array::<16>()? == self.id;
        rest.array::<SUCCESSOR_LENGTH>()?; // ignored, so that a later server may fill it
        let is_answer = ours && seconds != 0 && observed.port() != 0 && rest.are_zero();
        is_answer.then_some(Answer { clipped, seconds, server_time, observed })
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey(..)")
    }
}

fn read_address(family: u8, bytes: &[u8; 16]) -> Option<IpAddr> {
    match (family, *bytes) {
        (4, [a, b, c, d, rest @ ..]) => {
            (rest == [0; 12]).then_some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        (6, bytes) => {
            let address = Ipv6Addr::from(bytes);
            address.to_ipv4_mapped().is_none().then_some(IpAddr::V6(address))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
