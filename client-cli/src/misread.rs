//! Invalid command lines for which clap's own message does not contain the remedy.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options that an environment variable can set.
const VARIABLES: [(&str, &str); 5] = [
    ("--identity", "SKNOCK_IDENTITY"),
    ("--server-cert", "SKNOCK_SERVER_CERT"),
    ("--password-file", "SKNOCK_PASSWORD_FILE"),
    ("--knock-port", "SKNOCK_KNOCK_PORT"),
    ("--protocol", "SKNOCK_PROTOCOL"),
];

/// A line without a command and without a port: the user forgot the command.
pub(crate) fn without_command(words: &[OsString], error: clap::Error) -> clap::Error {
    let incomplete =
        matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument);
    let names_a_port = |word: &OsString| {
        let word = word.to_string_lossy();
        word.starts_with("--port") || (is_short(&word) && word.contains('p'))
    };
    if !incomplete || words.iter().skip(1).any(names_a_port) {
        return error;
    }
    let first = words.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
    if first.starts_with('-') {
        let message = "the command comes first: sknock knock [OPTIONS] HOST tcp/PORT\n";
        return clap::Error::raw(ErrorKind::InvalidSubcommand, message);
    }
    let host = if first.contains(['.', ':']) { &first } else { "HOST" };
    let message = format!(
        "{first:?} is not a command. Write: sknock knock {host} tcp/PORT, or: sknock connect \
         {host} PORT, or: sknock -p PORT {host}\n"
    );
    clap::Error::raw(ErrorKind::InvalidSubcommand, message)
}

/// `-p 22` and `-u` after a command; only the short form has them.
pub(crate) fn with_short_options(words: &[OsString], error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument
        || !["-p", "-u", "--port", "--udp"].contains(&&**wrong)
    {
        return error;
    }
    let is_port = |word: &&OsString| word.to_str().is_some_and(|word| word.parse::<u16>().is_ok());
    let port = words.iter().find(is_port).map_or("PORT".into(), |word| word.to_string_lossy());
    let message = format!(
        "{wrong} is valid only without a command. With a command, write the service: sknock \
         knock HOST tcp/{port}\n"
    );
    clap::Error::raw(ErrorKind::UnknownArgument, message)
}

fn is_short(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--")
}

/// The environment variable with the invalid value, if it was not on the command line.
pub(crate) fn variable_behind(
    words: &[OsString],
    error: &clap::Error,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<String> {
    let ContextValue::String(wrong) = error.get(ContextKind::InvalidArg)? else { return None };
    let (option, name) = VARIABLES.iter().find(|(option, _)| wrong.starts_with(option))?;
    let given = |word: &OsString| OsStr::to_string_lossy(word).starts_with(option);
    if words.iter().any(given) {
        return None;
    }
    let value = variable(name)?;
    let shown = value.to_string_lossy();
    Some(format!("the environment variable {name} is set to {shown:?}. Correct or unset it"))
}
