//! Where the password of the server's PKCS#12 file comes from.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The name under which systemd hands over the password (`LoadCredential=`), a file in
/// `$CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "sknock-pfx-password";

/// A password in memory: wiped when dropped, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes over what was read elsewhere.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// What to open the file with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Where to get the password.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PasswordSource {
    /// It stands in the configuration.
    Inline(Password),
    /// It is the content of this file, but for one line end at its end.
    File(PathBuf),
    /// None was given: the empty password.
    #[default]
    None,
}
