//! Serial numbers: random, so they can be neither predicted nor counted.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use sknock_types::{from_hex, hex};

/// Bytes in a serial number: RFC 5280 (4.1.2.2) allows 20.
const LENGTH: usize = 16;

/// The serial number of a certificate: 16 bytes, the first between 0x40 and 0x7f.
///
/// That makes it positive and of one length in DER and in hex; 126 bits are random.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RandomSerial([u8; LENGTH]);

impl RandomSerial {
    /// A new random number.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes)?;
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Ok(Self(bytes))
    }

    /// The number, big-endian.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RandomSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The text is not a serial number of this authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a serial number is 32 hexadecimal digits")]
pub struct NotASerial;

impl FromStr for RandomSerial {
    type Err = NotASerial;

    /// Parses 32 hexadecimal digits of either case, optionally with colons as in openssl's output.
    fn from_str(text: &str) -> Result<Self, NotASerial> {
        let bytes = from_hex(&text.replace(':', "")).ok_or(NotASerial)?;
        bytes.try_into().map(Self).map_err(|_| NotASerial)
    }
}

impl TryFrom<String> for RandomSerial {
    type Error = NotASerial;

    fn try_from(text: String) -> Result<Self, NotASerial> {
        text.parse()
    }
}

impl From<RandomSerial> for String {
    fn from(serial: RandomSerial) -> Self {
        serial.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_positive_of_one_length_and_differ() {
        let serials: Vec<RandomSerial> = (0..64).map(|_| RandomSerial::random().unwrap()).collect();
        assert!(serials.iter().all(|serial| (0x40..0x80).contains(&serial.0[0])));
        let distinct: std::collections::BTreeSet<_> = serials.iter().collect();
        assert_eq!(distinct.len(), serials.len());
    }

    #[test]
    fn text_and_serial_agree() {
        let serial = RandomSerial::random().unwrap();
        let text = serial.to_string();
        let colons = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let colons = colons.collect::<Vec<_>>().join(":").to_uppercase();
        assert_eq!(text.parse(), Ok(serial));
        assert_eq!(colons.parse(), Ok(serial));
        for wrong in [
            "",
            ":",
            "4",
            "alice",
            &text[1..],
            &text[2..],
            &format!("{text}00"),
            &text.replace(&text[..1], "g"),
        ] {
            assert_eq!(wrong.parse::<RandomSerial>(), Err(NotASerial), "{wrong:?}");
        }
    }
}
