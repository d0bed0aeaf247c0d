//! Date and number of the newest CRL of an issuer that was ever in force. Older ones are refused, also by a
//! process that has never seen it.

use core::cmp::Ordering;
use core::fmt;

use sknock_types::hex;

use crate::der::without_leading_zeros;
use crate::timestamp::Timestamp;

/// The date and number of a CRL. The date is compared first; the number only orders CRLs of the same second.
/// So a manipulated number cannot block later CRLs, and a CA may restart its numbering.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CrlMark {
    /// thisUpdate, in seconds since 1970.
    made: u64,
    /// Big-endian; zero for a list without a number.
    number: [u8; Self::NUMBER],
}

impl CrlMark {
    /// The longest number, in bytes (RFC 5280, 5.2.3).
    pub const NUMBER: usize = 20;

    /// `number` is big-endian, right-aligned.
    pub fn new(made: Timestamp, number: [u8; Self::NUMBER]) -> Self {
        Self { made: made.as_secs(), number }
    }

    /// `number`, if present, has at most [`Self::NUMBER`] bytes.
    pub(super) fn of(made: Timestamp, number: Option<&[u8]>) -> Self {
        let mut aligned = [0; Self::NUMBER];
        let number = number.unwrap_or_default();
        if let Some(place) = Self::NUMBER.checked_sub(number.len())
            && let Some(room) = aligned.get_mut(place..)
        {
            room.copy_from_slice(number);
        }
        Self::new(made, aligned)
    }

    /// thisUpdate of the CRL.
    pub fn made(&self) -> Timestamp {
        Timestamp::from_secs(self.made)
    }

    /// Big-endian, right-aligned.
    pub fn number(&self) -> &[u8; Self::NUMBER] {
        &self.number
    }

    /// Whether a CRL with this mark is acceptable after one with `newest`.
    pub(super) fn reaches(&self, newest: &Self) -> bool {
        self.cmp(newest) != Ordering::Less
    }
}

/// `number 1f (made 2026-07-01T00:00:00Z)`
impl fmt::Display for CrlMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(without_leading_zeros(&self.number));
        let number = if digits.is_empty() { "0" } else { &digits };
        write!(f, "number {number} (made {})", self.made().date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_comes_first_and_the_number_orders_one_second() {
        let mark = |made, number: &[u8]| CrlMark::of(Timestamp::from_secs(made), Some(number));
        let ascending =
            [mark(6, &[9; 20]), mark(7, &[]), mark(7, &[2]), mark(7, &[1, 0]), mark(8, &[1])];
        assert!(ascending.is_sorted_by(|one, next| one < next));
        assert!(mark(7, &[2]).reaches(&mark(7, &[2])) && mark(8, &[1]).reaches(&mark(7, &[2])));
        assert!(!mark(7, &[2]).reaches(&mark(7, &[3])) && !mark(6, &[4]).reaches(&mark(7, &[3])));
        assert_eq!(CrlMark::of(Timestamp::from_secs(7), None), mark(7, &[]));
        assert_eq!(mark(7, &[1, 0xf]).to_string(), "number 010f (made 1970-01-01T00:00:07Z)");
    }
}
