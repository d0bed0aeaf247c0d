//! Serial numbers in little memory: 20 bytes each, sorted. A million take 20 MB.

use core::fmt;

use sknock_types::{Serial, hex};

use super::CrlError;
use crate::der::without_leading_zeros;

/// A set of serial numbers, each right-aligned: leading zeros mean nothing.
#[derive(Eq, PartialEq)]
pub(super) struct Serials(Vec<[u8; Serial::MAX_LEN]>);

impl Serials {
    pub(super) fn with_room(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn add(&mut self, serial: &[u8]) -> Result<(), CrlError> {
        let too_long = || CrlError::SerialTooLong { serial: beginning(serial) };
        self.0.push(aligned(serial).ok_or_else(too_long)?);
        Ok(())
    }

    /// To be called before anything is looked up.
    pub(super) fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }

    /// Whether `serial`, with or without leading zeros, was added.
    pub(super) fn contains(&self, serial: &[u8]) -> bool {
        aligned(serial).is_some_and(|serial| self.0.binary_search(&serial).is_ok())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All, ascending, without leading zeros.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|serial| without_leading_zeros(serial))
    }
}

impl fmt::Debug for Serials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} serials", self.len())
    }
}

/// In hexadecimal digits.
fn beginning(serial: &[u8]) -> String {
    const MOST: usize = 32;
    let dots = if serial.len() > MOST { "..." } else { "" };
    hex(serial.get(..MOST).unwrap_or(serial)) + dots
}

fn aligned(serial: &[u8]) -> Option<[u8; Serial::MAX_LEN]> {
    let serial = without_leading_zeros(serial);
    let mut aligned = [0; Serial::MAX_LEN];
    let room = aligned.get_mut(Serial::MAX_LEN.checked_sub(serial.len())?..)?;
    room.copy_from_slice(serial);
    Some(aligned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_mean_nothing() {
        let mut serials = Serials::with_room(3);
        for serial in [&[2][..], &[0, 0xf1, 0xa2], &[0], &[2], &[0xff; 20]] {
            serials.add(serial).unwrap();
        }
        serials.sort();
        let all: Vec<_> = serials.iter().collect();
        assert_eq!(all, [&[][..], &[2], &[0xf1, 0xa2], &[0xff; 20]]);
        for serial in [&[2][..], &[0, 0, 2], &[0xf1, 0xa2], &[], &[0, 0], &[0xff; 20]] {
            assert!(serials.contains(serial), "{serial:02x?}");
        }
        for serial in [&[1][..], &[2, 0], &[0xf1], &[0xff; 19], &[0xff; 21]] {
            assert!(!serials.contains(serial), "{serial:02x?}");
        }
        let serial = "01".repeat(21);
        assert_eq!(serials.add(&[1; 21]), Err(CrlError::SerialTooLong { serial }));
        let serial = "01".repeat(32) + "...";
        assert_eq!(serials.add(&[1; 33]), Err(CrlError::SerialTooLong { serial }));
    }
}
