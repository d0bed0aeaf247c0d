//! Serial numbers of certificates.

use core::fmt;

use crate::hex::hex;

/// A certificate's serial number: its bytes without leading zeros, 0..=20 of them (RFC 5280, 4.1.2.2). No
/// bytes are the number 0, which is printed as `00`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Serial {
    // Declared first, as `Ord` is derived: of numbers without leading zeros the longer one is larger.
    length: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl Serial {
    /// Maximum length of a serial number in bytes.
    pub const MAX_LEN: usize = 20;

    /// The number 0, which sorts before every other.
    pub const ZERO: Self = Self { length: 0, bytes: [0; Self::MAX_LEN] };

    /// Upper end of a range of serial numbers, not itself one. It sorts after every other.
    pub const AFTER_ALL: Self = Self { length: u8::MAX, bytes: [u8::MAX; Self::MAX_LEN] };

    /// `None` if there are more bytes than a serial number may have.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; Self::MAX_LEN];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { length: u8::try_from(bytes.len()).ok()?, bytes: all })
    }

    /// The bytes of the number.
    pub fn as_bytes(&self) -> &[u8] {
        // `AFTER_ALL` states 255 bytes, to sort last, and has 20.
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        f.write_str(&hex(if bytes.is_empty() { &[0] } else { bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_is_refused() {
        assert!(Serial::new(&[1; 20]).is_some());
        assert!(Serial::new(&[1; 21]).is_none());
    }

    #[test]
    fn zero_is_before_all_and_nothing_is_after_the_end() {
        let longest = Serial::new(&[0xff; 20]).unwrap();
        assert!(Serial::ZERO < Serial::new(&[1]).unwrap() && longest < Serial::AFTER_ALL);
        assert_eq!(Serial::new(&[]), Some(Serial::ZERO));
        assert_eq!(Serial::ZERO.to_string(), "00");
        assert_eq!(longest.to_string(), "ff".repeat(20));
        assert_eq!(Serial::AFTER_ALL.as_bytes().len(), Serial::MAX_LEN);
    }
}
