//! The server's one answer to a knock that requests it: 96 bytes that only the knock's sender can decrypt.
//!
//! ```text
//! status 1 | family 1 | seconds 2 | server's ms 8 | observed address 16 | port 2 | id 16 | zeros 34
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::error::Unspecified;

use crate::bytes::Bytes;
use crate::crypto::{AeadKey, NONCE_LENGTH, TAG_LENGTH};
use crate::decrypted::KnockId;
use crate::timestamp::Timestamp;

/// Bytes of an answer on the wire.
pub const ANSWER_LENGTH: usize = 96;

const PLAIN_LENGTH: usize = ANSWER_LENGTH - TAG_LENGTH;
const INFO: &[u8] = b"sknock v2 answer";
/// Each key seals one answer, so a constant nonce is safe.
const NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

const GRANTED: u8 = 0;
const CLIPPED: u8 = 1;

/// The server's report to a client about its grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Whether the grant is shorter than requested.
    pub clipped: bool,
    /// How long the grant lasts, in seconds from `server_time`.
    pub seconds: u16,
    /// The server's clock when it answered.
    pub server_time: Timestamp,
    /// The source address of the knock as the server saw it: the client's public address.
    pub observed: SocketAddr,
}

/// The key that a client and its server share for one answer to one knock.
///
/// Made from the knock's secret and its id. It seals *one* answer: the nonce is fixed, so two
/// different answers under one key would betray both. The server answers admitted knocks only, and
/// a knock is admitted once.
pub struct AnswerKey {
    key: AeadKey,
    id: [u8; 16],
}

impl AnswerKey {
    pub(crate) fn new(secret: &[u8; 32], id: &KnockId) -> Result<Self, Unspecified> {
        Ok(Self { key: AeadKey::derive(secret, &id.0, INFO)?, id: id.prefix() })
    }

    /// Encrypts the answer for the wire. Call it once: the nonce is constant.
    pub fn seal(&self, answer: &Answer) -> [u8; ANSWER_LENGTH] {
        let mut plain = self.write(answer);
        let tag = seal(&self.key, &mut plain);
        let mut sealed = [0; ANSWER_LENGTH];
        let (head, tail) = sealed.split_at_mut(PLAIN_LENGTH);
        head.copy_from_slice(&plain);
        tail.copy_from_slice(&tag);
        sealed
    }

    /// Decrypts an answer; `None` if the bytes are no answer to this knock.
    pub fn open(&self, bytes: &[u8]) -> Option<Answer> {
        let mut sealed: [u8; ANSWER_LENGTH] = bytes.try_into().ok()?;
        let plain = self.key.open(NONCE, b"", &mut sealed).ok()?;
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
        plain[30..46].copy_from_slice(&self.id);
        plain
    }

    fn read(&self, plain: &[u8]) -> Option<Answer> {
        let mut rest = Bytes::new(plain);
        let clipped = match rest.byte()? {
            GRANTED => false,
            CLIPPED => true,
            _ => return None,
        };
        let family = rest.byte()?;
        let seconds = rest.u16()?;
        let server_time = Timestamp::from_millis(rest.u64()?);
        let address = read_address(family, rest.array()?)?;
        let observed = SocketAddr::new(address, rest.u16()?);
        let ours = *rest.array::<16>()? == self.id && rest.are_zero();
        ours.then_some(Answer { clipped, seconds, server_time, observed })
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

fn seal(key: &AeadKey, plain: &mut [u8; PLAIN_LENGTH]) -> [u8; TAG_LENGTH] {
    key.seal(NONCE, plain).expect("AES-GCM takes 80 bytes: its only limit is 64 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: KnockId = KnockId([7; 32]);

    fn key() -> AnswerKey {
        AnswerKey::new(&[1; 32], &ID).unwrap()
    }

    fn answer(observed: &str) -> Answer {
        let observed = observed.parse().unwrap();
        let server_time = Timestamp::from_millis(1_700_000_000_123);
        Answer { clipped: true, seconds: 15, server_time, observed }
    }

    #[test]
    fn both_sides_read_the_same_answer() {
        for observed in ["203.0.113.9:40000", "[2001:db8::1]:1"] {
            let answer = answer(observed);
            assert_eq!(key().open(&key().seal(&answer)), Some(answer));
        }
    }

    #[test]
    fn a_mapped_source_is_answered_as_ipv4() {
        let sealed = key().seal(&answer("[::ffff:203.0.113.9]:40000"));
        assert_eq!(key().open(&sealed), Some(answer("203.0.113.9:40000")));
    }

    #[test]
    fn any_altered_byte_or_length_is_no_answer() {
        let sealed = key().seal(&answer("203.0.113.9:40000"));
        for at in 0..sealed.len() {
            let mut altered = sealed;
            altered[at] ^= 1;
            assert_eq!(key().open(&altered), None, "byte {at}");
        }
        assert_eq!(key().open(&sealed[..95]), None);
        assert_eq!(key().open(&[&sealed[..], &[0]].concat()), None);
        assert_eq!(key().open(&[]), None);
    }

    #[test]
    fn an_answer_to_another_knock_is_none() {
        let sealed = key().seal(&answer("203.0.113.9:40000"));
        assert_eq!(AnswerKey::new(&[2; 32], &ID).unwrap().open(&sealed), None);
        assert_eq!(AnswerKey::new(&[1; 32], &KnockId([8; 32])).unwrap().open(&sealed), None);
    }

    #[test]
    fn an_answer_has_one_encoding() {
        let genuine = key().write(&answer("203.0.113.9:40000"));
        // status, family, the rest of an IPv4 address, id, the first and last zero
        for (at, byte) in [(0, 2), (1, 5), (1, 0), (16, 1), (27, 1), (30, 0), (46, 1), (79, 1)] {
            let mut altered = genuine;
            altered[at] = byte;
            assert_eq!(key().read(&altered), None, "byte {at}");
        }
        let mut mapped = key().write(&answer("[2001:db8::1]:1"));
        mapped[12..28].copy_from_slice(&Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        assert_eq!(key().read(&mapped), None);
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", key()), "AnswerKey(..)");
    }
}
