//! The certificate of a grant, as far as the gate needs to know it: to log the grant and to close it.

use std::fmt;

use sknock_types::{Serial, hex};

/// A certificate: its issuer, as the beginning of a hash, and its serial number.
///
/// Twelve bytes: nobody can make an authority whose hash begins as another's does, and by its own
/// revocation list close what that one's certificates have open. A comment in the kernel has no room
/// for more of them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CertId {
    /// The beginning of a hash of the issuer's name and key; the network process and its lists agree on
    /// it.
    pub issuer: [u8; Self::ISSUER],
    /// The serial number.
    pub serial: Serial,
}

impl CertId {
    /// How many bytes of the issuer's hash there are.
    pub const ISSUER: usize = 12;

    /// Of an element that does not say whose it is. Sorts before every other certificate.
    pub const UNKNOWN: Self = Self { issuer: [0; Self::ISSUER], serial: Serial::ZERO };

    /// The serial number in hexadecimal digits; empty for [`CertId::UNKNOWN`].
    pub fn serial_text(&self) -> String {
        if *self == Self::UNKNOWN { String::new() } else { self.serial.to_string() }
    }

    /// Sorts before every other certificate of this issuer.
    pub(crate) fn first_of(issuer: [u8; Self::ISSUER]) -> Self {
        Self { issuer, ..Self::UNKNOWN }
    }

    /// Sorts after every certificate of this issuer.
    pub(crate) fn after(issuer: [u8; Self::ISSUER]) -> Self {
        Self { issuer, serial: Serial::AFTER_ALL }
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", hex(&self.issuer), self.serial)
    }
}

/// What a certificate calls its owner, 0..=64 bytes. Chosen by the owner of the certificate: for people
/// to read, never to decide anything. Printing it shows only what [`OwnerName::clean`] lets through.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct OwnerName {
    length: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl OwnerName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// As much of `text` as fits, in whole characters.
    pub fn truncated(text: &str) -> Self {
        let mut end = text.len().min(Self::MAX_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self::new(&text.as_bytes()[..end]).unwrap_or(Self { length: 0, bytes: [0; Self::MAX_LEN] })
    }

    /// These bytes, or nothing if they are too many.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; Self::MAX_LEN];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { length: u8::try_from(bytes.len()).ok()?, bytes: all })
    }

    /// Only the bytes that count.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The name as it may stand in a log line or between quotes: ASCII letters, digits and `.-_@+:,`;
    /// an underscore for every other character.
    pub fn clean(&self) -> String {
        let clean =
            |c: char| if c.is_ascii_alphanumeric() || ".-_@+:,".contains(c) { c } else { '_' };
        // The bytes come from the network process, and need not be UTF-8.
        String::from_utf8_lossy(self.as_bytes()).chars().map(clean).collect()
    }
}

impl fmt::Debug for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_truncated_between_characters() {
        let long = "ü".repeat(40);
        assert_eq!(OwnerName::truncated(&long).as_bytes(), "ü".repeat(32).as_bytes());
        let odd = format!("x{long}");
        assert_eq!(
            OwnerName::truncated(&odd).as_bytes(),
            format!("x{}", "ü".repeat(31)).as_bytes()
        );
    }

    #[test]
    fn a_name_shows_nothing_that_could_be_markup() {
        assert_eq!(
            OwnerName::truncated("J\u{f6}rg \"; drop\n\\ x@y").to_string(),
            "J_rg____drop___x@y"
        );
        assert_eq!(OwnerName::new(&[b'a', 0, 0x80, b'b']).unwrap().to_string(), "a__b");
    }

    #[test]
    fn too_long_is_refused() {
        assert!(OwnerName::new(&[b'a'; 65]).is_none());
    }
}
