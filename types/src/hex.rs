//! Hexadecimal text, as in logs, comments of nftables sets and the register.

use core::fmt::Write as _;

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Parses two digits of either case for each byte; `None` for any other text.
pub fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_digits_agree() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(hex(&[]), "");
        for digits in ["001fff", "001FfF"] {
            assert_eq!(from_hex(digits), Some(vec![0, 0x1f, 0xff]));
        }
        for wrong in ["0", "0g", "+1", "001", " 00", "ü"] {
            assert_eq!(from_hex(wrong), None, "{wrong:?}");
        }
    }
}
