//! The identity's password: from a file, the environment or the terminal; never from an argument.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sknock::paths;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::permissions::{self, FileSecrecy};

/// The variable that contains the password itself.
const VARIABLE: &str = "SKNOCK_PFX_PASSWORD";

/// Maximum length in bytes.
const LONGEST: usize = 4096;

/// A password and its origin, for the error message if it is wrong.
pub(crate) struct NamedPassword {
    pub(crate) text: Zeroizing<String>,
    pub(crate) from: String,
}

/// Finds the password for `identity`: the named file, else the environment, else the default file, else the
/// terminal. stdin is not read: it may be data.
pub(crate) fn find(named: Option<&Path>, identity: &Path) -> Result<NamedPassword, Failure> {
    if let Some(path) = named {
        return from_file(path);
    }
    if let Some(value) = std::env::var_os(VARIABLE) {
        let text = value.into_string().map_err(|_| {
            Failure::Password(format!("{VARIABLE} is not UTF-8. Put the password into a file"))
        })?;
        return Ok(NamedPassword { text: Zeroizing::new(text), from: VARIABLE.into() });
    }
    match paths::folder().map(|folder| folder.join("password")) {
        // A file without access is opened anyway, which reports the error.
        Some(path) if !matches!(path.try_exists(), Ok(false)) => from_file(&path),
        place => from_terminal(identity, place),
    }
}

fn from_file(path: &Path) -> Result<NamedPassword, Failure> {
    let failed = |error: io::Error| {
        Failure::Password(format!("cannot read the password from {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        let message = format!("{} is a directory. Use the file with the password", path.display());
        return Err(Failure::Password(message));
    }
    permissions::note(path, &metadata, FileSecrecy::Secret("your password"));
    let text = read(file).map_err(failed)?;
    Ok(NamedPassword { text, from: path.display().to_string() })
}

/// Reads the whole file; ignores one trailing line end.
fn read(file: impl Read) -> io::Result<Zeroizing<String>> {
    // never reallocated, so no copy remains in memory
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if bytes.len() > LONGEST {
        return Err(invalid("longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("not UTF-8"))?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.unwrap_or(text).to_owned()))
}

fn from_terminal(identity: &Path, place: Option<PathBuf>) -> Result<NamedPassword, Failure> {
    let text = sknock_prompt::password(&format!("Password for {}: ", identity.display()));
    let text = text.map_err(|error| {
        let place = place.map(|path| format!(" or {}", path.display())).unwrap_or_default();
        Failure::Password(format!(
            "no password for {}: cannot prompt for it ({error}). Put it into a file for \
             --password-file{place}, or into {VARIABLE}",
            identity.display()
        ))
    })?;
    Ok(NamedPassword { text: Zeroizing::new(text), from: "the terminal".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (file, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            ("secret\r", "secret\r"),
            (" a b\t \n", " a b\t "),
            ("p\\w\"o'r;d%ü€#\n", "p\\w\"o'r;d%ü€#"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(*read(file.as_bytes()).unwrap(), password, "{file:?}");
        }
    }

    #[test]
    fn what_is_no_password_is_refused() {
        assert!(read(&b"\xff"[..]).is_err());
        assert!(read(&[b'a'; LONGEST + 1][..]).is_err());
        assert_eq!(read(&[b'a'; LONGEST][..]).unwrap().len(), LONGEST);
    }
}
