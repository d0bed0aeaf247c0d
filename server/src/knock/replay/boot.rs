//! Which boot of the machine this is. A value; whoever reads it from the kernel is elsewhere.

use std::fmt;
use std::str::FromStr;

/// The kernel's random name for the time since it started.
///
/// `/proc/sys/kernel/random/boot_id` has it. As long as it is the same, everything that any process
/// has written is still there, synced or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootId(pub(super) [u8; 16]);

/// A text is no boot id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a boot id: /proc/sys/kernel/random/boot_id has 32 hexadecimal digits and 4 hyphens")]
pub struct NotABootId;

impl FromStr for BootId {
    type Err = NotABootId;

    /// Reads the text as the kernel prints it, with or without the line's end.
    fn from_str(text: &str) -> Result<Self, NotABootId> {
        let digits: String = text.trim_ascii_end().chars().filter(|&c| c != '-').collect();
        // Twice 16 digits exactly; a sign, which `from_str_radix` would take, is no digit.
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotABootId);
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| NotABootId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        let text = "0f3c1c8e-6b1c-4d5b-9d0a-0123456789ab\n";
        let boot: BootId = text.parse().unwrap();
        assert_eq!(boot.to_string(), "0f3c1c8e6b1c4d5b9d0a0123456789ab");
    }

    #[test]
    fn other_texts_are_not() {
        for text in ["", "\n", "0f3c1c8e", "+f3c1c8e-6b1c-4d5b-9d0a-0123456789ab", "é"] {
            assert_eq!(text.parse::<BootId>(), Err(NotABootId), "{text:?}");
        }
    }
}
