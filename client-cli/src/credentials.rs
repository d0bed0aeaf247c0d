//! Who we are and whom we knock on, from where the user or the habit puts it.

use std::path::PathBuf;

use sknock::{BundleError, CredentialError, Identity, ServerCertificate, paths};

use crate::arguments::Task;
use crate::failure::Failure;
use crate::password;

/// Loads both; asks for a password last, when nothing else is missing.
pub(crate) fn load(task: &Task) -> Result<(Identity, ServerCertificate), Failure> {
    let options = &task.options;
    let identity =
        named_or_in_place(options.identity.as_ref(), "identity", "SKNOCK_IDENTITY", || {
            Some(paths::folder()?.join("identity.pfx"))
        })?;
    let certificate = named_or_in_place(
        options.server_cert.as_ref(),
        "server-cert",
        "SKNOCK_SERVER_CERT",
        || Some(paths::server_certificate(&paths::folder()?, &task.host)),
    )?;
    let server = sknock::open_server_certificate(certificate)?;
    let password = password::find(options.password_file.as_deref(), &identity)?;
    let identity =
        sknock::open_identity(identity, &password.text).map_err(|error| match error {
            CredentialError::Bundle { path, source: BundleError::WrongPassword } => {
                Failure::Password(format!(
                    "the password from {} does not open {}",
                    password.from,
                    path.display()
                ))
            }
            other => other.into(),
        })?;
    Ok((identity, server))
}

/// The file that was named, or the one in its usual place; it must be there.
fn named_or_in_place(
    named: Option<&PathBuf>,
    option: &'static str,
    variable: &'static str,
    place: impl FnOnce() -> Option<PathBuf>,
) -> Result<PathBuf, Failure> {
    let path = match named {
        Some(named) => named.clone(),
        None => place().ok_or(Failure::NoPlace { option, variable })?,
    };
    // What cannot be looked at, such as in a folder that is closed to us, is told by who opens it.
    match path.try_exists() {
        Ok(false) => Err(Failure::Missing { path, option, variable }),
        Ok(true) | Err(_) => Ok(path),
    }
}
