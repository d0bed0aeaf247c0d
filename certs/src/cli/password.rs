//! The source of a new file's password. Never an argument: all local users can read these.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

const VARIABLE: &str = "SKNOCK_PFX_PASSWORD";

/// Maximum size of a password file in bytes: a larger one is probably another file.
const MAX_FILE: u64 = 4096;

/// Reasons why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error(
        "there is no terminal to ask for a password. Use --password-file FILE, or set \
         SKNOCK_PFX_PASSWORD"
    )]
    NoTerminal,
    #[error("cannot read the password from {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is {why}. It must contain the password and nothing else", path.display())]
    Content { path: PathBuf, why: &'static str },
    #[error("SKNOCK_PFX_PASSWORD is not UTF-8. Use --password-file FILE")]
    Environment,
    #[error("cannot ask for a password: {0}. Use --password-file FILE, or set SKNOCK_PFX_PASSWORD")]
    Prompt(io::Error),
    #[error("the two passwords differ. Nothing was created")]
    Differ,
}

/// The password from `file`, else from the environment, else from the terminal, typed twice.
pub(crate) fn obtain(
    file: Option<&Path>,
    what_for: &str,
) -> Result<Zeroizing<String>, PasswordError> {
    if let Some(path) = file {
        return from_file(path);
    }
    match env::var(VARIABLE) {
        Ok(password) => Ok(Zeroizing::new(password)),
        Err(env::VarError::NotUnicode(_)) => Err(PasswordError::Environment),
        Err(env::VarError::NotPresent) if io::stdin().is_terminal() => from_terminal(what_for),
        Err(env::VarError::NotPresent) => Err(PasswordError::NoTerminal),
    }
}

/// The whole file without its trailing line end.
fn from_file(path: &Path) -> Result<Zeroizing<String>, PasswordError> {
    let content = |why| PasswordError::Content { path: path.to_owned(), why };
    // never reallocated, so no copy remains in memory
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|source| PasswordError::File { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(content("longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| content("not UTF-8"))?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') {
        return Err(content("more than one line"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn from_terminal(what_for: &str) -> Result<Zeroizing<String>, PasswordError> {
    let ask = |prompt: String| {
        sknock_prompt::password(&prompt).map(Zeroizing::new).map_err(PasswordError::Prompt)
    };
    let password = ask(format!("Password for {what_for}: "))?;
    if *password == *ask("Again: ".to_owned())? { Ok(password) } else { Err(PasswordError::Differ) }
}
