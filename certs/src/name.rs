//! Names of certificate holders: also file names, so they must not contain path separators.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Characters in a name: X.520's upper bound for a common name (RFC 5280, A.1, `ub-common-name`).
pub(crate) const MAX_LENGTH: usize = 64;

/// Names with which the authority's own files could be confused.
const RESERVED: [&str; 3] = ["ca", "crl", "register"];

/// A certificate's holder: `alice`, `bob@laptop`, `gate.example.org`.
///
/// 1 to 64 of ASCII letters, digits, `.`, `_`, `-` and `@`, beginning with neither `.` nor `-`,
/// and none of `ca`, `crl`, `register`. It becomes the common name and the name of the files.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateName(String);

impl CertificateName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a holder's file, such as `alice.pfx`.
    pub(crate) fn file(&self, extension: &str) -> String {
        format!("{}.{extension}", self.0)
    }
}

/// The text is not a holder's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("'{name}' is not a valid name: {why}")]
pub struct NotAName {
    /// The text, escaped.
    name: String,
    why: &'static str,
}

impl FromStr for CertificateName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let refused = |why| Err(NotAName { name: text.escape_default().to_string(), why });
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        if text.is_empty() {
            refused("it is empty")
        } else if text.len() > MAX_LENGTH {
            refused("it is longer than 64 characters")
        } else if !text.bytes().all(fits) {
            refused("use ASCII letters, digits, '.', '_', '-' and '@' only")
        } else if text.starts_with(['.', '-']) {
            refused("it must begin with a letter or a digit")
        } else if RESERVED.iter().any(|reserved| text.eq_ignore_ascii_case(reserved)) {
            refused("the name is reserved for files of the CA")
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CertificateName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<CertificateName> for String {
    fn from(name: CertificateName) -> Self {
        name.0
    }
}

/// Whether `text` is valid as a DNS name in a certificate: labels of letters, digits and hyphens (RFC 1123,
/// 2.1), the last of them not all digits.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_a_word =
        text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    text.split('.').all(label) && last_is_a_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_file_names() {
        for name in ["alice", "a", "bob@laptop", "gate.example.org", "_x", "x..y", "CAro", "9", "@"]
        {
            assert_eq!(name.parse::<CertificateName>().unwrap().as_str(), name);
        }
        let long = "x".repeat(65);
        for name in [
            "", ".", "..", ".hidden", "-f", "a/b", "../a", "a b", "a\n", "é", "ca", "CRL",
            "register", &long,
        ] {
            assert!(name.parse::<CertificateName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn dns_names_are_distinguished_from_other_names() {
        for name in ["gate", "gate.example.org", "a-b.c", "1.example"] {
            assert!(is_dns_name(name), "{name}");
        }
        for name in ["bob@laptop", "a_b", "a-", "-a", "a..b", "a.", "192.0.2.1", "9"] {
            assert!(!is_dns_name(name), "{name}");
        }
    }
}
